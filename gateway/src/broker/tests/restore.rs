//! Putting sessions back after a restart, with clocks and files that can't be trusted.

use std::num::NonZeroU16;
use std::path::Path;
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc::Sender;

use super::super::Current;
use super::super::accounts::{Accounts, MoreUsers};
use super::super::aliases::Given;
use super::super::hub::{COMMANDS, Command, Hub};
use super::super::registry::Registry;
use super::super::restore::{Age, Restorer};
use super::super::retained::Retained;
use super::super::session::{Session, Terms};
use super::super::stats::Stats;
use super::super::sys::System;
use super::super::table::Table;
use super::registry::enter;
use super::*;
use crate::codec::Version;
use crate::config;
use crate::message::{ClockQuality, Properties, QoS, Received, TopicFilter};
use crate::store::{QueuedRow, SessionRow, SubscriptionRow};

const HOUR: Duration = Duration::from_secs(3600);

struct Restored {
    registry: Registry,
    _hub: Hub,
    _commands: Sender<Command>,
    stats: Arc<Stats>,
    store: Store,
}

/// What a start makes of the store in `folder`, by a clock that stands so.
async fn restore(folder: &Path, wall: SystemTime, clock: ClockQuality) -> Restored {
    let (store, stored) = Store::open(folder).unwrap();
    let (pipeline, delivered) = pipeline();
    let stats = Arc::new(Stats::default());
    let (commands, asked) = mpsc::channel(COMMANDS);
    let retained = Retained::new(2, 10_000, store.clone(), Arc::clone(&stats));
    let system = System::new(Arc::clone(&stats), Arc::default(), &pipeline);
    let mut hub = Hub::new(delivered, asked, Table::new(4096), retained, system, store.clone(), Arc::clone(&stats))
        .await
        .unwrap();
    let settings = Arc::new(Current::new(config::Broker::default()));
    let registry = Registry::new(settings, pipeline, store.clone(), budget(), Arc::default(), Arc::clone(&stats));
    let age = Age::of(Received { wall, monotonic: Instant::now(), clock });
    let accounts = Arc::new(Accounts::new(Arc::default(), MoreUsers::None, &Arc::default()));
    let mut restorer =
        Restorer { hub: &mut hub, registry: &registry, store: &store, stats: &stats, accounts: &accounts, age };
    stored.sessions.into_iter().for_each(|session| restorer.session(session));
    restorer.homeless(stored.homeless);
    Restored { registry, _hub: hub, _commands: commands, stats, store }
}

async fn restore_now(folder: &Path) -> Restored {
    restore(folder, SystemTime::now(), ClockQuality::Synchronised).await
}

fn session(client: &str) -> SessionRow {
    SessionRow { client: client.into(), user: None, expiry: HOUR, left: None }
}

fn row(session: u64, qos: QoS, expiry: Option<u32>, share: Option<&str>) -> QueuedRow {
    let mut said = message(&pipeline().0, "t", "x");
    said.received.clock = ClockQuality::Synchronised;
    said.properties = expiry.map(|seconds| Arc::new(Properties { expiry: Some(seconds), ..Properties::default() }));
    QueuedRow {
        session,
        packet_id: NonZeroU16::new(7).unwrap(),
        qos,
        retain: false,
        subscription_id: None,
        share: share.map(|name| TopicFilter::new(name).unwrap()),
        released: false,
        message: Arc::new(said),
    }
}

/// A store with the session of client `a` and one message that waits for it.
async fn with_one(qos: QoS, expiry: Option<u32>, share: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    let id = store.begin_session(session("a"));
    store.queue(row(id, qos, expiry, share), Vec::new(), true);
    store.flush().await.unwrap();
    folder
}

/// What the session writes to a client that has just come.
fn written(session: &mut Session) -> usize {
    let mut terms = Terms { version: Version::V5, window: 10, max_packet: 10_000, aliases: Given::new(0) };
    let mut out = bytes::BytesMut::new();
    session.fill(&mut terms, &mut out, 10_000);
    out.len()
}

#[tokio::test]
async fn an_expiry_that_can_not_be_does_not_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path()).unwrap();
    store.begin_session(SessionRow { expiry: Duration::from_secs(i64::MAX as u64), ..session("a") });
    store.flush().await.unwrap();
    drop(store);
    let restored = restore_now(folder.path()).await;
    assert!(enter(&restored.registry, "a", false).await.1);
}

#[tokio::test]
async fn a_client_that_left_before_the_clock_was_set_keeps_its_session() {
    for (then, now, expected) in [
        (ClockQuality::Unsynchronised, ClockQuality::Synchronised, true),
        (ClockQuality::Synchronised, ClockQuality::Unsynchronised, true),
        (ClockQuality::Synchronised, ClockQuality::Synchronised, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (pipeline, _delivered) = pipeline();
        let (store, _) = Store::open(folder.path()).unwrap();
        pipeline.clock().set_quality(then);
        let settings = Arc::new(Current::new(config::Broker::default()));
        let registry = Registry::new(settings, pipeline, store.clone(), budget(), Arc::default(), Arc::default());
        let (session, _, hold) = enter(&registry, "a", false).await;
        registry.leave(hold, session, HOUR, None);
        store.flush().await.unwrap();
        drop((registry, store));
        let restored = restore(folder.path(), SystemTime::now() + 2 * HOUR, now).await;
        assert_eq!(enter(&restored.registry, "a", false).await.1, expected, "{then:?}, then {now:?}");
    }
}

#[tokio::test]
async fn a_client_that_was_there_at_every_power_cut_has_been_away_since_the_first() {
    let folder = with_one(QoS::AtLeastOnce, None, None).await;
    let now = SystemTime::now();
    for (later, expected) in [(Duration::ZERO, 1), (HOUR / 2, 1), (HOUR, 0)] {
        let restored = restore(folder.path(), now + later, ClockQuality::Synchronised).await;
        restored.store.flush().await.unwrap();
        let sessions = restored.stats.sessions.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(sessions, expected, "{later:?} after the first");
    }
}

#[tokio::test]
async fn qos_2_that_may_have_been_sent_goes_on_with_its_client_whatever_happened_meanwhile() {
    let folder = with_one(QoS::ExactlyOnce, Some(5), Some("$share/g/t")).await;
    let later = SystemTime::now() + Duration::from_secs(60);
    let restored = restore(folder.path(), later, ClockQuality::Synchronised).await;
    let (mut session, _, _hold) = enter(&restored.registry, "a", false).await;
    assert!(session.take_shared(false).is_empty(), "it is given to nobody else");
    assert!(written(&mut session) > 0, "and it does not expire");
}

#[tokio::test]
async fn qos_1_of_a_shared_subscription_goes_to_a_member_that_is_left_and_expires() {
    let shared = "$share/g/t";
    for (qos, expected) in [(QoS::AtLeastOnce, true), (QoS::ExactlyOnce, false)] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let (a, b) = (store.begin_session(session("a")), store.begin_session(session("b")));
        let options = SubscriptionRow { qos, no_local: false, retain_as_published: false, subscription_id: None };
        let (told, _) = crate::message::Receipt::new(Arc::default(), None);
        store.subscribe(b, &TopicFilter::new(shared).unwrap(), Some(options), told);
        store.queue(row(a, qos, None, Some(shared)), Vec::new(), true);
        // Its session ended, and then the power went.
        store.end_session(a);
        store.flush().await.unwrap();
        drop(store);
        let restored = restore_now(folder.path()).await;
        let (mut session, _, _hold) = enter(&restored.registry, "b", false).await;
        assert_eq!(written(&mut session) > 0, expected, "{qos:?}");
    }
    let folder = with_one(QoS::AtLeastOnce, Some(5), None).await;
    let later = SystemTime::now() + Duration::from_secs(60);
    let restored = restore(folder.path(), later, ClockQuality::Synchronised).await;
    let (mut session, _, _hold) = enter(&restored.registry, "a", false).await;
    assert_eq!(written(&mut session), 0);
}
