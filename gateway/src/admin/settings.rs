//! Changes of the settings by the page and its API: made, confirmed, given back, and taken by the gateway at once. What is
//! written, and how it comes back, `changes` knows.
//!
//! What has begun goes on to its end, whether or not whoever asked for it is still there: it runs on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use tokio::sync::oneshot;

use super::problem::Problem;
use super::trust::Caller;
use super::{Door, Sources, ask_reload_now};
use crate::changes::{CONFIRM_WITHIN, ChangeError, Changes, Checked, State, TRIAL, Wanted};
use crate::config::{Admin, Change};

/// What is wanted.
pub(super) struct Wish {
    /// The stamp of the files that whoever wants it has seen; without one, nobody minds what others did.
    pub(super) base: Option<String>,
    /// The files that are to be others.
    pub(super) wanted: Wanted,
    /// Who wants it.
    pub(super) by: String,
    /// How long it is on trial; without one, it is kept as soon as the gateway has taken it.
    pub(super) within: Option<Duration>,
}

impl Wish {
    /// On trial for the usual time.
    pub(super) fn of(caller: &Caller, base: Option<String>, wanted: Wanted) -> Self {
        Self { base, wanted, by: caller.describe(), within: Some(CONFIRM_WITHIN) }
    }
}

/// How long a trial of this many seconds is.
pub(super) fn trial_of(seconds: u64) -> Result<Duration, Problem> {
    let time = Duration::from_secs(seconds);
    let (least, most) = (TRIAL.start().as_secs(), TRIAL.end().as_secs());
    let wrong = || Problem::bad(format!("a trial lasts from {least} to {most} seconds"));
    TRIAL.contains(&time).then_some(time).ok_or_else(wrong)
}

/// What was done.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// The change's number.
    pub(super) number: u64,
    /// Where the admin port is from now on, if that changes. It moves while this is told.
    pub(super) moves: Option<Admin>,
    /// What was noticed.
    pub(super) checked: Option<Checked>,
    /// Files that somebody has changed since: what is given back leaves them alone.
    pub(super) left: Vec<String>,
}

/// The changes of the settings.
pub(super) fn changes(sources: &Sources) -> Result<&Changes, Problem> {
    let nowhere = "this gateway's settings are in no file: it is a demonstration, `stile demo`";
    sources.changes.get().ok_or_else(|| Problem::new(StatusCode::CONFLICT, nowhere))
}

/// Does something with the changes where the disk may be waited for.
pub(super) async fn with_changes<T: Send + 'static>(
    sources: &Arc<Sources>,
    work: impl FnOnce(&Changes, &Sources) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let owned = Arc::clone(sources);
    let done = tokio::task::spawn_blocking(move || work(changes(&owned)?, &owned));
    done.await.map_err(|panic| Problem::failed(panic.to_string()))?
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let status = match error {
            ChangeError::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ChangeError::OnTrial { .. } | ChangeError::Overtaken | ChangeError::Other(_) => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

/// Makes a change, and has the gateway take it. Where the admin port moves, it is told before that is done.
pub(super) async fn make(sources: &Arc<Sources>, wish: Wish) -> Result<Made, Problem> {
    run(sources, move |changes, sources, moving| {
        let within = wish.within.or(Some(CONFIRM_WITHIN));
        let (entry, checked) = changes.apply_to(wish.base.as_deref(), &wish.wanted, &wish.by, within)?;
        let moves = moves_to(&checked);
        let made = Made { number: entry.number, moves, checked: Some(checked), left: Vec::new() };
        moving.tell(&made);
        let reload = || ask_reload_now(sources);
        changes.have_taken(made.number, reload)?;
        if wish.within.is_none() {
            changes.confirm_and_tell(Some(made.number), &wish.by, reload)?;
            return Ok(Made { moves: None, ..made });
        }
        Ok(made)
    })
    .await
}

/// Keeps the change that is on trial; with a number, only if it is that one.
pub(super) async fn confirm(sources: &Arc<Sources>, number: Option<u64>, by: String) -> Result<Made, Problem> {
    run(sources, move |changes, sources, _| {
        let number = changes.confirm_and_tell(number, &by, || ask_reload_now(sources))?;
        Ok(Made { number, moves: None, checked: None, left: Vec::new() })
    })
    .await
}

/// Gives the change that is on trial back now; with a number, only if it is that one.
pub(super) async fn give_back(sources: &Arc<Sources>, number: Option<u64>, by: String) -> Result<Made, Problem> {
    run(sources, move |changes, sources, moving| {
        let pending = changes.pending()?.ok_or_else(|| "no change is on trial".to_owned())?;
        let old: Wanted = pending.files.iter().map(|(name, edit)| (name.clone(), edit.old.clone())).collect();
        let checked = changes.check(&old).ok();
        let settled = changes.give_back_now(number, State::Returned, &format!("by {by}"))?;
        let moves = checked.as_ref().and_then(moves_to);
        let number = settled.returned.unwrap_or(pending).number;
        let made = Made { number, moves, checked, left: settled.changed_since };
        moving.tell(&made);
        let heard = ask_reload_now(sources);
        heard.map_err(|error| format!("change {number} is given back, but the gateway did not take it: {error}"))?;
        Ok(made)
    })
    .await
}

/// Where the admin port would be, if it would be another.
pub(super) fn moves_to(checked: &Checked) -> Option<Admin> {
    let moves = checked.changes.as_ref().is_some_and(|changes| changes.contains(&Change::Admin));
    moves.then(|| checked.settings.admin.clone())
}

/// Where it is told that the admin port moves.
struct Moving(oneshot::Sender<Made>);

impl Moving {
    /// From here on whoever asked may be cut off.
    fn tell(self, made: &Made) {
        if made.moves.is_some() {
            // Whoever asked may have gone.
            let _ = self.0.send(made.clone());
        }
    }
}

async fn run(
    sources: &Arc<Sources>,
    work: impl FnOnce(&Changes, &Sources, Moving) -> Result<Made, ChangeError> + Send + 'static,
) -> Result<Made, Problem> {
    let (told, moving) = oneshot::channel();
    let done = with_changes(sources, move |changes, sources| Ok(work(changes, sources, Moving(told))?));
    tokio::select! {
        biased;
        Ok(made) = moving => Ok(made),
        done = done => done,
    }
}

/// How the page, or the API, was reached.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    door: Door,
    /// The host that was asked for.
    host: String,
}

impl<S: Sync> FromRequestParts<S> for Reached {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Self { door: Door::from_request_parts(parts, state).await?, host })
    }
}

impl Reached {
    /// Where to find the page from now on, in words.
    pub(super) fn whereto(&self, admin: &Admin) -> String {
        let Some(address) = admin.listen else {
            return "there is no admin page from now on; `stile config confirm` on the gateway keeps that".to_owned();
        };
        let scheme = if admin.secure() { "https" } else { "http" };
        let sign_in = match self.door {
            Door::Secure { .. } if admin.secure() => "",
            Door::Loopback { .. } if !admin.secure() => "",
            _ => "; sign in there anew",
        };
        if address.port() == 0 {
            return format!("the admin page moves to a port that the gateway's log names{sign_in}");
        }
        let only_here = if address.ip().is_loopback() { ", which the gateway itself alone reaches" } else { "" };
        format!("the admin page moves to {scheme}://{}/{only_here}{sign_in}", authority(address, &self.host))
    }
}

fn authority(address: SocketAddr, host: &str) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    // What stands before the port; an IPv6 address stands in brackets.
    let is_port = |(_, port): &(&str, &str)| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(is_port).map_or(host, |(name, _)| name);
    format!("{}:{}", if name.is_empty() { "gateway" } else { name }, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_page_moves_to_is_said_in_words() {
        let to = |listen: Option<&str>, host: &str, door| {
            let admin = Admin { listen: listen.map(|address| address.parse().unwrap()), ..Admin::default() };
            Reached { door, host: host.to_owned() }.whereto(&admin)
        };
        let (plain, secure) = (Door::Loopback { port: 1 }, Door::Secure { port: 1 });
        let here = ", which the gateway itself alone reaches";
        let said = to(Some("127.0.0.1:8081"), "127.0.0.1:8080", plain);
        assert_eq!(said, format!("the admin page moves to http://127.0.0.1:8081/{here}"));
        let said = to(Some("0.0.0.0:8443"), "gateway.local:8080", plain);
        assert_eq!(said, "the admin page moves to https://gateway.local:8443/; sign in there anew");
        assert!(to(Some("[::]:8443"), "[fe80::1]:8443", secure).contains("https://[fe80::1]:8443/"));
        assert!(to(Some("[::]:8443"), "[fe80::1]", secure).contains("https://[fe80::1]:8443/"));
        assert!(to(Some("192.0.2.7:8443"), "x:1", secure).ends_with("https://192.0.2.7:8443/"));
        assert!(to(Some("0.0.0.0:0"), "x:1", secure).contains("the gateway's log names"));
        assert!(to(None, "x:1", secure).contains("stile config confirm"));
    }

    #[test]
    fn a_trial_is_not_shorter_or_longer_than_one_can_be() {
        assert_eq!(trial_of(90).unwrap(), CONFIRM_WITHIN);
        for wrong in [0, 4, 3601, u64::MAX] {
            assert!(trial_of(wrong).unwrap_err().detail.contains("from 5 to 3600 seconds"));
        }
    }
}
