//! Probes of the built daemon: against a reflector in another network, a real iperf3 server, a real broker.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use rumqttc::QoS;
use serde_json::Value;
use stile_tests::{Client, Iperf, Mosquitto, Network, Relay, Stile, check, command, or_skip, within};

fn start(settings: &str) -> Stile {
    Stile::start_in(tempfile::tempdir().unwrap(), "", settings)
}

fn run(stile: &Stile, arguments: &[&str]) -> (i32, String, String) {
    let data = stile.dir.path().join("data");
    check(&[&["probe"], arguments, &["--data-dir", data.to_str().unwrap()]].concat())
}

/// Runs a probe by the command line: exit code, and the results.
#[track_caller]
fn demand(stile: &Stile, name: &str) -> (i32, Value) {
    let (code, out, err) = run(stile, &[name, "--json"]);
    let results = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    (code, results)
}

fn number(result: &Value, key: &str) -> f64 {
    result[key].as_f64().unwrap_or_else(|| panic!("no {key} in {result:#}"))
}

const REFLECTOR: &str = "[reflector]\nlisten = \"127.0.0.1:0\"\nallow = [\"127.0.0.0/8\"]\n";

fn reflector(stile: &Stile) -> SocketAddr {
    stile.door("reflecting STAMP packets")
}

fn probe(name: &str, kind: &str, target: impl std::fmt::Display, more: &str) -> String {
    format!("[[probe]]\nname = \"{name}\"\nkind = \"{kind}\"\ntarget = \"{target}\"\n{more}\n")
}

/// The gateway's network, from which two interfaces lead to the other's, and that other one.
fn two_networks() -> Result<(Network, Network), String> {
    let (here, there) = (Network::new()?, Network::new()?);
    for (at, interface) in ["wwan0", "wlan0"].into_iter().enumerate() {
        here.ip(&format!("link add {interface} type veth peer name far{at} netns {}", there.id()));
        here.ip(&format!("address add 10.77.{at}.1/24 dev {interface}"));
        there.ip(&format!("address add 10.77.{at}.2/24 dev far{at}"));
        here.ip(&format!("link set {interface} up"));
        there.ip(&format!("link set far{at} up"));
    }
    there.ip("address add 10.99.0.1/32 dev lo");
    for (at, interface) in ["wwan0", "wlan0"].into_iter().enumerate() {
        here.ip(&format!("route add 10.99.0.1 via 10.77.{at}.2 dev {interface} metric {}", 100 + at));
    }
    Ok((here, there))
}

#[test]
fn two_gateways_measure_each_of_two_ways_between_their_networks() {
    let Some((here, there)) = or_skip("root with CAP_SYS_ADMIN", two_networks()) else { return };
    let mut reflecting = Command::new("nsenter");
    reflecting.args(&there.prefix()[1..]).arg(command().get_program());
    let settings = "[reflector]\nlisten = \"10.99.0.1:4000\"\nallow = [\"10.77.0.0/16\", \"10.99.0.1\"]\n";
    let far = Stile::start_by(reflecting, tempfile::tempdir().unwrap(), settings);
    reflector(&far);
    // In the reflector's network, 20 ms each way, every fifth packet lost.
    let (_relay, there) = std::thread::spawn(move || {
        there.enter();
        let relay = Relay::start("10.77.1.2:4001", "10.99.0.1:4000".parse().unwrap(), Duration::from_millis(20), 5);
        (relay, there)
    })
    .join()
    .unwrap();
    here.enter();
    let stile = start(
        &(probe("by-wwan", "stamp", "10.99.0.1:4000", "interface = \"wwan0\"\npackets = 5\ntimeout = \"2s\"")
            + &probe("by-wlan", "stamp", "10.99.0.1:4000", "interface = \"wlan0\"\npackets = 5\ntimeout = \"500ms\"")
            + &probe("bad", "stamp", "10.77.1.2:4001", "address = \"10.77.1.1\"\npackets = 20\nspacing = \"50ms\"")),
    );
    for name in ["by-wwan", "by-wlan"] {
        let (code, results) = demand(&stile, name);
        assert_eq!((code, number(&results[0], "received")), (0, 5.0), "{results:#}");
    }
    let (code, results) = demand(&stile, "bad");
    let bad = &results[0];
    let counts = ["sent", "received", "lost", "loss_percent", "forward_lost", "backward_lost"];
    // The twentieth was lost as well, and nobody can say on which way.
    assert_eq!(counts.map(|key| number(bad, key)), [20.0, 16.0, 4.0, 20.0, 3.0, 0.0], "{bad:#}");
    assert!(code == 0 && number(bad, "rtt_ms_min") >= 40.0, "{bad:#}");
    // Where the one interface leads nowhere any more, the other still does.
    there.ip("link set far1 down");
    let (code, results) = demand(&stile, "by-wlan");
    assert_eq!((code, &results[0]["ok"]), (1, &false.into()), "{results:#}");
    let (code, _) = demand(&stile, "by-wwan");
    assert_eq!(code, 0);
}

/// A request of RFC 8762, figure 2, and the answer to it by figure 5; what differs each time is masked.
#[test]
fn the_reflector_answers_a_stock_packet_as_the_rfc_says_and_nobody_else_nor_more() {
    let stile = start(REFLECTOR);
    let to = reflector(&stile);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    sender.set_ttl(63).unwrap();
    let mut request = [0; 44];
    let written = [0, 0, 1, 2, 0xeb, 1, 2, 3, 4, 5, 6, 7, 0x8f, 1];
    request[..14].copy_from_slice(&written);
    // One that is too short and would have a longer answer goes first: it gets none.
    sender.send_to(&request[..43], to).unwrap();
    let mut answer = [0; 2048];
    for number in 0..2_u32 {
        sender.send_to(&request, to).unwrap();
        let (length, from) = sender.recv_from(&mut answer).unwrap();
        assert_eq!((length, from), (44, to));
        assert_eq!(answer[..4], number.to_be_bytes());
        let times = [4, 16].map(|at| u64::from_be_bytes(answer[at..at + 8].try_into().unwrap()));
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 2_208_988_800;
        assert!(times[1] <= times[0] && times.iter().all(|time| (time >> 32).abs_diff(now) <= 20), "{times:x?} {now}");
        assert!(answer[13] != 0, "a multiplier of 0");
        assert_eq!(answer[14..16], [0, 0]);
        assert_eq!((&answer[24..38], &answer[38..44]), (&written[..], &[0, 0, 63, 0, 0, 0][..]));
    }
    within("the short one is counted", || {
        (stile.metric("stile_reflector_refused_total{reason=\"short\"}") == 1.0).then_some(())
    });
    assert_eq!(stile.metric("stile_reflector_answered_total"), 2.0);
    let verdict = stile.reload("", &REFLECTOR.replace("127.0.0.0/8", "192.0.2.0/24"));
    assert_eq!(verdict["message"], "reload done");
    let again = stile.wait_another("reflecting STAMP packets", 1);
    let again: SocketAddr = again["address"].as_str().unwrap().parse().unwrap();
    sender.send_to(&request, again).unwrap();
    within("it is not answered", || {
        (stile.metric("stile_reflector_refused_total{reason=\"not-allowed\"}") == 1.0).then_some(())
    });
}

#[test]
fn results_are_messages_that_are_numbered_and_a_schedule_is_changed_by_a_reload() {
    let far = start(REFLECTOR);
    let to = reflector(&far);
    let often = "interval = \"300ms\"\npackets = 2\nspacing = \"10ms\"";
    let stile = start(&probe("core", "stamp", to, often));
    let client = Client::connect(stile.mqtt, "looks");
    client.subscribe("probe/#", QoS::AtLeastOnce);
    let mut sequence = 0;
    for _ in 0..3 {
        let result = client.next_where(|message| message.topic == "probe/core/result").json();
        let number = result["sequence"].as_u64().unwrap();
        assert!(sequence == 0 || number == sequence + 1, "{result:#}");
        sequence = number;
        assert_eq!((&result["probe"], &result["kind"]), (&"core".into(), &"stamp".into()));
        assert_eq!((&result["trigger"], &result["ok"]), (&"schedule".into(), &true.into()), "{result:#}");
        assert!(
            number_of_keys(&result, "rtt_ms_") == 6
                && result["clock"].is_string()
                && result["timing"]["source"].is_string(),
            "{result:#}"
        );
    }
    let (code, table, _) = run(&stile, &["list"]);
    assert!(code == 0 && table.contains("core") && table.contains("0.3 s"), "{table}");
    // From now on only when somebody asks.
    stile.reload("", &probe("core", "stamp", to, "packets = 2\nspacing = \"10ms\""));
    let (code, results) = demand(&stile, "core");
    assert_eq!((code, &results[0]["trigger"]), (0, &"demand".into()));
    assert!(results[0]["sequence"].as_u64() > Some(sequence), "{results:#}");
    let told = client.next_where(|message| message.json()["trigger"] == "demand").json();
    assert_eq!(told, results[0]);
    stile.reload("", "");
    let (code, _, err) = run(&stile, &["core"]);
    assert!(code == 1 && err.contains("no probe of that name"), "{err}");
}

fn number_of_keys(result: &Value, prefix: &str) -> usize {
    result.as_object().unwrap().keys().filter(|key| key.starts_with(prefix)).count()
}

#[test]
fn a_probe_that_fails_says_so_once_and_a_budget_is_kept_over_a_restart() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = "packets = 10\nspacing = \"1ms\"\ntimeout = \"50ms\"\nbudget-day = 4000";
    let stile = start(&probe("core", "stamp", closed, more));
    // 10 packets there, and the most that could come back: 1840 bytes. What did not come back is given back.
    let mut errors = Vec::new();
    while errors.last().is_none_or(|error: &String| !error.contains("the budget of the day is used up")) {
        assert!(errors.len() < 20, "{errors:?}");
        let (code, results) = demand(&stile, "core");
        assert_eq!(code, 1, "{results:#}");
        errors.push(results[0]["error"].as_str().unwrap().to_owned());
    }
    assert!(errors.len() > 2 && errors[0].contains("nobody answers there"), "{errors:?}");
    assert_eq!(stile.logged("probe failed; it is silent about it until it is well again").len(), 1);
    let kept = std::fs::read(stile.dir.path().join("data/probe/core.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert!(kept["in_day"].as_u64() > Some(2000), "{kept}");
    // Behind a restart no less is spent.
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("data/probe")).unwrap();
    std::fs::write(dir.path().join("data/probe/core.json"), kept.to_string()).unwrap();
    let again = Stile::start_in(dir, "", &probe("core", "stamp", closed, more));
    let (_, list, _) = run(&again, &["list", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["probes"][0]["budget"]["day_spent"], kept["in_day"], "{list:#}");
}

#[test]
fn throughput_is_measured_against_a_stock_server_both_ways_and_never_goes_beyond_its_cap() {
    let Some(server) = Iperf::start() else { return };
    let at = server.address;
    let capped = "duration = \"5s\"\ndata-cap = 2000000";
    let timed = "duration = \"1s\"\ndata-cap = 10000000\nrate = 2000000";
    let stile = start(
        &(probe("up", "tcp", at, capped)
            + &probe("down", "tcp", at, &format!("{capped}\ndirection = \"down\""))
            + &probe("udp-up", "udp", at, timed)
            + &probe("udp-down", "udp", at, &format!("{timed}\ndirection = \"down\""))),
    );
    for name in ["up", "down"] {
        let (code, results) = demand(&stile, name);
        let result = &results[0];
        assert_eq!((code, &result["cap_reached"]), (0, &true.into()), "{result:#}");
        // All of it, upwards: what lay in the kernel when the cap was reached has arrived. Downwards a block may be missing.
        assert!((1_900_000.0..=2_000_000.0).contains(&number(result, "bytes")), "{result:#}");
        assert!(number(result, "retransmits") >= 0.0, "{result:#}");
        assert!((1_000_000.0..=2_300_000.0).contains(&number(result, "data_bytes")), "{result:#}");
        assert!(number(result, "throughput_bit_s") > 1e6 && number(result, "seconds") < 5.0, "{result:#}");
    }
    for name in ["udp-up", "udp-down"] {
        let (code, results) = demand(&stile, name);
        let result = &results[0];
        assert_eq!((code, &result["cap_reached"]), (0, &false.into()), "{result:#}");
        // A second of 2 Mbit/s; a machine that is busy sends less.
        assert!((20_000.0..=300_000.0).contains(&number(result, "bytes")), "{result:#}");
        assert!(number(result, "datagrams") > 10.0 && number(result, "loss_percent") < 50.0, "{result:#}");
    }
    drop(server);
    let (code, results) = demand(&stile, "up");
    assert!(code == 1 && results[0]["error"].as_str().unwrap().contains("`iperf3 -s`"), "{results:#}");
}

#[test]
fn a_round_trip_goes_to_an_uplinks_remote_over_each_of_its_paths() {
    let remote = Mosquitto::start();
    let uplink = format!(
        "[[uplink]]\nname = \"cloud\"\nurl = \"mqtt://{}\"\ntopics = [{{ filter = \"n/#\" }}]\n\
         paths = [{{ name = \"one\", address = \"127.0.0.1\" }}, {{ name = \"two\", address = \"192.0.2.1\" }}]\n",
        remote.address
    );
    let mqtt =
        |name: &str, more: &str| format!("[[probe]]\nname = \"{name}\"\nkind = \"mqtt\"\nuplink = \"cloud\"\n{more}\n");
    let stile = start(&(uplink + &mqtt("all", "") + &mqtt("one", "path = \"one\"") + &mqtt("none", "path = \"x\"")));
    let (code, results) = demand(&stile, "all");
    assert_eq!((code, results.as_array().unwrap().len()), (1, 2), "{results:#}");
    let (good, bad) = (&results[0], &results[1]);
    assert_eq!((&good["path"], &good["ok"], &bad["path"]), (&"one".into(), &true.into(), &"two".into()));
    assert!(number(good, "rtt_ms") > 0.0 && number(good, "connect_ms") > 0.0, "{good:#}");
    assert!(bad["error"].as_str().unwrap().contains("`ip address` shows which"), "{bad:#}");
    let (code, results) = demand(&stile, "one");
    assert_eq!((code, results.as_array().unwrap().len()), (0, 1), "{results:#}");
    let (code, results) = demand(&stile, "none");
    assert!(code == 1 && results[0]["error"].as_str().unwrap().contains("has no path x"), "{results:#}");
}
