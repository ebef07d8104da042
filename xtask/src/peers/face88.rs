//! The face of an 8.8 installation before the real 8.6 servers: one `backupHistory` in place of Operate's and
//! Tasklist's backups, `backupRuntime` in place of the gateway's `backups`. Snapshots, positions and every other
//! endpoint are the real ones. What 8.8 answers is in `camunda/camunda` of that version (webapps backup controller).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::http::{self, Answer};

const VERSION: &str = "8.8.0";

#[derive(Debug)]
pub struct Face88 {
    address: SocketAddr,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Behind {
    face: String,
    broker: String,
    apps: Vec<String>,
    /// The parts that were scheduled, by id: 8.6 itself does not tell how many there will be.
    scheduled: Mutex<BTreeMap<u64, usize>>,
}

type Behinds = State<Arc<Behind>>;

impl Face88 {
    /// `broker` and `apps` are management addresses, the apps' in the order in which they are backed up.
    pub async fn before(broker: String, apps: Vec<String>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let behind = Behind { face: format!("http://{address}"), broker, apps, scheduled: Mutex::default() };
        let app = Router::new()
            .route("/actuator", get(links))
            .route("/actuator/info", get(info))
            .route("/actuator/backupHistory", get(history_list).post(history_create))
            .route("/actuator/backupHistory/{id}", get(history_get).delete(history_delete))
            .route("/actuator/backupRuntime", any(runtime))
            .route("/actuator/backupRuntime/{id}", any(runtime))
            .route("/actuator/backups", any(gone))
            .route("/actuator/backups/{id}", any(gone))
            .fallback(pass)
            .with_state(Arc::new(behind));
        let server = tokio::spawn(async move {
            // It ends with the test, and a face that cannot serve shows as a refused connection there.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, server })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Face88 {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn links(State(behind): Behinds) -> Response<Body> {
    answer(async {
        let mut links = http::get(&format!("{}/actuator", behind.broker)).await?.good()?.json()?;
        let links_of = links["_links"].as_object_mut().context("no links")?;
        links_of.remove("backups");
        links_of.remove("backups-id");
        for (name, argument) in [("backupHistory", "backupId"), ("backupRuntime", "id")] {
            let href = format!("{}/actuator/{name}", behind.face);
            links_of.insert(name.to_owned(), json!({ "href": href, "templated": false }));
            let with_id = json!({ "href": format!("{href}/{{{argument}}}"), "templated": true });
            links_of.insert(format!("{name}-{argument}"), with_id);
        }
        Ok((StatusCode::OK, links))
    })
    .await
}

async fn info(State(behind): Behinds) -> Response<Body> {
    answer(async {
        let mut info = http::get(&format!("{}/actuator/info", behind.broker)).await?.good()?.json()?;
        info["build"]["version"] = VERSION.into();
        Ok((StatusCode::OK, info))
    })
    .await
}

async fn history_create(State(behind): Behinds, body: Bytes) -> Response<Body> {
    answer(async {
        let body: Value = serde_json::from_slice(&body)?;
        let mut scheduled = Vec::new();
        for app in &behind.apps {
            let created = http::post(&format!("{app}/actuator/backups"), Some(&body)).await?;
            if !created.is_good() {
                return as_it_is(&created);
            }
            scheduled.extend(created.json()?["scheduledSnapshots"].as_array().cloned().unwrap_or_default());
        }
        if let Some(id) = body["backupId"].as_u64() {
            behind.scheduled.lock().unwrap_or_else(PoisonError::into_inner).insert(id, scheduled.len());
        }
        // 200, although the OpenAPI file of 8.8 says 202.
        Ok((StatusCode::OK, json!({ "scheduledSnapshots": scheduled })))
    })
    .await
}

async fn history_get(State(behind): Behinds, Path(id): Path<u64>) -> Response<Body> {
    answer(async {
        let mut details = Vec::new();
        for app in &behind.apps {
            let state = http::get(&format!("{app}/actuator/backups/{id}")).await?;
            if state.is_good() {
                details.extend(state.json()?["details"].as_array().cloned().unwrap_or_default());
            }
        }
        let scheduled = behind.scheduled.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        if details.is_empty() {
            let message = format!("No backup with id [{id}] found.");
            let body = json!({ "status": 404, "message": message, "type": "Requested resource not found" });
            return Ok((StatusCode::NOT_FOUND, body));
        }
        let state = aggregate(&details, scheduled);
        Ok((
            StatusCode::OK,
            json!({ "backupId": id, "state": state, "failureReason": null, "details": details }),
        ))
    })
    .await
}

/// As 8.8 does: a part that is still to come leaves the backup in progress for five minutes; the face does not
/// outlive these.
fn aggregate(details: &[Value], scheduled: Option<usize>) -> &'static str {
    let any = |state: &str| details.iter().any(|part| part["state"] == state);
    if any("FAILED") || any("PARTIAL") {
        "FAILED"
    } else if any("INCOMPATIBLE") {
        "INCOMPATIBLE"
    } else if any("IN_PROGRESS") || scheduled.is_some_and(|all| details.len() < all) {
        "IN_PROGRESS"
    } else if scheduled.is_some_and(|all| details.len() > all) {
        "FAILED"
    } else {
        "COMPLETED"
    }
}

async fn history_list(State(behind): Behinds) -> Response<Body> {
    answer(async {
        let mut parts: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
        for app in &behind.apps {
            let list = http::get(&format!("{app}/actuator/backups")).await?.good()?.json()?;
            for backup in list.as_array().into_iter().flatten() {
                let id = backup["backupId"].as_u64().context("a backup without id")?;
                let details = backup["details"].as_array().cloned().unwrap_or_default();
                parts.entry(id).or_default().extend(details);
            }
        }
        let scheduled = behind.scheduled.lock().unwrap_or_else(PoisonError::into_inner);
        let list = parts.into_iter().rev().map(|(id, details)| {
            let state = aggregate(&details, scheduled.get(&id).copied());
            json!({ "backupId": id, "state": state, "failureReason": null, "details": details })
        });
        Ok((StatusCode::OK, list.collect()))
    })
    .await
}

async fn history_delete(State(behind): Behinds, Path(id): Path<u64>) -> Response<Body> {
    for app in &behind.apps {
        match http::delete(&format!("{app}/actuator/backups/{id}")).await {
            Ok(deleted) if deleted.is_good() => {}
            Ok(deleted) => return answer(async { as_it_is(&deleted) }).await,
            Err(error) => return answer(async { Err(error) }).await,
        }
    }
    plain(StatusCode::NO_CONTENT, String::new())
}

/// The gateway's own backups: the format is the same, only the path has changed.
async fn runtime(
    behind: Behinds,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().replacen("backupRuntime", "backups", 1);
    match Uri::builder().path_and_query(path).build() {
        Ok(uri) => pass(behind, method, uri, headers, body).await,
        Err(error) => plain(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

/// Of a unified 8.8 broker; only standalone gateways keep it.
async fn gone() -> Response<Body> {
    answer(async { Ok((StatusCode::NOT_FOUND, json!({ "status": 404, "error": "Not Found" }))) }).await
}

/// Everything else is the real broker's.
async fn pass(
    State(behind): Behinds,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = http::client().request(method, format!("{}{path}", behind.broker)).body(body);
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    match request.send().await {
        Ok(response) => {
            let (status, kind) = (response.status(), response.headers().get(header::CONTENT_TYPE).cloned());
            let mut relayed = plain(status, response.text().await.unwrap_or_default());
            if let Some(kind) = kind {
                relayed.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            relayed
        }
        Err(error) => plain(StatusCode::BAD_GATEWAY, error.to_string()),
    }
}

fn as_it_is(answer: &Answer) -> Result<(StatusCode, Value)> {
    Ok((StatusCode::from_u16(answer.status)?, answer.json()?))
}

async fn answer(made: impl Future<Output = Result<(StatusCode, Value)>>) -> Response<Body> {
    match made.await {
        Ok((status, body)) => {
            let mut response = plain(status, body.to_string());
            let json = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Err(error) => plain(StatusCode::BAD_GATEWAY, format!("{error:#}")),
    }
}

fn plain(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(states: &[&str]) -> Vec<Value> {
        states.iter().map(|state| json!({ "snapshotName": "part", "state": state })).collect()
    }

    #[test]
    fn the_state_is_the_worst_of_the_parts_and_a_missing_part_is_in_progress() {
        for (states, scheduled, expected) in [
            (["SUCCESS", "SUCCESS"], Some(2), "COMPLETED"),
            (["SUCCESS", "SUCCESS"], None, "COMPLETED"),
            (["SUCCESS", "SUCCESS"], Some(3), "IN_PROGRESS"),
            (["SUCCESS", "SUCCESS"], Some(1), "FAILED"),
            (["SUCCESS", "IN_PROGRESS"], Some(2), "IN_PROGRESS"),
            (["PARTIAL", "IN_PROGRESS"], Some(2), "FAILED"),
            (["SUCCESS", "INCOMPATIBLE"], Some(2), "INCOMPATIBLE"),
        ] {
            assert_eq!(aggregate(&parts(&states), scheduled), expected, "{states:?} of {scheduled:?}");
        }
    }
}
