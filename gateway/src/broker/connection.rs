//! One client's connection: its packets in, its messages out, in one task that keeps both directions going.
//! `publishing.rs` is what it publishes, `leaving.rs` how it ends.

mod leaving;
mod publishing;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::access::{News, Standing};
use super::aliases::Taken;
use super::answers::{Answers, STORE_PATIENCE};
use super::codec::{self, Ack, CodecError, Packet, ReasonCode};
use super::handshake::{Agreed, Rejected};
use super::inventory::{Arrived, SessionAfter, Whence};
use super::registry::{Entered, Hold, Newcomer};
use super::session::Session;
use super::stats::{Refusal, Stats};
use super::{Shared, listener, subscribing};
use crate::config;
use crate::message::Awaited;
use crate::store::SessionRow;
use crate::wait::{Moved, give_way, read_or_write, sleep_until};

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
    /// It has just published: others have something to do.
    published: bool,
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
    let standing = Standing::new(Arc::clone(&agreed.access), agreed.proof.take(), whence.address.ip());
    if !standing.lets_in() {
        // Who is not let in takes nobody's place, and has no will.
        let rejected = Rejected::new(Refusal::NoLongerAllowed, "lost its access while its password was being checked");
        return listener::refused(&shared, whence.address, &rejected);
    }
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
        published: false,
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
            if std::mem::take(&mut self.published) {
                // Whoever gets the message goes first: others wait for it, and the client only for an acknowledgement. And
                // a client that always has more to say leaves room for those who are to get it.
                give_way().await;
            }
            if let Err(end) = self.look_again().await.and_then(|()| self.write_answers()) {
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
                self.look_again().await?;
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

    /// Takes what has changed in what the client may do. Before each thing that it wants and each that it gets.
    async fn look_again(&mut self) -> Result<(), End> {
        match self.standing.look_again() {
            News::None => Ok(()),
            News::Changed => {
                let for_others = self.session.keep_allowed(self.standing.rights());
                self.shared.redistribute(for_others).await;
                Ok(())
            }
            News::Over => {
                let what = "its user was removed or has a new password, or one is needed now";
                Err(End::Fault(Refusal::NoLongerAllowed, ReasonCode::AdministrativeAction, what.to_owned()))
            }
        }
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
}
