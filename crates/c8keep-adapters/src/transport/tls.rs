//! TLS: whom we trust, the certificate that we show, and in plain words why a handshake failed.
//!
//! Verification is always on. There is no switch for it, here or anywhere: a name that does not fit is mended by
//! `connect_to`, an unknown issuer by its certificate.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use c8keep_core::fault::{Fault, FaultKind};
use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// Roots and our own certificate, as read from their files.
#[derive(Clone, Default)]
pub struct Tls {
    /// Certificates of issuers; with the platform's own, or instead of them.
    issuers: Vec<Certificate>,
    issuers_only: bool,
    identity: Option<Identity>,
}

/// Why there was no handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsTrouble {
    /// The certificate is another name's.
    Name,
    /// Nobody that is trusted here has issued it.
    Issuer,
    /// It is not valid any more.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// What answers does not speak TLS.
    PlainHttp,
    /// The server wants a certificate of ours.
    ClientCertificate,
    /// The server does not accept our certificate.
    ClientCertificateRefused,
    /// Something else.
    Other,
}

/// The largest bundle in use, that of Mozilla, has some 200 KiB.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
const DOING: &str = "preparing TLS";

impl Tls {
    /// Issuers from a PEM file, trusted beside those of the platform; or, with `only`, instead of them.
    pub fn with_issuers(mut self, path: &Path, only: bool) -> Result<Tls, Fault> {
        let pem = read(path)?;
        let unusable =
            |why: &str| unusable(path, why, "it must hold certificates in PEM, as in BEGIN CERTIFICATE");
        self.issuers = Certificate::from_pem_bundle(&pem).map_err(|e| unusable(&innermost(&e)))?;
        if self.issuers.is_empty() {
            return Err(unusable("there is no certificate in it"));
        }
        self.issuers_only = only;
        Ok(self)
    }

    /// The certificate that we show, with those between it and its issuer, and its key; both PEM, the key not encrypted.
    pub fn with_identity(mut self, certificate: &Path, key: &Path) -> Result<Tls, Fault> {
        let mut pem = read(certificate)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        let files = PathBuf::from(format!("{} with {}", certificate.display(), key.display()));
        // What the library says of a key is not repeated.
        let identity = Identity::from_pem(&pem).map_err(|_| {
            let hint = "the certificate and its key must be PEM, and the key not encrypted";
            unusable(&files, "this is no pair of a certificate and a key", hint)
        })?;
        self.identity = Some(identity);
        Ok(self)
    }

    pub(super) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        let builder = if self.issuers_only {
            builder.tls_certs_only(self.issuers.clone())
        } else {
            builder.tls_certs_merge(self.issuers.clone())
        };
        match &self.identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        }
    }
}

/// The library's own would print certificates, and who knows what of the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("issuers", &self.issuers.len())
            .field("issuers_only", &self.issuers_only)
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

impl TlsTrouble {
    /// In an error of the HTTP library, if TLS is what failed.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<(TlsTrouble, String)> {
        let mut cause = Some(error);
        // Chains are as long as libraries are deep; a limit costs nothing.
        for _ in 0..16 {
            let Some(current) = cause else { break };
            // An I/O error hides what it wraps from `source`.
            let wrapped = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            let tls = wrapped
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .or_else(|| current.downcast_ref::<rustls::Error>());
            if let Some(tls) = tls {
                let trouble = TlsTrouble::judge(tls);
                return Some((trouble, trouble.told(tls)));
            }
            cause = match wrapped {
                Some(inner) => Some(inner),
                None => current.source(),
            };
        }
        None
    }

    fn judge(error: &rustls::Error) -> TlsTrouble {
        use CertificateError as C;
        match error {
            rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
                TlsTrouble::Name
            }
            // An issuer that was made again has the name of the trusted one and another key.
            rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => TlsTrouble::Issuer,
            rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => TlsTrouble::Expired,
            rustls::Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
                TlsTrouble::NotYet
            }
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsTrouble::PlainHttp,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                TlsTrouble::ClientCertificate
            }
            // Java says `bad_certificate` also where there was none.
            rustls::Error::AlertReceived(
                AlertDescription::BadCertificate
                | AlertDescription::DecryptError
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnsupportedCertificate,
            ) => TlsTrouble::ClientCertificateRefused,
            _ => TlsTrouble::Other,
        }
    }

    fn told(self, error: &rustls::Error) -> String {
        match self {
            TlsTrouble::Name => match error {
                rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                    presented,
                    ..
                }) if !presented.is_empty() => {
                    format!("its certificate is for another name: it is for {}", presented.join(", "))
                }
                _ => "its certificate is for another name".into(),
            },
            TlsTrouble::Issuer => "its certificate comes from an issuer that is not trusted here".into(),
            TlsTrouble::Expired => "its certificate has expired".into(),
            TlsTrouble::NotYet => "its certificate is not valid yet".into(),
            TlsTrouble::PlainHttp => "what answers there does not speak TLS".into(),
            TlsTrouble::ClientCertificate => "it wants a client certificate and got none".into(),
            TlsTrouble::ClientCertificateRefused => {
                "it does not accept our client certificate, or the lack of one".into()
            }
            TlsTrouble::Other => format!("TLS failed: {error}"),
        }
    }

    /// The trouble that a fault tells of, for whoever can do something about it.
    pub fn told_by(fault: &Fault) -> Option<TlsTrouble> {
        const ALL: [TlsTrouble; 8] = [
            TlsTrouble::Name,
            TlsTrouble::Issuer,
            TlsTrouble::Expired,
            TlsTrouble::NotYet,
            TlsTrouble::PlainHttp,
            TlsTrouble::ClientCertificate,
            TlsTrouble::ClientCertificateRefused,
            TlsTrouble::Other,
        ];
        ALL.into_iter().find(|trouble| trouble.hint() == fault.hint)
    }

    /// What to do next.
    pub fn hint(self) -> &'static str {
        match self {
            TlsTrouble::Name => {
                "use the name of its certificate in the address, and `connect_to` for where it is really reached, as \
                 through a port-forward (docs/access.md)"
            }
            TlsTrouble::Issuer => {
                "give its issuer's certificate as `tls.ca_file` in this address's section of `access` (docs/access.md)"
            }
            TlsTrouble::Expired => {
                "renew that server's certificate; if it is new, see whether this machine's clock is right"
            }
            TlsTrouble::NotYet => "see whether this machine's clock is right",
            TlsTrouble::PlainHttp => {
                "plain HTTP answers there: use http:// in the address, or the port that speaks TLS"
            }
            TlsTrouble::ClientCertificate | TlsTrouble::ClientCertificateRefused => {
                "give `tls.client_certificate` in this address's section of `access`, from an issuer which that server \
                 trusts (docs/access.md)"
            }
            TlsTrouble::Other => "see which versions and certificates of TLS that server has, and its log",
        }
    }

    /// Whether the server has ended the handshake because of us: it has not looked at the request, although with TLS 1.3 we
    /// had sent it by then (RFC 8446, 4.4.2.4).
    pub(super) fn is_before_the_request(self) -> bool {
        self != TlsTrouble::Other
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let hint = "give the path of a readable file";
    let failed = |error: std::io::Error| unusable(path, &error.to_string(), hint);
    let mut pem = Vec::new();
    // What a file's size is said to be is no limit: that of a device is 0, and it never ends.
    let file = File::open(path).map_err(failed)?;
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut pem).map_err(failed)?;
    if pem.len() as u64 > PEM_BYTES_MAX {
        return Err(unusable(path, &format!("it has more than {PEM_BYTES_MAX} bytes"), hint));
    }
    Ok(pem)
}

fn unusable(path: &Path, why: &str, hint: &str) -> Fault {
    Fault::new(FaultKind::Usage, DOING, path.display().to_string(), why).with_hint(hint)
}

fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    super::excerpt(cause.to_string().as_bytes())
}
