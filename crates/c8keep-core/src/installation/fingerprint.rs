//! What tells one installation from another: what its servers say of themselves that stays the same while they are the same
//! servers. Whether two readings are of the same installation is decided here and nowhere else.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

/// The cluster's own id, told from 8.9 on, and the place of its data: the search cluster's UUID and the record prefix. One
/// reading may know both or only one of them: before 8.9 nothing in Camunda's own answers is unique.
///
/// It is kept as one text: `id`, `uuid/prefix` or `id (uuid/prefix)`. Journals, claims and manifests of earlier versions hold
/// one of the first two. Two that are equal as values may still be of nobody knows what: compare with
/// [`Fingerprint::is_same_installation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Fingerprint {
    cluster: Option<String>,
    search: Option<String>,
}

impl Fingerprint {
    /// What one reading tells; what is empty is not told.
    pub fn told(cluster_id: Option<&str>, cluster_uuid: &str, record_prefix: &str) -> Fingerprint {
        let search = (!cluster_uuid.trim().is_empty()).then(|| format!("{cluster_uuid}/{record_prefix}"));
        Fingerprint { cluster: cluster_id.and_then(word), search }
    }

    /// Whether both are of one installation. Two ids of a cluster decide, whatever else is told; where a reading has none, as
    /// before an upgrade to 8.9, the place of the data does. What tells neither is the same as nothing.
    pub fn is_same_installation(&self, other: &Fingerprint) -> bool {
        match (&self.cluster, &other.cluster) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.search.is_some() && self.search == other.search,
        }
    }
}

/// An id as it is kept: in one word without a slash, by which it is known again in the text.
fn word(id: &str) -> Option<String> {
    let one = |c: char| if c.is_whitespace() || c == '/' { '_' } else { c };
    Some(id.trim().chars().map(one).collect()).filter(|id: &String| !id.is_empty())
}

fn is_word(text: &str) -> bool {
    word(text).is_some_and(|word| word == text)
}

impl From<String> for Fingerprint {
    fn from(text: String) -> Fingerprint {
        let both = text.strip_suffix(')').and_then(|text| text.split_once(" ("));
        match both.filter(|(cluster, search)| is_word(cluster) && !search.is_empty()) {
            Some((cluster, search)) => {
                Fingerprint { cluster: Some(cluster.to_owned()), search: Some(search.to_owned()) }
            }
            None if text.is_empty() => Fingerprint { cluster: None, search: None },
            None if is_word(&text) => Fingerprint { cluster: Some(text), search: None },
            None => Fingerprint { cluster: None, search: Some(text) },
        }
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cluster, &self.search) {
            (Some(cluster), Some(search)) => write!(f, "{cluster} ({search})"),
            (Some(one), None) | (None, Some(one)) => f.write_str(one),
            (None, None) => Ok(()),
        }
    }
}
