//! Reading everything at the start. A row that can't be read costs itself alone.

use std::collections::{BTreeMap, HashMap};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, Row};

use super::super::pending::{Batch, Hold, Kept, Memory, Queued, Session};
use super::super::rows::{QueuedRow, SessionRow, Stored, StoredSession, SubscriptionRow};
use super::{audit, held, memories, remotes};
use crate::message::{Message, MessageId, QoS, TopicFilter};

/// Reads all tables into `stored`, as far as that goes. Says whether there are rows that are of no use.
pub(super) fn all(connection: &Connection, stored: &mut Stored) -> Result<bool, rusqlite::Error> {
    let mut reader = Reader { connection, unreadable: 0, stray: false };
    let mut found = BTreeMap::new();
    let read = reader.tables(stored, &mut found);
    let all = found.len();
    // One session a client: the younger one stands.
    let youngest: HashMap<_, _> = found.values().map(|s| (Arc::clone(&s.row.client), s.id)).collect();
    stored.sessions.extend(found.into_values().filter(|s| youngest.get(&s.row.client) == Some(&s.id)));
    stored.unreadable = reader.unreadable;
    read.map(|()| reader.unreadable > 0 || reader.stray || stored.sessions.len() < all)
}

struct Reader<'a> {
    connection: &'a Connection,
    unreadable: u64,
    /// There are rows of sessions that are gone: those went first, and then the power.
    stray: bool,
}

/// What became of one row.
pub(super) enum Taken {
    Yes,
    Stray,
}

impl Reader<'_> {
    /// What is wrong with one table does not cost what can be read of the others.
    fn tables(&mut self, stored: &mut Stored, found: &mut BTreeMap<u64, StoredSession>) -> Result<(), rusqlite::Error> {
        let read_retained = self.each("SELECT message FROM retained", |row| {
            stored.retained.push(Arc::new(message(row, 0)?));
            Some(Taken::Yes)
        });
        let read_sessions = self.each("SELECT * FROM session", |row| {
            let session = session(row)?;
            found.insert(session.id, session);
            Some(Taken::Yes)
        });
        let mut found_remotes = BTreeMap::new();
        let read_remotes = self.each("SELECT * FROM remote", |row| {
            let remote = remotes::read(row)?;
            found_remotes.insert(remote.id, remote);
            Some(Taken::Yes)
        });
        let read_subscriptions = self.each("SELECT * FROM subscription", |row| {
            let subscription = subscription(row)?;
            Some(belonging(found, number(row, 0)?, |session| session.subscriptions.push(subscription)))
        });
        let read_received = self.each("SELECT * FROM received", |row| {
            let packet_id = NonZeroU16::new(row.get(1).ok()?)?;
            if let Some(remote) = found_remotes.get_mut(&number(row, 0)?) {
                remote.received.push(packet_id);
                return Some(Taken::Yes);
            }
            Some(belonging(found, number(row, 0)?, |session| session.received.push(packet_id)))
        });
        // One message in many queues is one in memory, as it was before.
        let mut messages: HashMap<MessageId, Arc<Message>> = HashMap::new();
        let read_queued = self.each("SELECT * FROM queued ORDER BY id", |row| {
            let (number, mut queued) = (number(row, 0)?, queued(row)?);
            let same = messages.entry(queued.message.id).or_insert_with(|| Arc::clone(&queued.message));
            if (&same.topic, &same.payload) == (&queued.message.topic, &queued.message.payload) {
                queued.message = Arc::clone(same);
            }
            if queued.share.is_some() && !found.contains_key(&queued.session) {
                stored.homeless.push((number, queued));
                return Some(Taken::Yes);
            }
            Some(belonging(found, queued.session, |session| session.queued.push((number, queued))))
        });
        let read_memories = self.each("SELECT * FROM memory", |row| memories::read(row, &mut stored.memories));
        let read_left = self.each("SELECT * FROM left_memory", |row| memories::read_left(row, &mut stored.memories));
        let read_held = self.each("SELECT * FROM held", |row| held::read(row, &mut stored.held));
        let read_audit = self.each("SELECT * FROM audit", |row| audit::read(row, &mut stored.audit));
        let all = found_remotes.len();
        // One an uplink: the younger one stands.
        let youngest: HashMap<_, _> = found_remotes.into_values().map(|r| (Arc::clone(&r.row.uplink), r)).collect();
        self.stray |= youngest.len() < all;
        stored.remotes.extend(youngest.into_values());
        let read_sessions = read_sessions.and(read_remotes).and(read_subscriptions).and(read_received).and(read_queued);
        read_retained.and(read_sessions).and(read_memories).and(read_left).and(read_held).and(read_audit)
    }

    /// Reads the rows of a query one by one.
    fn each(&mut self, sql: &str, mut take: impl FnMut(&Row<'_>) -> Option<Taken>) -> Result<(), rusqlite::Error> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match take(row) {
                Some(Taken::Yes) => {}
                Some(Taken::Stray) => self.stray = true,
                None => self.unreadable += 1,
            }
        }
        Ok(())
    }
}

fn belonging(found: &mut BTreeMap<u64, StoredSession>, session: u64, take: impl FnOnce(&mut StoredSession)) -> Taken {
    match found.get_mut(&session) {
        Some(session) => {
            take(session);
            Taken::Yes
        }
        None => Taken::Stray,
    }
}

pub(super) fn number(row: &Row<'_>, column: usize) -> Option<u64> {
    u64::try_from(row.get::<_, i64>(column).ok()?).ok()
}

pub(super) fn message(row: &Row<'_>, column: usize) -> Option<Message> {
    Message::from_record(row.get_ref(column).ok()?.as_blob().ok()?).ok()
}

fn qos(row: &Row<'_>, column: usize) -> Option<QoS> {
    QoS::from_u8(row.get(column).ok()?)
}

fn filter(row: &Row<'_>, column: usize) -> Option<TopicFilter> {
    TopicFilter::new(row.get_ref(column).ok()?.as_str().ok()?).ok()
}

fn subscription_id(row: &Row<'_>, column: usize) -> Option<Option<NonZeroU32>> {
    let id: Option<u32> = row.get(column).ok()?;
    Some(id.and_then(NonZeroU32::new))
}

fn session(row: &Row<'_>) -> Option<StoredSession> {
    let client: String = row.get(1).ok()?;
    let user: Option<String> = row.get(2).ok()?;
    let left: Option<i64> = row.get(4).ok()?;
    // A time that can't be is none.
    let left = left.and_then(|seconds| u32::try_from(seconds).ok());
    let left = left.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds.into()));
    let expiry = Duration::from_secs(number(row, 3)?);
    Some(StoredSession {
        id: number(row, 0)?,
        row: SessionRow { client: client.into(), user: user.map(Into::into), expiry, left },
        subscriptions: Vec::new(),
        received: Vec::new(),
        queued: Vec::new(),
    })
}

fn subscription(row: &Row<'_>) -> Option<(TopicFilter, SubscriptionRow)> {
    let options = SubscriptionRow {
        qos: qos(row, 2)?,
        no_local: row.get(3).ok()?,
        retain_as_published: row.get(4).ok()?,
        subscription_id: subscription_id(row, 5)?,
    };
    Some((filter(row, 1)?, options))
}

fn queued(row: &Row<'_>) -> Option<QueuedRow> {
    let shared: Option<String> = row.get(6).ok()?;
    let (qos, released) = (qos(row, 3)?, row.get(7).ok()?);
    if qos == QoS::AtMostOnce || (released && qos != QoS::ExactlyOnce) {
        return None;
    }
    Some(QueuedRow {
        session: number(row, 1)?,
        packet_id: NonZeroU16::new(row.get(2).ok()?)?,
        qos,
        retain: row.get(4).ok()?,
        subscription_id: subscription_id(row, 5)?,
        share: match shared {
            Some(name) => Some(TopicFilter::new(&name).ok()?),
            None => None,
        },
        released,
        message: Arc::new(message(row, 8)?),
    })
}

impl Batch {
    /// All of it, to be written into a new file.
    pub(in crate::store) fn of(stored: &Stored) -> Self {
        let mut batch = Self::default();
        for message in &stored.retained {
            batch.retain(message.topic.clone(), Kept { message: Some(Arc::clone(message)), fresh: true });
        }
        batch.held.0.extend(stored.held.iter().map(|(number, row)| (*number, Hold::Put(row.clone()))));
        batch.audit.clone_from(&stored.audit);
        let memories = stored.memories.iter();
        batch
            .memories
            .extend(memories.map(|(owner, memory)| (Arc::clone(owner), Memory::of(&memory.entries, memory.left))));
        let homeless = stored.homeless.iter();
        batch.queued.extend(homeless.map(|(row, queued)| (*row, Queued::Put(queued.clone(), Vec::new()))));
        for remote in &stored.remotes {
            let received = remote.received.iter().map(|id| (*id, true)).collect();
            let parts = Session { remote: Some(remote.row.clone()), received, ..Session::default() };
            batch.sessions.insert(remote.id, parts);
        }
        for session in &stored.sessions {
            let subscriptions = session.subscriptions.iter().map(|(name, row)| (name.clone(), Some(*row)));
            let parts = Session {
                row: Some(session.row.clone()),
                subscriptions: subscriptions.collect(),
                received: session.received.iter().map(|id| (*id, true)).collect(),
                ..Session::default()
            };
            batch.sessions.insert(session.id, parts);
            let queued = session.queued.iter().map(|(row, queued)| (*row, Queued::Put(queued.clone(), Vec::new())));
            batch.queued.extend(queued);
        }
        batch
    }
}
