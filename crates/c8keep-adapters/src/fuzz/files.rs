//! Files that others write: secrets, and what a command prints instead of one.

use c8keep_fuzz::feed_slowly;
use secrecy::ExposeSecret;

use super::{now, told};
use crate::transport::{
    Access, Command, Credential, Endpoint, HttpTransport, Secret, Transport, transport_fault,
};

/// Fits into a header of a request, or there is none; and no message repeats it.
#[test]
fn secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let examples = [b"canary-geheim-0815\n".to_vec(), b"canary\r\n".to_vec(), vec![b'x'; 8192]];
    feed_slowly("secrets", &examples, |input| {
        std::fs::write(&path, &input.bytes).unwrap();
        let secret = if input.number.is_multiple_of(16) {
            let words = ["cat".to_owned(), path.display().to_string()];
            Secret::Command(Command::new(words.to_vec()).into())
        } else {
            Secret::File(path.clone())
        };
        let text = input.text();
        // Nobody listens there: it is read, put into a header, and not sent.
        let endpoint = Endpoint::parse("http://127.0.0.1:1").unwrap();
        let access = Access::at("access.search").with_credential(Credential::Bearer(secret.clone()));
        let request = endpoint.with_access(&access).get("/");
        now(async {
            let read = secret.read().await;
            if let Ok(secret) = &read {
                let secret = secret.expose_secret();
                assert!(!secret.is_empty() && secret.len() <= 8192 && !secret.ends_with('\n'));
            }
            let error = HttpTransport::new().send(request.clone()).await.unwrap_err();
            let fault = told::<()>(Err(transport_fault("asking", &request, &error)));
            let said: Vec<String> = read.err().into_iter().chain(fault).collect();
            let line = text.lines().next().unwrap_or_default();
            assert!(line.len() < 6 || said.iter().all(|said| !said.contains(line)), "{said:?}");
            said
        })
    });
}
