//! Installations whose parts are not where one looks first: below context paths, behind one name, or not there at all.

use c8keep_twin::{Config, Contexts, Host};

use crate::theatre::{Ended, Theatre};

fn theatre(version: &str, change: impl FnOnce(&mut Config)) -> Theatre {
    let mut config = Theatre::quick(version);
    (config.brokers, config.replication) = (1, 1);
    change(&mut config);
    Theatre::new(config)
}

/// Names the application port and the brokers, as a file does.
fn with_file(theatre: &mut Theatre) {
    let count = theatre.world().config().brokers;
    let brokers: Vec<String> = (0..count).map(|node| theatre.url(Host::Broker(node))).collect();
    let rest = theatre.url(Host::Rest);
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, format!("brokers: {brokers:?}\nrest: {rest}\n")).unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
}

fn proven(theatre: &Theatre) -> Ended {
    theatre.run(&["doctor"]).expect(0, &["ok    brokers", "ok    leaders", "ok    exporting"]);
    let ended = theatre.run(&["backup", "--require-proof"]).expect(0, &["is complete", "witness   proven"]);
    assert!(!theatre.is_paused(), "{}", ended.said());
    ended
}

/// Helm's `contextPath`: every component below a path of its own, Optimize at the root.
#[test]
fn below_context_paths() {
    let contexts =
        Contexts { cluster: "/zeebe".into(), operate: "/operate".into(), tasklist: "/tasklist".into() };
    for version in ["8.6.0", "8.7.2"] {
        let mut theatre = theatre(version, |config| {
            (config.contexts, config.optimize) = (contexts.clone(), true);
        });
        with_file(&mut theatre);
        proven(&theatre);
        let asked = theatre.asked_in_all();
        for path in ["/zeebe/actuator/backups", "/operate/actuator/backups", "/tasklist/actuator/backups"] {
            assert!(theatre.has_been_asked(&format!("POST {path}")), "{path}: {asked:?}");
        }
        assert!(theatre.has_been_asked("POST /actuator/backups"), "Optimize: {asked:?}");
    }
    let mut theatre = theatre("8.9.0", |config| config.contexts.cluster = "/orchestration".into());
    with_file(&mut theatre);
    proven(&theatre);
    assert!(theatre.has_been_asked("POST /orchestration/actuator/backupHistory"));
}

/// One address is enough below a context path, too.
#[test]
fn one_address_below_a_context_path() {
    let mut theatre = theatre("8.8.0", |config| {
        (config.contexts.cluster, config.optimize) = ("/orchestration".into(), false);
    });
    theatre.unset("ELASTIC_ENDPOINT");
    theatre.unset("ELASTIC_SNAPSHOT_REPOSITORY");
    theatre.run(&["backup"]).expect(0, &["is complete", &theatre.url(Host::Search)]);
}

/// Who forgets the path is told that it belongs to the address.
#[test]
fn a_context_path_that_was_forgotten() {
    let contexts = Contexts { cluster: "/zeebe".into(), operate: "/operate".into(), ..Contexts::default() };
    let mut theatre = theatre("8.6.0", |config| config.contexts = contexts);
    for (variable, host, context) in [
        ("OPERATE_MANAGEMENT_API", Host::Operate, "/operate"),
        ("ORCHESTRATION_CLUSTER_MANAGEMENT_API", Host::Gateway, "/zeebe"),
    ] {
        let whole = theatre.url(host);
        let bare = whole.strip_suffix(context).unwrap().to_owned();
        theatre.set(variable, &bare);
        let words = ["/actuator/info", "HTTP 404", variable, "a context path belongs to the address"];
        theatre.run(&["backup"]).expect(13, &words);
        theatre.set(variable, &whole);
    }
    assert_eq!(theatre.asked(), Vec::<String>::new());
    theatre.run(&["backup"]).expect(0, &["is complete"]);
}

/// A service in front of all gateways answers as another one each time. Where the brokers are named, that costs nothing; where
/// they are not, the proof is partial, and nothing else.
#[test]
fn gateways_behind_one_name() {
    for version in ["8.6.0", "8.8.0"] {
        let mut theatre = theatre(version, |config| {
            (config.brokers, config.partitions, config.replication) = (3, 3, 3);
            config.gateways_in_turn = true;
        });
        let ended = theatre.run(&["backup"]).expect(0, &["is complete", "warning"]);
        assert!(!ended.said().contains("violated"), "{}", ended.said());
        with_file(&mut theatre);
        proven(&theatre);
    }
}

/// Where there is no Optimize, none is asked for, and the backup is complete without it.
#[test]
fn without_optimize() {
    for (version, parts) in [
        ("8.7.2", vec!["operate", "tasklist", "records", "runtime"]),
        ("8.9.0", vec!["history", "records", "runtime"]),
    ] {
        let theatre = theatre(version, |config| config.optimize = false);
        theatre.run(&["plan"]).expect(0, &["no optimize: no index optimize-*, no address"]);
        theatre.run(&["backup"]).expect(0, &["is complete"]);
        let shown = theatre.run(&["show", "-o", "json"]).json();
        let told: Vec<&str> = shown["manifest"]["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["component"].as_str().unwrap())
            .collect();
        assert_eq!(told, parts, "{version}");
    }
}

/// The address of a broker given for Optimize's: the same path means another backup there, and would burn its id.
#[test]
fn a_broker_taken_for_optimize() {
    for (version, code) in [("8.7.2", 2), ("8.8.0", 13)] {
        let mut theatre = theatre(version, |config| config.optimize = true);
        theatre.set("OPTIMIZE_MANAGEMENT_API", &theatre.url(Host::Gateway));
        theatre.run(&["backup"]).expect(code, &["OPTIMIZE_MANAGEMENT_API"]);
        assert_eq!(theatre.asked(), Vec::<String>::new(), "{version}");
    }
}
