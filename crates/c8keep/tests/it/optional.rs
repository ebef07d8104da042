//! Applications without which a backup may do (`required: false`).

use c8keep_twin::Host;

use crate::theatre::{Theatre, ended};

/// Out of reach from the beginning: every probe passes without it, and the backup is partial.
#[test]
fn an_optional_application_out_of_reach_makes_the_backup_partial() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    let file = theatre.home().join("c8keep.yaml");
    let file = file.to_str().unwrap();
    theatre.world().faults.unreachable.insert(Host::Tasklist);
    theatre
        .run(&["backup"])
        .expect(13, &[&theatre.url(Host::Tasklist), "/actuator/info", "tasklist (TASKLIST_MANAGEMENT_API"]);
    std::fs::write(file, "tasklist: {required: false}\n").unwrap();
    let child = theatre.start(&["-c", file, "backup", "--id", "1748937221"]);
    theatre.until("operate has begun", |t| {
        t.by_hand(Host::Operate, "GET", "/actuator/backups/1748937221") == 200
    });
    // A refused connection is tried for two minutes; a page ends the step at once.
    theatre.world().faults.html.insert(Host::Tasklist);
    theatre.world().faults.unreachable.clear();
    ended(child.wait_with_output().unwrap()).expect(3, &["tasklist is out of reach", "will be partial"]);
    assert!(!theatre.is_paused());
    theatre.run(&["list"]).expect(0, &["1748937221", "partial"]);
}
