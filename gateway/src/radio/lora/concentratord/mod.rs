//! ChirpStack Concentratord, which has the concentrator and tells of it over ZeroMQ.
//!
//! Concentratord listens, and this connects to its two sockets for ever, as a port is opened. Map: `zmtp/` is ZeroMQ's
//! protocol and knows nothing of what it carries; `form.rs` are Concentratord's words in it, of both its generations.
//! `courier.rs` carries commands there and answers back, `subscriber.rs` brings events; both tell `server.rs`, which has
//! the gateway: `hearing.rs` is its way up, `sending.rs` its way down. Pure: `downlink.rs` says what of a downlink is
//! handed on and what became of it, `tidy.rs` takes out what can't be written in JSON.

mod courier;
mod downlink;
mod form;
mod hearing;
mod sending;
mod server;
mod subscriber;
#[cfg(test)]
mod tests;
mod tidy;
mod zmtp;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::courier::Courier;
pub(super) use self::form::Kind;
use self::server::Server;
use self::subscriber::Subscriber;
use crate::config::{Concentratord, LoraRadio};
use crate::pipeline::Pipeline;
use crate::radio::RadioStats;
use crate::supervisor::UnitError;

/// What both connections have to tell and that waits. Policy: they wait, and Concentratord drops what it can't say.
const INBOX: usize = 64;

/// The pauses between two tries to connect: doubled from the first to the last.
const REOPEN_MIN: Duration = Duration::from_millis(100);
const REOPEN_MAX: Duration = Duration::from_secs(2);

/// How long connecting and greeting may take.
const GREETING: Duration = Duration::from_secs(2);

/// Connects and serves until told to stop.
///
/// # Errors
/// When the topics' prefix can't begin a topic, which the settings' check lets nobody write.
pub(super) async fn run(
    radio: &Arc<LoraRadio>,
    settings: &Concentratord,
    pipeline: Arc<Pipeline>,
    stats: Arc<RadioStats>,
    stop: CancellationToken,
) -> Result<(), UnitError> {
    let mut server = Server::new(radio, settings, pipeline, Arc::clone(&stats))?;
    server.attach();
    stats.attached.notify_one();
    server.begin().await;
    if let Some(lora) = &stats.lora {
        lora.duty_cycle.store(radio.duty_cycle, Ordering::Relaxed);
    }
    let (tell, mut inbox) = mpsc::channel(INBOX);
    // The server has one command under way at a time.
    let (ask, asked) = mpsc::channel(1);
    let (known, is_known) = watch::channel(false);
    let trouble = || Trouble::new(Arc::clone(&server.clerk.name), Arc::clone(&stats));
    let courier = Courier::new(settings.command_url.clone(), trouble(), asked, tell.clone());
    let subscriber = Subscriber::new(settings.event_url.clone(), trouble(), is_known, tell);
    tokio::select! {
        never = courier.run() => match never {},
        never = subscriber.run() => match never {},
        () = server.serve(&mut inbox, &ask, &known, &stop) => {}
    }
    server.end().await;
    Ok(())
}

/// Says once what is wrong with a connection, and again when it is something else.
struct Trouble {
    radio: Arc<str>,
    stats: Arc<RadioStats>,
    said: String,
}

impl Trouble {
    fn new(radio: Arc<str>, stats: Arc<RadioStats>) -> Self {
        Self { radio, stats, said: String::new() }
    }

    fn note(&mut self, what: String) {
        if what != self.said {
            self.stats.seen.failed(what.as_str());
            log::warn!(radio:% = self.radio, reason = what.as_str(); "port not open; tried again until it is");
            self.said = what;
        }
    }

    fn over(&mut self) {
        self.said.clear();
    }
}

/// Pauses that grow, until a connection has lasted for longer than the longest of them. One that is greeted and closed at
/// once, again and again, would else fill the log and the broker.
struct Pauses(Duration);

impl Pauses {
    fn new() -> Self {
        Self(REOPEN_MIN)
    }

    /// A connection has ended that was there for so long.
    fn lasted(&mut self, time: Duration) {
        if time > REOPEN_MAX {
            *self = Self::new();
        }
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(REOPEN_MAX);
        pause
    }
}
