//! What people write: addresses, and where they are dialled.

use c8keep_fuzz::feed;

use super::told;
use crate::transport::{ConnectTo, Endpoint, path_segment};

fn examples(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What is read as an address is one, and reads as the same again; a password in it is never told.
#[test]
fn addresses() {
    let texts = [
        "http://localhost:9600",
        "https://user:canary-secret@search.example.org/prefix/",
        "camunda-core:9600",
        "http://[::1]:9200/a%20b",
        "es.example.org",
    ];
    feed("addresses", &examples(&texts), |input| {
        let text = input.text();
        let parsed = Endpoint::parse(&text);
        if let Ok(endpoint) = &parsed {
            let again = Endpoint::parse(endpoint.address()).unwrap();
            assert_eq!(again.address(), endpoint.address());
            assert!(!endpoint.join(&path_segment(&text)).contains(' '));
        }
        let told: Vec<String> = told(parsed).into_iter().collect();
        let is_whole = text.trim() == texts[1];
        assert!(!is_whole || told.iter().all(|told| !told.contains("canary-secret")), "{told:?}");
        told
    });
}

#[test]
fn connect_to() {
    let texts = ["camunda-core:9600", "127.0.0.1:19600", "[::1]:9200", "es.example.org:443"];
    feed("connect_to", &examples(&texts), |input| {
        let text = input.text();
        let halves = text.split_at(text.chars().take(text.chars().count() / 2).map(char::len_utf8).sum());
        [(text.as_str(), "h:1"), ("h:1", text.as_str()), halves]
            .into_iter()
            .filter_map(|pair| told(ConnectTo::parse([pair])))
            .collect()
    });
}
