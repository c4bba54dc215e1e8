//! TLS in front of whoever reads and writes in turn.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that goes on sending what it has taken while it is read from.
///
/// TLS keeps what the socket does not take at once, and says that it is written. A connection that then has nothing
/// more to write would wait for its client, and the client for the rest of a record.
pub(crate) struct Flushing<S> {
    stream: S,
    unflushed: bool,
}

impl<S: AsyncWrite + Unpin> Flushing<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, unflushed: false }
    }

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
        let mut stream = Flushing::new(BufWriter::new(near));
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
