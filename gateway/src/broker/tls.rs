//! TLS in front of MQTT: the handshake, and who the client's certificate says it is.
//!
//! Never decides on names and passwords (`gate.rs`), and never runs in the accept loop: whoever dallies holds up
//! itself alone.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

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

/// Why a handshake did not come about.
pub(super) struct Failed {
    /// For the counters.
    pub(super) fault: Fault,
    /// For the log.
    pub(super) why: String,
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
    let handshake = TlsAcceptor::from(server.config()).accept(stream);
    match timeout_at(deadline, handshake).await {
        Err(_elapsed) => Err(Failed { fault: Fault::TooSlow, why: "no handshake in time".to_owned() }),
        Ok(Err(error)) => Err(Failed { fault: tls::fault(&error), why: error.to_string() }),
        Ok(Ok(stream)) => {
            let caller = caller(&stream, settings);
            Ok((Flushing::new(stream), caller))
        }
    }
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
