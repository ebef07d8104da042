//! Credentials over loopback: what is sent, what is read again, when a token is fetched, and what never comes back.

use std::sync::Arc;
use std::time::Duration;

use c8keep_core::fault::{Effect, FaultKind, Retry};
use futures::future::join_all;

use super::stage::{Answer, Server};
use crate::transport::{
    Access, ClientAuth, Command, Credential, Endpoint, HttpTransport, Response, Secret, TokenSource,
    Transport, TransportError, Trouble, status_fault, transport_fault,
};

const SECRET: &str = "s3cret-of-the-client";

fn ok(_: usize, _: &str) -> Answer {
    (200, "{}".into())
}

/// A token endpoint that numbers its tokens.
fn tokens(life_s: u32) -> impl Fn(usize, &str) -> Answer + Send + Sync + 'static {
    move |n, _| {
        (200, format!(r#"{{"access_token":"token-{n}","expires_in":{life_s},"token_type":"Bearer"}}"#))
    }
}

fn source(idp: &Server) -> TokenSource {
    let endpoint = Endpoint::parse(&idp.url()).unwrap();
    TokenSource::new(endpoint, "c8keep", Secret::Given(SECRET.into()))
}

fn endpoint(server: &Server, credential: Credential) -> Endpoint {
    let access = Access::at("access.management").with_credential(credential);
    Endpoint::parse(&server.url()).unwrap().with_access(&access)
}

fn with_tokens(server: &Server, source: TokenSource) -> Endpoint {
    endpoint(server, Credential::Client(Arc::new(source)))
}

async fn send(endpoint: &Endpoint) -> Result<Response, TransportError> {
    HttpTransport::new().send(endpoint.post("/actuator/exporting/pause?soft=true")).await
}

fn authorizations(server: &Server) -> Vec<String> {
    let of = |request: &String| {
        let line = request.lines().find(|line| line.starts_with("authorization: "));
        line.unwrap_or_default().trim_start_matches("authorization: ").to_owned()
    };
    server.asked().iter().map(of).collect()
}

#[tokio::test]
async fn each_credential_has_its_header() {
    let server = Server::plain(ok).await;
    let given = |text: &str| Secret::Given(text.into());
    for (credential, expected) in [
        (Credential::None, ""),
        // RFC 7617, section 2.
        (
            Credential::Basic { user: "Aladdin".into(), password: given("open sesame") },
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (Credential::Bearer(given("abc")), "Bearer abc"),
        (Credential::ApiKey(given("aWQ6a2V5")), "ApiKey aWQ6a2V5"),
    ] {
        send(&endpoint(&server, credential)).await.unwrap();
        assert_eq!(authorizations(&server).pop().unwrap(), expected);
    }
    let access = Access::default().with_header("X-Scope-OrgID", given("ops")).unwrap();
    send(&Endpoint::parse(&server.url()).unwrap().with_access(&access)).await.unwrap();
    assert!(server.asked().pop().unwrap().contains("\r\nx-scope-orgid: ops\r\n"));
}

/// What is configured wins over the login in the address; without it, the address's own counts.
#[tokio::test]
async fn credentials_in_the_address_come_last() {
    let server = Server::plain(ok).await;
    let address = server.url().replace("http://", "http://user:pass@");
    let plain = Endpoint::parse(&address).unwrap();
    let bearer = Access::at("access.search").with_credential(Credential::Bearer(Secret::Given("abc".into())));
    for (access, expected) in [(Access::at("access.search"), "Basic dXNlcjpwYXNz"), (bearer, "Bearer abc")] {
        send(&plain.clone().with_access(&access)).await.unwrap();
        assert_eq!(authorizations(&server).pop().unwrap(), expected);
    }
}

/// Kubernetes replaces the files of its tokens while a program runs.
#[tokio::test]
async fn a_token_file_that_is_replaced_counts_at_once() {
    let server = Server::plain(ok).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let endpoint = endpoint(&server, Credential::Bearer(Secret::File(file.clone())));
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        send(&endpoint).await.unwrap();
    }
    assert_eq!(authorizations(&server), ["Bearer first", "Bearer second"]);
    for (text, why) in [("", "empty"), ("a\nb", "no header can carry"), (&"x".repeat(9000), "longer than")] {
        std::fs::write(&file, text).unwrap();
        let error = send(&endpoint).await.unwrap_err();
        assert!(error.cause.contains(why) && error.trouble == Trouble::Credentials, "{error:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let error = send(&endpoint).await.unwrap_err();
    let fault = transport_fault("pausing", &endpoint.post("/"), &error);
    assert_eq!((fault.kind, fault.effect), (FaultKind::Unauthorised, Effect::None));
    assert!(fault.answer.contains("token") && fault.hint.contains("access.management"), "{fault:?}");
    assert_eq!(server.asked().len(), 2, "nothing was sent without its token");
}

/// It is asked once and not for every request; what it says on standard error goes nowhere.
#[tokio::test]
async fn a_command_that_prints_a_secret() {
    let server = Server::plain(ok).await;
    let folder = tempfile::tempdir().unwrap();
    let counter = folder.path().join("counter");
    let command = |script: String| {
        let words = ["sh", "-c", &script].map(str::to_owned).to_vec();
        endpoint(&server, Credential::Bearer(Secret::Command(Arc::new(Command::new(words)))))
    };
    let asked = command(format!("echo x >> {}; echo from-a-store", counter.display()));
    for _ in 0..2 {
        send(&asked).await.unwrap();
    }
    assert_eq!(authorizations(&server), ["Bearer from-a-store", "Bearer from-a-store"]);
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
    for (script, why) in [
        ("echo geheim >&2; exit 3", "exit status: 3"),
        ("true", "empty"),
        ("head -c 9000 /dev/zero | tr '\\0' x", "longer than"),
    ] {
        let error = send(&command(script.into())).await.unwrap_err();
        assert!(error.cause.contains(why) && error.cause.contains("the command sh"), "{error:?}");
        assert!(!error.cause.contains("geheim") && error.trouble == Trouble::Credentials, "{error:?}");
    }
    let missing = Secret::Command(Arc::new(Command::new(vec!["/nonexistent/store".into()])));
    let error = send(&endpoint(&server, Credential::Bearer(missing))).await.unwrap_err();
    assert!(error.cause.contains("/nonexistent/store"), "{error:?}");
}

#[tokio::test]
async fn however_many_ask_one_token_is_fetched() {
    let (idp, server) = (Server::plain(tokens(300)).await, Server::plain(ok).await);
    let source = source(&idp).with_parameter("audience", "zeebe api").with_parameter("scope", "a b");
    let endpoint = with_tokens(&server, source);
    let transport = HttpTransport::new();
    let answers = join_all((0..8).map(|_| transport.send(endpoint.get("/")))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status == 200));
    assert_eq!(idp.asked().len(), 1);
    let asked = idp.asked().remove(0);
    assert!(asked.contains("content-type: application/x-www-form-urlencoded"), "{asked}");
    let form = "grant_type=client_credentials&audience=zeebe+api&scope=a+b&client_id=c8keep\
                &client_secret=s3cret-of-the-client";
    assert!(asked.ends_with(form), "{asked}");
    assert!(asked.starts_with("POST / HTTP/1.1"), "{asked}");
    assert!(authorizations(&server).iter().all(|a| a == "Bearer token-0"));
}

/// RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
#[tokio::test]
async fn the_clients_secret_can_go_into_a_header() {
    let (idp, server) = (Server::plain(tokens(300)).await, Server::plain(ok).await);
    let endpoint = Endpoint::parse(&format!("{}/realms/camunda/token", idp.url())).unwrap();
    let source = TokenSource::new(endpoint, "c:8", Secret::Given("a b".into()));
    send(&with_tokens(&server, source.with_client_auth(ClientAuth::Basic))).await.unwrap();
    // "c%3A8:a+b"
    assert_eq!(authorizations(&idp), ["Basic YyUzQTg6YSti"]);
    let asked = idp.asked().remove(0);
    assert!(asked.starts_with("POST /realms/camunda/token HTTP/1.1\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\ngrant_type=client_credentials"), "{asked}");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let (idp, server) = (Server::plain(tokens(0)).await, Server::plain(ok).await);
    let endpoint = with_tokens(&server, source(&idp));
    for _ in 0..2 {
        send(&endpoint).await.unwrap();
    }
    assert_eq!(authorizations(&server), ["Bearer token-0", "Bearer token-1"]);
}

/// A restarted server may have forgotten its keys; the pause that was refused is asked for again, once.
#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let refuse_first = |n: usize, _: &str| if n == 0 { (401, String::new()) } else { (200, "{}".into()) };
    let (idp, server) = (Server::plain(tokens(300)).await, Server::plain(refuse_first).await);
    assert_eq!(send(&with_tokens(&server, source(&idp))).await.unwrap().status, 200);
    assert_eq!(authorizations(&server), ["Bearer token-0", "Bearer token-1"]);

    let (idp, server) = (Server::plain(tokens(300)).await, Server::plain(|_, _| (401, String::new())).await);
    let endpoint = with_tokens(&server, source(&idp));
    let answer = send(&endpoint).await.unwrap();
    assert_eq!((answer.status, server.asked().len(), idp.asked().len()), (401, 2, 2));
    let fault = status_fault("pausing", &endpoint.post("/"), &answer);
    assert_eq!(fault.kind, FaultKind::Unauthorised);
    assert!(fault.hint.contains("client c8keep") && fault.hint.contains("`access.management`"), "{fault:?}");

    let (idp, server) = (Server::plain(tokens(300)).await, Server::plain(|_, _| (403, String::new())).await);
    assert_eq!(send(&with_tokens(&server, source(&idp))).await.unwrap().status, 403);
    assert_eq!((server.asked().len(), idp.asked().len()), (1, 1), "a new token has no other rights");
}

/// The secret does not come back, whatever the token endpoint says of it.
#[tokio::test]
async fn a_token_endpoint_that_refuses() {
    for (status, body) in [
        (401, r#"{"error":"invalid_client","error_description":"wrong: s3cret-of-the-client"}"#),
        (400, "s3cret-of-the-client is wrong"),
        (302, ""),
        (200, "<html>login</html>"),
    ] {
        let idp = Server::plain(move |_, _| (status, body.to_owned())).await;
        let server = Server::plain(ok).await;
        let endpoint = with_tokens(&server, source(&idp));
        let error = send(&endpoint).await.unwrap_err();
        let fault = transport_fault("pausing", &endpoint.post("/"), &error);
        assert_eq!((fault.kind, fault.retry), (FaultKind::Unauthorised, Retry::Never), "{fault:?}");
        assert_eq!(fault.effect, Effect::None);
        assert!(fault.answer.contains("client c8keep") && fault.answer.contains(&idp.url()), "{fault:?}");
        assert!(!format!("{fault:?}").contains(SECRET), "{fault:?}");
        // A burst of requests does not become a burst of refusals, which some endpoints answer by locking the client.
        send(&endpoint).await.unwrap_err();
        assert_eq!((idp.asked().len(), server.asked().len()), (1, 0));
    }
}

/// Worth trying again, and nothing has arrived where it was meant to.
#[tokio::test]
async fn a_token_endpoint_that_is_down() {
    let server = Server::plain(ok).await;
    for status in [None, Some(503), Some(429)] {
        let idp = Server::plain(move |_, _| (status.unwrap_or(200), String::new())).await;
        let endpoint = with_tokens(&server, source(&idp));
        let idp = status.map(|_| idp);
        let error = send(&endpoint).await.unwrap_err();
        let fault = transport_fault("pausing", &endpoint.post("/"), &error);
        assert_eq!(
            (fault.kind, fault.retry, fault.effect),
            (FaultKind::Unreachable, Retry::Again, Effect::None)
        );
        assert!(fault.answer.contains("no token"), "{fault:?}");
        drop(idp);
    }
    assert!(server.asked().is_empty());
}

/// The deadline is the whole exchange's, the token's fetching included.
#[tokio::test]
async fn a_token_endpoint_that_says_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::plain(ok).await;
    let idp = Endpoint::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let source = TokenSource::new(idp, "c8keep", Secret::Given(SECRET.into()));
    let request = with_tokens(&server, source).post("/").with_deadline(Duration::from_millis(100));
    let error = HttpTransport::new().send(request).await.unwrap_err();
    assert!(error.cause.contains("within 100ms"), "{error:?}");
    assert!(server.asked().is_empty());
}

/// Some servers repeat the header that they do not like.
#[tokio::test]
async fn what_a_server_repeats_of_a_secret_is_taken_out() {
    let echo = |_: usize, request: &str| (401, format!("not accepted: {request}"));
    let server = Server::plain(echo).await;
    let password = || Secret::Given(SECRET.into());
    for credential in [
        Credential::Basic { user: "elastic".into(), password: password() },
        Credential::Bearer(password()),
        Credential::ApiKey(password()),
    ] {
        let endpoint = endpoint(&server, credential);
        let answer = send(&endpoint).await.unwrap();
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        let encoded = "ZWxhc3RpYzpzM2NyZXQtb2YtdGhlLWNsaWVudA==";
        assert!(body.contains("not accepted") && !body.contains(SECRET) && !body.contains(encoded), "{body}");
        assert!(!format!("{endpoint:?}{:?}", endpoint.get("/")).contains(SECRET));
    }
}

/// A header that stands in the configuration is no secret.
#[tokio::test]
async fn an_ordinary_word_in_a_header_stays_in_the_answer() {
    let server = Server::plain(|_, _| (404, "nothing of production here".into())).await;
    let access = Access::default().with_header("X-Scope-OrgID", Secret::Given("production".into())).unwrap();
    let answer = send(&Endpoint::parse(&server.url()).unwrap().with_access(&access)).await.unwrap();
    assert_eq!(answer.body, "nothing of production here");
}
