//! Where an address is really dialled: for a port-forward, a tunnel, a name that is not known here. The name in the
//! address stays what it is for TLS, for verification and for the `Host` header; only the way there changes.

use std::collections::BTreeMap;
use std::fmt;

use c8keep_core::fault::{Fault, FaultKind};
use url::{Host, Url};

/// Pairs of what stands in an address and what is dialled instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectTo(BTreeMap<Place, Place>);

/// A host with a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// As in a URL: IPv6 in brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl ConnectTo {
    /// Reads `name:port` pairs.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<ConnectTo, Fault> {
        let mut places = BTreeMap::new();
        for (from, to) in pairs {
            let refuse = |text: &str, why: &str| {
                Fault::new(FaultKind::Usage, "reading the configuration", format!("connect_to: {text}"), why)
                    .with_hint("write it like `camunda-core:9600: 127.0.0.1:19600`, a port on both sides")
            };
            let read = |text: &str| Place::parse(text).ok_or_else(|| refuse(text, "not a host with a port"));
            let (seen, dialled) = (read(from)?, read(to)?);
            // The HTTP library dials an IP address as it is and asks no resolver.
            if !matches!(Host::parse(&seen.host), Ok(Host::Domain(_))) {
                return Err(refuse(from, "what stands in the address must be a name and no IP address"));
            }
            places.insert(seen, dialled);
        }
        Ok(ConnectTo(places))
    }

    /// Where a URL is dialled, if not at its own host and port.
    pub(super) fn of(&self, url: &Url) -> Option<&Place> {
        if self.0.is_empty() {
            return None;
        }
        let host = url.host_str()?.to_ascii_lowercase();
        self.0.get(&Place { host, port: url.port_or_known_default()? })
    }
}

impl Place {
    fn parse(text: &str) -> Option<Place> {
        let (host, port) = text.trim().rsplit_once(':')?;
        let host = Host::parse(host).ok()?.to_string().to_ascii_lowercase();
        Some(Place { host, port: port.parse().ok().filter(|port| *port != 0)? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_a_name_and_a_place_with_a_port_each() {
        let table = ConnectTo::parse([("Core:9600", "127.0.0.1:19600"), ("es:443", "[::1]:9200")]).unwrap();
        let of = |url: &str| table.of(&Url::parse(url).unwrap()).map(ToString::to_string);
        assert_eq!(of("http://core:9600/x").as_deref(), Some("127.0.0.1:19600"));
        assert_eq!(of("https://es/x").as_deref(), Some("[::1]:9200"), "443 is the port of https");
        assert_eq!(of("http://core:8080/x"), None);
        for (from, to) in [
            ("core", "127.0.0.1:1"),
            ("core:9600", "127.0.0.1"),
            ("10.0.0.1:1", "h:1"),
            ("c:0", "h:1"),
            ("a b:1", "h:1"),
        ] {
            assert_eq!(ConnectTo::parse([(from, to)]).unwrap_err().kind, FaultKind::Usage, "{from} {to}");
        }
    }
}
