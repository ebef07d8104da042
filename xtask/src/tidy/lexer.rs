//! Just enough of Rust's lexical grammar to tell code from comments and literals.
//!
//! It keeps every line break, so that positions in its output are positions in the file. It never fails: what it
//! cannot make sense of stays code.

/// The text with comments and the insides of string and character literals replaced by spaces.
pub(super) fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = token_to_blank(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none starts there.
fn token_to_blank(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied();
    match chars[at] {
        '/' if next(1) == Some('/') => find(chars, at, |c| c == '\n'),
        '/' if next(1) == Some('*') => block_comment_end(chars, at),
        '"' => string_end(chars, at + 1),
        'r' if !continues_a_word(chars, at) => raw_string_end(chars, at).unwrap_or(at),
        '\'' if next(1) == Some('\\') => {
            find(chars, at + 3, |c| c == '\'').saturating_add(1).min(chars.len())
        }
        '\'' if next(2) == Some('\'') => at + 3,
        _ => at,
    }
}

/// `br"…"` and `cr"…"` are raw strings too; `bar"` is not.
fn continues_a_word(chars: &[char], at: usize) -> bool {
    let word = |i: usize| chars.get(i).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    match at.checked_sub(1) {
        None => false,
        Some(before) if matches!(chars[before], 'b' | 'c') => before.checked_sub(1).is_some_and(word),
        Some(before) => word(before),
    }
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|i| wanted(chars[*i])).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut at = start;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let quote = find(chars, start + 1, |c| c != '#');
    if chars.get(quote) != Some(&'"') {
        return None;
    }
    let hashes = quote - start - 1;
    let closes = |at: usize| {
        chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (quote + 1..chars.len()).find(|at| closes(*at)).map(|at| at + 1 + hashes)
}

#[cfg(test)]
mod tests {
    use super::code_only;

    #[test]
    fn comments_and_literals_become_spaces_and_lines_stay() {
        let text = "let a = \"todo\\\"!\"; // todo!\n/* todo! /* x */ todo! */ b();\n";
        let code = code_only(text);
        assert!(!code.contains("todo"), "{code}");
        assert!(code.contains("let a = ") && code.contains("b();"));
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        let code = code_only("x(r#\"todo \" todo\"#, br\"todo\", y); for_r\"z\"");
        assert!(!code.contains("todo"), "{code}");
        assert!(code.contains(", y);"));
    }

    #[test]
    fn a_lifetime_is_not_a_character() {
        let code = code_only("fn f<'a>(x: &'a str, q: char) { q == '\"' || q == '\\'' || q == '{' } done()");
        assert!(code.contains("<'a>") && code.contains("&'a str") && code.contains("done()"), "{code}");
        assert_eq!(code.matches('{').count(), 1);
    }
}
