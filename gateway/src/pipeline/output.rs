//! Outputs: where delivered messages go, besides the broker.

use crate::message::{Message, Topic};

/// Takes delivered messages of one topic. It has a bounded queue of its own and a stated policy for when that is full,
/// so it never makes the pipeline wait; what it refuses it counts and reports itself.
pub trait Output: Send + Sync {
    /// The one topic whose messages it takes.
    fn topic(&self) -> &Topic;

    /// Takes a message, or refuses it. Must return at once.
    fn offer(&self, message: &Message);
}
