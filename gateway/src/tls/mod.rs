//! Certificates and keys: read from PEM, held against each other, made into both sides of TLS. The only room that
//! names rustls.
//!
//! `client.rs` is the client's side. `make.rs` makes new ones, `der.rs` reads what a certificate says of its owner.
//!
//! Never opens a file or a socket. [`config`](crate::config) reads the files and the broker shakes hands.

mod client;
mod der;
pub mod make;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub use client::{Agreed, Client, Pin, agreed, explain, server_name, wants_certificate};
pub use der::common_name;

/// The folder in the data folder for what the gateway makes for itself.
pub const FOLDER: &str = "tls";
/// Its own certificate there.
pub const CERTIFICATE: &str = "server.pem";
/// The key of it.
pub const KEY: &str = "server.key";
/// Where Debian keeps those whom the whole system believes, PEM.
pub const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A certificate and those that vouch for it, the gateway's own first.
#[derive(Debug)]
pub struct Chain(Vec<CertificateDer<'static>>);

impl Chain {
    /// Reads PEM.
    ///
    /// # Errors
    /// In words that go behind "which is no certificate: ".
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        if chain.is_empty() { Err("it has no block `BEGIN CERTIFICATE`".into()) } else { Ok(Self(chain)) }
    }
}

impl Chain {
    /// The SHA-256 fingerprint of the first certificate, as `openssl x509 -fingerprint` prints it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.0)
    }

    /// When the first certificate ends, in UTC.
    pub fn ends(&self) -> Option<String> {
        der::ends(self.0.first()?)
    }

    /// The host names and addresses that the first certificate is for.
    pub fn names(&self) -> Vec<String> {
        self.0.first().map(|certificate| der::names(certificate)).unwrap_or_default()
    }
}

fn fingerprint(chain: &[CertificateDer<'_>]) -> String {
    let der = chain.first().map_or(&[][..], |certificate| certificate);
    let digest = ::ring::digest::digest(&::ring::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// A private key. `Debug` does not show it.
#[derive(Debug)]
pub struct Key(PrivateKeyDer<'static>);

impl Key {
    /// Reads PEM: PKCS#8, SEC1 or PKCS#1.
    ///
    /// # Errors
    /// In words that go behind "which is no private key: ".
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        // What the library says of a key could repeat a part of it.
        let key =
            PrivateKeyDer::from_pem_slice(pem).map_err(|_| "it has no block `BEGIN PRIVATE KEY` that is whole")?;
        provider().key_provider.load_private_key(key.clone_key()).map_err(|_| "its kind is not known")?;
        Ok(Self(key))
    }
}

/// Those whose signature under the other side's certificate is believed.
#[derive(Debug)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// Reads PEM.
    ///
    /// # Errors
    /// In words that go behind "which is no certificate: ".
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let Chain(certificates) = Chain::read(pem)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        Ok(Self(Arc::new(roots)))
    }

    /// Reads the system's own, PEM: those that can't be understood are left out.
    ///
    /// # Errors
    /// In words that go behind "which is no certificate: ".
    pub fn read_system(pem: &[u8]) -> Result<Self, String> {
        let Chain(certificates) = Chain::read(pem)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        if roots.is_empty() { Err("none of them can be understood".into()) } else { Ok(Self(Arc::new(roots))) }
    }
}

/// The server's side of TLS 1.2 and 1.3. A clone is another handle. Two are equal when they were made of the same.
#[derive(Clone)]
pub struct Server {
    config: Arc<ServerConfig>,
    /// To tell whether a file has another content than before.
    made_of: Arc<MadeOf>,
}

#[derive(PartialEq)]
struct MadeOf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<Vec<u8>>,
    required: bool,
}

impl Server {
    /// Puts the parts together. With `clients`, a client's certificate is checked where it has one; with `true` beside
    /// them, it must have one.
    ///
    /// # Errors
    /// When the key is not that of the certificate, in words that go behind "which ".
    pub fn new(chain: Chain, key: Key, clients: Option<(Authorities, bool)>) -> Result<Self, String> {
        let (authorities, required) = match &clients {
            Some((roots, required)) => (subjects(&roots.0), *required),
            None => (Vec::new(), false),
        };
        let made_of = Arc::new(MadeOf { chain: chain.0.clone(), key: key.0.clone_key(), authorities, required });
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("does not go with TLS here: {error}"))?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((Authorities(roots), required)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
                let verifier = verifier.build().map_err(|error| format!("does not go with `client-ca`: {error}"))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(chain.0, key.0).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => "is not the key of that certificate".to_owned(),
            error => format!("does not go with that certificate: {error}"),
        })?;
        Ok(Self { config: Arc::new(config), made_of })
    }

    /// What a handshake needs.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// That of the certificate, as [`Chain::fingerprint`].
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.made_of.chain)
    }

    /// The certificate that it shows.
    pub fn certificate(&self) -> Certificate {
        let der = self.made_of.chain.first().map_or(&[][..], |certificate| certificate);
        Certificate {
            subject: common_name(der),
            names: der::names(der),
            ends: der::ends(der),
            fingerprint: self.fingerprint(),
        }
    }
}

/// What a certificate says, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of its owner.
    pub subject: Option<String>,
    /// The host names and addresses that it is for.
    pub names: Vec<String>,
    /// When it ends, in UTC.
    pub ends: Option<String>,
    /// As [`Chain::fingerprint`].
    pub fingerprint: String,
}

/// What tells one set of authorities from another.
fn subjects(roots: &RootCertStore) -> Vec<Vec<u8>> {
    roots.roots.iter().map(|root| [root.subject.as_ref(), root.subject_public_key_info.as_ref()].concat()).collect()
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

/// Why a handshake failed, for counters and logs.
pub fn fault(error: &std::io::Error) -> Fault {
    use rustls::Error as E;
    match error.get_ref().and_then(|inner| inner.downcast_ref::<E>()) {
        None => Fault::Closed,
        Some(E::InvalidMessage(_) | E::InappropriateMessage { .. } | E::InappropriateHandshakeMessage { .. }) => {
            Fault::NotTls
        }
        Some(E::NoCertificatesPresented) => Fault::NoCertificate,
        Some(E::InvalidCertificate(_)) => Fault::BadCertificate,
        Some(E::AlertReceived(_)) => Fault::RefusedByClient,
        Some(E::PeerIncompatible(_)) => Fault::NothingInCommon,
        Some(_) => Fault::Other,
    }
}

/// The kinds of failed handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Fault {
    /// It took too long.
    TooSlow,
    /// The client went.
    Closed,
    /// What came is no TLS.
    NotTls,
    /// The client has no certificate, and needs one.
    NoCertificate,
    /// The client's certificate is expired, signed by somebody else, or broken.
    BadCertificate,
    /// The client broke off: most often it does not know the authority behind the gateway's certificate.
    RefusedByClient,
    /// No version or cipher that both know.
    NothingInCommon,
    /// Anything else.
    Other,
}

impl Fault {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::TooSlow,
        Self::Closed,
        Self::NotTls,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::RefusedByClient,
        Self::NothingInCommon,
        Self::Other,
    ];

    /// The word for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooSlow => "too-slow",
            Self::Closed => "closed",
            Self::NotTls => "not-tls",
            Self::NoCertificate => "no-certificate",
            Self::BadCertificate => "bad-certificate",
            Self::RefusedByClient => "refused-by-client",
            Self::NothingInCommon => "nothing-in-common",
            Self::Other => "other",
        }
    }
}

/// The one implementation of ciphers in this house; named, so that no global has to be set.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
