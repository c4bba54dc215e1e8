//! The change of the settings that is on trial, as the frame of every page and the API tell of it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use crate::changes::OnTrial;

/// Told by whoever reads the settings again.
#[derive(Default)]
pub(super) struct Trials(Mutex<Option<(OnTrial, Instant)>>);

/// A change that is on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Trial {
    /// The number of the change.
    pub(super) number: u64,
    /// Who made it.
    pub(super) by: String,
    /// Seconds until the settings of before come back.
    pub(super) seconds_left: u64,
}

impl Trials {
    /// What is on trial from now on.
    pub(super) fn set(&self, on_trial: Option<OnTrial>) {
        let ends = on_trial.map(|on_trial| (Instant::now() + on_trial.left, on_trial));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ends.map(|(ends, on_trial)| (on_trial, ends));
    }

    /// What is on trial now. One whose time is over is none, though its end may take a moment.
    pub(super) fn now(&self) -> Option<Trial> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (OnTrial { number, by, .. }, ends) = known.as_ref()?;
        let left = ends.saturating_duration_since(Instant::now());
        let seconds_left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        (left > Duration::ZERO).then(|| Trial { number: *number, by: by.clone(), seconds_left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_told_of_as_long_as_it_lasts() {
        let trials = Trials::default();
        assert_eq!(trials.now(), None);
        let on_trial = |left| Some(OnTrial { number: 3, by: "anna".into(), left });
        trials.set(on_trial(Duration::from_secs(90)));
        assert_eq!(trials.now(), Some(Trial { number: 3, by: "anna".into(), seconds_left: 90 }));
        trials.set(on_trial(Duration::ZERO));
        assert_eq!(trials.now(), None);
        trials.set(on_trial(Duration::from_secs(90)));
        trials.set(None);
        assert_eq!(trials.now(), None);
    }
}
