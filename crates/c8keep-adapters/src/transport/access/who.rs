//! Who asked, in words: for the messages about 401 and 403. Pure, and without secrets.

/// Who asked, and where that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    who: Option<String>,
    /// The key of the configuration, or empty where nobody has told.
    place: &'static str,
    /// The key that could be used instead of the login in an address.
    instead_of_address: Option<&'static str>,
}

impl Who {
    pub(super) fn new(
        who: Option<String>,
        place: &'static str,
        instead_of_address: Option<&'static str>,
    ) -> Who {
        Who { who, place, instead_of_address }
    }

    /// What to do after a 401 or a 403.
    pub fn hint(&self, status: u16) -> String {
        let set = self.set();
        match (&self.who, status) {
            (None, 401) => {
                format!("it wants credentials and got none: give them in {set} (docs/access.md)")
            }
            (None, _) => format!(
                "nobody may do that without credentials, or from here: give some in {set} (docs/access.md)"
            ),
            (Some(who), 401) => format!("{who} was not accepted: check {set}"),
            (Some(who), _) => {
                format!(
                    "{who} is known and may not do that: give it the rights of docs/access.md, or another one in {set}"
                )
            }
        }
    }

    fn set(&self) -> String {
        match (self.instead_of_address, self.place) {
            (Some(""), _) => "the address".into(),
            (Some(place), _) => format!("the address, or use `{place}` in the configuration"),
            (None, "") => "`access` in the configuration".into(),
            (None, place) => format!("`{place}` in the configuration"),
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.who.as_deref().unwrap_or("nobody"))
    }
}
