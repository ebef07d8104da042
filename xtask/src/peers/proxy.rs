//! A gate: a loopback HTTP/1.1 relay in front of one server. A test points c8keep at it, holds a request before it is
//! forwarded (before the effect) or after its answer (after the effect), acts, and lets go or cuts the connection. It
//! changes nothing but the header `Connection`: every exchange has a connection of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

const HEAD_BYTES_MAX: usize = 64 << 10;
const BODY_BYTES_MAX: usize = 64 << 20;
const SEEN_MAX: usize = 100_000;
const EXCHANGE_LIMIT: Duration = Duration::from_mins(15);

/// The side of the effect on which a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    BeforeForwarding,
    AfterAnswer,
}

/// One request that came by. `status` is there once the server has answered.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Instant,
    pub method: String,
    pub path: String,
    pub status: Option<u16>,
}

#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
    seen: watch::Receiver<usize>,
    relay: JoinHandle<()>,
}

/// A request that is to be held, or is held. Dropping it lets the request go.
#[derive(Debug)]
pub struct Held {
    what: String,
    reached: Option<oneshot::Receiver<Instant>>,
    then: oneshot::Sender<Then>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Go,
    Cut,
    /// Only what has an answer can be cut off in its middle; before that it is cut.
    CutInTheMiddle,
}

#[derive(Debug)]
struct Rule {
    point: Point,
    method: String,
    path: String,
    reached: oneshot::Sender<Instant>,
    then: oneshot::Receiver<Then>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    rules: Mutex<Vec<Rule>>,
    log: Mutex<Vec<Seen>>,
    count: watch::Sender<usize>,
}

impl Gate {
    /// A gate in front of `target` (`http://host:port`), on a port of its own.
    pub async fn before(target: &str) -> Result<Self> {
        let target = target.strip_prefix("http://").context("a gate stands before http:// only")?.to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (count, seen) = watch::channel(0);
        let (rules, log) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { target, rules, log, count });
        let relay = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, seen, relay })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds the next request with this method whose path begins so. Each rule holds one request.
    pub fn hold(&self, point: Point, method: &str, path: &str) -> Held {
        let (reached, reached_by) = oneshot::channel();
        let (then, then_by) = oneshot::channel();
        let rule = Rule { point, method: method.to_owned(), path: path.to_owned(), reached, then: then_by };
        locked(&self.shared.rules).push(rule);
        Held { what: format!("{method} {path}"), reached: Some(reached_by), then }
    }

    /// Everything that came by so far, in order of arrival.
    pub fn log(&self) -> Vec<Seen> {
        locked(&self.shared.log).clone()
    }

    /// Waits until a request like this has come by since `since`, answered or not.
    pub async fn seen(&mut self, method: &str, path: &str, since: Instant, limit: Duration) -> Result<Seen> {
        let found = |seen: &Seen| seen.method == method && seen.path.starts_with(path) && seen.at >= since;
        let look = async {
            loop {
                if let Some(seen) = self.log().into_iter().find(|one| found(one)) {
                    return Ok(seen);
                }
                self.seen.changed().await?;
            }
        };
        tokio::time::timeout(limit, look)
            .await
            .with_context(|| format!("no {method} {path} within {limit:?}"))?
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl Held {
    /// Waits until the request is held at its point, and says when that was.
    pub async fn reached(&mut self, limit: Duration) -> Result<Instant> {
        let reached = self.reached.take().context("already waited for")?;
        let at = tokio::time::timeout(limit, reached).await;
        at.with_context(|| format!("no {} came within {limit:?}", self.what))?.context("the gate is gone")
    }

    pub fn go(self) {
        // Who asked may have given up by now, which is no concern of the test.
        let _ = self.then.send(Then::Go);
    }

    /// Cuts the connection in the middle of the answer.
    pub fn cut_in_the_middle(self) {
        let _ = self.then.send(Then::CutInTheMiddle);
    }

    /// Cuts the connection: who asked never gets an answer.
    pub fn cut(self) {
        let _ = self.then.send(Then::Cut);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut exchanges = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        exchanges.spawn(async move {
            // A failed exchange is a closed connection, which is what the client must live with.
            let _ = tokio::time::timeout(EXCHANGE_LIMIT, exchange(client, &shared)).await;
        });
        while exchanges.try_join_next().is_some() {}
    }
}

async fn exchange(mut client: TcpStream, shared: &Shared) -> Result<()> {
    let Some(request) = read_request(&mut client).await? else { return Ok(()) };
    let index = note(shared, &request);
    if held(shared, Point::BeforeForwarding, &request).await != Then::Go {
        return Ok(());
    }
    let mut server = TcpStream::connect(&shared.target).await?;
    server.write_all(&request.bytes).await?;
    let mut answer = Vec::new();
    (&mut server).take(BODY_BYTES_MAX as u64).read_to_end(&mut answer).await?;
    if let Some(one) = locked(&shared.log).get_mut(index) {
        one.status = status(&answer);
    }
    let then = held(shared, Point::AfterAnswer, &request).await;
    let mut answer = told_to_close(answer);
    match then {
        Then::Go => {}
        Then::Cut => return Ok(()),
        Then::CutInTheMiddle => answer.truncate(answer.len() / 2),
    }
    client.write_all(&answer).await?;
    client.shutdown().await?;
    Ok(())
}

/// Not every server repeats in its answer that the connection closes; the client must not send another request on it.
fn told_to_close(mut answer: Vec<u8>) -> Vec<u8> {
    if let Some(end) = find(&answer, b"\r\n") {
        answer.splice(end..end, *b"\r\nConnection: close");
    }
    answer
}

struct Request {
    method: String,
    path: String,
    bytes: Vec<u8>,
}

async fn held(shared: &Shared, point: Point, request: &Request) -> Then {
    let rule = {
        let mut rules = locked(&shared.rules);
        let fits = |rule: &Rule| {
            rule.point == point && rule.method == request.method && request.path.starts_with(&rule.path)
        };
        rules.iter().position(fits).map(|index| rules.remove(index))
    };
    let Some(rule) = rule else { return Then::Go };
    let _ = rule.reached.send(Instant::now());
    rule.then.await.unwrap_or(Then::Go)
}

/// One whole request, told to close its connection. `None`: the client opened a connection and said nothing.
async fn read_request(client: &mut TcpStream) -> Result<Option<Request>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        ensure!(bytes.len() < HEAD_BYTES_MAX, "a request head of more than {HEAD_BYTES_MAX} bytes");
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = std::str::from_utf8(&bytes[..head_end]).context("a request head that is not text")?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().context("no path")?);
    let (mut out, mut length) = (format!("{first}\r\n"), 0);
    for line in lines {
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        match name.to_ascii_lowercase().as_str() {
            "connection" | "keep-alive" => continue,
            "content-length" => length = value.trim().parse::<usize>()?,
            "transfer-encoding" => bail!("the gate takes no chunked request"),
            _ => {}
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    out.push_str("Connection: close\r\n\r\n");
    ensure!(length <= BODY_BYTES_MAX, "a request body of {length} bytes");
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        ensure!(client.read_buf(&mut body).await? > 0, "the request ended early");
    }
    let mut bytes = out.into_bytes();
    bytes.extend_from_slice(&body);
    Ok(Some(Request { method, path, bytes }))
}

fn note(shared: &Shared, request: &Request) -> usize {
    let mut log = locked(&shared.log);
    if log.len() < SEEN_MAX {
        let (method, path) = (request.method.clone(), request.path.clone());
        log.push(Seen { at: Instant::now(), method, path, status: None });
    }
    let count = log.len();
    drop(log);
    shared.count.send_replace(count);
    count.saturating_sub(1)
}

fn status(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::routing::{get, post};
    use serde_json::json;

    use super::*;
    use crate::peers::http;

    const LIMIT: Duration = Duration::from_secs(30);

    async fn counting_server() -> (String, Arc<AtomicUsize>) {
        let effects = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&effects);
        let effect = post(async move |body: String| {
            count.fetch_add(1, Ordering::SeqCst);
            body
        });
        let app = Router::new().route("/effect", effect).route("/plain", get(async || "plain"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (url, effects)
    }

    async fn post_effect(gate: &Gate) -> Result<http::Answer> {
        http::post(&format!("{}/effect?x=1", gate.url()), Some(&json!({ "id": 1 }))).await
    }

    #[tokio::test]
    async fn relays_and_reports_what_no_rule_holds() {
        let (server, _) = counting_server().await;
        let begin = Instant::now();
        let mut gate = Gate::before(&server).await.expect("a gate");
        assert_eq!(http::get(&format!("{}/plain", gate.url())).await.expect("an answer").body, "plain");
        assert_eq!(post_effect(&gate).await.expect("an answer").body, r#"{"id":1}"#);
        let seen = gate.seen("POST", "/effect", begin, LIMIT).await.expect("it came by");
        assert_eq!(seen.status, Some(200));
        assert_eq!(gate.log().len(), 2);
    }

    #[test]
    fn a_client_that_keeps_connections_is_told_that_they_close() {
        let answer = told_to_close(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1".to_vec());
        assert_eq!(answer, b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 1\r\n\r\n1");
    }

    #[tokio::test]
    async fn a_request_held_before_forwarding_has_no_effect_until_it_may_go() {
        let (server, effects) = counting_server().await;
        let gate = Gate::before(&server).await.expect("a gate");
        let mut held = gate.hold(Point::BeforeForwarding, "POST", "/effect");
        let act = async {
            held.reached(LIMIT).await.expect("held");
            assert_eq!(effects.load(Ordering::SeqCst), 0);
            held.go();
        };
        let (answer, ()) = tokio::join!(post_effect(&gate), act);
        assert!(answer.expect("an answer").is_good());
        assert_eq!(effects.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_leaves_the_effect() {
        let (server, effects) = counting_server().await;
        let gate = Gate::before(&server).await.expect("a gate");
        let mut held = gate.hold(Point::AfterAnswer, "POST", "/effect");
        let act = async {
            held.reached(LIMIT).await.expect("held");
            assert_eq!(effects.load(Ordering::SeqCst), 1);
            held.cut();
        };
        let (answer, ()) = tokio::join!(post_effect(&gate), act);
        answer.expect_err("no answer may come through");
        assert!(post_effect(&gate).await.expect("the rule held one request").is_good());
    }
}
