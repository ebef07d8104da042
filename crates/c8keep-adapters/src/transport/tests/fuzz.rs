//! Certificates and keys in files: used, or refused before anything is sent, and never shown.

use std::fs;

use c8keep_fuzz::feed_slowly;

use super::stage::Authority;
use crate::fuzz::told;
use crate::transport::{Tls, mannered};

#[test]
fn certificates_and_keys() {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", |_| {});
    let pems =
        [authority.file(), leaf.certificate.clone(), leaf.key.clone()].map(|path| fs::read(path).unwrap());
    let bundle = [&pems[0][..], &pems[1][..]].concat();
    let examples: Vec<Vec<u8>> = pems.iter().cloned().chain([bundle]).collect();
    let file = authority.file().with_file_name("foreign.pem");
    let key = String::from_utf8_lossy(&pems[2]).lines().nth(1).unwrap().to_owned();
    feed_slowly("certificates and keys", &examples, |input| {
        fs::write(&file, &input.bytes).unwrap();
        let all = [
            Tls::default().with_issuers(&file, true),
            Tls::default().with_identity(&file, &leaf.key),
            Tls::default().with_identity(&leaf.certificate, &file),
        ];
        let mut said = Vec::new();
        for tls in all {
            // What is no certificate inside is found when the client is made.
            if let Ok(tls) = &tls
                && let Err(error) = tls.apply(mannered()).build()
            {
                said.push(crate::transport::excerpt(error.to_string().as_bytes()));
            }
            said.extend(told(tls));
        }
        assert!(said.iter().all(|said| !said.contains(&key)), "{said:?}");
        said
    });
}
