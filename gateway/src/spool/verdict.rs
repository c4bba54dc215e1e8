//! What whoever opens a spool or appends to it is told.

use std::io;
use std::path::PathBuf;

use super::figures::Quarantined;
use crate::message::Receipt;

/// Why a spool can't be opened. Damaged content is none of these: it is set aside.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder is not there and can't be made.
    #[error("can't make {}: {why}; see that the gateway may write there and that the disk has room", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Somebody else has it.
    #[error("{} is in use by another process; stop that one, or give the uplink another name", .folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
}

/// Why a record was not taken, or was dropped later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The files hold as much as they may.
    Full,
    /// The disk is slower than what comes, and 4 MiB wait for it already.
    Busy,
    /// The disk fails; [`Figures::last_error`](super::Figures::last_error) says why.
    Disk,
    /// It is empty, larger than [`RECORD_MAX`](super::settings::RECORD_MAX), or larger than a quarter of what the spool may hold.
    Size,
    /// The spool was closed.
    Closed,
}

impl Refused {
    /// The word for metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "spool-full",
            Self::Busy => "spool-busy",
            Self::Disk => "spool-disk",
            Self::Size => "spool-size",
            Self::Closed => "spool-closed",
        }
    }
}

/// A record that there was no room for, given back.
#[derive(Debug)]
pub struct NotTaken {
    /// Why.
    pub why: Refused,
    /// Whether waiting for [`Spool::room`](super::Spool::room) is of use: the policy is [`Policy::Block`](super::Policy::Block), and it can be taken some time.
    pub wait: bool,
    /// The receipt, unsettled.
    pub receipt: Option<Receipt>,
}

/// What was found at opening.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// Records that wait for the remote.
    pub messages: u64,
    /// Bytes of half-written records that a crash left and that were cut off: nobody had been promised anything of them.
    pub repaired: u64,
    /// What is damaged and lost.
    pub quarantined: Quarantined,
    /// Where the reader was is not known; everything in the files is handed out once more.
    pub cursor_lost: bool,
    /// It was closed in order, or is new. If not, with [`Durability::OnOutage`](super::Durability::OnOutage), a remote may have been sent records that
    /// are not known here any more.
    pub clean: bool,
}
