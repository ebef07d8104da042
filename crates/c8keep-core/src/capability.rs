//! What a Camunda version can do, as data. Asked, never guessed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::backup::HistoryApp;

/// A Camunda version such as `8.6.0` or `8.8.0-alpha5`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CamundaVersion {
    /// Major, minor, patch.
    pub numbers: (u32, u32, u32),
    /// The version as the server tells it.
    text: String,
}

/// How a cluster is spoken to (design of the procedure per version: `docs/departures.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// 8.5–8.7: Operate and Tasklist answer for themselves; the gateway has `/actuator/backups`.
    SplitActuators,
    /// 8.8 and 8.9: `/actuator/backupHistory` and `/actuator/backupRuntime` on one port.
    UnifiedActuators,
}

/// What a dialect offers and in which order its procedure runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// The dialect these lines belong to.
    pub dialect: Dialect,
    /// Path of the runtime backups below the management address.
    pub runtime_path: &'static str,
    /// The web applications with a backup of their own; Optimize aside.
    pub webapps: &'static [HistoryApp],
    /// Whether exporting is paused before the web applications are backed up (8.8+) or after (8.5–8.7).
    pub pause_first: bool,
}

/// Why a cluster cannot be backed up by this version of c8keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// 8.5.0 knows only the hard pause ("Management API", 8.5: soft pause from 8.5.1).
    #[error("Camunda {0} has no soft pause; it came with 8.5.1")]
    NoSoftPause(String),
    /// A version outside 8.5–8.9.
    #[error("Camunda {0} is not known to this c8keep, which knows 8.5 to 8.9")]
    UnknownVersion(String),
    /// The endpoints do not fit the version.
    #[error(
        "Camunda {version} should have the endpoint {missing}, but its list of endpoints does not name it"
    )]
    EndpointMissing {
        /// The version told.
        version: String,
        /// The endpoint that should be there.
        missing: &'static str,
    },
}

impl Dialect {
    /// What this dialect offers.
    pub fn capability(self) -> Capability {
        match self {
            Dialect::SplitActuators => Capability {
                dialect: self,
                runtime_path: "/actuator/backups",
                webapps: &[HistoryApp::Operate, HistoryApp::Tasklist],
                pause_first: false,
            },
            Dialect::UnifiedActuators => Capability {
                dialect: self,
                runtime_path: "/actuator/backupRuntime",
                webapps: &[HistoryApp::Webapps],
                pause_first: true,
            },
        }
    }

    /// Finds the dialect from the version and the names of the endpoints that the server itself lists.
    pub fn detect(version: &CamundaVersion, endpoints: &[String]) -> Result<Dialect, Unsupported> {
        let dialect = match version.numbers {
            (8, 5, 0) => return Err(Unsupported::NoSoftPause(version.to_string())),
            (8, 5..=7, _) => Dialect::SplitActuators,
            (8, 8 | 9, _) => Dialect::UnifiedActuators,
            _ => return Err(Unsupported::UnknownVersion(version.to_string())),
        };
        let needed = match dialect {
            Dialect::SplitActuators => "backups",
            Dialect::UnifiedActuators => "backupRuntime",
        };
        if endpoints.iter().any(|name| name.eq_ignore_ascii_case(needed)) {
            Ok(dialect)
        } else {
            Err(Unsupported::EndpointMissing { version: version.to_string(), missing: needed })
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::SplitActuators => "split actuators",
            Dialect::UnifiedActuators => "unified actuators",
        })
    }
}

impl FromStr for CamundaVersion {
    type Err = String;
    fn from_str(text: &str) -> Result<CamundaVersion, String> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = core.split('.').map(|n| n.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().unwrap_or(Some(0))) {
            (Some(major), Some(minor), Some(patch)) => {
                Ok(CamundaVersion { numbers: (major, minor, patch), text: text.into() })
            }
            _ => Err(format!("{text:?} is not a version")),
        }
    }
}

impl TryFrom<String> for CamundaVersion {
    type Error = String;
    fn try_from(text: String) -> Result<CamundaVersion, String> {
        text.parse()
    }
}

impl From<CamundaVersion> for String {
    fn from(version: CamundaVersion) -> String {
        version.text
    }
}

impl fmt::Display for CamundaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(version: &str, endpoint: &str) -> Result<Dialect, Unsupported> {
        Dialect::detect(&version.parse().unwrap(), &[endpoint.to_owned()])
    }

    #[test]
    fn dialects_by_version() {
        for version in ["8.5.8", "8.6.0", "8.7.2"] {
            assert_eq!(detect(version, "backups"), Ok(Dialect::SplitActuators), "{version}");
        }
        for version in ["8.8.0", "8.9.17", "8.8.0-alpha5"] {
            assert_eq!(detect(version, "backupRuntime"), Ok(Dialect::UnifiedActuators), "{version}");
        }
    }

    #[test]
    fn unknown_ones_are_refused() {
        assert!(matches!(detect("8.5.0", "backups"), Err(Unsupported::NoSoftPause(_))));
        for version in ["8.4.9", "8.10.0", "9.0.0", "7.22.0"] {
            assert!(matches!(detect(version, "backups"), Err(Unsupported::UnknownVersion(_))), "{version}");
        }
        assert!(matches!(detect("8.8.0", "backups"), Err(Unsupported::EndpointMissing { .. })));
    }
}
