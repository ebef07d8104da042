use super::*;
use crate::settings::access::TlsSettings;
use crate::settings::parse;

fn notes() -> Notes {
    Notes {
        about: "Camunda 8.6.0".into(),
        sources: BTreeMap::from([
            ("management", "given".into()),
            ("search.repository", "a\nb\u{85}c: d # e".into()),
        ]),
        missing: BTreeMap::from([("optimize", "no address".into()), ("records.prefix", "several".into())]),
    }
}

fn full() -> Settings {
    let entry = |entry: Entry| Some(entry);
    let mut settings = Settings {
        name: Some("prod".into()),
        management: Some("http://core:9600/some/path".into()),
        rest: Some("http://[::1]:8080".into()),
        brokers: vec!["http://b0:9600".into(), "https://b1:9600".into()],
        journal: Some("/var/lib/my journal.db".into()),
        ..Settings::default()
    };
    settings.operate.address = Some("http://operate:9600".into());
    settings.tasklist.enabled = false;
    settings.optimize = App { address: Some("http://o:8092".into()), enabled: true, required: false };
    settings.search.address = Some("http://es:9200".into());
    settings.search.repository = Some("my: repo #1 \"x\"".into());
    settings.records.prefix = Some("123".into());
    settings.vault = Some(crate::settings::Vault { url: "/mnt/\u{e4} b".into(), ..Default::default() });
    settings.limits.stall = Some(jiff::SignedDuration::from_mins(5));
    settings.access.search = entry(Entry {
        basic: Some(Basic { user: "true".into(), password: Reference::Env("ES_PASSWORD".into()) }),
        tls: TlsSettings { ca_file: Some("/etc/my ca.pem".into()), ..TlsSettings::default() },
        ..Entry::default()
    });
    settings.access.rest =
        entry(Entry { bearer: Some(Reference::File("/run/x y".into())), ..Entry::default() });
    let words = ["pass", "-x", "a, b]", ""].map(str::to_owned);
    settings.access.management =
        entry(Entry { api_key: Some(Reference::Command(words.into())), ..Entry::default() });
    settings
}

/// Every way in that there is, each with all that it takes.
const EVERYTHING: &str = "vault: {url: 's3://b/p', endpoint: 'https://minio:9000', region: eu-central-1, path_style: true, \
    allow_http: true, account: a, access_key: AKIA, secret: {env: S3}}\n\
    connect_to: {'camunda-core:9600': '127.0.0.1:19600'}\n\
    databases: {web-modeler: {host: db, port: 5433, user: 'b@c', dbname: 'a: b', password: {file: /p}}, keycloak: {}}\n\
    access:\n  \
      management: {oauth: {token_url: 'https://idp/token', client_id: 'a, b', client_secret: {env: S}, client_auth: basic, \
        scope: 'a b', audience: c, resource: 'urn:d', tls: {ca_file: /t.pem, ca_only: true}}}\n  \
      brokers: {headers: {X-Scope-OrgID: '7', X-Api-Key: {env: K}}, tls: {client_certificate: {certificate: /c.pem, key: /k.pem}}}\n  \
      search: {aws: {region: eu-central-1, service: aoss, access_key_id: {env: I}, secret_access_key: {env: J}, \
        session_token: {env: T}}}\n";

#[test]
fn every_way_in_reads_back() {
    let settings = parse(EVERYTHING).unwrap();
    let text = write(&settings, &notes());
    assert_eq!(parse(&text).unwrap_or_else(|e| panic!("{e:?}\n{text}")), settings, "{text}");
    assert_eq!(settings.check(), Ok(()));
}

#[test]
fn it_reads_back_as_what_it_was_written_from() {
    for settings in [Settings::default(), full()] {
        let text = write(&settings, &notes());
        assert_eq!(parse(&text).unwrap_or_else(|e| panic!("{e:?}\n{text}")), settings, "{text}");
        assert!(text.contains("Camunda 8.6.0") && text.lines().all(|line| line.trim_end() == line), "{text}");
    }
}

/// Whoever takes the sign away before a key gets what the line says, and nothing that is refused.
#[test]
fn what_is_commented_out_is_right_as_well() {
    for settings in [Settings::default(), full()] {
        let text = write(&settings, &notes());
        let uncommented: Vec<String> = text.lines().map(uncommented).collect();
        let read = parse(&uncommented.join("\n")).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
        assert_eq!(read.check(), Ok(()));
        assert!(read.vault.is_some() && read.connect_to.len() == 1 && read.access.optimize.is_some());
        assert_eq!(read.limits.hold_budget, Some(jiff::SignedDuration::from_hours(2)));
    }
}

/// `# Words are prose`, `#key: value` and `#  key: value` are not.
fn uncommented(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    match line.trim_start().strip_prefix('#') {
        Some(key) if !key.starts_with(' ') || key.starts_with("  ") => format!("{}{key}", &line[..indent]),
        _ => line.to_owned(),
    }
}

/// A key that somebody adds to the settings belongs into the file as well.
#[test]
fn no_key_is_forgotten() {
    let text = write(&Settings::default(), &Notes::default());
    for section in ["", "operate", "search", "records", "limits", "access"] {
        let unknown = if section.is_empty() { "zzz: 1".into() } else { format!("{section}: {{zzz: 1}}") };
        let error = serde_saphyr::from_str::<Settings>(&unknown).unwrap_err().without_snippet().to_string();
        let (_, known) = crate::settings::words::unknown_key(&error).unwrap();
        assert!(known.len() > 1, "{error}");
        for key in known {
            assert!(
                text.lines().any(|l| l.trim_start_matches(['#', ' ']).starts_with(&format!("{key}:"))),
                "{key}"
            );
        }
    }
}
