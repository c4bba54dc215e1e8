//! Remote brokers, against Debian's Mosquitto: what goes there and comes from there (`forwarding.rs`, `coming.rs`), over outages
//! (`outages.rs`), kills of the daemon (`kills.rs`), on disks that fail (`faults.rs`), with TLS and passwords (`secured.rs`), by
//! WebSocket (`websocket.rs`), through proxies (`proxies.rs`) and over several networks (`paths.rs`). `sharing.rs` is what a
//! remote is told of messages; `hostile.rs` plays one that breaks rules or has limits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod coming;
mod faults;
mod forwarding;
mod hostile;
mod kills;
mod outages;
mod paths;
mod proxies;
mod secured;
mod sharing;
mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::{MqttOptions, QoS};
use stile_tests::packet::{Connect, V311};
use stile_tests::{Client, RawClient, Stile};

/// An uplink with this name, remote and rules; `more` are further lines.
fn uplink(name: &str, remote: SocketAddr, topics: &str, more: &str) -> String {
    format!("[[uplink]]\nname = \"{name}\"\nurl = \"mqtt://{remote}\"\ntopics = [{topics}]\n{more}\n")
}

const EVERYTHING: &str = "{ filter = \"n/#\" }";

fn start(settings: &str) -> Stile {
    Stile::start_in(tempfile::tempdir().unwrap(), "", settings)
}

#[track_caller]
fn wait_online(stile: &Stile, name: &str) {
    stile.wait_metric(&format!("stile_uplink_online{{uplink=\"{name}\"}}"), |online| online == 1.0);
}

/// Waits until nothing waits for the remote.
#[track_caller]
fn wait_drained(stile: &Stile, name: &str) {
    stile.wait_metric(&format!("stile_uplink_queue_messages{{uplink=\"{name}\"}}"), |waiting| waiting == 0.0);
}

fn dropped(stile: &Stile, name: &str, reason: &str) -> f64 {
    stile.metric(&format!("stile_uplink_dropped_total{{uplink=\"{name}\",reason=\"{reason}\"}}"))
}

/// Has the remote keep what comes for [`sink`] from now on.
#[track_caller]
fn keep(remote: SocketAddr, filter: &str) {
    let mut client = RawClient::with(remote, &Connect::persistent(V311, "sink"));
    client.subscribe(&[(filter, 1)], &[]);
    client.disconnect();
}

/// Somebody at the remote whose session is kept while it is away.
#[track_caller]
fn sink(remote: SocketAddr, filter: &str) -> Client {
    let mut options = MqttOptions::new("sink", remote.ip().to_string(), remote.port());
    options.set_keep_alive(Duration::from_secs(30));
    options.set_clean_session(false);
    let client = Client::with(options);
    client.subscribe(filter, QoS::AtLeastOnce);
    client
}

/// The numbers of the next messages, as many as `count`.
#[track_caller]
fn numbers(sink: &Client, count: usize) -> Vec<u64> {
    (0..count).map(|_| sink.next().text().parse().unwrap()).collect()
}
