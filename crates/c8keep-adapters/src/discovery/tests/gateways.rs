//! Several gateways behind one name, of different age while an upgrade goes on.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use c8keep_core::fault::Fault;

use super::*;
use crate::transport::{Request, Response, Transport, TransportError};

/// Requests to the gateway's address go to two of them in turn, all others where they belong.
struct InTurn {
    gateways: [Scene; 2],
    rest: Scene,
    asked: AtomicUsize,
}

#[async_trait]
impl Transport for InTurn {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if request.url.starts_with(GATEWAY) {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            return self.gateways[number % 2].send(request).await;
        }
        self.rest.send(request).await
    }
}

/// The recorded gateway of 8.6.
fn old() -> Scene {
    installation()
}

/// One of 8.8, as far as it matters here.
fn new() -> Scene {
    of("8.8.2", &json!({"backupRuntime": {}, "backupHistory": {}, "exporting": {}, "cluster": {}}))
}

/// One that answers nothing but its version and its links.
fn of(version: &str, links: &Value) -> Scene {
    let links = json!({ "_links": links });
    Scene::default()
        .on(&format!("GET {GATEWAY}/actuator/info"), 200, &json!({"build": {"version": version}}))
        .on(&format!("GET {GATEWAY}/actuator"), 200, &links)
        .fallback(&format!("GET {GATEWAY}/"), 404, &json!({"status": 404, "error": "Not Found"}))
}

async fn discovered(gateways: [Scene; 2]) -> Discovered {
    looked_at(gateways).await.unwrap()
}

async fn looked_at(gateways: [Scene; 2]) -> Result<Discovered, Fault> {
    let transport = InTurn { gateways, rest: installation(), asked: AtomicUsize::new(0) };
    let configured = Configured {
        rest: Some("http://localhost:18111".into()),
        search: Some(SEARCH.into()),
        repository: Some("camunda".into()),
        records: Some(crate::discovery::RecordsChoice::Off),
        ..configured()
    };
    discover(Arc::new(transport), &configured).await
}

/// From 8.9 on the fingerprint is the cluster's own id. A single 404, as of a proxy in front of a gateway that starts, made another
/// installation of it, for which a run that was left open was a stranger's for ever (the simulator's seed 1795457741006255).
#[tokio::test]
async fn what_is_listed_and_not_found_is_not_absent() {
    let listed =
        || of("8.9.0", &json!({"backupRuntime": {}, "backupHistory": {}, "exporting": {}, "cluster": {}}));
    let fault = looked_at([listed(), listed()]).await.err().unwrap();
    assert!(fault.target.ends_with("/actuator/cluster"), "{fault:?}");
    let unlisted = || of("8.9.0", &json!({"backupRuntime": {}, "backupHistory": {}, "exporting": {}}));
    let fault = looked_at([unlisted(), unlisted()]).await.err();
    assert!(fault.as_ref().is_none_or(|fault| !fault.target.ends_with("/actuator/cluster")), "{fault:?}");
}

/// Version and endpoints are of one gateway, and that there are others is told.
#[tokio::test]
async fn gateways_of_different_age_that_take_turns_do_not_break_discovery() {
    for gateways in [[old(), new()], [new(), old()]] {
        let found = discovered(gateways).await;
        let it = &found.installation;
        let fits = match it.version.to_string().as_str() {
            "8.6.0" => Dialect::SplitActuators,
            "8.8.2" => Dialect::UnifiedActuators,
            other => panic!("{other}"),
        };
        assert_eq!(it.dialect, fits);
        let note = found.findings.iter().find(|f| f.what.contains("different versions")).unwrap();
        assert!(note.level == Level::Note && note.source == GATEWAY, "{note:?}");
    }
}

#[tokio::test]
async fn gateways_of_one_age_are_no_news() {
    let found = discovered([old(), old()]).await;
    assert!(found.findings.iter().all(|f| !f.what.contains("different versions")), "{:?}", found.findings);
}
