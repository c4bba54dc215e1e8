//! One client's connection: its packets in, its messages out, in one task that keeps both directions going.
//! `waiting.rs` is what it waits for, `publishing.rs` what it publishes, `held_up.rs` when there is no room for that,
//! `leaving.rs` how it ends.

mod held_up;
mod leaving;
mod publishing;
mod waiting;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use self::held_up::HeldUp;
use super::access::{News, Standing};
use super::aliases::Taken;
use super::answers::{Answers, STORE_PATIENCE};
use super::handshake::{Agreed, Rejected};
use super::inventory::{Arrived, SessionAfter, Whence};
use super::registry::{Entered, Hold, Newcomer};
use super::session::Session;
use super::stats::{Refusal, Stats};
use super::{Shared, listener, subscribing};
use crate::codec::{self, Ack, CodecError, Packet, ReasonCode, Version};
use crate::config;
use crate::message::{Awaited, Received};
use crate::store::SessionRow;
use crate::wait::{Alarm, Bell, Seldom, give_way};

/// Messages are written while less than this waits to go out.
const ENOUGH: usize = 32 * 1024;

/// How long a client's packets are dealt with before others have their turn with its session.
const AT_A_STRETCH: Duration = Duration::from_secs(1);

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

/// What it waits for was dropped on its way, or the path was closed.
fn not_taken() -> End {
    let what = "a message was dropped before it was safe (see `stile top` for the reason), and can be sent again";
    End::Fault(Refusal::Storage, ReasonCode::ImplementationSpecificError, what.to_owned())
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
    /// When what is being dealt with had come.
    received: Received,
    /// Set when the connection is to end: by when it does, whether or not the client has all that waits for it.
    leave_by: Option<Instant>,
    /// Since when the client has taken nothing of what waits for it.
    unsent_since: Option<Instant>,
    /// There may be packets in the inbox that were not dealt with yet.
    more: bool,
    /// A message for which there is no room yet. Nothing more is taken from the client meanwhile.
    held_up: Option<Box<HeldUp>>,
    /// Rings when something waits for the client, or has become safe.
    bell: Bell,
    alarm: Alarm,
    seldom: Seldom,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Serves a client that has been let in, until it goes; then leaves its session to whom it belongs.
///
/// The beginning and the end are boxed: a connection that waits for its client, as nearly all do nearly all the time, has
/// no use for the room that they take.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    inbox: BytesMut,
    shared: Arc<Shared>,
    settings: Arc<config::Broker>,
    agreed: Agreed,
    whence: Whence,
    stop: &CancellationToken,
) {
    let beginning = begin(stream, inbox, shared, settings, agreed, whence, stop);
    let Some((mut connection, mut hold)) = Box::pin(beginning).await else { return };
    let end = connection.run(&mut hold).await;
    let stats = Arc::clone(&connection.shared.stats);
    Box::pin(connection.finish(end, hold)).await;
    // Not sooner: who sees the connection gone may rely on its session being left.
    Stats::subtract(&stats.connections, 1);
}

/// Gives the client its session, and its place in it. `None`: it has lost its access by now.
async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    inbox: BytesMut,
    shared: Arc<Shared>,
    settings: Arc<config::Broker>,
    mut agreed: Agreed,
    whence: Whence,
    stop: &CancellationToken,
) -> Option<(Box<Connection<S>>, Hold)> {
    let standing = Standing::new(Arc::clone(&agreed.access), agreed.proof.take(), whence.address.ip());
    if !standing.lets_in() {
        // Who is not let in takes nobody's place, and has no will.
        let rejected = Rejected::new(Refusal::NoLongerAllowed, "lost its access while its password was being checked");
        listener::refused(&shared, whence.address, &rejected);
        return None;
    }
    let user = agreed.access.who.to_row();
    let row = SessionRow { client: Arc::clone(&agreed.client), user, expiry: agreed.expiry, left: None };
    let Entered { session, present, hold, discarded } = shared.registry.enter(&row, agreed.clean_start).await;
    session.outbox.owner.get_or_init(|| Arc::clone(&agreed.access));
    let received = shared.pipeline.clock().now();
    let orders = session.card.arrived(Arrived {
        at: received,
        user: agreed.access.who.name().map(Into::into),
        whence,
        protocol: agreed.terms.version,
        keep_alive: agreed.keep_alive,
        session_expiry: agreed.expiry,
    });
    let mut connection = Box::new(Connection {
        bell: Bell::new(&session.told),
        alarm: Alarm::default(),
        seldom: Seldom::default(),
        stopped: Box::pin(stop.clone().cancelled_owned()),
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
        received,
        leave_by: None,
        unsent_since: None,
        more: false,
        held_up: None,
    });
    connection.shared.stats.client_connected();
    log::debug!(client:% = connection.agreed.client, session_present = present; "client connected");
    connection.answers.push(connection.agreed.connack(present, &connection.settings), discarded);
    Some((connection, hold))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self, hold: &mut Hold) -> End {
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
            match self.step(hold).await {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    /// Says what may be said by now.
    fn write_answers(&mut self) -> Result<(), End> {
        while let Some(packet) = self.answers.next().map_err(|_lost| not_taken())? {
            self.write(&packet)?;
            if !self.welcomed {
                self.welcomed = true;
                self.answers.give_back();
            }
        }
        Ok(())
    }

    /// Does what the client has sent asks for, as far as it has come, but not for longer than [`AT_A_STRETCH`] while slow
    /// stages hold it up: whoever wants the session meanwhile must not wait for all of it.
    async fn handle_inbox(&mut self) -> Result<(), End> {
        let version = Some(self.agreed.terms.version);
        let began = Instant::now();
        self.received = self.shared.pipeline.clock().now();
        let mut handled = false;
        while let Some(packet) = self.next_packet(version, began)? {
            self.handle(packet).await?;
            handled = true;
            if self.shared.pipeline.has_stages() && began.elapsed() > AT_A_STRETCH {
                self.more = true;
                break;
            }
        }
        if handled && began.elapsed() > AT_A_STRETCH {
            // Nobody heard the client or wrote to it meanwhile: that counts for neither silence nor being stuck.
            self.last_heard = Instant::now();
            self.unsent_since = None;
        }
        Ok(())
    }

    /// The next packet of the client's that may be dealt with.
    fn next_packet(&mut self, version: Option<Version>, began: Instant) -> Result<Option<Packet>, End> {
        if let Some(held_up) = self.held_up.take() {
            return Ok(self.unless_held_up(held_up.packet));
        }
        let packet = codec::read(&mut self.inbox, version, self.settings.max_packet_size)?;
        let Some(packet) = packet else { return Ok(None) };
        self.last_heard = began;
        Stats::add(&self.shared.stats.packets_received, 1);
        Ok(self.unless_held_up(packet))
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
        let mut awaited = awaited.into_iter().peekable();
        if self.welcomed && self.answers.is_empty() && awaited.peek().is_none() {
            return self.write(&packet);
        }
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
