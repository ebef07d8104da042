//! Transcripts: what is typed and what is answered where no installation is needed, word for word.

#[test]
fn transcripts() {
    let cases = trycmd::TestCases::new();
    for variable in
        ["ORCHESTRATION_CLUSTER_MANAGEMENT_API", "ELASTIC_ENDPOINT", "OPENSEARCH_ENDPOINT", "BACKUP_ID"]
    {
        cases.env(variable, "");
    }
    cases
        .env("HOME", "/nonexistent")
        .env("XDG_STATE_HOME", "")
        .env("XDG_DATA_HOME", "")
        .case("tests/cmd/*.trycmd");
}
