//! One client's connection: its packets in, its messages out, in one task that keeps both directions going.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::access::{News, Standing};
use super::aliases::Taken;
use super::answers::{Answers, STORE_PATIENCE};
use super::codec::{self, Ack, CodecError, Disconnect, Packet, Publish, ReasonCode, Version};
use super::handshake::Agreed;
use super::inventory::{Arrived, SessionAfter, Whence};
use super::registry::{Entered, Hold, Newcomer};
use super::routed::to_properties;
use super::session::Session;
use super::stats::{Refusal, Stats};
use super::{Shared, subscribing};
use crate::config;
use crate::message::{Awaited, Origin, QoS, Receipt, Topic};
use crate::store::SessionRow;
use crate::wait::{Moved, read_or_write, sleep_until};

/// Bytes taken in one read.
const READ_BYTES: usize = 8 * 1024;
/// Messages are written while less than this waits to go out.
const ENOUGH: usize = 32 * 1024;
/// A client that lets this much wait is not read from: its answers would pile up.
const TOO_MUCH: usize = 256 * 1024;
/// How long a client may take nothing of what waits for it.
const STUCK: Duration = Duration::from_secs(30);
/// How long a client that is sent away may take to get what waits for it.
const LEAVE: Duration = Duration::from_secs(2);
/// How long the last packet to a client may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection is over.
enum End {
    /// The client said so; the second value: it wants its will published all the same.
    Disconnect { with_will: bool },
    /// The client is gone without a word.
    Lost(String),
    /// It broke a rule, or ran out of time.
    Fault(Refusal, ReasonCode, String),
    /// A newcomer wants the place.
    TakenOver(Newcomer),
    /// An operator sends it away.
    Ordered(SessionAfter),
    /// The gateway is stopping.
    Stopping,
}

impl From<CodecError> for End {
    fn from(error: CodecError) -> Self {
        Self::Fault(Refusal::Protocol, error.reason(), error.to_string())
    }
}

/// Nothing is acknowledged that could be lost.
fn not_stored() -> End {
    let what = format!("the gateway could not write its store for {STORE_PATIENCE:?}");
    End::Fault(Refusal::Storage, ReasonCode::ImplementationSpecificError, what)
}

fn violation(reason: ReasonCode, what: &str) -> End {
    End::Fault(Refusal::Protocol, reason, what.to_owned())
}

/// One connection, from CONNACK on.
pub(super) struct Connection<S> {
    stream: S,
    inbox: BytesMut,
    out: BytesMut,
    shared: Arc<Shared>,
    settings: Arc<config::Broker>,
    agreed: Agreed,
    /// What the client may do.
    standing: Standing,
    session: Session,
    /// What the client is to be told in the order in which it asked, some of it not before it is safe.
    answers: Answers,
    /// CONNACK, which is the first answer, has been given: nothing may come before it.
    welcomed: bool,
    /// An operator's word.
    orders: oneshot::Receiver<SessionAfter>,
    /// Topic aliases that the client has set.
    aliases: Taken,
    last_heard: Instant,
    /// Set when the connection is to end: by when it does, whether or not the client has all that waits for it.
    leave_by: Option<Instant>,
    /// Since when the client has taken nothing of what waits for it.
    unsent_since: Option<Instant>,
}

/// Serves a client that has been let in, until it goes; then leaves its session to whom it belongs.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    inbox: BytesMut,
    shared: Arc<Shared>,
    settings: Arc<config::Broker>,
    mut agreed: Agreed,
    whence: Whence,
    stop: &CancellationToken,
) {
    let user = agreed.access.who.to_row();
    let row = SessionRow { client: Arc::clone(&agreed.client), user, expiry: agreed.expiry, left: None };
    let Entered { session, present, mut hold, discarded } = shared.registry.enter(&row, agreed.clean_start).await;
    session.outbox.owner.get_or_init(|| Arc::clone(&agreed.access));
    let orders = session.card.arrived(Arrived {
        at: shared.pipeline.clock().now(),
        user: agreed.access.who.name().map(Into::into),
        whence,
        protocol: agreed.terms.version,
        session_expiry: agreed.expiry,
    });
    let standing = Standing::new(Arc::clone(&agreed.access), agreed.proof.take());
    let mut connection = Connection {
        stream,
        inbox,
        out: BytesMut::new(),
        shared,
        settings,
        agreed,
        standing,
        session,
        answers: Answers::default(),
        welcomed: false,
        orders,
        aliases: Taken::default(),
        last_heard: Instant::now(),
        leave_by: None,
        unsent_since: None,
    };
    connection.shared.stats.client_connected();
    log::debug!(client:% = connection.agreed.client, session_present = present; "client connected");
    connection.answers.push(connection.agreed.connack(present, &connection.settings), discarded);
    let end = connection.run(&mut hold, stop).await;
    let stats = Arc::clone(&connection.shared.stats);
    connection.finish(end, hold).await;
    // Not sooner: who sees the connection gone may rely on its session being left.
    Stats::subtract(&stats.connections, 1);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self, hold: &mut Hold, stop: &CancellationToken) -> End {
        // What came in the same breath as CONNECT.
        if let Err(end) = self.handle_inbox().await {
            return end;
        }
        loop {
            if let Err(end) = self.look_again().and_then(|()| self.write_answers()) {
                return end;
            }
            if self.welcomed {
                self.session.fill(&mut self.agreed.terms, &mut self.out, ENOUGH);
            }
            self.session.show();
            if self.leave_by.is_some() && self.out.is_empty() && self.answers.is_empty() && self.session.is_empty() {
                return End::Stopping;
            }
            match self.step(hold, stop).await {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    /// Says what may be said by now.
    fn write_answers(&mut self) -> Result<(), End> {
        while let Some(packet) = self.answers.next().map_err(|_lost| not_stored())? {
            self.write(&packet)?;
            self.welcomed = true;
        }
        Ok(())
    }

    async fn step(&mut self, hold: &mut Hold, stop: &CancellationToken) -> Result<(), End> {
        let may_read = self.out.len() < TOO_MUCH && self.answers.have_room();
        let may_fill = self.out.len() < ENOUGH && self.session.window_open(&self.agreed.terms);
        let buffer = may_read.then_some((&mut self.inbox, READ_BYTES));
        let silent_at = (!self.agreed.keep_alive.is_zero()).then(|| self.last_heard + self.agreed.keep_alive * 3 / 2);
        if self.out.is_empty() {
            self.unsent_since = None;
        } else {
            self.unsent_since.get_or_insert_with(Instant::now);
        }
        let stuck_at = self.unsent_since.map(|since| since + STUCK);
        tokio::select! {
            moved = read_or_write(&mut self.stream, buffer, &self.out) => match moved {
                Ok(Moved::Read(0)) => Err(End::Lost("closed without DISCONNECT".to_owned())),
                Ok(Moved::Read(n)) => {
                    Stats::add(&self.shared.stats.bytes_received, n as u64);
                    self.session.card.bytes_received(n);
                    self.handle_inbox().await
                }
                Ok(Moved::Wrote(0)) => Err(End::Lost("closed".to_owned())),
                Ok(Moved::Wrote(n)) => {
                    Stats::add(&self.shared.stats.bytes_sent, n as u64);
                    self.session.card.bytes_sent(n);
                    self.out.advance(n);
                    self.unsent_since = None;
                    Ok(())
                }
                Err(error) => Err(End::Lost(error.to_string())),
            },
            () = self.session.outbox.filled.notified(), if may_fill => Ok(()),
            () = self.session.told.notified() => Ok(()),
            () = sleep_until(self.answers.overdue_at()) => Err(not_stored()),
            () = self.standing.changed() => Ok(()),
            kick = &mut hold.kick => Err(kick.map_or(End::Stopping, End::TakenOver)),
            order = &mut self.orders, if !self.orders.is_terminated() => order.map_or(Ok(()), |o| Err(End::Ordered(o))),
            () = stop.cancelled(), if self.leave_by.is_none() => {
                // What waits for the client is still handed over, as far as it acknowledges it soon.
                self.leave_by = Some(Instant::now() + LEAVE);
                Ok(())
            }
            () = sleep_until(self.leave_by) => Err(End::Stopping),
            () = sleep_until(silent_at) => {
                Err(End::Fault(Refusal::KeepAlive, ReasonCode::KeepAliveTimeout, "nothing heard".to_owned()))
            }
            () = sleep_until(stuck_at) => {
                let what = format!("took nothing for {STUCK:?}");
                Err(End::Fault(Refusal::Stuck, ReasonCode::UnspecifiedError, what))
            }
        }
    }

    async fn handle_inbox(&mut self) -> Result<(), End> {
        let version = Some(self.agreed.terms.version);
        while let Some(packet) = codec::read(&mut self.inbox, version, self.settings.max_packet_size)? {
            self.last_heard = Instant::now();
            Stats::add(&self.shared.stats.packets_received, 1);
            self.handle(packet).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, packet: Packet) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(publish).await,
            Packet::PubAck(ack) => {
                self.session.acknowledged(ack.packet_id);
                Ok(())
            }
            Packet::PubComp(ack) => {
                self.session.completed(ack.packet_id);
                Ok(())
            }
            Packet::PubRec(ack) => match self.session.client_received(&ack) {
                Some((pubrel, awaited)) => self.answer(Packet::PubRel(pubrel), awaited),
                None => Ok(()),
            },
            Packet::PubRel(ack) => {
                let (reason, awaited) = self.session.release(ack.packet_id);
                self.answer(Packet::PubComp(Ack::new(ack.packet_id, reason)), awaited)
            }
            Packet::Subscribe(subscribe) if subscribing::is_shared_no_local(&subscribe) => {
                Err(violation(ReasonCode::ProtocolError, "No Local on a shared subscription"))
            }
            Packet::Subscribe(subscribe) => {
                self.look_again()?;
                let (session, hub, settings) = (&mut self.session, &self.shared.hub, &self.settings);
                let (suback, awaited) = subscribing::subscribe(session, hub, settings, &self.standing, subscribe).await;
                self.answer(Packet::SubAck(suback), awaited)
            }
            Packet::Unsubscribe(unsubscribe) => {
                let (unsuback, awaited) =
                    subscribing::unsubscribe(&mut self.session, &self.shared.hub, unsubscribe).await;
                self.answer(Packet::UnsubAck(unsuback), awaited)
            }
            Packet::PingReq if self.welcomed => self.write(&Packet::PingResp),
            Packet::PingReq => self.answer(Packet::PingResp, None),
            Packet::Disconnect(disconnect) => Err(self.disconnect(&disconnect)),
            Packet::Connect(_) => Err(violation(ReasonCode::ProtocolError, "CONNECT a second time")),
            _ => Err(violation(ReasonCode::ProtocolError, "a packet that only servers send")),
        }
    }

    /// Takes a message from the client. It is acknowledged when it has been handed on, and is on disk as far as it has to
    /// outlive the process.
    async fn publish(&mut self, publish: Publish) -> Result<(), End> {
        if self.leave_by.is_some() || self.shared.closing.is_cancelled() {
            // What is not acknowledged, the client sends again. What would be, nobody could hand on any more.
            return Err(End::Stopping);
        }
        Stats::add(&self.shared.stats.publishes_received, 1);
        Stats::add(&self.shared.stats.publish_bytes_received, publish.payload.len() as u64);
        self.session.card.message_received();
        if !publish.properties().subscription_ids.is_empty() {
            return Err(violation(ReasonCode::ProtocolError, "a subscription identifier in a client's PUBLISH"));
        }
        let topic = self.aliases.resolve(&publish.topic, publish.properties().topic_alias);
        let topic = topic.map_err(|reason| violation(reason, "a topic or topic alias that is none"))?;
        self.look_again()?;
        let reason = self.judge(&publish, &topic);
        if reason.is_error() && (self.agreed.terms.version != Version::V5 || publish.qos == QoS::AtMostOnce) {
            // There is no other way to tell it (MQTT 3.1.1, section 3.3.5).
            return Err(violation(reason, "a message that is not allowed"));
        }
        let new = match (publish.qos, publish.packet_id) {
            (QoS::ExactlyOnce, Some(id)) if !reason.is_error() => {
                // Only MQTT 5 tells the client of a limit.
                let v5 = self.agreed.terms.version == Version::V5;
                let limit = if v5 { self.settings.receive_maximum } else { u16::MAX }.into();
                let new = self.session.receive(id, limit);
                new.map_err(|reason| violation(reason, "more QoS 2 messages than Receive Maximum"))?
            }
            _ => !reason.is_error(),
        };
        let awaited = if new { self.ingest(&publish, topic).await? } else { None };
        match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => self.answer(Packet::PubAck(Ack::new(id, reason)), awaited),
            (QoS::ExactlyOnce, Some(id)) => {
                if new {
                    self.session.promise_received(id, awaited);
                }
                // Of one that comes again, nothing more is promised than of the first.
                self.answer(Packet::PubRec(Ack::new(id, reason)), self.session.promise_of(id))
            }
            _ => Ok(()),
        }
    }

    /// Takes what has changed in what the client may do. Before each thing that it wants and each that it gets.
    fn look_again(&mut self) -> Result<(), End> {
        match self.standing.look_again() {
            News::None => Ok(()),
            News::Changed => {
                self.session.keep_allowed(self.standing.rights());
                Ok(())
            }
            News::Over => {
                let what = "its user was removed or has a new password, or one is needed now";
                Err(End::Fault(Refusal::NoLongerAllowed, ReasonCode::AdministrativeAction, what.to_owned()))
            }
        }
    }

    fn judge(&self, publish: &Publish, topic: &Topic) -> ReasonCode {
        if !super::may_publish(topic, &self.settings) || !self.standing.may_publish(topic) {
            ReasonCode::NotAuthorized
        } else if publish.check_payload_format().is_err() {
            ReasonCode::PayloadFormatInvalid
        } else {
            ReasonCode::Success
        }
    }

    async fn ingest(&self, publish: &Publish, topic: Topic) -> Result<Option<Awaited>, End> {
        let pipeline = &self.shared.pipeline;
        let origin = Origin::Client(Arc::clone(&self.agreed.client));
        // Copied, so that a message that is kept does not keep the read buffer.
        let payload = Bytes::copy_from_slice(&publish.payload);
        let mut message = pipeline.message(pipeline.clock().now(), origin, topic, payload);
        message.qos = publish.qos;
        message.retain = publish.retain;
        message.properties = publish.properties.as_deref().and_then(to_properties);
        let (receipt, awaited) = self.receipt(publish).unzip();
        pipeline.ingest_for(message, receipt).await.map_err(|_closed| End::Stopping)?;
        Ok(awaited)
    }

    /// A receipt for a message whose acknowledgement has to wait.
    fn receipt(&self, publish: &Publish) -> Option<(Receipt, Awaited)> {
        let keeper = self.session.keeper.as_ref().filter(|_| publish.qos == QoS::ExactlyOnce);
        let publication = keeper.zip(publish.packet_id).map(|(keeper, id)| keeper.publication(id));
        let asked_for = publish.qos != QoS::AtMostOnce && self.shared.stats.asks_for_receipts(publish.retain);
        (publication.is_some() || asked_for).then(|| Receipt::new(Arc::clone(&self.session.told), publication))
    }

    fn disconnect(&mut self, disconnect: &Disconnect) -> End {
        if let Some(seconds) = disconnect.session_expiry {
            // Section 3.14.2.2.2: a session that was to end can't be kept after all.
            if self.agreed.expiry.is_zero() && seconds > 0 {
                return violation(ReasonCode::ProtocolError, "a session expiry after none was asked for");
            }
            let limit = self.settings.session_expiry_max;
            self.agreed.expiry = Duration::from_secs(seconds.into()).min(limit);
        }
        // Only a normal disconnection takes the will back (section 3.14.4).
        End::Disconnect { with_will: disconnect.reason != ReasonCode::Success }
    }

    /// Says something to the client in its turn, when what it waits for is safe.
    fn answer(&mut self, packet: Packet, awaited: impl IntoIterator<Item = Awaited>) -> Result<(), End> {
        self.answers.push(packet, awaited);
        self.write_answers()
    }

    /// What must be said and is larger than the client takes ends the connection.
    fn write(&mut self, packet: &Packet) -> Result<(), End> {
        let before = self.out.len();
        codec::write(packet, self.agreed.terms.version, &mut self.out)?;
        Stats::add(&self.shared.stats.packets_sent, 1);
        if self.out.len() - before > self.agreed.terms.max_packet {
            self.out.truncate(before);
            return Err(violation(ReasonCode::PacketTooLarge, "an answer larger than the client takes"));
        }
        Ok(())
    }

    /// Says goodbye where the version has words for it, leaves the session, publishes the will.
    async fn finish(mut self, end: End, hold: Hold) {
        let client = Arc::clone(&self.agreed.client);
        let mut will = self.agreed.will.take();
        let mut farewell = None;
        let mut expiry = self.agreed.expiry;
        match end {
            End::Disconnect { with_will } => {
                will = will.filter(|_| with_will);
                log::debug!(client:% = client; "client disconnected");
            }
            End::Lost(error) => {
                self.session.card.failed(&error);
                log::debug!(client:% = client, error = error.as_str(); "client lost");
            }
            End::Fault(refusal, reason, what) => {
                self.shared.stats.refused(refusal);
                self.session.card.failed(&format!("{reason}: {what}"));
                log::info!(client:% = client, reason:% = reason, error = what.as_str(); "client disconnected for a fault");
                farewell = Some(reason);
            }
            End::TakenOver(newcomer) => {
                log::debug!(client:% = client; "client's session taken over");
                self.farewell(ReasonCode::SessionTakenOver).await;
                let parcels = if newcomer.lets_go_on(expiry) { Vec::new() } else { self.session.take_shared(true) };
                let due = newcomer.take_over(self.session, expiry, will);
                self.shared.redistribute(parcels).await;
                return self.shared.publish_will(due).await;
            }
            End::Ordered(session) => {
                if session == SessionAfter::Ended {
                    expiry = Duration::ZERO;
                }
                self.session.card.failed("sent away by an operator");
                log::info!(client:% = client, session:? = session; "client sent away by an operator");
                farewell = Some(ReasonCode::AdministrativeAction);
            }
            End::Stopping => {
                farewell = Some(ReasonCode::ServerShuttingDown);
                // It is not the client that is lost when the whole gateway stops.
                will = will.filter(|_| !self.shared.closing.is_cancelled());
            }
        }
        match farewell {
            Some(reason) => self.farewell(reason).await,
            None => self.flush().await,
        }
        let parcels = self.session.take_shared(expiry.is_zero());
        self.session.card.left(self.shared.pipeline.clock().now(), expiry);
        let due = self.shared.registry.leave(hold, self.session, expiry, will);
        self.shared.redistribute(parcels).await;
        self.shared.publish_will(due).await;
    }

    async fn farewell(&mut self, reason: ReasonCode) {
        // Not before CONNACK (MQTT 5.0, section 3.14).
        if self.agreed.terms.version == Version::V5 && self.welcomed {
            let _ = self.write(&Packet::Disconnect(Disconnect::new(reason)));
        }
        self.flush().await;
    }

    /// Sends what waits, as far as the client takes it soon.
    async fn flush(&mut self) {
        let last = async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await
        };
        let _ = tokio::time::timeout(FAREWELL, last).await;
    }
}
