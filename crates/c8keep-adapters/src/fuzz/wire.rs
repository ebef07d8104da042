//! Whole answers as they come over the wire, head and all, through the one transport.

use c8keep_fuzz::{Input, feed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{now, told};
use crate::transport::{
    Endpoint, HttpTransport, Response, Transport, TransportError, json, status_fault, transport_fault,
};

const ANSWERS: [&[u8]; 7] = [
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{\"state\": \"RUNNING\"}",
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/login\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"security\" charset=\"UTF-8\", ApiKey\r\ncontent-length: 2\r\n\r\n{}",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nretry-after: 120\r\n\r\n",
    b"HTTP/1.0 502 Bad Gateway\r\ncontent-type: text/html; charset=utf-8\r\n\r\n<html><h1>502</h1></html>",
    b"\x15\x03\x01\x00\x02\x02\x46",
];

#[test]
fn whole_answers() {
    let transport = HttpTransport::new();
    feed("whole answers", &ANSWERS.map(<[u8]>::to_vec), |input| {
        now(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string()).unwrap();
            let request = match input.number % 2 {
                0 => endpoint.get("/state"),
                _ => endpoint.post("/state"),
            };
            let (answer, ()) = tokio::join!(transport.send(request.clone()), serve(&listener, input));
            let fault = match answer {
                Ok(Response { status: 200..=299, .. }) => {
                    told(json::<serde_json::Value>("asking", &request, &answer.unwrap()))
                }
                Ok(answer) => told::<()>(Err(status_fault("asking", &request, &answer))),
                Err(error) => {
                    assert!(!error.cause.is_empty());
                    told::<()>(Err(transport_fault("asking", &request, &error)))
                }
            };
            fault.into_iter().collect()
        })
    });
}

/// Says the input to whoever connects first, whatever he asks, and closes.
async fn serve(listener: &TcpListener, input: &Input) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(&input.bytes).await;
    let _ = stream.shutdown().await;
}

/// What is kept from the transport's own hands: no example may be so odd that it is not read at all.
#[test]
fn the_examples_of_whole_answers_are_answers() {
    for (place, example) in ANSWERS.iter().enumerate() {
        let input = Input { bytes: example.to_vec(), number: 0 };
        let answer: Result<Response, TransportError> = runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string()).unwrap();
            let transport = HttpTransport::new();
            tokio::join!(transport.send(endpoint.get("/")), serve(&listener, &input)).0
        });
        assert_eq!(answer.is_ok(), place + 1 < ANSWERS.len(), "{answer:?}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
