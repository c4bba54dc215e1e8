//! Who is there and who is away, as operators see it, and sending a client away.
//!
//! Each session has a card here as long as it lives, so there are never more cards than sessions. What changes with every
//! message is counted on the card with atomics; the rest is under a lock of the card's own, which nobody takes for a
//! message. Never decides anything: an order to leave is passed to the client's connection.

mod card;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) use self::card::Arrived;
use self::card::Card;
use super::outbox::Outbox;
use super::{Broker, Shared};
use crate::codec::Version;
use crate::config::Door;
use crate::message::{QoS, Received, TopicFilter};

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whence {
    pub(super) address: SocketAddr,
    pub(super) door: Door,
}

/// What becomes of the session of a client that is sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAfter {
    /// It is kept as long as was agreed.
    Kept,
    /// It ends too, with all that waits in it.
    Ended,
}

/// A number of messages, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many.
    pub messages: u64,
    /// For what waits: topics, payloads and a share for the rest. For what moved: all bytes of the connection.
    pub bytes: u64,
}

/// A client that is there, or away with a session that is kept. Its counts are of its session. Where it was is not known
/// of one that has been away since the last start.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id.
    pub id: Arc<str>,
    /// Whether it is there.
    pub connected: bool,
    /// Since when it is there, or away.
    pub since: Received,
    /// Its user's name.
    pub user: Option<Arc<str>>,
    /// Where it is, or last was.
    pub address: Option<SocketAddr>,
    /// Its version of MQTT.
    pub protocol: Option<Version>,
    /// What that goes over.
    pub transport: Option<Door>,
    /// How long it may be silent; zero: for ever.
    pub keep_alive: Option<Duration>,
    /// How long its session outlives its connection.
    pub session_expiry: Duration,
    /// Its filters and the highest QoS of each.
    pub subscriptions: Vec<(TopicFilter, QoS)>,
    /// What waits for it.
    pub queue: Amount,
    /// What was sent to it and is not acknowledged.
    pub in_flight: u64,
    /// What came from it.
    pub received: Amount,
    /// What went to it.
    pub sent: Amount,
    /// Why it was last lost or cut off.
    pub last_error: Option<String>,
}

/// Which clients are looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// A part of their ids; large letters count as small ones.
    pub part: String,
    /// Those that are there, or those that are away; `None`: all.
    pub connected: Option<bool>,
    /// So many of the first ones are left out.
    pub skip: usize,
    /// Of the rest, at most so many are given.
    pub most: usize,
}

/// Clients that were looked for, by id.
#[derive(Debug)]
pub struct Found {
    /// Those that were to be given.
    pub clients: Vec<Client>,
    /// How many there are with what was left out.
    pub matching: usize,
    /// Of all clients, how many are there.
    pub there: usize,
    /// Of all clients, how many are away.
    pub away: usize,
    /// What waits for all of them.
    pub waiting: Amount,
}

/// What all sessions hold together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) subscriptions: u64,
    /// Of these.
    pub(super) shared_subscriptions: u64,
    /// Messages that wait for clients.
    pub(super) waiting: u64,
    pub(super) waiting_bytes: u64,
}

type Cards = BTreeMap<Arc<str>, Arc<Card>>;

/// The cards of all sessions.
#[derive(Debug, Default)]
pub(super) struct Inventory(Mutex<Cards>);

/// A session's hold on its card: dropped, it takes the card out.
#[derive(Debug)]
pub(super) struct Listed {
    card: Arc<Card>,
    inventory: Arc<Inventory>,
}

impl Inventory {
    fn lock(&self) -> MutexGuard<'_, Cards> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the card of a new session, in the place of that of an old one of the same client.
    pub(super) fn list(self: &Arc<Self>, outbox: &Arc<Outbox>, now: Received) -> Listed {
        let card = Arc::new(Card::new(Arc::clone(outbox), now));
        self.lock().insert(Arc::clone(&outbox.client), Arc::clone(&card));
        Listed { card, inventory: Arc::clone(self) }
    }

    /// Reads no more of those that are not given than their ids and whether they are there.
    fn find(&self, search: &Search) -> Found {
        // Read one by one, so that nobody who comes or goes waits for all of them.
        let cards: Vec<_> = self.lock().values().cloned().collect();
        let (part, all) = (search.part.to_lowercase(), cards.len());
        let there = cards.iter().filter(|card| card.is_connected()).count();
        let mut waiting = Amount::default();
        for queue in cards.iter().map(|card| card.queue()) {
            waiting.messages += queue.messages;
            waiting.bytes += queue.bytes;
        }
        let fits = |card: &&Arc<Card>| {
            search.connected.is_none_or(|connected| card.is_connected() == connected)
                && (part.is_empty() || card.id().to_lowercase().contains(&part))
        };
        let matching: Vec<_> = cards.iter().filter(fits).collect();
        let given = matching.iter().skip(search.skip).take(search.most);
        let clients = given.map(|card| card.client()).collect();
        Found { clients, matching: matching.len(), there, away: all - there, waiting }
    }

    /// Sums over all sessions.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.lock().values().for_each(|card| card.add_to(&mut totals));
        totals
    }

    /// Tells a client's connection to end. False when there is none.
    fn order(&self, client: &str, session: SessionAfter) -> bool {
        let Some(card) = self.lock().get(client).cloned() else { return false };
        card.take_orders().is_some_and(|orders| orders.send(session).is_ok())
    }
}

impl Deref for Listed {
    type Target = Card;

    fn deref(&self) -> &Card {
        &self.card
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut cards = self.inventory.lock();
        let client = &**self.card.id();
        // A client that came again with a clean start has another card by now.
        if cards.get(client).is_some_and(|card| Arc::ptr_eq(card, &self.card)) {
            cards.remove(client);
        }
    }
}

impl Broker {
    /// Those clients that are wanted of all that are there or whose session is kept.
    pub fn find_clients(&self, search: &Search) -> Found {
        self.shared.inventory.find(search)
    }

    /// Sends a client away, and ends its session where that is wanted, be it there or away. False when there was
    /// nothing to end.
    pub async fn disconnect(&self, client: &str, session: SessionAfter) -> bool {
        self.shared.inventory.order(client, session)
            || (session == SessionAfter::Ended && self.shared.end_parked(client).await)
    }
}

impl Shared {
    /// Ends the session of a client that is away, as its expiry would.
    async fn end_parked(&self, client: &str) -> bool {
        let Some((mut session, will)) = self.registry.end_parked(client) else { return false };
        let parcels = session.take_shared(true);
        session.end();
        self.redistribute(parcels).await;
        self.publish_will(will).await;
        true
    }
}
