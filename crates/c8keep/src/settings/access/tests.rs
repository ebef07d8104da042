use super::*;
use crate::settings::parse;

fn entry(text: &str) -> Result<AccessSettings, String> {
    let settings = parse(text).map_err(|(why, hint)| format!("{why} {hint}"))?;
    settings.access.check().map_err(|fault| format!("{fault}"))?;
    settings.access.accesses().map_err(|fault| format!("{fault}"))?;
    Ok(settings.access)
}

#[test]
fn every_way_to_prove_who_we_are() {
    let access = entry(
        "access:\n  management: {oauth: {token_url: https://idp/token, client_id: c8keep, client_secret: {env: S},\n\
         \x20   client_auth: basic, scope: a b, audience: c}, headers: {X-Scope-OrgID: 7, X-Api-Key: {env: K}}}\n\
         \x20 rest: {bearer: {file: /run/token}}\n  search: {api_key: {env: KEY}}\n\
         \x20 optimize: {basic: {user: u, password: {env: P}}}\n",
    )
    .unwrap();
    assert_eq!(access.search.as_ref().unwrap().api_key, Some(Reference::Env("KEY".into())));
    let accesses = access.accesses().unwrap();
    let who = |access: &Access| access.who().to_string();
    assert_eq!(who(&accesses.management), "client c8keep with a token of https://idp/token");
    assert_eq!(who(&accesses.brokers), who(&accesses.management), "the same cluster");
    assert_eq!(who(&accesses.rest), "the bearer token of the file /run/token");
    assert_eq!(who(&accesses.search), "the API key of the variable KEY");
    assert_eq!(who(&accesses.apps[&HistoryApp::Optimize]), "user u");
    assert_eq!(who(&accesses.apps[&HistoryApp::Operate]), "nobody", "another server");
}

/// Whatever stands where a reference belongs may be the secret.
#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for value in [
        "4711geheim",
        "4711",
        "47.11",
        "-4711",
        "true4711",
        "[4711]",
        "{command: 4711}",
        "{value: x4711}",
        "{env: A, file: 4711}",
    ] {
        for text in [
            format!("access: {{search: {{bearer: {value}}}}}\n"),
            format!("access: {{search: {{api_key: {value}}}}}\n"),
            format!(
                "access: {{search: {{aws: {{region: r, access_key_id: {{env: A}}, secret_access_key: {value}}}}}}}\n"
            ),
            format!("access: {{search: {{basic: {{user: u, password: {value}}}}}}}\n"),
            format!(
                "access:\n  management:\n    oauth:\n      token_url: http://i\n      client_id: c\n      client_secret: {value}\n"
            ),
        ] {
            let why = entry(&text).unwrap_err();
            assert!(!why.contains("4711"), "{text}: {why}");
        }
    }
    for text in [
        "access: {search: {basic: 'u:4711'}}\n",
        "access: {search: {headers: {Authorization: Basic 4711}}}\n",
        "access: {search: {headers: {X-Api-Key: a4711}}}\n",
        "access: {search: 4711}\n",
    ] {
        let why = entry(text).unwrap_err();
        assert!(!why.contains("4711"), "{text}: {why}");
    }
    let why = entry("access: {search: {bearer: geheim}}\n").unwrap_err();
    assert!(why.contains("{env: NAME}") && why.starts_with("line 1, column "), "{why}");
}

#[test]
fn what_cannot_be_meant_is_said() {
    for (text, words) in [
        ("access: {search: {bearer: {env: A}, api_key: {env: B}}}\n", "several credentials"),
        ("access: {search: {tls: {ca_only: true}}}\n", "nobody would be trusted"),
        ("access: {search: {tls: {ca_file: /nonexistent.pem}}}\n", "/nonexistent.pem"),
        ("access: {search: {headers: {Host: a}}}\n", "c8keep's own business"),
        ("access: {search: {headers: {'a b': a}}}\n", "not the name of a header"),
        ("access: {search: {tls: {insecure: true}}}\n", "insecure is not known"),
        ("access: {searh: {}}\n", "\"search\"?"),
        ("access: {search: {aws: {access_key_id: {env: A}, secret_access_key: {env: B}}}}\n", "region"),
        ("access: {search: {bearer: {envv: A}}}\n", "env"),
        ("access: {search: {bearer: {command: pass show es}}}\n", "a list is expected here"),
    ] {
        let why = entry(text).unwrap_err();
        assert!(why.contains(words), "{text}: {why}");
    }
}
