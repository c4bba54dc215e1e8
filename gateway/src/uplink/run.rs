//! One uplink, as a unit of the supervisor: its spool opened, its remote tried again and again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::dead::DeadLetters;
use super::flight::Flight;
use super::gap::Gap;
use super::link::{self, Joined, Remembers};
use super::pace::{BackOff, Rate};
use super::reports::{self, Reports};
use super::routes::Routes;
use super::session::{self, Ended, Own};
use super::sharing::{self, Sharing};
use super::stats::UplinkStats;
use super::taken::Taken;
use super::tap::Tap;
use super::trouble::Trouble;
use super::way::Way;
use super::who::Who;
use crate::codec::Version;
use crate::config::{self, Durability, WhenFull};
use crate::pipeline::Pipeline;
use crate::sharing::Pseudonyms;
use crate::spool::{self, Spool, SpoolSettings};
use crate::supervisor::UnitError;

/// What keeps messages, whether or not the remote is there.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) spool: Spool,
    pub(super) tap: Arc<Tap>,
    /// Places of records that the remote may have seen can have been given to others: those were not on disk, and the last
    /// run ended without closing the spool.
    pub(super) reused: Arc<AtomicBool>,
}

/// See the module's head.
pub(super) struct Unit {
    pub(super) gateway: String,
    /// The spool's.
    pub(super) folder: PathBuf,
    pub(super) settings: Arc<config::Uplink>,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) stats: Arc<UplinkStats>,
    pub(super) taken: Arc<Mutex<Taken>>,
    pub(super) pseudonyms: Arc<Pseudonyms>,
    /// Not there while the spool can't be opened.
    pub(super) kept: OnceLock<Kept>,
}

impl Unit {
    /// Opens the spool, if it is not, and has messages come to it.
    pub(super) async fn open(self: &Arc<Self>) -> Result<Kept, UnitError> {
        if let Some(kept) = self.kept.get() {
            return Ok(kept.clone());
        }
        let own = Arc::clone(self);
        let opening = move || {
            let clock = Arc::clone(&own.pipeline);
            let now: spool::Now = Arc::new(move || clock.clock().now());
            Spool::open(&own.folder, &own.settings.name, spool_settings(&own.settings.spool), now)
        };
        // What else was found is told by the spool itself.
        let (spool, opened) = tokio::task::spawn_blocking(opening).await??;
        sharing::prepare(&self.pseudonyms, &self.settings, self.pipeline.clock().now()).await;
        let sharing = Sharing::new(&self.settings, Arc::clone(&self.pseudonyms));
        let stats = Arc::clone(&self.stats);
        let dead =
            DeadLetters::new(&self.gateway, &self.settings.name, Arc::clone(&self.pipeline), Arc::clone(&stats))?;
        let tap = Tap::new(&self.settings, sharing, reports::own(&self.gateway), spool.clone(), stats, dead);
        let reused = !opened.clean && self.settings.spool.durability == Durability::OnOutage;
        let kept = Kept { spool, tap: Arc::new(tap), reused: Arc::new(AtomicBool::new(reused)) };
        let kept = self.kept.get_or_init(|| kept).clone();
        self.pipeline.carry(Arc::clone(&kept.tap) as Arc<dyn crate::pipeline::Carrier>);
        Ok(kept)
    }

    /// Runs until it is told to stop. A remote that is lost is tried again for ever.
    ///
    /// # Errors
    /// When the spool can't be opened.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), UnitError> {
        let Kept { spool, tap, reused } = self.open().await?;
        let reader = spool.reader().ok_or("the spool is being read already")?;
        let mut own = Own {
            routes: Routes::new(&self.settings),
            reports: Reports::new(&self.gateway, &self.settings.name, Arc::clone(&self.pipeline))?,
            dead: Arc::clone(tap.dead()),
            stats: Arc::clone(&self.stats),
            reader,
            flight: Flight::default(),
            gap: Gap::default(),
            rate: Rate::new(self.settings.max_rate.or(self.settings.takes().rate), Instant::now()),
            taken: Arc::clone(&self.taken),
            subscribed: false,
            forget: reused,
            desk: Arc::clone(tap.desk()),
            renew_at: None,
            settings: Arc::clone(&self.settings),
        };
        tokio::select! {
            // The first two never end.
            () = tap.tend(&self.pipeline) => {}
            () = sharing::tend(&self.pseudonyms, &self.settings.name, &self.pipeline) => {}
            () = drive(&mut own, &stop) => {}
        }
        own.dead.tell_waiting().await;
        Ok(())
    }
}

/// Tries the remote again and again, until it is told to stop.
async fn drive(own: &mut Own, stop: &CancellationToken) {
    let mut way = Way::new(&own.settings, &own.stats);
    let mut back_off = BackOff::default();
    while !stop.is_cancelled() {
        let Some(joined) = stop.run_until_cancelled(connect(own, &mut way)).await else { break };
        let why = match joined {
            Ok((path, joined)) => {
                welcome(own, &way, path, &joined).await;
                let began = Instant::now();
                let ended = serve(own, &mut way, path, joined, stop).await;
                if ended.good {
                    back_off.reset();
                }
                let Some(why) = ended.why else { break };
                if matches!(why, Trouble::Renewal) {
                    // In order, and nobody need be told: the next connection is made at once.
                    continue;
                }
                way.lost(path, &why, began.elapsed());
                why
            }
            Err(why) => why,
        };
        part(own, &why).await;
        if !way.goes_on(&why) {
            let pause = back_off.next(fastrand::f64());
            // Ends sooner when it is told to stop.
            let _ = stop.run_until_cancelled(sleep(pause)).await;
        }
    }
    own.stats.offline("the gateway stopped".to_owned(), own.reports.now().rfc3339());
    own.reports.say(false, "stopped").await;
}

async fn connect(own: &mut Own, way: &mut Way) -> Result<(usize, Joined), Trouble> {
    let settings = &own.settings;
    let who = Who::of(settings, own.reports.now())?;
    own.renew_at = who.renew_after.map(|after| Instant::now() + after);
    // A will that is not retained would be gone when somebody looks.
    let will = (settings.announce && settings.takes().retain).then(Reports::will);
    let topic = own.routes.said(own.reports.state_topic().as_str());
    let will = topic.as_ref().zip(will.as_deref()).map(|(topic, payload)| (topic.as_str(), payload));
    // Where nothing comes from there, and nothing goes there that it has to know again, it need not remember the gateway.
    let stateless = own.routes.subscriptions().is_empty() && !own.routes.sends_exactly_once();
    let anew = own.forget.load(Ordering::Relaxed) && own.routes.sends_exactly_once();
    let remembers = match (stateless, anew) {
        (true, _) => Remembers::Nothing,
        (false, true) => Remembers::Anew,
        (false, false) => Remembers::Session,
    };
    let request = link::request(settings, &who, remembers, will)?;
    let joined = way.join(&request, own).await.map_err(|why| who.explained(why))?;
    if remembers != Remembers::Anew {
        return Ok(joined);
    }
    own.forget.store(false, Ordering::Relaxed);
    if request.version == Version::V5 {
        return Ok(joined);
    }
    link::part(joined.1.link, request.version).await?;
    let request = link::request(settings, &who, Remembers::Session, will)?;
    way.join(&request, own).await.map_err(|why| who.explained(why))
}

/// Serves a connection. When a better path has been well for long enough, it is left for that one, as soon as what is under way
/// has been acknowledged.
async fn serve(own: &mut Own, way: &mut Way, path: usize, joined: Joined, stop: &CancellationToken) -> Ended {
    let onward = CancellationToken::new();
    let look = async {
        way.better(path).await;
        onward.cancel();
        std::future::pending().await
    };
    tokio::select! {
        ended = session::serve(own, joined, stop, &onward) => ended,
        never = look => never,
    }
}

async fn welcome(own: &mut Own, way: &Way, path: usize, joined: &Joined) {
    let (uplink, label) = (own.settings.name.as_str(), way.label(path));
    log::info!(uplink = uplink, remote:% = joined.link.peer, path = label.as_deref().unwrap_or_default(),
        session_present = joined.session_present; "uplink connected");
    UplinkStats::add(&own.stats.connected);
    own.gap.goes_over(path);
    if let Some(label) = &label {
        own.stats.path_taken(label);
    }
    own.reports.goes_over(label);
    own.stats.online(joined.limits, own.reports.now().rfc3339());
    own.reports.say(true, "").await;
}

async fn part(own: &mut Own, why: &Trouble) {
    UplinkStats::add(&own.stats.failed);
    let text = why.to_string();
    own.stats.offline(text.clone(), own.reports.now().rfc3339());
    let uplink = own.settings.name.clone();
    // Each thing once: a remote that is away is tried for days.
    if own.reports.say(false, &text).await {
        log::warn!(uplink = uplink, error = text; "no connection to the remote; it is tried again, and messages are kept");
    } else {
        log::debug!(uplink = uplink, error = text; "still no connection to the remote");
    }
}

pub(super) fn spool_settings(spool: &config::Spool) -> SpoolSettings {
    SpoolSettings {
        batch: spool.batch,
        interval: spool.interval,
        durability: match spool.durability {
            Durability::Always => spool::Durability::Always,
            Durability::OnOutage => spool::Durability::OnOutage,
        },
        max_bytes: spool.max_bytes,
        max_age: spool.max_age,
        policy: match spool.when_full {
            WhenFull::Block => spool::Policy::Block,
            WhenFull::DropOldest => spool::Policy::DropOldest,
            WhenFull::DropNewest => spool::Policy::DropNewest,
        },
        ..SpoolSettings::default()
    }
}
