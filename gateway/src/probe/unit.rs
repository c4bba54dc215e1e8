//! One probe: runs it by its schedule or because somebody asks, one run at a time, and says what came of it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::{MutexGuard, mpsc};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::NotRun;
use super::budget::{NotSpent, Purse, Spent};
use super::demand::{Claim, Demands};
use super::result::{self, Finding, Trigger};
use super::{iperf, lock, measure};
use crate::config::{Budget, Probe, ProbeKind};
use crate::message::{Origin, Topic, TopicError};
use crate::pipeline::Pipeline;
use crate::resolver::Resolver;
use crate::uplink::Uplinks;

/// How long whoever asks waits for a run that is under way.
const TURN: Duration = Duration::from_secs(5);
/// The same for a run of a schedule, which waits for others of throughput: as long as one takes, see `iperf/`.
const TURN_OF_SCHEDULE: Duration = Duration::from_secs(30);
/// The first run of a schedule is at a moment within this time, so that probes do not all begin at once.
const SPREAD: Duration = Duration::from_secs(1);
/// What the result of a run says that somebody has ended.
const CANCELLED: &str = "it was cancelled; what it might have sent counts as sent";

/// What a probe knows, also when its settings change.
pub(super) struct Memory {
    sequence: AtomicU64,
    pub(super) runs: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) bytes: AtomicU64,
    last: Mutex<Vec<Value>>,
    pub(super) demands: Demands,
    /// Held for each run.
    tools: tokio::sync::Mutex<Tools>,
    spent: Mutex<Spent>,
}

struct Tools {
    purse: Arc<Mutex<Purse>>,
    resolver: Resolver,
    /// The last run failed.
    failing: bool,
}

impl Memory {
    /// Waits for the disk.
    pub(super) fn open(data_dir: &Path, probe: &str) -> Self {
        let purse = Purse::open(data_dir, probe);
        let spent = Mutex::new(purse.spent(SystemTime::now()));
        let purse = Arc::new(Mutex::new(purse));
        Self {
            sequence: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            last: Mutex::default(),
            demands: Demands::default(),
            tools: tokio::sync::Mutex::new(Tools { purse, resolver: Resolver::default(), failing: false }),
            spent,
        }
    }

    /// The results of the last run.
    pub(super) fn last(&self) -> Vec<Value> {
        lock(&self.last).clone()
    }

    pub(super) fn spent(&self) -> Spent {
        *lock(&self.spent)
    }
}

impl Tools {
    /// Has the purse do something that may wait for the disk; says in words why it can't.
    async fn purse(
        &self,
        budget: Budget,
        what: impl FnOnce(&mut Purse) -> Result<(), NotSpent> + Send + 'static,
    ) -> Result<(), String> {
        let purse = Arc::clone(&self.purse);
        let what = move || what(&mut lock(&purse)).map_err(|why| why.to_string());
        // Without a budget nothing is written.
        if budget == Budget::default() {
            return what();
        }
        tokio::task::spawn_blocking(what).await.unwrap_or_else(|panicked| Err(panicked.to_string()))
    }
}

/// See the module's head.
pub(super) struct Unit {
    pub(super) settings: Probe,
    pub(super) memory: Arc<Memory>,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) uplinks: Arc<Uplinks>,
    /// Held by the one run of throughput that there is at a time: they would measure each other.
    pub(super) heavy: Arc<tokio::sync::Mutex<()>>,
    pub(super) topic: Topic,
    pub(super) asked: Asked,
}

/// Runs that were asked for and that nobody waits for. Policy: there is one at a time, see [`Demands`].
pub(super) struct Asked {
    pub(super) ask: mpsc::Sender<Claim>,
    taken: tokio::sync::Mutex<mpsc::Receiver<Claim>>,
}

impl Default for Asked {
    fn default() -> Self {
        let (ask, taken) = mpsc::channel(1);
        Self { ask, taken: tokio::sync::Mutex::new(taken) }
    }
}

/// Where a probe's results go.
pub(super) fn topic(name: &str) -> Result<Topic, TopicError> {
    Topic::new(&format!("probe/{name}/result"))
}

impl Unit {
    /// Runs it by its schedule, if it has one, and when asked, until told to stop.
    pub(super) async fn keep(&self, stop: CancellationToken) {
        let scheduled = Box::pin(async {
            if let Some(interval) = self.settings.interval {
                self.keep_schedule(interval).await;
            }
        });
        let asked = Box::pin(async {
            while let Some(claim) = self.asked.taken.lock().await.recv().await {
                // What came of it stands in the memory.
                let _ = self.demand(claim).await;
            }
        });
        stop.run_until_cancelled(async { tokio::join!(scheduled, asked) }).await;
    }

    async fn keep_schedule(&self, interval: Duration) {
        let spread = SPREAD.min(interval).mul_f64(fastrand::f64());
        let mut turns = tokio::time::interval_at(tokio::time::Instant::now() + spread, interval);
        // What was missed is not made up for: it would be measured in a burst.
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // Nobody cancels what the schedule wants.
        let never = CancellationToken::new();
        loop {
            turns.tick().await;
            self.run(Trigger::Schedule, &mut *self.memory.tools.lock().await, &never).await;
        }
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When a run by the schedule is under way and does not end, or this one is cancelled before it has begun.
    pub(super) async fn demand(&self, claim: Claim) -> Result<Vec<Value>, NotRun> {
        let turn = tokio::time::timeout(TURN, self.memory.tools.lock());
        let ended = match claim.cancelled().run_until_cancelled(turn).await {
            Some(Ok(mut tools)) => Ok(self.run(Trigger::Demand, &mut tools, claim.cancelled()).await),
            Some(Err(_elapsed)) => Err(NotRun::Busy),
            None => Err(NotRun::Cancelled),
        };
        claim.ended(ended.clone());
        ended
    }

    async fn run(&self, trigger: Trigger, tools: &mut Tools, cancelled: &CancellationToken) -> Vec<Value> {
        // It begins when it has waited for others, and not before.
        let alone = cancelled.run_until_cancelled(self.alone(trigger)).await.unwrap_or(Err(CANCELLED));
        let begun = self.pipeline.clock().now();
        let stamp = self.pipeline.here_and_now(&begun);
        let findings = match &alone {
            Ok(_one_at_a_time) => self.measure_within_budget(begun.wall, tools, cancelled).await,
            Err(why) => vec![Finding::failed(*why)],
        };
        drop(alone);
        *lock(&self.memory.spent) = lock(&tools.purse).spent(begun.wall);
        self.note(tools, &findings);
        let mut results = Vec::with_capacity(findings.len());
        for finding in &findings {
            let sequence = self.memory.sequence.fetch_add(1, Ordering::Relaxed) + 1;
            let body = result::body(&self.settings, sequence, trigger, (&begun, &stamp), finding);
            let message = self.pipeline.message(begun, Origin::Gateway, self.topic.clone(), body.to_string());
            results.push(body);
            if self.pipeline.ingest(message).await.is_err() {
                // Counted as dropped; the daemon is ending.
                log::debug!(probe = self.settings.name.as_str(); "message dropped: the gateway is stopping");
            }
        }
        lock(&self.memory.last).clone_from(&results);
        results
    }

    /// The turn of a run of throughput; the others need none. Says in words why there is none.
    async fn alone(&self, trigger: Trigger) -> Result<Option<MutexGuard<'_, ()>>, &'static str> {
        if !matches!(self.settings.kind, ProbeKind::Tcp(_) | ProbeKind::Udp(_)) {
            return Ok(None);
        }
        let patience = if trigger == Trigger::Demand { TURN } else { TURN_OF_SCHEDULE };
        let turn = tokio::time::timeout(patience, self.heavy.lock()).await;
        turn.map(Some).map_err(|_| "another run of throughput is under way, and they would measure each other")
    }

    async fn measure_within_budget(
        &self,
        now: SystemTime,
        tools: &mut Tools,
        cancelled: &CancellationToken,
    ) -> Vec<Finding> {
        let cost = measure::cost(&self.settings.kind, |uplink| self.uplinks.ways(uplink));
        let budget = self.settings.budget;
        if let Err(why) = tools.purse(budget, move |purse| purse.take(budget, cost, now)).await {
            return vec![Finding::failed(why)];
        }
        let findings = cancelled.run_until_cancelled(self.measure(&mut tools.resolver)).await;
        // Nobody knows what has left until then.
        let findings = findings.unwrap_or_else(|| vec![Finding { data_bytes: cost, ..Finding::failed(CANCELLED) }]);
        let actual = findings.iter().map(|finding| finding.data_bytes).sum();
        // What the disk does not take now it takes before the next run, or there is none.
        if let Err(error) = tools.purse(budget, move |purse| purse.settle(budget, cost, actual)).await {
            log::debug!(probe = self.settings.name.as_str(), error = error.as_str(); "what a run has cost is not on disk yet");
        }
        self.memory.bytes.fetch_add(actual, Ordering::Relaxed);
        findings
    }

    async fn measure(&self, resolver: &mut Resolver) -> Vec<Finding> {
        let way = &self.settings.way;
        match &self.settings.kind {
            ProbeKind::Stamp(stamp) => {
                vec![measure::stamp(stamp, way, resolver, self.pipeline.clock().error()).await]
            }
            ProbeKind::Dns(dns) => vec![measure::dns(dns, way, resolver).await],
            ProbeKind::Mqtt(mqtt) => measure::mqtt(mqtt, &self.uplinks).await,
            ProbeKind::Tcp(tcp) => vec![iperf::measure(&iperf::Test::tcp(tcp), way, resolver).await],
            ProbeKind::Udp(udp) => vec![iperf::measure(&iperf::Test::udp(udp), way, resolver).await],
        }
    }

    /// Counts, and says in the log when it begins to fail and when it is well again.
    fn note(&self, tools: &mut Tools, findings: &[Finding]) {
        let failed = findings.iter().find_map(|finding| finding.error.as_ref());
        self.memory.runs.fetch_add(1, Ordering::Relaxed);
        let probe = self.settings.name.as_str();
        match failed {
            Some(error) => {
                self.memory.failures.fetch_add(1, Ordering::Relaxed);
                if !tools.failing {
                    log::warn!(probe = probe, error = error.as_str(); "probe failed; it is silent about it until it is well again");
                }
            }
            None if tools.failing => log::info!(probe = probe; "probe is well again"),
            None => {}
        }
        tools.failing = failed.is_some();
    }
}
