//! What became of a downlink, whichever kind of gateway it was for.

use super::gw::{self, DownlinkFrame, DownlinkTxAck, DownlinkTxAckItem};
use super::schedule::{TxStatus, Verdict};

/// See the module's head.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    /// That of the message.
    pub(super) downlink_id: u32,
    /// One an item.
    pub(super) statuses: Vec<TxStatus>,
    /// What was sent: its frequency in Hz and its modulation.
    pub(super) sent: Option<(u32, gw::Modulation)>,
    /// In words, why the others were not.
    pub(super) why: String,
}

impl Done {
    /// The same for all of so many items.
    pub(super) fn all(downlink_id: u32, items: usize, status: TxStatus, why: &str) -> Self {
        Self { downlink_id, statuses: vec![status; items], sent: None, why: why.to_owned() }
    }

    /// Nothing of it was tried.
    pub(super) fn not_tried(frame: &DownlinkFrame, status: TxStatus, why: &str) -> Self {
        Self::all(frame.downlink_id, frame.items.len(), status, why)
    }

    /// Says why one item was not sent.
    pub(super) fn explain(&mut self, verdict: &Verdict) {
        if !verdict.why.is_empty() {
            let separator = if self.why.is_empty() { "" } else { "; " };
            self.why.push_str(&format!("{separator}{}: {}", verdict.status.as_str(), verdict.why));
        }
    }

    /// The message that tells it.
    pub(super) fn message(&self, gateway_id: String) -> DownlinkTxAck {
        let items = self.statuses.iter().map(|status| DownlinkTxAckItem { status: status.told() as i32 }).collect();
        DownlinkTxAck { gateway_id, downlink_id: self.downlink_id, items }
    }
}
