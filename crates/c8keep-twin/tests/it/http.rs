//! The world over real sockets, with a clock that the test moves by hand.

use std::sync::{Arc, Mutex};

use c8keep_twin::http::{Clock, Served, serve};
use c8keep_twin::{Config, Host, World};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hand::seeded;

struct Stand {
    world: Arc<Mutex<World>>,
    now: Arc<Mutex<Timestamp>>,
    served: Served,
}

async fn stand(config: Config) -> Stand {
    let now = Arc::new(Mutex::new("2026-11-22T12:00:00Z".parse::<Timestamp>().expect("an instant")));
    let world = Arc::new(Mutex::new(World::new(config)));
    let hand = Arc::clone(&now);
    let clock: Clock = Arc::new(move || *hand.lock().expect("no panic"));
    let served = serve(Arc::clone(&world), clock).await.expect("free ports");
    Stand { world, now, served }
}

impl Stand {
    fn pass(&self, millis: i64) {
        *self.now.lock().expect("no panic") += SignedDuration::from_millis(millis);
    }

    /// The raw answer to a raw request; empty if the connection was closed without one.
    async fn raw(&self, host: Host, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.served.addresses[&host]).await.expect("a listener");
        let text = format!(
            "{request} HTTP/1.1\r\nhost: twin\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // A reset is one way of answering nothing.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("text")
    }

    async fn json(&self, host: Host, request: &str, body: &str) -> Value {
        let answer = self.raw(host, request, body).await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }
}

#[tokio::test]
async fn every_host_is_served_on_loopback() {
    let stand = stand(seeded(Config::demo_8_6(), 0)).await;
    let hosts: Vec<Host> = stand.served.addresses.keys().copied().collect();
    assert_eq!(
        hosts,
        [
            Host::Broker(0),
            Host::Gateway,
            Host::Operate,
            Host::Tasklist,
            Host::Optimize,
            Host::Search,
            Host::Rest
        ]
    );
    assert!(stand.served.addresses.values().all(|address| address.ip().is_loopback()));
    let root = stand.raw(Host::Search, "GET /", "").await;
    assert!(
        root.starts_with("HTTP/1.1 200 OK\r\n") && root.contains("x-elastic-product: Elasticsearch"),
        "{root}"
    );
}

#[tokio::test]
async fn servers_name_the_addresses_at_which_they_are_served() {
    let stand = stand(seeded(Config::demo_8_6(), 1)).await;
    let props = stand.json(Host::Broker(0), "GET /actuator/configprops/zeebe.broker", "").await;
    let beans = &props["contexts"]["application"]["beans"];
    let broker = beans.as_object().and_then(|beans| beans.values().next()).expect("one bean");
    let url = broker["properties"]["exporters"]["elasticsearch"]["args"]["url"].as_str();
    assert_eq!(url, stand.served.url(Host::Search).as_deref());
}

#[tokio::test]
async fn an_answer_comes_when_the_clock_says_so() {
    let stand = Arc::new(stand(seeded(Config::demo_8_6(), 0)).await);
    let asked = Arc::clone(&stand);
    let task = tokio::spawn(async move {
        let request = "PUT /_snapshot/camunda/camunda_zeebe_records_backup_7?wait_for_completion=true";
        asked.json(Host::Search, request, r#"{"indices":"zeebe-record*"}"#).await
    });
    let running = |snapshot: Value| snapshot["snapshots"][0]["state"] == "IN_PROGRESS";
    while !running(stand.json(Host::Search, "GET /_snapshot/camunda/*", "").await) {
        tokio::task::yield_now().await;
    }
    assert!(!task.is_finished());
    stand.pass(60_000);
    let answer = task.await.expect("an answer");
    assert_eq!(answer["snapshot"]["state"], "SUCCESS");
    assert!(answer["snapshot"]["shards"]["total"].as_u64() > Some(0));
}

#[tokio::test]
async fn a_broker_that_is_down_answers_nothing() {
    let mut config = seeded(Config::demo_8_6(), 1);
    config.brokers = 3;
    config.replication = 3;
    let stand = stand(config).await;
    stand.world.lock().expect("no panic").faults.brokers_down.insert(1);
    assert_eq!(stand.raw(Host::Broker(1), "GET /actuator/partitions", "").await, "");
    assert!(stand.raw(Host::Broker(2), "GET /actuator/partitions", "").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let stand = stand(seeded(Config::demo_8_6(), 1)).await;
    let body = "x".repeat(1024 * 1024 + 1);
    let answer = stand.raw(Host::Broker(0), "POST /actuator/backups", &body).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{}", &answer[..answer.len().min(200)]);
}

#[tokio::test]
async fn dropping_it_closes_the_ports() {
    let stand = stand(seeded(Config::demo_8_6(), 1)).await;
    let address = stand.served.addresses[&Host::Search];
    drop(stand);
    // The listening task ends at the next point where it can.
    for _ in 0..1_000 {
        if TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("still listening");
}
