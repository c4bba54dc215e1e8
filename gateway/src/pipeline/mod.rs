//! The one path that every message takes: ingest, the stages in their order, deliver.
//!
//! Owns the path and the ledger. Never touches a socket, a file or a port.
//! `ledger.rs` counts, `stamp.rs` makes messages. `stage.rs` says what may stand in between: each stage has a thread
//! (`worker.rs`) and a queue (`queue.rs`), `line.rs` is the way through them, `stages.rs` puts others in their place.
//! `shelf.rs` holds what a stage could not judge.
//! `hop.rs` tells watchers what became of each. `exit.rs` hands messages to the broker, by `fanout.rs`, to each `output.rs` and to each `carrier.rs`.

mod carrier;
mod exit;
mod fanout;
mod hop;
mod ledger;
mod line;
mod output;
mod queue;
mod shelf;
mod stage;
mod stages;
mod stamp;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{Notify, broadcast};

pub use carrier::Carrier;
pub use fanout::{FANOUT_QUEUE, Intake, ShortWay};
pub use hop::{Hop, Spot};
pub use ledger::{Door, DropReason, Ledger, Snapshot, Ticket};
pub use output::Output;
pub use queue::{BATCH, STAGE_QUEUE, STAGE_QUEUE_BYTES};
pub use shelf::{HELD_MIN_BYTES, Held, Keeper, Kept, Names, Shelf, ShelfCounts};
pub use stage::{Fallback, Judged, Processor, Stage, StageError, Verdict};
pub use stages::StageCounts;
pub use stamp::Stamp;

use self::carrier::Carriers;
use self::exit::Exit;
use self::hop::Hops;
use self::stages::Stages;
use crate::message::{Clock, Message, Note, Origin, Place, Receipt, Received, Topic};

/// Messages that a watcher (`stile tap`) may lag behind. Policy: drop oldest; the watcher is told how many it missed.
pub const TAP_QUEUE: usize = 1024;

/// The broker is gone: the daemon is ending or its critical unit gave up. The message counts as dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the gateway is stopping")
    }
}

impl std::error::Error for Closed {}

/// A message on its way to the broker's fan-out.
#[derive(Debug)]
pub struct Delivered {
    /// The message.
    pub message: Arc<Message>,
    /// To be settled when nothing that the message leaves behind can be lost any more; `None` when nobody waits for
    /// that.
    pub receipt: Option<Receipt>,
}

/// The one path. A handle is an `Arc` of it.
pub struct Pipeline {
    stamp: Stamp,
    stages: Stages,
    exit: Arc<Exit>,
}

impl Pipeline {
    /// Makes the path, without stages; what it delivers to MQTT subscribers comes out of the intake.
    /// `run` is a random number that makes message ids unique across restarts.
    pub fn new(run: u64) -> (Arc<Self>, Intake) {
        let (fanout, delivered) = fanout::fanout();
        let exit = Arc::new(Exit {
            ledger: Arc::default(),
            outputs: RwLock::default(),
            carriers: Carriers::default(),
            fanout,
            taps: broadcast::Sender::new(TAP_QUEUE),
            hops: Hops::default(),
            noter: OnceLock::new(),
        });
        let pipeline = Self { stamp: Stamp::new(run), stages: Stages::new(Arc::clone(&exit)), exit };
        (Arc::new(pipeline), delivered)
    }

    /// The counts.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.exit.ledger
    }

    /// The clocks.
    pub fn clock(&self) -> &Clock {
        self.stamp.clock()
    }

    /// Where the gateway is.
    pub fn place(&self) -> &Place {
        self.stamp.place()
    }

    /// What belongs into a record of something that was measured at this time: `timing`, by how much the wall clock was off, and
    /// `position`, where the gateway was, if the settings name a source.
    pub fn here_and_now(&self, at: &Received) -> Map<String, Value> {
        self.place().stamp(at, self.clock().timing())
    }

    /// Makes messages, for whoever does not hold the pipeline.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// A new message that was received at `received`.
    pub fn message(
        &self,
        received: Received,
        origin: Origin,
        topic: Topic,
        payload: impl Into<bytes::Bytes>,
    ) -> Message {
        self.stamp.message_at(received, origin, topic, payload)
    }

    /// Takes a message in. When it returns, the message waits for its first stage or, where no stage wants it, has been
    /// delivered.
    ///
    /// # Errors
    /// [`Closed`] when the broker's end is gone.
    pub async fn ingest(&self, message: Message) -> Result<(), Closed> {
        self.ingest_for(message, None).await
    }

    /// The same for a publisher that waits for an acknowledgement: its receipt is settled when whatever became of the
    /// message has been handed on, and what has to outlive the process is on disk.
    ///
    /// # Errors
    /// [`Closed`] when the broker's end is gone; the receipt is lost then.
    pub async fn ingest_for(&self, message: Message, receipt: Option<Receipt>) -> Result<(), Closed> {
        let door = match message.origin {
            Origin::Radio(_) => Door::Radio,
            Origin::Client(_) => Door::Client,
            Origin::Uplink(_) => Door::Uplink,
            // What plugins make does not come through a door: it is added on the way. This is for whatever else
            // speaks in a plugin's name.
            Origin::Gateway | Origin::Plugin(_) => Door::Gateway,
        };
        let ticket = self.exit.ledger.receive(door);
        self.exit.hops.came(&message);
        if !self.stages.any() {
            return self.exit.deliver(message, ticket, receipt).await;
        }
        match self.stages.line().await {
            Ok(Some(line)) => line.hand_on(message, ticket, receipt, 0).await,
            Ok(None) => self.exit.deliver(message, ticket, receipt).await,
            Err(Closed) => {
                ticket.dropped(DropReason::ShuttingDown);
                Err(Closed)
            }
        }
    }

    /// Makes a shelf with room for so many bytes. What an earlier run left on it is taken in by a door of its own.
    pub fn shelf(&self, keeper: Box<dyn Keeper>, room: usize, left: Vec<(u64, Kept)>) -> Arc<Shelf> {
        let left = left.into_iter();
        let left = left.map(|(number, kept)| (number, kept, self.exit.ledger.receive(Door::Held)));
        Arc::new(Shelf::new(keeper, room, left.collect()))
    }

    /// Leaves alone what is on shelves until [`work_off_shelves`](Self::work_off_shelves): not every output that it may
    /// be for is attached.
    pub fn keep_shelves(&self) {
        self.stages.keep_shelves();
    }

    /// Has what is on shelves judged when it can be.
    pub async fn work_off_shelves(&self) {
        self.stages.work_off_shelves().await;
    }

    /// Whether there are stages, so that a message that was taken in may not have been handed on yet.
    pub fn has_stages(&self) -> bool {
        self.stages.any()
    }

    /// Puts these stages, in this order, in the place of those there are. Nothing is lost, and no message overtakes
    /// another of its topic. Where only processors differ, nobody waits; else new messages wait until those under way
    /// have come through.
    ///
    /// # Errors
    /// [`StageError`]; the stages stay what they were then.
    pub async fn set_stages(&self, stages: Vec<Stage>, patience: Duration) -> Result<(), StageError> {
        self.stages.set(stages, patience).await
    }

    /// Waits until all that is under way now has come through the stages. Says whether it has, in time.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.stages.drain(patience).await
    }

    /// Ends the stages, after those who bring messages. What does not come through in time counts as dropped and is not
    /// acknowledged. Says whether all did, and every thread ended.
    pub async fn stop(&self, patience: Duration) -> bool {
        self.stages.stop(patience).await
    }

    /// What each stage has done so far.
    pub fn stages(&self) -> Vec<StageCounts> {
        self.stages.counts()
    }

    /// Names who notes the end of a message of which the stages left nothing: the receipt is to be settled when that is
    /// on disk. The first one stands.
    pub fn note_with(&self, note: impl Fn(Note, Receipt) + Send + Sync + 'static) {
        // A second one would be a mistake of the wiring; the first is as good.
        let _ = self.exit.noter.set(Box::new(note));
    }

    /// Sends the messages of one topic to `output` from now on. The latest for a topic stands.
    pub fn attach(&self, output: Arc<dyn Output>) {
        self.exit.outputs.write().unwrap_or_else(PoisonError::into_inner).insert(output.topic().clone(), output);
    }

    /// Ends what [`attach`](Self::attach) began.
    pub fn detach(&self, topic: &Topic) {
        self.exit.outputs.write().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    /// Gives delivered messages to `carrier` from now on, in the place of the one with its name.
    pub fn carry(&self, carrier: Arc<dyn Carrier>) {
        let name = carrier.name().to_owned();
        self.exit.carriers.put(&name, Some(carrier));
    }

    /// Ends what [`carry`](Self::carry) began.
    pub fn carry_no_more(&self, name: &str) {
        self.exit.carriers.put(name, None);
    }

    /// Whether whoever publishes with QoS 1 or 2 must be kept waiting until the message is safe: a stage may have it when
    /// it has been taken in, or a carrier takes it and answers for it.
    pub fn asks_for_receipts(&self) -> bool {
        self.stages.any() || self.exit.carriers.any_answers()
    }

    /// Whether there are carriers that answer, so that [`holds_up`](Self::holds_up) is worth asking.
    pub fn has_carriers(&self) -> bool {
        self.exit.carriers.any_answers()
    }

    /// Whether a client that publishes under this topic is to wait for room, of which [`room`](Self::room) tells.
    pub fn holds_up(&self, topic: &Topic) -> bool {
        self.exit.carriers.hold_up(topic)
    }

    /// Told, all who wait, when there may be room for those who were held up.
    pub fn room(&self) -> &Arc<Notify> {
        self.exit.carriers.room()
    }

    /// Ends a branch of a receipt that a carrier was given: what it stands for is safe there.
    pub fn end(&self, receipt: Receipt) {
        self.exit.end(Some(receipt));
    }

    /// What becomes of each message at each place on its way, live, for a watcher that may lag and lose some.
    pub fn hops(&self) -> broadcast::Receiver<Arc<Hop>> {
        self.exit.hops.watch()
    }

    /// Delivered messages, live, for a watcher that may lag and lose some.
    pub fn tap(&self) -> broadcast::Receiver<Arc<Message>> {
        self.exit.taps.subscribe()
    }
}
