//! Manifests and the lock file: shared lints, and no crate that this project decided against.
//!
//! The lock file also lists what optional features would bring; what is really built is the business of `cargo xtask deny`.

use super::Finding;

/// Crates that must not even be resolvable, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "one TLS stack: rustls with aws-lc-rs"),
    ("openssl-sys", "one TLS stack: rustls with aws-lc-rs"),
    ("native-tls", "one TLS stack: rustls with aws-lc-rs"),
    ("serde_yaml", "deprecated; serde-saphyr reads our YAML"),
    ("serde_yml", "RUSTSEC-2025-0068"),
    ("yaml-rust", "RUSTSEC-2024-0320"),
    ("backoff", "RUSTSEC-2025-0012"),
    ("instant", "RUSTSEC-2024-0384"),
    ("async-std", "RUSTSEC-2025-0052"),
    ("rsa", "RUSTSEC-2023-0071"),
    ("atty", "RUSTSEC-2024-0375"),
    ("bincode", "RUSTSEC-2025-0141"),
    ("structopt", "RUSTSEC-2022-0104"),
];

/// The one registry a package may come from.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check_manifest(path: &str, text: &str) -> Vec<Finding> {
    let is_package = text.lines().any(|line| line.trim() == "[package]");
    let mut after_lints = text.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    let shares_lints = after_lints.next() == Some("workspace = true");
    if is_package && !shares_lints {
        return vec![Finding::new(path, "lints", "needs [lints] workspace = true")];
    }
    Vec::new()
}

pub(super) fn check_lock(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(value) = quoted(line, "name = ") {
            name = value;
            if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == value) {
                findings.push(Finding::new("Cargo.lock", "banned crate", format!("{value}: {why}")));
            }
        }
        if let Some(source) = quoted(line, "source = ").filter(|source| *source != SOURCE) {
            findings.push(Finding::new("Cargo.lock", "source", format!("{name} comes from {source}")));
        }
    }
    findings
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_with_lints_of_its_own_is_found() {
        assert_eq!(check_manifest("a/Cargo.toml", "[package]\nname = \"a\"\n").len(), 1);
        assert_eq!(check_manifest("a/Cargo.toml", "[package]\n\n[lints]\nworkspace = false\n").len(), 1);
        assert_eq!(check_manifest("a/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n"), []);
        assert_eq!(check_manifest("Cargo.toml", "[workspace]\n"), []);
    }

    #[test]
    fn each_banned_crate_is_found() {
        for (name, _) in BANNED {
            let lock = format!("[[package]]\nname = \"{name}\"\nsource = \"{SOURCE}\"\n");
            assert_eq!(check_lock(&lock)[0].rule, "banned crate", "{name}");
        }
        assert_eq!(check_lock("name = \"openssl-probe\"\n"), []);
    }

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let lock = "[[package]]\nname = \"x\"\nsource = \"git+https://example.org/x\"\n";
        assert_eq!(check_lock(lock)[0].what, "x comes from git+https://example.org/x");
    }
}
