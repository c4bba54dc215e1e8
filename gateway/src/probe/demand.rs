//! Runs that somebody asks for: one at a time of each probe, which can be cancelled, and what came of the last.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{NotRun, lock};

/// Of one probe.
#[derive(Debug, Clone, Default)]
pub(super) struct Demands(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// Since when there is one, and how it is cancelled.
    now: Option<(Instant, CancellationToken)>,
    last: Option<Result<Vec<Value>, NotRun>>,
}

/// How it is with them at one moment.
#[derive(Debug, Clone)]
pub struct Demanded {
    /// How long there has been one.
    pub since: Option<Duration>,
    /// The results of the last one that has ended since the start, or why it was not run.
    pub last: Option<Result<Vec<Value>, NotRun>>,
}

/// The right to run a probe; it is given back when this goes.
pub(super) struct Claim {
    demands: Demands,
    cancelled: CancellationToken,
}

impl Demands {
    /// `None` where there is a run already.
    pub(super) fn claim(&self) -> Option<Claim> {
        let mut inner = lock(&self.0);
        if inner.now.is_some() {
            return None;
        }
        let cancelled = CancellationToken::new();
        inner.now = Some((Instant::now(), cancelled.clone()));
        Some(Claim { demands: self.clone(), cancelled })
    }

    /// Has the run end. Says whether there is one.
    pub(super) fn cancel(&self) -> bool {
        let inner = lock(&self.0);
        inner.now.as_ref().inspect(|(_, cancelled)| cancelled.cancel()).is_some()
    }

    pub(super) fn now(&self) -> Demanded {
        let inner = lock(&self.0);
        Demanded { since: inner.now.as_ref().map(|(since, _)| since.elapsed()), last: inner.last.clone() }
    }
}

impl Claim {
    /// Done when somebody has cancelled the run.
    pub(super) fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Says what came of it.
    pub(super) fn ended(self, how: Result<Vec<Value>, NotRun>) {
        lock(&self.demands.0).last = Some(how);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.demands.0).now = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_at_a_time_and_it_is_over_however_it_ends() {
        let demands = Demands::default();
        assert!(!demands.cancel() && demands.now().since.is_none());
        let first = demands.claim().unwrap();
        assert!(demands.claim().is_none() && demands.now().since.is_some());
        assert!(demands.cancel() && first.cancelled().is_cancelled());
        first.ended(Err(NotRun::Cancelled));
        assert!(matches!(demands.now(), Demanded { since: None, last: Some(Err(NotRun::Cancelled)) }));
        // Whoever had it is gone, such as a probe that a reload has taken away.
        drop(demands.claim().unwrap());
        let next = demands.claim().unwrap();
        assert!(!next.cancelled().is_cancelled());
        next.ended(Ok(Vec::new()));
        assert!(matches!(demands.now().last, Some(Ok(_))));
    }
}
