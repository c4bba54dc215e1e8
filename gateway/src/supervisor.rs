//! Starts, restarts and stops the daemon's units, and says how each of them is.
//!
//! A unit is a name, a factory and a rank. It runs with a cancellation token. When it fails or panics it is started
//! again after a pause that doubles up to [`BACKOFF_MAX`]; one that keeps failing is shown as degraded while the others
//! go on. A unit that can't be done without ends the process instead, so that the init system starts it afresh.
//! Nothing else in the crate spawns a task that outlives its caller.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The first pause before a restart.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest pause before a restart.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A unit that ran this long before it failed starts again with the first pause.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);
/// Failures in a row after which a unit is shown as degraded.
const DEGRADED_AFTER: u32 = 3;

/// Why a unit ended before it was told to.
pub type UnitError = Box<dyn std::error::Error + Send + Sync>;
/// A running unit.
pub type UnitFuture = Pin<Box<dyn Future<Output = Result<(), UnitError>> + Send>>;
type Factory = Box<dyn FnMut(CancellationToken) -> UnitFuture + Send>;

/// When a unit is stopped, earliest first; units of one rank stop together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// What brings messages in.
    Radio,
    /// What serves MQTT clients.
    Clients,
    /// What carries messages to remote brokers, and from there.
    Uplinks,
    /// What carries messages between the others.
    Core,
    /// What operators look through: last, so that they see the end.
    Admin,
}

/// How a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It runs.
    Running,
    /// It failed and will be started again.
    Restarting,
    /// It keeps failing; it is still tried.
    Degraded,
    /// It ended, as it was told to.
    Stopped,
}

/// A unit's condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// How it is.
    pub health: Health,
    /// Starts after the first.
    pub restarts: u64,
    /// What it failed of last.
    pub last_error: Option<String>,
}

struct Running {
    rank: Rank,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    running: Mutex<BTreeMap<String, Running>>,
    status: Mutex<BTreeMap<String, Status>>,
}

/// Owns the units. A clone is another handle.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
    failed: watch::Sender<Option<String>>,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("status", &self.status()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { inner: Arc::default(), failed: watch::Sender::new(None) }
    }
}

impl Supervisor {
    /// Starts a unit under a name that is free. A unit that returns `Ok` before it is told to stop is done.
    pub fn start<F, U>(&self, name: &str, rank: Rank, mut factory: F)
    where
        F: FnMut(CancellationToken) -> U + Send + 'static,
        U: Future<Output = Result<(), UnitError>> + Send + 'static,
    {
        self.spawn(name, rank, false, Box::new(move |cancel| Box::pin(factory(cancel))));
    }

    /// Starts a unit that the daemon can't do without: when it fails, [`critical_failure`](Self::critical_failure) tells.
    pub fn start_critical<U>(&self, name: &str, rank: Rank, run: impl FnOnce(CancellationToken) -> U + Send + 'static)
    where
        U: Future<Output = Result<(), UnitError>> + Send + 'static,
    {
        let mut run = Some(run);
        let factory: Factory = Box::new(move |cancel| match run.take() {
            Some(run) => Box::pin(run(cancel)),
            None => Box::pin(async { Err("can't be started twice".into()) }),
        });
        self.spawn(name, rank, true, factory);
    }

    fn spawn(&self, name: &str, rank: Rank, critical: bool, factory: Factory) {
        let cancel = CancellationToken::new();
        let status = Status { health: Health::Running, restarts: 0, last_error: None };
        lock(&self.inner.status).insert(name.to_owned(), status);
        let watch =
            Watch { name: name.to_owned(), inner: Arc::clone(&self.inner), critical, failed: self.failed.clone() };
        let task = tokio::spawn(watch.keep_running(factory, cancel.clone()));
        lock(&self.inner.running).insert(name.to_owned(), Running { rank, cancel, task });
    }

    /// Stops one unit and waits for its end; after `patience` it is cut off. Says whether it ended by itself.
    pub async fn stop(&self, name: &str, patience: Duration) -> bool {
        let running = lock(&self.inner.running).remove(name);
        let Some(mut running) = running else { return true };
        running.cancel.cancel();
        let ended = tokio::time::timeout(patience, &mut running.task).await.is_ok();
        if !ended {
            log::warn!(unit = name; "the unit did not stop in time and was cut off");
            running.task.abort();
            // Only when it has really gone may another take its name, its port or its socket.
            let _ = running.task.await;
        }
        lock(&self.inner.status).remove(name);
        ended
    }

    /// Stops all units of a rank and waits for their end until `deadline`. Says whether all ended by themselves.
    pub async fn stop_rank(&self, rank: Rank, deadline: Instant) -> bool {
        let names: Vec<String> = {
            let running = lock(&self.inner.running);
            let same_rank = running.iter().filter(|(_, unit)| unit.rank == rank);
            same_rank.inspect(|(_, unit)| unit.cancel.cancel()).map(|(name, _)| name.clone()).collect()
        };
        let mut clean = true;
        for name in names {
            clean &= self.stop(&name, deadline.saturating_duration_since(Instant::now())).await;
        }
        clean
    }

    /// How each unit is.
    pub fn status(&self) -> BTreeMap<String, Status> {
        lock(&self.inner.status).clone()
    }

    /// Waits until a critical unit has failed and says which and why.
    pub async fn critical_failure(&self) -> String {
        let mut failed = self.failed.subscribe();
        let told = failed.wait_for(Option::is_some).await.map(|reason| reason.clone());
        // The sender lives in `self`, so the wait can't end without a reason.
        told.ok().flatten().unwrap_or_default()
    }
}

/// One unit's own watch: runs it again and again and keeps its status.
struct Watch {
    name: String,
    inner: Arc<Inner>,
    critical: bool,
    failed: watch::Sender<Option<String>>,
}

impl Watch {
    async fn keep_running(self, mut factory: Factory, cancel: CancellationToken) {
        let mut pause = BACKOFF_MIN;
        let mut failures = 0;
        loop {
            let started = Instant::now();
            // A task of its own, so that a panic ends the unit's run and not its watch.
            let mut run = AbortOnDrop(tokio::spawn(factory(cancel.child_token())));
            let outcome = match tokio::time::timeout(HEALTHY_AFTER, &mut run).await {
                Ok(outcome) => outcome,
                Err(_still_running) => {
                    self.note(|s| s.health = Health::Running);
                    run.await
                }
            };
            let error = match outcome {
                Ok(Ok(())) if self.critical && !cancel.is_cancelled() => "it ended by itself".to_owned(),
                Ok(Ok(())) => return self.note(|s| s.health = Health::Stopped),
                Ok(Err(error)) => error.to_string(),
                Err(join) => format!("it panicked: {}", panic_text(join)),
            };
            if cancel.is_cancelled() {
                return self.note(|s| s.health = Health::Stopped);
            }
            if started.elapsed() >= HEALTHY_AFTER {
                (pause, failures) = (BACKOFF_MIN, 0);
            }
            failures += 1;
            log::error!(unit = self.name.as_str(), error = error.as_str(); "unit failed");
            if self.critical {
                self.note(|s| (s.health, s.last_error) = (Health::Degraded, Some(error.clone())));
                self.failed.send_replace(Some(format!("{}: {error}", self.name)));
                return;
            }
            self.note(|s| {
                s.health = if failures >= DEGRADED_AFTER { Health::Degraded } else { Health::Restarting };
                s.last_error = Some(error);
                s.restarts += 1;
            });
            if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return self.note(|s| s.health = Health::Stopped);
            }
            pause = (pause * 2).min(BACKOFF_MAX);
            if failures < DEGRADED_AFTER {
                self.note(|s| s.health = Health::Running);
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut Status)) {
        if let Some(status) = lock(&self.inner.status).get_mut(&self.name) {
            change(status);
        }
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn panic_text(join: tokio::task::JoinError) -> String {
    match join.try_into_panic() {
        Ok(panic) => match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "no message".to_owned(),
        },
        Err(join) => join.to_string(),
    }
}

#[cfg(test)]
mod tests;
