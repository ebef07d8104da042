mod credentials;
mod fuzz;
mod stage;
mod tls;

use std::time::Duration;

use c8keep_core::fault::{Effect, FaultKind, Retry};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{
    Endpoint, HttpTransport, Method, Response, Transport, TransportError, excerpt, json as read_json,
    path_segment, status_fault, transport_fault,
};

/// What the little server does with a connection once it has read the request's head.
enum Then {
    Answer(&'static str),
    AnswerBytes(Vec<u8>),
    HalfAnswerAndHang(&'static str),
    HalfAnswerAndClose(&'static str),
    Close,
}

/// Serves one connection on loopback; gives its address, and the request's head when it is over.
async fn server(then: Then) -> (Endpoint, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        match then {
            Then::Answer(text) | Then::HalfAnswerAndClose(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
            }
            Then::AnswerBytes(bytes) => drop(stream.write_all(&bytes).await),
            Then::HalfAnswerAndHang(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                let mut rest = [0; 1];
                // Ends when the client goes away.
                let _ = stream.read(&mut rest).await;
            }
            Then::Close => {}
        }
        head
    });
    (endpoint, task)
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let mut byte = [0; 1];
    while !seen.ends_with(b"\r\n\r\n") && seen.len() < 4096 {
        if stream.read(&mut byte).await.unwrap() == 0 {
            break;
        }
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

async fn get(endpoint: &Endpoint) -> Result<Response, TransportError> {
    HttpTransport::new().send(endpoint.get("/x").with_deadline(Duration::from_millis(300))).await
}

#[tokio::test]
async fn an_answer_comes_back_whole_and_the_request_names_us() {
    let (endpoint, task) = server(Then::Answer(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{\"a\":1}",
    ))
    .await;
    let request = endpoint.post("/actuator/x").with_body(json!({"backupId": 1}));
    let response = HttpTransport::new().send(request.clone()).await.unwrap();
    assert_eq!((response.status, response.content_type.as_deref()), (200, Some("application/json")));
    assert_eq!(read_json::<Value>("reading", &request, &response).unwrap(), json!({"a": 1}));
    let head = task.await.unwrap();
    assert!(head.starts_with("POST /actuator/x HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("user-agent: c8keep/") && head.contains("content-type: application/json"),
        "{head}"
    );
}

/// Some proxies answer 411 to a POST that says nothing of its length.
#[tokio::test]
async fn a_post_without_a_body_says_so() {
    let (endpoint, task) = server(Then::Answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
    HttpTransport::new().send(endpoint.post("/actuator/exporting/pause?soft=true")).await.unwrap();
    let head = task.await.unwrap();
    assert!(head.starts_with("POST /actuator/exporting/pause?soft=true HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-length: 0\r\n"), "{head}");
}

#[tokio::test]
async fn a_login_in_the_address_is_sent_and_never_shown() {
    let (endpoint, task) = server(Then::Answer("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let address = endpoint.address().replace("http://", "http://elastic:p%40ss@");
    let endpoint = Endpoint::parse(&address).unwrap();
    get(&endpoint).await.unwrap();
    // "elastic:p@ss"
    assert!(task.await.unwrap().contains("authorization: Basic ZWxhc3RpYzpwQHNz"));
    let request = endpoint.get("/");
    for shown in [format!("{endpoint:?}"), format!("{request:?}"), endpoint.to_string(), request.describe()] {
        assert!(!shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");
    }
}

#[tokio::test]
async fn a_refused_port_is_no_arrival() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    drop(listener);
    let error = get(&endpoint).await.unwrap_err();
    assert_eq!(error, TransportError::line("connection refused", false));
    let fault = transport_fault("pausing exporting", &endpoint.post("/p"), &error);
    assert_eq!((fault.kind, fault.retry, fault.effect), (FaultKind::Unreachable, Retry::Again, Effect::None));
    assert!(fault.hint.contains("port-forward"), "{fault:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_no_arrival() {
    // RFC 6761: .invalid never resolves.
    let error = get(&Endpoint::parse("camunda-core.invalid:9600").unwrap()).await.unwrap_err();
    assert!(!error.may_have_arrived && error.cause.contains("resolve"), "{error:?}");
}

#[tokio::test]
async fn a_slow_body_is_cut_by_the_deadline_and_its_effect_is_unknown() {
    let (endpoint, task) =
        server(Then::HalfAnswerAndHang("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")).await;
    let error = get(&endpoint).await.unwrap_err();
    assert!(error.may_have_arrived && error.cause.contains("within 300ms"), "{error:?}");
    assert_eq!(transport_fault("pausing", &endpoint.post("/p"), &error).effect, Effect::Unknown);
    assert_eq!(transport_fault("reading", &endpoint.get("/p"), &error).effect, Effect::None);
    task.await.unwrap();
}

#[tokio::test]
async fn a_connection_closed_in_the_middle_may_have_arrived() {
    for then in [
        Then::Close,
        Then::HalfAnswerAndClose("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
        Then::HalfAnswerAndClose("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\nhalf"),
    ] {
        let (endpoint, task) = server(then).await;
        let error = get(&endpoint).await.unwrap_err();
        assert_eq!(error.cause, "the connection was closed in the middle");
        assert!(error.may_have_arrived);
        let fault = transport_fault("pausing", &endpoint.post("/p"), &error);
        assert!(fault.hint.contains("port-forward"), "{fault:?}");
        task.await.unwrap();
    }
}

#[test]
fn whatever_the_wire_did_there_is_a_next_step() {
    let endpoint = Endpoint::parse("h").unwrap();
    for cause in [
        "connection refused",
        "the connection was reset",
        "no whole answer within 15s",
        "200 with a body of more than 8388608 bytes",
        "something that nobody has seen before",
    ] {
        let error = TransportError::line(cause, true);
        assert!(!transport_fault("asking", &endpoint.get("/"), &error).hint.is_empty(), "{cause}");
    }
    for status in [400, 401, 403, 404, 409, 429, 500, 503] {
        let response = Response { status, content_type: None, body: "no".into() };
        assert!(!status_fault("asking", &endpoint.get("/"), &response).hint.is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 9 * 1024 * 1024);
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + 9 * 1024 * 1024, b'x');
    let (endpoint, task) = server(Then::AnswerBytes(bytes)).await;
    let request = endpoint.get("/x");
    let error = HttpTransport::new().send(request).await.unwrap_err();
    assert!(error.cause.contains("more than 8388608 bytes"), "{error:?}");
    task.await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (endpoint, task) = server(Then::Answer(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ))
    .await;
    let response = get(&endpoint).await.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(status_fault("reading", &endpoint.get("/x"), &response).kind, FaultKind::Strange);
    task.await.unwrap();
}

#[tokio::test]
async fn plain_http_behind_an_https_address() {
    let transport = HttpTransport::new();
    // Plain HTTP behind an https address: the handshake fails, so no request was sent.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let endpoint = Endpoint::parse(&address).unwrap();
    let error = transport.send(endpoint.get("/")).await.unwrap_err();
    assert!(!error.may_have_arrived, "{error:?}");
    let fault = transport_fault("pausing", &endpoint.post("/"), &error);
    assert!(fault.hint.contains("TLS") && fault.effect == Effect::None, "{fault:?}");
    server.await.unwrap();
}

#[test]
fn a_web_page_is_recognised_as_a_wrong_port() {
    let endpoint = Endpoint::parse("localhost:8080").unwrap();
    let page = "<!DOCTYPE html>\n<html><head>\u{1b}[31m<title>Operate</title></head></html>";
    let response = |content_type: &str, body: &str| Response {
        status: 200,
        content_type: Some(content_type.into()),
        body: body.to_owned().into(),
    };
    for answer in [response("text/html;charset=UTF-8", page), response("application/json", page)] {
        let fault = read_json::<Value>("reading", &endpoint.get("/actuator"), &answer).unwrap_err();
        assert!(fault.answer.contains("HTML") && fault.hint.contains("management port"), "{fault:?}");
        assert!(!fault.answer.contains('\n') && !fault.answer.contains('\u{1b}'), "{fault:?}");
        assert_eq!((fault.kind, fault.effect), (FaultKind::Strange, Effect::None));
    }
    let fault = read_json::<Value>("asking", &endpoint.post("/x"), &response("application/json", "{\"a\":"))
        .unwrap_err();
    assert_eq!(fault.effect, Effect::Unknown, "a change with a cut answer");
    assert!(fault.target == "POST http://localhost:8080/x" && fault.answer.contains("{\"a\":"), "{fault:?}");
}

#[test]
fn excerpts_are_one_short_line() {
    assert_eq!(excerpt(b" a\r\n\tb\x00 c "), "a b c");
    assert_eq!(excerpt("é".repeat(200).as_bytes()).chars().count(), 200);
    let long = excerpt("é".repeat(5000).as_bytes());
    assert!(long.chars().count() == 200 && long.ends_with('…'), "{long}");
}

/// As it is copied from a browser, or from the page's own commands.
#[test]
fn the_path_of_the_actuator_is_no_part_of_an_address() {
    for address in ["http://u:canary@h:9600/actuator", "h:9600/prefix/actuator/"] {
        let fault = Endpoint::parse(address).unwrap_err();
        assert!(fault.hint.contains("leave out /actuator") && !fault.target.contains("canary"), "{fault:?}");
    }
    assert!(Endpoint::parse("h:9600/actuator-of-a-proxy").is_ok());
}

#[test]
fn addresses_are_read_leniently_and_shown_without_secrets() {
    let parse = |text: &str| Endpoint::parse(text).unwrap();
    assert_eq!(
        parse("localhost:9600").describe(Method::Post, "/actuator/x"),
        "POST http://localhost:9600/actuator/x"
    );
    assert_eq!(parse("https://h.example/ctx/").join("actuator"), "https://h.example/ctx/actuator");
    assert_eq!(parse(" h:9200/es ").join("/_cat/indices?h=index"), "http://h:9200/es/_cat/indices?h=index");
    let long = parse("h").get(&format!("/_cat/indices/{}", "zeebe-record*,".repeat(100))).describe();
    assert!(long.chars().count() < 210 && long.ends_with('…'), "{long}");
    assert_eq!(parse("[::1]:9600").address(), "http://[::1]:9600");
    for bad in ["", "ftp://h", "http://", "h?x=1", "h#x", "http://u:geheim@h:notaport"] {
        let fault = Endpoint::parse(bad).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage);
        assert!(!fault.to_string().contains("geheim"), "{fault}");
    }
}

#[test]
fn segments_cannot_escape_their_place() {
    assert_eq!(path_segment("camunda_zeebe_records_backup_1"), "camunda_zeebe_records_backup_1");
    assert_eq!(path_segment("a/../b?c#d+e f%"), "a%2F..%2Fb%3Fc%23d%2Be%20f%25");
}

#[test]
fn statuses_say_whether_to_try_again() {
    let endpoint = Endpoint::parse("h").unwrap();
    let judge = |method, status| {
        let response = Response { status, content_type: None, body: "no".into() };
        let fault = status_fault("doing", &endpoint.request(method, "/x"), &response);
        (fault.kind, fault.retry, fault.effect)
    };
    assert_eq!(judge(Method::Get, 401), (FaultKind::Unauthorised, Retry::Never, Effect::None));
    assert_eq!(judge(Method::Post, 403), (FaultKind::Unauthorised, Retry::Never, Effect::None));
    assert_eq!(judge(Method::Get, 404), (FaultKind::Absent, Retry::Never, Effect::None));
    assert_eq!(judge(Method::Post, 400), (FaultKind::Refused, Retry::Never, Effect::None));
    assert_eq!(judge(Method::Post, 429), (FaultKind::Refused, Retry::Again, Effect::None));
    assert_eq!(judge(Method::Post, 500), (FaultKind::Refused, Retry::Again, Effect::Unknown));
    assert_eq!(judge(Method::Get, 503), (FaultKind::Unreachable, Retry::Again, Effect::None));
}
