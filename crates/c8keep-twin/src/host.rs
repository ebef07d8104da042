//! The addresses at which an installation can be spoken to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One served address. Broker 0 carries the embedded gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Host {
    /// The management port of one broker.
    Broker(u32),
    /// The shared management address in front of all brokers.
    Gateway,
    /// The management port of Operate (up to 8.7).
    Operate,
    /// The management port of Tasklist (up to 8.7).
    Tasklist,
    /// The management port of Optimize.
    Optimize,
    /// Elasticsearch or OpenSearch.
    Search,
    /// The application port of the gateway (`/v2/topology`).
    Rest,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(node) => write!(f, "broker-{node}"),
            Self::Gateway => f.write_str("gateway"),
            Self::Operate => f.write_str("operate"),
            Self::Tasklist => f.write_str("tasklist"),
            Self::Optimize => f.write_str("optimize"),
            Self::Search => f.write_str("search"),
            Self::Rest => f.write_str("rest"),
        }
    }
}
