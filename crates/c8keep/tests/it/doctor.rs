//! `doctor`: every prerequisite, one line each.

use c8keep_twin::{Config, Host};

use crate::theatre::Theatre;

fn theatre() -> Theatre {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    let broker = theatre.url(Host::Broker(0));
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, format!("brokers: [\"{broker}\"]\nrest: \"{}\"\n", theatre.url(Host::Rest)))
        .unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    theatre
}

#[test]
fn a_healthy_installation_wants_its_first_backup_and_then_nothing() {
    let theatre = theatre();
    theatre.run(&["doctor"]).expect(0, &["ok    vault", "WARN  last backup", "1 to look into"]);
    theatre.run(&["backup"]).expect(0, &[]);
    let ended = theatre.run(&["doctor"]);
    for subject in [
        "brokers",
        "leaders",
        "exporting",
        "backup store",
        "repository",
        "indices",
        "ids",
        "disk",
        "clock",
        "runs",
    ] {
        assert!(ended.said().contains(&format!("ok    {subject}")), "{subject}: {}", ended.said());
    }
    ended.expect(0, &["ok    last backup", "witness proven", "ok    hold budget", "a backup can be taken\n"]);
}

#[test]
fn it_says_what_is_wrong_and_what_to_do() {
    let theatre = theatre();
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.world().faults.disk_free = Some(6_000_000_000);
    theatre.world().faults.clocks_ahead = 90;
    let ended = theatre.run(&["doctor"]);
    ended.expect(
        10,
        &[
            "BAD   exporting",
            "resume-exporting --yes",
            "WARN  disk",
            "6.0 GB free, and it stops below 2.1 GB",
            "WARN  clock",
            "same time server",
            "a backup cannot be taken: 1 to mend",
        ],
    );
    assert!(theatre.is_paused(), "it lets everything as it is");
}

#[test]
fn a_disk_without_room_for_a_pause_is_no_place_for_one() {
    let theatre = theatre();
    theatre.world().faults.disk_free = Some(3_000_000_000);
    theatre.run(&["doctor"]).expect(10, &["BAD   disk", "give the broker more space"]);
    theatre.run(&["backup"]).expect(10, &["3.0 GB free", "stops below 2.1 GB"]);
    assert!(!theatre.is_paused());
}

/// One port-forward reaches one broker: enough for a backup, and no reason to refuse one.
#[test]
fn a_single_port_is_enough() {
    let mut config: Config = Theatre::quick("8.8.0");
    config.brokers = 3;
    config.partitions = 3;
    let theatre = Theatre::new(config);
    theatre.run(&["doctor"]).expect(0, &["WARN  leaders", "set `brokers`"]);
    theatre.run(&["backup"]).expect(0, &[]);
}

#[test]
fn a_wrong_answer_does_not_hide_the_others() {
    let mut config: Config = Theatre::quick("8.6.0");
    config.store = None;
    let theatre = Theatre::new(config);
    let checks = theatre.run(&["doctor", "-o", "json"]).json();
    let verdict = |subject: &str| {
        let check = checks.as_array().unwrap().iter().find(|check| check["subject"] == subject).unwrap();
        check["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("backup store"), "bad");
    assert_eq!(verdict("repository"), "ok");
    assert_eq!(verdict("vault"), "ok");
}
