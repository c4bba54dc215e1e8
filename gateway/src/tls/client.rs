//! The client's side of TLS: whom to take for the server that is meant, and what to show of oneself.

use std::fmt;
use std::io;
use std::sync::Arc;

use ::ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
};
use serde::{Serialize, Serializer};

use super::{Authorities, Chain, Key, der, provider, subjects};

/// The SHA-256 of a server's certificate, or of the public key in it (its SubjectPublicKeyInfo, as RFC 7469, section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Reads 64 hex digits, with or without colons between bytes and `sha256:` in front; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> =
            text.strip_prefix("sha256:").unwrap_or(text).bytes().filter(|byte| *byte != b':').collect();
        let mut bytes = [0; 32];
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    pub(super) fn of(der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, der).as_ref());
        Self(bytes)
    }

    /// That of the key in a certificate.
    pub(super) fn of_key(certificate: &[u8]) -> Option<Self> {
        der::public_key(certificate).map(Self::of)
    }

    fn fits(&self, certificate: &[u8]) -> bool {
        Self::of(certificate) == *self || Self::of_key(certificate) == Some(*self)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The client's side of TLS 1.2 and 1.3. A clone is another handle. Two are equal when they were made of the same.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    made_of: Arc<MadeOf>,
}

#[derive(PartialEq)]
struct MadeOf {
    authorities: Vec<Vec<u8>>,
    pin: Option<Pin>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Client {
    /// Puts the parts together. With authorities, the server's certificate must be signed by one of them and be for its
    /// name; with a pin, it or its key must be that one; with both, both. `identity` is shown to a server that asks.
    ///
    /// # Errors
    /// In words that go behind "which ".
    pub fn new(
        authorities: Option<Authorities>,
        pin: Option<Pin>,
        identity: Option<(Chain, Key)>,
    ) -> Result<Self, String> {
        let made_of = MadeOf {
            authorities: authorities.as_ref().map(|roots| subjects(&roots.0)).unwrap_or_default(),
            pin,
            identity: identity.as_ref().map(|(chain, key)| (chain.0.clone(), key.0.clone_key())),
        };
        let chain = match authorities {
            Some(Authorities(roots)) => {
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
                Some(verifier.map_err(|error| format!("does not go with `ca`: {error}"))?)
            }
            None => None,
        };
        let verifier = Arc::new(Verifier { chain, pin, provider: provider() });
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("does not go with TLS here: {error}"))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain.0, key.0).map_err(|error| match error {
                Error::InconsistentKeys(_) => "is not the key of that certificate".to_owned(),
                error => format!("does not go with that certificate: {error}"),
            })?,
        };
        Ok(Self { config: Arc::new(config), made_of: Arc::new(made_of) })
    }

    /// What a handshake needs.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Whether the server is the one that is meant. Without authorities the pin alone says so; with neither nobody is.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<WebPkiServerVerifier>>,
    pin: Option<Pin>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
        }
        match self.pin {
            Some(pin) if pin.fits(certificate) => Ok(ServerCertVerified::assertion()),
            Some(_) => Err(Error::General(format!(
                "{NOT_PINNED} {}",
                Pin::of_key(certificate).unwrap_or(Pin::of(certificate))
            ))),
            None if self.chain.is_some() => Ok(ServerCertVerified::assertion()),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

const NOT_PINNED: &str = "the server's key is not the one of `pin`; it is";

/// A host's name or address as TLS takes it.
///
/// # Errors
/// In words.
pub fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is no name that a certificate can be for"))
}

/// What was agreed with a server, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Such as `TLSv1_3`.
    pub version: String,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The pin of the server's certificate.
    pub certificate: String,
    /// The pin of its key, which outlives a renewal.
    pub key: String,
    /// When the certificate ends.
    pub ends: Option<String>,
}

/// What was agreed on a connection.
pub fn agreed(connection: &ClientConnection) -> Agreed {
    let certificate = connection.peer_certificates().and_then(<[_]>::first).map_or(&[][..], |certificate| certificate);
    Agreed {
        version: connection.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default(),
        cipher: connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default(),
        certificate: Pin::of(certificate).to_string(),
        key: Pin::of_key(certificate).map(|pin| pin.to_string()).unwrap_or_default(),
        ends: der::ends(certificate),
    }
}

/// Whether a server has broken off since it was shown no certificate.
pub fn wants_certificate(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    matches!(error, Some(Error::AlertReceived(AlertDescription::CertificateRequired)))
}

/// Why a connection to a server failed, and what to do about it; `None` where TLS is not to blame.
pub fn explain(error: &io::Error) -> Option<String> {
    use CertificateError as C;
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "the server's certificate has expired; renew it there, and look at the clock here".to_owned()
        }
        Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "the server's certificate is not valid yet; look at the clocks".to_owned()
        }
        Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => {
            "nobody in `ca` has signed the server's certificate; name its authority's file in `ca`".to_owned()
        }
        Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "the server's certificate is for another name than that in `url`".to_owned()
        }
        Error::InvalidMessage(_) => {
            "what answers there speaks no TLS; look at the port and the scheme in `url`".to_owned()
        }
        Error::AlertReceived(alert) => {
            format!("the server broke off ({alert:?}); does it want another `certificate` and `key`?")
        }
        Error::General(text) if text.starts_with(NOT_PINNED) => text.clone(),
        error => format!("TLS failed: {error}"),
    })
}
