//! A WebSocket as a stream of bytes, so that a connection does not know of it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{self, Decoder, Event, Side};
use crate::wait::poll_read_some;

/// Bytes taken in one read.
const READ_BYTES: usize = 8 * 1024;
/// The longest frame that is written. What is written in one go goes into as few as that.
const FRAME_BYTES: usize = 16 * 1024;
/// Nothing more is taken while this much waits to go out.
const OUT_MAX: usize = 32 * 1024;
/// The status code of a normal end (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;

/// Carries MQTT in binary frames over a stream whose handshake is done.
///
/// While it is read from, it also sends on what waits: frames that the stream below did not take at once, and pongs.
pub(crate) struct WebSocket<S> {
    stream: S,
    side: Side,
    decoder: Decoder,
    /// Frames that came.
    input: BytesMut,
    /// What was in them and is still to be read.
    data: BytesMut,
    /// Whole frames that are to go, the first one perhaps sent in part.
    out: BytesMut,
    /// The last ping, still to be answered. Earlier ones need no answer then (section 5.5.3).
    pong: Option<Bytes>,
    /// A close frame was sent, or is in `out`.
    closing: bool,
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// `side` is one's own; `input` is what came behind the handshake; a frame may have `limit` bytes.
    pub(crate) fn new(side: Side, stream: S, input: BytesMut, limit: usize) -> Self {
        let (data, out, decoder) = (BytesMut::new(), BytesMut::new(), Decoder::new(side, limit));
        Self { stream, side, decoder, input, data, out, pong: None, closing: false, unflushed: false }
    }

    /// A new one for each frame, which nobody can guess (RFC 6455, section 5.3).
    fn mask(&self) -> io::Result<Option<[u8; 4]>> {
        let mut mask = [0; 4];
        match self.side {
            Side::Server => Ok(None),
            Side::Client => getrandom::fill(&mut mask).map(|()| Some(mask)).map_err(io::Error::other),
        }
    }

    /// Sends what waits; ready when nothing does any more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.closing
                && self.out.len() < OUT_MAX
                && let Some(ping) = self.pong.take()
            {
                frames::write_pong(&ping, self.mask()?, &mut self.out);
            }
            if self.out.is_empty() {
                break;
            }
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(sent);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn close(&mut self, code: u16) -> io::Result<()> {
        if !std::mem::replace(&mut self.closing, true) {
            frames::write_close(code, self.mask()?, &mut self.out);
        }
        Ok(())
    }

    /// Takes the next frame, or more bytes for it. Says whether there is more to come.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.decoder.next(&mut self.input) {
            Ok(Some(Event::Data(data))) => self.data = data,
            Ok(Some(Event::Ping(ping))) => self.pong = Some(ping),
            Ok(Some(Event::Pong)) => {}
            Ok(Some(Event::Close)) => {
                self.close(NORMAL)?;
                return Poll::Ready(Ok(false));
            }
            Ok(None) => {
                let read = ready!(poll_read_some(Pin::new(&mut self.stream), cx, &mut self.input, READ_BYTES))?;
                return Poll::Ready(Ok(read > 0));
            }
            Err(fault) => {
                self.close(fault.code())?;
                // The best that can be done for the other side: whoever gets the error drops this stream.
                let _ = self.poll_send(cx)?;
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            // Pending is no reason to wait: whoever reads is woken by either.
            let _ = self.poll_send(cx)?;
            if !self.data.is_empty() {
                let n = self.data.len().min(into.remaining());
                into.put_slice(&self.data.split_to(n));
                return Poll::Ready(Ok(()));
            }
            if self.closing || !ready!(self.poll_frame(cx))? {
                let _ = self.poll_send(cx)?;
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.out.len() >= OUT_MAX {
            ready!(self.poll_send(cx))?;
        }
        let taken = bytes.get(..FRAME_BYTES).unwrap_or(bytes);
        let mask = self.mask()?;
        frames::write_data(taken, mask, &mut self.out);
        let _ = self.poll_send(cx)?;
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close(NORMAL)?;
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
