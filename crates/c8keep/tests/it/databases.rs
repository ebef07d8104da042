//! Databases as their administrators meet them. PostgreSQL's tools are played by small scripts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::theatre::{Theatre, ended};

/// In nothing that the program says or keeps.
const CANARY: &str = "canary-database-Pa55";

/// What a server tells of itself.
pub const ANSWER: &str = r#"{"version": "15.18", "number": 150018, "database": "it's \"a=b\"", "user": "backup", "owner": "modeler",
 "encoding": "UTF8", "collate": "C", "ctype": "C", "bytes": 8000000, "role_passwords": false, "broken_names": 0}"#;

/// What a dump of roles is, in short.
pub const ROLES: &str = "echo 'CREATE ROLE modeler;'; echo '-- PostgreSQL database cluster dump complete'";

/// Plays a tool, from the folder of this package.
pub const PLAYER: &str = "../c8keep-adapters/fixtures/postgres/tool.sh";

/// An installation, and a folder with tools that do well.
struct Modelers {
    theatre: Theatre,
    file: PathBuf,
}

impl Modelers {
    fn new() -> Modelers {
        Modelers::of(Theatre::new(Theatre::quick("8.8.0")))
    }

    fn of(mut theatre: Theatre) -> Modelers {
        let bin = theatre.home().join("bin");
        fs::create_dir(&bin).unwrap();
        let file = theatre.home().join("c8keep.yaml");
        let text = format!(
            "databases:\n  web-modeler:\n    host: db.example.org\n    user: backup\n    password: {{env: MODELER}}\n    \
             tools: {}\n",
            bin.display()
        );
        fs::write(&file, text).unwrap();
        theatre.set("MODELER", CANARY);
        let path = std::env::var("PATH").unwrap();
        theatre.set("PATH", &path);
        theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
        let modelers = Modelers { theatre, file };
        modelers.tool("psql", &format!("printf '%s' '{}'", ANSWER.replace('\'', "'\\''")));
        modelers.tool("pg_dump", "printf PGDMP; seq 1 1000");
        modelers.tool("pg_dumpall", ROLES);
        modelers
    }

    fn tool(&self, program: &str, does: &str) {
        let link = self.theatre.home().join("bin").join(program);
        let script = format!(
            "case \"$*\" in --version) echo '{program} (PostgreSQL) 15.18'; exit;; esac\ncd '{}' || exit\n\
             env > {program}.environment\necho $$ > {program}.pid\n{does}\n",
            self.theatre.home().display()
        );
        fs::write(link.with_extension("does"), script).unwrap();
        if !link.exists() {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(PLAYER), link).unwrap();
        }
    }

    /// Everything that the program keeps.
    fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut folders = vec![self.theatre.home().join(".local")];
        let mut kept = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    kept.push((entry.path(), fs::read(entry.path()).unwrap()));
                }
            }
        }
        kept
    }

    fn is_dumping(&self) -> bool {
        self.theatre.home().join("pg_dump.pid").metadata().is_ok_and(|file| file.len() > 0)
    }

    fn dump_is_gone(&self) -> bool {
        let pid = fs::read_to_string(self.theatre.home().join("pg_dump.pid")).unwrap();
        !Path::new("/proc").join(pid.trim()).exists()
    }
}

/// What is in the backup is not named as left out, and what is not in it is.
#[test]
fn identity_is_left_out_unless_a_database_stands_for_it() {
    for (name, is_in) in [("web-modeler", false), ("camunda-identity", true), ("keycloak", true)] {
        let modelers = Modelers::new();
        let text = fs::read_to_string(&modelers.file).unwrap().replace("web-modeler", name);
        fs::write(&modelers.file, text).unwrap();
        let plan = modelers.theatre.run(&["plan", "-o", "json"]).expect(0, &[]).json();
        let left_out = plan["installation"]["not_covered"].to_string();
        assert_eq!(left_out.contains("Keycloak"), !is_in, "{name}: {left_out}");
        assert!(left_out.contains(&format!("databases other than {name}")), "{left_out}");
    }
}

#[test]
fn a_database_is_a_part_of_the_backup() {
    let modelers = Modelers::new();
    let theatre = &modelers.theatre;
    theatre.run(&["plan"]).expect(0, &["dump-web-modeler", "ok   check-database-web-modeler"]);
    theatre
        .run(&["doctor"])
        .expect(0, &["ok    database      web-modeler: PostgreSQL 15.18 at db.example.org"]);
    let taken = theatre.run(&["backup", "--id", "1000", "-v"]);
    let taken = taken.expect(0, &["database web-modeler", "databases other than web-modeler"]);
    let shown = theatre
        .run(&["show"])
        .expect(0, &["database web-modeler (whole)", "it's \"a=b\"", "database.dump.zst"]);
    let json = theatre.run(&["show", "-o", "json"]).json();
    let parts = json["manifest"]["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["component"] == "database").unwrap();
    assert_eq!((&part["name"], &part["state"]), (&"web-modeler".into(), &"whole".into()));
    let vault = theatre.home().join(".local/share/c8keep/vault");
    for object in part["dump"]["objects"].as_array().unwrap() {
        let path = vault.join(object["path"].as_str().unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), object["bytes"].as_u64().unwrap());
        let checked = Command::new("sha256sum")
            .args(["--status", "-c"])
            .arg(format!("{}.sha256", path.file_name().unwrap().to_str().unwrap()))
            .current_dir(path.parent().unwrap())
            .status();
        assert!(checked.unwrap().success(), "{}", path.display());
    }
    let guide = fs::read_to_string(vault.join("default/backups/1000/RESTORE.md")).unwrap();
    for words in [
        "| database web-modeler | whole | vault, `default/backups/1000/databases/",
        "pg_restore",
        "set them anew",
    ] {
        assert!(guide.contains(words), "{words:?} is not in:\n{guide}");
    }
    for said in [taken.said(), shown.said()] {
        assert!(!said.contains(CANARY), "{said}");
    }
    for (path, bytes) in modelers.kept() {
        assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()), "{}", path.display());
    }
}

/// libpq's own variables are enough, and only its own reach the tools.
#[test]
fn libpqs_variables_are_enough() {
    let mut modelers = Modelers::new();
    let bin = modelers.theatre.home().join("bin");
    fs::write(&modelers.file, "databases: {web-modeler: {}}\n").unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for (name, value) in
        [("PATH", path.as_str()), ("PGHOST", "/run/pg"), ("PGPASSFILE", "/x/pgpass"), ("PGOPTIONS", "-c x=y")]
    {
        modelers.theatre.set(name, value);
    }
    let ended = modelers.theatre.run(&["backup"]).expect(0, &["database web-modeler"]);
    let environment = fs::read_to_string(modelers.theatre.home().join("pg_dump.environment")).unwrap();
    for line in ["PGHOST=/run/pg", "PGPASSFILE=/x/pgpass", "LC_ALL=C"] {
        assert!(environment.contains(line), "{line}: {environment}");
    }
    for name in ["PGOPTIONS", "MODELER", "ELASTIC_ENDPOINT", "C8KEEP_CONFIG"] {
        assert!(!environment.contains(name), "{name}: {environment}");
    }
    assert!(!ended.said().contains(CANARY));
}

#[test]
fn what_keeps_a_database_from_being_dumped_is_told_before_the_pause() {
    let refused = "echo 'psql: error: connection to server at \"db\" failed: FATAL:  password authentication failed' >&2; exit 2";
    for (tool, does, words) in [
        ("psql", refused, &["password authentication failed", "databases.web-modeler.password"][..]),
        (
            "psql",
            "printf '%s' '{\"version\": \"18.6\", \"number\": 180006, \"database\": \"m\", \"user\": \"b\", \"owner\": \"o\", \
          \"encoding\": \"UTF8\", \"collate\": \"C\", \"ctype\": \"C\", \"bytes\": 1, \"role_passwords\": true, \"broken_names\": 0}'",
            &["the server has version 18.6, the tools here 15.18", "tools"][..],
        ),
    ] {
        let modelers = Modelers::new();
        modelers.tool(tool, does);
        modelers.theatre.run(&["backup", "--id", "1000"]).expect(10, words);
        modelers.theatre.run(&["doctor"]).expect(10, &["BAD   database"]).expect(10, words);
        modelers.theatre.run(&["plan"]).expect(10, &["BAD  check-database-web-modeler"]);
        assert!(!modelers.theatre.is_paused() && !modelers.is_dumping());
        modelers.theatre.run(&["list"]).expect(0, &["failed", "check-database-web-modeler"]);
    }
    let modelers = Modelers::new();
    fs::write(&modelers.file, "databases: {web-modeler: {tools: /nowhere}}\n").unwrap();
    modelers.theatre.run(&["backup"]).expect(10, &["pg_dumpall is not found", "databases.web-modeler.tools"]);
}

/// The vault and the databases have nothing to do with a cluster that is down.
#[test]
fn a_database_is_judged_whatever_else_is_down() {
    let mut modelers = Modelers::new();
    modelers.theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", "http://127.0.0.1:1");
    modelers
        .theatre
        .run(&["doctor"])
        .expect(13, &["BAD   installation", "ok    database      web-modeler", "ok    vault"]);
}

/// What a database is really called, others have chosen. It moves no cursor, begins no line and names no file.
#[test]
fn a_hostile_name_of_a_database_is_harmless() {
    let modelers = Modelers::new();
    let name = r#"x\n\u001b[2J$(touch hacked)`touch hacked`'; DROP TABLE a; -- \"../../y"#;
    let answer = ANSWER.replace(r#"it's \"a=b\""#, name).replace('\'', "'\\''");
    assert!(answer.contains("hacked"), "{answer}");
    modelers.tool("psql", &format!("printf '%s' '{answer}'"));
    modelers.tool("pg_dump", "touch hacked-not; printf PGDMP; seq 1 1000");
    let words = ["is complete", "exporting"];
    let taken = modelers.theatre.run(&["backup", "--id", "1000"]).expect(0, &words);
    let shown = modelers
        .theatre
        .run(&["show", "-v"])
        .expect(0, &["database web-modeler (whole)", "\\n", "DROP TABLE"]);
    let doctor = modelers.theatre.run(&["doctor"]).expect(0, &["ok    database"]);
    for said in [taken.said(), shown.said(), doctor.said()] {
        assert!(!said.contains('\u{1b}') && !said.contains("x\n"), "{said:?}");
    }
    let home = modelers.theatre.home();
    assert!(home.join("hacked-not").exists() && !home.join("hacked").exists(), "no shell read the name");
    for (path, bytes) in modelers.kept() {
        let path = path.display().to_string();
        assert!(!path.contains("DROP") && !path.contains("hacked"), "{path}");
        assert!(!path.ends_with("RESTORE.md") || !bytes.contains(&0x1b), "{path}");
    }
    assert!(!modelers.theatre.is_paused());
}

/// One without which a backup may do ends no run, neither at its check nor later.
#[test]
fn an_optional_database_that_is_down_makes_the_backup_partial() {
    let modelers = Modelers::new();
    let text = fs::read_to_string(&modelers.file).unwrap() + "    required: false\n";
    fs::write(&modelers.file, text).unwrap();
    modelers.tool(
        "psql",
        "echo 'psql: error: connection to server at \"db\" failed: Connection refused' >&2; exit 2",
    );
    modelers
        .theatre
        .run(&["doctor"])
        .expect(0, &["WARN  database      web-modeler: a backup would be partial"]);
    modelers.theatre.run(&["plan"]).expect(0, &["-    check-database-web-modeler a backup would be partial"]);
    let ended = modelers.theatre.run(&["backup", "--id", "1000"]);
    ended.expect(3, &["partial", "not in it database web-modeler", "connection refused"]);
    assert!(!modelers.theatre.is_paused() && !modelers.is_dumping());
    let listed = modelers.theatre.run(&["list"]).expect(0, &["partial", "-database:web-modeler"]);
    assert!(!listed.stdout.contains(" database:web-modeler"), "{}", listed.stdout);
    modelers
        .theatre
        .run(&["show"])
        .expect(0, &["database web-modeler (missing)", "not in it: database web-modeler"]);
    assert_eq!(modelers.theatre.run(&["show", "-o", "json"]).json()["complete"], false);
    let guide = modelers.theatre.home().join(".local/share/c8keep/vault/default/backups/1000/RESTORE.md");
    let guide = fs::read_to_string(guide).unwrap();
    assert!(guide.contains("Not in this backup:\n\n- database web-modeler: "), "{guide}");
}

/// The window goes to its end as if nothing had happened, and the backup does not count.
#[test]
fn a_dump_that_fails_in_the_window() {
    let modelers = Modelers::new();
    modelers.tool("pg_dump", "printf PGDMP; echo 'pg_dump: error: out of memory' >&2; exit 1");
    let ended = modelers.theatre.run(&["backup", "--id", "1000"]);
    ended.expect(1, &["failed at dump-web-modeler", "out of memory", "exporting"]);
    assert!(!modelers.theatre.is_paused());
    modelers.theatre.run(&["show", "latest"]).expect(2, &[]);
    let text = fs::read_to_string(&modelers.file).unwrap() + "    required: false\n";
    fs::write(&modelers.file, text).unwrap();
    modelers.theatre.run(&["backup"]).expect(3, &["partial"]);
    modelers.theatre.run(&["show"]).expect(0, &["database web-modeler (missing)"]);
}

/// The release does not wait for a dump, and a signal ends it promptly.
#[test]
fn a_signal_ends_a_running_dump() {
    let modelers = Modelers::new();
    modelers.tool("pg_dump", "printf PGDMP; exec sleep 1000");
    let child = modelers.theatre.start(&["backup", "--id", "1000"]);
    modelers.theatre.until("it dumps", |_| modelers.is_dumping());
    modelers.theatre.until("exporting is paused", Theatre::is_paused);
    modelers.theatre.until("exporting runs again", |theatre| !theatre.is_paused());
    assert!(!modelers.dump_is_gone(), "it went on beside the window");
    let signalled = Command::new("kill").arg(child.id().to_string()).status();
    assert!(signalled.unwrap().success());
    let began = std::time::Instant::now();
    ended(child.wait_with_output().unwrap()).expect(130, &["exporting runs again"]);
    // Silence alone would end it after ten minutes.
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
    modelers.theatre.until("the tool is gone", |_| modelers.dump_is_gone());
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    let modelers = Modelers::new();
    for (text, words) in [
        ("databases: {Web Modeler: {}}", &["databases.Web Modeler", "lower-case letters"][..]),
        ("databases: {'../../etc': {}}", &["databases.../../etc", "lower-case letters"]),
        ("databases: {'a; rm -rf x': {}}", &["databases.a; rm -rf x", "lower-case letters"]),
        ("databases: {a: {host: 'postgres://u:canary@h/d'}}", &["databases.a.host", "not a host"]),
        ("databases: {a: {pasword: {env: A}}}", &["line 1, column 17", "\"password\"?"]),
        ("databases: {a: {password: canary}}", &["the file holds no secrets"]),
        ("databases: {a: {mode: plain}}", &["plain is none of database, dumpall"]),
        ("databases: {a: {sslmode: verify}}", &["verify is none of", "verify-full"]),
    ] {
        fs::write(&modelers.file, text).unwrap();
        let ended = modelers.theatre.run(&["backup"]).expect(2, words);
        assert!(!ended.said().contains("canary"), "{}", ended.said());
    }
}
