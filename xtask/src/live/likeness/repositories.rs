//! The search server's side of a case: fresh repositories for every attempt, snapshots that last, shards that nobody
//! holds. A repository that was there before is taken off the list and put back, never emptied.

use std::time::Duration;

use anyhow::{Context as _, Result};
use c8keep_twin::likeness::{Case, Move};
use c8keep_twin::{Host, Request};
use serde_json::{Value, json};

use crate::peers::http;
use crate::peers::search::{REPOSITORY, Search};

/// Enough bytes that a throttled snapshot of them runs for some seconds. Its name comes before those of the exporter's
/// indices: of many indices the comparer looks at the first.
const BULK_INDEX: &str = "zeebe-record-likeness";
const BULK_DOCUMENTS: usize = 20;
const BULK_DOCUMENT_BYTES: usize = 200_000;
const THROTTLE: &str = "400kb";
/// An index whose only shard no node may hold.
const STUCK_INDEX: &str = "zeebe-record--stuck";
const UNUSED_LIMIT: Duration = Duration::from_mins(3);

#[derive(Debug)]
pub struct Repositories {
    url: String,
    /// The folder below which the server may have repositories.
    root: String,
    attempt: u32,
    throttled: bool,
}

impl Repositories {
    /// Looks where the server's own repository lies, and makes something to snapshot.
    pub async fn new(search: &Search) -> Result<Self> {
        let url = search.url();
        let own = http::get(&format!("{url}/_snapshot/{REPOSITORY}")).await?.good()?.json()?;
        let root =
            own[REPOSITORY]["settings"]["location"].as_str().context("a repository without location")?;
        let made = Self { url, root: root.to_owned(), attempt: 0, throttled: false };
        made.drop_indices().await?;
        made.fill().await?;
        Ok(made)
    }

    /// One empty repository, in a folder that no attempt had before, slow if the case needs a snapshot that lasts.
    pub async fn prepare(&mut self, case: &Case) -> Result<()> {
        self.clear().await?;
        self.attempt += 1;
        self.throttled = needs_time(case);
        let register = Request::new("PUT", &format!("/_snapshot/{REPOSITORY}"))
            .json(&json!({ "type": "fs", "settings": { "location": "/var/snapshots/c" } }));
        let body: Value = serde_json::from_slice(&self.outward(&register, true).body)?;
        http::put(&format!("{}{}", self.url, register.path), &body).await?.good()?;
        Ok(())
    }

    /// The request as it is sent: repositories lie where this server allows them. Only on the way into a situation may
    /// they also be slow: the request of the case itself is sent as it was recorded.
    pub fn outward(&self, request: &Request, on_the_way: bool) -> Request {
        let mut sent = request.clone();
        let Ok(mut body) = serde_json::from_slice::<Value>(&request.body) else { return sent };
        if let Some(location) = body.pointer_mut("/settings/location") {
            let name = location.as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
            *location = self.location(name).into();
            if self.throttled && on_the_way {
                body["settings"]["max_snapshot_bytes_per_sec"] = THROTTLE.into();
            }
            sent.body = body.to_string().into_bytes();
        }
        sent
    }

    /// An index without its shard, so that the next snapshot of the records is PARTIAL.
    pub async fn lose_a_shard(&self) -> Result<()> {
        let nobody = json!({ "settings": {
            "index.number_of_replicas": 0, "index.routing.allocation.require._name": "nobody",
        } });
        let url = format!("{}/{STUCK_INDEX}?wait_for_active_shards=0&timeout=1s", self.url);
        http::put(&url, &nobody).await?.good()?;
        Ok(())
    }

    /// Everything of ours is gone afterwards, and the server's own repository is back.
    pub async fn restore(&self, search: &Search) -> Result<()> {
        self.clear().await?;
        self.drop_indices().await?;
        search.register_repository().await
    }

    /// Ends what runs, deletes what was made, and leaves no repository.
    async fn clear(&self) -> Result<()> {
        let all = http::get(&format!("{}/_snapshot", self.url)).await?.good()?.json()?;
        for (name, repository) in all.as_object().into_iter().flatten() {
            let url = format!("{}/_snapshot/{name}", self.url);
            if repository["settings"]["location"].as_str().is_some_and(|at| at != self.root) {
                // A repository that is read-only or empty refuses this, and has nothing to lose.
                http::delete(&format!("{url}/*")).await?;
            }
            // What was restored or deleted just before may still use it: 500 "currently used" until it is done.
            http::until("a repository that nobody uses", UNUSED_LIMIT, async || {
                http::delete(&url).await?.good()?;
                Ok(Some(()))
            })
            .await?;
        }
        // Only a case of a lost shard has left it; not there is as good.
        http::delete(&format!("{}/{STUCK_INDEX}", self.url)).await?;
        Ok(())
    }

    async fn drop_indices(&self) -> Result<()> {
        for index in [BULK_INDEX, STUCK_INDEX] {
            http::delete(&format!("{}/{index}", self.url)).await?;
        }
        Ok(())
    }

    async fn fill(&self) -> Result<()> {
        let plain = json!({
            "settings": { "index.number_of_shards": 1, "index.number_of_replicas": 0 },
            "mappings": { "dynamic": false },
        });
        http::put(&format!("{}/{BULK_INDEX}", self.url), &plain).await?.good()?;
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for number in 0..BULK_DOCUMENTS {
            let body = json!({ "noise": noise(&mut state, BULK_DOCUMENT_BYTES) });
            http::put(&format!("{}/{BULK_INDEX}/_doc/{number}", self.url), &body).await?.good()?;
        }
        http::post(&format!("{}/{BULK_INDEX}/_flush", self.url), None).await?.good()?;
        Ok(())
    }

    fn location(&self, name: &str) -> String {
        format!("{}/likeness-{}-{name}", self.root, self.attempt)
    }
}

/// Whether a snapshot must still run when the case asks: one was started without waiting, and no time passed.
pub fn needs_time(case: &Case) -> bool {
    let starts = |step: &Move| match step {
        Move::Send(Host::Search, request) => {
            let segments = request.path.split('/').filter(|part| !part.is_empty()).count();
            request.method == "PUT" && segments == 3 && !request.query.contains_key("wait_for_completion")
        }
        _ => false,
    };
    case.moves.iter().any(starts) && !case.moves.iter().any(|step| matches!(step, Move::Pass { .. }))
}

/// Text that no compression makes small (xorshift).
fn noise(state: &mut u64, bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        for byte in state.to_le_bytes() {
            text.push(char::from(LETTERS[usize::from(byte % 64)]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use c8keep_twin::likeness::cases;

    #[test]
    fn only_cases_of_running_snapshots_are_slowed() {
        let slow: Vec<&str> = cases()
            .iter()
            .filter(|case| case.host == Host::Search && needs_time(case))
            .map(|case| case.name)
            .collect();
        assert!(slow.contains(&"get-just-started") && slow.contains(&"running-repo-delete"), "{slow:?}");
        let named = |name: &&str| name.starts_with("running-") || *name == "get-just-started";
        assert!(slow.iter().all(named), "{slow:?}");
    }

    #[test]
    fn repositories_lie_where_the_server_allows_them_and_only_the_way_there_is_slow() {
        let all = Repositories {
            url: String::new(),
            root: "/srv/snapshots".to_owned(),
            attempt: 3,
            throttled: true,
        };
        let request = Request::new("PUT", "/_snapshot/slow")
            .json(&json!({ "type": "fs", "settings": { "location": "/var/snapshots/slow" } }));
        let settings = |on_the_way| {
            let sent = all.outward(&request, on_the_way).body;
            serde_json::from_slice::<Value>(&sent).expect("JSON")["settings"].clone()
        };
        assert_eq!(settings(false), json!({ "location": "/srv/snapshots/likeness-3-slow" }));
        assert_eq!(settings(true)["max_snapshot_bytes_per_sec"], THROTTLE);
    }

    #[test]
    fn noise_is_as_long_as_asked_and_never_the_same() {
        let mut state = 1;
        let (one, other) = (noise(&mut state, 64), noise(&mut state, 64));
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }
}
