//! Talks HTTP to a running gateway: to one on this machine over its socket, to one elsewhere over its admin port.

use std::time::Duration;

use http_body_util::{BodyExt, Collected, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::remote::Remote;
use super::socket::Which;
use super::text::visible;

/// How long a gateway may take to begin its answer.
const PATIENCE: Duration = Duration::from_secs(30);
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
        let body = Limited::new(self.get(target).await?, ANSWER).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the gateway's answer broke off: {error}"))?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
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

/// In the gateway's own words: a problem of its API (RFC 9457), or a text.
async fn refusal(response: Response<Incoming>) -> anyhow::Error {
    let status = response.status();
    let text = Limited::new(response.into_body(), REFUSAL).collect().await.map(Collected::to_bytes).unwrap_or_default();
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
}

impl Lines {
    pub(super) fn of(body: Incoming) -> Self {
        Self { body, partial: Vec::new() }
    }

    /// The next line with its end; `None` when the gateway has ended.
    pub(super) async fn next(&mut self) -> Result<Option<String>, anyhow::Error> {
        loop {
            if let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.partial.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            anyhow::ensure!(self.partial.len() <= LINE, "a line of the answer is too long");
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.partial.extend_from_slice(&data);
            }
        }
    }
}
