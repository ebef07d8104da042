//! No function is longer than a page.
//!
//! Lines that hold only comments, literals or nothing do not count: what matters is how much code a reader must
//! hold in mind at once.

use super::{Finding, lexer};

/// Longest function, in lines of code, its signature included.
const LINES_MAX: usize = 70;

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let code = lexer::code_only(text);
    let mut findings = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let glued = code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let Some(end) = (!glued).then(|| body_end(&code, at)).flatten() else { continue };
        let lines = code[at..end].lines().filter(|line| !line.trim().is_empty()).count();
        if lines > LINES_MAX {
            let name: String =
                code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let line = 1 + code[..at].matches('\n').count();
            let what = format!("fn {name} has {lines} lines of code, and {LINES_MAX} are the most");
            findings.push(Finding::new(format!("{path}:{line}"), "length", what));
        }
    }
    findings
}

/// The end of the body of the item whose head starts at `at`; `None` for a declaration or a type.
pub(super) fn body_end(code: &str, at: usize) -> Option<usize> {
    let mut parentheses = 0_i32;
    let mut braces = 0_i32;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' if braces == 0 => parentheses += 1,
            ')' | ']' if braces == 0 => parentheses -= 1,
            ';' | ',' if braces == 0 && parentheses <= 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces <= 0 {
                    return Some(at + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(body_lines: usize) -> String {
        format!("pub fn long(a: [u8; 2]) -> u8 {{\n{}}}\nfn short() {{}}\n", "    x();\n".repeat(body_lines))
    }

    #[test]
    fn a_function_is_long_from_line_71_on() {
        assert_eq!(check("x.rs", &function(68)), []);
        let findings = check("x.rs", &function(69));
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].to_string(),
            "x.rs:1: [length] fn long has 71 lines of code, and 70 are the most"
        );
    }

    #[test]
    fn comments_and_declarations_do_not_count() {
        let comments = function(60) + &format!("fn c() {{\n{}}}\n", "    // why\n".repeat(100));
        assert_eq!(check("x.rs", &comments), []);
        let declared = format!("trait T {{ fn declared(&self); }}\n{}", "const A: u8 = 1;\n".repeat(100));
        assert_eq!(check("x.rs", &declared), []);
    }
}
