//! Documents: links lead somewhere, and the README names the commands that continuous integration runs.
//!
//! It reads only links inside the repository and never asks the network.

use super::Finding;

/// The commands a stranger copies from the README; `cargo xtask ci` runs exactly these.
pub(crate) const TEST_COMMAND: &str = "cargo xtask test";
pub(crate) const DEMO_COMMAND: &str = "cargo run --release -- demo";

/// Documents a stranger looks for.
const EXPECTED: &[&str] =
    &["README.md", "ARCHITECTURE.md", "GLOSSARY.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"];

pub(super) fn check_readme(files: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in EXPECTED {
        if !files.iter().any(|(path, _)| path == name) {
            findings.push(Finding::new(*name, "documents", "is missing"));
        }
    }
    let readme = files.iter().find(|(path, _)| path == "README.md").map_or("", |(_, text)| text.as_str());
    for command in [TEST_COMMAND, DEMO_COMMAND] {
        if !readme.lines().any(|line| line.trim() == command) {
            let what = format!("must give the command {command:?} on a line of its own");
            findings.push(Finding::new("README.md", "documents", what));
        }
    }
    findings
}

/// Where the program lists every variable it reads, and the page that explains them.
const VARIABLES: &str = "crates/c8keep/src/env.rs";
const CONFIGURATION: &str = "docs/configuration.md";

/// Every variable that the program reads is explained.
pub(super) fn check_variables(files: &[(String, String)]) -> Vec<Finding> {
    let text = |name| files.iter().find(|(path, _)| path == name).map_or("", |(_, text)| text.as_str());
    let page = text(CONFIGURATION);
    let declared =
        text(VARIABLES).lines().filter_map(|line| line.strip_prefix("pub const ")?.split('"').nth(1));
    declared
        .filter(|name| !page.contains(&format!("`{name}`")))
        .map(|name| Finding::new(CONFIGURATION, "documents", format!("does not explain {name}")))
        .collect()
}

/// Folders whose files documents name by their path, in backticks.
const NAMED_FOLDERS: &[&str] = &["crates/", "docs/", "xtask/", ".ci/"];

/// `exists` is asked about paths from the root of the repository.
pub(super) fn check_links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let from_root = if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
            if !exists(&from_root) {
                let place = format!("{path}:{}", number + 1);
                findings.push(Finding::new(place, "links", format!("{target} leads nowhere")));
            }
        }
        for named in line.split('`').skip(1).step_by(2) {
            let is_path = NAMED_FOLDERS.iter().any(|folder| named.starts_with(folder));
            let is_plain = !named.contains(['<', '*', ' ', '…']);
            if is_path && is_plain && !exists(named) {
                let place = format!("{path}:{}", number + 1);
                findings.push(Finding::new(place, "links", format!("there is no {named}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(readme: &str) -> Vec<(String, String)> {
        EXPECTED.iter().map(|name| ((*name).to_owned(), readme.to_owned())).collect()
    }

    #[test]
    fn the_readme_names_both_commands_and_nothing_is_missing() {
        let readme = format!("```\n{TEST_COMMAND}\n{DEMO_COMMAND}\n```\n");
        assert_eq!(check_readme(&documents(&readme)), []);
        assert_eq!(check_readme(&documents(&format!("{TEST_COMMAND}\n"))).len(), 1);
        assert_eq!(check_readme(&documents(&readme)[1..]).len(), 3);
    }

    #[test]
    fn a_variable_that_is_not_explained_is_found() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let page = file(CONFIGURATION, "| `ONE` | x |");
        let one = file(VARIABLES, "pub const A: &str = \"ONE\";\n");
        assert_eq!(check_variables(&[page.clone(), one]), []);
        let two = file(VARIABLES, "pub const A: &str = \"ONE\";\npub const B: &str = \"ON\";\n");
        assert_eq!(check_variables(&[page, two])[0].what, "does not explain ON");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let exists = |path: &str| path == "docs/a.md";
        assert_eq!(check_links("docs/b.md", "[a](a.md#x) [w](https://example.org) [here](#top)", exists), []);
        assert_eq!(check_links("b.md", "[a](docs/a.md)", exists), []);
        let findings = check_links("docs/b.md", "\n[a](c.md)", exists);
        assert_eq!(findings[0].to_string(), "docs/b.md:2: [links] c.md leads nowhere");
        assert_eq!(check_links("b.md", "`docs/a.md` `docs/<id>.md` `docs of x`", exists), []);
        let findings = check_links("b.md", "see `docs/c.md`", exists);
        assert_eq!(findings[0].to_string(), "b.md:1: [links] there is no docs/c.md");
    }
}
