//! An uplink's sharing policy at work: what is taken becomes what may leave, and the secret behind pseudonyms is kept new.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Share};
use crate::message::{Message, Received};
use crate::pipeline::Pipeline;
use crate::sharing::{At, Policy, Pseudonyms, Withheld, note};

/// How often it is asked whether a secret is over. It is made anew no oftener, whatever the clock does.
const PERIOD: Duration = Duration::from_secs(30);

/// The policy of one uplink; without one, all is shared as it is.
pub(super) struct Sharing {
    policy: Option<Policy>,
    pseudonyms: Arc<Pseudonyms>,
}

impl Sharing {
    pub(super) fn new(uplink: &config::Uplink, pseudonyms: Arc<Pseudonyms>) -> Self {
        Self { policy: Policy::of(&uplink.share), pseudonyms }
    }

    /// Those with other rules.
    pub(super) fn with(&self, uplink: &config::Uplink) -> Self {
        Self::new(uplink, Arc::clone(&self.pseudonyms))
    }

    /// Whether something is shared under this topic.
    pub(super) fn names(&self, topic: &str) -> bool {
        self.policy.as_ref().is_none_or(|policy| policy.names(topic))
    }

    /// What may leave of a message; `None` where it may leave as it is.
    pub(super) fn shape(&self, message: &Message) -> Result<Option<Message>, Withheld> {
        let Some(policy) = &self.policy else { return Ok(None) };
        policy.shape(message, self.pseudonyms.key().as_ref()).map(Some)
    }
}

/// When an uplink's pseudonyms change; `None` where it has none.
fn change(uplink: &config::Uplink) -> Option<config::PseudonymsChange> {
    uplink.share.iter().any(Share::has_pseudonyms).then_some(uplink.pseudonyms_change)
}

/// Sees that there are the pseudonyms that the settings want, before a message asks for one.
pub(super) async fn prepare(pseudonyms: &Arc<Pseudonyms>, uplink: &config::Uplink, now: Received) {
    pseudonyms.set(change(uplink));
    renew(pseudonyms, &uplink.name, now).await;
}

/// Keeps pseudonyms new for as long as it is polled.
pub(super) async fn tend(pseudonyms: &Arc<Pseudonyms>, uplink: &str, pipeline: &Pipeline) {
    loop {
        tokio::time::sleep(PERIOD).await;
        renew(pseudonyms, uplink, pipeline.clock().now()).await;
    }
}

async fn renew(pseudonyms: &Arc<Pseudonyms>, uplink: &str, now: Received) {
    if !pseudonyms.due(&now) {
        return;
    }
    let own = Arc::clone(pseudonyms);
    let error = match tokio::task::spawn_blocking(move || own.renew(&now)).await {
        Ok(Ok(())) => return log::debug!(uplink = uplink; "the secret behind pseudonyms is there"),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    log::error!(uplink = uplink, error = error.as_str(); "the secret behind pseudonyms can't be read or kept; it is tried again");
}

/// Compares the settings with those of before, and tells of each uplink that may be sent other things than it was.
pub(super) async fn record(data_dir: PathBuf, uplinks: Vec<config::Uplink>, at: At, now: Received) {
    let noted = tokio::task::spawn_blocking(move || note(&data_dir, &uplinks, at, &now)).await;
    let (changes, error) = match noted {
        Ok(Ok(changes)) => (changes, None),
        Ok(Err((changes, error))) => (changes, Some(error.to_string())),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    for change in changes {
        let (uplink, at) = (change.uplink.as_str(), change.at.as_str());
        let (added, removed) = (one_line(&change.added), one_line(&change.removed));
        log::info!(uplink = uplink, at = at, added = added, removed = removed; "what may leave to a remote has changed");
    }
    if let Some(error) = error {
        log::error!(error = error; "the record of what may leave can't be kept");
    }
}

/// The longest list of rules in a log line, in characters; the record has all of it.
const LOGGED_MAX: usize = 2000;

fn one_line(lines: &[String]) -> String {
    lines.join(" | ").chars().take(LOGGED_MAX).collect()
}
