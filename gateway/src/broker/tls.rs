//! TLS in front of MQTT: the handshake, and who the client's certificate says it is.
//!
//! Never decides on names and passwords (`gate.rs`), and never runs in the accept loop: whoever dallies holds up
//! itself alone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config;
use crate::tls::{self, Fault};

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
            Ok((Flushing { stream, unflushed: false }, caller))
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

/// A stream that goes on sending what it has taken while it is read from.
///
/// TLS keeps what the socket does not take at once, and says that it is written. A connection that then has nothing
/// more to write would wait for its client, and the client for the rest of a record.
pub(super) struct Flushing<S> {
    stream: S,
    unflushed: bool,
}

impl<S: AsyncWrite + Unpin> Flushing<S> {
    fn go_on(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(flushed) => {
                    self.unflushed = false;
                    flushed?;
                }
                // Woken when the socket takes more.
                Poll::Pending => {}
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Flushing<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.go_on(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Flushing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.unflushed = true;
        self.go_on(cx)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex};

    use super::*;
    use crate::wait::read_or_write;

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_goes_out_while_the_other_side_says_nothing() {
        let (near, mut far) = duplex(4);
        let mut stream = Flushing { stream: BufWriter::new(near), unflushed: false };
        stream.write_all(b"a longer text").await.unwrap();
        let mut inbox = BytesMut::new();
        let mut came = [0; 13];
        tokio::select! {
            moved = read_or_write(&mut stream, Some((&mut inbox, 10)), b"") => panic!("{moved:?}"),
            read = far.read_exact(&mut came) => assert_eq!(read.unwrap(), 13),
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => panic!("the rest waits for more to write"),
        }
        assert_eq!(&came, b"a longer text");
    }
}
