//! Who asked, in words: for the messages about 401 and 403. Pure, and without secrets.

use std::fmt;

/// Who asked, and where that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// `None` for nobody.
    pub(super) name: Option<String>,
    /// The key of the configuration; empty where nobody has told.
    pub(super) place: &'static str,
    /// Whether the login stands in the address, and the key is only what could be used instead.
    pub(super) in_address: bool,
}

impl Who {
    /// Whether nobody's name is told with requests.
    pub fn is_nobody(&self) -> bool {
        self.name.is_none()
    }

    /// What to do after a 401 or a 403.
    pub fn hint(&self, status: u16) -> String {
        let set = self.set();
        match (&self.name, status) {
            (None, 401) => format!("it wants credentials and got none: give them in {set} (docs/access.md)"),
            (None, _) => {
                format!("it refuses requests without credentials: give some in {set} (docs/access.md)")
            }
            (Some(name), 401) => format!("{name} was not accepted: check {set}"),
            (Some(name), _) => format!(
                "{name} is known and may not do that: give it the rights that docs/access.md lists, or another one in \
                 {set}"
            ),
        }
    }

    fn set(&self) -> String {
        match (self.in_address, self.place) {
            (false, "") => "`access` in the configuration".into(),
            (false, place) => format!("`{place}` in the configuration"),
            (true, "") => "the login in the address".into(),
            (true, place) => format!("the login in the address, or use `{place}` in the configuration"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("nobody"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_who_and_where() {
        let hint = |name: Option<&str>, place, in_address, status| {
            Who { name: name.map(str::to_owned), place, in_address }.hint(status)
        };
        let access = "access.search";
        assert_eq!(
            hint(None, access, false, 401),
            "it wants credentials and got none: give them in `access.search` in the configuration (docs/access.md)"
        );
        assert_eq!(
            hint(Some("user u"), access, true, 401),
            "user u was not accepted: check the login in the address, or use `access.search` in the configuration"
        );
        assert!(hint(Some("user u"), access, false, 403).starts_with("user u is known and may not do that"));
        assert!(hint(None, "", false, 403).contains("`access` in the configuration"));
    }
}
