//! TLS in front of MQTT: the handshake, and who the client's certificate says it is.
//!
//! Never decides on names and passwords (`gate.rs`).

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use crate::accept::{Failed, secure};
use crate::config;
use crate::tls::{self, Fault};
use crate::wait::Flushing;

/// What is known of a client before its CONNECT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Caller {
    /// Nothing.
    #[default]
    Stranger,
    /// It has shown the certificate that everybody must have here.
    Certified,
    /// Its certificate says which user it is.
    User(Arc<str>),
    /// Its certificate should say so, and does not.
    Nameless,
}

/// Shakes hands, until `deadline` at most.
pub(super) async fn accept(
    stream: TcpStream,
    settings: &config::Tls,
    deadline: Instant,
) -> Result<(Flushing<TlsStream<TcpStream>>, Caller), Failed> {
    let Some(server) = &settings.server else {
        // The wiring makes one before it opens a door.
        return Err(Failed { fault: Fault::Other, why: "the gateway has no certificate yet".to_owned() });
    };
    let stream = secure(stream, server, deadline).await?;
    let caller = caller(&stream, settings);
    Ok((Flushing::new(stream), caller))
}

fn caller(stream: &TlsStream<TcpStream>, settings: &config::Tls) -> Caller {
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    match certificate {
        None => Caller::Stranger,
        Some(certificate) if settings.client_certificate_user => {
            tls::common_name(certificate).map_or(Caller::Nameless, |name| Caller::User(name.into()))
        }
        Some(_) if settings.certificates_required() => Caller::Certified,
        Some(_) => Caller::Stranger,
    }
}
