//! What the gateway says of its own units.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use stile_tests::{PATIENCE, Stile};

#[test]
fn without_a_watchdog_every_unit_that_is_shown_runs() {
    let stile = Stile::start("");
    let (_, metrics) = stile.get("/metrics");
    let units: Vec<_> = metrics.lines().filter(|line| line.starts_with("stile_unit_running{")).collect();
    assert!(units.len() >= 5, "{metrics}");
    assert!(units.iter().all(|line| line.ends_with(" 1")), "{units:#?}");
}

#[test]
fn the_init_system_is_told_of_readiness_life_reload_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // Each message is lines of name and value (sd_notify(3)).
    let hear = |wanted: &str| loop {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        if text.lines().any(|line| line == wanted) {
            break text;
        }
    };
    let mut stile = Stile::start_with(&[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")], dir);
    assert!(hear("READY=1").contains("STATUS="));
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    stile.signal(Signal::HUP);
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    stile.signal(Signal::TERM);
    hear("STOPPING=1");
    assert!(stile.wait().success());
}
