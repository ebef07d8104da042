//! Compares two JSON bodies by shape (keys and types) and by meaning (states, messages, error types).

use serde_json::{Map, Value};

/// Keys whose text says what happened; everywhere else values may differ.
const MEANING: &[&str] = &[
    "state",
    "status",
    "message",
    "localizedMessage",
    "type",
    "reason",
    "error",
    "role",
    "exporterPhase",
    "streamProcessorPhase",
    "failureReason",
    "stage",
    "accepted",
    "acknowledged",
    "methodName",
    "artifact",
    "distribution",
    "tagline",
    "templated",
    "path",
    "className",
];

/// Exceptions. Places are written `/snapshots/[]/indices/*`: `[]` for any element, `*` for any key of a map.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Objects whose keys are names: compared by their first entries.
    pub maps: &'static [&'static str],
    /// Objects of which the twin knows only a part, and the recording keeps only a part: there and below, the twin may
    /// tell less than was recorded, and a real server more.
    pub partial: &'static [&'static str],
    /// Values that carry meaning elsewhere and are different by nature here.
    pub varies: &'static [&'static str],
    /// Keys that one of the two may have alone, such as what an example of a document is too old to have.
    pub alone: &'static [&'static str],
}

/// Who gave the answer that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Twin,
    Real,
}

/// Differences in keys and types, recursively; arrays are compared by their first element.
pub fn shape_diff(expected: &Value, actual: &Value) -> Vec<String> {
    shape_diff_by(expected, actual, &Rules::default(), Whose::Twin)
}

pub(super) fn shape_diff_by(expected: &Value, actual: &Value, rules: &Rules, whose: Whose) -> Vec<String> {
    let mut found = Vec::new();
    walk(expected, actual, "", rules, &mut |place, expected, actual| match (expected, actual) {
        (Value::Object(wanted), Value::Object(given)) if !rules.maps.contains(&place) => {
            found.extend(key_diff(wanted, given, place, rules, whose));
        }
        (expected, actual) if kind(expected) != kind(actual) => {
            found.push(format!("{place}: {} instead of {}", kind(actual), kind(expected)));
        }
        _ => {}
    });
    found
}

/// Differences in those values that say what happened.
pub fn meaning_diff(expected: &Value, actual: &Value, rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    walk(expected, actual, "", rules, &mut |place, expected, actual| {
        let key = place.rsplit('/').next().unwrap_or_default();
        let plain = !expected.is_object() && !expected.is_array();
        if plain && MEANING.contains(&key) && !rules.varies.contains(&place) && expected != actual {
            found.push(format!("{place}: {actual} instead of {expected}"));
        }
    });
    found
}

/// Visits every pair of values that stand at the same place.
fn walk(
    expected: &Value,
    actual: &Value,
    place: &str,
    rules: &Rules,
    visit: &mut impl FnMut(&str, &Value, &Value),
) {
    visit(place, expected, actual);
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(given)) if rules.maps.contains(&place) => {
            if let (Some(wanted), Some(given)) = (wanted.values().next(), given.values().next()) {
                walk(wanted, given, &format!("{place}/*"), rules, visit);
            }
        }
        (Value::Object(wanted), Value::Object(given)) => {
            for (key, wanted) in wanted {
                if let Some(given) = given.get(key) {
                    walk(wanted, given, &format!("{place}/{key}"), rules, visit);
                }
            }
        }
        (Value::Array(wanted), Value::Array(given)) => {
            if let (Some(wanted), Some(given)) = (wanted.first(), given.first()) {
                walk(wanted, given, &format!("{place}/[]"), rules, visit);
            }
        }
        _ => {}
    }
}

fn key_diff(
    wanted: &Map<String, Value>,
    given: &Map<String, Value>,
    place: &str,
    rules: &Rules,
    whose: Whose,
) -> Vec<String> {
    let partial = rules.partial.iter().any(|prefix| place.starts_with(prefix));
    let (may_lack, may_add) = (partial && whose == Whose::Twin, partial && whose == Whose::Real);
    let alone = |key: &String| {
        rules.alone.iter().any(|known| known.strip_prefix(place) == Some(format!("/{key}").as_str()))
    };
    let absent = wanted.keys().filter(|key| !may_lack && !alone(key) && !given.contains_key(*key));
    let extra = given.keys().filter(|key| !may_add && !alone(key) && !wanted.contains_key(*key));
    absent
        .map(|key| format!("{place}/{key}: absent"))
        .chain(extra.map(|key| format!("{place}/{key}: not in the recorded answer")))
        .collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_and_types_count_and_values_do_not() {
        let recorded = json!({"a": 1, "b": [{"c": "x"}], "d": {}});
        assert_eq!(
            shape_diff(&recorded, &json!({"a": 7, "b": [{"c": "y"}, 3], "d": {}})),
            Vec::<String>::new()
        );
        let found = shape_diff(&recorded, &json!({"a": "1", "b": [{"e": 1}], "d": []}));
        assert_eq!(
            found,
            [
                "/a: string instead of number",
                "/b/[]/c: absent",
                "/b/[]/e: not in the recorded answer",
                "/d: array instead of object",
            ]
        );
    }

    #[test]
    fn an_empty_array_tells_nothing_about_its_elements() {
        assert_eq!(shape_diff(&json!([]), &json!([1])), Vec::<String>::new());
        assert_eq!(shape_diff(&json!([]), &json!(null)), [": null instead of array"]);
    }

    #[test]
    fn states_and_messages_are_compared_by_value() {
        let recorded = json!({"state": "COMPLETED", "details": [{"state": "SUCCESS", "name": "a"}]});
        let other = json!({"state": "COMPLETED", "details": [{"state": "PARTIAL", "name": "b"}]});
        assert_eq!(
            meaning_diff(&recorded, &other, &Rules::default()),
            ["/details/[]/state: \"PARTIAL\" instead of \"SUCCESS\""]
        );
        let rules = Rules { varies: &["/details/[]/state"], ..Rules::default() };
        assert_eq!(meaning_diff(&recorded, &other, &rules), Vec::<String>::new());
    }

    #[test]
    fn maps_are_compared_by_an_entry() {
        let rules = Rules { maps: &["/indices"], ..Rules::default() };
        let recorded = json!({"indices": {"a": {"n": 1}}});
        assert_eq!(
            shape_diff_by(&recorded, &json!({"indices": {"b": {"n": 2}}}), &rules, Whose::Twin),
            Vec::<String>::new()
        );
        assert_eq!(
            shape_diff_by(&recorded, &json!({"indices": {"b": {}}}), &rules, Whose::Twin),
            ["/indices/*/n: absent"]
        );
    }

    #[test]
    fn what_may_stand_alone_may_do_so_on_either_side_and_at_its_place_only() {
        let rules = Rules { alone: &["/a/b"], ..Rules::default() };
        let (with, without) = (json!({"a": {"b": 1}}), json!({"a": {}}));
        let diff = |expected: &Value, actual: &Value| shape_diff_by(expected, actual, &rules, Whose::Twin);
        assert_eq!((diff(&with, &without), diff(&without, &with)), (vec![], vec![]));
        assert_eq!(diff(&json!({"b": 1}), &json!({})), ["/b: absent"]);
        assert_eq!(diff(&without, &json!({"a": {"c": 1}})), ["/a/c: not in the recorded answer"]);
    }

    #[test]
    fn of_a_part_the_twin_may_tell_less_and_a_real_server_more() {
        let rules = Rules { partial: &["/contexts"], ..Rules::default() };
        let recorded = json!({"contexts": {"a": 1}});
        let (less, more) = (json!({"contexts": {}}), json!({"contexts": {"a": 2, "b": 3}}));
        let diff = |actual, whose| shape_diff_by(&recorded, actual, &rules, whose);
        assert_eq!(diff(&less, Whose::Twin), Vec::<String>::new());
        assert_eq!(diff(&more, Whose::Twin), ["/contexts/b: not in the recorded answer"]);
        assert_eq!(diff(&less, Whose::Real), ["/contexts/a: absent"]);
        assert_eq!(diff(&more, Whose::Real), Vec::<String>::new());
    }
}
