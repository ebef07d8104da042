//! Credentials and ways to servers as their users meet them: what works, who was refused by whom, and that no secret is
//! ever found in what the program says or keeps.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use c8keep_twin::Host;

use crate::guard::{Guard, wants};
use crate::theatre::{Ended, Theatre};

/// One for every field that takes a secret.
const MANAGEMENT: &str = "canary-management-Pa55";
const BROKERS: &str = "canary-brokers-t0ken";
const REST: &str = "canary-rest-Pa55";
const OPERATE: &str = "canary-operate-t0ken";
const CLIENT: &str = "canary-client-s3cret";
const TOKEN: &str = "canary-granted-t0ken";
const HEADER: &str = "canary-header-v4lue";
const SEARCH: &str = "canary-search-k3y";
const ADDRESS: &str = "canary-address-Pa55";

/// A certificate and its key, PEM: made for this run of the tests.
static CERTIFICATE: LazyLock<(String, String)> = LazyLock::new(|| {
    let pair = rcgen::generate_simple_self_signed(vec!["c8keep".to_owned()]).unwrap();
    (pair.cert.pem(), pair.signing_key.serialize_pem())
});

/// `operator:` with a password, as the header carries it.
const MANAGEMENT_HEADER: &str = "authorization: Basic b3BlcmF0b3I6Y2FuYXJ5LW1hbmFnZW1lbnQtUGE1NQ==";
const REST_HEADER: &str = "authorization: Basic b3BlcmF0b3I6Y2FuYXJ5LXJlc3QtUGE1NQ==";
const ADDRESS_HEADER: &str = "authorization: Basic b3BlcmF0b3I6Y2FuYXJ5LWFkZHJlc3MtUGE1NQ==";

/// An installation in which everything wants credentials.
struct Locked {
    theatre: Theatre,
    management: Guard,
    brokers: Vec<Guard>,
    rest: Guard,
    operate: Guard,
    tasklist: Guard,
    optimize: Guard,
    search: Guard,
    idp: Guard,
    secrets: PathBuf,
}

impl Locked {
    fn new() -> Locked {
        let mut config = Theatre::quick("8.6.0");
        config.optimize = true;
        let brokers = config.brokers;
        let mut theatre = Theatre::new(config);
        let before = |host, header: &str| Guard::before(&theatre.url(host), wants(header));
        let locked_brokers =
            (0..brokers).map(|n| before(Host::Broker(n), &format!("authorization: Bearer {BROKERS}")));
        let brokers: Vec<Guard> = locked_brokers.collect();
        let management = before(Host::Gateway, MANAGEMENT_HEADER);
        let rest = before(Host::Rest, REST_HEADER);
        let operate = before(Host::Operate, &format!("authorization: Bearer {OPERATE}"));
        let tasklist = before(Host::Tasklist, &format!("authorization: Bearer {TOKEN}"));
        let optimize = before(Host::Optimize, ADDRESS_HEADER);
        let search = before(Host::Search, &format!("authorization: ApiKey {SEARCH}"));
        let idp = Guard::alone(|request| {
            if request.contains(&format!("client_secret={CLIENT}")) {
                (200, format!(r#"{{"access_token":"{TOKEN}","expires_in":300}}"#))
            } else {
                (401, format!(r#"{{"error":"invalid_client","error_description":{request:?}}}"#))
            }
        });
        for name in
            ["ORCHESTRATION_CLUSTER_MANAGEMENT_API", "OPERATE_MANAGEMENT_API", "TASKLIST_MANAGEMENT_API"]
        {
            theatre.unset(name);
        }
        theatre.unset("ELASTIC_ENDPOINT");
        let address = optimize.url().replace("http://", &format!("http://operator:{ADDRESS}@"));
        theatre.set("OPTIMIZE_MANAGEMENT_API", &address);
        theatre.set("REST_PASSWORD", REST);
        theatre.set("CLIENT_SECRET", CLIENT);
        theatre.set("HEADER_VALUE", HEADER);
        theatre.set("SEARCH_KEY", SEARCH);
        // Not below the home: that is searched for secrets.
        let secrets = theatre.home().with_extension("secrets");
        std::fs::create_dir_all(&secrets).unwrap();
        std::fs::write(secrets.join("management"), format!("{MANAGEMENT}\n")).unwrap();
        std::fs::write(secrets.join("brokers"), BROKERS).unwrap();
        std::fs::write(secrets.join("operate"), OPERATE).unwrap();
        std::fs::write(secrets.join("c8keep.crt"), &CERTIFICATE.0).unwrap();
        std::fs::write(secrets.join("c8keep.key"), &CERTIFICATE.1).unwrap();
        let mut locked =
            Locked { theatre, management, brokers, rest, operate, tasklist, optimize, search, idp, secrets };
        locked.configure();
        locked
    }

    fn configure(&mut self) {
        let folder = self.secrets.display();
        let brokers: Vec<String> = self.brokers.iter().map(Guard::url).collect();
        // A way through a port-forward, and a name that nobody resolves.
        let text = format!(
            "management: http://camunda.invalid:9600\nconnect_to: {{camunda.invalid:9600: 127.0.0.1:{}}}\n\
             brokers: [{}]\nrest: {}\noperate: {{address: {}}}\ntasklist: {{address: {}}}\nsearch: {{address: {}}}\n\
             access:\n\
             \x20 management:\n    basic: {{user: operator, password: {{file: {folder}/management}}}}\n\
             \x20   headers: {{X-Scope-OrgID: ops, X-Api-Key: {{env: HEADER_VALUE}}}}\n\
             \x20 brokers: {{bearer: {{file: {folder}/brokers}}}}\n\
             \x20 rest: {{basic: {{user: operator, password: {{env: REST_PASSWORD}}}}}}\n\
             \x20 operate: {{bearer: {{file: {folder}/operate}}}}\n\
             \x20 tasklist:\n    oauth: {{token_url: {}, client_id: c8keep, client_secret: {{env: CLIENT_SECRET}}}}\n\
             \x20 optimize: {{tls: {{client_certificate: {{certificate: {folder}/c8keep.crt, key: {folder}/c8keep.key}}}}}}\n\
             \x20 search: {{api_key: {{env: SEARCH_KEY}}}}\n",
            self.management.port(),
            brokers.join(", "),
            self.rest.url(),
            self.operate.url(),
            self.tasklist.url(),
            self.search.url(),
            self.idp.url(),
        );
        let file = self.secrets.join("c8keep.yaml");
        std::fs::write(&file, text).unwrap();
        self.theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    }

    /// The configuration with something else in it.
    fn change(&self, text: &str, by: &str) -> PathBuf {
        let written = std::fs::read_to_string(self.secrets.join("c8keep.yaml")).unwrap();
        assert!(written.contains(text), "{written}");
        let other = self.secrets.join("other.yaml");
        std::fs::write(&other, written.replace(text, by)).unwrap();
        other
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let ended = self.theatre.run(arguments);
        assert_clean(ended.said().as_bytes(), &arguments.join(" "));
        ended
    }

    /// Every verb that meets the outside, and everything that it keeps.
    fn run_all(&self) -> Vec<Ended> {
        let mut ended = Vec::new();
        for arguments in [
            &["plan", "-vv"][..],
            &["backup", "-vv", "--stall", "2s", "--release-wait", "2s"],
            &["backup", "-vv", "-o", "json", "--stall", "2s", "--release-wait", "2s"],
            &["status", "-vv"],
            &["status", "-o", "yaml"],
            &["list", "-vv"],
            &["list", "-o", "json"],
            &["show", "latest", "-vv"],
            &["show", "latest", "-o", "json"],
            &["resume-exporting", "-vv", "--release-wait", "2s"],
        ] {
            ended.push(self.run(arguments));
        }
        assert_folder_clean(self.theatre.home());
        ended
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.secrets);
    }
}

#[track_caller]
fn assert_clean(bytes: &[u8], place: &str) {
    let encoded = [MANAGEMENT_HEADER, REST_HEADER, ADDRESS_HEADER].map(|h| h.rsplit(' ').next().unwrap());
    let secrets = [MANAGEMENT, BROKERS, REST, OPERATE, CLIENT, TOKEN, HEADER, SEARCH, ADDRESS];
    let key = CERTIFICATE.1.lines().filter(|line| !line.starts_with('-'));
    for secret in secrets.into_iter().chain(encoded).chain(key) {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {place}:\n{}", String::from_utf8_lossy(bytes));
    }
}

/// Journal and vault, byte by byte.
fn assert_folder_clean(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_folder_clean(&path);
        } else {
            assert_clean(&std::fs::read(&path).unwrap(), &path.display().to_string());
        }
    }
}

/// Also the proof that each of them was sent: nothing here answers without.
#[test]
fn canaries_are_used_and_found_nowhere() {
    let locked = Locked::new();
    let ended = locked.run_all();
    assert!(
        ended.iter().all(|e| e.code == Some(0)),
        "{:#?}",
        ended.iter().map(|e| (e.code, e.said())).collect::<Vec<_>>()
    );
    let shown = locked.run(&["show", "latest", "-o", "json"]).json();
    assert_eq!(shown["manifest"]["witness"]["verdict"]["kind"], "proven", "{shown}");
}

/// Servers that repeat what they were sent, in every place that can refuse.
#[test]
fn canaries_come_back_in_refusals_and_are_found_nowhere() {
    let locked = Locked::new();
    let echo = |request: &str| Some((401, format!("{{\"message\":{request:?}}}")));
    let guards = [&locked.search, &locked.tasklist, &locked.operate, &locked.optimize, &locked.management];
    for guard in guards {
        guard.replace(echo);
        let ended = locked.run_all();
        assert!(ended[1].code == Some(12), "{}", ended[1].said());
        assert!(!locked.theatre.is_paused());
    }
}

/// Refused in the middle: what was journalled of it is clean, too, and the pause does not stay.
#[test]
fn canaries_come_back_in_the_middle_of_a_run() {
    let locked = Locked::new();
    let theirs = MANAGEMENT_HEADER.to_owned();
    let guard = wants(&theirs);
    locked.management.replace(move |request| {
        let starts = request.starts_with("POST /actuator/backups");
        if starts { Some((403, format!("{{\"message\":{request:?}}}"))) } else { guard(request) }
    });
    let ended = locked.run_all();
    let said = ended[1].said();
    assert_eq!(ended[1].code, Some(12), "{said}");
    assert!(said.contains("user operator is known and may not do that"), "{said}");
    assert!(!locked.theatre.is_paused());
}

/// The one refusal that must be seen from afar.
#[test]
fn whoever_may_pause_and_not_resume_is_told_at_once() {
    let locked = Locked::new();
    let guard = wants(MANAGEMENT_HEADER);
    locked.management.replace(move |request| {
        let resumes = request.starts_with("POST /actuator/exporting/resume");
        if resumes { Some((403, String::new())) } else { guard(request) }
    });
    let words = ["403", "may still be PAUSED", "itself is whole and published"];
    let ended = locked.run(&["backup", "--release-wait", "3s"]).expect(20, &words);
    assert!(locked.theatre.is_paused(), "{}", ended.said());
    // The next one tries at once, however long its predecessor would have waited, and says that it published nothing new.
    let again = locked.run(&["resume-exporting", "--release-wait", "1s"]).expect(20, &["403"]);
    assert!(!again.said().contains("never sent"), "{}", again.said());
    locked.management.replace(wants(MANAGEMENT_HEADER));
    locked.run(&["resume-exporting"]).expect(0, &["exporting runs"]);
}

/// On the night when it matters, nothing that is wrong elsewhere stands in the way.
#[test]
fn exporting_can_be_resumed_whatever_is_wrong_with_other_credentials() {
    let locked = Locked::new();
    locked.theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    let file = locked.change("{env: SEARCH_KEY}", "{env: NOT_SET}, tls: {ca_file: /nonexistent.pem}");
    let file = file.to_str().unwrap();
    locked.run(&["plan", "-c", file]).expect(2, &["/nonexistent.pem"]);
    locked.run(&["status", "-c", file]).expect(20, &["PAUSED"]);
    locked.run(&["resume-exporting", "-c", file, "--yes"]).expect(0, &["exporting runs"]);
    assert!(!locked.theatre.is_paused());
}

/// Who was refused by whom, and what to set.
#[test]
fn wrong_credentials() {
    let locked = Locked::new();
    for (text, by, words) in [
        (
            "user: operator, password: {file",
            "user: nobody, password: {file",
            &["camunda.invalid:9600", "401", "user nobody was not accepted", "`access.management`"][..],
        ),
        ("{bearer: {file: ", "{bearer: {file: /nonexistent", &["/nonexistent", "access.brokers"]),
        (
            "{env: SEARCH_KEY}",
            "{env: REST_PASSWORD}",
            &["401", "the API key of the variable REST_PASSWORD", "`access.search`"],
        ),
        (
            "{env: CLIENT_SECRET}",
            "{env: REST_PASSWORD}",
            &["no token for client c8keep", "401", "invalid_client", "`access.tasklist`"],
        ),
        (
            "{env: SEARCH_KEY}",
            "{env: NOT_SET_AT_ALL}",
            &["the variable NOT_SET_AT_ALL is not set", "access.search"],
        ),
    ] {
        let file = locked.change(text, by);
        let ended = locked.run(&["backup", "-c", file.to_str().unwrap()]);
        let code =
            if words.iter().any(|w| w.contains("/nonexistent") || w.contains("not set")) { 2 } else { 12 };
        ended.expect(code, words);
        assert!(!locked.theatre.is_paused());
    }
    let none = locked.secrets.join("none.yaml");
    std::fs::write(&none, format!("management: {}\n", locked.management.url())).unwrap();
    let words = ["401", "it wants credentials and got none", "`access.management`"];
    locked.run(&["plan", "-c", none.to_str().unwrap()]).expect(12, &words);
    locked.run(&["status", "-c", none.to_str().unwrap()]).expect(12, &words);
}

/// A login that stands in the address, as curl takes it.
#[test]
fn a_login_in_the_address_is_told_by_its_user() {
    let mut locked = Locked::new();
    let address = locked.optimize.url().replace("http://", &format!("http://stranger:{ADDRESS}@"));
    locked.theatre.set("OPTIMIZE_MANAGEMENT_API", &address);
    locked.run(&["backup"]).expect(12, &["user stranger was not accepted", "`access.optimize`"]);
}

/// The file holds no secrets, and what is wrongly there is not repeated.
#[test]
fn a_secret_in_the_file_is_refused() {
    let locked = Locked::new();
    let file = locked.secrets.join("plain.yaml");
    for text in [
        format!("access: {{search: {{bearer: {SEARCH}}}}}\n"),
        format!("access: {{search: {{basic: {{user: u, password: {SEARCH}}}}}}}\n"),
        format!("access: {{search: {{headers: {{Authorization: {SEARCH}}}}}}}\n"),
    ] {
        std::fs::write(&file, text).unwrap();
        locked.run(&["plan", "-c", file.to_str().unwrap()]).expect(2, &["{env: NAME}", "{file: /path}"]);
    }
    std::fs::write(&file, "connect_to: {10.0.0.1:9600: localhost:1}\n").unwrap();
    locked.run(&["plan", "-c", file.to_str().unwrap()]).expect(2, &["10.0.0.1:9600", "must be a name"]);
}
