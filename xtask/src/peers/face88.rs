//! The face of an 8.8 installation before the real 8.6 servers: one `backupHistory` in place of Operate's and
//! Tasklist's backups, `backupRuntime` in place of the gateway's `backups`. Positions, runtime backups and every other
//! endpoint are the real ones; the parts that Operate and Tasklist took are cloned inside the repository under the
//! names that 8.8 gives them, so what is told is there. What 8.8 answers is in `camunda/camunda` of that version.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
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
    repository: String,
    scheduled: Mutex<BTreeMap<u64, Vec<Part>>>,
}

/// A part as the 8.6 server took it, and under its 8.8 name.
#[derive(Debug, Clone)]
struct Part {
    taken: String,
    shown: String,
    cloned: bool,
}

type Behinds = State<Arc<Behind>>;

impl Face88 {
    /// `broker` and `apps` are management addresses, the apps' in the order in which they are backed up; `repository`
    /// is the address of the snapshot repository.
    pub async fn before(broker: String, apps: Vec<String>, repository: String) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (face, scheduled) = (format!("http://{address}"), Mutex::default());
        let behind = Behind { face, broker, apps, repository, scheduled };
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
        let mut taken = Vec::new();
        for app in &behind.apps {
            let created = http::post(&format!("{app}/actuator/backups"), Some(&body)).await?;
            if !created.is_good() {
                return as_it_is(&created);
            }
            let scheduled = created.json()?["scheduledSnapshots"].as_array().cloned().unwrap_or_default();
            taken.extend(scheduled.iter().filter_map(|name| Some(name.as_str()?.to_owned())));
        }
        let id = body["backupId"].as_u64().context("an id that the servers took and is no number")?;
        let of = taken.len();
        let part = |(index, taken)| {
            let shown = format!("camunda_webapps_{id}_{VERSION}_part_{}_of_{of}", index + 1);
            Part { taken, shown, cloned: false }
        };
        let parts: Vec<Part> = taken.into_iter().enumerate().map(part).collect();
        let shown: Vec<String> = parts.iter().map(|part| part.shown.clone()).collect();
        behind.scheduled.lock().await.insert(id, parts);
        // 200, although the OpenAPI file of 8.8 says 202.
        Ok((StatusCode::OK, json!({ "scheduledSnapshots": shown })))
    })
    .await
}

async fn history_get(State(behind): Behinds, Path(id): Path<u64>) -> Response<Body> {
    answer(async {
        let mut scheduled = behind.scheduled.lock().await;
        let status = match scheduled.get_mut(&id) {
            Some(parts) => history_status(&behind, id, parts).await?,
            None => None,
        };
        Ok(status.map_or_else(
            || {
                let message = format!("No backup with id [{id}] found.");
                let body =
                    json!({ "status": 404, "message": message, "type": "Requested resource not found" });
                (StatusCode::NOT_FOUND, body)
            },
            |status| (StatusCode::OK, status),
        ))
    })
    .await
}

/// `None` before the first part is there.
async fn history_status(behind: &Behind, id: u64, parts: &mut [Part]) -> Result<Option<Value>> {
    let mut details = Vec::new();
    for app in &behind.apps {
        // Between the parts 8.6 answers with errors; 8.8 does not, and neither does its face.
        let state = http::get(&format!("{app}/actuator/backups/{id}")).await?;
        if state.is_good() {
            details.extend(state.json()?["details"].as_array().cloned().unwrap_or_default());
        }
    }
    for detail in &mut details {
        let part = parts.iter_mut().find(|part| detail["snapshotName"] == part.taken.as_str());
        let part = part.context("a part that nobody scheduled")?;
        if detail["state"] == "SUCCESS" && !part.cloned {
            part.cloned = clone(&behind.repository, part).await?;
        }
        detail["snapshotName"] = part.shown.as_str().into();
        if detail["state"] == "SUCCESS" && !part.cloned {
            detail["state"] = "IN_PROGRESS".into();
        }
    }
    if details.is_empty() {
        return Ok(None);
    }
    let state = aggregate(&details, parts.len());
    Ok(Some(json!({ "backupId": id, "state": state, "failureReason": null, "details": details })))
}

/// Clones a part inside the repository under its 8.8 name; says whether that is done. A part without any index cannot
/// be cloned: an empty snapshot takes its place.
async fn clone(repository: &str, part: &Part) -> Result<bool> {
    let shown = format!("{repository}/{}", part.shown);
    if http::get(&shown).await?.status == 404 {
        let taken = http::get(&format!("{repository}/{}", part.taken)).await?.good()?.json()?;
        let is_empty = taken["snapshots"][0]["indices"].as_array().is_none_or(Vec::is_empty);
        if is_empty {
            let nothing = json!({ "indices": "nothing-*", "include_global_state": false });
            http::put(&format!("{shown}?wait_for_completion=true"), &nothing).await?.good()?;
        } else {
            let url = format!("{repository}/{}/_clone/{}", part.taken, part.shown);
            http::put(&url, &json!({ "indices": "*" })).await?.good()?;
        }
    }
    Ok(http::get(&shown).await?.good()?.json()?["snapshots"][0]["state"] == "SUCCESS")
}

/// As 8.8 does: a part that is still to come leaves the backup in progress for five minutes; the face does not
/// outlive these.
fn aggregate(details: &[Value], scheduled: usize) -> &'static str {
    let any = |state: &str| details.iter().any(|part| part["state"] == state);
    if any("FAILED") || any("PARTIAL") {
        "FAILED"
    } else if any("INCOMPATIBLE") {
        "INCOMPATIBLE"
    } else if any("IN_PROGRESS") || details.len() < scheduled {
        "IN_PROGRESS"
    } else if details.len() > scheduled {
        "FAILED"
    } else {
        "COMPLETED"
    }
}

async fn history_list(State(behind): Behinds) -> Response<Body> {
    answer(async {
        let mut list = Vec::new();
        for (id, parts) in behind.scheduled.lock().await.iter_mut().rev() {
            list.extend(history_status(&behind, *id, parts).await?);
        }
        Ok((StatusCode::OK, list.into()))
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
            (["SUCCESS", "SUCCESS"], 2, "COMPLETED"),
            (["SUCCESS", "SUCCESS"], 3, "IN_PROGRESS"),
            (["SUCCESS", "SUCCESS"], 1, "FAILED"),
            (["SUCCESS", "IN_PROGRESS"], 2, "IN_PROGRESS"),
            (["PARTIAL", "IN_PROGRESS"], 2, "FAILED"),
            (["SUCCESS", "INCOMPATIBLE"], 2, "INCOMPATIBLE"),
        ] {
            assert_eq!(aggregate(&parts(&states), scheduled), expected, "{states:?} of {scheduled}");
        }
    }
}
