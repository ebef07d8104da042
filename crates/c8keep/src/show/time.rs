//! Times as people read them.

use jiff::{SignedDuration, Timestamp};

/// `0.4s`, `12s`, `3m 05s`, `2h 07m`.
pub fn span(duration: SignedDuration) -> String {
    let (seconds, tenths) = (duration.as_secs().max(0), duration.subsec_millis().max(0) / 100);
    match seconds {
        0..10 => format!("{seconds}.{tenths}s"),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `2025-06-03 08:05:10 UTC`.
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2025-06-03 08:05:10Z`, for logs: read days later, and on another machine.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `3 days ago`, for lists.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s ago"),
        120..7_200 => format!("{}m ago", seconds / 60),
        7_200..172_800 => format!("{}h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let span = |millis| span(SignedDuration::from_millis(millis));
        assert_eq!(span(440), "0.4s");
        assert_eq!(span(12_900), "12s");
        assert_eq!(span(185_000), "3m 05s");
        assert_eq!(span(7_620_000), "2h 07m");
        assert_eq!(span(-5), "0.0s");
    }
}
