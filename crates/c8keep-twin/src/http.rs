//! Serves a world on loopback: one listener per host, on ports of the system's choice.
//!
//! This is the only place in the crate that waits: an answer that a real server would give later is held back until
//! the caller's clock says so.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request as HttpRequest};
use axum::http::Response as HttpResponse;
use axum::serve::{IncomingStream, Listener};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::host::Host;
use crate::wire::{Answer, Request, Response, handle};
use crate::world::World;

/// No request of the backup procedure is larger than a few hundred bytes.
const MAX_BODY: usize = 1024 * 1024;
/// An answer is held back at most this long, in real time.
const MAX_HOLD: Duration = Duration::from_mins(10);
/// How often a held answer looks at the clock.
const LOOK: Duration = Duration::from_millis(2);

/// Says what time it is: the wall clock, a faster one, or one that a test moves by hand.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// An instant of one exchange, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request is here and has had no effect yet.
    Arrived,
    /// It has had its effect, and the answer is about to go.
    Answering,
}

/// Sees every exchange, and holds it up for as long as it takes.
pub type Watcher = Arc<dyn Fn(Moment, Host, &Request) + Send + Sync>;

/// A served world. Dropping it closes all ports.
#[derive(Debug)]
pub struct Served {
    pub addresses: BTreeMap<Host, SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
    /// Connections outlive their listener; once closed they answer nothing more.
    closed: Arc<AtomicBool>,
}

impl Served {
    /// The base address of a host, as `http://127.0.0.1:port`.
    pub fn url(&self, host: Host) -> Option<String> {
        self.addresses.get(&host).map(|address| format!("http://{address}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Binds one port of 127.0.0.1 for each host of the world and serves until the result is dropped.
pub async fn serve(world: Arc<Mutex<World>>, now: Clock) -> io::Result<Served> {
    serve_watched(world, now, Arc::new(|_, _, _| {})).await
}

/// The same, with somebody who watches.
pub async fn serve_watched(world: Arc<Mutex<World>>, now: Clock, watcher: Watcher) -> io::Result<Served> {
    let hosts = world.lock().unwrap_or_else(PoisonError::into_inner).hosts();
    let mut listeners = Vec::new();
    let mut addresses = BTreeMap::new();
    for host in hosts {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        addresses.insert(host, listener.local_addr()?);
        listeners.push((host, listener));
    }
    {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        for (host, address) in &addresses {
            world.set_address(*host, format!("http://{address}"));
        }
        world.advance(now());
    }
    let closed = Arc::new(AtomicBool::new(false));
    let tasks = listeners.into_iter().map(|(host, listener)| {
        let (world, now, closed) = (Arc::clone(&world), Arc::clone(&now), Arc::clone(&closed));
        let watcher = Arc::clone(&watcher);
        let app = Router::new().fallback(move |ConnectInfo(cut): ConnectInfo<Cut>, request: HttpRequest| {
            let (world, now, closed) = (Arc::clone(&world), Arc::clone(&now), Arc::clone(&closed));
            let watcher = Arc::clone(&watcher);
            async move {
                let answer = respond(&world, &now, &watcher, host, request, &cut).await;
                if closed.load(Ordering::SeqCst) {
                    cut.0.store(true, Ordering::SeqCst);
                }
                answer
            }
        });
        tokio::spawn(async move {
            let service = app.into_make_service_with_connect_info::<Cut>();
            // It ends only when the task is aborted; there is nobody to tell about an error.
            let _ = axum::serve(CuttableListener(listener), service).await;
        })
    });
    let tasks = tasks.collect();
    Ok(Served { addresses, tasks, closed })
}

async fn respond(
    world: &Mutex<World>,
    now: &Clock,
    watcher: &Watcher,
    host: Host,
    request: HttpRequest,
    cut: &Cut,
) -> HttpResponse<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return HttpResponse::builder().status(413).body(Body::empty()).unwrap_or_default();
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut plain = Request::new(head.method.as_str(), target);
    plain.body = body.to_vec();
    plain.headers = head
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    watcher(Moment::Arrived, host, &plain);
    let response = ask(world, now, host, &plain).await;
    watcher(Moment::Answering, host, &plain);
    match response {
        Response::Answer(answer) => to_http(answer),
        Response::Dropped => {
            cut.0.store(true, Ordering::SeqCst);
            HttpResponse::default()
        }
    }
}

/// Sends a request to the world and waits for its answer as long as a real server would take.
async fn ask(world: &Mutex<World>, now: &Clock, host: Host, request: &Request) -> Response {
    let send = |request: &Request| {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        handle(&mut world, host, request, now())
    };
    let mut response = send(request);
    let Response::Answer(Answer { ready_at: Some(ready), then, .. }) = &mut response else { return response };
    let (ready, then) = (*ready, then.take());
    let patience = tokio::time::Instant::now() + MAX_HOLD;
    while now() < ready && tokio::time::Instant::now() < patience {
        tokio::time::sleep(LOOK).await;
    }
    then.map_or(response, |then| send(&then))
}

fn to_http(answer: Answer) -> HttpResponse<Body> {
    let mut builder = HttpResponse::builder().status(answer.status);
    if let Some(content_type) = &answer.content_type {
        builder = builder.header("content-type", content_type);
    }
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(answer.body)).unwrap_or_default()
}

/// Set to close a connection without answering.
#[derive(Clone, Debug, Default)]
struct Cut(Arc<AtomicBool>);

struct CuttableListener(TcpListener);

struct CuttableStream {
    stream: TcpStream,
    cut: Cut,
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for the client's acknowledgement; failing to say so only costs time.
        let _ = stream.set_nodelay(true);
        (CuttableStream { stream, cut: Cut::default() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Cut {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().cut.clone()
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.cut.0.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
