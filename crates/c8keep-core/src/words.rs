//! Words for people.

use std::borrow::Cow;

/// A number with what it counts: `1 index`, `2 indices`.
pub fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Text that may hold what others have said, fit for a terminal: nothing in it moves a cursor, rings or names a window.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(is_harmful, "\u{fffd}"))
}

/// The same, and no longer than a person reads and a journal should keep: of what is longer, beginning and end.
pub fn message(text: String) -> String {
    const CHARS_MAX: usize = 2_000;
    let length = text.chars().count();
    if length > CHARS_MAX {
        let begin: String = text.chars().take(CHARS_MAX / 2).collect();
        let end: String = text.chars().skip(length - CHARS_MAX / 2 + 3).collect();
        return harmless(&format!("{begin} … {end}")).into_owned();
    }
    match harmless(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(tamed) => tamed,
    }
}

/// A line in lines of at most so many characters, broken between words and never inside `a command in backticks`, which has
/// to survive being copied. Lines after the first are indented; blanks inside a line stay.
pub fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces(text.trim_end()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + piece.chars().count() <= width => line.push_str(&piece),
            Some(_) => lines.push(format!("{:indent$}{}", "", piece.trim_start())),
            None => lines.push(piece),
        }
    }
    lines
}

/// Words with the blanks before them; what stands in backticks is one word.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let (mut piece, mut is_open) = (String::new(), false);
    for c in text.chars() {
        let is_blank = c.is_whitespace();
        if is_blank && !is_open && !piece.trim_start().is_empty() {
            pieces.push(std::mem::take(&mut piece));
        }
        is_open ^= c == '`';
        piece.push(if is_blank { ' ' } else { c });
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let indices = |number| counted(number, "index", "indices");
        assert_eq!([indices(0), indices(1), indices(2)], ["0 indices", "1 index", "2 indices"]);
    }

    /// Found by feeding the adapters with changed answers: a server's error could clear the screen of whoever read it.
    #[test]
    fn what_others_say_moves_no_cursor_and_ends() {
        assert_eq!(
            harmless("HTTP 500: a\u{1b}[2Jb\u{9b}31m\r\0c\nd\te"),
            "HTTP 500: a\u{fffd}[2Jb\u{fffd}31m\u{fffd}\u{fffd}c\nd\te"
        );
        assert_eq!(message("ü".repeat(2_000)), "ü".repeat(2_000));
        let cut = message(format!("first {} last", "ü".repeat(2_000)));
        assert!(cut.starts_with("first ü") && cut.contains(" … ") && cut.ends_with("ü last"), "{cut}");
        assert_eq!(cut.chars().count(), 2_000);
        assert_eq!(message("\u{7}".into()), "\u{fffd}");
    }

    #[test]
    fn lines_are_broken_between_words_and_not_inside_a_command() {
        let text = "bring it back, then run `c8keep resume-exporting --yes` again";
        let expected = ["bring it back, then run", "  `c8keep resume-exporting --yes`", "  again"];
        assert_eq!(wrapped(text, 25, 2), expected);
        assert_eq!(wrapped("a-word-that-is-longer b", 5, 0), ["a-word-that-is-longer", "b"]);
        assert_eq!(wrapped("an `open one", 4, 0), ["an", "`open one"]);
        assert_eq!(
            wrapped("  ok    brokers   1 of 1 are up", 20, 4),
            ["  ok    brokers   1", "    of 1 are up"]
        );
        assert!(wrapped(" ", 10, 0).is_empty());
    }
}
