//! A stage: what stands between a message's arrival and its delivery. Plugins become stages.

use std::future::Future;
use std::pin::Pin;

use crate::message::{Message, TopicFilter};

/// What a stage makes of one message.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on as it is.
    Pass,
    /// It goes on changed.
    Modify(Message),
    /// It ends here, as the filter wanted.
    Filter,
    /// It ends here and these go on instead, from the next stage.
    Replace(Vec<Message>),
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
