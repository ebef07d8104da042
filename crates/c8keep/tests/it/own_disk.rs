//! The disk of c8keep itself: a journal of a later version, and one that cannot grow.

use crate::theatre::{Theatre, ended};

#[test]
fn a_journal_of_a_later_version() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    theatre.run(&["backup", "--id", "1000"]).expect(0, &[]);
    theatre.in_journal("UPDATE meta SET format = 99");
    for (verb, code) in [("backup", 10), ("status", 1), ("list", 1)] {
        let ended = theatre.run(&[verb]).expect(code, &["journal.db", "format 99", "newer c8keep"]);
        assert!(ended.said().contains("next"), "{}", ended.said());
    }
    assert!(!theatre.is_paused());
}

/// What is no journal is not written over, and nothing is begun beside it.
#[test]
fn a_damaged_journal() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    std::fs::create_dir_all(theatre.journal().parent().unwrap()).unwrap();
    let damaged = "this is no database. ".repeat(400);
    std::fs::write(theatre.journal(), &damaged).unwrap();
    let words = ["opening the journal", "journal.db", "  said ", "  next "];
    theatre.run(&["backup", "--id", "1000"]).expect(14, &words);
    assert_eq!(std::fs::read_to_string(theatre.journal()).unwrap(), damaged);
    assert!(!theatre.is_paused() && !theatre.has_been_asked("POST "), "{:?}", theatre.asked());
    theatre.run(&["status"]).expect(14, &["exporting     runs", "journal.db"]);
}

/// Nothing is begun that cannot be written down, and what has begun is released all the same.
#[test]
fn a_disk_that_is_full() {
    const PAUSE: &str = "POST /actuator/exporting/pause";
    // In KiB: too little for a journal at all, and too little for a whole run.
    for size in ["4", "80", "160", "240"] {
        let theatre = Theatre::new(Theatre::quick("8.6.0"));
        let inner = theatre.command(&["backup"]);
        let mut command = std::process::Command::new("bash");
        // Beyond the limit a write fails, as on a full disk.
        command.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "bash", size]);
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = ended(command.output().unwrap());
        let [doing, then] = match (size, theatre.has_been_asked(PAUSE)) {
            ("4", _) => ["failed: opening the journal", ""],
            (_, false) => ["failed: writing the journal", "exporting was not touched"],
            (_, true) => {
                ["failed: writing the journal", "exporting was resumed all the same, and that is confirmed"]
            }
        };
        let next = "  next check the disk that holds the journal, then start again";
        let code = if size == "4" { 10 } else { 1 };
        let ended = ended.expect(code, &[doing, "journal.db", "  said disk I/O error", next, then]);
        assert!(size != "4" || theatre.asked().is_empty(), "{:?}", theatre.asked());
        assert!(!theatre.is_paused(), "{size}: {}", ended.said());
        let status = theatre.run(&["status"]);
        assert!(status.said().contains("exporting     runs"), "{size}: {}", status.said());
    }
}
