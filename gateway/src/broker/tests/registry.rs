//! The registry: one holder a session, whatever the order of coming and going.

use bytes::Bytes;

use super::super::Current;
use super::super::registry::{Entered, Hold, Registry, Will};
use super::super::session::Session;
use super::super::stats::Stats;
use super::*;
use crate::config;
use crate::message::QoS;
use crate::store::SessionRow;

const HOUR: Duration = Duration::from_secs(3600);

fn registry(settings: config::Broker) -> (Arc<Registry>, Arc<Stats>, Intake, tempfile::TempDir) {
    let (pipeline, delivered) = pipeline();
    let stats = Arc::new(Stats::default());
    let settings = Arc::new(Current::new(settings));
    let (store, folder) = store();
    let budget = Budget::new(1 << 20, Arc::clone(&stats));
    (
        Arc::new(Registry::new(settings, pipeline, store, budget, Arc::default(), Arc::clone(&stats))),
        stats,
        delivered,
        folder,
    )
}

/// Enters as a connection does; the second value says whether the session is an old one.
pub(super) async fn enter(registry: &Registry, name: &str, clean_start: bool) -> (Session, bool, Hold) {
    let row = SessionRow { client: name.into(), user: None, expiry: HOUR, left: None };
    let Entered { session, present, hold, .. } = registry.enter(&row, clean_start).await;
    (session, present, hold)
}

#[tokio::test]
async fn a_session_is_parked_while_its_client_is_away_and_found_again() {
    let (registry, stats, _delivered, _folder) = registry(config::Broker::default());
    let (session, present, hold) = enter(&registry, "a", false).await;
    assert!(!present);
    let outbox = Arc::clone(&session.outbox);
    assert!(registry.leave(hold, session, HOUR, None).will.is_none());
    let (session, present, hold) = enter(&registry, "a", false).await;
    assert!(present && Arc::ptr_eq(&session.outbox, &outbox));
    registry.leave(hold, session, HOUR, None);
    let (session, present, hold) = enter(&registry, "a", true).await;
    assert!(!present && outbox.is_closed(), "a clean start ends the old session");
    registry.leave(hold, session, Duration::ZERO, None);
    assert_eq!(stats.sessions.load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// Holds its session until it is asked for it, as a connection does.
async fn hold_until_kicked(registry: Arc<Registry>, started: tokio::sync::oneshot::Sender<bool>) {
    let (session, present, mut hold) = enter(&registry, "a", false).await;
    let _ = started.send(present);
    if let Ok(newcomer) = (&mut hold.kick).await {
        newcomer.take_over(session, HOUR, None);
    }
}

#[tokio::test]
async fn newcomers_hand_one_session_down_the_line() {
    let (registry, stats, _delivered, _folder) = registry(config::Broker::default());
    let mut present = Vec::new();
    for _ in 0..20 {
        let (started, was_present) = tokio::sync::oneshot::channel();
        tokio::spawn(hold_until_kicked(Arc::clone(&registry), started));
        present.push(tokio::time::timeout(LONG, was_present).await.unwrap().unwrap());
    }
    assert!(!present[0] && present[1..].iter().all(|p| *p));
    assert_eq!(stats.sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_that_ends_while_a_newcomer_waits_leaves_its_session_to_it() {
    let (registry, _stats, _delivered, _folder) = registry(config::Broker::default());
    let (session, _, hold) = enter(&registry, "a", false).await;
    let outbox = Arc::clone(&session.outbox);
    let newcomer = Arc::clone(&registry);
    let newcomer = tokio::spawn(async move { enter(&newcomer, "a", false).await });
    // The newcomer has the place as soon as the old connection's hold is asked for.
    while !hold.is_wanted() {
        tokio::task::yield_now().await;
    }
    registry.leave(hold, session, HOUR, None);
    let (session, present, _hold) = tokio::time::timeout(LONG, newcomer).await.unwrap().unwrap();
    assert!(present && Arc::ptr_eq(&session.outbox, &outbox));
}

#[tokio::test]
async fn another_user_who_takes_a_client_id_ends_the_session_and_its_will_is_due() {
    let (registry, _stats, _delivered, _folder) = registry(config::Broker::default());
    let delayed = || Some(will(HOUR));
    for (user, due) in [(None, false), (Some("b"), true)] {
        // Found in the way of one that is taken over, and of one that ends while a newcomer waits.
        for ends_itself in [false, true] {
            let (session, _, mut hold) = enter(&registry, "a", false).await;
            let row = SessionRow { client: "a".into(), user: user.map(Into::into), expiry: HOUR, left: None };
            let theirs = Arc::clone(&registry);
            let newcomer = tokio::spawn(async move { theirs.enter(&row, false).await });
            while !hold.is_wanted() {
                tokio::task::yield_now().await;
            }
            let left = if ends_itself {
                registry.leave(hold, session, HOUR, delayed())
            } else {
                (&mut hold.kick).await.unwrap().take_over(session, HOUR, delayed())
            };
            assert_eq!(left.will.is_some(), due, "{user:?}");
            let Entered { session, present, hold, .. } = newcomer.await.unwrap();
            assert_eq!(present, !due);
            registry.leave(hold, session, Duration::ZERO, None);
        }
    }
}

#[tokio::test]
async fn only_so_many_sessions_of_absent_clients_are_kept() {
    let (registry, stats, _delivered, _folder) = registry(config::Broker { max_connections: 3, ..Default::default() });
    for n in 0..10_u32 {
        let (session, _, hold) = enter(&registry, &n.to_string(), false).await;
        registry.leave(hold, session, HOUR * (n + 1), None);
    }
    assert_eq!(stats.sessions.load(std::sync::atomic::Ordering::Relaxed), 3);
    assert!(enter(&registry, "9", false).await.1, "those that last longest are kept");
}

fn will(delay: Duration) -> Will {
    Will {
        access: access("a"),
        topic: Topic::new("gone").unwrap(),
        payload: Bytes::from_static(b"x"),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay,
        properties: None,
    }
}

#[tokio::test]
async fn what_is_over_is_over_before_the_sweep_has_come_by() {
    let (registry, _stats, mut delivered, _folder) = registry(config::Broker::default());
    let moment = Duration::from_millis(1);
    for (expiry, delay, expected) in [(HOUR, moment, true), (moment, HOUR, false)] {
        let (session, _, hold) = enter(&registry, "a", false).await;
        assert!(registry.leave(hold, session, expiry, Some(will(delay))).will.is_none());
        tokio::time::sleep(2 * moment).await;
        let (session, present, hold) = enter(&registry, "a", false).await;
        assert_eq!(present, expected, "the session has expired or has not");
        let came = tokio::time::timeout(LONG, delivered.recv()).await.unwrap().unwrap();
        assert_eq!(came.message.topic.as_str(), "gone", "its will was due either way");
        registry.leave(hold, session, Duration::ZERO, None);
    }
}

#[tokio::test]
async fn a_will_with_a_delay_waits_and_a_return_cancels_it() {
    let (registry, _stats, _delivered, _folder) = registry(config::Broker::default());
    let (session, _, hold) = enter(&registry, "a", false).await;
    assert!(
        registry.leave(hold, session, HOUR, Some(will(Duration::ZERO))).will.is_some(),
        "without a delay it is due"
    );
    let (session, _, hold) = enter(&registry, "a", false).await;
    assert!(registry.leave(hold, session, HOUR, Some(will(Duration::from_secs(60)))).will.is_none());
    let now = std::time::Instant::now();
    assert!(registry.take_due(now).is_empty());
    let (session, _, hold) = enter(&registry, "a", false).await;
    assert!(registry.take_due(now + HOUR / 2).is_empty(), "the client came back");
    registry.leave(hold, session, HOUR, Some(will(Duration::from_secs(60))));
    assert_eq!(registry.take_due(now + HOUR / 2).len(), 1);
}
