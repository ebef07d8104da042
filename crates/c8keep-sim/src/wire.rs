//! Requests on their way: when they arrive, what they do at the twin, and when which answer comes back, if one does. A
//! request that was sent arrives whether its sender lives or not.

use c8keep_adapters::transport::{Request, Response, TransportError};
use c8keep_twin::{Answer, Host, Response as TwinResponse, handle};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::befall::MISSES_PAUSE;
use crate::coverage;
use crate::night::{Due, Exchange, Life, Night, host_of};
use crate::weather::{Trouble, What, Wire};

/// The longest way of a request that arrives although its sender has given up. Longer ones exist; the release of a pause
/// covers this much.
pub const LATE_MAX_MS: u64 = 20_000;

impl Night {
    /// A process has sent something; the number under which its answer will be found.
    pub(crate) fn sent(&mut self, process: usize, asked: Request) -> u64 {
        let number = self.next_number();
        let (host, request) = for_twin(&asked);
        let only_asks = ["/_verify", "/_has_privileges"].iter().any(|end| asked.url.ends_with(end));
        let changes = asked.method.changes() && !only_asks;
        let wire = self.take_armed(|what| match what {
            // Only what changes something does harm when it comes late.
            What::Wire(Wire::Late) if !changes => None,
            What::Wire(wire) => Some(*wire),
            What::Aimed(wire) if changes => Some(*wire),
            What::AtPause(wire) if request.path.ends_with("/exporting/pause") => Some(*wire),
            _ => None,
        });
        let way = SignedDuration::from_millis(1 + i64::try_from(self.dice.below(4)).unwrap_or(0));
        let give_up = SignedDuration::try_from(asked.deadline).unwrap_or(SignedDuration::MAX);
        self.plan(self.now + give_up, Due::GiveUp(number));
        match wire {
            Some(Wire::Lose) => {}
            Some(Wire::Refuse) => {
                let refused = TransportError::line("connection refused", false);
                self.plan(self.now + way, Due::Deliver(number, Err(refused)));
            }
            Some(Wire::Late) => {
                // One in two as late as can be: for a pause that is after its sender has given up.
                let from = if self.dice.once_in(2) { LATE_MAX_MS - 2_000 } else { 1_000 };
                let late = i64::try_from(from + self.dice.below(LATE_MAX_MS - from)).unwrap_or(0);
                self.plan(self.now + SignedDuration::from_millis(late), Due::Arrive(number));
            }
            _ => _ = self.plan(self.now + way, Due::Arrive(number)),
        }
        let exchange = Exchange {
            process,
            host,
            request,
            changes,
            wire,
            asked,
            waker: None,
            answer: None,
            dropped: false,
        };
        if changes {
            self.about_to_change(&exchange);
        }
        self.exchanges.insert(number, exchange);
        number
    }

    /// A request reaches its server.
    pub(crate) fn arrive(&mut self, number: u64) {
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let (process, changes, wire) = (exchange.process, exchange.changes, exchange.wire);
        if self.stands_still(exchange.host) {
            self.weather.buffered.push(number);
            return;
        }
        if let Some(answer) = wire.and_then(short) {
            self.answer(number, answer);
            return;
        }
        let Some(host) = exchange.host else { return };
        let request = exchange.request.clone();
        let missed = |what: &What| (*what == What::DownAtPause).then_some(MISSES_PAUSE);
        if request.path.ends_with("/exporting/pause")
            && let Some(trouble) = self.take_armed(missed)
        {
            self.befall(process, trouble);
        }
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let target = changes.then(|| exchange.asked.describe());
        let response = handle(&mut self.world, host, &request, self.now);
        if let Some(target) = target {
            // The effect is there; the process may die of it before it hears.
            let status = match &response {
                TwinResponse::Answer(answer) => answer.status,
                TwinResponse::Dropped => 0,
            };
            self.has_changed(number, status);
            self.event(process, "arrives", &target);
        }
        match response {
            TwinResponse::Dropped => self.answer_nothing(number, "the connection was closed in the middle"),
            TwinResponse::Answer(_) if wire == Some(Wire::LoseAnswer) => {
                self.answer_nothing(number, "the connection was reset");
            }
            TwinResponse::Answer(answer) if wire == Some(Wire::TooLong) => {
                self.sometimes("an answer was too long");
                self.answer_nothing(
                    number,
                    &format!("{} with a body of more than 8388608 bytes", answer.status),
                );
            }
            TwinResponse::Answer(answer) => self.answer(number, answer),
        }
    }

    /// A process that stands still: what is sent to it waits in its buffers.
    fn stands_still(&self, host: Option<Host>) -> bool {
        let on = |trouble| self.weather.on.contains(&trouble);
        match host {
            Some(Host::Search) => on(Trouble::SearchFrozen),
            Some(Host::Operate | Host::Tasklist | Host::Optimize) => on(Trouble::AppsFrozen),
            Some(Host::Broker(_) | Host::Gateway | Host::Rest) => on(Trouble::BrokersFrozen),
            None => false,
        }
    }

    /// What goes on does what was asked of it, whether anybody still waits for it or not.
    pub(crate) fn serve_buffered(&mut self) {
        for number in std::mem::take(&mut self.weather.buffered) {
            self.plan(self.now, Due::Arrive(number));
        }
    }

    fn answer_nothing(&mut self, number: u64, cause: &str) {
        let lost = TransportError::line(cause, true);
        self.plan(self.now + SignedDuration::from_millis(1), Due::Deliver(number, Err(lost)));
    }

    fn answer(&mut self, number: u64, mut answer: Answer) {
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let ready = answer.ready_at.unwrap_or(self.now).max(self.now);
        if let Some(then) = answer.then.take() {
            self.plan(ready, Due::Then(number, *then));
            return;
        }
        let mut way = SignedDuration::from_millis(1);
        match exchange.wire {
            Some(Wire::Slow) => way = SignedDuration::from_secs(12),
            Some(Wire::BadGatewayAfter) => answer = plain(502, "Bad Gateway"),
            Some(Wire::GatewayTimeoutAfter) => {
                (way, answer) = (SignedDuration::from_secs(10), plain(504, "Gateway Timeout"));
                if exchange.changes {
                    self.seen.insert("a gateway timed out, and the effect is there");
                }
            }
            Some(Wire::Cut) => answer.body.truncate(answer.body.len() / 2),
            Some(Wire::Empty) => answer.body.clear(),
            Some(Wire::FailsInBodyAfter) => answer = failed_in_body(),
            Some(Wire::WrongTypes) => answer.body = with_wrong_types(&answer.body),
            Some(Wire::UnknownWords) => answer.body = with_unknown_words(&answer.body),
            _ => {}
        }
        coverage::of_answer(&mut self.seen, &self.setting.config, &exchange.request, &answer);
        let response =
            Response { status: answer.status, content_type: answer.content_type, body: answer.body.into() };
        self.plan(ready + way, Due::Deliver(number, Ok(response)));
    }

    /// A server that waited asks itself what to answer.
    pub(crate) fn answer_then(&mut self, number: u64, then: &c8keep_twin::Request) {
        let Some(host) = self.exchanges.get(&number).and_then(|exchange| exchange.host) else { return };
        match handle(&mut self.world, host, then, self.now) {
            TwinResponse::Answer(answer) => self.answer(number, answer),
            TwinResponse::Dropped => self.answer_nothing(number, "the connection was closed in the middle"),
        }
    }

    /// The client hears, if it still listens.
    pub(crate) fn deliver(&mut self, number: u64, answer: Result<Response, TransportError>) {
        let Some(exchange) = self.exchanges.get_mut(&number) else { return };
        // The exchange itself stays: a request may still arrive whose sender is long gone.
        if !exchange.dropped && exchange.answer.is_none() {
            exchange.answer = Some(answer);
            if let Some(waker) = exchange.waker.take() {
                waker.wake();
            }
        }
    }

    /// The client has waited long enough.
    pub(crate) fn give_up(&mut self, number: u64) {
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let cause = format!("no whole answer within {:?}", exchange.asked.deadline);
        self.deliver(number, Err(TransportError::line(cause, true)));
    }

    fn next_number(&mut self) -> u64 {
        self.memory.requests += 1;
        self.memory.requests
    }

    /// Whether the sender of a request is still there to hear.
    pub(crate) fn sender_lives(&self, process: usize) -> bool {
        matches!(self.processes[process].life, Life::Alive | Life::Frozen)
    }
}

/// What is answered in the place of a server that never sees the request.
fn short(wire: Wire) -> Option<Answer> {
    Some(match wire {
        Wire::Unauthorised => plain(401, "Unauthorized"),
        Wire::Forbidden => plain(403, "Forbidden"),
        Wire::Absent => plain(404, "Not Found"),
        Wire::TooMany => plain(429, "Too Many Requests"),
        Wire::ServerError => plain(500, "Internal Server Error"),
        Wire::Unavailable => plain(503, "Service Unavailable"),
        Wire::Page => Answer::text(200, "text/html", "<!doctype html><title>Sign in</title>"),
        Wire::FailsInBody => failed_in_body(),
        _ => return None,
    })
}

/// The body of the exporting endpoint where it has failed; its status is 200 all the same.
fn failed_in_body() -> Answer {
    let body = json!({"body": {"message": "a member of partition 1 is missing"}, "status": 500, "contentType": null});
    Answer::json(200, "application/json", &body)
}

fn with_unknown_words(body: &[u8]) -> Vec<u8> {
    const KNOWN: [&str; 7] =
        ["COMPLETED", "SUCCESS", "IN_PROGRESS", "SOFT_PAUSED", "PAUSED", "EXPORTING", "LEADER"];
    let mut text = String::from_utf8_lossy(body).into_owned();
    for word in KNOWN {
        text = text.replace(&format!("\"{word}\""), "\"BRAND_NEW\"");
    }
    text.into_bytes()
}

fn with_wrong_types(body: &[u8]) -> Vec<u8> {
    match serde_json::from_slice(body) {
        Ok(told) => wrong(&told).to_string().into_bytes(),
        Err(_) => body.to_vec(),
    }
}

fn wrong(told: &Value) -> Value {
    match told {
        Value::String(_) => json!(7),
        Value::Number(_) => json!("seven"),
        Value::Array(list) => list.iter().map(wrong).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), wrong(value))).collect(),
        other => other.clone(),
    }
}

fn plain(status: u16, text: &str) -> Answer {
    Answer::text(status, "text/plain", text)
}

/// The same request in the twin's form; the host is none where nobody has that name.
fn for_twin(asked: &Request) -> (Option<c8keep_twin::Host>, c8keep_twin::Request) {
    let rest = asked.url.split_once("://").map_or(asked.url.as_str(), |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut request = c8keep_twin::Request::new(&asked.method.to_string(), path);
    if let Some(body) = &asked.body {
        request = request.json(body);
    }
    (host_of(authority), request)
}
