//! Changing an example: as JSON where it is some, so that most of it still makes sense, and as bytes.

use serde_json::{Map, Value};

/// Numbers that follow from a seed (splitmix64, Vigna 2015).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A row of its own for each seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number in `0..limit`; 0 where the limit is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).checked_rem(limit).unwrap_or(0)
    }

    /// A place in a list of that length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }
}

/// The most changes to one example: with more of them nothing of it is left.
const CHANGES_MAX: u64 = 4;

/// An example with some changes; parts of `other` may come in.
pub fn mutated(example: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let changes = 1 + dice.below(CHANGES_MAX);
    // Once in four as bytes: what is no JSON any more dies at the first check of most parsers.
    let json = if dice.below(4) == 0 { None } else { serde_json::from_slice::<Value>(example).ok() };
    let Some(mut value) = json else {
        let mut bytes = example.to_vec();
        (0..changes).for_each(|_| change_bytes(&mut bytes, other, dice));
        return bytes;
    };
    for _ in 0..changes {
        let places = count(&value);
        let mut at = dice.index(places);
        change_at(&mut value, &mut at, dice);
    }
    value.to_string().into_bytes()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum(),
        _ => 0,
    }
}

/// Changes the value that is reached when `at` has been counted down. Returns whether it was.
fn change_at(value: &mut Value, at: &mut usize, dice: &mut Dice) -> bool {
    if *at == 0 {
        change(value, dice);
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(all) => all.iter_mut().any(|value| change_at(value, at, dice)),
        Value::Object(all) => all.values_mut().any(|value| change_at(value, at, dice)),
        _ => false,
    }
}

fn change(value: &mut Value, dice: &mut Dice) {
    match (dice.below(8), &mut *value) {
        (0..=1, Value::Object(all)) if !all.is_empty() => drop_or_rename(all, dice),
        (0, Value::Array(all)) if !all.is_empty() => {
            let gone = dice.index(all.len());
            all.remove(gone);
        }
        (1, Value::Array(all)) if !all.is_empty() => {
            let again = all[dice.index(all.len())].clone();
            let times = 1 + dice.index(40);
            all.extend(std::iter::repeat_n(again, times));
        }
        (2, _) => *value = Value::Array(vec![value.take()]),
        (3, _) => *value = Value::Object(Map::from_iter([("value".to_owned(), value.take())])),
        (4, _) => *value = Value::String(value.to_string()),
        (5, Value::String(text)) => *text = changed_text(text, dice),
        (5..=6, Value::Number(number)) => {
            let near = number.as_i64().unwrap_or(0).wrapping_add_unsigned(dice.below(5)).wrapping_sub(2);
            *value = near.into();
        }
        _ => *value = odd(dice),
    }
}

fn drop_or_rename(all: &mut Map<String, Value>, dice: &mut Dice) {
    let Some(key) = all.keys().nth(dice.index(all.len())).cloned() else { return };
    let Some(value) = all.remove(&key) else { return };
    if dice.below(2) == 0 {
        all.insert(changed_text(&key, dice), value);
    }
}

fn changed_text(text: &str, dice: &mut Dice) -> String {
    let half: String = text.chars().take(text.chars().count() / 2).collect();
    match dice.below(6) {
        0 => half,
        1 => format!("{text}{text}"),
        2 => text.to_uppercase(),
        3 => format!("{half}\u{1b}[2J\r{text}"),
        4 => format!("{half}{}{text}", odd_text(dice)),
        _ => text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect(),
    }
}

fn odd(dice: &mut Dice) -> Value {
    match dice.below(14) {
        0 => Value::Null,
        1 => true.into(),
        2 => 0.into(),
        3 => (-1).into(),
        4 => u64::MAX.into(),
        5 => i64::MIN.into(),
        6 => i64::MAX.into(),
        7 => f64::MAX.into(),
        8 => 0.5.into(),
        9 => Value::Array(Vec::new()),
        10 => Value::Object(Map::new()),
        // Deeper than what serde_json reads: 128.
        11 => (0..150).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
        _ => odd_text(dice).into(),
    }
}

fn odd_text(dice: &mut Dice) -> String {
    const TEXTS: [&str; 16] = [
        "",
        " ",
        "0",
        "-1",
        "18446744073709551616",
        "1e999",
        "null",
        "\u{0}",
        "\u{1b}]0;title\u{7}",
        "\u{85}\u{9b}31m",
        "a\r\nb",
        "../../../etc/passwd",
        "'; $(reboot) `reboot` \"",
        "<html><body>login</body></html>",
        "\u{202e}\u{feff}é\u{10ffff}",
        "9999-12-31T23:59:59.999999999Z",
    ];
    match dice.index(TEXTS.len() + 2) {
        at if at < TEXTS.len() => TEXTS[at].to_owned(),
        at if at == TEXTS.len() => "long ".repeat(4_000),
        _ => "ü".repeat(9_000),
    }
}

fn change_bytes(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.index(bytes.len() + 1);
    let to = (at + dice.index(40)).min(bytes.len());
    match dice.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..to)),
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        3 => drop(bytes.splice(at..to, odd_text(dice).into_bytes())),
        4 => {
            let from = dice.index(other.len() + 1);
            drop(bytes.splice(at..to, other[from..].iter().take(200).copied()));
        }
        5 => {
            let piece = bytes[at..to].repeat(1 + dice.index(60));
            drop(bytes.splice(at..at, piece));
        }
        6 => drop(bytes.splice(at..at, (0..dice.below(12)).map(|_| 0).collect::<Vec<u8>>())),
        _ => {
            let drawn: Vec<u8> =
                (0..dice.below(12)).map(|_| u8::try_from(dice.below(256)).unwrap_or(0)).collect();
            drop(bytes.splice(at..to, drawn));
        }
    }
}
