//! A stage: what stands between a message's arrival and its delivery. Plugins become stages.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use super::DropReason;
use crate::message::{Message, TopicFilter};

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
}

/// What a stage makes of a batch.
#[derive(Debug, Default)]
pub struct Judged {
    /// One for each message of the batch, in order.
    pub verdicts: Vec<Verdict>,
    /// Messages besides. They go on from the next stage, behind the batch.
    pub added: Vec<Message>,
}

/// What a stage does. It runs on a thread of the stage's own, so it may take its time.
pub trait Processor: Send {
    /// Judges a batch: messages of the stage's topics, in the order in which they came.
    fn process(&mut self, batch: &[Message]) -> Judged;

    /// When [`tick`](Self::tick) wants to be called next; the thread waits for messages until then.
    fn tick_at(&self) -> Option<Instant> {
        None
    }

    /// Acts as time goes by. What it gives goes on from the next stage.
    fn tick(&mut self) -> Vec<Message> {
        Vec::new()
    }
}

/// A stage's answer, when it has one.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// One step of the pipeline.
pub trait Stage: Send + Sync {
    /// The topics that it is asked about; all others pass.
    fn filter(&self) -> &TopicFilter;

    /// Looks at one message.
    fn process<'a>(&'a self, message: &'a Message) -> Answer<'a>;
}
