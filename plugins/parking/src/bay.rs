//! One bay: what is known of it, and what has been told.

use std::time::Duration;

use stile_filter::Time;

/// Whether a bay is taken. The numbers are what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Unknown = 0,
    Free = 1,
    Occupied = 2,
}

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A change that goes back within this time is none.
    pub(crate) debounce: Duration,
    /// A bay of which nothing was heard for this time is unknown.
    pub(crate) stale: Duration,
}

/// What is known of a bay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bay {
    pub(crate) told: Status,
    /// What its sensor said last, and since when it says so.
    pub(crate) now: Status,
    pub(crate) since: Time,
    pub(crate) heard: Time,
}

impl Status {
    pub(crate) fn of(occupied: bool) -> Self {
        if occupied { Self::Occupied } else { Self::Free }
    }

    /// The words of the Smart Data Models' `ParkingSpot`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Free => "free",
            Self::Occupied => "occupied",
        }
    }
}

impl Bay {
    pub(crate) fn new(at: Time) -> Self {
        Self { told: Status::Unknown, now: Status::Unknown, since: at, heard: at }
    }

    /// The sensor was heard; some messages say nothing of the bay.
    pub(crate) fn report(&mut self, status: Option<Status>, at: Time) {
        self.heard = at;
        if let Some(status) = status.filter(|status| *status != self.now) {
            (self.now, self.since) = (status, at);
        }
    }

    /// What is to be told by now. Says whether that is news.
    pub(crate) fn settle(&mut self, at: Time, patience: Patience) -> bool {
        let due = if at.since(self.heard) >= patience.stale {
            Status::Unknown
        } else if self.told == Status::Unknown || at.since(self.since) >= patience.debounce {
            self.now
        } else {
            self.told
        };
        std::mem::replace(&mut self.told, due) != due
    }
}
