//! Servers on loopback, with and without TLS, and certificates made for one test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One answer as `(status, body)`.
pub(super) type Answer = (u16, String);

/// A server that answers by a function of how many requests came before, and of the request.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// Whole requests.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    /// The names that clients asked for in TLS.
    pub(super) names: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

/// Nobody asks more often in a test; a loop would.
const CONNECTIONS_MAX: usize = 100;

impl Server {
    pub(super) async fn plain(answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Server {
        Server::start(None, answer).await
    }

    pub(super) async fn tls(
        config: ServerConfig,
        answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static,
    ) -> Server {
        Server::start(Some(TlsAcceptor::from(Arc::new(config))), answer).await
    }

    async fn start(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, names) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (seen, heard) = (Arc::clone(&asked), Arc::clone(&names));
        let task = tokio::spawn(async move {
            for _ in 0..CONNECTIONS_MAX {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    None => exchange(stream, &seen, &answer).await,
                    Some(acceptor) => {
                        let Ok(stream) = acceptor.accept(stream).await else { continue };
                        let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                        heard.lock().unwrap().push(name);
                        exchange(stream, &seen, &answer).await;
                    }
                }
            }
        });
        Server { address, asked, names, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Nothing listens any more once this is over.
    pub(super) async fn close(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request and its answer; then the connection is closed.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    asked: &Mutex<Vec<String>>,
    answer: &impl Fn(usize, &str) -> Answer,
) {
    let Some(request) = read(&mut stream).await else { return };
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(request.clone());
        asked.len() - 1
    };
    let (status, body) = answer(number, &request);
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\nlocation: /elsewhere\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut seen = Vec::new();
    let mut byte = [0; 1];
    while !seen.ends_with(b"\r\n\r\n") && seen.len() < 16 * 1024 {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        seen.push(byte[0]);
    }
    let head = String::from_utf8(seen).ok()?;
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}

/// Reads what a client says first, and answers in plain HTTP; for clients that speak TLS.
pub(super) async fn answer_in_plain_http(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 1024]).await;
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
}

/// An issuer of certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// A certificate with its key, as a server takes it and as files.
pub(super) struct Leaf {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
}

impl Authority {
    pub(super) fn new() -> Authority {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Authority::named(&format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    pub(super) fn named(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, folder }
    }

    /// Its certificate as a file.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(super) fn leaf(&self, name: &str, change: impl Fn(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let pair = KeyPair::generate().unwrap();
        let signed = params.signed_by(&pair, &self.issuer).unwrap();
        let file = |suffix: &str, text: String| {
            let path = self.folder.path().join(format!("{name}.{suffix}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        Leaf {
            certificate: file("crt", signed.pem()),
            key: file("key", pair.serialize_pem()),
            chain: vec![signed.der().clone()],
            private: PrivateKeyDer::Pkcs8(pair.serialize_der().into()),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

impl Leaf {
    /// A server that shows it.
    pub(super) fn server(&self) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.unwrap().with_no_client_auth();
        builder.with_single_cert(self.chain.clone(), self.private.clone_key()).unwrap()
    }

    /// A server that shows it and wants a client's from an issuer.
    pub(super) fn server_for_clients_of(&self, clients: &Authority) -> ServerConfig {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), provider())
            .build()
            .unwrap();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.unwrap().with_client_cert_verifier(verifier);
        builder.with_single_cert(self.chain.clone(), self.private.clone_key()).unwrap()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
