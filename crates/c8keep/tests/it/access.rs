//! Credentials and ways to servers as their users meet them: what works, and who was refused by whom.

use c8keep_twin::Host;

use crate::canaries::Locked;

/// The one refusal that must be seen from afar.
#[test]
fn whoever_may_pause_and_not_resume_is_told_at_once() {
    let locked = Locked::new();
    locked.management.replace(|request| {
        let resumes = request.starts_with("POST /actuator/exporting/resume");
        resumes.then(|| (403, String::new()))
    });
    let words = ["403", "may still be PAUSED", "itself is whole and published"];
    let ended = locked.run(&["backup", "--release-wait", "3s"]).expect(20, &words);
    assert!(locked.theatre.is_paused(), "{}", ended.said());
    // The next one tries at once, however long its predecessor would have waited, and says that it published nothing new.
    let again = locked.run(&["resume-exporting", "--release-wait", "1s"]).expect(20, &["403"]);
    assert!(!again.said().contains("never sent"), "{}", again.said());
    locked.unlock_management();
    locked.run(&["resume-exporting"]).expect(0, &["exporting runs"]);
}

/// On the night when it matters, nothing that is wrong elsewhere stands in the way.
#[test]
fn exporting_can_be_resumed_whatever_is_wrong_with_other_credentials() {
    let locked = Locked::new();
    locked.theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    let file = locked.change("{env: CANARY_API_KEY}", "{env: NOT_SET}, tls: {ca_file: /nonexistent.pem}");
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
        ("{bearer: {file: ", "{bearer: {file: /nonexistent", &["/nonexistent", "access.operate"]),
        (
            "{env: CANARY_API_KEY}",
            "{env: CANARY_BASIC}",
            &["401", "the API key of the variable CANARY_BASIC", "`access.search`"],
        ),
        (
            "{env: CANARY_CLIENT}",
            "{env: CANARY_BASIC}",
            &["no token for client c8keep", "401", "invalid_client", "`access.tasklist`"],
        ),
        (
            "{env: CANARY_API_KEY}",
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
    let none = locked.file(&format!("management: {}\n", locked.management.url()));
    let words = ["401", "it wants credentials and got none", "`access.management`"];
    locked.run(&["plan", "-c", none.to_str().unwrap()]).expect(12, &words);
    locked.run(&["status", "-c", none.to_str().unwrap()]).expect(12, &words);
}

/// A login that stands in the address, as curl takes it.
#[test]
fn a_login_in_the_address_is_told_by_its_user() {
    let mut locked = Locked::new();
    let address = locked.optimize.url().replace("http://", "http://stranger:canary-address-Pa55w0rd@");
    locked.theatre.set("OPTIMIZE_MANAGEMENT_API", &address);
    locked.run(&["backup"]).expect(12, &["user stranger was not accepted", "`access.optimize`"]);
}

/// The file holds no secrets, and what is wrongly there is not repeated.
#[test]
fn a_secret_in_the_file_is_refused() {
    let locked = Locked::new();
    let secret = "canary-api-key-Pa55w0rd";
    for text in [
        format!("access: {{search: {{bearer: {secret}}}}}\n"),
        format!("access: {{search: {{basic: {{user: u, password: {secret}}}}}}}\n"),
        format!("access: {{search: {{headers: {{Authorization: {secret}}}}}}}\n"),
    ] {
        let file = locked.file(&text);
        locked.run(&["plan", "-c", file.to_str().unwrap()]).expect(2, &["{env: NAME}", "{file: /path}"]);
    }
    let file = locked.file("connect_to: {10.0.0.1:9600: localhost:1}\n");
    locked.run(&["plan", "-c", file.to_str().unwrap()]).expect(2, &["10.0.0.1:9600", "must be a name"]);
}
