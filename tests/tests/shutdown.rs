//! SIGTERM while messages are under way: the daemon ends by itself, and everything is accounted for.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;
use stile_tests::{Client, EndOnDrop, Rig, within};

/// Clients that publish with QoS 1 as fast as they are acknowledged.
const PUBLISHERS: usize = 4;

/// Publishes until the connection ends; gives how many were acknowledged. Counts on the way in `acknowledged`.
fn publish(address: SocketAddr, id: usize, acknowledged: &AtomicU64, over: &AtomicBool) {
    let client = Client::connect(address, &format!("publisher-{id}"));
    while !over.load(Ordering::Relaxed) && client.publish_or_end(&format!("flood/{id}"), "x") {
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

/// Stops the daemon in the midst of floods, from clients and, if asked, from the port. Gives how many publishes were
/// acknowledged, and what the daemon said at its end.
fn stopped_under_load(port_too: bool) -> (u64, serde_json::Value) {
    let mut rig = Rig::start("");
    let address = rig.stile.mqtt;
    let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (acknowledged, over) = (&acknowledged, &over);
        let _end = EndOnDrop(over);
        for id in 0..PUBLISHERS {
            scope.spawn(move || publish(address, id, acknowledged, over));
        }
        let pty = rig.port.pty();
        if port_too {
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    pty.write_some(b"a line of some length\n");
                }
            });
        }
        within("messages are under way", || (acknowledged.load(Ordering::Relaxed) > 200).then_some(()));
        rig.stile.signal(Signal::TERM);
        let status = rig.stile.wait();
        assert!(status.success(), "{status}");
    });
    let last = rig.stile.wait_log("stopped");
    assert_eq!((&last["balances"], &last["in_flight"]), (&true.into(), &0.into()), "{last}");
    (acknowledged.load(Ordering::Relaxed), last)
}

#[test]
fn every_acknowledged_publish_was_delivered_before_the_end() {
    let (acknowledged, last) = stopped_under_load(false);
    // Besides the clients' there are the two states of the radio: open, and closed at the end.
    let delivered = last["delivered"].as_u64().unwrap() - 2;
    assert!(delivered >= acknowledged, "{acknowledged} acknowledged; {last}");
    // And no more than those that the clients were waiting for, one each.
    assert!(
        delivered + last["dropped"].as_u64().unwrap() <= acknowledged + PUBLISHERS as u64,
        "{acknowledged}; {last}"
    );
}

#[test]
fn a_port_and_clients_in_full_flood_do_not_keep_it_from_ending_in_order() {
    let (acknowledged, last) = stopped_under_load(true);
    assert!(last["delivered"].as_u64().unwrap() >= acknowledged, "{acknowledged} acknowledged; {last}");
}
