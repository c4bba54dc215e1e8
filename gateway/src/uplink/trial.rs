//! A try of a running uplink's remote, beside the connection that there is: over each path, by a client id of its own, and
//! within a time that somebody at a page waits.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::Uplinks;
use super::dial::Dialer;
use super::probe::{Reach, Stage, Step, Try, test_client_id};
use crate::config;

/// How long all of it may take. Each path has its share of what is left.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long who measures waits for another try to end.
const TURN: Duration = Duration::from_secs(5);

/// What came of one path.
#[derive(Debug, Clone)]
pub struct Tried {
    /// What it is called; `None` where the settings name none.
    pub path: Option<String>,
    /// What was done, each with the time since this path was begun with.
    pub steps: Vec<(Step, Duration)>,
    /// What it ended on, and why, in words.
    pub failed: Option<(Stage, String)>,
    /// It ended before the sign-in, since a hub lets each device in once.
    pub short: bool,
}

/// Why nothing was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTried {
    /// There is no such uplink.
    Unknown,
    /// Another try is under way.
    Busy,
}

impl Uplinks {
    /// Tries an uplink's remote over each of its paths: one try at a time, and 20 s at most. Given up when it is dropped.
    ///
    /// # Errors
    /// [`NotTried`].
    pub async fn try_out(&self, name: &str) -> Result<Vec<Tried>, NotTried> {
        let unit = self.lock().get(name).cloned().ok_or(NotTried::Unknown)?;
        let _one_at_a_time = self.trying.try_lock().map_err(|_| NotTried::Busy)?;
        Ok(self.try_paths(&unit.settings, None).await)
    }

    /// How many paths [`Self::measure`] takes where it is not given one.
    pub fn ways(&self, name: &str) -> usize {
        self.lock().get(name).map_or(1, |unit| unit.settings.paths.len().max(1))
    }

    /// The same for who measures: waits a while for its turn, and takes only the path of that name, if one is named.
    ///
    /// # Errors
    /// [`NotTried`].
    pub async fn measure(&self, name: &str, path: Option<&str>) -> Result<Vec<Tried>, NotTried> {
        let unit = self.lock().get(name).cloned().ok_or(NotTried::Unknown)?;
        let _one_at_a_time = timeout(TURN, self.trying.lock()).await.map_err(|_| NotTried::Busy)?;
        Ok(self.try_paths(&unit.settings, path).await)
    }

    async fn try_paths(&self, settings: &config::Uplink, only: Option<&str>) -> Vec<Tried> {
        let client_id = test_client_id(settings);
        let uplink = config::Uplink { client_id, ..settings.clone() };
        let reach = if uplink.hub.is_some() { Reach::Connection } else { Reach::Message };
        let of = Try { uplink: &uplink, gateway: &self.gateway, now: self.pipeline.clock().now(), reach };
        let mut dialer = Dialer::new(&uplink);
        let wanted: Vec<_> =
            (0..dialer.count()).filter(|path| only.is_none_or(|only| dialer.label(*path) == only)).collect();
        let (count, deadline) = (wanted.len(), Instant::now() + PATIENCE);
        let mut all = Vec::with_capacity(count);
        for (turn, path) in wanted.into_iter().enumerate() {
            let now = Instant::now();
            let others = u32::try_from(count - turn).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(now) / others;
            let (label, mut at, mut steps) = (dialer.label(path), Stage::Name, Vec::new());
            let mut tell = |step| steps.push((step, now.elapsed()));
            let tried = timeout_at(now + share, of.over(path, &mut dialer, &mut at, &mut tell)).await;
            let failed = match tried {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why.to_string()),
                Err(_) => Some(format!("there was no answer within {:.0} s", share.as_secs_f64())),
            };
            let path = (!uplink.paths.is_empty()).then_some(label);
            let short = reach == Reach::Connection;
            all.push(Tried { path, steps, failed: failed.map(|why| (at, why)), short });
        }
        all
    }
}
