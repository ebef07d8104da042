//! Every recipe's plan, drawn as text: what an operator reads is what is under test.

use super::*;
use crate::backup::{BackupId, HistoryApp};
use crate::capability::Dialect;
use crate::database::{DatabaseTarget, DumpMode};
use crate::installation::{
    AppAddress, BrokerAddress, Fingerprint, Installation, Records, SearchAddress, SearchProduct,
};
use crate::plan::Action;

pub(crate) fn installation(
    dialect: Dialect,
    product: SearchProduct,
    apps: &[HistoryApp],
    records: bool,
) -> Installation {
    let app = |app: &HistoryApp| AppAddress {
        app: *app,
        address: format!("http://{app}:9600"),
        repository: Some("camunda".into()),
        index_prefix: None,
        required: true,
    };
    Installation {
        name: "default".into(),
        fingerprint: Fingerprint::told(None, "uuid", "zeebe-record"),
        version: match dialect {
            Dialect::SplitActuators => "8.6.0".parse().unwrap(),
            Dialect::UnifiedActuators => "8.8.0".parse().unwrap(),
        },
        dialect,
        management: "http://localhost:9600".into(),
        brokers: vec![BrokerAddress {
            node: Some(0),
            address: "http://localhost:9600".into(),
            reached: true,
        }],
        apps: apps.iter().map(app).collect(),
        search: SearchAddress {
            product,
            version: "8.16.6".into(),
            address: "http://localhost:9200".into(),
            cluster_uuid: "uuid".into(),
        },
        repository: "camunda".into(),
        records: if records {
            Records::Prefix { prefix: "zeebe-record".into() }
        } else {
            Records::Excluded { reason: "no exporter writes records".into() }
        },
        databases: Vec::new(),
        foreign_indices: Vec::new(),
        not_covered: Vec::new(),
    }
}

pub(crate) fn plan(installation: &Installation) -> crate::plan::Plan {
    backup(installation, &Request::new(BackupId::new(1_748_937_221).unwrap())).unwrap()
}

#[test]
fn every_recipe_is_drawn() {
    use HistoryApp::{Operate, Optimize, Tasklist, Webapps};
    let split: [(&str, &[HistoryApp]); 5] = [
        ("operate-tasklist-optimize", &[Operate, Tasklist, Optimize]),
        ("operate-tasklist", &[Operate, Tasklist]),
        ("operate-optimize", &[Operate, Optimize]),
        ("operate", &[Operate]),
        ("brokers-only", &[]),
    ];
    let unified: [(&str, &[HistoryApp]); 2] =
        [("webapps-optimize", &[Webapps, Optimize]), ("webapps", &[Webapps])];
    for product in [SearchProduct::Elasticsearch, SearchProduct::Opensearch] {
        for records in [true, false] {
            let with = if records { "" } else { "-without-records" };
            for (apps, (dialect, name)) in split
                .iter()
                .map(|(name, apps)| (apps, (Dialect::SplitActuators, name)))
                .chain(unified.iter().map(|(name, apps)| (apps, (Dialect::UnifiedActuators, name))))
            {
                let plan = plan(&installation(dialect, product, apps, records));
                let version = if dialect == Dialect::SplitActuators { "split" } else { "unified" };
                // The products differ in what is sent, never in what is planned: one drawing serves both.
                insta::assert_snapshot!(format!("{version}-{name}{with}"), plan.to_string());
            }
        }
    }
}

/// With Web Modeler's database, and a whole server without which a backup may do.
pub(crate) fn with_databases(dialect: Dialect) -> Installation {
    let apps: &[HistoryApp] = match dialect {
        Dialect::SplitActuators => &[HistoryApp::Operate],
        Dialect::UnifiedActuators => &[HistoryApp::Webapps, HistoryApp::Optimize],
    };
    let target = |name: &str, mode, required| DatabaseTarget {
        name: name.parse().unwrap(),
        mode,
        address: "db:5432/modeler".into(),
        required,
    };
    let databases =
        vec![target("web-modeler", DumpMode::Database, true), target("rest", DumpMode::Dumpall, false)];
    Installation { databases, ..installation(dialect, SearchProduct::Elasticsearch, apps, true) }
}

#[test]
fn databases_are_dumped_beside_the_window() {
    for (name, dialect) in [("split", Dialect::SplitActuators), ("unified", Dialect::UnifiedActuators)] {
        insta::assert_snapshot!(format!("{name}-databases"), plan(&with_databases(dialect)).to_string());
    }
}

/// What waits for an optional check is lost with it, so nothing waits for it but its own dump: no other database, and no
/// application.
#[test]
fn an_optional_database_costs_no_other() {
    for dialect in [Dialect::SplitActuators, Dialect::UnifiedActuators] {
        let mut installation = with_databases(dialect);
        installation.databases[0].required = false;
        let plan = plan(&installation);
        for database in ["web-modeler", "rest"] {
            let check = format!("check-database-{database}");
            let waits = plan.steps().iter().filter(|step| step.after.contains(&check.as_str().into()));
            let waits: Vec<&str> = waits.map(|step| step.name.0.as_str()).collect();
            assert_eq!(waits, [format!("dump-{database}")], "{dialect}");
        }
    }
}

/// Checks may take minutes. A pause that somebody makes meanwhile must not be taken for ours.
#[test]
fn the_last_look_at_exporting_is_the_last_before_the_pause() {
    for (dialect, slow) in [
        (Dialect::SplitActuators, "await-operate"),
        (Dialect::UnifiedActuators, "check-database-web-modeler"),
    ] {
        let plan = plan(&with_databases(dialect));
        let last = plan.steps().iter().rfind(|step| step.action == Action::CheckExporting).unwrap();
        assert!(last.after.contains(&slow.into()), "{dialect}: {last:?}");
        let pause = plan.step(&names::PAUSE.into()).unwrap();
        assert!(pause.after.contains(&last.name), "{dialect}: {pause:?}");
    }
}

pub(crate) fn with_optional_optimize() -> Installation {
    let apps = [HistoryApp::Webapps, HistoryApp::Optimize];
    let mut installation = installation(Dialect::UnifiedActuators, SearchProduct::Elasticsearch, &apps, true);
    installation.apps[1].required = false;
    installation
}

#[test]
fn an_optional_application_makes_optional_steps() {
    let plan = plan(&with_optional_optimize());
    let optional: Vec<&str> =
        plan.steps().iter().filter(|s| !s.required).map(|s| s.name.0.as_str()).collect();
    assert_eq!(optional, ["start-optimize", "await-optimize"]);
}
