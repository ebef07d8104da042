//! The twin answers as the real servers did.

use std::collections::BTreeSet;

use c8keep_twin::likeness::{Source, cases, replay};

#[test]
fn the_twin_answers_as_the_real_servers_did() {
    let mut different = Vec::new();
    for case in cases() {
        let found = match replay(&case) {
            Ok(answer) => {
                let found = case.differences(&answer);
                if found.is_empty() {
                    continue;
                }
                format!("{}\n    {}", found.join("\n    "), String::from_utf8_lossy(&answer.body))
            }
            Err(what) => what,
        };
        different.push(format!("{:?} {}:\n    {found}", case.source, case.name));
    }
    assert!(
        different.is_empty(),
        "{} of {} differ\n{}",
        different.len(),
        cases().len(),
        different.join("\n")
    );
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: BTreeSet<String> =
        cases().iter().map(|case| format!("{:?}/{}", case.source, case.name)).collect();
    assert_eq!(names.len(), cases().len());
}

#[test]
fn a_wrong_answer_is_noticed() {
    let case = cases().into_iter().find(|case| case.name == "zeebe/backup-get-COMPLETED").expect("a case");
    let mut answer = replay(&case).expect("an answer");
    let text = String::from_utf8(answer.body).expect("text").replace("COMPLETED", "FAILED");
    answer.body = text.into_bytes();
    answer.status = 201;
    assert_eq!(
        case.differences(&answer),
        [
            "status 201 instead of 200",
            "/details/[]/state: \"FAILED\" instead of \"COMPLETED\"",
            "/state: \"FAILED\" instead of \"COMPLETED\"",
        ]
    );
}

#[test]
fn every_fixture_is_used() {
    let used: BTreeSet<(String, &str)> =
        cases().iter().map(|case| (format!("{:?}", case.source), case.name)).collect();
    let unused: Vec<String> = Source::ALL
        .into_iter()
        .flat_map(|source| source.names().into_iter().map(move |name| (format!("{source:?}"), name)))
        .filter(|(source, name)| !used.iter().any(|(s, n)| s == source && n == name))
        .map(|(source, name)| format!("{source} {name}"))
        .collect();
    assert_eq!(unused, Vec::<String>::new());
}
