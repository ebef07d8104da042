//! What operators write: the configuration file, variables, and the words of the command line.

use c8keep_fuzz::feed;

use crate::settings::write::{Notes, write};
use crate::settings::{Settings, credential, parse};

const WHOLE: &str = "name: prod\nmanagement: http://camunda-core:9600\nrest: http://camunda-core:8080\nbrokers:\n  - http://b0:9600\n  - \
http://b1:9600\noperate: {address: http://operate:9600, enabled: true, required: false}\nsearch: {address: http://es:9200, repository: \
camunda}\naccess:\n  search: {basic: {user: elastic, password: {env: ES_PASSWORD}}, tls: {ca_file: /etc/ca.pem}}\n  rest: {oauth: \
{token_url: https://login/token, client_id: x, client_secret: {file: /run/s}}}\nconnect_to: {'camunda-core:9600': \
127.0.0.1:19600}\nrecords: {prefix: zeebe-record}\ndatabases:\n  web-modeler: {host: db, port: 5432, user: c8keep, password: \
{command: [pass, show, x]}, dbname: modeler, mode: dumpall}\nvault: {url: s3://backups/camunda, region: eu-central-1}\njournal: \
/var/lib/c8keep/journal.db\nlimits: {hold_budget: 30m, stall: 10m, wait_deadline: 12h}\n";
const AS_JSON: &str =
    r#"{"name": "prod", "brokers": ["http://b0:9600"], "vault": "/mnt/vault", "limits": {"stall": "5m"}}"#;

/// Read, or refused in words; and what is accepted survives being written by `init`.
#[test]
fn configuration_files() {
    assert!(parse(WHOLE).is_ok() && parse(AS_JSON).is_ok(), "examples are good: {:?}", parse(WHOLE));
    let written = write(&parse(AS_JSON).unwrap(), &Notes::default());
    let examples = [WHOLE.as_bytes().to_vec(), AS_JSON.as_bytes().to_vec(), written.into_bytes()];
    feed("configuration files", &examples, |input| match parse(&input.text()) {
        Ok(settings) => match settings.check() {
            Ok(()) => {
                let resolved = [settings.connect_to().err(), settings.databases().err()];
                let refused = resolved.into_iter().flatten().map(|fault| format!("{fault}\n{}", fault.hint));
                refused.chain(survives_init(&settings)).collect()
            }
            Err(fault) => vec![fault.to_string(), fault.hint],
        },
        Err((why, hint)) => {
            let fault = crate::settings::usage("c8keep.yaml", why, &hint);
            vec![fault.to_string(), fault.hint]
        }
    });
}

fn survives_init(settings: &Settings) -> Vec<String> {
    // What is added by hand is not written.
    let known = Settings {
        name: settings.name.clone(),
        management: settings.management.clone(),
        rest: settings.rest.clone(),
        brokers: settings.brokers.clone(),
        operate: settings.operate.clone(),
        search: settings.search.clone(),
        records: settings.records.clone(),
        ..Settings::default()
    };
    let text = write(&known, &Notes::default());
    assert_eq!(parse(&text).as_ref(), Ok(&known), "{text}");
    Vec::new()
}

#[test]
fn words_of_the_command_line() {
    let texts = [
        "basic:elastic:env:ES_PASSWORD",
        "api-key:command:pass show key",
        "bearer:file:/run/x",
        "90s",
        "2h 5m",
    ];
    let examples: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    feed("words of the command line", &examples, |input| {
        let text = input.text();
        let _ = credential(&text);
        if let Ok(time) = text.parse::<jiff::SignedDuration>() {
            let written = format!("{time:#}");
            assert_eq!(written.parse::<jiff::SignedDuration>().ok(), Some(time), "{written}");
        }
        Vec::new()
    });
}

/// What the environment holds, in the variables of Camunda's page.
#[test]
fn variables() {
    let texts = ["http://localhost:9600", "camunda", "https://elastic:canary@es:9200/x", "camunda-prod"];
    let examples: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    feed("variables", &examples, |input| {
        let mut settings = Settings::default();
        let text = input.text();
        // Some are set, by the length of their names.
        settings.put_environment_over(|name| (input.number >> name.len() & 1 == 1).then(|| text.clone()));
        settings.check().err().map(|fault| format!("{fault}\n{}", fault.hint)).into_iter().collect()
    });
}
