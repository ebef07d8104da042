//! Situations of the search servers: the same on both products.

use serde_json::{Value, json};

use super::{Case, Move, Source, Stage, case, send};
use crate::config::Product;
use crate::host::Host::Search;
use crate::wire::Request;

const SNAPSHOT_MAPS: &[&str] = &["/snapshots/[]/indices"];

pub(super) fn cases() -> Vec<Case> {
    let products =
        [(Source::Elasticsearch8, Product::Elasticsearch), (Source::OpenSearch2, Product::OpenSearch)];
    products
        .into_iter()
        .flat_map(|(source, product)| {
            let on = move |name: &'static str| case(source, Stage::Loaded(product), Search, name);
            let mut all = server(on);
            all.extend(repositories(on));
            all.extend(creating(on));
            all.extend(refusing(on));
            all.extend(reading(on));
            all.extend(progress(on));
            all.extend(deleting(on));
            all
        })
        .collect()
}

fn create(name: &str) -> Move {
    let target = format!("/_snapshot/camunda/{name}?wait_for_completion=true");
    send(Search, "PUT", &target, &json!({"indices": "zeebe-record*", "include_global_state": false}))
}

/// A snapshot of indices of which one has no shard that could be read: without `partial` it would be refused.
fn create_partial(name: &str) -> [Move; 2] {
    let target = format!("/_snapshot/camunda/{name}?wait_for_completion=true");
    let order = json!({"indices": "zeebe-record*", "include_global_state": false, "partial": true});
    [Move::Partial("part"), send(Search, "PUT", &target, &order)]
}

/// A snapshot that is still running.
fn start(name: &str) -> Move {
    let target = format!("/_snapshot/camunda/{name}");
    send(Search, "PUT", &target, &json!({"indices": "zeebe-record*", "include_global_state": false}))
}

fn server(on: impl Fn(&'static str) -> Case) -> Vec<Case> {
    vec![
        on("root"),
        on("cluster-health"),
        on("nodes-local-version").maps(&["/nodes"]),
        on("no-such-api"),
        on("unknown-route"),
        on("wrong-method"),
        on("cat-indices"),
        on("cat-snapshots").after([create("fs_none_sync")]),
        on("flush"),
        on("count-after-restore"),
    ]
}

fn repositories(on: impl Fn(&'static str) -> Case) -> Vec<Case> {
    let gone = || send(Search, "DELETE", "/_snapshot/camunda", &Value::Null);
    let second = json!({"type": "fs", "settings": {"location": "/var/snapshots/ro"}});
    let slow = json!({"type": "fs", "settings": {"location": "/var/snapshots/slow"}});
    let order = json!({"indices": "zeebe-record*"});
    let busy = |name| {
        on(name).after([
            send(Search, "PUT", "/_snapshot/slow", &slow),
            send(Search, "PUT", "/_snapshot/slow/run", &order),
        ])
    };
    vec![
        on("repo-get"),
        on("repo-list"),
        on("repo-list-empty").after([gone()]),
        on("repo-get-missing").after([gone()]),
        on("repo-verify").maps(&["/nodes"]),
        on("repo-verify-missing"),
        on("repo-register"),
        on("repo-register-no-type"),
        on("repo-register-unknown-type"),
        on("repo-delete").after([send(Search, "PUT", "/_snapshot/ro", &second)]),
        on("repo-delete-missing"),
        on("param-master-timeout").after([create("a")]),
        on("param-cluster-manager-timeout").after([create("a")]),
        on("create-param-master-timeout"),
        busy("running-repo-change"),
        busy("running-repo-delete"),
    ]
}

fn creating(on: impl Fn(&'static str) -> Case) -> Vec<Case> {
    vec![
        on("create-async-put"),
        on("create-async-post"),
        on("create-sync"),
        on("create-sync-no-body"),
        on("create-sync-feature-states-none"),
        on("create-sync-full-options").maps(&["/snapshot/metadata"]),
        on("create-no-match-wildcard"),
        on("create-unknown-field"),
        on("create-feature-unknown"),
        on("create-feature-none-plus"),
    ]
}

fn refusing(on: impl Fn(&'static str) -> Case) -> Vec<Case> {
    let readonly = json!({"type": "fs", "settings": {"location": "/var/snapshots/c", "readonly": true}});
    vec![
        on("create-existing-name-done").after([create("c8keep_sync")]),
        on("create-existing-name-done-async").after([create("c8keep_sync")]),
        on("create-missing-repo"),
        on("create-no-match-concrete"),
        on("create-no-match-concrete-async"),
        on("create-bad-name-upper"),
        on("create-bad-name-hash"),
        on("create-bad-name-space"),
        on("create-unknown-param"),
        // The text quotes the parser of that version; the products differ in whether there is a cause below.
        on("create-malformed-json")
            .partial(&["/error"])
            .varies(&["/error/reason", "/error/root_cause/[]/reason"]),
        on("create-readonly-repo").after([send(Search, "PUT", "/_snapshot/ro", &readonly)]),
    ]
}

fn reading(on: impl Fn(&'static str) -> Case) -> Vec<Case> {
    let both = || [create("c8keep_sync"), create("c8keep_async")];
    let full = json!({
        "indices": "zeebe-record*", "include_global_state": true,
        "metadata": {"c8keep": {"backup_id": 17, "by": "c8keep"}},
    });
    vec![
        on("get-after").after([create("c8keep_sync")]),
        on("get-all").after([create("c8keep_sync")]),
        on("get-two").after(both()),
        on("get-wildcard").after(both()),
        on("get-size-order").after([create("c"), create("b"), create("a")]),
        on("get-index-details").after([create("c8keep_sync")]).maps(&["/snapshots/[]/index_details"]),
        on("get-include-repository-false").after([create("c8keep_sync")]),
        on("running-get-all").after([start("run")]).asking("/_snapshot/camunda/_all"),
        on("get-just-started").after([start("c8keep_async")]),
        on("running-current").after([start("run")]).asking("/_snapshot/camunda/_current"),
        on("get-current-none"),
        on("get-missing"),
        on("get-missing-wildcard"),
        on("get-missing-repo"),
        on("get-missing-ignore-unavailable"),
        on("get-one-present-one-missing").after([create("c8keep_sync")]),
        on("get-verbose-false").after([create("c8keep_sync")]),
        on("running-get-verbose-false").after([start("run")]).asking("/_snapshot/camunda/run?verbose=false"),
        on("get-with-metadata").after([
            send(Search, "PUT", "/_snapshot/camunda/c8keep_full", &full),
            Move::Pass { millis: 5_000 },
        ]),
        on("get-partial").after(create_partial("part")),
        on("snapshots-list-empty"),
    ]
}

fn progress(on: impl Fn(&'static str) -> Case) -> Vec<Case> {
    vec![
        on("status-after").after([create("c8keep_sync")]).maps(SNAPSHOT_MAPS),
        on("status-missing"),
        on("status-none-running"),
        on("status-partial").after(create_partial("part")).maps(SNAPSHOT_MAPS),
        on("running-status")
            .after([start("run")])
            .asking("/_snapshot/camunda/run/_status")
            .maps(SNAPSHOT_MAPS),
        on("running-status-all").after([start("run")]).maps(SNAPSHOT_MAPS),
        on("running-create-same-name-sync").after([
            send(Search, "PUT", "/_snapshot/slow", &json!({"type": "fs", "settings": {"location": "/s"}})),
            send(Search, "PUT", "/_snapshot/slow/run", &json!({"indices": "zeebe-record*"})),
        ]),
        {
            let again = json!({"indices": "zeebe-record*", "include_global_state": false});
            let mut same = on("running-create-same-name").after([start("run")]);
            same.request =
                Request::new("PUT", "/_snapshot/camunda/run?wait_for_completion=false").json(&again);
            // The recorded repository has another name.
            same.varies(&["/error/reason", "/error/root_cause/[]/reason"])
        },
    ]
}

fn deleting(on: impl Fn(&'static str) -> Case) -> Vec<Case> {
    vec![
        on("delete").after([create("run2")]).asking("/_snapshot/camunda/run2"),
        on("delete-missing"),
        on("delete-missing-wildcard"),
        on("delete-missing-repo"),
        on("delete-one-present-one-missing").after([create("c8keep_post")]),
        on("delete-wildcard").after([create("fs_none_sync")]),
        on("get-deleted"),
        on("delete-wait-false").after([create("c8keep_array")]),
    ]
}
