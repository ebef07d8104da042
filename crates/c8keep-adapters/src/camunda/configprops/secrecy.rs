//! Which properties show a secret to whoever asks. Names only: a value is looked at to see whether it is hidden, and dropped.

use serde_json::Value;

use super::is_told;
use crate::camunda::wire::Answer;

/// Properties that sound like secrets and are not hidden, by name. Spring puts asterisks in place of what is hidden.
pub(super) fn shown_secrets(answer: &Answer<'_>) -> Vec<String> {
    const SHOWN_MAX: usize = 10;
    let mut shown = Vec::new();
    let Ok(Value::Object(body)) = answer.json::<Value>() else { return shown };
    let contexts =
        body.get("contexts").and_then(Value::as_object).into_iter().flat_map(|contexts| contexts.values());
    let beans =
        contexts.filter_map(|context| context.get("beans")?.as_object()).flat_map(|beans| beans.values());
    for bean in beans {
        let prefix = bean.get("prefix").and_then(Value::as_str).unwrap_or_default();
        if let Some(properties) = bean.get("properties") {
            look_for_secrets(prefix, properties, &mut shown);
        }
    }
    shown.sort();
    shown.dedup();
    shown.truncate(SHOWN_MAX);
    shown
}

fn look_for_secrets(path: &str, value: &Value, shown: &mut Vec<String>) {
    const SOUNDS: [&str; 5] = ["password", "secret", "secretkey", "accesskey", "apikey"];
    let Value::Object(properties) = value else { return };
    for (key, value) in properties {
        let plain = key.replace(['-', '_'], "").to_ascii_lowercase();
        let path = format!("{path}.{key}");
        match value {
            Value::String(text) if is_told(text) && SOUNDS.iter().any(|sound| plain.ends_with(sound)) => {
                shown.push(path);
            }
            _ => look_for_secrets(&path, value, shown),
        }
    }
}
