//! Talks HTTP to a running gateway: to one on this machine over its socket, to one elsewhere over its admin port.

use std::time::Duration;

use http_body_util::{BodyExt, Collected, Empty, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::remote::Remote;
use super::socket::Which;
use super::text::visible;

/// How long a gateway may take to begin its answer. A run of a probe, which waits for its turn, takes up to 40 s.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long an answer that is read whole may take: of many clients over a slow line it takes a while.
const WHOLE: Duration = Duration::from_secs(120);
/// The longest answer that is read whole, in bytes.
const ANSWER: usize = 64 << 20;
/// The longest line of an answer that goes on and on: a message, as JSON.
const LINE: usize = ANSWER;
/// As much of a refusal as is read, in bytes.
const REFUSAL: usize = 64 << 10;

/// Which gateway is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Gateway {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    remote: Remote,
}

impl Gateway {
    /// Asks for `target` and gives the body as it comes.
    pub(super) async fn get(&self, target: &str) -> Result<Incoming, anyhow::Error> {
        self.ask(Method::GET, target).await
    }

    /// Has `target` done.
    pub(super) async fn post(&self, target: &str) -> Result<Incoming, anyhow::Error> {
        self.ask(Method::POST, target).await
    }

    /// Asks for `target`, and gives the whole answer.
    pub(super) async fn json(&self, target: &str) -> Result<Value, anyhow::Error> {
        read_json(self.get(target).await?).await
    }

    /// Has `target` done, and gives the whole answer.
    pub(super) async fn post_json(&self, target: &str) -> Result<Value, anyhow::Error> {
        read_json(self.post(target).await?).await
    }

    async fn ask(&self, method: Method, target: &str) -> Result<Incoming, anyhow::Error> {
        match self.remote.place()? {
            None => self.which.ask(method, target).await,
            Some(place) => place.send(Ask::new(method, target)).await,
        }
    }
}

/// What is asked.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) target: String,
    /// The name that the gateway goes by.
    pub(super) host: String,
    pub(super) token: Option<String>,
}

impl Ask {
    pub(super) fn new(method: Method, target: &str) -> Self {
        Self { method, target: target.to_owned(), host: "stile".to_owned(), token: None }
    }
}

/// Asks over a connection.
pub(super) async fn send<S>(stream: S, ask: Ask) -> Result<Incoming, anyhow::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the connection; the process does too.
    tokio::spawn(connection);
    let mut request = Request::builder().method(ask.method).uri(ask.target).header("host", ask.host);
    if let Some(token) = ask.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
    let response =
        answer.map_err(|_| anyhow::anyhow!("the gateway does not answer within {} s", PATIENCE.as_secs()))??;
    if response.status().is_success() { Ok(response.into_body()) } else { Err(refusal(response).await) }
}

async fn read_json(body: Incoming) -> Result<Value, anyhow::Error> {
    let body = whole(body, ANSWER).await?;
    serde_json::from_slice(&body)
        .map_err(|error| anyhow::anyhow!("no gateway answers like that: {error}; is that a gateway's address?"))
}

/// All of an answer, of so many bytes at most.
async fn whole<B>(body: B, most: usize) -> Result<Bytes, anyhow::Error>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let read = tokio::time::timeout(WHOLE, Limited::new(body, most).collect()).await;
    let read = read.map_err(|_| anyhow::anyhow!("the gateway's answer does not end within {} s", WHOLE.as_secs()))?;
    let read = read.map_err(|error| anyhow::anyhow!("the gateway's answer broke off: {error}"))?;
    Ok(Collected::to_bytes(read))
}

/// In the gateway's own words: a problem of its API (RFC 9457), or a text.
async fn refusal(response: Response<Incoming>) -> anyhow::Error {
    let status = response.status();
    let text = whole(response.into_body(), REFUSAL).await.unwrap_or_default();
    let problem = serde_json::from_slice::<Value>(&text).ok();
    if let Some(detail) = problem.as_ref().and_then(|problem| problem["detail"].as_str()) {
        return anyhow::anyhow!("{}", visible(detail));
    }
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.starts_with('<') {
        return anyhow::anyhow!("{status} came in the place of an answer; is that a gateway's address?");
    }
    anyhow::anyhow!("{}", visible(text.trim_end()))
}

/// The lines of a body, as they come.
pub(super) struct Lines {
    body: Incoming,
    partial: Vec<u8>,
    /// So many bytes of these are known to hold no end.
    looked: usize,
}

impl Lines {
    pub(super) fn of(body: Incoming) -> Self {
        Self { body, partial: Vec::new(), looked: 0 }
    }

    /// The next line with its end; `None` when the gateway has ended.
    pub(super) async fn next(&mut self) -> Result<Option<String>, anyhow::Error> {
        loop {
            if let Some(end) = self.partial[self.looked..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=self.looked + end).collect();
                self.looked = 0;
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            self.looked = self.partial.len();
            anyhow::ensure!(self.looked <= LINE, "a line of the answer is too long");
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.partial.extend_from_slice(&data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// An answer that never ends.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_ends_or_is_too_long_is_given_up() {
        let error = whole(Endless, 10).await.unwrap_err().to_string();
        assert!(error.contains("does not end within 120 s"), "{error}");
        let long = http_body_util::Full::new(Bytes::from_static(b"eleven byte"));
        assert!(whole(long.clone(), 10).await.unwrap_err().to_string().contains("broke off"));
        assert_eq!(whole(long, 11).await.unwrap(), "eleven byte");
    }
}
