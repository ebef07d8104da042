//! Tests of what is the same installation, and of its text.

use proptest::prelude::*;

use super::Fingerprint;

fn of(text: &str) -> Fingerprint {
    Fingerprint::from(text.to_owned())
}

fn same(one: &str, other: &str) -> bool {
    of(one).is_same_installation(&of(other))
}

#[test]
fn an_upgrade_to_8_9_makes_no_other_installation() {
    assert!(same("u1/zeebe-record", "c-1 (u1/zeebe-record)"));
    assert!(same("c-1 (u1/zeebe-record)", "u1/zeebe-record"), "an answer without the id");
    assert!(!same("u2/zeebe-record", "c-1 (u1/zeebe-record)"));
    assert!(!same("u1/other-record", "c-1 (u1/zeebe-record)"));
}

#[test]
fn two_ids_decide_whatever_else_is_told() {
    assert!(
        same("c-1 (u1/zeebe-record)", "c-1 (u2/zeebe-record)"),
        "its search server was restored elsewhere"
    );
    assert!(!same("c-1 (u1/zeebe-record)", "c-2 (u1/zeebe-record)"));
}

/// As they lie in journals, claims and manifests of versions that told only one of the two.
#[test]
fn earlier_ones_are_known_again() {
    assert!(same("c-1", "c-1 (u1/zeebe-record)"));
    assert!(!same("c-1", "c-2 (u1/zeebe-record)"));
    assert!(!same("c-1", "u1/zeebe-record"), "nothing connects them");
    assert!(same("u1/zeebe-record", "u1/zeebe-record"));
    assert!(same("u1/a,b", "c-1 (u1/a,b)") && !same("u1/-", "u1/zeebe-record"));
}

#[test]
fn what_tells_nothing_is_nobody() {
    let nothing = Fingerprint::told(None, "", "zeebe-record");
    assert!(!nothing.is_same_installation(&nothing));
    assert!(!nothing.is_same_installation(&of("u1/zeebe-record")));
    assert_eq!(Fingerprint::told(Some("  "), "u1", "p"), Fingerprint::told(None, "u1", "p"));
}

#[test]
fn its_text() {
    assert_eq!(Fingerprint::told(None, "u1", "zeebe-record").to_string(), "u1/zeebe-record");
    assert_eq!(Fingerprint::told(Some("c-1"), "u1", "zeebe-record").to_string(), "c-1 (u1/zeebe-record)");
    assert_eq!(Fingerprint::told(Some("c-1"), "", "zeebe-record").to_string(), "c-1");
    let kept = serde_json::to_string(&Fingerprint::told(Some("c-1"), "u1", "p")).unwrap();
    assert_eq!(kept, r#""c-1 (u1/p)""#);
    assert_eq!(serde_json::from_str::<Fingerprint>(&kept).unwrap(), of("c-1 (u1/p)"));
}

prop_compose! {
    /// Of so few names that they meet.
    fn met()(
        id in prop::option::of(prop::sample::select(vec!["a", "b", "a b", "a/b", " a", "a (b/-)", ""])),
        uuid in prop::sample::select(vec!["", "u", "v", "u (w"]),
        prefix in prop::sample::select(vec!["-", "p", "p)", "p q"]),
    ) -> Fingerprint {
        Fingerprint::told(id, uuid, prefix)
    }
}

proptest! {
    #[test]
    fn both_sides_say_the_same(one in met(), other in met()) {
        prop_assert_eq!(one.is_same_installation(&other), other.is_same_installation(&one));
    }

    #[test]
    fn two_different_ids_are_never_the_same(one in met(), other in met()) {
        let differ = one.cluster.is_some() && other.cluster.is_some() && one.cluster != other.cluster;
        prop_assert!(!(differ && one.is_same_installation(&other)));
    }

    #[test]
    fn what_is_told_is_the_same_as_itself(one in met()) {
        let is_told = one.cluster.is_some() || one.search.is_some();
        prop_assert_eq!(one.is_same_installation(&one), is_told);
    }

    #[test]
    fn what_is_read_is_what_was_written(
        id in prop::option::of(".{0,12}"), uuid in "[A-Za-z0-9_-]{0,22}", prefix in "[^/ ]{1,12}",
    ) {
        let told = Fingerprint::told(id.as_deref(), &uuid, &prefix);
        prop_assert_eq!(&of(&told.to_string()), &told, "{}", told);
    }

    #[test]
    fn any_text_is_kept_as_it_is(text in ".{0,40}") {
        prop_assert_eq!(of(&text).to_string(), text);
    }
}
