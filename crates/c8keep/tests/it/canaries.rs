//! Canaries: a secret that is easily recognised in every field of the configuration that takes one (`tests/canaries.yaml`), and
//! looked for in all that the program says and keeps, whether servers answer or refuse and repeat what they were sent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use c8keep_twin::Host;

use crate::databases::{ANSWER, PLAYER, ROLES};
use crate::guard::Guard;
use crate::theatre::{Ended, Theatre};

/// The configuration with all fields that take a secret.
const DOCUMENTS: &str = include_str!("../canaries.yaml");

/// A secret that stands in an address, which only a variable can give.
const ADDRESS: &str = "canary-address-Pa55w0rd";
/// What a token endpoint hands out.
const TOKEN: &str = "canary-granted-Pa55w0rd";
/// What libpq's own ways say.
const LIBPQ: &str = "canary-libpq-Pa55w0rd";

/// The secrets of one theatre: where each is, and what must be found nowhere else.
pub struct Canaries {
    folder: PathBuf,
    variables: BTreeMap<String, String>,
    marks: Vec<String>,
}

impl Canaries {
    /// One for every place that the documents name. Not below the home: that is searched for them.
    fn new(home: &Path, vault: &str) -> Canaries {
        let folder = home.with_extension("secrets");
        std::fs::create_dir_all(&folder).unwrap();
        let marks = vec![ADDRESS.to_owned(), TOKEN.to_owned(), LIBPQ.to_owned()];
        let mut canaries = Canaries { folder, variables: BTreeMap::new(), marks };
        let pair = rcgen::generate_simple_self_signed(vec!["c8keep".to_owned()]).unwrap();
        canaries.write("c8keep.crt", &pair.cert.pem());
        for word in DOCUMENTS.split([' ', '{', '}', ',', '[', ']', '"', '\n']) {
            if let Some(file) = word.strip_prefix("SECRETS/canary-") {
                let text = canaries.text_of(file, vault, &pair.signing_key.serialize_pem());
                canaries.write(&format!("canary-{file}"), &text);
            } else if let Some(name) = word.strip_prefix("CANARY_") {
                let value = canaries.mark(&name.to_lowercase().replace('_', "-"));
                canaries.variables.insert(word.to_owned(), value);
            }
        }
        let encoded = canaries.marks.iter().flat_map(|mark| {
            ["", "operator:", "c8keep:", "backup:"].map(|user| base64(&format!("{user}{mark}")))
        });
        let encoded: Vec<String> = encoded.collect();
        canaries.marks.extend(encoded);
        canaries
    }

    /// What a secret file holds, which is not always a mere word.
    fn text_of(&mut self, file: &str, vault: &str, key: &str) -> String {
        let mark = || format!("canary-{file}-Pa55w0rd");
        match file {
            _ if file.split('.').nth(1) == Some("key") => {
                let lines = key.lines().filter(|line| !line.starts_with('-')).map(str::to_owned);
                self.marks.extend(lines);
                key.to_owned()
            }
            "azure-key" => base64(&self.mark(file)),
            "azure-signature" => {
                self.mark(file);
                format!("sv=2022-11-02&ss=b&srt=co&sp=rwl&sig={}", mark())
            }
            "google" => format!(
                r#"{{"private_key":"{}","private_key_id":"x","client_email":"","gcs_base_url":"{vault}","disable_oauth":true}}"#,
                self.mark(file)
            ),
            "google-damaged" => {
                format!(
                    r#"{{"private_key":"{}","private_key_id":"x","client_email":"a@b"}}"#,
                    self.mark(file)
                )
            }
            // As editors leave it.
            _ => format!("{}\n", self.mark(file)),
        }
    }

    fn mark(&mut self, of: &str) -> String {
        let mark = format!("canary-{of}-Pa55w0rd");
        self.marks.push(mark.clone());
        mark
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    fn value(&self, place: &str) -> String {
        match self.variables.get(place) {
            Some(value) => value.clone(),
            None => std::fs::read_to_string(self.folder.join(place)).unwrap().trim().to_owned(),
        }
    }

    #[track_caller]
    fn assert_clean(&self, bytes: &[u8], place: &str) {
        for mark in &self.marks {
            let found = bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
            assert!(!found, "{mark} is in {place}:\n{}", String::from_utf8_lossy(bytes));
        }
    }

    /// Journal, vault and all that was written, byte by byte.
    fn assert_folder_clean(&self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.assert_folder_clean(&path);
            } else {
                self.assert_clean(&std::fs::read(&path).unwrap(), &path.display().to_string());
            }
        }
    }
}

impl Drop for Canaries {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// RFC 4648, with padding.
pub fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let piece = |bytes: &[u8]| {
        let joined = bytes.iter().fold(0_u32, |joined, byte| joined << 8 | u32::from(*byte))
            << (8 * (3 - bytes.len()));
        let letter = |nth: usize| match nth {
            _ if nth > bytes.len() => '=',
            _ => char::from(LETTERS[(joined >> (18 - 6 * nth) & 63) as usize]),
        };
        [0, 1, 2, 3].map(letter)
    };
    text.as_bytes().chunks(3).flat_map(piece).collect()
}

/// An installation in which everything wants credentials.
pub struct Locked {
    pub theatre: Theatre,
    pub management: Guard,
    pub operate: Guard,
    tasklist: Guard,
    pub optimize: Guard,
    rest: Guard,
    brokers: Vec<Guard>,
    search: Guard,
    idp: Guard,
    pub canaries: Canaries,
}

/// Lets through what carries all these headers, and repeats in its refusal all that it was sent: the worst of servers.
fn wants(headers: &[String]) -> impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static {
    let headers = headers.to_vec();
    move |request| {
        let carries = |header: &String| request.lines().any(|line| line.eq_ignore_ascii_case(header));
        (!headers.iter().all(carries)).then(|| (401, format!("not accepted: {request}")))
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("authorization: Basic {}", base64(&format!("{user}:{password}")))
}

/// A token endpoint that knows one client, and repeats to any other what it sent.
fn token_endpoint(sent: String) -> Guard {
    Guard::alone(move |request| {
        if request.contains(&sent) {
            (200, format!(r#"{{"access_token":"{TOKEN}","expires_in":300}}"#))
        } else {
            (401, format!(r#"{{"error":"invalid_client","error_description":{request:?}}}"#))
        }
    })
}

impl Locked {
    pub fn new() -> Locked {
        let mut config = Theatre::quick("8.6.0");
        config.optimize = true;
        let count = config.brokers;
        let theatre = Theatre::new(config);
        let canaries = Canaries::new(theatre.home(), "http://127.0.0.1:1");
        let before = |host, headers: &[String]| Guard::before(&theatre.url(host), wants(headers));
        let bearer = |place: &str| [format!("authorization: Bearer {}", canaries.value(place))];
        let brokers = (0..count).map(|n| before(Host::Broker(n), &bearer("canary-bearer-command"))).collect();
        let mut locked = Locked {
            management: before(Host::Gateway, &Locked::of_management(&canaries)),
            operate: before(Host::Operate, &bearer("canary-bearer-file")),
            tasklist: before(Host::Tasklist, &[format!("authorization: Bearer {TOKEN}")]),
            optimize: before(Host::Optimize, &[basic("operator", ADDRESS)]),
            rest: before(Host::Rest, &[basic("operator", &canaries.value("CANARY_BASIC"))]),
            brokers,
            search: before(
                Host::Search,
                &[format!("authorization: ApiKey {}", canaries.value("CANARY_API_KEY"))],
            ),
            idp: token_endpoint(format!("client_secret={}", canaries.value("CANARY_CLIENT"))),
            theatre,
            canaries,
        };
        locked.configure();
        locked
    }

    fn of_management(canaries: &Canaries) -> [String; 3] {
        [
            basic("operator", &canaries.value("canary-basic-file")),
            format!("x-api-key: {}", canaries.value("CANARY_HEADER")),
            format!("cookie: {}", canaries.value("canary-header-file")),
        ]
    }

    pub fn unlock_management(&self) {
        self.management.replace(wants(&Locked::of_management(&self.canaries)));
    }

    fn configure(&mut self) {
        for name in
            ["ORCHESTRATION_CLUSTER_MANAGEMENT_API", "OPERATE_MANAGEMENT_API", "TASKLIST_MANAGEMENT_API"]
        {
            self.theatre.unset(name);
        }
        self.theatre.unset("ELASTIC_ENDPOINT");
        let address = self.optimize.url().replace("http://", &format!("http://operator:{ADDRESS}@"));
        self.theatre.set("OPTIMIZE_MANAGEMENT_API", &address);
        give(&mut self.theatre, &self.canaries);
        let brokers: Vec<String> = self.brokers.iter().map(Guard::url).collect();
        let tools = self.tools();
        let text = DOCUMENTS
            .split("---\n")
            .next()
            .unwrap()
            .replace("MANAGEMENT_PLACE", &format!("127.0.0.1:{}", self.management.port()))
            .replace("BROKERS_URLS", &brokers.join(", "))
            .replace("REST_URL", &self.rest.url())
            .replace("OPERATE_URL", &self.operate.url())
            .replace("TASKLIST_URL", &self.tasklist.url())
            .replace("SEARCH_URL", &self.search.url())
            .replace("IDP_URL", &self.idp.url())
            .replace("TOOLS", tools.to_str().unwrap())
            .replace("SECRETS", self.canaries.folder.to_str().unwrap());
        self.canaries.write("c8keep.yaml", &text);
        let file = self.canaries.folder.join("c8keep.yaml");
        self.theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    }

    /// PostgreSQL's tools, which do well only with the password.
    fn tools(&self) -> PathBuf {
        let folder = self.canaries.folder.join("tools");
        std::fs::create_dir(&folder).unwrap();
        let password = self.canaries.value("CANARY_DATABASE");
        let answer = format!("printf '%s' '{}'", ANSWER.replace('\'', "'\\''"));
        for (program, does) in
            [("psql", answer.as_str()), ("pg_dump", "printf PGDMP; seq 1 1000"), ("pg_dumpall", ROLES)]
        {
            let script = format!(
                "case \"$*\" in --version) echo '{program} (PostgreSQL) 15.18'; exit;; esac\n\
                 [ \"$PGPASSWORD\" = {password} ] || {{ echo 'psql: error: password authentication failed' >&2; exit 2; }}\n{does}\n"
            );
            let link = folder.join(program);
            std::fs::write(link.with_extension("does"), script).unwrap();
            std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(PLAYER), link).unwrap();
        }
        folder
    }

    /// The configuration with something else in it.
    pub fn change(&self, text: &str, by: &str) -> PathBuf {
        let written = std::fs::read_to_string(self.canaries.folder.join("c8keep.yaml")).unwrap();
        assert!(written.contains(text), "{text} is not in\n{written}");
        self.canaries.write("other.yaml", &written.replacen(text, by, 1));
        self.canaries.folder.join("other.yaml")
    }

    /// Another file beside it.
    pub fn file(&self, text: &str) -> PathBuf {
        self.canaries.write("another.yaml", text);
        self.canaries.folder.join("another.yaml")
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(&self.theatre, &self.canaries, arguments)
    }

    /// Every verb that meets the outside, and everything that it keeps.
    fn run_all(&self) -> Vec<Ended> {
        let mut ended = run_these(&VERBS, &self.theatre, &self.canaries);
        ended.push(self.init());
        self.canaries.assert_folder_clean(self.theatre.home());
        ended
    }

    /// With the credentials that it takes as options; the file that it writes is below the home.
    fn init(&self) -> Ended {
        let secrets = self.canaries.folder.display();
        let file = self.theatre.home().join("written.yaml");
        let (management, rest, operate, search) =
            (self.management.url(), self.rest.url(), self.operate.url(), self.search.url());
        let brokers: Vec<String> = self.brokers.iter().map(Guard::url).collect();
        let credentials = [
            format!("management=basic:operator:file:{secrets}/canary-basic-file"),
            "management=header:X-Api-Key:env:CANARY_HEADER".into(),
            format!("management=header:Cookie:file:{secrets}/canary-header-file"),
            format!("brokers=bearer:command:cat {secrets}/canary-bearer-command"),
            "rest=basic:operator:env:CANARY_BASIC".into(),
            format!("operate=bearer:file:{secrets}/canary-bearer-file"),
            "search=api-key:env:CANARY_API_KEY".into(),
        ];
        let brokers = brokers.join(",");
        let mut arguments =
            vec!["-c", file.to_str().unwrap(), "init", "-vv", "--force", &management, "--tasklist", "off"];
        arguments.extend([
            "--rest",
            &rest,
            "--operate",
            &operate,
            "--search",
            &search,
            "--brokers",
            &brokers,
        ]);
        arguments.extend(credentials.iter().flat_map(|credential| ["--credential", credential]));
        self.run(&arguments)
    }
}

/// Puts the secrets where the configuration says, and libpq's own beside them.
fn give(theatre: &mut Theatre, canaries: &Canaries) {
    for (name, value) in &canaries.variables {
        theatre.set(name, value);
    }
    canaries.write("pgpass", &format!("*:*:*:*:{LIBPQ}\n"));
    theatre.set("PGPASSFILE", canaries.folder.join("pgpass").to_str().unwrap());
    theatre.set("PGPASSWORD", LIBPQ);
    theatre.set("PATH", &std::env::var("PATH").unwrap());
}

fn run(theatre: &Theatre, canaries: &Canaries, arguments: &[&str]) -> Ended {
    let ended = theatre.run(arguments);
    canaries.assert_clean(ended.said().as_bytes(), &arguments.join(" "));
    ended
}

/// The verbs that meet the outside; the first four are those that meet all of it.
const VERBS: [&[&str]; 13] = [
    &["doctor", "-vv"],
    &["doctor", "-o", "json"],
    &["plan", "-vv"],
    &["backup", "-vv", "--stall", "2s", "--release-wait", "2s"],
    &["backup", "-vv", "-o", "json", "--stall", "2s", "--release-wait", "2s"],
    &["status", "-vv"],
    &["status", "-o", "yaml"],
    &["list", "-vv"],
    &["list", "-o", "json"],
    &["show", "latest", "-vv"],
    &["show", "latest", "-o", "json"],
    &["plan", "-o", "json"],
    &["resume-exporting", "-vv", "--release-wait", "2s"],
];

fn run_these(verbs: &[&[&str]], theatre: &Theatre, canaries: &Canaries) -> Vec<Ended> {
    let ended = verbs.iter().map(|verb| run(theatre, canaries, verb)).collect();
    canaries.assert_folder_clean(theatre.home());
    ended
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
    assert!(shown["manifest"]["parts"].to_string().contains("web-modeler"), "{shown}");
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
        assert!(ended[3].code == Some(12), "{}", ended[3].said());
        assert!(!locked.theatre.is_paused());
    }
}

/// Refused in the middle: what was journalled of it is clean, too, and the pause does not stay.
#[test]
fn canaries_come_back_in_the_middle_of_a_run() {
    let locked = Locked::new();
    let guard = wants(&Locked::of_management(&locked.canaries));
    locked.management.replace(move |request| {
        let starts = request.starts_with("POST /actuator/backups");
        if starts { Some((403, format!("{{\"message\":{request:?}}}"))) } else { guard(request) }
    });
    let ended = locked.run_all();
    let said = ended[3].said();
    assert_eq!(ended[3].code, Some(12), "{said}");
    assert!(said.contains("user operator is known and may not do that"), "{said}");
    assert!(!locked.theatre.is_paused());
}

/// What cannot stand beside the rest: object stores that refuse and repeat, or are not there; signatures, another way to a token.
#[test]
fn canaries_of_every_other_way_are_found_nowhere() {
    for document in DOCUMENTS.split("---\n").skip(1) {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let echo = Guard::alone(move |request| {
            count.fetch_add(1, Ordering::SeqCst);
            (403, format!("<Error><Code>AccessDenied</Code><Message>{request}</Message></Error>"))
        });
        refuse_everything(document, &echo.url(), &VERBS);
        // Of what cannot be used nobody is asked: a damaged key, and signatures in a build that makes none.
        let unsigned = document.contains("aws:") && !cfg!(feature = "aws");
        let unusable = document.contains("google-damaged") || unsigned;
        assert_eq!(asked.load(Ordering::SeqCst) == 0, unusable, "{document}");
        refuse_everything(document, "http://127.0.0.1:1", &VERBS[..4]);
    }
}

/// Runs verbs with a document whose servers refuse.
fn refuse_everything(document: &str, url: &str, verbs: &[&[&str]]) {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    let canaries = Canaries::new(theatre.home(), url);
    give(&mut theatre, &canaries);
    configure(&mut theatre, &canaries, document, url);
    let ended = run_these(verbs, &theatre, &canaries);
    assert!(matches!(ended[3].code, Some(2 | 10 | 12 | 13)), "{document}{}", ended[3].said());
    assert!(!theatre.is_paused(), "{document}");
}

/// One of the documents, with a server in the place of those that it names.
fn configure(theatre: &mut Theatre, canaries: &Canaries, document: &str, url: &str) {
    let text = document
        .replace("VAULT_URL", url)
        .replace("IDP_URL", url)
        .replace("SECRETS", canaries.folder.to_str().unwrap());
    if text.contains("search: {address") {
        theatre.unset("ELASTIC_ENDPOINT");
    }
    canaries.write("c8keep.yaml", &text);
    theatre.set("C8KEEP_CONFIG", canaries.folder.join("c8keep.yaml").to_str().unwrap());
}

/// With a search server that wants the signatures: the keys are used, and found nowhere.
#[cfg(feature = "aws")]
#[test]
fn canaries_sign_for_aws_and_are_found_nowhere() {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    let canaries = Canaries::new(theatre.home(), "http://127.0.0.1:1");
    give(&mut theatre, &canaries);
    let session = format!("x-amz-security-token: {}", canaries.value("canary-aws-session"));
    let credential = format!("Credential={}/", canaries.value("CANARY_AWS_ID"));
    let carries = wants(&[session]);
    let search = Guard::before(&theatre.url(Host::Search), move |request| match carries(request) {
        None if !request.contains(&credential) => Some((403, format!("not signed: {request}"))),
        refusal => refusal,
    });
    let document = DOCUMENTS.split("---\n").find(|document| document.contains("aws:")).unwrap();
    configure(&mut theatre, &canaries, document, &search.url());
    for ended in run_these(&VERBS, &theatre, &canaries) {
        assert_eq!(ended.code, Some(0), "{}", ended.said());
    }
}

#[test]
fn base64_is_that_of_the_rfc() {
    for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
    {
        assert_eq!(base64(text), encoded);
    }
}
