//! What happened, as a hash that two runs of one seed must share, and as lines for people where they are asked for.

use std::fmt::Display;

use jiff::Timestamp;

/// The record of one night.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Only the hash, or the lines as well.
    pub fn new(with_lines: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, lines: with_lines.then(Vec::new) }
    }

    /// Something happened at an instant.
    pub fn note(&mut self, at: Timestamp, who: impl Display, what: &str, detail: &str) {
        self.mix(&at.as_microsecond().to_le_bytes());
        self.mix(what.as_bytes());
        self.mix(detail.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{} {who} {what} {detail}", at.strftime("%H:%M:%S.%3f")));
        }
    }

    /// The same only where lines are kept: what explains, and decides nothing.
    pub fn explain(&mut self, at: Timestamp, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{}   {}", at.strftime("%H:%M:%S.%3f"), line()));
        }
    }

    /// Whether lines are kept.
    pub fn has_lines(&self) -> bool {
        self.lines.is_some()
    }

    /// Equal for equal nights.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines, where they were kept.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }

    /// FNV-1a, eight bytes at a time: enough to tell two nights apart, and nobody attacks it.
    fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.hash = (self.hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
        }
    }
}
