//! The head of an answer of HTTP/1.1 (RFC 9112): of a proxy, and of the web server in front of a WebSocket.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::uplink::trouble::repeated;

/// The longest head of an answer: a stranger gets no more memory than this.
const HEAD_MAX: usize = 16 * 1024;
/// The most headers that an answer may have.
const HEADERS_MAX: usize = 100;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The words behind the status.
    reason: String,
    headers: Vec<(String, String)>,
    /// What came behind it.
    pub(super) rest: BytesMut,
}

impl Answer {
    /// The values of a header, taken apart at commas.
    pub(super) fn values<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.flat_map(|(_, value)| value.split(',')).map(str::trim)
    }

    /// A header's value as a whole, as far as it is repeated to an operator.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(repeated(value))
    }

    /// Status and words.
    pub(super) fn verdict(&self) -> String {
        format!("{} {}", self.status, repeated(&self.reason)).trim_end().to_owned()
    }
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The connection broke.
    Lost(io::Error),
    /// In words that go behind whoever answers.
    Wrong(&'static str),
}

/// Reads one.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Answer, NoAnswer> {
    let mut input = BytesMut::new();
    loop {
        if let Some(answer) = head(&mut input)? {
            return Ok(answer);
        }
        if input.len() >= HEAD_MAX {
            return Err(NoAnswer::Wrong("answers with headers that do not end"));
        }
        if stream.read_buf(&mut input).await.map_err(NoAnswer::Lost)? == 0 {
            return Err(NoAnswer::Wrong("closed the connection without an answer"));
        }
    }
}

fn head(input: &mut BytesMut) -> Result<Option<Answer>, NoAnswer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(input).map_err(|_| NoAnswer::Wrong("does not speak HTTP"))?;
    let httparse::Status::Complete(size) = parsed else { return Ok(None) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = response.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    let (status, reason) = (response.code.unwrap_or_default(), response.reason.unwrap_or_default().to_owned());
    input.advance(size);
    Ok(Some(Answer { status, reason, headers, rest: std::mem::take(input) }))
}
