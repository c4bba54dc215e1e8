//! A sender and a reflector over real sockets, and a relay between them that loses, doubles and delays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::measure;
use super::result::Finding;
use super::socket::TimedSocket;
use super::stamp::reflector::{Answering, ReflectorStats};
use crate::config::{Dns, DnsRecord, Network, NetworkPath, Reflector, ReflectorMode, Stamp, Target, Train};
use crate::message::Clock;
use crate::resolver::Resolver;

/// A reflector for this machine; gives its port and its counters.
async fn reflector(mode: ReflectorMode) -> (u16, Arc<ReflectorStats>) {
    let socket = TimedSocket::bound("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let allow = vec![Network::parse("127.0.0.0/8").unwrap()];
    let settings = Reflector { listen: None, allow, mode, rate_limit: 100_000 };
    let stats = Arc::new(ReflectorStats::default());
    let mut answering = Answering::new(settings, Arc::clone(&stats), port, Instant::now());
    tokio::spawn(async move { answering.serve(&socket, &Clock::default(), &CancellationToken::new()).await });
    (port, stats)
}

fn train(packets: u32, spacing: u64, timeout: u64) -> Train {
    Train { packets, spacing: Duration::from_millis(spacing), timeout: Duration::from_millis(timeout) }
}

fn target(port: u16) -> Target {
    Target { host: "127.0.0.1".to_owned(), port }
}

async fn stamp(port: u16, train: Train, size: usize) -> Finding {
    let stamp = Stamp { target: target(port), train, size };
    measure::stamp(&stamp, &NetworkPath::default(), &mut Resolver::default(), None).await
}

fn number(finding: &Finding, key: &str) -> f64 {
    finding.fields.get(key).and_then(serde_json::Value::as_f64).unwrap_or_else(|| panic!("{key}: {finding:?}"))
}

#[tokio::test]
async fn a_reflector_answers_every_packet_of_a_sender() {
    let (port, stats) = reflector(ReflectorMode::Stateful).await;
    let finding = stamp(port, train(20, 1, 2000), 100).await;
    assert_eq!(finding.error, None, "{finding:?}");
    for (key, value) in [("sent", 20.0), ("received", 20.0), ("lost", 0.0), ("duplicates", 0.0), ("loss_percent", 0.0)]
    {
        assert_eq!(number(&finding, key), value, "{key}");
    }
    assert!(number(&finding, "rtt_ms_min") > 0.0 && number(&finding, "rtt_ms_max") < 2000.0, "{finding:?}");
    assert!(number(&finding, "jitter_ms") >= 0.0);
    assert_eq!((stats.answered(), finding.data_bytes), (20, 40 * 128));
}

#[tokio::test]
async fn nobody_who_listens_is_told_as_such_and_ends_in_time() {
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let finding = stamp(closed, train(3, 1, 50), 44).await;
    assert!(finding.error.as_ref().is_some_and(|why| why.contains("nobody answers there")), "{finding:?}");
    assert_eq!(number(&finding, "loss_percent"), 100.0);
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let finding = stamp(silent.local_addr().unwrap().port(), train(3, 1, 50), 44).await;
    assert_eq!(finding.error.as_deref(), Some("none of 3 packets was answered in time"));
}

/// Stands between a sender and a reflector: of the packets, by their number, `lost` never get there, the answers to `silenced`
/// never get back, those to `doubled` come twice, and those to `held` come `late` later.
async fn relay(
    port: u16,
    lost: &'static [u32],
    silenced: &'static [u32],
    doubled: &'static [u32],
    held: &'static [u32],
    late: Duration,
) -> u16 {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    far.connect(("127.0.0.1", port)).await.unwrap();
    let own = near.local_addr().unwrap().port();
    tokio::spawn(async move {
        let near = Arc::new(near);
        let (mut there, mut back, mut sender) = ([0; 2048], [0; 2048], None);
        loop {
            tokio::select! {
                came = near.recv_from(&mut there) => {
                    let (length, from) = came.unwrap();
                    sender = Some(from);
                    let number = u32::from_be_bytes(there[..4].try_into().unwrap());
                    if !lost.contains(&number) {
                        far.send(&there[..length]).await.unwrap();
                    }
                }
                came = far.recv(&mut back) => {
                    let (answer, to) = (back[..came.unwrap()].to_vec(), sender.unwrap());
                    let number = u32::from_be_bytes(answer[24..28].try_into().unwrap());
                    let times = if silenced.contains(&number) { 0 } else { 1 + usize::from(doubled.contains(&number)) };
                    let (near, pause) = (Arc::clone(&near), held.contains(&number).then_some(late));
                    tokio::spawn(async move {
                        tokio::time::sleep(pause.unwrap_or_default()).await;
                        for _ in 0..times {
                            near.send_to(&answer, to).await.unwrap();
                        }
                    });
                }
            }
        }
    });
    own
}

#[tokio::test]
async fn what_a_network_loses_doubles_holds_up_and_turns_round_is_counted() {
    let (port, _) = reflector(ReflectorMode::Stateful).await;
    let relay = relay(port, &[1, 4], &[6], &[2], &[7], Duration::from_millis(150)).await;
    let finding = stamp(relay, train(10, 20, 1000), 44).await;
    for (key, value) in [
        ("sent", 10.0),
        ("received", 7.0),
        ("lost", 3.0),
        ("loss_percent", 30.0),
        ("duplicates", 1.0),
        ("reordered", 1.0),
        ("forward_lost", 2.0),
        ("backward_lost", 1.0),
    ] {
        assert_eq!(number(&finding, key), value, "{key}: {finding:?}");
    }
    assert!(number(&finding, "rtt_ms_max") >= 150.0 && number(&finding, "ipdv_ms_max") >= 100.0, "{finding:?}");
    // Held for longer than the timeout it is late, and lost.
    let (port, _) = reflector(ReflectorMode::Stateless).await;
    let relay = relay_late(port).await;
    let finding = stamp(relay, train(3, 100, 150), 44).await;
    assert_eq!((number(&finding, "late"), number(&finding, "lost")), (1.0, 1.0), "{finding:?}");
    assert!(!finding.fields.contains_key("forward_lost"));
}

async fn relay_late(port: u16) -> u16 {
    relay(port, &[], &[], &[], &[0], Duration::from_millis(200)).await
}

/// The figure of the benchmarks, loosely: what is measured on loopback is the error, since there is next to no way.
#[tokio::test]
async fn the_time_for_which_the_gateway_is_busy_is_not_in_a_round_trip() {
    let (port, _) = reflector(ReflectorMode::Stateful).await;
    let busy = async {
        for _ in 0..20 {
            // Nobody else has a turn on this thread meanwhile.
            std::thread::sleep(Duration::from_millis(5));
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    let finding = tokio::select! {
        finding = stamp(port, train(50, 2, 2000), 44) => finding,
        () = busy => unreachable!(),
    };
    assert_eq!(number(&finding, "received"), 50.0);
    assert!(number(&finding, "rtt_ms_p50") < 2.5, "{finding:?}");
}

#[tokio::test]
async fn a_name_server_is_asked_and_its_word_taken() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut question = [0; 512];
        for turn in 0.. {
            let (length, from) = server.recv_from(&mut question).await.unwrap();
            let mut answer = question[..length].to_vec();
            let code = if turn < 3 { 0 } else { 3 };
            (answer[2], answer[3], answer[7]) = (0x81, 0x80 | code, 1 - code / 3);
            if code == 0 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
            }
            // Somebody who guesses at the number comes first.
            let mut forged = answer.clone();
            forged[0] ^= 0x55;
            server.send_to(&forged, from).await.unwrap();
            server.send_to(&answer, from).await.unwrap();
        }
    });
    let dns = |packets| Dns {
        target: target(port),
        query: "gateway.example".to_owned(),
        record: DnsRecord::A,
        train: train(packets, 1, 2000),
    };
    let way = NetworkPath { address: Some("127.0.0.2".parse().unwrap()), ..NetworkPath::default() };
    let finding = measure::dns(&dns(3), &way, &mut Resolver::default()).await;
    assert_eq!(
        (number(&finding, "received"), number(&finding, "answers"), number(&finding, "ttl_s_min")),
        (3.0, 1.0, 60.0)
    );
    assert_eq!((finding.error.as_deref(), &finding.fields["rcode"]), (None, &"NOERROR".into()));
    let finding = measure::dns(&dns(1), &way, &mut Resolver::default()).await;
    assert_eq!(finding.error.as_deref(), Some("the name server answers NXDOMAIN"));
}

#[tokio::test]
async fn a_way_that_is_not_there_is_named_with_what_to_do() {
    let stamp = Stamp { target: target(4000), train: train(1, 1, 50), size: 44 };
    let try_way = |way: NetworkPath| {
        let stamp = stamp.clone();
        async move { measure::stamp(&stamp, &way, &mut Resolver::default(), None).await.error.unwrap() }
    };
    let way = NetworkPath { address: Some("192.0.2.77".parse().unwrap()), ..NetworkPath::default() };
    assert!(try_way(way).await.contains("`ip address` shows which"));
    let way = NetworkPath { interface: Some("nosuch0".to_owned()), ..NetworkPath::default() };
    assert!(try_way(way).await.contains("`ip link` shows which"));
    let way = NetworkPath { address: Some("::1".parse().unwrap()), ..NetworkPath::default() };
    assert!(try_way(way).await.contains("IPv4 or IPv6"));
}
