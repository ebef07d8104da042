//! What is wrong with a configuration file, in words for people who have never heard of the library that reads it, and which
//! key was probably meant.

/// What the YAML library says, for people who have never heard of it; where it says nothing clearer, its own words without
/// the place.
pub(super) fn plain_words(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(what, _)| what);
    if let Some((_, rest)) = message.split_once("unknown field `") {
        return format!("the key {} is not known here", rest.split('`').next().unwrap_or_default());
    }
    if let Some((wrong, known)) =
        message.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, expected "))
    {
        return format!("{wrong} is none of {}", known.trim_start_matches("one of "));
    }
    if let Some(rest) = message.strip_prefix("duplicate mapping key: ") {
        return format!("the key {} is there twice", rest.split(',').next().unwrap_or_default());
    }
    let known = [
        ("\"friendly\" duration", NO_TIME),
        ("invalid u16", "this is not a port: a number from 1 to 65535"),
        ("expected string scalar", "a text is expected here"),
        ("invalid boolean", "true or false is expected here"),
        ("expected mapping start", "keys with values are expected here, as in `name: prod`"),
        ("expected sequence start", "a list is expected here, as in `[http://a:9600, http://b:9600]`"),
        ("found a tab", TAB),
        ("tabs disallowed", TAB),
    ];
    let words = known.into_iter().find(|(theirs, _)| message.contains(theirs));
    words.map_or_else(|| message.to_owned(), |(_, ours)| ours.to_owned())
}

/// What is wrong with the value at a place in the text, where its key says what belongs there; else what the library says.
pub(super) fn plain_words_at(text: &str, (line, column): (u64, u64), message: &str) -> String {
    let at = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or_default();
    let line = text.lines().nth(at(line)).unwrap_or_default();
    let (before, value) = line.split_at_checked(at(column)).unwrap_or((line, ""));
    let before = before.trim_end().trim_end_matches(':');
    let key = before.rsplit([' ', '{', ',']).next().unwrap_or_default();
    match key {
        "hold_budget" | "stall" | "wait_deadline" if message.contains("expected string scalar") => {
            NO_TIME.into()
        }
        "operate" | "tasklist" | "optimize" | "search" if message.contains("expected mapping start") => {
            let value = Some(value.trim()).filter(|value| value.contains("://")).unwrap_or("http://…");
            format!("keys with values are expected here: `{key}: {{address: {value}}}`")
        }
        _ => plain_words(message),
    }
}

const NO_TIME: &str = "this is not a time; write it like 90s, 10m or 2h";

/// The two ways in which the library says it.
const TAB: &str = "there is a tab; YAML is indented with blanks, never with tabs";

/// From "unknown field `x`, expected one of a, b" to the unknown key and those that are known in its place.
pub(super) fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let (_, rest) = message.split_once("unknown field `")?;
    let (wrong, rest) = rest.split_once('`')?;
    let (_, known) = rest.split_once("expected ")?;
    let known =
        known.lines().next()?.split(" at line ").next()?.trim_start_matches("one of ").split([',', ' ', '`']);
    Some((wrong, known.filter(|key| !key.is_empty() && *key != "or").collect()))
}

/// What other programs, our own options and the page's variables call a key.
const OTHER_WORDS: [(&str, &str); 16] = [
    ("installation", "name"),
    ("repo", "repository"),
    ("snapshot_repository", "repository"),
    ("elastic", "search"),
    ("elasticsearch", "search"),
    ("opensearch", "search"),
    ("gateway", "management"),
    ("orchestration", "management"),
    ("store", "vault"),
    ("index_prefix", "prefix"),
    ("host", "address"),
    ("endpoint", "address"),
    ("url", "address"),
    ("path", "url"),
    ("bucket", "url"),
    ("username", "user"),
];

/// The key that was probably meant: another word for it, else the one that looks most like it, if any does.
pub(super) fn meant<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    const ALIKE: f64 = 0.7;
    let plain = wrong.to_ascii_lowercase().replace('-', "_");
    let mut other_words = OTHER_WORDS.iter().filter(|(word, _)| *word == plain);
    let other_word = other_words.find_map(|(_, key)| known.iter().find(|known| *known == key));
    let alike = known.iter().map(|key| (strsim::jaro(&plain, key), key)).filter(|(alike, _)| *alike > ALIKE);
    other_word.or_else(|| alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, key)| key)).copied()
}
