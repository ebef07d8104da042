//! The disk of c8keep itself: a journal of a later version, and one that cannot grow.

use crate::theatre::{Theatre, ended};

#[test]
fn a_journal_of_a_later_version() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    theatre.run(&["backup", "--id", "1000"]).expect(0, &[]);
    theatre.in_journal("UPDATE meta SET format = 99");
    for verb in ["backup", "status", "list"] {
        let ended = theatre.run(&[verb]).expect(1, &["journal.db", "format 99", "newer c8keep"]);
        assert!(ended.said().contains("next"), "{}", ended.said());
    }
    assert!(!theatre.is_paused());
}

/// Nothing is begun that cannot be written down, and what has begun is released all the same.
#[test]
fn a_disk_that_is_full() {
    // In KiB: too little for a journal at all, and too little for a whole run.
    for size in ["4", "80"] {
        let theatre = Theatre::new(Theatre::quick("8.6.0"));
        let inner = theatre.command(&["backup"]);
        let mut command = std::process::Command::new("bash");
        // Beyond the limit a write fails, as on a full disk.
        command.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "bash", size]);
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = ended(command.output().unwrap());
        assert!(matches!(ended.code, Some(1 | 14)), "{size}: {}", ended.said());
        assert!(!theatre.is_paused(), "{size}: {}", ended.said());
    }
}
