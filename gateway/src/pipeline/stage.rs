//! A stage: what stands between a message's arrival and its delivery. Plugins become stages.

use std::sync::Arc;
use std::time::Instant;

use super::{DropReason, Held, Shelf};
use crate::message::{Message, Receipt, TopicFilter};

/// What a stage makes of one message.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on as it is.
    Pass,
    /// It goes on changed.
    Modify(Message),
    /// It ends here, as the filter meant it.
    Filter,
    /// It ends here and these go on instead, from the next stage.
    Replace(Vec<Message>),
    /// It ends here, because the stage failed at it or refused it.
    Drop(DropReason),
    /// It is laid on the stage's shelf, to be judged later. Where the stage has none, it is dropped as `plugin-failed`.
    Hold(Held),
}

/// What a stage makes of a batch.
#[derive(Debug, Default)]
pub struct Judged {
    /// One for each message of the batch, in order.
    pub verdicts: Vec<Verdict>,
    /// Messages besides. They go on from the next stage, behind the batch.
    pub added: Vec<Message>,
    /// It changed what is to outlive the process: nobody who waits for a message of the batch is told before
    /// [`sync`](Processor::sync).
    pub remembered: bool,
}

/// What a stage does. It runs on a thread of the stage's own, so it may take its time.
pub trait Processor: Send {
    /// Judges a batch: messages of the stage's topics, in the order in which they came.
    fn process(&mut self, batch: &[Message]) -> Judged;

    /// Judges one message again that lay apart. That it fails once more tells nothing of the stage.
    fn judge_again(&mut self, message: &Message) -> Judged {
        self.process(std::slice::from_ref(message))
    }

    /// Whether it can judge anything now. What waits on the shelf is kept back as long as it can't.
    fn is_ready(&self) -> bool {
        true
    }

    /// Settles a receipt when all that the batches so far changed is safe.
    fn sync(&mut self, receipt: Receipt) {
        receipt.settle();
    }

    /// When [`tick`](Self::tick) wants to be called next; the thread waits for messages until then.
    fn tick_at(&self) -> Option<Instant> {
        None
    }

    /// Acts as time goes by. What it gives goes on from the next stage.
    fn tick(&mut self) -> Vec<Message> {
        Vec::new()
    }
}

/// What becomes of a message when the processor itself breaks: it panics, or gives another number of verdicts than there
/// are messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It goes on as it is.
    Pass,
    /// It is dropped as `plugin-failed`.
    Drop,
    /// It is held until another processor takes over.
    Hold,
}

/// A stage as it is asked for.
pub struct Stage {
    /// Its name, unique among the stages; its thread's too.
    pub name: Arc<str>,
    /// The topics that it is asked about; all others pass it by.
    pub topics: Vec<TopicFilter>,
    /// What to do when the processor breaks.
    pub fallback: Fallback,
    /// Where messages are held.
    pub shelf: Option<Arc<Shelf>>,
    /// What it does. `None`: the stage of that name goes on with what it has.
    pub processor: Option<Box<dyn Processor>>,
}

/// Why the stages stay what they were.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Two of one name.
    #[error("there are two stages called {0:?}")]
    Twice(Arc<str>),
    /// It should go on with what it has, but it is not there.
    #[error("there is no stage called {0:?} that could go on")]
    Unknown(Arc<str>),
    /// The system gave no thread.
    #[error("can't start a thread for the stage {name:?}: {why}")]
    Thread {
        /// The stage.
        name: Arc<str>,
        /// What the system said.
        why: std::io::Error,
    },
    /// What was under way did not come through in time.
    #[error("messages are stuck in the stages; they stay what they were")]
    Stuck,
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}
