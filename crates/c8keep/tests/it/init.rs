//! `init`: what is written loads back to the installation that was found.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use c8keep_twin::{Config, Host, Product};

use crate::terminal::typed;
use crate::theatre::{Ended, Theatre};

const VARIABLES: [&str; 8] = [
    "ORCHESTRATION_CLUSTER_MANAGEMENT_API",
    "OPERATE_MANAGEMENT_API",
    "TASKLIST_MANAGEMENT_API",
    "OPTIMIZE_MANAGEMENT_API",
    "ELASTIC_ENDPOINT",
    "ELASTIC_SNAPSHOT_REPOSITORY",
    "OPENSEARCH_ENDPOINT",
    "OPENSEARCH_SNAPSHOT_REPOSITORY",
];

fn file(theatre: &Theatre) -> PathBuf {
    theatre.home().join("c8keep.yaml")
}

/// Runs `init` with `--config`.
fn init(theatre: &Theatre, arguments: &[&str]) -> Ended {
    let file = file(theatre);
    let all: Vec<&str> =
        ["-c", file.to_str().unwrap(), "init"].into_iter().chain(arguments.iter().copied()).collect();
    theatre.run(&all)
}

fn written(theatre: &Theatre) -> String {
    fs::read_to_string(file(theatre)).unwrap()
}

fn without_variables(theatre: &mut Theatre) {
    for name in VARIABLES {
        theatre.unset(name);
    }
}

/// What a plan says of the installation.
fn installation(theatre: &Theatre, arguments: &[&str]) -> serde_json::Value {
    let all: Vec<&str> = arguments.iter().copied().chain(["plan", "-o", "json"]).collect();
    let ended = theatre.run(&all).expect(0, &[]);
    ended.json()["installation"].clone()
}

/// In every dialect and on both products: the file alone is as good as all the variables.
#[test]
fn the_file_stands_for_what_it_was_written_from() {
    for (version, search, optimize) in [
        ("8.5.8", Product::Elasticsearch, true),
        ("8.6.0", Product::Elasticsearch, false),
        ("8.6.0", Product::OpenSearch, true),
        ("8.7.2", Product::OpenSearch, false),
        ("8.8.0", Product::Elasticsearch, true),
        ("8.9.0", Product::OpenSearch, false),
    ] {
        let mut config: Config = Theatre::quick(version);
        (config.search, config.optimize) = (search, optimize);
        let mut theatre = Theatre::new(config);
        let by_variables = installation(&theatre, &[]);
        let next = format!("`c8keep -c {} doctor`", file(&theatre).display());
        init(&theatre, &["--vault", "s3://backups/camunda"]).expect(0, &["wrote", &next, "named `default`"]);
        let text = written(&theatre);
        assert!(!text.contains("LOOK HERE"), "{version}\n{text}");
        without_variables(&mut theatre);
        let by_file = installation(&theatre, &["-c", file(&theatre).to_str().unwrap()]);
        assert_eq!(by_file, by_variables, "{version}\n{text}");
        // What init would write for its own file is the same file but for where things come from.
        assert!(text.contains("vault: s3://backups/camunda"), "{text}");
    }
}

/// One address: the cluster tells where the search server is, and the applications what they use.
#[test]
fn one_address_finds_the_rest() {
    let mut theatre = Theatre::new(Theatre::quick("8.8.0"));
    let management = theatre.url(Host::Gateway);
    let optimize = theatre.url(Host::Optimize);
    without_variables(&mut theatre);
    init(&theatre, &[&management, "--optimize", &optimize, "--installation", "prod"]).expect(0, &[]);
    let text = written(&theatre);
    for line in [
        "name: prod".to_owned(),
        format!("management: {management}"),
        format!("  address: {optimize}"),
        format!("  address: {}", theatre.url(Host::Search)),
        "  repository: camunda".into(),
        "  prefix: zeebe-record".into(),
        "#vault: ".into(),
        "#operate:".into(),
    ] {
        assert!(text.lines().any(|l| l.starts_with(&line)), "{line}\n{text}");
    }
    assert!(text.contains("# given") && text.contains("# --optimize"), "where each comes from: {text}");
    assert!(text.contains("repositoryName at"), "who says so: {text}");
}

#[test]
fn a_file_that_exists_is_kept() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    fs::write(file(&theatre), "name: mine\n").unwrap();
    init(&theatre, &[]).expect(2, &["the file exists", "--force"]);
    assert_eq!(written(&theatre), "name: mine\n");
    let printed = init(&theatre, &["--stdout"]).expect(0, &["management: "]);
    assert_eq!(written(&theatre), "name: mine\n");
    init(&theatre, &["--force"]).expect(0, &["wrote"]);
    assert_eq!(written(&theatre), printed.stdout);
    assert_eq!(fs::read_dir(theatre.home()).unwrap().count(), 1, "nothing is left beside it");
}

/// The old file's mode stays, and a link stays one; a leftover of a killed process is in nobody's way.
#[test]
fn a_file_that_is_written_over_stays_as_private_as_it_was() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    let real = theatre.home().join("real.yaml");
    fs::write(&real, "name: mine\n").unwrap();
    fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, file(&theatre)).unwrap();
    init(&theatre, &["--force"]).expect(0, &["wrote"]);
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(file(&theatre).is_symlink() && written(&theatre).contains("management: "));
    assert_eq!(fs::read_dir(theatre.home()).unwrap().count(), 2, "nothing is left beside it");
}

/// Without a terminal nothing is asked: what is missing is marked, told, and the exit code.
#[test]
fn what_is_missing_is_marked() {
    let mut config = Theatre::quick("8.6.0");
    config.optimize = true;
    config.repositories.tasklist = "other".into();
    let mut theatre = Theatre::new(config);
    theatre.unset("OPTIMIZE_MANAGEMENT_API");
    let off = init(&theatre, &["--optimize", "off", "--stdout"]).expect(10, &[]).stdout;
    assert!(
        off.contains("optimize:                                    # --optimize\n")
            && off.contains("  enabled: false\n"),
        "{off}"
    );
    let ended = init(&theatre, &[]);
    ended.expect(10, &["OPTIMIZE_MANAGEMENT_API", "tasklist", "other", "marked \"LOOK HERE:\""]);
    let text = written(&theatre);
    let marked: Vec<&str> = text.lines().filter(|line| line.contains("LOOK HERE: ")).collect();
    assert!(marked.len() == 2 && marked[0].starts_with("#optimize:"), "{text}");
    assert!(
        marked[1].contains("ELASTIC_SNAPSHOT_REPOSITORY; LOOK HERE: ") && marked[1].contains("says other"),
        "{text}"
    );
    without_variables(&mut theatre);
    fs::remove_file(file(&theatre)).unwrap();
    init(&theatre, &[]).expect(2, &["no management address is given"]);
    init(&theatre, &["http://127.0.0.1:1"]).expect(13, &["127.0.0.1:1", "refused"]);
    init(&theatre, &["http://demo:canary@127.0.0.1:1"]).expect(2, &["no secrets"]);
    assert!(!file(&theatre).exists(), "nothing to write");
}

/// An application that was named and is down hides nothing of the rest, and what is written is right once it is back.
#[test]
fn an_application_that_does_not_answer_is_marked() {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    let operate = theatre.url(Host::Operate);
    theatre.world().faults.unreachable.insert(Host::Operate);
    init(&theatre, &[]).expect(13, &["wrote", "OPERATE_MANAGEMENT_API", "marked \"LOOK HERE:\""]);
    let text = written(&theatre);
    let marked: Vec<&str> = text.lines().filter(|line| line.contains("LOOK HERE: ")).collect();
    assert!(marked.len() == 1 && marked[0].starts_with("operate:"), "{text}");
    assert!(
        text.contains(&format!("  address: {operate}")) && text.contains("  repository: camunda"),
        "{text}"
    );
    without_variables(&mut theatre);
    let with_file = ["-c", file(&theatre).to_str().unwrap(), "plan"].map(str::to_owned);
    let with_file = with_file.each_ref().map(String::as_str);
    theatre.run(&with_file).expect(13, &["operate (OPERATE_MANAGEMENT_API or `operate.address`)"]);
    theatre.world().faults.unreachable.clear();
    theatre.run(&with_file).expect(0, &["ok   check-repository"]);
}

/// Whatever was given and leads nowhere, or elsewhere: marked, and not as good as nothing.
#[test]
fn what_was_given_and_is_of_no_use_is_marked() {
    let mut theatre = Theatre::new(Theatre::quick("8.8.0"));
    for (arguments, code, key) in [
        (["--brokers", "http://127.0.0.1:1"], 13, "brokers:"),
        (["--rest", "http://127.0.0.1:1"], 13, "rest: http://127.0.0.1:1"),
        (["--operate", "banana"], 2, "  address: http://banana"),
    ] {
        let ended = init(&theatre, &[&arguments[..], &["--stdout"]].concat()).expect(code, &[]);
        let marked: Vec<&str> = ended.stdout.lines().filter(|line| line.contains("LOOK HERE: ")).collect();
        assert!(marked.len() == 1 && marked[0].starts_with(key), "{}", ended.said());
        assert!(ended.stderr.contains(arguments[1]) && ended.stderr.contains("next "), "{}", ended.stderr);
    }
    // A page of somebody else is as far from the server as silence, as it is for every other verb.
    let page = |_: &str| Some((200, "<html><body>hello</body></html>".to_owned()));
    for (variable, host) in [("ELASTIC_ENDPOINT", Host::Search), ("OPTIMIZE_MANAGEMENT_API", Host::Optimize)]
    {
        let right = theatre.url(host);
        let guard = crate::guard::Guard::before(&right, page);
        theatre.set(variable, &guard.url());
        for verb in [&["init", "--stdout"][..], &["plan"], &["doctor"]] {
            theatre.run(verb).expect(13, &[&guard.url()]);
        }
        theatre.set(variable, &right);
    }
}

/// Wrong ones first, as somebody gives them who tries.
fn several_answers(token_url: &str) -> Vec<(&str, &str)> {
    let oauth = |secret: &'static str| {
        vec![
            ("who c8keep is to search", "oauth"),
            ("address of the token endpoint", token_url),
            ("client id", "c8keep"),
            ("client secret is found at", secret),
            ("audience", "search"),
            ("scope", ""),
        ]
    };
    let mut answers = oauth("env:OTHER_SECRET");
    answers.extend(oauth("env:CLIENT_SECRET"));
    answers.extend([
        ("who c8keep is to rest", "bearer:env:NOT_SET_AT_ALL"),
        ("who c8keep is to rest", "basic:backup:env:CLIENT_SECRET"),
        ("brokers are reached", "ftp://broker-0"),
        ("brokers are reached", ""),
        ("name of the installation", ""),
        ("where manifests are kept", ""),
        ("PostgreSQL database", "Web Modeler"),
        ("PostgreSQL database", "web-modeler"),
        ("host of", "db.invalid"),
        ("port (", "x"),
        ("port (", "5433"),
        ("user (", "backup"),
        ("name of the database", "modeler"),
        ("password is found at", "hunter2"),
        ("password is found at", "env:CLIENT_SECRET"),
        ("PostgreSQL database", ""),
    ]);
    answers
}

/// What takes several answers: a token by client credentials, and a database. What is written is read by a plan at once.
#[test]
fn on_a_terminal_it_asks_for_what_takes_several_answers() {
    let mut theatre = Theatre::new(Theatre::quick("8.8.0"));
    let search = crate::guard::Guard::before(
        &theatre.url(Host::Search),
        crate::guard::wants("authorization: Bearer canary-token"),
    );
    let idp = crate::guard::Guard::alone(|request| {
        if request.contains("client_secret=canary-secret") && request.contains("audience=search") {
            (200, r#"{"access_token":"canary-token","expires_in":300}"#.into())
        } else {
            (401, r#"{"error":"invalid_client"}"#.into())
        }
    });
    let login = format!("authorization: Basic {}", crate::canaries::base64("backup:canary-secret"));
    let rest = crate::guard::Guard::before(&theatre.url(Host::Rest), crate::guard::wants(&login));
    let (management, optimize) = (theatre.url(Host::Gateway), theatre.url(Host::Optimize));
    without_variables(&mut theatre);
    theatre.set("CLIENT_SECRET", "canary-secret");
    theatre.set("OTHER_SECRET", "canary-other");
    let (search, rest, token_url) = (search.url(), rest.url(), idp.url());
    let answers = several_answers(&token_url);
    let file = file(&theatre);
    let arguments = [
        "-c",
        file.to_str().unwrap(),
        "init",
        &management,
        "--optimize",
        &optimize,
        "--search",
        &search,
        "--rest",
        &rest,
    ];
    let ended =
        typed(&theatre, &arguments, &answers).expect(0, &["wrote", "invalid_client", "lower-case letters"]);
    assert!(!ended.said().contains("canary-token"), "{}", ended.said());
    let text = written(&theatre);
    for line in [
        "oauth: {token_url: ",
        "client_secret: {env: CLIENT_SECRET}, audience: search}",
        "  web-modeler: {host: db.invalid, user: backup, dbname: modeler, port: 5433, password: {env: CLIENT_SECRET}}",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("canary") && !text.contains("hunter2"), "{text}");
    let plan = theatre.run(&["-c", file.to_str().unwrap(), "plan"]);
    plan.expect(10, &["dump-web-modeler", "BAD  check-database-web-modeler", "?    check-repository"]);
}

/// Whoever cannot answer, or answers wrong again and again, is told what becomes of it.
#[test]
fn an_end_of_the_answers_is_an_end() {
    let mut theatre = Theatre::new(Theatre::quick("8.8.0"));
    let management = theatre.url(Host::Gateway);
    without_variables(&mut theatre);
    let path = file(&theatre);
    let arguments = ["-c", path.to_str().unwrap(), "init"];
    let ended = typed(&theatre, &arguments, &[("management address of the", "\u{4}")]);
    ended.expect(2, &["nobody answers any more", "no management address is given"]);
    assert!(!path.exists());
    let given_up = typed(&theatre, &arguments, &[("management address of the", "9600"); 5]);
    given_up.expect(2, &["the management address: asked 5 times, and left open now"]);
    // Optimize is there, and nobody says where: the file says so.
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &management);
    let ended = typed(
        &theatre,
        &arguments,
        &[("address of optimize", "\u{4}"), ("name of the installation", "\u{4}")],
    );
    ended.expect(10, &["nobody answers any more", "wrote", "OPTIMIZE_MANAGEMENT_API"]);
    assert!(written(&theatre).contains("LOOK HERE"), "{}", written(&theatre));
}

/// Answers on a terminal: who c8keep is, and where.
#[test]
fn on_a_terminal_it_asks_for_what_nobody_tells() {
    let mut config = Theatre::quick("8.6.0");
    config.optimize = true;
    let mut theatre = Theatre::new(config);
    let guard = crate::guard::Guard::before(
        &theatre.url(Host::Search),
        crate::guard::wants("authorization: Basic ZWxhc3RpYzpjYW5hcnktc2VjcmV0"),
    );
    let addresses =
        [Host::Gateway, Host::Operate, Host::Tasklist, Host::Optimize].map(|host| theatre.url(host));
    without_variables(&mut theatre);
    theatre.set("ELASTIC_ENDPOINT", &guard.url());
    theatre.set("ES_PASSWORD", "canary-secret");
    let [management, operate, tasklist, optimize] = &addresses;
    let answers: Vec<(&str, &str)> = vec![
        ("management address of the", "9600"),
        ("management address of the", "http://127.0.0.1:1"),
        ("management address of the", management),
        ("who c8keep is to search", "basic:elastic:canary-secret"),
        ("who c8keep is to search", "basic:elastic:env:NOT_SET_AT_ALL"),
        ("who c8keep is to search", "basic:elastic:env:ES_PASSWORD"),
        ("address of operate", ""),
        ("address of operate", operate),
        ("address of tasklist", tasklist),
        ("address of optimize", optimize),
        ("application address", ""),
        ("name of the installation [default]", "Prod"),
        ("name of the installation", "prod"),
        ("where manifests are kept", "s3://backups"),
        ("address of the store", "http://127.0.0.1:1"),
        ("its region", "eu-central-1"),
        ("access key id", "backup"),
        ("secret key is found at", "canary-secret"),
        ("secret key is found at", "env:ES_PASSWORD"),
        ("PostgreSQL database", ""),
    ];
    let file = file(&theatre);
    let ended = typed(&theatre, &["-c", file.to_str().unwrap(), "init"], &answers);
    let text = written(&theatre);
    ended.expect(0, &["wrote"]).expect(0, &["manifests will be kept in s3://backups"]);
    for line in [
        "name: prod",
        "  url: s3://backups",
        "  access_key: backup",
        "  secret: {env: ES_PASSWORD}",
        "  search: {basic: {user: elastic, password: {env: ES_PASSWORD}}}",
    ] {
        assert!(text.lines().any(|l| l.starts_with(line)), "{line}\n{text}");
    }
    assert!(!text.contains("canary"), "{text}");
    theatre.unset("ELASTIC_ENDPOINT");
    assert_eq!(installation(&theatre, &["-c", file.to_str().unwrap()])["apps"].as_array().unwrap().len(), 3);
}
