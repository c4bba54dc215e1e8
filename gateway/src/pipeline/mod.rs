//! The one path that every message takes: ingest, the stages in their order, deliver.
//!
//! Owns the path and the ledger. Never touches a socket, a file or a port.
//! `ledger.rs` counts, `stamp.rs` makes messages, `stage.rs` is what stands in between, `output.rs` is where delivered
//! messages go.

mod ledger;
mod output;
mod stage;
mod stamp;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{broadcast, mpsc};

pub use ledger::{Door, DropReason, Ledger, Snapshot, Ticket};
pub use output::Output;
pub use stage::{Answer, Judged, Processor, Stage, Verdict};
pub use stamp::Stamp;

use crate::message::{Clock, Message, Origin, Receipt, Received, Topic};

/// Messages between the pipeline and the broker's fan-out. Policy: the sender waits. That can't close a circle, since
/// the fan-out waits for nobody but its own router, which is replaced when it stalls.
pub const FANOUT_QUEUE: usize = 512;

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
    ledger: Arc<Ledger>,
    stamp: Stamp,
    stages: Vec<Box<dyn Stage>>,
    outputs: RwLock<HashMap<Topic, Arc<dyn Output>>>,
    fanout: mpsc::Sender<Delivered>,
    taps: broadcast::Sender<Arc<Message>>,
}

impl Pipeline {
    /// Makes the path; what it delivers to MQTT subscribers comes out of the receiver.
    /// `run` is a random number that makes message ids unique across restarts.
    pub fn new(run: u64, stages: Vec<Box<dyn Stage>>) -> (Arc<Self>, mpsc::Receiver<Delivered>) {
        let (fanout, delivered) = mpsc::channel(FANOUT_QUEUE);
        let pipeline = Self {
            ledger: Arc::default(),
            stamp: Stamp::new(run),
            stages,
            outputs: RwLock::default(),
            fanout,
            taps: broadcast::Sender::new(TAP_QUEUE),
        };
        (Arc::new(pipeline), delivered)
    }

    /// The counts.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The clocks.
    pub fn clock(&self) -> &Clock {
        self.stamp.clock()
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

    /// Takes a message in, through the stages and out to all outputs. When it returns, the message is delivered,
    /// filtered or counted as dropped.
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
            // What plugins make does not come through a door: it is added on the way. This is for whatever else
            // speaks in a plugin's name.
            Origin::Gateway | Origin::Plugin(_) => Door::Gateway,
        };
        let ticket = self.ledger.receive(door);
        if self.stages.is_empty() {
            return self.deliver(message, ticket, receipt).await;
        }
        self.run_stages(message, ticket, receipt).await
    }

    /// What a stage adds goes on from the next stage, so nothing can go round in a circle.
    async fn run_stages(&self, message: Message, ticket: Ticket, receipt: Option<Receipt>) -> Result<(), Closed> {
        let mut under_way = vec![(message, ticket)];
        for stage in &self.stages {
            let mut next = Vec::with_capacity(under_way.len());
            for (message, ticket) in under_way {
                if !stage.filter().matches(message.topic.as_str()) {
                    next.push((message, ticket));
                    continue;
                }
                match stage.process(&message).await {
                    Verdict::Pass => next.push((message, ticket)),
                    Verdict::Modify(changed) => next.push((changed, ticket)),
                    Verdict::Filter => ticket.filtered(),
                    Verdict::Drop(reason) => ticket.dropped(reason),
                    Verdict::Replace(added) => {
                        ticket.filtered();
                        next.extend(added.into_iter().map(|m| (m, self.ledger.add())));
                    }
                }
            }
            under_way = next;
        }
        for (message, ticket) in under_way {
            self.deliver(message, ticket, receipt.clone()).await?;
        }
        receipt.into_iter().for_each(Receipt::settle);
        Ok(())
    }

    async fn deliver(&self, message: Message, ticket: Ticket, receipt: Option<Receipt>) -> Result<(), Closed> {
        let message = Arc::new(message);
        let output = self.outputs.read().unwrap_or_else(PoisonError::into_inner).get(&message.topic).cloned();
        let delivered = Delivered { message: Arc::clone(&message), receipt };
        if self.fanout.send(delivered).await.is_err() {
            ticket.dropped(DropReason::ShuttingDown);
            return Err(Closed);
        }
        if let Some(output) = output {
            output.offer(&message);
        }
        if self.taps.receiver_count() > 0 {
            // Fails only when the last watcher left just now.
            let _ = self.taps.send(message);
        }
        ticket.delivered();
        Ok(())
    }

    /// Sends the messages of one topic to `output` from now on. The latest for a topic stands.
    pub fn attach(&self, output: Arc<dyn Output>) {
        self.outputs.write().unwrap_or_else(PoisonError::into_inner).insert(output.topic().clone(), output);
    }

    /// Ends what [`attach`](Self::attach) began.
    pub fn detach(&self, topic: &Topic) {
        self.outputs.write().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    /// Delivered messages, live, for a watcher that may lag and lose some.
    pub fn tap(&self) -> broadcast::Receiver<Arc<Message>> {
        self.taps.subscribe()
    }
}
