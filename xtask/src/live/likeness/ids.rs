//! Backup ids of the cases on a real server: a broker never takes an id twice, so every attempt gets a thousand of its
//! own, and the answer is read as if the case's own id had been sent.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use c8keep_twin::likeness::{Case, Move};
use c8keep_twin::{Answer, Host, Request};
use serde_json::Value;

const BACKUPS: &str = "/actuator/backups/";
const STEP: u64 = 1_000;

#[derive(Debug)]
pub struct Ids {
    base: u64,
    of_case: BTreeSet<u64>,
}

impl Ids {
    /// Ids above every one that was made of the time until now.
    pub fn after_now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { base: (now / STEP + 1) * STEP, of_case: BTreeSet::new() }
    }

    /// The next thousand, for the ids in this case.
    pub fn next(&mut self, case: &Case) {
        self.base += STEP;
        let moves = case.moves.iter().filter_map(|step| match step {
            Move::Send(host, request) | Move::Until(host, request, ..) => Some((*host, request)),
            _ => None,
        });
        let all = moves.chain([(case.host, &case.request)]);
        self.of_case = all.filter(|(host, _)| *host != Host::Search).filter_map(|(_, one)| id(one)).collect();
    }

    /// The request as it is sent, and the id in it.
    pub fn outward(&self, request: &Request) -> (Request, Option<u64>) {
        let Some(own) = id(request) else { return (request.clone(), None) };
        let real = self.base + own;
        let mut sent = request.clone();
        if sent.path.starts_with(BACKUPS) {
            sent.path = format!("{BACKUPS}{real}");
        } else {
            sent.body = serde_json::json!({ "backupId": real }).to_string().into_bytes();
        }
        (sent, Some(real))
    }

    /// The answer as if the case's own ids had been sent.
    pub fn inward(&self, mut answer: Answer) -> Answer {
        let mut text = String::from_utf8_lossy(&answer.body).into_owned();
        for own in &self.of_case {
            text = text.replace(&(self.base + own).to_string(), &own.to_string());
        }
        answer.body = text.into_bytes();
        answer
    }
}

/// The backup id that a request names; what the servers refuse as an id stays as it is.
fn id(request: &Request) -> Option<u64> {
    if let Some(text) = request.path.strip_prefix(BACKUPS) {
        return text.parse().ok().filter(|id| *id < STEP);
    }
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    body["backupId"].as_u64().filter(|id| *id < STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(base: u64, of_case: &[u64]) -> Ids {
        Ids { base, of_case: of_case.iter().copied().collect() }
    }

    #[test]
    fn ids_go_out_as_new_ones_and_come_back_as_the_cases() {
        let ids = ids(5_000, &[5, 10]);
        let (sent, real) = ids.outward(&Request::get("/actuator/backups/10"));
        assert_eq!((sent.path.as_str(), real), ("/actuator/backups/5010", Some(5_010)));
        let post = Request::new("POST", "/actuator/backups").json(&json!({ "backupId": 5 }));
        let (sent, real) = ids.outward(&post);
        assert_eq!((sent.body.as_slice(), real), (br#"{"backupId":5005}"#.as_slice(), Some(5_005)));
        let answer = Answer::text(409, "text/plain", "id 5005, the latest is 5010");
        assert_eq!(ids.inward(answer).body, b"id 5, the latest is 10");
    }

    #[test]
    fn what_is_no_id_stays() {
        let ids = ids(5_000, &[]);
        for body in [json!({ "backupId": -1 }), json!({ "backupId": "abc" }), json!({}), json!({ "x": 1 })] {
            let request = Request::new("POST", "/actuator/backups").json(&body);
            assert_eq!(ids.outward(&request), (request.clone(), None));
        }
    }
}
