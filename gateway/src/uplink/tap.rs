//! What goes out is taken here, at the pipeline's end, and given to the spool.
//!
//! Never makes the pipeline wait. Where the policy is that publishers wait, what no longer has room in the spool is kept in
//! memory, its publisher not told that it is safe, and clients that publish more are held up until there is room again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::Notify;

use super::dead::{DeadLetters, Misfit};
use super::fit::{self, Bounds};
use super::hub::{Command, Desk};
use super::link;
use super::routes::Routes;
use super::sharing::Sharing;
use super::stats::{Dead, UplinkStats};
use crate::codec::Version;
use crate::config::{self, Takes, WhenFull};
use crate::message::{Awaited, Message, Origin, Promise, Receipt, Topic, TopicFilter};
use crate::pipeline::{Carrier, Pipeline};
use crate::sharing::Withheld;
use crate::spool::{NotTaken, Priority, Refused, Spool};

/// What may be kept in memory while the spool is full, in bytes. Policy: what comes then is not acknowledged, and its
/// client sends it again. Only what was in stages when the spool became full comes here.
const OVERFLOW_BYTES: usize = 4 << 20;

/// What may change with the settings.
struct Wanted {
    routes: Routes,
    version: Version,
    takes: Takes,
    sharing: Sharing,
    alarms: Vec<TopicFilter>,
    blocks: bool,
}

impl Wanted {
    /// Whether something may leave under this topic.
    fn shares(&self, topic: &str) -> bool {
        self.routes.is_for_hub(topic) || self.sharing.names(topic)
    }

    fn of(uplink: &config::Uplink, sharing: Sharing) -> Self {
        Self {
            routes: Routes::new(uplink),
            version: link::version(uplink.protocol),
            takes: uplink.takes(),
            sharing,
            alarms: uplink.spool.alarms.clone(),
            blocks: uplink.spool.when_full == WhenFull::Block,
        }
    }

    fn priority(&self, topic: &str) -> Priority {
        let alarm = self.alarms.iter().any(|filter| filter.matches(topic));
        if alarm { Priority::Alarm } else { Priority::Bulk }
    }
}

struct Kept {
    record: Bytes,
    priority: Priority,
    receipt: Option<Receipt>,
}

#[derive(Default)]
struct Waiting {
    /// Each priority's: bulk that waits must not hold up alarms, for which the spool keeps room.
    overflow: [VecDeque<Kept>; 2],
    bytes: usize,
    /// Branches of receipts that end when the spool has settled its own.
    promised: Vec<(Awaited, Receipt)>,
}

/// See the module's head.
pub(super) struct Tap {
    name: String,
    /// What the gateway says of its uplinks begins with this, and none of it leaves: else a message that the remote refuses
    /// would be followed by the one that tells of it, for ever.
    own: String,
    wanted: RwLock<Wanted>,
    spool: Spool,
    stats: Arc<UplinkStats>,
    dead: Arc<DeadLetters>,
    /// What is for a hub and worth nothing later.
    desk: Arc<Desk>,
    waiting: Mutex<Waiting>,
    /// Told when the spool has settled a receipt of `promised`.
    told: Arc<Notify>,
    /// Told when something is in `overflow`.
    full: Notify,
}

impl Tap {
    pub(super) fn new(
        uplink: &config::Uplink,
        sharing: Sharing,
        own: String,
        spool: Spool,
        stats: Arc<UplinkStats>,
        dead: DeadLetters,
    ) -> Self {
        Self {
            name: uplink.name.clone(),
            own,
            wanted: RwLock::new(Wanted::of(uplink, sharing)),
            spool,
            stats,
            dead: Arc::new(dead),
            desk: Arc::default(),
            waiting: Mutex::default(),
            told: Arc::default(),
            full: Notify::new(),
        }
    }

    pub(super) fn set(&self, uplink: &config::Uplink) {
        let mut wanted = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
        *wanted = Wanted::of(uplink, wanted.sharing.with(uplink));
    }

    /// Where messages are told of that can't go to the remote.
    pub(super) fn dead(&self) -> &Arc<DeadLetters> {
        &self.dead
    }

    /// What is for a hub and worth nothing later.
    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    fn wanted(&self) -> std::sync::RwLockReadGuard<'_, Wanted> {
        self.wanted.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be settled by the spool. Where something is noted with the message, the spool gets a receipt of its own,
    /// and the branch ends when that is settled.
    fn for_spool(&self, waiting: &mut Waiting, receipt: Option<Receipt>) -> Option<Receipt> {
        let receipt = receipt?;
        if !receipt.notes() {
            return Some(receipt);
        }
        let (fresh, awaited) = Receipt::new(Arc::clone(&self.told), None);
        waiting.promised.push((awaited, receipt));
        Some(fresh)
    }

    /// What may leave of a message; `None` where it may leave as it is.
    fn shaped(&self, message: &Message) -> Result<Option<Message>, Withheld> {
        let wanted = self.wanted();
        if wanted.routes.is_for_hub(message.topic.as_str()) { Ok(None) } else { wanted.sharing.shape(message) }
    }

    /// How a message is queued, of which so much leaves.
    ///
    /// # Errors
    /// Why it could never go to the remote.
    fn priority(&self, message: &Message, leaves: &Message) -> Result<Priority, Misfit> {
        let wanted = self.wanted();
        let bounds = Bounds { version: wanted.version, takes: wanted.takes, said: self.stats.said() };
        fit::outgoing(leaves, &wanted.routes, &bounds)?;
        Ok(wanted.priority(message.topic.as_str()))
    }

    /// What is said to a hub, and not queued on disk.
    fn command(&self, command: Result<Command, Misfit>) -> Result<Option<Priority>, Misfit> {
        if self.desk.put(command?) {
            return Ok(None);
        }
        Err(Misfit::new(Dead::NoCall, "no such request waits for an answer: it has one, or nobody waits any more"))
    }

    /// Nothing of the message is kept here, and nobody is to send it again.
    fn let_go(&self, receipt: Option<Receipt>) {
        let Some(receipt) = receipt else { return };
        if receipt.notes() {
            // Ended where the pipeline is at hand. Its own promise is kept already.
            let (fresh, awaited) = Receipt::new(Arc::clone(&self.told), None);
            self.waiting().promised.push((awaited, receipt));
            fresh.settle();
        } else {
            receipt.settle();
        }
    }

    /// Counts a message that is not shared. The remote has no part in it, so nobody waits for that.
    fn withhold(&self, message: &Message, why: Withheld) {
        let first = self.stats.withhold(why);
        if first && why != Withheld::Topic {
            let (uplink, reason, detail) = (self.name.as_str(), why.as_str(), why.words());
            log::info!(uplink = uplink, topic:% = message.topic, reason = reason, detail = detail;
                "a message is not shared with the remote; more of the kind are counted");
        }
    }

    fn append(&self, waiting: &mut Waiting, kept: Kept, may_wait: bool) {
        let Kept { record, priority, receipt } = kept;
        let refused = if waiting.overflow[priority as usize].is_empty() {
            self.spool.try_append(record.clone(), priority, receipt)
        } else {
            Err(NotTaken { why: Refused::Full, wait: true, receipt })
        };
        match refused {
            Ok(()) => {}
            // The gateway ends, or the spool has: what is not acknowledged comes again.
            Err(NotTaken { why: Refused::Closed, .. }) => self.stats.dead(Dead::NoRoom),
            // Dropped by the policy, and counted by the spool: sent again, it would fare no better.
            Err(NotTaken { wait: false, receipt, .. }) => receipt.into_iter().for_each(Receipt::settle),
            Err(NotTaken { receipt, .. }) if !may_wait => {
                self.stats.dead(Dead::NoRoom);
                receipt.into_iter().for_each(Receipt::settle);
            }
            // Not settled: whoever waits is not told that it is safe.
            Err(_) if waiting.bytes + record.len() > OVERFLOW_BYTES => self.stats.dead(Dead::NoRoom),
            Err(NotTaken { receipt, .. }) => {
                waiting.bytes += record.len();
                waiting.overflow[priority as usize].push_back(Kept { record, priority, receipt });
                self.full.notify_one();
            }
        }
    }

    /// Queues a message once more that could not go to the remote: what was to leave, so it is shared as it is.
    ///
    /// # Errors
    /// In words, why it is not queued.
    pub(super) fn again(&self, message: &Message, record: Bytes, receipt: Receipt) -> Result<(), String> {
        if self.wanted().routes.command(message).is_some() {
            return Err("it was for the hub at that moment, and is worth nothing later".to_owned());
        }
        let priority = self.priority(message, message).map_err(|misfit| misfit.detail)?;
        let queued = self.spool.try_append(record, priority, Some(receipt));
        queued.map_err(|refused| format!("the queue does not take it now ({})", refused.why.as_str()))?;
        UplinkStats::add(&self.stats.taken);
        Ok(())
    }

    /// Ends what waits for the spool, makes room for those who wait for it, and tells of what can't go to the remote, for as
    /// long as it is polled.
    pub(super) async fn tend(&self, pipeline: &Pipeline) {
        tokio::join!(self.end_promised(pipeline), self.empty_overflow(pipeline), self.dead.tend());
    }

    async fn end_promised(&self, pipeline: &Pipeline) {
        loop {
            self.told.notified().await;
            self.end_settled(pipeline);
        }
    }

    /// Ends those branches whose records the spool has settled by now.
    pub(super) fn end_settled(&self, pipeline: &Pipeline) {
        let promised = std::mem::take(&mut self.waiting().promised);
        let (open, settled): (Vec<_>, Vec<_>) =
            promised.into_iter().partition(|(awaited, _)| awaited.promise() == Promise::Open);
        // Those that came meanwhile are behind them.
        self.waiting().promised.splice(0..0, open);
        // What is lost is let go unsettled.
        let kept = settled.into_iter().filter(|(awaited, _)| awaited.promise() == Promise::Kept);
        kept.for_each(|(_, receipt)| pipeline.end(receipt));
    }

    /// Looks before it waits: one that was here before may have been woken and not have come to the end.
    async fn empty_overflow(&self, pipeline: &Pipeline) {
        loop {
            loop {
                let room = self.spool.room();
                let emptied = self.try_overflow();
                // Alarms may have room by now, and bulk not yet.
                pipeline.room().notify_waiters();
                if emptied {
                    break;
                }
                room.await;
            }
            self.full.notified().await;
        }
    }

    /// Gives to the spool what waits for room. Says whether nothing is left.
    fn try_overflow(&self) -> bool {
        let Waiting { overflow, bytes, .. } = &mut *self.waiting();
        for lane in overflow.iter_mut() {
            while let Some(Kept { record, priority, receipt }) = lane.pop_front() {
                match self.spool.try_append(record.clone(), priority, receipt) {
                    Err(NotTaken { wait: true, receipt, .. }) => {
                        lane.push_front(Kept { record, priority, receipt });
                        break;
                    }
                    // As in `append`.
                    Err(NotTaken { why: Refused::Closed, .. }) => self.stats.dead(Dead::NoRoom),
                    Err(NotTaken { receipt, .. }) => receipt.into_iter().for_each(Receipt::settle),
                    Ok(()) => {}
                }
                *bytes -= record.len();
            }
        }
        overflow.iter().all(VecDeque::is_empty)
    }
}

impl Carrier for Tap {
    fn name(&self) -> &str {
        &self.name
    }

    /// What a remote brought goes to no remote, or two uplinks to one cloud would pass a message round for ever.
    fn wants(&self, message: &Message) -> bool {
        let topic = message.topic.as_str();
        let own = matches!(message.origin, Origin::Uplink(_)) || topic.starts_with(&self.own);
        !own && self.wanted().routes.sends(topic)
    }

    fn take(&self, record: Bytes, message: &Message, receipt: Option<Receipt>) {
        // Before anything of it is kept: what may not leave is in no queue either.
        let shaped = match self.shaped(message) {
            Ok(shaped) => shaped,
            Err(why) => {
                self.withhold(message, why);
                return self.let_go(receipt);
            }
        };
        let record = shaped.as_ref().map_or(record, |shaped| shaped.to_record().into());
        let leaves = shaped.as_ref().unwrap_or(message);
        let command = self.wanted().routes.command(message);
        let priority =
            match command.map_or_else(|| self.priority(message, leaves).map(Some), |command| self.command(command)) {
                Ok(Some(priority)) => priority,
                Ok(None) => return self.let_go(receipt),
                Err(misfit) => {
                    self.dead.leave(leaves, &misfit);
                    return self.let_go(receipt);
                }
            };
        UplinkStats::add(&self.stats.taken);
        // A radio can't be made to wait.
        let may_wait = receipt.is_some() || matches!(message.origin, Origin::Client(_));
        let waiting = &mut *self.waiting();
        let receipt = self.for_spool(waiting, receipt);
        self.append(waiting, Kept { record, priority, receipt }, may_wait);
    }

    fn holds_up(&self, topic: &Topic) -> bool {
        let wanted = self.wanted();
        let topic = topic.as_str();
        let takes = || wanted.routes.queues(topic) && wanted.shares(topic);
        wanted.blocks && !self.waiting().overflow[wanted.priority(topic) as usize].is_empty() && takes()
    }
}

#[cfg(test)]
mod tests;
