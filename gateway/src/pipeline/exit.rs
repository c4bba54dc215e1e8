//! The end of the path: the carriers, the broker's fan-out, the outputs, the watchers.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::broadcast;

use super::carrier::Carriers;
use super::fanout::Fanout;
use super::hop::Hops;
use super::{Closed, Delivered, DropReason, Ledger, Output, Ticket};
use crate::message::{Message, Note, Receipt, Topic};

/// Takes the note of a message that left nothing behind.
pub(super) type Noter = dyn Fn(Note, Receipt) + Send + Sync;

/// See the module's head.
pub(super) struct Exit {
    pub(super) ledger: Arc<Ledger>,
    pub(super) outputs: RwLock<HashMap<Topic, Arc<dyn Output>>>,
    pub(super) carriers: Carriers,
    pub(super) fanout: Fanout,
    pub(super) taps: broadcast::Sender<Arc<Message>>,
    pub(super) hops: Hops,
    pub(super) noter: OnceLock<Box<Noter>>,
}

impl Exit {
    /// Hands a message to all outputs. Waits for room in the fan-out.
    pub(super) async fn deliver(
        &self,
        message: Message,
        ticket: Ticket,
        receipt: Option<Receipt>,
    ) -> Result<(), Closed> {
        self.carriers.offer(&message, receipt.as_ref());
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
        self.hops.delivered(&message);
        if self.taps.receiver_count() > 0 {
            // Fails only when the last watcher left just now.
            let _ = self.taps.send(message);
        }
        ticket.delivered();
        Ok(())
    }

    /// A message ends on its way, as it was meant to. Its publisher need not send it again.
    pub(super) fn end(&self, receipt: Option<Receipt>) {
        let Some(receipt) = receipt else { return };
        receipt.end(|what, receipt| match self.noter.get() {
            Some(note) => note(what, receipt),
            // Nobody keeps notes, so nothing is promised by one.
            None => receipt.settle(),
        });
    }
}
