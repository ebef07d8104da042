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

/// A client with the manners that everything here has over HTTP: no redirects, no retries, no proxies of the environment,
/// and limits on connections.
pub(crate) fn mannered() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("c8keep/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
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
        let builder = mannered();
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A name with these addresses, as a headless service in Kubernetes has.
    struct Several(Vec<SocketAddr>);

    impl Resolve for Several {
        fn resolve(&self, _: Name) -> Resolving {
            let addresses = self.0.clone();
            Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
        }
    }

    #[tokio::test]
    async fn of_several_addresses_behind_one_name_the_next_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        });
        // Nothing listens on the first two, which are loopback as well.
        let addresses: [SocketAddr; 3] =
            ["127.0.0.2:0", "127.0.0.3:0", "127.0.0.1:0"].map(|a| a.parse().unwrap());
        let ask = async |addresses: &[SocketAddr]| {
            let resolver = Arc::new(Several(addresses.into()));
            let client = Clients::new(Tls::default()).build(false, Some(resolver)).unwrap();
            client.get(format!("http://camunda-gateway:{port}/")).send().await
        };
        assert_eq!(ask(&addresses).await.unwrap().status(), 204);
        server.await.unwrap();
        // And where all refuse, that is the answer, at once.
        let error = ask(&addresses[..2]).await.unwrap_err();
        assert!(error.is_connect() && !error.is_timeout(), "{error:?}");
    }
}
