//! The made-up devices of a LoRa gateway, with this test as their network server: it opens their frames with the keys that are
//! written down, lets one join, and hands what they send to the filters for it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::Path;

use lorawan::creator::JoinAcceptCreator;
use lorawan::default_crypto::DefaultFactory;
use lorawan::keys::{AES128, AppKey};
use lorawan::parser::{
    DataHeader, DataPayload, DecryptedJoinAcceptPayload, DevNonce, FRMPayload, JoinRequestPayload, PhyPayload, parse,
};
use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::forwarder::base64;
use stile_tests::{Client, Stile};

const SEED: u64 = 7;
const GATEWAY: &str = "eu868/gateway/0200000000000007";
/// The address that is given to the device that joins.
const GIVEN: u32 = 0x0123_4567;

/// As docs/simulate.md says.
fn key(number: u64, mark: u8) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&SEED.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key[0] |= mark;
    key
}

fn plugin(name: &str, settings: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(format!("target/plugins/{name}.wasm"));
    assert!(file.exists(), "{} is not there; make plugins", file.display());
    format!(
        "[[plugin]]\nname = {name:?}\nfile = {file:?}\ntopics = [\"{name}-in/+/up\"]\ngrants = [\"kv\", \"emit\"]\n\
         publish = [\"{name}/#\"]\ntick = \"10s\"\n[plugin.settings]\n{settings}\n"
    )
}

fn of_base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text.trim_end_matches('=').bytes().map(|byte| value(byte).into()).collect();
    let chunk = |digits: &[u32]| {
        let bits = digits.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - digits.len()));
        bits.to_be_bytes()[1..digits.len()].to_vec()
    };
    digits.chunks(4).flat_map(chunk).collect()
}

/// Opens a frame: its port and its payload in hex.
fn open(phy: &[u8], network: [u8; 16], application: [u8; 16]) -> (u8, String) {
    let PhyPayload::Data(DataPayload::Encrypted(data)) = parse(phy.to_vec()).unwrap() else { panic!("data") };
    let counter = data.fhdr().fcnt().into();
    let data = data.decrypt_if_mic_ok(&AES128(network), &AES128(application), counter).expect("the MIC is right");
    let FRMPayload::Data(payload) = data.frm_payload() else { panic!("a payload") };
    (data.f_port().unwrap(), payload.iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Server {
    stile: Stile,
    client: Client,
}

impl Server {
    fn start() -> Self {
        let radio = format!(
            "[[radio]]\nname = \"roof\"\nkind = \"simulated\"\ndevice = \"lora-gateway\"\nregion = \"eu868\"\n\
             seed = {SEED}\nperiod = \"500ms\"\n"
        );
        let source = "source = { format = \"hex\", device-level = 1 }";
        let sensors = format!("sensors = [{{ topics = \"telecare-in/+/up\", kind = \"elsys\", {source} }}]");
        let water = format!("{source}\nlitres = 10");
        let stile = Stile::start(&(radio + &plugin("telecare", &sensors) + &plugin("water", &water)));
        let client = Client::connect(stile.mqtt, "server");
        for filter in [&format!("{GATEWAY}/event/+"), "telecare-in/#", "telecare/#", "water/#"] {
            client.subscribe(filter, QoS::AtLeastOnce);
        }
        Self { stile, client }
    }

    /// The next frame in which this is seen, and the event.
    fn heard(&self, key: &str, value: &str) -> (Vec<u8>, Value) {
        let fits = |event: &Value| event["rxInfo"]["metadata"][key] == value;
        let message = self.client.next_where(|m| m.topic.ends_with("/event/up") && fits(&m.json())).json();
        (of_base64(message["phyPayload"].as_str().unwrap()), message)
    }

    /// Sends a join accept in the first window after a join request.
    fn accept(&self, accept: &[u8], request: &Value) {
        let item = json!({ "phyPayload": base64(accept), "txInfo": { "frequency": 869_525_000, "power": 14,
            "modulation": { "lora": { "bandwidth": 125_000, "spreadingFactor": 9, "polarizationInversion": true } },
            "timing": { "delay": { "delay": "5s" } }, "context": request["rxInfo"]["context"] } });
        let down = json!({ "downlinkId": 7, "items": [item] }).to_string();
        self.client.publish(&format!("{GATEWAY}/command/down"), QoS::AtLeastOnce, false, down);
        let ack = self.client.next_where(|m| m.topic.ends_with("/ack")).json();
        assert_eq!(ack["items"], json!([{ "status": "OK" }]));
    }
}

#[test]
fn a_device_is_let_in_and_filters_read_what_it_sends() {
    let server = Server::start();
    // The first of the rooms.
    let (phy, request) = server.heard("dev_eui", "060000000000070a");
    let app_key = key(10, 0x40);
    let asked = JoinRequestPayload::new_with_factory(phy, DefaultFactory).unwrap();
    assert!(asked.validate_mic(&AES128(app_key)));
    let nonce: [u8; 2] = asked.dev_nonce().as_ref().try_into().unwrap();

    let mut buffer = [0; 17];
    let mut accept = JoinAcceptCreator::with_options(&mut buffer[..], DefaultFactory).unwrap();
    accept.set_app_nonce(&[1, 2, 3]).set_net_id(&[0, 0, 0]).set_dev_addr(GIVEN.to_le_bytes()).set_rx_delay(1);
    let accept = accept.build(&AES128(app_key)).unwrap().to_vec();
    server.accept(&accept, &request);

    let app_key = AppKey::from(app_key);
    let accept = DecryptedJoinAcceptPayload::new_with_factory(accept, &app_key, DefaultFactory).unwrap();
    let nonce = DevNonce::from(nonce);
    let (network, application) = (accept.derive_newskey(&nonce, &app_key), accept.derive_appskey(&nonce, &app_key));
    let (phy, event) = server.heard("dev_addr", "01234567");
    assert_eq!(event["rxInfo"]["metadata"]["f_cnt"], "0");
    let (port, payload) = open(&phy, network.inner().0, application.inner().0);
    assert_eq!(port, 5);

    server.client.publish("telecare-in/060000000000070a/up", QoS::AtLeastOnce, false, payload);
    let pack = server.client.next_where(|m| m.topic == "telecare-in/060000000000070a/up").json();
    let names: Vec<_> = pack.as_array().unwrap().iter().map(|record| record["n"].as_str().unwrap()).collect();
    assert_eq!(names, ["temperature", "humidity", "light", "motion"]);
    assert!((16.0..=24.0).contains(&pack[0]["v"].as_f64().unwrap()), "{pack}");
}

#[test]
fn a_device_that_nobody_lets_in_speaks_with_the_keys_that_are_written_down() {
    let server = Server::start();
    let (phy, _) = server.heard("dev_addr", "0001000d");
    let (port, payload) = open(&phy, key(13, 0), key(13, 0x80));
    assert_eq!(port, 85);
    server.client.publish("water-in/060000000000070d/up", QoS::AtLeastOnce, false, payload);
    let meter = server.client.next_where(|m| m.topic == "water/meter/060000000000070d").json();
    let cubic_metres = meter["waterConsumption"]["value"].as_f64().unwrap();
    assert!((480.0..481.0).contains(&cubic_metres), "{meter}");
    assert!(server.stile.logged("plugin failed").is_empty());
}
