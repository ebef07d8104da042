//! Situations of brokers of 8.6.

use serde_json::{Value, json};

use super::{Case, Move, Source, Stage, case, send};
use crate::config::Product::Elasticsearch;
use crate::host::Host;
use crate::wire::Request;

const HOST: Host = Host::Broker(0);
const LOADED: Stage = Stage::Loaded(Elasticsearch);

fn on(stage: Stage, name: &'static str) -> Case {
    case(Source::Camunda86, stage, HOST, name)
}

fn backup(id: u64) -> Move {
    send(HOST, "POST", "/actuator/backups", &json!({ "backupId": id }))
}

fn until(id: u64, state: &str) -> Move {
    let request = Request::get(&format!("/actuator/backups/{id}"));
    Move::Until(HOST, request, 200, Some(("/state", json!(state))))
}

fn exporting(operation: &str) -> Move {
    send(HOST, "POST", &format!("/actuator/exporting/{operation}"), &Value::Null)
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = backups();
    all.extend(pauses());
    all.extend(three_brokers());
    all.extend(description());
    all
}

fn backups() -> Vec<Case> {
    vec![
        on(LOADED, "zeebe/backup-create"),
        on(LOADED, "zeebe/backup-create-empty"),
        on(LOADED, "zeebe/backup-create-lower").after([backup(10)]),
        on(LOADED, "zeebe/backup-create-negative"),
        on(LOADED, "zeebe/backup-create-same").after([backup(10)]),
        on(LOADED, "zeebe/backup-create-string"),
        on(LOADED, "zeebe/backup-delete-missing"),
        on(LOADED, "zeebe/backup-get-404").after([backup(10)]),
        on(LOADED, "zeebe/backup-get-IN_PROGRESS")
            .after([backup(10), until(10, "IN_PROGRESS")])
            // Which partition ends first is chance.
            .varies(&["/details/[]/state"]),
        on(LOADED, "zeebe/backup-get-COMPLETED").after([backup(10), until(10, "COMPLETED")]),
        on(LOADED, "zeebe/backup-get-missing").after([backup(10)]),
        on(LOADED, "zeebe/backup-history-404"),
        on(LOADED, "zeebe/backup-runtime-404"),
        on(LOADED, "zeebe/backups-list").after([backup(10), until(10, "COMPLETED")]),
        on(LOADED, "zeebe/backups-list-empty"),
        on(LOADED, "zeebe/delete-completed").after([backup(100), until(100, "COMPLETED")]),
        on(LOADED, "zeebe/get-after-broker-kill").after([
            backup(300),
            until(300, "IN_PROGRESS"),
            Move::BrokerDown(0),
            Move::BrokerUp(0),
        ]),
        on(Stage::NoSnapshotYet, "zeebe-store-gcs/create"),
        on(Stage::NoSnapshotYet, "zeebe-store-gcs/get").after([backup(7), until(7, "COMPLETED")]),
        on(Stage::NoSnapshotYet, "zeebe-store-gcs/list").after([backup(7), until(7, "COMPLETED")]),
    ]
}

fn pauses() -> Vec<Case> {
    vec![
        on(LOADED, "zeebe/pause-soft"),
        on(LOADED, "zeebe/pause-soft-again").after([exporting("pause?soft=true")]),
        on(LOADED, "zeebe/pause-hard"),
        on(LOADED, "zeebe/pause-soft-after-hard").after([exporting("pause")]),
        on(LOADED, "zeebe/resume").after([exporting("pause?soft=true")]),
        on(LOADED, "zeebe/resume-when-not-paused"),
        on(LOADED, "zeebe/exporting-bad-op"),
        on(LOADED, "zeebe/exporting-get"),
        on(Stage::Fresh, "zeebe/partitions-fresh"),
        on(LOADED, "zeebe/partitions-soft-paused").after([exporting("pause?soft=true")]),
        on(LOADED, "zeebe/partitions-resumed").after([exporting("pause?soft=true"), exporting("resume")]),
        on(LOADED, "under-load/partitions-paused")
            .after([exporting("pause?soft=true"), Move::Pass { millis: 5_000 }]),
        on(LOADED, "under-load/partitions-resumed")
            .after([exporting("pause?soft=true"), exporting("resume")]),
    ]
}

fn three_brokers() -> Vec<Case> {
    /// Longer than the membership takes to notice.
    const NOTICED: Move = Move::Pass { millis: 15_000 };
    const TEXT: &[&str] = &["/body/message", "/body/localizedMessage"];
    let three = |name| on(Stage::ThreeBrokers, name);
    vec![
        three("three-brokers/pause-all-up"),
        three("three-brokers/resume-all-up").after([exporting("pause?soft=true")]),
        // Leaders and channel numbers in the messages are chance; so is which layer of the messaging notices first.
        three("three-brokers/pause-one-down-at-once").after([Move::BrokerDown(2)]).varies(&[
            "/body/message",
            "/body/localizedMessage",
            "/body/stackTrace/[]/className",
            "/body/stackTrace/[]/methodName",
        ]),
        three("three-brokers/pause-one-down").after([Move::BrokerDown(2), NOTICED]).varies(TEXT),
        // The broker that is down may stay so for these.
        three("three-brokers/backup-one-down").after([Move::BrokerDown(2), NOTICED]),
        // Who leads what, and which broker stands first, is chance.
        Case { host: Host::Rest, ..three("three-brokers/topology-one-down") }
            .after([Move::BrokerDown(2), NOTICED])
            .varies(&["/brokers/[]/partitions/[]/role"]),
        three("three-brokers/resume-one-down")
            .after([exporting("pause?soft=true"), Move::BrokerDown(2), NOTICED])
            .varies(TEXT),
        three("three-brokers/resume-back").after([
            exporting("pause?soft=true"),
            Move::BrokerDown(2),
            NOTICED,
            Move::BrokerUp(2),
        ]),
        three("three-brokers/backup-after-leader-killed").after([
            exporting("pause?soft=true"),
            Move::BrokerDown(1),
            NOTICED,
        ]),
    ]
}

fn description() -> Vec<Case> {
    /// Exporters have names, those of the two search products differ, and which settings are given is each
    /// installation's own affair.
    const EXPORTERS: &[&str] = &[
        "/contexts/application/beans/zeebe.broker-io.camunda.application.commons.configuration.BrokerBasedConfiguration$BrokerBasedProperties/properties/exporters",
        "/contexts/application/beans/zeebe.broker-io.camunda.application.commons.configuration.BrokerBasedConfiguration$BrokerBasedProperties/properties/exporters/*/args",
        "/contexts/application/beans/zeebe.broker-io.camunda.application.commons.configuration.BrokerBasedConfiguration$BrokerBasedProperties/properties/exporters/*/args/*",
    ];
    let three = |name| on(Stage::ThreeBrokers, name);
    vec![
        three("self-description/broker-cluster"),
        // The class is the search product's; the twin's is held to both by a test of its own.
        three("self-description/broker-configprops").partial(&["/contexts"]).maps(EXPORTERS).varies(&[
            "/contexts/application/beans/zeebe.broker-io.camunda.application.commons.configuration.BrokerBasedConfiguration$BrokerBasedProperties/properties/exporters/*/className",
        ]),
        three("self-description/broker-exporters"),
        three("self-description/broker-health"),
        three("self-description/broker-info"),
        three("self-description/broker-links"),
        Case { host: Host::Rest, ..three("self-description/broker-topology") }
            .varies(&["/brokers/[]/partitions/[]/role"]),
    ]
}
