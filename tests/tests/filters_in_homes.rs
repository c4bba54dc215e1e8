//! The filters for people who live alone, as components in a running gateway: a radar on a real serial line, a sensor
//! in a network server's event. What they judge is tested beside them; here, that what they say goes where it should.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::Path;
use std::time::Duration;

use rumqttc::QoS;
use stile_tests::{Client, Rig, Stile, serial};

/// A frame of Seeed's MR60FDA2 that reports a fall.
const FALL: [u8; 10] = [0x01, 0x00, 0x00, 0x00, 0x01, 0x0e, 0x02, 0xf3, 0x01, 0xfe];

fn plugin(name: &str, topics: &[&str], settings: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(format!("target/plugins/{name}.wasm"));
    assert!(file.exists(), "{} is not there; make plugins", file.display());
    format!(
        "[[plugin]]\nname = \"{name}\"\nfile = \"{}\"\ntopics = {topics:?}\ngrants = [\"kv\", \"emit\"]\n\
         publish = [\"{name}/#\"]\ntick = \"100ms\"\n[plugin.settings]\n{settings}\n",
        file.display()
    )
}

fn falls(escalate: &str) -> String {
    let sensors = "sensors = [{ topics = \"serial/+/up\", kind = \"mr60fda2\" }]\nplaces = { a = \"flat-12\" }";
    plugin("falls", &["serial/+/up", "falls/+/ack"], &format!("{sensors}\nescalate = [{escalate}]"))
}

#[test]
fn a_fall_that_a_radar_reports_is_told_and_held_and_raised_until_it_is_acknowledged() {
    let rig = Rig::start_beside("framing = \"raw\"", |_| falls("\"1s\""));
    let carer = Client::connect(rig.stile.mqtt, "carer");
    carer.subscribe("falls/#", QoS::AtLeastOnce);
    // The line cuts the frame where it likes.
    rig.pty().write(&FALL[..4]);
    rig.next("up");
    rig.pty().write(&FALL[4..]);
    let told = carer.next();
    let first = told.json();
    assert_eq!(
        (told.topic.as_str(), &first["state"], &first["level"]),
        ("falls/flat-12/alert", &"open".into(), &0.into())
    );
    let raised = carer.next().json();
    assert_eq!((&raised["id"], &raised["level"]), (&first["id"], &1.into()));

    // Whoever comes later is told as well.
    let late = Client::connect(rig.stile.mqtt, "late");
    late.subscribe("falls/+/alert", QoS::AtLeastOnce);
    let kept = late.next();
    assert_eq!((kept.retain, kept.json()), (true, raised));

    // A new instance, with new settings, knows of it and tells it again.
    let verdict = rig.stile.reload("", &(serial("a", &rig.port, "framing = \"raw\"") + &falls("\"1s\", \"1h\"")));
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    assert_eq!(carer.next().json()["id"], first["id"]);

    carer.publish("falls/flat-12/ack", QoS::AtLeastOnce, false, format!("{{\"id\":{}}}", first["id"]));
    let over = carer.next_where(|message| message.topic.ends_with("/alert")).json();
    assert_eq!((&over["id"], &over["state"]), (&first["id"], &"acknowledged".into()));
}

#[test]
fn a_frame_with_a_wrong_checksum_is_rejected_and_tells_nothing() {
    let rig = Rig::start_beside("framing = \"raw\"", |_| falls("\"1h\""));
    let carer = Client::connect(rig.stile.mqtt, "carer");
    carer.subscribe("falls/#", QoS::AtLeastOnce);
    let mut damaged = FALL;
    damaged[8] = 0;
    rig.pty().write(&damaged);
    // It passes, since `on-failure` says nothing else.
    rig.next("up");
    rig.stile.wait_metric("stile_plugin_decisions_total{plugin=\"falls\",decision=\"reject\"}", |count| count == 1.0);
    carer.expect_silence(Duration::from_millis(300));
}

#[test]
fn readings_in_a_network_servers_event_go_on_as_senml() {
    let sensors = "sensors = [{ topics = \"application/1/device/+/event/up\", kind = \"elsys\" }]";
    let stile = Stile::start(&plugin("telecare", &["application/+/device/+/event/up"], sensors));
    let client = Client::connect(stile.mqtt, "c");
    client.subscribe("application/#", QoS::AtLeastOnce);
    // Elsys's own example.
    let event = r#"{ "deviceInfo": { "devEui": "a81758fffe03dac1" }, "fPort": 5, "data": "AQDiAikEACcFBg==" }"#;
    client.publish("application/1/device/a81758fffe03dac1/event/up", QoS::AtLeastOnce, false, event);
    let pack = client.next().json();
    let readings: Vec<_> = pack.as_array().unwrap().iter().map(|record| (&record["n"], &record["v"])).collect();
    let wanted = [("temperature", 22.6), ("humidity", 41.0), ("light", 39.0), ("motion", 6.0)];
    assert_eq!(readings.len(), wanted.len(), "{pack}");
    for ((name, value), (wanted_name, wanted_value)) in readings.into_iter().zip(wanted) {
        assert_eq!((name, value.as_f64()), (&wanted_name.into(), Some(wanted_value)), "{pack}");
    }
    assert_eq!(pack[0]["bn"], "a81758fffe03dac1/");
}
