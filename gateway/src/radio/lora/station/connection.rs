//! One connection: TLS, the WebSocket's handshake, and texts both ways. Knows nothing of what they say.
//!
//! Whoever dallies, sends too much or falls silent costs its own task and nothing else: it waits when the server has
//! enough to do, and is closed when it does not take what it is sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::door::{Door, Goal, Shown, goal};
use super::message::Kind;
use crate::accept;
use crate::config::{Eui, StationTls};
use crate::radio::RadioStats;
use crate::radio::lora::{LoraStats, Refusal};
use crate::tls;

/// How long TLS, the WebSocket's handshake and, at `/router-info`, the question may take together.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The longest message. A Station's longest is a frame of 255 bytes, in less than 2 KiB of JSON.
const MESSAGE_MAX: usize = 32 * 1024;

/// Between two pings.
const PING: Duration = Duration::from_secs(30);

/// A connection from which nothing has come for so long is given up: two pings went unanswered.
const SILENCE: Duration = Duration::from_secs(75);

/// How long a message may take to leave.
const WRITE: Duration = Duration::from_secs(5);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Messages that may wait for one Station. Policy: when they are too many, the connection is closed.
pub(super) const OUTBOX: usize = 64;

/// What a connection tells the server.
pub(super) struct Told {
    /// Which gateway it speaks for.
    pub(super) eui: Eui,
    /// Which connection it is; no two have the same.
    pub(super) number: u64,
    /// What it tells.
    pub(super) what: What,
}

/// See [`Told`].
pub(super) enum What {
    /// A gateway is there. What is sent there goes to it; when it is dropped, the connection ends.
    Came(mpsc::Sender<String>, SocketAddr),
    /// It says this.
    Text(String),
    /// It says something that is no text.
    Binary,
    /// It is gone, and why.
    Gone(String),
}

/// What all connections of one listener share.
pub(super) struct Hall {
    pub(super) door: Door,
    pub(super) tls: Option<StationTls>,
    pub(super) tell: mpsc::Sender<Told>,
    pub(super) stats: Arc<RadioStats>,
    pub(super) radio: Arc<str>,
    pub(super) stop: CancellationToken,
}

impl Hall {
    fn lora(&self) -> Option<&LoraStats> {
        self.stats.lora.as_ref()
    }

    fn refused(&self, peer: SocketAddr, refusal: Refusal, why: &str) {
        if let Some(lora) = self.lora() {
            lora.refused(refusal);
        }
        log::debug!(radio:% = self.radio, peer:% = peer, reason = refusal.as_str(), error = why; "connection turned away");
    }

    async fn tell(&self, eui: Eui, number: u64, what: What) {
        // It fails when the server has ended, and then the connection is told to stop.
        let _ = self.tell.send(Told { eui, number, what }).await;
    }
}

/// Serves one connection to its end.
pub(super) async fn welcome(stream: TcpStream, peer: SocketAddr, number: u64, hall: Arc<Hall>) {
    accept::prepare(&stream, SILENCE);
    let local = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let deadline = Instant::now() + HANDSHAKE;
    let visit = Visit { peer, number, local, deadline, hall: &hall };
    let stop = &hall.stop;
    match &hall.tls {
        None => visit.meet(stream, Shown::default()).await,
        Some(settings) => match stop.run_until_cancelled(accept::secure(stream, &settings.server, deadline)).await {
            None => {}
            Some(Err(failed)) => {
                hall.refused(peer, Refusal::Tls, &format!("{}: {}", failed.fault.as_str(), failed.why));
            }
            Some(Ok(stream)) => {
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let certificate = certificate.and_then(|certificate| tls::common_name(certificate));
                // Boxed, so that a plain connection's task does not have the size of this.
                Box::pin(visit.meet(stream, Shown { certificate, ..Shown::default() })).await;
            }
        },
    }
}

struct Visit<'h> {
    peer: SocketAddr,
    number: u64,
    /// Where it came in.
    local: String,
    deadline: Instant,
    hall: &'h Hall,
}

impl Visit<'_> {
    async fn meet<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, shown: Shown) {
        let Some(met) = self.hall.stop.run_until_cancelled(self.handshake(stream, shown)).await else { return };
        match met {
            Err((refusal, why)) => self.hall.refused(self.peer, refusal, &why),
            Ok((socket, Goal::Discovery, shown)) => {
                let Some(answered) = self.hall.stop.run_until_cancelled(self.answer(socket, &shown)).await else {
                    return;
                };
                if let Err((refusal, why)) = answered {
                    self.hall.refused(self.peer, refusal, &why);
                }
            }
            Ok((socket, Goal::Data(eui), _)) => self.talk(socket, eui).await,
        }
    }

    /// The WebSocket's handshake, with what was shown in it.
    async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        mut shown: Shown,
    ) -> Result<(WebSocketStream<S>, Goal, Shown), (Refusal, String)> {
        let mut wanted = Err(Refusal::WebSocket);
        #[allow(clippy::result_large_err, reason = "the library wants it so")]
        let judge = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            (shown.authorization, shown.host) = (text(header::AUTHORIZATION), text(header::HOST));
            wanted = goal(request.uri().path()).ok_or(Refusal::Path).and_then(|goal| match goal {
                Goal::Data(eui) => self.hall.door.admit(eui, &shown).map(|()| goal),
                Goal::Discovery => Ok(goal),
            });
            wanted.map(|_| response).map_err(turned_away)
        };
        let settings = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX))
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(OUTBOX * MESSAGE_MAX);
        let met = tokio_tungstenite::accept_hdr_async_with_config(stream, judge, Some(settings));
        match timeout_at(self.deadline, met).await {
            Err(_elapsed) => Err((Refusal::WebSocket, "no handshake in time".to_owned())),
            Ok(Err(error)) => Err((wanted.err().unwrap_or(Refusal::WebSocket), error.to_string())),
            Ok(Ok(socket)) => {
                let goal = wanted.map_err(|refusal| (refusal, String::new()))?;
                Ok((socket, goal, shown))
            }
        }
    }

    /// Answers the one question of `/router-info`.
    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut socket: WebSocketStream<S>,
        shown: &Shown,
    ) -> Result<(), (Refusal, String)> {
        let question = async {
            loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(text),
                    Some(Ok(Message::Binary(_))) => return Err((Refusal::Binary, String::new())),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_))) | None => {
                        return Err((Refusal::WebSocket, "closed before a question".into()));
                    }
                    Some(Err(error)) => return Err((fault(&error).unwrap_or(Refusal::WebSocket), error.to_string())),
                }
            }
        };
        let late = |_elapsed| (Refusal::WebSocket, "no question in time".to_owned());
        let question = timeout_at(self.deadline, question).await.map_err(late)??;
        let wrong = |refusal| (refusal, String::new());
        let (answer, admitted) = self.hall.door.discover(&question, shown, &self.local).map_err(wrong)?;
        if let Some(lora) = self.hall.lora() {
            lora.message(Kind::RouterInfo);
        }
        let _ = timeout(WRITE, socket.send(Message::text(answer))).await;
        let _ = timeout(GOODBYE, close(&mut socket, CloseCode::Normal, "")).await;
        admitted.map_err(wrong)
    }

    /// Carries texts both ways until one side has enough.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, mut socket: WebSocketStream<S>, eui: Eui) {
        let (to_station, mut outbox) = mpsc::channel(OUTBOX);
        self.hall.tell(eui, self.number, What::Came(to_station, self.peer)).await;
        let (mut heard, mut ping_at) = (Instant::now(), Instant::now() + PING);
        let (code, why) = loop {
            tokio::select! {
                () = self.hall.stop.cancelled() => break (CloseCode::Away, "the gateway is stopping".to_owned()),
                came = socket.next() => {
                    heard = Instant::now();
                    match self.came(came, eui).await {
                        Ok(()) => {}
                        Err(end) => break end,
                    }
                }
                text = outbox.recv() => match text {
                    None => break (CloseCode::Again, "another connection has taken its place".to_owned()),
                    Some(text) => match timeout(WRITE, socket.send(Message::text(text))).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => break (CloseCode::Error, error.to_string()),
                        Err(_elapsed) => break (CloseCode::Error, "it takes nothing".to_owned()),
                    },
                },
                () = sleep_until(ping_at) => {
                    if heard.elapsed() >= SILENCE {
                        break (CloseCode::Error, "it has been silent".to_owned());
                    }
                    ping_at = Instant::now() + PING.min(SILENCE.saturating_sub(heard.elapsed()));
                    match timeout(WRITE, socket.send(Message::Ping(Vec::new().into()))).await {
                        Ok(Ok(())) => {}
                        _ => break (CloseCode::Error, "it takes nothing".to_owned()),
                    }
                }
            }
        };
        self.hall.tell(eui, self.number, What::Gone(why.clone())).await;
        let _ = timeout(GOODBYE, close(&mut socket, code, &why)).await;
    }

    /// Hands on what came.
    async fn came(&self, came: Option<Result<Message, Error>>, eui: Eui) -> Result<(), (CloseCode, String)> {
        let what = match came {
            Some(Ok(Message::Text(text))) => What::Text(text.to_string()),
            Some(Ok(Message::Binary(_))) => What::Binary,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
            Some(Ok(Message::Close(_))) | None => {
                return Err((CloseCode::Normal, "it closed the connection".to_owned()));
            }
            Some(Err(error)) => {
                let fault = fault(&error);
                if let Some(refusal) = fault {
                    self.hall.refused(self.peer, refusal, "connection closed");
                }
                let code = if fault == Some(Refusal::Oversized) { CloseCode::Size } else { CloseCode::Protocol };
                return Err((code, error.to_string()));
            }
        };
        self.hall.tell(eui, self.number, what).await;
        Ok(())
    }
}

async fn close<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, code: CloseCode, why: &str) {
    // The reason of a close has 123 bytes at most.
    let why = if why.len() <= 123 { why } else { "" };
    let _ = socket.close(Some(CloseFrame { code, reason: why.into() })).await;
}

fn turned_away(refusal: Refusal) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(format!("{}\n", refusal.as_str())));
    *response.status_mut() = match refusal {
        Refusal::Path => StatusCode::NOT_FOUND,
        Refusal::Token => StatusCode::UNAUTHORIZED,
        _ => StatusCode::FORBIDDEN,
    };
    response
}

/// Why a connection is closed, where it is its peer's fault.
fn fault(error: &Error) -> Option<Refusal> {
    match error {
        Error::Capacity(_) => Some(Refusal::Oversized),
        Error::Protocol(_) | Error::Utf8(_) => Some(Refusal::WebSocket),
        _ => None,
    }
}
