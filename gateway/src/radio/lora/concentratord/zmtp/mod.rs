//! One connection to a ZeroMQ socket: ZMTP 3.0 (rfc.zeromq.org, 23/ZMTP) as a client without security, over any stream.
//!
//! Written here because what is needed is small, and the libraries do not fit: `zeromq` keeps room for whatever length a
//! frame says it has and has tasks of its own, and `zmq` brings libzmq, in C++, into a program that needs nothing but the
//! C library. Map: `frame.rs` is the bytes.

mod frame;

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use self::frame::{GREETING, MESSAGE_MAX, PARTS_MAX};
use crate::wait::{Moved, read_or_write};

/// The longest context of a PING that is answered (rfc.zeromq.org, 37/ZMTP).
const PING_CONTEXT_MAX: usize = 16;

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Hears whatever is published.
    Subscriber,
    /// Asks, and is answered.
    Requester,
}

impl Role {
    fn own(self) -> &'static str {
        match self {
            Self::Subscriber => "SUB",
            Self::Requester => "REQ",
        }
    }

    /// What the other side must be.
    fn fits(self) -> [&'static str; 2] {
        match self {
            Self::Subscriber => ["PUB", "XPUB"],
            Self::Requester => ["REP", "ROUTER"],
        }
    }
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The stream failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side has closed it.
    #[error("the other side has closed the connection")]
    Closed,
    /// The other side does not keep to the protocol.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// How the other side does not keep to the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// It speaks something else, or ZMTP 2.
    #[error("what is there does not speak ZeroMQ's protocol, version 3")]
    NotZeroMq,
    /// It wants security.
    #[error("the socket there wants ZeroMQ security, which Concentratord has not")]
    Secured,
    /// It is a socket of another kind.
    #[error("the socket there is a {is} and not a {wanted}: are `event-url` and `command-url` mixed up?")]
    OtherSocket {
        /// What it is.
        is: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// It turns the connection away.
    #[error("the socket there says: {0}")]
    TurnedAway(String),
    /// A frame or a message is too long.
    #[error("a message has more than {MESSAGE_MAX} bytes or {PARTS_MAX} frames")]
    TooLong,
    /// What comes is no frame.
    #[error("what comes is not as ZeroMQ's protocol has it")]
    Malformed,
}

/// See the module's head.
pub(super) struct Connection<S> {
    stream: S,
    came: BytesMut,
    unsent: BytesMut,
    /// Of the message that is coming.
    parts: Vec<Bytes>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Greets the other side and waits until it is ready.
    ///
    /// # Errors
    /// When the stream fails, or the other side is not what is wanted.
    pub(super) async fn greet(stream: S, role: Role) -> Result<Self, Error> {
        let (came, unsent) = (BytesMut::new(), BytesMut::from(&frame::greeting()[..]));
        let mut connection = Self { stream, came, unsent, parts: Vec::new() };
        connection.flush().await?;
        while connection.came.len() < GREETING {
            connection.read().await?;
        }
        let greeting = connection.came.split_to(GREETING);
        frame::check_greeting(greeting[..].try_into().map_err(|_| Fault::NotZeroMq)?)?;
        frame::put_command(b"READY", &frame::ready(role.own()), &mut connection.unsent);
        if role == Role::Subscriber {
            // To all there is.
            frame::put_message(&[b"\x01"], &mut connection.unsent);
        }
        connection.flush().await?;
        connection.wait_ready(role).await?;
        Ok(connection)
    }

    async fn wait_ready(&mut self, role: Role) -> Result<(), Error> {
        loop {
            let Some(first) = frame::take(&mut self.came)? else {
                self.read().await?;
                continue;
            };
            let said = if first.command { frame::command(&first.body) } else { None };
            let (name, data) = said.ok_or(Fault::Malformed)?;
            return match name {
                b"READY" => Ok(check_socket(role, data)?),
                b"ERROR" => Err(turned_away(data).into()),
                _ => Err(Fault::Malformed.into()),
            };
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the stream fails.
    pub(super) async fn send(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        frame::put_message(parts, &mut self.unsent);
        self.flush().await
    }

    /// Waits for a message: its frames, at least one. Safe to cancel.
    ///
    /// # Errors
    /// When the stream fails or ends, or the other side does not keep to the protocol.
    pub(super) async fn receive(&mut self) -> Result<Vec<Bytes>, Error> {
        loop {
            while let Some(next) = frame::take(&mut self.came)? {
                if next.command {
                    self.command(&next.body)?;
                    continue;
                }
                let length: usize = self.parts.iter().map(Bytes::len).sum();
                if self.parts.len() >= PARTS_MAX || length + next.body.len() > MESSAGE_MAX {
                    return Err(Fault::TooLong.into());
                }
                self.parts.push(next.body);
                if !next.more {
                    return Ok(std::mem::take(&mut self.parts));
                }
            }
            self.read().await?;
        }
    }

    fn command(&mut self, body: &[u8]) -> Result<(), Fault> {
        match frame::command(body).ok_or(Fault::Malformed)? {
            // Two bytes say how long a connection without a sign of life is kept.
            (b"PING", [_, _, context @ ..]) if context.len() <= PING_CONTEXT_MAX => {
                // A peer that asks and does not read is not answered without end.
                if self.unsent.len() < MESSAGE_MAX {
                    frame::put_command(b"PONG", context, &mut self.unsent);
                }
                Ok(())
            }
            (b"ERROR", data) => Err(turned_away(data)),
            _ => Ok(()),
        }
    }

    /// Reads some, and writes what is still to be written.
    async fn read(&mut self) -> Result<(), Error> {
        loop {
            match read_or_write(&mut self.stream, Some((&mut self.came, usize::MAX)), &self.unsent).await? {
                Moved::Read(0) => return Err(Error::Closed),
                Moved::Read(_) => return Ok(()),
                Moved::Wrote(count) => self.unsent.advance(count),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        while !self.unsent.is_empty() {
            match read_or_write(&mut self.stream, None, &self.unsent).await? {
                Moved::Wrote(0) | Moved::Read(_) => return Err(Error::Closed),
                Moved::Wrote(count) => self.unsent.advance(count),
            }
        }
        Ok(())
    }
}

fn check_socket(role: Role, data: &[u8]) -> Result<(), Fault> {
    let is = frame::socket_type(data).ok_or(Fault::Malformed)?;
    let [wanted, or] = role.fits();
    if is == wanted.as_bytes() || is == or.as_bytes() {
        return Ok(());
    }
    Err(Fault::OtherSocket { is: words(is), wanted })
}

/// ERROR's data: a reason, with its length before it.
fn turned_away(data: &[u8]) -> Fault {
    Fault::TurnedAway(words(data.get(1..).unwrap_or_default()))
}

/// What others say, fit to be logged.
fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// The other side, which has said this after its greeting; and what it was told.
    async fn greeted(role: Role, said: &[u8]) -> (Result<Connection<DuplexStream>, Error>, DuplexStream) {
        let (near, mut far) = duplex(128 * 1024);
        far.write_all(&frame::greeting()).await.unwrap();
        far.write_all(said).await.unwrap();
        (Connection::greet(near, role).await, far)
    }

    fn ready(socket: &str) -> Vec<u8> {
        let mut said = BytesMut::new();
        frame::put_command(b"READY", &frame::ready(socket), &mut said);
        said.to_vec()
    }

    async fn heard(far: &mut DuplexStream, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        far.read_exact(&mut heard).await.unwrap();
        heard
    }

    #[tokio::test]
    async fn a_subscriber_says_what_it_is_and_that_it_wants_all() {
        let (connection, mut far) = greeted(Role::Subscriber, &ready("XPUB")).await;
        assert!(connection.is_ok());
        let expected =
            [&frame::greeting()[..], b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB", b"\x00\x01\x01"].concat();
        assert_eq!(heard(&mut far, expected.len()).await, expected);
    }

    #[tokio::test]
    async fn messages_come_whole_and_pings_between_are_answered() {
        let (connection, mut far) = greeted(Role::Requester, &ready("REP")).await;
        let mut connection = connection.unwrap();
        far.write_all(b"\x01\x00\x04\x09\x04PING\0\x0aab\x00\x02hi\x00\x01x").await.unwrap();
        assert_eq!(connection.receive().await.unwrap(), [&b""[..], b"hi"]);
        assert_eq!(connection.receive().await.unwrap(), [&b"x"[..]]);
        connection.send(&[b"", b"ask"]).await.unwrap();
        heard(&mut far, 64 + 27).await;
        assert_eq!(heard(&mut far, 9 + 7).await, b"\x04\x07\x04PONGab\x01\x00\x00\x03ask");
        drop(far);
        assert!(matches!(connection.receive().await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn a_peer_of_another_kind_is_told_from_one_that_speaks_something_else() {
        let fault =
            |result: Result<Connection<DuplexStream>, Error>| result.err().map(|error| error.to_string()).unwrap();
        let (mixed_up, _far) = greeted(Role::Subscriber, &ready("REP")).await;
        assert!(fault(mixed_up).contains("is a REP and not a PUB"));
        let (away, _far) = greeted(Role::Requester, b"\x04\x0d\x05ERROR\x06no\nway").await;
        assert_eq!(fault(away), "the socket there says: noway");
        for said in [&b"\x00\x02hi"[..], b"\x04\x06\x05READY", b"\xff", b"\x04\x05\x04PONG"] {
            let (malformed, _far) = greeted(Role::Requester, said).await;
            assert!(matches!(malformed.err(), Some(Error::Fault(Fault::Malformed))), "{said:?}");
        }
        let (near, mut far) = duplex(1024);
        far.write_all(&[b'x'; 64]).await.unwrap();
        assert!(matches!(Connection::greet(near, Role::Requester).await.err(), Some(Error::Fault(Fault::NotZeroMq))));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_ends_the_connection_before_it_is_read() {
        let too_much = [&[1, 0].repeat(PARTS_MAX)[..], b"\x00\x00"].concat();
        let half = [&b"\x03\0\0\0\0\0\0\xff\xff"[..], &[0; 0xffff]].concat();
        for said in [&b"\x02\0\0\0\x01\0\0\0\0"[..], &too_much, &[&half[..], b"\x00\x02hi"].concat()] {
            let (connection, mut far) = greeted(Role::Subscriber, &ready("PUB")).await;
            let mut connection = connection.unwrap();
            far.write_all(said).await.unwrap();
            assert!(matches!(connection.receive().await, Err(Error::Fault(Fault::TooLong))));
        }
    }
}
