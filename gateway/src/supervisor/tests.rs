//! Units that fail, panic, hang and end.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_unit_that_fails_or_panics_is_started_again_and_the_status_says_why() {
    let supervisor = Supervisor::default();
    let runs = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&runs);
    supervisor.start("shaky", Rank::Radio, move |cancel| {
        let run = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match run {
                0 => Err("no port".into()),
                1 => panic!("a bug"),
                _ => {
                    cancel.cancelled().await;
                    Ok(())
                }
            }
        }
    });
    while runs.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = supervisor.status()["shaky"].clone();
    assert_eq!((status.restarts, status.last_error.as_deref()), (2, Some("it panicked: a bug")));
    assert!(supervisor.stop("shaky", LONG).await);
    assert!(supervisor.status().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_keeps_failing_is_degraded_and_its_neighbour_runs_on() {
    let supervisor = Supervisor::default();
    supervisor.start("bad", Rank::Radio, |_| async { Err("always".into()) });
    supervisor.start("good", Rank::Radio, |cancel| async move {
        cancel.cancelled().await;
        Ok(())
    });
    while supervisor.status()["bad"].health != Health::Degraded {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(supervisor.status()["good"].health, Health::Running);
    assert!(supervisor.stop_rank(Rank::Radio, Instant::now() + LONG).await);
}

#[tokio::test]
async fn a_critical_unit_that_fails_is_reported() {
    let supervisor = Supervisor::default();
    supervisor.start_critical("core", Rank::Core, |_| async { Err("lost".into()) });
    assert_eq!(supervisor.critical_failure().await, "core: lost");
}

#[tokio::test(start_paused = true)]
async fn a_rank_stops_alone_and_a_unit_that_will_not_is_cut_off() {
    let supervisor = Supervisor::default();
    for (name, rank) in [("core", Rank::Core), ("radio", Rank::Radio)] {
        supervisor.start(name, rank, move |cancel| async move {
            cancel.cancelled().await;
            Ok(())
        });
    }
    supervisor.start("deaf", Rank::Admin, |_| async {
        std::future::pending::<()>().await;
        Ok(())
    });
    assert!(supervisor.stop_rank(Rank::Radio, Instant::now() + LONG).await);
    assert_eq!(supervisor.status().into_keys().collect::<Vec<_>>(), ["core", "deaf"]);
    assert!(!supervisor.stop_rank(Rank::Admin, Instant::now() + Duration::from_secs(5)).await);
    assert_eq!(supervisor.status().into_keys().collect::<Vec<_>>(), ["core"]);
}
