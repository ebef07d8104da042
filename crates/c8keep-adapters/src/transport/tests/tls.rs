//! TLS over loopback: whom we trust, what is verified, what we show, and how a failure is told.

use c8keep_core::fault::{Effect, FaultKind};
use tokio::net::TcpListener;

use super::stage::{Answer, Authority, Server, answer_in_plain_http};
use crate::transport::{
    Access, ConnectTo, Credential, Endpoint, HttpTransport, Response, Secret, Tls, TlsTrouble, Transport,
    TransportError, Trouble, transport_fault,
};

const NAME: &str = "camunda-core";

fn ok(_: usize, _: &str) -> Answer {
    (200, "{}".into())
}

/// Dialled at a server, whatever the name in the address is: as through a port-forward.
fn forward(server: &Server, name: &str) -> HttpTransport {
    let (from, to) = (format!("{name}:9600"), server.address.to_string());
    HttpTransport::new().with_connect_to(ConnectTo::parse([(from.as_str(), to.as_str())]).unwrap())
}

fn trusting(authority: &Authority) -> Tls {
    Tls::default().with_issuers(&authority.file(), true).unwrap()
}

async fn post(server: &Server, access: Access) -> Result<Response, TransportError> {
    let endpoint = Endpoint::parse(&format!("https://{NAME}:9600/ctx")).unwrap().with_access(&access);
    forward(server, NAME).send(endpoint.post("/actuator/x")).await
}

#[track_caller]
fn trouble(outcome: Result<Response, TransportError>) -> (TlsTrouble, String) {
    let error = outcome.unwrap_err();
    assert!(!error.may_have_arrived, "nothing is carried out before a handshake: {error:?}");
    let Trouble::Tls(trouble) = error.trouble else { panic!("{error:?}") };
    let fault = transport_fault("pausing", &Endpoint::parse("h").unwrap().post("/"), &error);
    assert_eq!((fault.kind, fault.effect), (FaultKind::Unreachable, Effect::None));
    assert!(!fault.hint.is_empty() && fault.answer.contains("dialled at 127.0.0.1"), "{fault:?}");
    (trouble, fault.answer)
}

/// A port-forward: the name in the address is what TLS asks for, what is verified, and what the server reads.
#[tokio::test]
async fn connect_to_changes_the_way_and_nothing_else() {
    let authority = Authority::new();
    let server = Server::tls(authority.leaf(NAME, |_| {}).server(), ok).await;
    let answer = post(&server, Access::at("access.management").with_tls(trusting(&authority))).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(*server.names.lock().unwrap(), [NAME]);
    let head = server.asked().remove(0);
    assert!(head.starts_with("POST /ctx/actuator/x HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("\r\nhost: camunda-core:9600\r\n"), "{head}");
    assert_eq!(head.to_lowercase().matches("\r\nhost:").count(), 1, "{head}");
}

#[tokio::test]
async fn connect_to_serves_plain_http_as_well_and_other_addresses_are_left_alone() {
    let (forwarded, other) = (Server::plain(ok).await, Server::plain(ok).await);
    let transport = forward(&forwarded, NAME);
    let ask = async |address: &str| transport.send(Endpoint::parse(address).unwrap().get("/")).await;
    ask("http://camunda-core:9600").await.unwrap();
    assert!(forwarded.asked()[0].contains("host: camunda-core:9600\r\n"), "{:?}", forwarded.asked());
    ask(&other.url()).await.unwrap();
    assert_eq!((forwarded.asked().len(), other.asked().len()), (1, 1));
    forwarded.close().await;
    let error = ask("http://camunda-core:9600").await.unwrap_err();
    assert!(error.cause.contains("refused (dialled at 127.0.0.1:"), "{error:?}");
}

/// Also one with the name of the right one: whoever sets a cluster up again makes a new issuer of the same name.
#[tokio::test]
async fn an_issuer_that_nobody_knows() {
    let authority = Authority::new();
    let server = Server::tls(authority.leaf(NAME, |_| {}).server(), ok).await;
    let namesake = Authority::named("of one name");
    let other = Server::tls(Authority::named("of one name").leaf(NAME, |_| {}).server(), ok).await;
    for (server, trusted) in [(&server, &namesake), (&other, &namesake)] {
        let (found, told) = trouble(post(server, Access::default().with_tls(trusting(trusted))).await);
        assert_eq!(found, TlsTrouble::Issuer);
        assert!(told.contains("issuer that is not trusted"), "{told}");
        assert!(server.asked().is_empty());
    }
}

/// Our own issuers are trusted beside the platform's, unless they are to be the only ones.
#[tokio::test]
async fn an_issuer_can_be_added() {
    let authority = Authority::new();
    let server = Server::tls(authority.leaf(NAME, |_| {}).server(), ok).await;
    let added = Tls::default().with_issuers(&authority.file(), false).unwrap();
    assert_eq!(post(&server, Access::default().with_tls(added)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let authority = Authority::new();
    let server = Server::tls(authority.leaf("search.example.org", |_| {}).server(), ok).await;
    let access = Access::default().with_tls(trusting(&authority));
    let (found, told) = trouble(post(&server, access).await);
    assert_eq!(found, TlsTrouble::Name);
    assert!(told.contains("search.example.org"), "{told}");
}

#[tokio::test]
async fn certificates_out_of_their_time() {
    let authority = Authority::new();
    for (from, to, expected) in [(2000, 2001, TlsTrouble::Expired), (2998, 2999, TlsTrouble::NotYet)] {
        let leaf = authority.leaf(NAME, |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        });
        let server = Server::tls(leaf.server(), ok).await;
        let access = Access::default().with_tls(trusting(&authority));
        assert_eq!(trouble(post(&server, access).await).0, expected);
    }
}

#[tokio::test]
async fn plain_http_where_tls_was_expected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    let server = tokio::spawn(async move { answer_in_plain_http(listener.accept().await.unwrap().0).await });
    let access = Access::default().with_tls(trusting(&Authority::new()));
    let endpoint = endpoint.with_access(&access);
    let error = HttpTransport::new().send(endpoint.post("/")).await.unwrap_err();
    assert_eq!((error.trouble, error.may_have_arrived), (Trouble::Tls(TlsTrouble::PlainHttp), false));
    let fault = transport_fault("pausing", &endpoint.post("/"), &error);
    assert!(fault.hint.contains("http://"), "{fault:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn tls_where_plain_http_was_expected() {
    let server = Server::tls(Authority::new().leaf(NAME, |_| {}).server(), ok).await;
    let endpoint = Endpoint::parse(&server.url()).unwrap();
    let error = HttpTransport::new().send(endpoint.get("/")).await.unwrap_err();
    let fault = transport_fault("reading", &endpoint.get("/"), &error);
    assert!(fault.hint.contains("https://"), "{fault:?}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_client_certificate() {
    let authority = Authority::new();
    let clients = Authority::named("clients");
    let server = Server::tls(authority.leaf(NAME, |_| {}).server_for_clients_of(&clients), ok).await;
    let without = Access::default().with_tls(trusting(&authority));
    assert_eq!(trouble(post(&server, without).await).0, TlsTrouble::ClientCertificate);

    let ours = clients.leaf("c8keep", |_| {});
    let tls = trusting(&authority).with_identity(&ours.certificate, &ours.key).unwrap();
    assert_eq!(post(&server, Access::default().with_tls(tls)).await.unwrap().status, 200);

    for strangers in [Authority::new(), Authority::named("clients")] {
        let foreign = strangers.leaf("c8keep", |_| {});
        let tls = trusting(&authority).with_identity(&foreign.certificate, &foreign.key).unwrap();
        let outcome = post(&server, Access::default().with_tls(tls)).await;
        assert_eq!(trouble(outcome).0, TlsTrouble::ClientCertificateRefused);
    }
    assert_eq!(server.asked().len(), 1, "the ones without a certificate were not heard");
}

#[test]
fn files_that_cannot_be_used_are_named_and_not_shown() {
    let authority = Authority::new();
    let leaf = authority.leaf(NAME, |_| {});
    let ca = authority.file();
    let empty = ca.with_file_name("empty.pem");
    std::fs::write(&empty, "geheim").unwrap();
    let missing = ca.with_file_name("missing.pem");
    // Its size is said to be 0, and it never ends.
    let endless = ca.with_file_name("endless.pem");
    std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
    for fault in [
        Tls::default().with_issuers(&endless, true).unwrap_err(),
        Tls::default().with_issuers(&missing, true).unwrap_err(),
        Tls::default().with_issuers(&empty, true).unwrap_err(),
        Tls::default().with_identity(&leaf.certificate, &empty).unwrap_err(),
        Tls::default().with_identity(&empty, &leaf.key).unwrap_err(),
        Tls::default().with_identity(&leaf.certificate, &missing).unwrap_err(),
    ] {
        assert_eq!(fault.kind, FaultKind::Usage);
        assert!(fault.target.contains(".pem") && !fault.hint.is_empty(), "{fault:?}");
        assert!(!format!("{fault:?}").contains("geheim"), "{fault:?}");
    }
    let tls = trusting(&authority).with_identity(&leaf.certificate, &leaf.key).unwrap();
    let access = Access::at("access.search").with_tls(tls);
    let access = access.with_credential(Credential::Bearer(Secret::Given("geheim".into())));
    assert!(!format!("{access:?}").contains("geheim"), "{access:?}");
    assert!(format!("{access:?}").contains("identity: true"), "{access:?}");
}
