//! LoRa Basics Stations to MQTT clients and back: discovery, channels, frames, downlinks, and all that is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::forwarder::{base64, data_frame};
use stile_tests::station::{Uplink, jreq, updf};
use stile_tests::{Authority, Client, EndOnDrop, Proto, Random, Stile, V5Client};
use tungstenite::Message;

const EUI: u64 = 0xb827_ebff_fe61_1234;
const ID: &str = "b827ebfffe611234";
const GATEWAY: &str = "eu868/gateway/b827ebfffe611234";
const OPEN: &str = "listening for Basics Stations";

/// More digits than a float has.
const XTIME: i64 = 40_250_921_680_313_459;

fn radio(rest: &str) -> String {
    format!(
        "[[radio]]\nname = \"mast\"\nkind = \"basics-station\"\nlisten = \"127.0.0.1:0\"\nregion = \"eu868\"\n{rest}\n"
    )
}

fn start(rest: &str) -> (Stile, Uplink) {
    let stile = Stile::start(&radio(rest));
    let address = stile.door(OPEN);
    (stile, Uplink::plain(address))
}

fn listener(stile: &Stile) -> V5Client {
    let client = V5Client::connect(stile.mqtt, "listener");
    client.subscribe("eu868/#", QoS::AtLeastOnce);
    client
}

#[track_caller]
fn wait_refused(stile: &Stile, reason: &str, count: f64) {
    stile.wait_metric(&format!("stile_lora_refused_total{{radio=\"mast\",reason=\"{reason}\"}}"), |n| n == count);
}

#[track_caller]
fn wait_refused_more(stile: &Stile, reason: &str, count: f64) {
    stile.wait_metric(&format!("stile_lora_refused_total{{radio=\"mast\",reason=\"{reason}\"}}"), |n| n > count);
}

/// A downlink of class A, for both windows.
fn downlink(id: u32, context: &Value) -> String {
    let item = |frequency: u32, factor: u32, delay: &str| {
        let lora = json!({ "bandwidth": 125_000, "spreadingFactor": factor, "codeRate": "CR_4_5", "polarizationInversion": true });
        json!({ "phyPayload": base64(&[0x60, 4, 3, 2, 1, 0, 0, 0, 1, 2, 3, 4]), "txInfo": { "frequency": frequency,
            "power": 14, "modulation": { "lora": lora }, "timing": { "delay": { "delay": delay } }, "context": context } })
    };
    let items = [item(868_100_000, 7, "1s"), item(869_525_000, 12, "2s")];
    json!({ "downlinkId": id, "gatewayId": ID, "items": items }).to_string()
}

fn statuses(ack: &Value) -> Vec<&str> {
    ack["items"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap()).collect()
}

#[test]
fn a_station_asks_where_to_go_is_told_its_channels_and_is_said_to_be_there() {
    let (stile, uplink) = start("");
    for router in [json!("b827:ebff:fe61:1234"), json!("B8-27-EB-FF-FE-61-12-34"), json!(EUI)] {
        let answer = uplink.discover(&router);
        let uri = format!("ws://localhost:{}/gateway/{ID}", stile.door(OPEN).port());
        assert_eq!(answer, json!({ "router": "b827:ebff:fe61:1234", "muxs": "b827:ebff:fe61:1234", "uri": uri }));
    }
    let client = listener(&stile);
    let (station, config) = uplink.join(EUI);
    assert_eq!(
        (&config["region"], &config["hwspec"], &config["protocol"]),
        (&json!("EU863"), &json!("sx1301/1"), &json!(1))
    );
    assert_eq!(config["sx1301_conf"][0]["radio_0"], json!({ "enable": true, "freq": 868_300_000 }));
    let state = client.next_where(|m| m.topic == format!("{GATEWAY}/state/conn"));
    assert_eq!(state.json(), json!({ "gatewayId": ID, "state": "ONLINE" }));
    stile.wait_metric("stile_lora_gateways_online{radio=\"mast\"}", |count| count == 1.0);
    drop(station);
    let state = client.next_where(|m| m.topic == format!("{GATEWAY}/state/conn"));
    assert_eq!(state.json()["state"], "OFFLINE");
    let late = Client::connect(stile.mqtt, "late");
    late.subscribe("eu868/gateway/+/state/conn", QoS::AtLeastOnce);
    assert_eq!(late.next().json()["state"], "OFFLINE", "it is retained");
}

#[test]
fn frames_reach_clients_of_both_versions_byte_for_byte_as_they_were_on_the_air() {
    let (stile, uplink) = start("");
    let old = Client::connect(stile.mqtt, "old");
    old.subscribe("eu868/gateway/+/event/up", QoS::AtLeastOnce);
    let new = listener(&stile);
    let (mut station, _) = uplink.join(EUI);
    // A negative address and MIC.
    let mut phy = data_frame(0xfc01_1f00, 298);
    let end = phy.len() - 1;
    phy[end] = 0xff;
    station.say(&updf(&phy, XTIME));
    for message in [old.next(), new.next_where(|m| m.topic.ends_with("/up"))] {
        assert_eq!(message.topic, format!("{GATEWAY}/event/up"));
        let frame = message.json();
        assert_eq!(frame["phyPayload"], base64(&phy));
        let lora = json!({ "bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5" });
        assert_eq!(frame["txInfo"], json!({ "frequency": 868_100_000, "modulation": { "lora": lora } }));
        let info = &frame["rxInfo"];
        let context = [3_i64.to_be_bytes(), XTIME.to_be_bytes()].concat();
        assert_eq!((&info["gatewayId"], &info["context"]), (&json!(ID), &json!(base64(&context))));
        assert_eq!((&info["rssi"], &info["snr"], &info["crcStatus"]), (&json!(-57), &json!(9.5), &json!("CRC_OK")));
        assert_eq!((&info["metadata"]["dev_addr"], &info["metadata"]["f_cnt"]), (&json!("fc011f00"), &json!("298")));
        assert_eq!(info["gwTime"].as_str().map(|time| &time[..22]), Some("2019-03-18T10:58:18.25"));
    }
    // Without a port, and with options.
    let bare = [&[0x80, 1, 2, 3, 4, 0x82, 5, 0, 6, 7][..], &[8, 9, 10, 11]].concat();
    station.say(&updf(&bare, XTIME));
    assert_eq!(old.next().json()["phyPayload"], base64(&bare));
    station.say(&jreq("00-11-22-33-44-55-66-77", XTIME));
    let join = old.next().json();
    let phy = [
        &[0, 1, 0, 0, 0xd0, 0x7e, 0xd5, 0xb3, 0x70][..],
        &[0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0],
        &[2, 1],
        &(-1_985_229_329_i32).to_le_bytes(),
    ]
    .concat();
    assert_eq!(
        (&join["phyPayload"], &join["rxInfo"]["metadata"]["dev_eui"]),
        (&json!(base64(&phy)), &json!("0011223344556677"))
    );
    assert_eq!(stile.radio("mast", "frames_received_total"), 3.0);
}

#[test]
fn in_protobuf_a_downlink_goes_out_and_its_acknowledgement_comes_back() {
    let (stile, uplink) = start("format = \"protobuf\"");
    let client = listener(&stile);
    let (mut station, _) = uplink.join(EUI);
    station.say(&updf(&data_frame(1, 2), XTIME));
    let up = Proto::read(&client.next_where(|m| m.topic.ends_with("/event/up")).payload);
    let context = up.message(5).bytes(13);
    assert_eq!((up.bytes(1), context.len()), (data_frame(1, 2), 16));
    let command = downlink(9, &json!(base64(&context)));
    client.publish(&format!("{GATEWAY}/command/down"), QoS::AtLeastOnce, false, command);
    let dnmsg = station.next_of("dnmsg");
    station.sent(&dnmsg, 5, 868_100_000);
    let ack = Proto::read(&client.next_where(|m| m.topic.ends_with("/event/ack")).payload);
    assert_eq!((ack.number(2), ack.bytes(6)), (9, ID.as_bytes().to_vec()));
    assert_eq!(ack.message(5).number(1), 1, "OK");
}

#[test]
fn a_downlink_reaches_the_station_with_the_uplinks_context_and_its_end_is_told() {
    let (stile, uplink) = start("");
    let client = listener(&stile);
    let topic = format!("{GATEWAY}/command/down");
    let (mut station, _) = uplink.join(EUI);
    station.say(&updf(&data_frame(1, 2), XTIME));
    let context = client.next_where(|m| m.topic.ends_with("/event/up")).json()["rxInfo"]["context"].clone();
    client.publish(&topic, QoS::AtLeastOnce, false, downlink(2, &context));
    let dnmsg = station.next_of("dnmsg");
    for (key, value) in [
        ("dC", json!(0)),
        ("pdu", json!("600403020100000001020304")),
        ("RxDelay", json!(1)),
        ("RX1DR", json!(5)),
        ("RX1Freq", json!(868_100_000)),
        ("RX2DR", json!(0)),
        ("RX2Freq", json!(869_525_000)),
        ("xtime", json!(XTIME)),
        ("rctx", json!(3)),
    ] {
        assert_eq!(dnmsg[key], value, "{key}");
    }
    station.sent(&dnmsg, 0, 869_525_000);
    let ack = client.next_where(|m| m.topic.ends_with("/event/ack") && m.json()["downlinkId"] == 2).json();
    assert_eq!((&ack["gatewayId"], statuses(&ack)), (&json!(ID), vec!["IGNORED", "OK"]));
    // Nothing of its name waits any more.
    station.sent(&dnmsg, 0, 869_525_000);
    wait_refused(&stile, "ack-unasked", 1.0);
    // One without a context, and one that Station says nothing of.
    client.publish(&topic, QoS::AtLeastOnce, false, downlink(3, &json!("AAAE0g==")));
    let ack = client.next_where(|m| m.topic.ends_with("/event/ack")).json();
    assert_eq!((&ack["downlinkId"], statuses(&ack)), (&json!(3), vec!["INTERNAL_ERROR"; 2]));
    client.publish(&topic, QoS::AtLeastOnce, false, downlink(4, &context));
    let ack = client.next_where(|m| m.topic.ends_with("/event/ack")).json();
    assert_eq!((&ack["downlinkId"], statuses(&ack)), (&json!(4), vec!["INTERNAL_ERROR"; 2]));
    stile.wait_metric("stile_lora_downlink_items_total{radio=\"mast\",status=\"OK\"}", |count| count == 1.0);
    assert_eq!(stile.radio("mast", "frames_sent_total"), 1.0);
}

#[test]
fn what_is_to_be_sent_to_a_station_that_is_away_is_refused_and_so_are_raw_commands() {
    let (stile, _) = start(&format!("gateways = [{{ eui = \"{ID}\" }}]"));
    let client = listener(&stile);
    client.publish(&format!("{GATEWAY}/command/down"), QoS::AtLeastOnce, false, downlink(7, &json!("")));
    let ack = client.next_where(|m| m.topic.ends_with("/event/ack")).json();
    assert_eq!((&ack["downlinkId"], statuses(&ack)), (&json!(7), vec!["INTERNAL_ERROR"; 2]));
    client.publish(&format!("{GATEWAY}/command/raw"), QoS::AtLeastOnce, false, "{}");
    stile.wait_log("raw command not passed on: Stations run programs by such");
    client.publish(&format!("{GATEWAY}/command/down"), QoS::AtLeastOnce, false, "{");
    let refused = "stile_radio_frames_refused_total{radio=\"mast\",reason=\"not-encodable\"}";
    stile.wait_metric(refused, |count| count == 2.0);
}

#[test]
fn the_second_connection_of_a_gateway_takes_the_place_of_the_first() {
    let (stile, uplink) = start("");
    let client = listener(&stile);
    let (mut first, _) = uplink.join(EUI);
    first.say(&updf(&data_frame(1, 2), XTIME));
    let context = client.next_where(|m| m.topic.ends_with("/event/up")).json()["rxInfo"]["context"].clone();
    let topic = format!("{GATEWAY}/command/down");
    client.publish(&topic, QoS::AtLeastOnce, false, downlink(1, &context));
    let dnmsg = first.next_of("dnmsg");
    let (mut second, _) = uplink.join(EUI);
    assert!(first.is_closed());
    // A Station keeps its queue when it connects anew.
    second.sent(&dnmsg, 5, 868_100_000);
    let ack = client.next_where(|m| m.topic.ends_with("/event/ack")).json();
    assert_eq!(statuses(&ack), ["OK", "IGNORED"]);
    client.publish(&topic, QoS::AtLeastOnce, false, downlink(2, &context));
    assert_eq!(second.next_of("dnmsg")["xtime"], XTIME);
    stile.wait_metric("stile_lora_gateways_online{radio=\"mast\"}", |count| count == 1.0);
}

#[test]
fn only_named_gateways_with_their_token_come_in() {
    let (stile, uplink) = start(&format!("gateways = [{{ eui = \"{ID}\", token = \"sesame\" }}]"));
    let path = format!("/gateway/{ID}");
    assert_eq!(uplink.open(&path).err(), Some(401));
    assert_eq!(uplink.clone().with_token("Bearer open").open(&path).err(), Some(401));
    assert_eq!(uplink.clone().with_token("Bearer sesame").open("/gateway/::1").err(), Some(403));
    assert_eq!(uplink.open("/elsewhere").err(), Some(404));
    assert_eq!(uplink.discover(&json!("b827:ebff:fe61:1234"))["error"], "token");
    wait_refused(&stile, "token", 3.0);
    wait_refused(&stile, "unknown-gateway", 1.0);
    wait_refused(&stile, "path", 1.0);
    for token in ["Bearer sesame", "sesame"] {
        let (_station, config) = uplink.clone().with_token(token).join(EUI);
        assert_eq!(config["msgtype"], "router_config");
    }
    assert!(stile.log().iter().all(|record| !record.to_string().contains("sesame")));
}

/// A gateway with TLS.
fn secure(clients: bool, rest: &str) -> (Stile, SocketAddr, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    authority.sign("server", Some("stile"));
    let clients = if clients { "client-ca = \"ca.pem\"\n" } else { "" };
    let tls = format!("[radio.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n{clients}");
    let stile = Stile::start_in(dir, "", &radio(&format!("{rest}\n{tls}")));
    let address = stile.door(OPEN);
    (stile, address, authority)
}

#[test]
fn over_tls_a_token_or_a_certificate_of_the_gateways_own_name_speaks_for_it() {
    let (stile, address, authority) = secure(false, &format!("gateways = [{{ eui = \"{ID}\", token = \"sesame\" }}]"));
    let uplink = Uplink::plain(address).with_tls(&authority.file, None).with_token("Bearer sesame");
    assert_eq!(uplink.discover(&json!(EUI))["uri"], format!("wss://localhost:{}/gateway/{ID}", address.port()));
    let client = listener(&stile);
    let (mut station, _) = uplink.join(EUI);
    station.say(&updf(&data_frame(1, 2), XTIME));
    client.next_where(|m| m.topic.ends_with("/event/up"));
    assert_eq!(Uplink::plain(address).open("/router-info").err(), Some(0), "without TLS");
    wait_refused(&stile, "tls", 1.0);

    let (stile, address, authority) = secure(true, "");
    let uplink = Uplink::plain(address);
    let path = format!("/gateway/{ID}");
    assert_eq!(uplink.clone().with_tls(&authority.file, None).open(&path).err(), Some(0), "without a certificate");
    let (certificate, key) = authority.sign("gateway", Some(ID));
    let named = uplink.clone().with_tls(&authority.file, Some((&certificate, &key)));
    assert_eq!(named.open("/gateway/::1").err(), Some(403), "another gateway's name");
    let (_station, config) = named.join(EUI);
    assert_eq!(config["region"], "EU863");
    wait_refused(&stile, "certificate", 1.0);
}

#[test]
fn whatever_a_station_says_amiss_is_counted_under_its_reason_and_hurts_nobody_else() {
    let (stile, uplink) = start("");
    let client = listener(&stile);
    let (mut station, _) = uplink.join(EUI);
    let good = updf(&data_frame(1, 2), XTIME);
    let with = |key: &str, value: Value| {
        let mut bad = good.clone();
        bad[key] = value;
        bad
    };
    for (bad, reason) in [
        (json!([]), "json"),
        (json!({ "msgtype": "rmtsh", "rmtsh": [] }), "message-type"),
        (json!({ "msgtype": "runcmd", "command": "reboot" }), "message-type"),
        (with("MIC", json!("x")), "field"),
        (with("FRMPayload", json!("0g")), "hex"),
        (with("FOpts", json!("00")), "size-mismatch"),
        (with("FRMPayload", json!("00".repeat(300))), "frame-too-long"),
        (with("DR", json!(12)), "data-rate"),
        (with("Freq", json!(1)), "frequency"),
        (json!({ "msgtype": "dntxed", "diid": 5 }), "ack-unasked"),
    ] {
        let counter = format!("stile_lora_refused_total{{radio=\"mast\",reason=\"{reason}\"}}");
        let before = stile.metric(&counter);
        station.say(&bad);
        stile.wait_metric(&counter, |count| count == before + 1.0);
    }
    station.socket.send(Message::binary(vec![0; 100])).unwrap();
    wait_refused(&stile, "binary", 1.0);
    // In pieces, and the connection still holds.
    let text = good.to_string();
    let (head, tail) = text.split_at(40);
    let frame = |first: u8, text: &str| stile_tests::frame(first, text.as_bytes());
    station.socket.get_mut().write_all(&frame(0x01, head)).unwrap();
    station.socket.get_mut().write_all(&frame(0x80, tail)).unwrap();
    client.next_where(|m| m.topic.ends_with("/event/up"));
    // A neighbour is not disturbed by one that sends 100 MB, half a message, or no WebSocket.
    let (mut neighbour, _) = uplink.join(7);
    let mut giant = uplink.open(&format!("/gateway/{:016x}", 8)).unwrap();
    let header = [&[0x81, 0xff][..], &100_000_000_u64.to_be_bytes(), &[0; 4]].concat();
    giant.socket.get_mut().write_all(&header).unwrap();
    assert!(giant.is_closed());
    wait_refused(&stile, "oversized", 1.0);
    let mut half = uplink.open(&format!("/gateway/{:016x}", 9)).unwrap();
    half.socket.get_mut().write_all(&frame(0x81, head)[..20]).unwrap();
    drop(half);
    let mut random = Random::new(7);
    for _ in 0..20 {
        let noise: Vec<u8> = (0..200).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let mut stream = std::net::TcpStream::connect(stile.door(OPEN)).unwrap();
        let _ = stream.write_all(&noise);
    }
    neighbour.say(&good);
    let up = client.next_where(|m| m.topic.ends_with("/event/up") && m.topic.contains("0000000000000007"));
    assert_eq!(up.json()["phyPayload"], base64(&data_frame(1, 2)));
}

#[test]
fn a_station_that_floods_holds_up_itself_and_loses_no_frame_of_its_neighbour() {
    let (stile, uplink) = start("");
    let client = listener(&stile);
    let (mut neighbour, _) = uplink.join(7);
    let (mut noisy, _) = uplink.join(8);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = EndOnDrop(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                noisy.socket.send(Message::text("{\"msgtype\":")).unwrap();
            }
        });
        wait_refused_more(&stile, "rate-limit", 1000.0);
        for counter in 0..300 {
            neighbour.say(&updf(&data_frame(1, counter), XTIME));
            let up = client.next_where(|m| m.topic.ends_with("/event/up")).json();
            assert_eq!(up["rxInfo"]["metadata"]["f_cnt"], counter.to_string());
        }
    });
    assert_eq!(stile.radio("mast", "frames_received_total"), 300.0);
}

#[test]
fn filters_hold_for_stations_and_are_told_to_them_where_they_mean_the_same() {
    let (stile, uplink) = start("[radio.filter]\nnet-ids = [\"000013\"]\njoin-euis = [\"70b3d57ed0000000/36\"]");
    let client = listener(&stile);
    let (mut station, config) = uplink.join(EUI);
    assert_eq!((&config["NetID"], config["JoinEui"].as_array().unwrap().len()), (&json!([0x13]), 1));
    station.say(&updf(&data_frame(0x2801_0203, 1), XTIME));
    wait_refused(&stile, "dev-addr", 1.0);
    station.say(&updf(&data_frame(0x2601_0203, 1), XTIME));
    client.next_where(|m| m.topic.ends_with("/event/up"));
}

#[test]
fn a_port_that_is_taken_is_opened_when_it_is_free_and_a_reload_ends_and_begins_connections() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let on = |rest: &str| radio(rest).replace("127.0.0.1:0", &address.to_string());
    let stile = Stile::start(&on(""));
    stile.wait_log("port not open; tried again until it is");
    drop(taken);
    stile.wait_log(OPEN);
    let uplink = Uplink::plain(address);
    let (mut station, _) = uplink.join(EUI);
    let client = listener(&stile);
    client.next_where(|m| m.topic.ends_with("/state/conn") && m.json()["state"] == "ONLINE");
    stile.reload("", &on("channels = [867100000]"));
    assert!(station.is_closed());
    client.next_where(|m| m.topic.ends_with("/state/conn") && m.json()["state"] == "OFFLINE");
    stile.wait_another(OPEN, 1);
    let (_station, config) = uplink.join(EUI);
    assert_eq!(config["sx1301_conf"][0]["radio_0"]["freq"], 867_100_000);
}

#[test]
fn the_time_is_told_where_it_is_known_and_statistics_when_a_station_goes_at_the_latest() {
    let (stile, uplink) = start("");
    let client = listener(&stile);
    let (mut station, config) = uplink.join(EUI);
    let known = config.get("MuxTime").is_some();
    station.say(&json!({ "msgtype": "timesync", "txtime": 9_007_199_254_740_993_i64 }));
    if known {
        let answer = station.next_of("timesync");
        assert_eq!(answer["txtime"], 9_007_199_254_740_993_i64);
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let gps = answer["gpstime"].as_u64().unwrap() / 1_000_000;
        assert!((gps + 315_964_800 - 18).abs_diff(unix) < 60, "{answer}");
    }
    stile.wait_metric("stile_lora_station_messages_total{radio=\"mast\",kind=\"timesync\"}", |count| count == 1.0);
    station.say(&updf(&data_frame(1, 2), XTIME));
    client.next_where(|m| m.topic.ends_with("/event/up"));
    client.publish(&format!("{GATEWAY}/command/config"), QoS::AtLeastOnce, false, "{\"version\":\"v7\"}");
    // What was not told yet is told when it goes.
    client.publish(&format!("{GATEWAY}/command/raw"), QoS::AtLeastOnce, false, "{}");
    stile.wait_log("raw command not passed on: Stations run programs by such");
    drop(station);
    let stats = client.next_where(|m| m.topic.ends_with("/event/stats") && m.json()["rxPacketsReceived"] == 1).json();
    assert_eq!((&stats["gatewayId"], &stats["configVersion"]), (&json!(ID), &json!("v7")));
    assert_eq!(stats["rxPacketsPerFrequency"]["868100000"], 1);
    assert_eq!(stats["metadata"]["station"], "2.0.6(linux/std)");
}
