//! Where journal and vault lie unless the configuration says: below the home of the account, which it may not have.

use std::path::PathBuf;

use c8keep_core::fault::Fault;

use super::{Settings, absolute, usage};
use crate::env::var;

/// One of the account's folders.
pub(super) fn folder(variable: &str, below_home: &str) -> PathBuf {
    match var(variable) {
        Some(path) => absolute(path.into()),
        None => absolute(PathBuf::from(var("HOME").unwrap_or_else(|| "/".into())).join(below_home)),
    }
}

/// Whether journal and vault have a place: an account may have no home, as a service's or a container's.
pub(super) fn check(settings: &Settings, var: impl Fn(&str) -> Option<String>) -> Result<(), Fault> {
    let places = [
        ("journal", settings.journal.is_some(), "XDG_STATE_HOME"),
        ("vault", settings.vault.is_some(), "XDG_DATA_HOME"),
    ];
    let homeless =
        places.into_iter().find(|(_, given, folder)| !given && var(folder).or_else(|| var("HOME")).is_none());
    homeless.map_or(Ok(()), |(key, _, folder)| {
        let why = format!("HOME is not set, and {folder} is not either: nothing tells where the {key} lies");
        let hint = format!("set HOME or {folder}, or `{key}` in the configuration");
        Err(usage("the environment", why, &hint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;

    #[test]
    fn an_account_without_a_home() {
        let told = |text: &str, set: &[&str]| {
            let set = |name: &str| set.contains(&name).then(|| "/srv".to_owned());
            check(&parse(text).unwrap(), set).map_err(|fault| fault.answer + "; " + &fault.hint)
        };
        let neither = told("", &[]).unwrap_err();
        assert!(neither.contains("HOME is not set") && neither.contains("XDG_STATE_HOME"), "{neither}");
        let vault = told("journal: /a/j.db", &[]).unwrap_err();
        assert!(vault.contains("set HOME or XDG_DATA_HOME, or `vault`"), "{vault}");
        for (text, set) in [
            ("", &["HOME"][..]),
            ("", &["XDG_STATE_HOME", "XDG_DATA_HOME"]),
            ("journal: /a/j.db\nvault: /a/v", &[]),
        ] {
            assert_eq!(told(text, set), Ok(()), "{text}");
        }
    }
}
