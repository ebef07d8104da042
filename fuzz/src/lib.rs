//! Foreign bytes for the tests of parsers: real answers, changed at random, for as long as one wants.
//!
//! A target is an ordinary test that calls [`feed`]. In `cargo test` each gets the same few inputs every time, and so fails for
//! everybody or for nobody; with [`SECONDS`] set it goes on for so long, with inputs that nobody has seen before. What makes a
//! parser panic is made shorter and shown as a Rust literal, for the regression test. Knows nothing of what it feeds.

mod mutate;
mod shrink;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use mutate::{Dice, mutated};

/// How many seconds each target is fed; without it, a fixed number of inputs.
pub const SECONDS: &str = "C8KEEP_FUZZ_SECONDS";
/// Where the inputs begin; without it, zero, or the clock where [`SECONDS`] is set.
pub const SEED: &str = "C8KEEP_FUZZ_SEED";

/// Enough to meet every kind of change on a handful of examples within a second or two.
const INPUTS: u64 = 1_500;
/// One input is parsed in some microseconds; what takes this long on a busy machine takes for ever on a large answer. Looked
/// at only where [`SECONDS`] is set: no ordinary test measures time.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Nothing that is told of one answer may be longer: it goes to a terminal, a log and a journal.
const TOLD_CHARS_MAX: usize = 8_000;

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What a parser gets.
    pub bytes: Vec<u8>,
    /// For whatever else a target wants to vary, such as an HTTP status.
    pub number: u64,
}

impl Input {
    /// One of several.
    pub fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[usize::try_from(self.number % of.len() as u64).unwrap_or(0)]
    }

    /// The bytes as far as they are text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Feeds a parser with changed examples. `parse` returns everything that a person would be told of the input: it must be
/// bounded, and must not move anybody's cursor.
///
/// # Panics
/// With the input, if the parser does, takes too long, or says what it must not.
pub fn feed(target: &str, examples: &[Vec<u8>], parse: impl Fn(&Input) -> Vec<String>) {
    feed_at_least(INPUTS, target, examples, parse);
}

/// The same for a parser with much around it, such as files or a whole installation: with a tenth of the inputs in `cargo test`.
///
/// # Panics
/// As [`feed`].
pub fn feed_slowly(target: &str, examples: &[Vec<u8>], parse: impl Fn(&Input) -> Vec<String>) {
    feed_at_least(INPUTS / 10, target, examples, parse);
}

fn feed_at_least(least: u64, target: &str, examples: &[Vec<u8>], parse: impl Fn(&Input) -> Vec<String>) {
    assert!(!examples.is_empty(), "{target}: no examples");
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let limit = number(SECONDS).map(Duration::from_secs);
    let seed = number(SEED).unwrap_or_else(|| limit.map_or(0, |_| of_the_clock()));
    let began = Instant::now();
    let mut inputs = 0;
    while limit.map_or(inputs < least, |limit| began.elapsed() < limit) {
        let input = input(examples, seed.wrapping_add(inputs));
        let fails = |input: &Input| survives(input, &parse).and_then(|took| in_time(took, limit)).err();
        if let Some(why) = fails(&input) {
            let shorter = shrink::shortest(&input, |input| fails(input).is_some());
            let bytes = shorter.bytes.escape_ascii();
            panic!("{target}: {why}\n  seed {}: number {}, b\"{bytes}\"", seed + inputs, input.number);
        }
        inputs += 1;
    }
    if limit.is_some() {
        // What was done is worth a line where it was asked for.
        let line = format!("{target}: {inputs} inputs from seed {seed} in {} s\n", began.elapsed().as_secs());
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
}

fn of_the_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() << 20)
}

fn input(examples: &[Vec<u8>], seed: u64) -> Input {
    let mut dice = Dice::new(seed);
    let example = &examples[dice.index(examples.len())];
    let other = &examples[dice.index(examples.len())];
    Input { bytes: mutated(example, other, &mut dice), number: dice.below(1 << 32) }
}

fn in_time(took: Duration, limit: Option<Duration>) -> Result<(), String> {
    if limit.is_some() && took > TIME_MAX { Err(format!("took {took:?}")) } else { Ok(()) }
}

/// How long it took, or why it does not.
fn survives(input: &Input, parse: &impl Fn(&Input) -> Vec<String>) -> Result<Duration, String> {
    let began = Instant::now();
    let told = catch_unwind(AssertUnwindSafe(|| parse(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("panicked: {}", text.unwrap_or_default())
    })?;
    let took = began.elapsed();
    for text in told {
        if text.chars().count() > TOLD_CHARS_MAX {
            return Err(format!("says {} characters", text.chars().count()));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(format!("says a control character: {text:?}"));
        }
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Vec<u8>> {
        vec![br#"{"state": "COMPLETED", "parts": [{"id": 17, "name": "a"}], "since": null}"#.to_vec()]
    }

    fn finds(parse: impl Fn(&Input) -> Vec<String>) -> String {
        let fed = catch_unwind(AssertUnwindSafe(|| feed("target", &examples(), parse)));
        fed.unwrap_err().downcast_ref::<String>().unwrap().clone()
    }

    /// The mistakes that parsers really make.
    #[test]
    fn every_kind_of_mistake_is_found() {
        let json = |input: &Input| serde_json::from_slice::<serde_json::Value>(&input.bytes).ok();
        let missing = finds(|input| {
            let _ = json(input).map(|all| all.as_object().map(|all| all["state"].clone()));
            Vec::new()
        });
        assert!(missing.contains("panicked") && missing.contains("seed"), "{missing}");
        let overflow = finds(|input| {
            let id = json(input).and_then(|all| all["parts"][0]["id"].as_u64());
            let _ = id.map(|id| id.checked_add(1).expect("too large"));
            Vec::new()
        });
        assert!(overflow.contains("too large"), "{overflow}");
        let repeated = finds(|input| {
            let state = json(input).and_then(|all| Some(all["state"].as_str()?.to_owned()));
            state.into_iter().collect()
        });
        assert!(repeated.contains("says"), "{repeated}");
        let text = finds(|input| {
            std::str::from_utf8(&input.bytes).expect("text");
            Vec::new()
        });
        assert!(text.contains("text"), "{text}");
    }

    #[test]
    fn a_parser_that_survives_is_left_alone() {
        feed("target", &examples(), |input| vec![format!("{} bytes", input.bytes.len())]);
    }

    #[test]
    fn the_same_seed_gives_the_same_input() {
        assert_eq!(input(&examples(), 7), input(&examples(), 7));
        assert!((0..50).any(|seed| input(&examples(), seed) != input(&examples(), seed + 1)));
    }
}
