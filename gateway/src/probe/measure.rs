//! One run of each kind of measurement, from its settings to what it has found.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::dns::Questions;
use super::iperf;
use super::result::Finding;
use super::socket::TimedSocket;
use super::stamp::sender::Session;
use super::train::{self, Exchange, Outcome};
use crate::config::{Dns, MqttProbe, NetworkPath, ProbeKind, Stamp, Target, Train};
use crate::resolver::Resolver;
use crate::uplink::{NotTried, Step, Tried, Uplinks};

/// How long a name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(3);
/// Headers of IP and UDP, of IPv4 and of IPv6.
const HEADERS: [u64; 2] = [28, 48];
/// What a connection to a remote costs by rule of thumb, with certificates or without TLS.
const CONNECTION: u64 = 8_000;

/// The most that a run may cost, in bytes. `ways` is how many paths an uplink has.
pub(super) fn cost(kind: &ProbeKind, ways: impl Fn(&str) -> usize) -> u64 {
    let both_ways = |train: &Train, bytes: u64| u64::from(train.packets) * 2 * (bytes + HEADERS[1]);
    match kind {
        ProbeKind::Stamp(stamp) => both_ways(&stamp.train, stamp.size as u64),
        // An answer of UDP has 512 bytes at most where nobody asked for more (RFC 1035, section 4.2.1).
        ProbeKind::Dns(dns) => both_ways(&dns.train, 512),
        ProbeKind::Mqtt(MqttProbe { path: Some(_), .. }) => CONNECTION,
        ProbeKind::Mqtt(mqtt) => CONNECTION.saturating_mul(ways(&mqtt.uplink) as u64),
        ProbeKind::Tcp(tcp) => iperf::with_headers(tcp.data_cap),
        ProbeKind::Udp(udp) => iperf::with_headers(udp.tcp.data_cap),
    }
}

/// Resolves a target, to the first address of the kind that the way has.
pub(super) async fn resolve(resolver: &mut Resolver, target: &Target, way: &NetworkPath) -> Result<SocketAddr, String> {
    let named = |why: &dyn std::fmt::Display| format!("`{}`: {why}", target.host);
    let addresses = resolver.resolve(&target.host, target.port, Instant::now() + RESOLVE).await;
    let addresses = addresses.map_err(|why| named(&why))?;
    let fits = |address: &SocketAddr| way.address.is_none_or(|own| own.is_ipv6() == address.is_ipv6());
    addresses
        .into_iter()
        .find(fits)
        .ok_or_else(|| named(&"it has no address of the kind that `address` is, IPv4 or IPv6"))
}

/// Why a way can't be used, and what to do.
pub(super) fn unusable(why: &std::io::Error) -> String {
    use std::io::ErrorKind as E;
    let remedy = match why.kind() {
        E::AddrNotAvailable => "; this machine has no such address, `ip address` shows which",
        E::PermissionDenied => "; `interface` needs Linux 5.7 or later, write `address` in its place",
        E::NetworkUnreachable => "; no route leads there, `ip route get` shows which would",
        _ => "; `ip link` shows which interfaces there are",
    };
    format!("the way can't be used: {why}{remedy}")
}

/// Round trips to a reflector. `error` is that of the own clock, where it is synchronised.
pub(super) async fn stamp(
    stamp: &Stamp,
    way: &NetworkPath,
    resolver: &mut Resolver,
    error: Option<Duration>,
) -> Finding {
    let mut session = match Session::new(stamp.size, error) {
        Ok(session) => session,
        Err(why) => return Finding::failed(no_numbers(why)),
    };
    let (mut finding, outcome) = match ride(&stamp.target, way, &stamp.train, resolver, &mut session).await {
        Ok(ridden) => ridden,
        Err(why) => return Finding::failed(why),
    };
    if let Some((forward, backward)) = session.losses(outcome.book.received) {
        finding.set("forward_lost", forward);
        finding.set("backward_lost", backward);
    }
    let one_way = outcome.rtt.summary().and_then(|rtt| session.one_way(rtt.p50));
    finding.set("one_way_valid", one_way.is_some());
    if let Some(one_way) = one_way {
        finding.delays("forward", one_way.forward);
        finding.delays("backward", one_way.backward);
        finding.millis("one_way_error_ms", one_way.error);
    }
    finding
}

fn no_numbers(why: getrandom::Error) -> String {
    format!("the system has no random numbers: {why}")
}

/// Questions to a name server.
pub(super) async fn dns(dns: &Dns, way: &NetworkPath, resolver: &mut Resolver) -> Finding {
    let mut questions = match Questions::new(dns) {
        Ok(questions) => questions,
        Err(why) => return Finding::failed(no_numbers(why)),
    };
    let (mut finding, _) = match ride(&dns.target, way, &dns.train, resolver, &mut questions).await {
        Ok(ridden) => ridden,
        Err(why) => return Finding::failed(why),
    };
    finding.set("query", dns.query.as_str());
    finding.set("record", dns.record.as_str());
    if let Some(answer) = questions.answer {
        finding.set("rcode", answer.code_name());
        finding.set("answers", answer.answers);
        answer.ttl.into_iter().for_each(|ttl| finding.set("ttl_s_min", ttl));
        if answer.code != 0 {
            finding.error = Some(format!("the name server answers {}", answer.code_name()));
        }
    }
    finding
}

/// Sends a train, and says what all trains have.
async fn ride(
    target: &Target,
    way: &NetworkPath,
    train: &Train,
    resolver: &mut Resolver,
    exchange: &mut impl Exchange,
) -> Result<(Finding, Outcome), String> {
    let to = resolve(resolver, target, way).await?;
    let socket = TimedSocket::connected(way, to).await.map_err(|why| unusable(&why))?;
    let outcome = train::run(train, &socket, exchange).await.map_err(|why| format!("the socket failed: {why}"))?;
    let (book, mut finding) = (&outcome.book, Finding::default());
    let datagrams = u64::from(book.count() + book.received + book.duplicates + book.late);
    finding.data_bytes = outcome.bytes + datagrams * HEADERS[usize::from(to.is_ipv6())];
    finding.set("address", to.to_string());
    for (key, count) in [
        ("sent", book.count()),
        ("received", book.received),
        ("lost", book.lost()),
        ("late", book.late),
        ("duplicates", book.duplicates),
        ("reordered", book.reordered),
    ] {
        finding.set(key, count);
    }
    finding.set("loss_percent", percent(book.lost(), book.count()));
    finding.delays("rtt", &outcome.rtt);
    if let Some(variation) = outcome.rtt.variation() {
        finding.millis("jitter_ms", variation.jitter);
        finding.millis("ipdv_ms_mean", variation.ipdv_mean);
        finding.millis("ipdv_ms_max", variation.ipdv_max);
    }
    if book.received == 0 {
        finding.error = Some(match &outcome.trouble {
            Some(why) => format!("nobody answers there: {why}"),
            None => format!("none of {} packets was answered in time", book.count()),
        });
    }
    Ok((finding, outcome))
}

pub(super) fn percent(part: u32, whole: u32) -> f64 {
    (f64::from(part) * 100.0 / f64::from(whole.max(1)) * 1e3).round() / 1e3
}

/// A publication to an uplink's remote over each of its paths, or one.
pub(super) async fn mqtt(mqtt: &MqttProbe, uplinks: &Uplinks) -> Vec<Finding> {
    match uplinks.measure(&mqtt.uplink, mqtt.path.as_deref()).await {
        Ok(tried) if tried.is_empty() => {
            let path = mqtt.path.as_deref().unwrap_or_default();
            vec![Finding::failed(format!("the uplink {} has no path {path}; look at its `paths`", mqtt.uplink))]
        }
        Ok(tried) => tried.iter().map(|tried| of_path(tried, &mqtt.uplink)).collect(),
        Err(NotTried::Unknown) => vec![Finding::failed(format!("there is no uplink {}", mqtt.uplink))],
        Err(NotTried::Busy) => vec![Finding::failed("another try of a remote is under way")],
    }
}

fn of_path(tried: &Tried, uplink: &str) -> Finding {
    let mut finding = Finding { data_bytes: CONNECTION, ..Finding::default() };
    finding.set("uplink", uplink);
    tried.path.iter().for_each(|path| finding.set("path", path.as_str()));
    finding.error = tried.failed.as_ref().map(|(stage, why)| format!("{}: {why}", stage.as_str()));
    let mut connected = Duration::ZERO;
    for (step, after) in &tried.steps {
        match step {
            Step::Path(_) => {}
            Step::Connected { to, .. } => {
                connected = *after;
                finding.set("address", to.to_string());
            }
            Step::Tls(_) | Step::WebSocket(_) => connected = *after,
            Step::Joined(_) => finding.millis("sign_in_ms", after.saturating_sub(connected).as_secs_f64()),
            Step::Acknowledged(_, took) => finding.millis("rtt_ms", took.as_secs_f64()),
        }
    }
    if connected > Duration::ZERO {
        finding.millis("connect_ms", connected.as_secs_f64());
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_by_mqtt_cost_a_connection_for_each_path() {
        let mqtt = |path: Option<&str>| {
            ProbeKind::Mqtt(MqttProbe { uplink: "cloud".to_owned(), path: path.map(str::to_owned) })
        };
        let cost = |path| cost(&mqtt(path), |uplink| if uplink == "cloud" { 3 } else { 1 });
        assert_eq!((cost(None), cost(Some("lan"))), (3 * CONNECTION, CONNECTION));
    }

    #[test]
    fn a_share_is_rounded_and_of_nothing_it_is_none() {
        assert_eq!((percent(1, 3), percent(0, 0), percent(5, 5)), (33.333, 0.0, 100.0));
    }
}
