//! Made-up devices: the same seed says the same, through the whole daemon.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};

use rumqttc::QoS;
use stile_tests::{Client, Stile};

/// Messages of each radio that are compared.
const FIRST: usize = 4;
const RADIOS: [&str; 4] = ["p1", "gps", "meter", "room"];

fn radio(name: &str, device: &str, seed: u64) -> String {
    // A poll whose answer a loaded machine cuts costs a second, and must not hide a reading of the meter.
    let period = if name == "meter" { "1500ms" } else { "500ms" };
    format!(
        "[[radio]]\nname = {name:?}\nkind = \"simulated\"\ndevice = {device:?}\nseed = {seed}\nperiod = {period:?}\n"
    )
}

/// The first messages of each radio, with this seed.
fn first_messages(seed: u64) -> BTreeMap<String, Vec<String>> {
    let settings = radio("p1", "dsmr-p1", seed)
        + &radio("gps", "nmea", seed)
        + &radio("room", "line", seed)
        + &radio("meter", "sdm120", seed)
        + "[[radio.poll]]\nname = \"import\"\nperiod = \"40ms\"\nslave = 1\nfunction = 4\naddress = 72\ncount = 2\n\
           type = \"f32\"\n";
    let folder = tempfile::tempdir().unwrap();
    // The first message comes before the client does, so what a radio says is taken from the ledger's own beginning.
    let stile = Stile::start_in(folder, "", "");
    let client = Client::connect(stile.mqtt, "test");
    client.subscribe("serial/+/up", QoS::AtLeastOnce);
    stile.reload("", &settings);
    let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while RADIOS.iter().any(|name| messages.get(*name).is_none_or(|said| said.len() < FIRST)) {
        let message = client.next();
        let said = messages.entry(message.topic.split('/').nth(1).unwrap().to_owned()).or_default();
        // The meter is asked more often than its readings change.
        if said.len() < FIRST && said.last().is_none_or(|last| last != message.text()) {
            said.push(message.text().to_owned());
        }
    }
    messages
}

#[test]
fn the_same_seed_gives_the_same_messages_and_another_seed_others() {
    let [one, again, other] = std::thread::scope(|scope| {
        [7, 7, 8].map(|seed| scope.spawn(move || first_messages(seed))).map(|run| run.join().unwrap())
    });
    assert_eq!(one, again);
    for name in RADIOS {
        assert_ne!(one[name], other[name], "{name}");
    }
}

/// Waits until each device has sent a reading and has asked to join; gives the last frame.
fn hear_all_devices(client: &Client) -> serde_json::Value {
    let (mut speaking, mut joining) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let message = client.next_where(|m| m.topic == "eu868/gateway/0200000000000007/event/up").json();
        let seen = &message["rxInfo"]["metadata"];
        let text = |key: &str| seen[key].as_str().unwrap().to_owned();
        match text("frame_type").as_str() {
            "UnconfirmedDataUp" => speaking.insert(text("dev_addr")),
            "JoinRequest" => joining.insert((text("join_eui"), text("dev_eui"))),
            other => panic!("{other}"),
        };
        if (speaking.len(), joining.len()) == (14, 14) {
            assert_eq!(speaking.first().map(String::as_str), Some("00010000"));
            assert_eq!(joining.last().unwrap(), &("0a00000000000000".to_owned(), "060000000000070d".to_owned()));
            return message;
        }
    }
}

/// A made-up gateway of LoRa is heard, and sends at this frequency what it is told to.
#[track_caller]
fn is_heard_and_sent_to(device: &str, frequency: u32) {
    let stile = Stile::start(&format!(
        "[[radio]]\nname = \"mast\"\nkind = \"simulated\"\ndevice = \"{device}\"\nregion = \"eu868\"\nseed = 7\n\
         period = \"500ms\"\n",
    ));
    let client = Client::connect(stile.mqtt, "test");
    client.subscribe("eu868/gateway/+/event/+", QoS::AtLeastOnce);
    let frame = hear_all_devices(&client);
    let item = serde_json::json!({ "phyPayload": "YAAAAQAAAAAJAQIDBA==", "txInfo": { "frequency": frequency, "power": 14,
        "modulation": { "lora": { "bandwidth": 125_000, "spreadingFactor": 9, "polarizationInversion": true } },
        "timing": { "delay": { "delay": "5s" } }, "context": frame["rxInfo"]["context"] } });
    let down = serde_json::json!({ "downlinkId": 7, "items": [item] }).to_string();
    client.publish("eu868/gateway/0200000000000007/command/down", QoS::AtLeastOnce, false, down);
    let ack = client.next_where(|m| m.topic.ends_with("/ack")).json();
    assert_eq!(ack["items"], serde_json::json!([{ "status": "OK" }]));
    assert_eq!(stile.reload("", "")["message"], "reload done");
}

#[test]
fn a_made_up_station_is_heard_and_sent_to() {
    is_heard_and_sent_to("lora-station", 868_100_000);
}

#[test]
fn a_made_up_lora_gateway_is_heard_and_sent_to() {
    is_heard_and_sent_to("lora-gateway", 869_525_000);
}

#[test]
fn over_a_rough_network_some_frames_are_lost_and_some_overtaken() {
    let stile = Stile::start(
        "[[radio]]\nname = \"roof\"\nkind = \"simulated\"\ndevice = \"lora-gateway\"\nregion = \"eu868\"\nseed = 7\n\
         period = \"200ms\"\njitter = \"100ms\"\nloss = 30\nreorder = 20\n",
    );
    let client = Client::connect(stile.mqtt, "test");
    client.subscribe("eu868/gateway/+/event/up", QoS::AtLeastOnce);
    let (mut counters, mut order) = (BTreeMap::<String, BTreeSet<u64>>::new(), Vec::new());
    while order.len() < 200 {
        let seen = client.next().json()["rxInfo"]["metadata"].take();
        let Some(address) = seen["dev_addr"].as_str() else { continue };
        let counter = seen["f_cnt"].as_str().unwrap().parse().unwrap();
        order.push((counter, address.to_owned()));
        counters.entry(address.to_owned()).or_default().insert(counter);
    }
    let missing =
        |counters: &BTreeSet<u64>| counters.last().unwrap() - counters.first().unwrap() + 1 > counters.len() as u64;
    assert!(counters.values().any(missing), "none was lost");
    assert!(!order.is_sorted(), "none was overtaken: they speak one after the other");
}

#[test]
fn a_made_up_radio_that_is_taken_out_says_each_time_that_it_is_offline() {
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", "");
    let client = Client::connect(stile.mqtt, "test");
    client.subscribe("serial/room/state", QoS::AtLeastOnce);
    for _ in 0..10 {
        stile.reload("", &radio("room", "line", 1));
        assert_eq!(client.next().json()["state"], "online");
        stile.reload("", "");
        let last = client.next().json();
        assert_eq!((&last["state"], &last["reason"]), (&"offline".into(), &"the radio was stopped".into()));
    }
    assert!(stile.logged("port lost; it is opened again when it is back").is_empty(), "its port outlives its driver");
}
