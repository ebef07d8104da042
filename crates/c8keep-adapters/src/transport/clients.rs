//! The HTTP library's clients: one for each TLS and each place that is dialled instead of a name. Made when they are
//! first needed, because reading the platform's root certificates costs milliseconds and memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::tls::Tls;

/// Clients that share one TLS.
pub(super) struct Clients {
    tls: Tls,
    built: Mutex<BTreeMap<Way, reqwest::Client>>,
}

/// What tells one client from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    is_tls: bool,
    /// The host that is dialled, whatever the name in the address is.
    dialled: Option<String>,
}

/// For the name, the connection and the handshake together. Where a name has several addresses, each of them gets its
/// share of it, and one that refuses is followed by the next.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Below Tomcat's keep-alive of 20 s: a connection that the server is just closing makes a change's outcome unknown.
const IDLE_MAX: Duration = Duration::from_secs(10);
const IDLE_CONNECTIONS_MAX: usize = 4;

impl Clients {
    pub(super) fn new(tls: Tls) -> Clients {
        Clients { tls, built: Mutex::default() }
    }

    /// The client for a way; an error says why this machine cannot speak TLS.
    pub(super) fn get(&self, is_tls: bool, dialled: Option<&str>) -> Result<reqwest::Client, reqwest::Error> {
        let way = Way { is_tls, dialled: dialled.map(str::to_owned) };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = built.get(&way) {
            return Ok(client.clone());
        }
        let resolver = dialled.map(|host| Arc::new(Always(host.to_owned())) as Arc<dyn Resolve>);
        let client = self.build(is_tls, resolver)?;
        built.insert(way, client.clone());
        Ok(client)
    }

    pub(super) fn build(
        &self,
        is_tls: bool,
        resolver: Option<Arc<dyn Resolve>>,
    ) -> Result<reqwest::Client, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("c8keep/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        let builder = if is_tls { self.tls.apply(builder) } else { builder.tls_certs_only([]) };
        match resolver {
            Some(resolver) => builder.dns_resolver(resolver),
            None => builder,
        }
        .build()
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// Resolves every name to the addresses of one host.
struct Always(String);

impl Resolve for Always {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.trim_matches(['[', ']']).to_owned();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
