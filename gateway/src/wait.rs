//! Small helpers for tasks that wait for several things at once. Knows no other room.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

/// What a stream did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// So many bytes were read; 0 is the end.
    Read(usize),
    /// So many bytes were written.
    Wrote(usize),
}

/// Whichever comes first on a stream: room for some of `unsent`, or, with a buffer given, at most `room` bytes to read.
/// One task can so keep both directions going. Safe to cancel.
pub(crate) async fn read_or_write<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: Option<(&mut BytesMut, usize)>,
    unsent: &[u8],
) -> io::Result<Moved> {
    let mut buffer = buffer;
    let mut stream = Pin::new(stream);
    poll_fn(|cx| {
        if !unsent.is_empty()
            && let Poll::Ready(wrote) = stream.as_mut().poll_write(cx, unsent)
        {
            return Poll::Ready(wrote.map(Moved::Wrote));
        }
        match &mut buffer {
            Some((buffer, room)) => {
                buffer.reserve(*room);
                poll_read_buf(stream.as_mut(), cx, *buffer).map_ok(Moved::Read)
            }
            None => Poll::Pending,
        }
    })
    .await
}

/// Sleeps until `at`, for ever without one.
pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
