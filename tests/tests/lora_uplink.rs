//! LoRa gateways by UDP to MQTT clients: frames, states, statistics, and everything that goes no further.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::QoS;
use rustix::process::Signal;
use serde_json::{Value, json};
use stile_tests::forwarder::{base64, data_frame, rxpk};
use stile_tests::{Client, EndOnDrop, Forwarder, Proto, Random, Stile, V5Client, within};

const EUI: u64 = 0x0016_c001_ff10_a235;

/// Settings of a LoRa radio on a free port.
fn radio(rest: &str) -> String {
    format!(
        "[[radio]]\nname = \"roof\"\nkind = \"semtech-udp\"\nlisten = \"127.0.0.1:0\"\nregion = \"eu868\"\n{rest}\n"
    )
}

fn start(rest: &str) -> (Stile, SocketAddr) {
    let stile = Stile::start(&radio(rest));
    let server = stile.door("listening for LoRa gateways");
    (stile, server)
}

/// A client that hears all that LoRa gateways say.
fn listener(stile: &Stile) -> V5Client {
    let client = V5Client::connect(stile.mqtt, "listener");
    client.subscribe("eu868/#", QoS::AtLeastOnce);
    client
}

fn refused(stile: &Stile, reason: &str) -> f64 {
    stile.metric(&format!("stile_lora_refused_total{{radio=\"roof\",reason=\"{reason}\"}}"))
}

#[track_caller]
fn wait_refused(stile: &Stile, reason: &str, count: f64) {
    stile.wait_metric(&format!("stile_lora_refused_total{{radio=\"roof\",reason=\"{reason}\"}}"), |n| n == count);
}

#[test]
fn a_frame_reaches_clients_of_both_versions_as_chirpstack_writes_it_in_json() {
    let (stile, server) = start("");
    let old = Client::connect(stile.mqtt, "old");
    old.subscribe("eu868/gateway/+/event/up", QoS::AtLeastOnce);
    let new = listener(&stile);
    let gateway = Forwarder::new(server, EUI);
    let phy = data_frame(0x2601_1f00, 298);
    gateway.push(&json!({ "rxpk": [rxpk(1234, &phy)] }));
    for message in [old.next(), new.next_where(|m| m.topic.ends_with("/up"))] {
        assert_eq!(message.topic, "eu868/gateway/0016c001ff10a235/event/up");
        let frame = message.json();
        assert_eq!(frame["phyPayload"], base64(&phy));
        let lora = json!({ "bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5" });
        assert_eq!(frame["txInfo"], json!({ "frequency": 868_100_000, "modulation": { "lora": lora } }));
        let info = &frame["rxInfo"];
        assert_eq!((&info["gatewayId"], &info["context"]), (&json!("0016c001ff10a235"), &json!("AAAE0g==")));
        assert_eq!((&info["rssi"], &info["snr"], &info["crcStatus"]), (&json!(-57), &json!(9.5), &json!("CRC_OK")));
        let seen = json!({ "dev_addr": "26011f00", "f_cnt": "298", "f_port": "10", "frame_type": "UnconfirmedDataUp" });
        assert_eq!(info["metadata"], seen);
    }
    assert_eq!(stile.radio("roof", "frames_received_total"), 1.0);
}

#[test]
fn in_protobuf_the_bytes_are_those_of_gw_proto() {
    let (stile, server) = start("format = \"protobuf\"\ntopic-prefix = \"site/eu868\"");
    let client = V5Client::connect(stile.mqtt, "listener");
    client.subscribe("site/eu868/gateway/#", QoS::AtLeastOnce);
    let gateway = Forwarder::new(server, EUI);
    let mut frame = rxpk(0xdead_beef, &data_frame(1, 2));
    (frame["tmms"], frame["time"]) = (json!(1_262_304_000_250_u64), json!("2013-03-31T16:21:17.528002Z"));
    gateway.push(&json!({ "rxpk": [frame] }));
    let up = Proto::read(&client.next_where(|m| m.topic.ends_with("/event/up")).payload);
    assert_eq!(up.bytes(1), data_frame(1, 2));
    let (sent, heard) = (up.message(4), up.message(5));
    let lora = sent.message(2).message(3);
    assert_eq!((sent.number(1), lora.number(1), lora.number(2), lora.number(5)), (868_100_000, 125_000, 7, 1));
    assert_eq!((heard.text(1), heard.bytes(13)), ("0016c001ff10a235".to_owned(), vec![0xde, 0xad, 0xbe, 0xef]));
    assert_eq!((heard.number(6).cast_signed(), heard.float(7), heard.number(9), heard.number(16)), (-57, 9.5, 1, 2));
    assert_eq!((heard.message(3).number(1), heard.message(3).number(2)), (1_364_746_877, 528_002_000));
    assert_eq!((heard.message(4).number(1), heard.message(4).number(2)), (1_262_304_000, 250_000_000));
    let seen: Vec<_> = heard.all(15).iter().map(|entry| Proto::read(entry).text(1)).collect();
    assert_eq!(seen, ["dev_addr", "f_cnt", "f_port", "frame_type"]);
    gateway.pull();
    let state = Proto::read(&client.next_where(|m| m.topic.ends_with("/state/conn")).payload);
    assert_eq!((state.text(3), state.number(2)), ("0016c001ff10a235".to_owned(), 1));
}

#[test]
fn whether_a_gateway_is_there_is_retained_and_a_stop_says_that_it_is_not() {
    let allowed = "gateways = [{ eui = \"0016c001ff10a235\" }]";
    let (stile, server) = start(allowed);
    let state = |stile: &Stile, id: &str| {
        let late = Client::connect(stile.mqtt, id);
        late.subscribe("eu868/gateway/+/state/conn", QoS::AtLeastOnce);
        let message = late.next();
        assert!(message.retain);
        message.json()
    };
    assert_eq!(state(&stile, "a"), json!({ "gatewayId": "0016c001ff10a235", "state": "OFFLINE" }));
    let gateway = Forwarder::new(server, EUI);
    let client = listener(&stile);
    gateway.pull();
    client.next_where(|m| m.topic.ends_with("/conn") && m.json()["state"] == "ONLINE");
    assert_eq!(state(&stile, "b")["state"], "ONLINE");
    assert_eq!(stile.metric("stile_lora_gateways_online{radio=\"roof\"}"), 1.0);
    assert_eq!(stile.reload("", "")["message"], "reload done");
    assert_eq!(state(&stile, "c")["state"], "OFFLINE");
}

#[test]
fn statistics_carry_what_the_gateway_says_and_what_was_counted_here() {
    let (stile, server) = start("");
    let client = listener(&stile);
    let gateway = Forwarder::new(server, EUI);
    let mut other = rxpk(2, &data_frame(1, 2));
    (other["freq"], other["datr"]) = (json!(868.3), json!("SF12BW125"));
    let mut spoilt = rxpk(3, &data_frame(1, 3));
    spoilt["stat"] = json!(-1);
    gateway.push(&json!({ "rxpk": [rxpk(1, &data_frame(1, 1)), other, spoilt] }));
    let stat = json!({ "time": "2014-01-12 08:59:28 GMT", "lati": 46.24, "long": 3.2523, "alti": 145, "rxnb": 3, "rxok": 2,
        "rxfw": 3, "ackr": 100.0, "dwnb": 0, "txnb": 0, "temp": 23.2 });
    gateway.push(&json!({ "stat": stat }));
    let stats = client.next_where(|m| m.topic == "eu868/gateway/0016c001ff10a235/event/stats").json();
    assert_eq!((&stats["rxPacketsReceived"], &stats["rxPacketsReceivedOk"]), (&json!(3), &json!(2)));
    assert_eq!(stats["time"], "2014-01-12T08:59:28.000000000Z");
    assert_eq!(stats["location"]["altitude"], 145.0);
    assert_eq!(stats["rxPacketsPerFrequency"], json!({ "868100000": 1, "868300000": 1 }));
    assert_eq!(stats["rxPacketsPerModulation"].as_array().unwrap().len(), 2);
    let expected = json!({ "ackr": "100", "bad_crc_868100000": "1", "dropped": "1", "forwarded": "2", "rxfw": "3", "temp": "23.2" });
    assert_eq!(stats["metadata"], expected);
}

#[test]
fn each_kind_of_garbage_is_counted_under_its_own_reason_and_hurts_nobody() {
    let (stile, server) = start("");
    let client = listener(&stile);
    let gateway = Forwarder::new(server, EUI);
    let push = |json: &str| gateway.datagram([0, 0], 0, json);
    let frame = |key: &str, value: Value| {
        let mut frame = rxpk(1, &data_frame(1, 1));
        frame[key] = value;
        push(&json!({ "rxpk": [frame] }).to_string())
    };
    let mut version = push("{}");
    version[0] = 1;
    let cases: [(&str, Vec<u8>); 16] = [
        ("truncated", vec![2, 0, 0]),
        ("truncated", push("")[..11].to_vec()),
        ("version", version),
        ("identifier", gateway.datagram([0, 0], 3, "{}")),
        ("oversized", gateway.datagram([0, 0], 2, "x")),
        ("json", push("{\"rxpk\":")),
        ("json", push(&"[".repeat(60_000))),
        ("field", frame("tmst", json!(-1))),
        ("data-rate", frame("datr", json!("SF99BW125"))),
        ("frequency", frame("freq", json!(1e9))),
        ("base64", frame("data", json!("?"))),
        ("size-mismatch", frame("size", json!(200))),
        ("frame-too-long", frame("data", json!("A".repeat(5000)))),
        ("crc", frame("stat", json!(-1))),
        ("ack-unasked", gateway.datagram([9, 9], 5, "")),
        ("json", push("\u{0}\u{0}")),
    ];
    let mut counts = std::collections::BTreeMap::<&str, f64>::new();
    for (reason, bytes) in &cases {
        gateway.send(bytes);
        *counts.entry(reason).or_default() += 1.0;
    }
    for (reason, count) in counts {
        wait_refused(&stile, reason, count);
    }
    // PHY payloads of any length and content pass: it is the server that knows what they are.
    let mut random = Random::new(5);
    for length in [0, 1, 12, 255] {
        let phy = random.bytes(length + 1);
        gateway.push(&json!({ "rxpk": [rxpk(1, &phy)] }));
        assert_eq!(client.next_where(|m| m.topic.ends_with("/up")).json()["phyPayload"], base64(&phy));
    }
    assert_eq!(stile.dropped("frame-malformed"), 12);
}

#[test]
fn only_named_gateways_are_answered_and_only_at_their_address() {
    let (stile, server) =
        start("gateways = [{ eui = \"0016c001ff10a235\", address = \"127.0.0.2\" }, { eui = \"0016c001ff10a236\" }]");
    let spoofer = Forwarder::new(server, EUI);
    assert!(spoofer.is_ignored(&spoofer.datagram([0, 1], 2, "")));
    assert!(spoofer.is_ignored(&spoofer.datagram([0, 1], 0, "{}")));
    wait_refused(&stile, "wrong-address", 2.0);
    let stranger = Forwarder::new(server, 7);
    assert!(stranger.is_ignored(&stranger.datagram([0, 1], 2, "")));
    wait_refused(&stile, "unknown-gateway", 1.0);
    Forwarder::from("127.0.0.2", server, EUI).pull();
    // The way back of the other one belongs to the first that asked.
    let (first, second) = (Forwarder::new(server, EUI + 1), Forwarder::new(server, EUI + 1));
    first.pull();
    assert!(second.is_ignored(&second.datagram([0, 1], 2, "")));
    first.pull();
    wait_refused(&stile, "wrong-address", 3.0);
}

#[test]
fn filters_drop_by_network_by_join_server_by_rate_and_what_came_already() {
    let (stile, server) = start(
        "deduplicate = \"10s\"\nfilter = { lorawan-only = true, net-ids = [\"000013\"], \
         join-euis = [\"70b3d57ed0000000/36\"], per-device = 2 }",
    );
    let client = listener(&stile);
    let (one, two) = (Forwarder::new(server, 1), Forwarder::new(server, 2));
    let push = |gateway: &Forwarder, phy: &[u8]| gateway.push(&json!({ "rxpk": [rxpk(1, phy)] }));
    let counter = |m: &stile_tests::Received| m.json()["rxInfo"]["metadata"]["f_cnt"].clone();
    push(&one, &data_frame(0x2601_1f00, 1));
    assert_eq!(counter(&client.next_where(|m| m.topic.ends_with("/up"))), "1");
    push(&one, &data_frame(0x0000_0001, 1));
    wait_refused(&stile, "dev-addr", 1.0);
    push(&one, &[0; 23]);
    wait_refused(&stile, "join-eui", 1.0);
    push(&one, &[0xff; 20]);
    wait_refused(&stile, "not-lorawan", 1.0);
    push(&two, &data_frame(0x2601_1f00, 1));
    wait_refused(&stile, "duplicate", 1.0);
    push(&one, &data_frame(0x2601_1f00, 2));
    wait_refused(&stile, "per-device", 1.0);
    push(&two, &data_frame(0x2601_1f01, 3));
    assert_eq!(counter(&client.next_where(|m| m.topic.ends_with("/up"))), "3");
    assert_eq!((stile.dropped("radio-filter"), stile.radio("roof", "frames_received_total")), (5, 2.0));
}

#[test]
fn frames_that_come_shuffled_and_twice_all_arrive_and_a_count_that_wraps_or_jumps_is_no_fault() {
    let (stile, server) = start("");
    let client = listener(&stile);
    let gateway = Forwarder::new(server, EUI);
    let counts = [u32::MAX - 5, 5, 0, 1 << 31, 7, 7];
    let frames: Vec<_> = (0..60_u16).map(|n| rxpk(counts[usize::from(n) % counts.len()], &data_frame(1, n))).collect();
    gateway.push_roughly(&frames, &mut Random::new(3));
    let mut missing: std::collections::BTreeSet<u16> = (0..60).collect();
    while !missing.is_empty() {
        let frame = client.next_where(|m| m.topic.ends_with("/up")).json();
        missing.remove(&frame["rxInfo"]["metadata"]["f_cnt"].as_str().unwrap().parse().unwrap());
    }
}

#[test]
fn good_frames_arrive_while_ten_thousand_malformed_datagrams_a_second_do_too() {
    let (stile, server) = start("rate-limit = 100000");
    let client = listener(&stile);
    let (end, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let guard = EndOnDrop(&end);
        scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut random = Random::new(11);
            while !end.load(Ordering::Relaxed) {
                for _ in 0..100 {
                    let _ = socket.send_to(&random.bytes(200), server);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let gateways: Vec<_> = (1..=3).map(|eui| Forwarder::new(server, eui)).collect();
        for round in 0..100_u16 {
            for gateway in &gateways {
                // Again until it is acknowledged: the kernel may drop any datagram.
                gateway.push(&json!({ "rxpk": [rxpk(1, &data_frame(1, round))] }));
                let id = gateway.id();
                client.next_where(|m| m.topic.ends_with("/up") && m.topic.contains(&id));
            }
        }
        drop(guard);
    });
    let counted = || -> f64 {
        let (_, page) = stile.get("/metrics");
        let lines = page.lines().filter(|line| line.starts_with("stile_lora_refused_total"));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    within("the flood is counted", || (counted() > 100.0).then_some(()));
    assert!(sent.load(Ordering::Relaxed) > 100 && refused(&stile, "version") > 0.0);
}

#[test]
fn what_the_kernel_drops_while_the_daemon_is_held_up_is_counted_too() {
    let (stile, server) = start("");
    let gateway = Forwarder::new(server, EUI);
    gateway.pull();
    let room = stile.metric("stile_lora_receive_buffer_bytes{radio=\"roof\"}");
    stile.signal(Signal::STOP);
    let mut sent = 0.0;
    while sent <= room {
        gateway.send(&[0; 8000]);
        sent += 8000.0;
    }
    stile.signal(Signal::CONT);
    stile.wait_metric("stile_lora_datagrams_lost_total{radio=\"roof\"}", |n| n > 0.0);
    stile.wait_log("datagrams came faster than they were read, and were lost");
    gateway.pull();
}

#[test]
fn a_source_that_sends_too_much_is_cut_and_another_is_not() {
    let (stile, server) = start("rate-limit = 5");
    let (loud, calm) = (Forwarder::new(server, 1), Forwarder::new(server, 2));
    for _ in 0..200 {
        loud.push_blindly(&json!({}));
    }
    stile.wait_metric("stile_lora_refused_total{radio=\"roof\",reason=\"rate-limit\"}", |n| n > 100.0);
    calm.pull();
}

#[test]
fn a_taken_port_is_waited_for() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let stile = Stile::start(&radio("").replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
    let line = stile.wait_log("port not open; tried again until it is");
    assert!(line["reason"].as_str().unwrap().contains(&format!("UDP 127.0.0.1:{port}")), "{line}");
    assert_eq!(stile.radio("roof", "online"), 0.0);
    drop(holder);
    stile.wait_online("roof");
    let server = stile.door("listening for LoRa gateways");
    Forwarder::new(server, EUI).pull();
    assert!(stile.metric("stile_lora_receive_buffer_bytes{radio=\"roof\"}") > 0.0);
}
