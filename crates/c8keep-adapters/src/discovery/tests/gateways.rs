//! Several gateways behind one name, of different age while an upgrade goes on.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

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
    let links = json!({"_links": {"self": {}, "backupRuntime": {}, "backupHistory": {}, "exporting": {}, "cluster": {}}});
    Scene::default()
        .on(&format!("GET {GATEWAY}/actuator/info"), 200, &json!({"build": {"version": "8.8.2"}}))
        .on(&format!("GET {GATEWAY}/actuator"), 200, &links)
        .fallback(&format!("GET {GATEWAY}/"), 404, &json!({"status": 404, "error": "Not Found"}))
}

async fn discovered(gateways: [Scene; 2]) -> Discovered {
    let transport = InTurn { gateways, rest: installation(), asked: AtomicUsize::new(0) };
    let configured = Configured {
        rest: Some("http://localhost:18111".into()),
        search: Some(SEARCH.into()),
        repository: Some("camunda".into()),
        records: Some(crate::discovery::RecordsChoice::Off),
        ..configured()
    };
    discover(Arc::new(transport), &configured).await.unwrap()
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
