//! What a network server wants sent, to a LoRa gateway by UDP, and what it is told of that.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::forwarder::{PullResp, base64, data_frame, rxpk};
use stile_tests::{Client, Forwarder, Proto, Stile, V5Client, Wire, within};

const EUI: u64 = 0x0016_c001_ff10_a235;
const DOWN: &str = "eu868/gateway/0016c001ff10a235/command/down";
const PHY: [u8; 12] = [0x60, 4, 3, 2, 1, 0, 1, 0, 9, 9, 9, 9];

/// A daemon, a gateway that is there and has heard a frame at this count, and a server that hears all of it.
struct Bench {
    stile: Stile,
    server: SocketAddr,
    gateway: Forwarder,
    client: V5Client,
}

const COUNT: u32 = 0xffff_ff00;

fn bench(rest: &str) -> Bench {
    let stile = Stile::start(&format!(
        "[[radio]]\nname = \"roof\"\nkind = \"semtech-udp\"\nlisten = \"127.0.0.1:0\"\nregion = \"eu868\"\n{rest}\n"
    ));
    let server = stile.door("listening for LoRa gateways");
    let client = V5Client::connect(stile.mqtt, "server");
    client.subscribe("eu868/gateway/+/event/+", QoS::AtLeastOnce);
    let gateway = Forwarder::new(server, EUI);
    gateway.pull();
    let bench = Bench { stile, server, gateway, client };
    bench.hear();
    bench
}

/// One way to send it: so long after the uplink.
fn after(delay: &str) -> Value {
    let lora =
        json!({ "bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5", "polarizationInversion": true });
    json!({ "phyPayload": base64(&PHY), "txInfo": { "frequency": 868_100_000, "power": 14, "modulation": { "lora": lora },
        "timing": { "delay": { "delay": delay } }, "context": base64(&COUNT.to_be_bytes()) } })
}

fn at_once() -> Value {
    let mut item = after("0s");
    item["txInfo"]["timing"] = json!({ "immediately": {} });
    item
}

impl Bench {
    /// The gateway hears a frame now.
    fn hear(&self) {
        self.gateway.push(&json!({ "rxpk": [rxpk(COUNT, &data_frame(0x0102_0304, 1))] }));
        self.client.next_where(|m| m.topic.ends_with("/event/up"));
    }

    fn send(&self, id: u32, items: &[Value]) {
        let frame = json!({ "downlinkId": id, "gatewayId": self.gateway.id(), "items": items });
        self.client.publish(DOWN, QoS::AtLeastOnce, false, frame.to_string());
    }

    /// What becomes of a downlink: a status an item.
    #[track_caller]
    fn statuses(&self, id: u32) -> Vec<String> {
        let ack = self.client.next_where(|m| m.topic.ends_with("/event/ack")).json();
        assert_eq!((&ack["downlinkId"], &ack["gatewayId"]), (&json!(id), &json!(self.gateway.id())), "{ack}");
        ack["items"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap().to_owned()).collect()
    }

    fn fine(&self, downlink: &PullResp) {
        self.gateway.tx_ack(downlink.token, "");
    }

    fn items(&self, status: &str) -> f64 {
        self.stile.metric(&format!("stile_lora_downlink_items_total{{radio=\"roof\",status=\"{status}\"}}"))
    }
}

#[test]
fn an_answer_in_the_first_window_is_sent_at_its_count_and_the_server_is_told() {
    let bench = bench("");
    bench.send(7, &[after("1s"), after("2s")]);
    let downlink = bench.gateway.downlink();
    let expected = json!({ "tmst": COUNT.wrapping_add(1_000_000), "freq": 868.1, "rfch": 0, "powe": 14, "modu": "LORA",
        "datr": "SF7BW125", "codr": "4/5", "ipol": true, "size": 12, "data": base64(&PHY) });
    assert_eq!(downlink.txpk, expected, "the count wraps");
    bench.fine(&downlink);
    assert_eq!(bench.statuses(7), ["OK", "IGNORED"]);
    assert_eq!((bench.items("OK"), bench.items("IGNORED")), (1.0, 1.0));
    assert_eq!(bench.stile.radio("roof", "frames_sent_total"), 1.0);
    bench.gateway.push(&json!({ "stat": { "rxnb": 1, "dwnb": 1, "txnb": 1 } }));
    let stats = bench.client.next_where(|m| m.topic.ends_with("/stats")).json();
    assert_eq!(stats["txPacketsPerFrequency"], json!({ "868100000": 1 }));
    assert_eq!(stats["txPacketsPerStatus"], json!({ "OK": 1, "IGNORED": 1 }));
    // The air time counts from when it begins.
    let used = within("air time is counted", || {
        bench.gateway.push(&json!({ "stat": {} }));
        let stats = bench.client.next_where(|m| m.topic.ends_with("/stats")).json();
        let bands = stats["dutyCycleStats"]["bands"].as_array().unwrap().clone();
        assert_eq!(bands.len(), 5);
        bands.into_iter().find(|band| band["loadTracked"] != "0s")
    });
    assert_eq!((&used["frequencyMin"], &used["loadMax"]), (&json!(865_000_000), &json!("36s")));
}

#[test]
fn the_second_window_is_tried_when_the_first_is_past_or_the_gateway_refuses() {
    let bench = bench("");
    bench.send(1, &[after("0.000001s"), after("3s")]);
    let downlink = bench.gateway.downlink();
    assert_eq!(downlink.txpk["tmst"], COUNT.wrapping_add(3_000_000));
    bench.fine(&downlink);
    assert_eq!(bench.statuses(1), ["TOO_LATE", "OK"]);
    bench.hear();
    bench.send(2, &[after("4s"), after("5s")]);
    let first = bench.gateway.downlink();
    bench.gateway.tx_ack(first.token, r#"{"txpk_ack":{"error":"COLLISION_PACKET"}}"#);
    let second = bench.gateway.downlink();
    assert_eq!(second.txpk["tmst"], COUNT.wrapping_add(5_000_000));
    bench.gateway.tx_ack(second.token, r#"{"txpk_ack":{"warn":"TX_POWER","value":14}}"#);
    assert_eq!(bench.statuses(2), ["COLLISION_PACKET", "OK"]);
}

#[test]
fn protobuf_is_spoken_both_ways() {
    let bench = bench("format = \"protobuf\"");
    let message = |fields: Vec<(u32, Wire)>| Wire::Bytes(Proto(fields).write());
    let lora =
        message(vec![(1, Wire::Number(125_000)), (2, Wire::Number(9)), (5, Wire::Number(1)), (4, Wire::Number(1))]);
    let timing = message(vec![(2, message(vec![(1, message(vec![(1, Wire::Number(5))]))]))]);
    let info = message(vec![
        (1, Wire::Number(868_300_000)),
        (2, Wire::Number(14)),
        (3, message(vec![(3, lora)])),
        (6, timing),
        (7, Wire::Bytes(COUNT.to_be_bytes().to_vec())),
    ]);
    let item = message(vec![(1, Wire::Bytes(PHY.to_vec())), (3, info)]);
    let frame = Proto(vec![(3, Wire::Number(300)), (5, item), (7, Wire::Bytes(bench.gateway.id().into_bytes()))]);
    bench.client.publish(DOWN, QoS::AtMostOnce, false, frame.write());
    let downlink = bench.gateway.downlink();
    assert_eq!((&downlink.txpk["freq"], &downlink.txpk["datr"]), (&json!(868.3), &json!("SF9BW125")));
    bench.fine(&downlink);
    let ack = Proto::read(&bench.client.next_where(|m| m.topic.ends_with("/event/ack")).payload);
    assert_eq!((ack.text(6), ack.number(2)), (bench.gateway.id(), 300));
    assert_eq!(ack.all(5).iter().map(|item| Proto::read(item).number(1)).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_the_region_or_the_duty_cycle_forbids_is_refused_with_its_status() {
    let bench = bench("");
    let with = |key: &str, value: Value| {
        let mut item = after("5s");
        item["txInfo"][key] = value;
        item
    };
    bench.send(1, &[with("frequency", json!(915_000_000)), with("power", json!(33)), with("modulation", Value::Null)]);
    assert_eq!(bench.statuses(1), ["TX_FREQ", "TX_POWER", "INTERNAL_ERROR"]);
    // 0.1 % of an hour is 3.6 s: one slow frame fits, two do not.
    let mut slow = at_once();
    (slow["txInfo"]["frequency"], slow["txInfo"]["modulation"]["lora"]["spreadingFactor"]) =
        (json!(868_800_000), json!(12));
    slow["phyPayload"] = json!(base64(&[0x60; 51]));
    bench.send(2, std::slice::from_ref(&slow));
    let downlink = bench.gateway.downlink();
    assert_eq!((&downlink.txpk["imme"], &downlink.txpk["tmst"]), (&json!(true), &Value::Null));
    bench.fine(&downlink);
    assert_eq!(bench.statuses(2), ["OK"]);
    bench.send(3, &[slow]);
    assert_eq!(bench.statuses(3), ["DUTY_CYCLE_OVERFLOW"]);
    assert_eq!(bench.stile.metric("stile_lora_duty_cycle_kept{radio=\"roof\"}"), 1.0);
}

#[test]
fn in_a_laboratory_the_duty_cycle_can_be_off_which_is_logged_and_shown() {
    let bench = bench("duty-cycle = false");
    assert_eq!(bench.stile.wait_log("listening for LoRa gateways")["duty_cycle"], "off");
    assert_eq!(bench.stile.metric("stile_lora_duty_cycle_kept{radio=\"roof\"}"), 0.0);
    let mut slow = at_once();
    (slow["txInfo"]["frequency"], slow["txInfo"]["modulation"]["lora"]["spreadingFactor"]) =
        (json!(868_800_000), json!(12));
    slow["phyPayload"] = json!(base64(&[0x60; 51]));
    for id in 0..2 {
        bench.send(id, std::slice::from_ref(&slow));
        bench.fine(&bench.gateway.downlink());
        assert_eq!(bench.statuses(id), ["OK"]);
    }
}

#[test]
fn a_gateway_that_does_not_answer_is_not_asked_for_a_second_window() {
    let bench = bench("");
    bench.send(1, &[after("4s"), after("5s")]);
    let downlink = bench.gateway.downlink();
    assert_eq!(bench.statuses(1), ["INTERNAL_ERROR", "IGNORED"], "it may have been sent");
    bench.fine(&downlink);
    bench.stile.wait_metric("stile_lora_refused_total{radio=\"roof\",reason=\"ack-unasked\"}", |n| n == 1.0);
}

#[test]
fn an_acknowledgement_of_somebody_elses_or_of_nothing_is_refused() {
    let bench = bench("");
    bench.send(1, &[after("4s")]);
    let downlink = bench.gateway.downlink();
    Forwarder::from("127.0.0.2", bench.server, EUI).tx_ack(downlink.token, "");
    Forwarder::new(bench.server, 7).tx_ack(downlink.token, "");
    for reason in ["wrong-address", "ack-unasked"] {
        bench
            .stile
            .wait_metric(&format!("stile_lora_refused_total{{radio=\"roof\",reason=\"{reason}\"}}"), |n| n == 1.0);
    }
    // By another socket of the same host, as some gateways do.
    Forwarder::new(bench.server, EUI).tx_ack(downlink.token, "");
    assert_eq!(bench.statuses(1), ["OK"]);
}

#[test]
fn a_gateway_that_is_not_there_and_a_full_queue_are_said_and_a_stop_leaves_nobody_waiting() {
    let mut bench =
        bench("down-queue = 1\ngateways = [{ eui = \"0016c001ff10a235\" }, { eui = \"0000000000000002\" }]");
    let frame = json!({ "downlinkId": 9, "items": [at_once(), at_once()] }).to_string();
    bench.client.publish("eu868/gateway/0000000000000002/command/down", QoS::AtLeastOnce, false, frame);
    let ack = bench.client.next_where(|m| m.topic == "eu868/gateway/0000000000000002/event/ack").json();
    assert_eq!(ack["items"], json!([{ "status": "INTERNAL_ERROR" }, { "status": "INTERNAL_ERROR" }]));
    bench.send(1, &[at_once()]);
    bench.gateway.downlink();
    bench.send(2, &[at_once()]);
    assert_eq!(bench.statuses(2), ["QUEUE_FULL"]);
    bench.statuses(1);
    bench.send(3, &[after("300s")]);
    bench.stile.wait_metric("stile_messages_received_total{door=\"client\"}", |n| n >= 4.0);
    bench.client.expect_silence(Duration::from_millis(100));
    let other = Client::connect(bench.stile.mqtt, "other");
    other.subscribe("eu868/gateway/+/event/ack", QoS::AtLeastOnce);
    assert_eq!(bench.stile.reload("", "")["message"], "reload done");
    assert_eq!(other.next().json()["items"], json!([{ "status": "INTERNAL_ERROR" }]));
    bench.stile.stop();
}

#[test]
fn other_commands_are_understood_or_said_not_to_be() {
    let bench = bench("");
    let publish = |topic: &str, payload: &str| {
        let topic = format!("eu868/gateway/0016c001ff10a235/command/{topic}");
        bench.client.publish(&topic, QoS::AtLeastOnce, false, payload);
    };
    publish("config", r#"{"gatewayId":"0016c001ff10a235","version":"v42","channels":[{"frequency":868100000}]}"#);
    publish("down", "hello");
    assert!(bench.stile.wait_log("command not understood")["error"].is_string());
    publish("raw", "{}");
    let refusals = "stile_radio_frames_refused_total{radio=\"roof\",reason=\"not-encodable\"}";
    bench.stile.wait_metric(refusals, |n| n == 2.0);
    bench.gateway.push(&json!({ "stat": {} }));
    let stats = bench.client.next_where(|m| m.topic.ends_with("/stats")).json();
    assert_eq!(stats["configVersion"], "v42");
}
