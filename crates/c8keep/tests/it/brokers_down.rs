//! A broker that goes down inside a run: before the pause, and before the release.

use crate::theatre::{Ended, Theatre, ended};
use c8keep_twin::{Config, Host};

fn three(change: impl Fn(&mut Config)) -> Theatre {
    let mut config = Theatre::quick("8.6.0");
    (config.brokers, config.partitions, config.replication) = (3, 3, 3);
    change(&mut config);
    let mut theatre = Theatre::new(config);
    let file = theatre.home().join("c8keep.yaml");
    let brokers: Vec<String> = (0..3).map(|node| theatre.url(Host::Broker(node))).collect();
    std::fs::write(&file, format!("rest: {}\nbrokers: {brokers:?}\n", theatre.url(Host::Rest))).unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    theatre
}

/// Takes a backup in which broker 2 goes down as soon as this was asked for.
fn down_after(theatre: &Theatre, line: &str, and_then: impl Fn(&Theatre)) -> Ended {
    let child = theatre.start(&["backup", "--id", "1000"]);
    theatre.until(line, |theatre| theatre.has_been_asked(line));
    theatre.world().disturb(jiff::Timestamp::now(), |faults| {
        faults.brokers_down.insert(2);
    });
    and_then(theatre);
    ended(child.wait_with_output().unwrap())
}

/// The last look before the pause finds it.
#[test]
fn before_the_pause() {
    let theatre = three(|config| config.durations.history_parts = vec![400]);
    let ended = down_after(&theatre, "POST /actuator/backups", |_| ());
    let words =
        ["failed at ", "2 of 3 brokers are up; missing: broker 2", "exporting was not touched", "  next "];
    let ended = ended.expect(10, &words);
    assert!(!theatre.is_paused() && !theatre.has_been_asked("POST /actuator/exporting/"), "{}", ended.said());
    theatre.run(&["status"]).expect(0, &["exporting     runs"]);
}

/// Nothing resumes while a broker is missing; it is asked again until it is back.
#[test]
fn before_the_release() {
    let theatre = three(|config| config.durations.records = 1_500);
    let ended = down_after(&theatre, "PUT /_snapshot/camunda/camunda_zeebe", |theatre| {
        theatre.until("exporting is to be resumed", |t| t.has_been_asked("POST /actuator/exporting/resume"));
        theatre.world().disturb(jiff::Timestamp::now(), |faults| faults.brokers_down.clear());
    });
    let words = [
        "attempt 1 failed and will be made again: resuming exporting",
        "broker 2",
        "is complete",
        "witness   proven",
    ];
    let ended = ended.expect(0, &words);
    assert!(!theatre.is_paused(), "{}", ended.said());
    theatre.run(&["status"]).expect(0, &["exporting     runs"]);
}
