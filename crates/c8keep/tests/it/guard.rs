//! What stands in front of a server and wants credentials: it lets a request through, or answers itself.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Says what to answer to a request instead of letting it through.
pub type Judge = Box<dyn Fn(&str) -> Option<(u16, String)> + Send + Sync>;

/// A proxy on loopback that ends with the test.
pub struct Guard {
    address: SocketAddr,
    judge: Arc<Mutex<Judge>>,
    stop: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Guard {
    /// Before `http://host:port`.
    pub fn before(url: &str, judge: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> Guard {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = url.trim_start_matches("http://").to_owned();
        let (judge, stop): (Judge, _) = (Box::new(judge), Arc::new(AtomicBool::new(false)));
        let judge = Arc::new(Mutex::new(judge));
        let (ended, asked) = (Arc::clone(&stop), Arc::clone(&judge));
        let task = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (upstream, asked) = (upstream.clone(), Arc::clone(&asked));
                // Each ends with its connection; what goes wrong there is what the program sees.
                std::thread::spawn(move || stream.map(|stream| serve(stream, &upstream, &asked)));
            }
        });
        Guard { address, judge, stop, task: Some(task) }
    }

    /// One that lets nothing through, because nothing is behind it.
    pub fn alone(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Guard {
        Guard::before("http://127.0.0.1:1", move |request| Some(answer(request)))
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on another judge.
    pub fn replace(&self, judge: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) {
        *self.judge.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(judge);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(task) = self.task.take() {
            let _ = task.join();
        }
    }
}

/// Lets through what carries a header, and answers the rest with 401 and all that it was sent: the worst of servers.
pub fn wants(header: &str) -> impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static {
    let header = header.to_owned();
    move |request| {
        let admitted = request.lines().any(|line| line.eq_ignore_ascii_case(&header) || line == header);
        (!admitted).then(|| (401, format!("not accepted: {request}")))
    }
}

/// One request for each connection.
fn serve(mut stream: TcpStream, upstream: &str, judge: &Mutex<Judge>) -> Option<()> {
    let request = read(&mut stream)?;
    let judged = judge.lock().unwrap_or_else(PoisonError::into_inner)(&request);
    if let Some((status, body)) = judged {
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        return stream.write_all(format!("{head}{body}").as_bytes()).ok();
    }
    let mut server = TcpStream::connect(upstream).ok()?;
    let (line, rest) = request.split_once("\r\n")?;
    server.write_all(format!("{line}\r\nconnection: close\r\n{rest}").as_bytes()).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    stream.write_all(&answer).ok()
}

fn read(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    let mut byte = [0; 1];
    while !seen.ends_with(b"\r\n\r\n") && seen.len() < 64 * 1024 {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        seen.push(byte[0]);
    }
    let head = String::from_utf8(seen).ok()?;
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}
