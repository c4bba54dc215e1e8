//! One connection to a remote, from CONNACK to its end, in one task that keeps both directions going.
//!
//! `outbound.rs` is what goes there, `inbound.rs` what comes from there, `session/clock.rs` finds out whether it is there at
//! all. What outlives a connection stands in [`Own`].

mod clock;
#[cfg(test)]
mod tests;

use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dead::DeadLetters;
use super::dial::Stream;
use super::fit::Bounds;
use super::flight::{Flight, SUBSCRIBE};
use super::gap::Gap;
use super::hub::{Desk, Talk};
use super::inbound::Answers;
use super::link::{Joined, Limits, version};
use super::pace::Rate;
use super::reports::Reports;
use super::routes::Routes;
use super::stats::UplinkStats;
use super::taken::Taken;
use super::trouble::{Trouble, repeated};
use crate::codec::{self, Disconnect, Packet, ReasonCode, RetainHandling, Subscribe, Subscription, Utf8, Version};
use crate::config::{self, Takes};
use crate::message::{Awaited, Message, Promise};
use crate::spool::Reader;
use crate::wait::{Bell, Moved, read_or_write, sleep_until};

/// Bytes taken in one read.
const READ_BYTES: usize = 8 * 1024;
/// Messages are written while less than this waits to go out.
const ENOUGH: usize = 64 * 1024;
/// A remote that lets this much wait is not read from: what it is to be told would pile up.
const TOO_MUCH: usize = 256 * 1024;
/// How long acknowledgements of what is under way are waited for when the gateway stops.
const LEAVE: Duration = Duration::from_millis(1000);
/// The same where a better path is to be taken.
const HANDOVER: Duration = Duration::from_secs(5);
/// A connection that lasted so long was worth making.
const SETTLED: Duration = Duration::from_secs(30);

/// What an uplink has, whatever becomes of its connections.
pub(super) struct Own {
    pub(super) settings: Arc<config::Uplink>,
    pub(super) routes: Routes,
    pub(super) reports: Reports,
    pub(super) dead: Arc<DeadLetters>,
    pub(super) stats: Arc<UplinkStats>,
    pub(super) reader: Reader,
    pub(super) flight: Flight,
    pub(super) gap: Gap,
    pub(super) rate: Rate,
    /// Outlasts what runs here.
    pub(super) taken: Arc<Mutex<Taken>>,
    /// The remote has granted all that the rules want, in the session that it has.
    pub(super) subscribed: bool,
    /// Records may have the places of others that the remote has seen: it is to forget the session first. Outlasts what runs
    /// here, as `taken` does.
    pub(super) forget: Arc<AtomicBool>,
    /// What is to be said to a hub, besides what is spooled.
    pub(super) desk: Arc<Desk>,
    /// When the connection is to be made anew, since what it was let in by ends soon.
    pub(super) renew_at: Option<Instant>,
}

impl Own {
    pub(super) fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module's head.
pub(super) struct Session<'a> {
    pub(super) own: &'a mut Own,
    pub(super) out: BytesMut,
    pub(super) version: Version,
    pub(super) limits: Limits,
    /// What brokers of its kind take, whatever CONNACK says.
    pub(super) takes: Takes,
    pub(super) session_present: bool,
    pub(super) answers: Answers,
    /// By lane: identifiers that dropped records may have left at the remote were released.
    pub(super) swept: [bool; 2],
    /// The remote has acknowledged something.
    pub(super) acknowledged: bool,
    /// With a hub.
    pub(super) talk: Option<Talk>,
    stream: Box<dyn Stream>,
    inbox: BytesMut,
    /// What is to be on disk before the remote is asked for anything.
    clear: Option<Awaited>,
    /// The remote has been asked, on this connection or before, and so many of the questions have been answered well.
    asked: bool,
    granted: usize,
    bell: Bell,
    /// Rung when a hub is to be told something.
    desk: Bell,
    began: Instant,
    last_heard: Instant,
    last_said: Instant,
    pinged: Option<Instant>,
    /// Where there are other paths: since when something has been waiting for the remote.
    waiting: Option<Instant>,
    leave_by: Option<Instant>,
    /// It is left only to be made anew.
    renewing: bool,
}

/// How a connection ended.
pub(super) struct Ended {
    /// Why; `None`: the gateway stops.
    pub(super) why: Option<Trouble>,
    /// It was worth making: the next one need not be put off.
    pub(super) good: bool,
}

/// Serves a connection on which the remote has let the gateway in, until it ends or is told to: because the gateway stops, or
/// goes onward by another path.
pub(super) async fn serve(
    own: &mut Own,
    joined: Joined,
    stop: &CancellationToken,
    onward: &CancellationToken,
) -> Ended {
    let Joined { link, inbox, session_present, limits } = joined;
    let (told, now) = (own.taken().told(), Instant::now());
    let subscribes = !own.routes.subscriptions().is_empty();
    let talk = own.routes.hub().map(|_| Talk::new(now, subscribes));
    let desk = Bell::new(own.desk.told());
    let mut session = Session {
        version: version(own.settings.protocol),
        takes: own.settings.takes(),
        own,
        out: BytesMut::new(),
        limits,
        session_present,
        answers: Answers::default(),
        swept: [false; 2],
        acknowledged: false,
        talk,
        stream: link.stream,
        inbox,
        clear: None,
        asked: false,
        granted: 0,
        bell: Bell::new(&told),
        desk,
        began: now,
        last_heard: now,
        last_said: now,
        pinged: None,
        waiting: None,
        leave_by: None,
        renewing: false,
    };
    let why = session.run(stop, onward).await.err().map(|why| session.explained(why));
    // Who has no room is not asked again at once, whatever it took before.
    let busy = matches!(why, Some(Trouble::Busy(_)));
    Ended { why, good: !busy && (session.acknowledged || session.began.elapsed() >= SETTLED) }
}

impl Session<'_> {
    async fn run(&mut self, stop: &CancellationToken, onward: &CancellationToken) -> Result<(), Trouble> {
        self.begin()?;
        self.handle_inbox().await?;
        loop {
            self.subscribe()?;
            self.tell_of_gap().await?;
            self.write_answers()?;
            let now = Instant::now();
            self.talk(now)?;
            if self.leave_by.is_none() && self.own.renew_at.is_some_and(|at| at <= now) {
                (self.leave_by, self.renewing) = (Some(now + LEAVE), true);
            }
            if self.leave_by.is_some_and(|by| by <= now || self.has_finished()) {
                return self.leave().await;
            }
            self.look_at_clock(now)?;
            let room = self.room(now);
            let may_read = self.out.len() < TOO_MUCH && self.answers.have_room();
            let wake = self.wake(now);
            let buffer = may_read.then_some((&mut self.inbox, READ_BYTES));
            tokio::select! {
                moved = read_or_write(&mut self.stream, buffer, &self.out) => self.moved(moved).await?,
                batch = self.own.reader.next_batch(room, ENOUGH), if room > 0 => {
                    for record in batch.ok_or(Trouble::SpoolClosed)? {
                        self.send(record).await?;
                    }
                }
                () = self.bell.rings() => {}
                () = self.desk.rings() => {}
                () = sleep_until(Some(wake)) => {}
                () = stop.cancelled(), if self.leave_by.is_none() || self.renewing => {
                    (self.leave_by, self.renewing) = (Some(now + LEAVE), false);
                }
                () = onward.cancelled(), if self.leave_by.is_none() => {
                    (self.leave_by, self.renewing) = (Some(now + HANDOVER), true);
                }
            }
        }
    }

    /// Nothing is under way any more: what it is left for decides what that means.
    fn has_finished(&self) -> bool {
        self.own.flight.len() == 0 && !(self.renewing && self.answers.are_open())
    }

    /// Brokers of 3.1.1, and some of 5, end a connection at a message that they do not allow, without a word. Who looks for the
    /// reason wants to know where.
    fn explained(&self, why: Trouble) -> Trouble {
        let closed = matches!(why, Trouble::Lost(_) | Trouble::SentAway(_)) && !self.acknowledged;
        let first = self.own.flight.first().filter(|_| closed);
        let message = first.and_then(|record| Message::from_record(&record.bytes).ok());
        match message.and_then(|message| self.own.routes.outward(&message).ok()) {
            Some(outgoing) => Trouble::Unwelcome { topic: outgoing.topic.to_string(), why: why.to_string() },
            None => why,
        }
    }

    /// What comes first on each connection: the state, releases that may not have arrived.
    fn begin(&mut self) -> Result<(), Trouble> {
        let own = &mut *self.own;
        if self.limits.maximum_qos == 0 && own.routes.sends_with_acknowledgement() {
            return Err(Trouble::NoAcknowledgements);
        }
        // A hub keeps the session for its messages; of the rest that it is asked for nothing is said.
        own.subscribed &= self.session_present && self.talk.is_none();
        self.asked = own.subscribed;
        self.clear = own.taken().connected(self.session_present);
        own.dead.log_again();
        own.reader.rewind();
        let releases = own.flight.begin(self.session_present);
        self.announce(true)?;
        self.release(releases)
    }

    /// Asks for what the rules want, once, as soon as it may.
    fn subscribe(&mut self) -> Result<(), Trouble> {
        let clear = self.clear.as_ref().is_none_or(|clear| clear.promise() == Promise::Kept);
        if !clear || std::mem::replace(&mut self.asked, true) {
            return Ok(());
        }
        let wanted = self.own.routes.subscriptions();
        let subscriptions = wanted.iter().filter_map(|(filter, qos)| {
            let mut subscription = Subscription::new(Utf8::new(filter.as_str()).ok()?, *qos);
            // What the gateway sent itself would come back, and what is retained again with each new connection.
            subscription.no_local = self.version == Version::V5;
            subscription.retain_as_published = self.version == Version::V5;
            subscription.retain_handling =
                if self.version == Version::V5 { RetainHandling::IfNew } else { RetainHandling::Always };
            Some(subscription)
        });
        let subscriptions: Vec<_> = subscriptions.collect();
        for (part, subscriptions) in subscriptions.chunks(self.filters_at_once()).enumerate() {
            let (packet_id, subscriptions) = (subscribe_id(part), subscriptions.to_vec());
            let subscribe = Subscribe { packet_id, subscription_id: None, user: Vec::new(), subscriptions };
            self.write(&Packet::Subscribe(subscribe))?;
        }
        Ok(())
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds { version: self.version, takes: self.takes, said: Some(self.limits) }
    }

    fn filters_at_once(&self) -> usize {
        self.takes.filters.unwrap_or(usize::MAX)
    }

    pub(super) fn write(&mut self, packet: &Packet) -> Result<(), Trouble> {
        codec::write(packet, self.version, &mut self.out)?;
        Ok(())
    }

    /// How many records may be sent now.
    fn room(&self, now: Instant) -> usize {
        let ready = self.talk.as_ref().is_none_or(Talk::is_ready);
        if !ready || self.leave_by.is_some() || self.out.len() >= ENOUGH {
            return 0;
        }
        self.own.rate.allows(self.window().saturating_sub(self.own.flight.len()), now)
    }

    /// How many may be under way.
    fn window(&self) -> usize {
        let takes = self.takes.in_flight.unwrap_or(u16::MAX);
        usize::from(self.limits.receive_maximum.min(self.own.settings.in_flight.get()).min(takes))
    }

    async fn moved(&mut self, moved: std::io::Result<Moved>) -> Result<(), Trouble> {
        match moved? {
            Moved::Read(0) => Err(Trouble::Lost("closed by the remote".to_owned())),
            Moved::Read(_) => {
                (self.last_heard, self.pinged) = (Instant::now(), None);
                self.handle_inbox().await
            }
            Moved::Wrote(0) => Err(Trouble::Lost("closed".to_owned())),
            Moved::Wrote(n) => {
                self.last_said = Instant::now();
                self.out.advance(n);
                Ok(())
            }
        }
    }

    async fn handle_inbox(&mut self) -> Result<(), Trouble> {
        let max = self.own.settings.max_packet_size;
        while let Some(packet) = codec::read(&mut self.inbox, Some(self.version), max)? {
            self.handle(packet).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, packet: Packet) -> Result<(), Trouble> {
        match packet {
            Packet::PubAck(ack) => self.acknowledged(&ack).await,
            Packet::PubRec(ack) => self.received(&ack).await,
            Packet::PubComp(ack) => self.completed(&ack),
            Packet::Publish(publish) => self.take(publish).await,
            Packet::PubRel(ack) => self.released(ack.packet_id),
            Packet::SubAck(suback) => {
                self.subscriptions_granted(&suback);
                self.hub_granted(&suback)
            }
            Packet::PingResp => Ok(()),
            Packet::Disconnect(disconnect) => Err(Trouble::SentAway(words(&disconnect))),
            _ => Err(Trouble::Protocol("a packet that only clients send".to_owned())),
        }
    }

    /// Only what the remote has granted need not be asked for again: it may have lost the question with the connection, and
    /// have the session all the same.
    fn subscriptions_granted(&mut self, suback: &codec::SubAck) {
        let wanted = self.own.routes.subscriptions();
        let part = usize::from(SUBSCRIBE.get() - suback.packet_id.get());
        let parts: Vec<_> = wanted.chunks(self.filters_at_once()).collect();
        let asked = parts.get(part).copied().unwrap_or_default();
        if !asked.is_empty() && suback.reasons.iter().all(|reason| !reason.is_error()) {
            self.granted += 1;
            self.own.subscribed = self.granted >= parts.len();
        }
        for ((filter, _), reason) in asked.iter().zip(&suback.reasons).filter(|(_, reason)| reason.is_error()) {
            let uplink = self.own.settings.name.as_str();
            log::warn!(uplink = uplink, filter:% = filter, reason:% = reason; "the remote refused a subscription");
            self.own.stats.trouble(format!("the remote refused the subscription to `{filter}`: {reason}"));
        }
    }

    /// Tells the remote whether the gateway is there.
    fn announce(&mut self, online: bool) -> Result<(), Trouble> {
        if !self.own.settings.announce {
            return Ok(());
        }
        let payload = self.own.reports.state(online, "stopped").to_string();
        let Some(topic) = self.own.routes.said(self.own.reports.state_topic().as_str()) else { return Ok(()) };
        let topic = Utf8::new(topic.as_str())?;
        let publish = codec::Publish {
            dup: false,
            qos: crate::message::QoS::AtMostOnce,
            retain: self.bounds().retains(),
            topic,
            packet_id: None,
            payload: payload.into(),
            properties: None,
        };
        self.write(&Packet::Publish(publish))
    }

    /// Tells how long a change of paths took.
    async fn tell_of_gap(&mut self) -> Result<(), Trouble> {
        let Some(gap) = self.own.gap.news() else { return Ok(()) };
        let (own, millis) = (&mut *self.own, u64::try_from(gap.as_millis()).unwrap_or(u64::MAX));
        log::info!(uplink = own.settings.name.as_str(), path = own.reports.path(), gap_ms = millis;
            "messages are acknowledged on another path");
        own.stats.path_gap(gap);
        own.reports.change_took(gap);
        own.reports.say(true, "").await;
        self.announce(true)
    }

    /// Says goodbye, so that the remote does not publish the will.
    async fn leave(&mut self) -> Result<(), Trouble> {
        use tokio::io::AsyncWriteExt;
        if !self.renewing {
            self.announce(false)?;
        }
        self.write(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)))?;
        let goodbye = async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await
        };
        // Whoever does not take it finds out by the will.
        let _ = tokio::time::timeout(LEAVE, goodbye).await;
        if self.renewing { Err(Trouble::Renewal) } else { Ok(()) }
    }
}

/// The identifier of one of several SUBSCRIBE packets. There are fewer than lie between the last and those of messages.
fn subscribe_id(part: usize) -> NonZeroU16 {
    let id = u16::try_from(part).ok().and_then(|part| SUBSCRIBE.get().checked_sub(part));
    id.and_then(NonZeroU16::new).unwrap_or(SUBSCRIBE)
}

fn words(disconnect: &Disconnect) -> String {
    match &disconnect.details.reason_string {
        Some(text) => format!("{} ({})", disconnect.reason, repeated(text.as_str())),
        None => disconnect.reason.to_string(),
    }
}
