//! What the gateway says of its own units.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use stile_tests::Stile;

#[test]
fn without_a_watchdog_every_unit_that_is_shown_runs() {
    let stile = Stile::start("");
    let (_, metrics) = stile.get("/metrics");
    let units: Vec<_> = metrics.lines().filter(|line| line.starts_with("stile_unit_running{")).collect();
    assert!(units.len() >= 5, "{metrics}");
    assert!(units.iter().all(|line| line.ends_with(" 1")), "{units:#?}");
}
