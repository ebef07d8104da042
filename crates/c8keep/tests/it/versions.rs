//! One whole backup of every version that c8keep knows, with the program over HTTP; and what the others are told.

use c8keep_twin::{Config, Host, OwnBackups, Product};
use serde_json::Value;

use crate::guard::Guard;
use crate::theatre::{Theatre, ended};

const ID: &str = "1748937221";

/// Every component that this version has, and one broker that is reached at its own address.
fn theatre(version: &str, change: impl FnOnce(&mut Config)) -> Theatre {
    let mut config = Theatre::quick(version);
    (config.brokers, config.replication, config.optimize) = (1, 1, true);
    change(&mut config);
    let mut theatre = Theatre::new(config);
    let (broker, rest) = (theatre.url(Host::Broker(0)), theatre.url(Host::Rest));
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, format!("brokers: [\"{broker}\"]\nrest: \"{rest}\"\n")).unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    theatre
}

/// What a version looks like from outside.
struct Wanted {
    version: &'static str,
    dialect: &'static str,
    /// The parts of a backup in order, with their numbers of snapshots.
    parts: &'static [(&'static str, usize)],
    pause_first: bool,
    /// Whether the restore application is a profile.
    profile: bool,
}

const SPLIT: &[(&str, usize)] =
    &[("operate", 6), ("tasklist", 6), ("optimize", 2), ("records", 1), ("runtime", 0)];

impl Wanted {
    /// Doctor, plan and backup, on both products; then the oracle is asked what a restore would bring back.
    fn is_backed_up(&self) {
        for product in [Product::Elasticsearch, Product::OpenSearch] {
            let theatre = theatre(self.version, |config| {
                (config.search, config.optimize) = (product, self.has_optimize_on(product));
            });
            let told = format!("Camunda {} at", self.version);
            let ready = ["ok    brokers", "ok    leaders", "ok    backup store", "ok    repository", &told];
            theatre.run(&["doctor"]).expect(0, &ready);
            self.is_planned(&theatre);
            // A repository is verified by a POST that leaves nothing behind.
            let changed: Vec<String> =
                theatre.asked().into_iter().filter(|line| !line.contains("/_verify")).collect();
            assert_eq!(changed, Vec::<String>::new(), "doctor and plan only read");
            let arguments = ["backup", "--id", ID, "--require-proof"];
            theatre.run(&arguments).expect(0, &["is complete", "witness   proven"]);
            assert!(!theatre.is_paused(), "{}", self.version);
            self.is_asked_in_order(&theatre);
            self.is_in_the_manifest(&theatre, product);
            self.is_in_the_guide(&theatre);
            let verdict = theatre.world().restore(ID.parse().unwrap());
            assert!(verdict.whole() && verdict.instances_restored > 0, "{}: {verdict}", self.version);
        }
    }

    fn is_planned(&self, theatre: &Theatre) {
        let shown = theatre.run(&["plan", "-o", "json"]).expect(0, &[]).json();
        let steps: Vec<&str> = shown["plan"]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["name"].as_str().unwrap())
            .collect();
        let at = |wanted: &str| steps.iter().position(|step| *step == wanted).unwrap();
        let history = format!("start-{}", self.parts[0].0);
        assert_eq!(at("pause-exporting") < at(&history), self.pause_first, "{}: {steps:?}", self.version);
        assert!(at("snapshot-records") < at("start-runtime"), "{steps:?}");
        assert_eq!(shown["installation"]["dialect"], self.dialect);
    }

    /// What the servers were really asked to do: the pause, every part, the release.
    fn is_asked_in_order(&self, theatre: &Theatre) {
        let asked = theatre.asked();
        let at = |start: &str| {
            let found = asked.iter().position(|line| line.starts_with(start));
            found.unwrap_or_else(|| panic!("{start} was not asked for: {asked:?}"))
        };
        let [history, runtime] = if self.pause_first {
            ["POST /actuator/backupHistory", "POST /actuator/backupRuntime"]
        } else {
            ["POST /actuator/backups"; 2]
        };
        let pause = at("POST /actuator/exporting/pause?soft=true");
        assert_eq!(pause < at(history), self.pause_first, "{asked:?}");
        let last = asked.iter().rposition(|line| line.starts_with(runtime)).unwrap();
        let records = at("PUT /_snapshot/camunda/camunda_zeebe_records_backup_");
        assert!(pause < records && records < last, "{asked:?}");
        assert!(asked.last().unwrap().starts_with("POST /actuator/exporting/resume"), "{asked:?}");
        let foreign = if self.pause_first { "/actuator/backups/" } else { "/actuator/backupRuntime" };
        let optimize = "/actuator/backups/1748937221";
        let strays: Vec<String> = theatre
            .asked_in_all()
            .into_iter()
            .filter(|line| line.contains(foreign) && !line.contains(optimize))
            .collect();
        assert_eq!(strays, Vec::<String>::new(), "the other dialect's addresses");
    }

    /// Optimize of 8.5 cannot be backed up on OpenSearch.
    fn has_optimize_on(&self, product: Product) -> bool {
        product == Product::Elasticsearch || !self.version.starts_with("8.5.")
    }

    fn is_in_the_manifest(&self, theatre: &Theatre, product: Product) {
        let manifest = manifest(theatre);
        let versions = &manifest["versions"];
        assert_eq!(
            (&versions["camunda"], &versions["dialect"]),
            (&self.version.into(), &self.dialect.into())
        );
        let parts = manifest["parts"].as_array().unwrap();
        let told: Vec<(&str, usize)> = parts
            .iter()
            .map(|part| {
                let snapshots = part["snapshots"].as_array().map_or(0, Vec::len);
                (part["component"].as_str().unwrap(), snapshots)
            })
            .collect();
        let has = |part: &str| part != "optimize" || self.has_optimize_on(product);
        let wanted: Vec<(&str, usize)> = self.parts.iter().copied().filter(|(part, _)| has(part)).collect();
        assert_eq!(told, wanted);
        let own = parts.iter().filter(|part| part["component"] != "records");
        for snapshot in own.filter_map(|part| part["snapshots"].as_array()).flatten() {
            let name = snapshot["name"].as_str().unwrap();
            assert!(name.contains(&format!("_{ID}_{}_part_", self.version)), "{name}");
            assert_eq!(snapshot["state"], "SUCCESS", "{name}");
        }
        for partition in parts.last().unwrap()["partitions"].as_array().unwrap() {
            assert_eq!(
                (&partition["state"], &partition["broker_version"]),
                (&"COMPLETED".into(), &self.version.into())
            );
        }
        assert_eq!(manifest["store"]["kind"], "S3", "{}", manifest["store"]);
        assert_eq!(manifest["witness"]["verdict"]["kind"], "proven");
        let fingerprint = manifest["fingerprint"].as_str().unwrap();
        let by_cluster_id = fingerprint.contains(" (");
        assert_eq!(by_cluster_id, self.version >= "8.9", "a cluster id from 8.9 on: {fingerprint}");
        assert!(fingerprint.contains("/zeebe-record"), "and always the place of the data: {fingerprint}");
    }

    fn is_in_the_guide(&self, theatre: &Theatre) {
        let guide = std::fs::read_to_string(folder(theatre).join("RESTORE.md")).unwrap();
        assert!(guide.contains(&format!("Install exactly Camunda {}", self.version)), "{guide}");
        assert!(guide.contains(&format!("bin/restore --backupId={ID}")), "{guide}");
        assert_eq!(guide.contains("SPRING_PROFILES_ACTIVE=restore bin/restore"), self.profile, "{guide}");
    }
}

fn folder(theatre: &Theatre) -> std::path::PathBuf {
    theatre.home().join(".local/share/c8keep/vault/default/backups").join(ID)
}

fn manifest(theatre: &Theatre) -> Value {
    serde_json::from_slice(&std::fs::read(folder(theatre).join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn camunda_8_5() {
    let dialect = "split-actuators";
    Wanted { version: "8.5.8", dialect, parts: SPLIT, pause_first: false, profile: false }.is_backed_up();
}

#[test]
fn camunda_8_6() {
    let dialect = "split-actuators";
    Wanted { version: "8.6.0", dialect, parts: SPLIT, pause_first: false, profile: false }.is_backed_up();
}

#[test]
fn camunda_8_7() {
    let dialect = "split-actuators";
    Wanted { version: "8.7.2", dialect, parts: SPLIT, pause_first: false, profile: true }.is_backed_up();
}

#[test]
fn camunda_8_8() {
    let (dialect, parts) =
        ("unified-actuators", &[("history", 5), ("optimize", 2), ("records", 1), ("runtime", 0)]);
    Wanted { version: "8.8.0", dialect, parts, pause_first: true, profile: true }.is_backed_up();
}

#[test]
fn camunda_8_9() {
    let (dialect, parts) =
        ("unified-actuators", &[("history", 7), ("optimize", 2), ("records", 1), ("runtime", 0)]);
    Wanted { version: "8.9.0", dialect, parts, pause_first: true, profile: true }.is_backed_up();
}

/// What c8keep does not know it does not touch, and says so by day as well: 8.10 speaks REST, 8.5.0 has no soft pause.
#[test]
fn others_are_refused_before_anything_is_asked_of_them() {
    for (version, why) in [
        ("8.4.9", "which knows 8.5 to 8.9"),
        ("8.5.0", "no soft pause; it came with 8.5.1"),
        ("8.10.0", "which knows 8.5 to 8.9"),
        ("8.10.0-alpha5", "which knows 8.5 to 8.9"),
        ("9.0.0", "which knows 8.5 to 8.9"),
    ] {
        let theatre = theatre(version, |_| {});
        let told = format!("Camunda {version} ");
        for verb in ["doctor", "plan", "backup"] {
            let ended = theatre.run(&[verb]);
            ended.expect(10, &[&told, why, "nothing was paused", "upgrade c8keep", "Create a backup"]);
        }
        assert_eq!(theatre.asked(), Vec::<String>::new(), "{version}");
    }
}

/// 8.9 that takes backups by itself would refuse our id inside the pause. 8.8 has no such settings.
#[test]
fn a_cluster_that_makes_its_own_ids_is_refused() {
    for (own, property) in [
        (OwnBackups { continuous: true, ..OwnBackups::default() }, "backup.continuous is set"),
        (OwnBackups { schedule: Some("PT1H".into()), ..OwnBackups::default() }, "backup.schedule is set"),
        (
            OwnBackups { checkpoint_interval: Some("PT15M".into()), ..OwnBackups::default() },
            "backup.checkpoint-interval is set",
        ),
    ] {
        let theatre = theatre("8.9.2", |config| config.own_backups = own);
        for verb in ["doctor", "plan", "backup"] {
            theatre.run(&[verb]).expect(10, &[property, "switch continuous backups"]);
        }
        assert_eq!(changed(&theatre), Vec::<String>::new(), "{property}");
    }
}

/// What was asked for that may have changed something: a doctor has the nodes look at the repository, which changes nothing.
fn changed(theatre: &Theatre) -> Vec<String> {
    theatre.asked().into_iter().filter(|line| !line.contains("/_verify")).collect()
}

/// The documents of 8.5 say that its Optimize cannot be backed up on OpenSearch: that is told by day.
#[test]
fn optimize_8_5_on_opensearch_is_refused() {
    let mut theatre = theatre("8.5.8", |config| config.search = Product::OpenSearch);
    for verb in ["doctor", "plan", "backup"] {
        theatre
            .run(&[verb])
            .expect(10, &["cannot be backed up on OpenSearch", "`optimize: {enabled: false}`"]);
    }
    assert_eq!(changed(&theatre), Vec::<String>::new());
    let file = theatre.home().join("without.yaml");
    std::fs::write(&file, "optimize: {enabled: false}\n").unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    theatre.run(&["backup"]).expect(0, &["not in it optimize"]);
}

/// From 8.9 on a backup that somebody deletes while it is taken says DELETED: lost at once, not waited for.
#[test]
fn a_backup_that_is_deleted_while_it_is_taken() {
    let theatre = theatre("8.9.0", |config| config.durations.runtime = 60_000);
    let child = theatre.start(&["backup", "--id", ID, "--stall", "10s"]);
    let one = format!("/actuator/backupRuntime/{ID}");
    theatre.until("the brokers take it", |theatre| theatre.by_hand(Host::Gateway, "GET", &one) == 200);
    assert_eq!(theatre.by_hand(Host::Gateway, "DELETE", &one), 204);
    let ended = ended(child.wait_with_output().unwrap());
    let words = ["await-runtime", "DELETED", "exporting runs again", "do not use id 1748937221 again"];
    let ended = ended.expect(1, &words);
    assert!(!ended.said().contains("nothing has moved"), "it was waited for: {}", ended.said());
    assert!(!theatre.is_paused());
}

/// An 8.9 whose web applications write into a relational database: they have no backup of their own.
#[test]
fn a_relational_secondary_storage_is_refused() {
    let mut theatre = theatre("8.9.0", |_| {});
    let links = serde_json::json!({"_links": {"backupRuntime": {}, "exporting": {}, "cluster": {}}});
    let guard = Guard::before(&theatre.url(Host::Gateway), move |request| {
        request.starts_with("GET /actuator HTTP").then(|| (200, links.to_string()))
    });
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &guard.url());
    for verb in ["doctor", "plan", "backup"] {
        theatre.run(&[verb]).expect(10, &["backupHistory is missing", "a relational one is not backed up"]);
    }
    assert_eq!(changed(&theatre), Vec::<String>::new());
}

/// An endpoint that its version has and does not show is another matter than an unknown version.
#[test]
fn an_endpoint_that_is_not_exposed() {
    let mut theatre = theatre("8.8.0", |_| {});
    let links = serde_json::json!({"_links": {"backupHistory": {}, "exporting": {}, "cluster": {}}});
    let guard = Guard::before(&theatre.url(Host::Gateway), move |request| {
        request.starts_with("GET /actuator HTTP").then(|| (200, links.to_string()))
    });
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &guard.url());
    let words = ["should have the endpoint backupRuntime", "management.endpoints.web.exposure.include"];
    let ended = theatre.run(&["backup"]).expect(10, &words);
    assert!(!ended.said().contains("upgrade c8keep"), "{}", ended.said());
    assert_eq!(theatre.asked(), Vec::<String>::new());
}
