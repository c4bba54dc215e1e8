//! The server's side of a TLS handshake, never in an accept loop: whoever dallies holds up itself alone.

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::{self, Fault, Server};

/// A connection that has done its handshake.
pub(crate) type Handshaken = TlsStream<TcpStream>;

/// Why a handshake did not come about.
pub(crate) struct Failed {
    /// For the counters.
    pub(crate) fault: Fault,
    /// For the log.
    pub(crate) why: String,
}

/// Shakes hands, until `deadline` at most.
pub(crate) async fn secure(stream: TcpStream, server: &Server, deadline: Instant) -> Result<Handshaken, Failed> {
    match timeout_at(deadline, TlsAcceptor::from(server.config()).accept(stream)).await {
        Err(_elapsed) => Err(Failed { fault: Fault::TooSlow, why: "no handshake in time".to_owned() }),
        Ok(Err(error)) => Err(Failed { fault: tls::fault(&error), why: error.to_string() }),
        Ok(Ok(stream)) => Ok(stream),
    }
}
