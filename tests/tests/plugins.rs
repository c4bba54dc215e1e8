//! Plugins in a running gateway: on the messages' way, changed while it runs, and where they fail. They are the components
//! that `make plugins` left in target/plugins.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rumqttc::QoS;
use stile_tests::{Client, Stile};

fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(format!("target/plugins/{name}.wasm"));
    assert!(path.exists(), "{} is not there; make plugins", path.display());
    path
}

/// A plugin on `topics` in the settings.
fn plugin(name: &str, file: &Path, topics: &str, more: &str) -> String {
    format!("[[plugin]]\nname = \"{name}\"\nfile = \"{}\"\ntopics = [\"{topics}\"]\n{more}\n", file.display())
}

fn deadband(width: f64) -> String {
    let more = format!("tick = \"1s\"\n[plugin.settings]\nfields = {{ \"\" = {width} }}");
    plugin("deadband", &built("downsample"), "t/#", &more)
}

fn start(plugins: &str) -> (Stile, Client) {
    let stile = Stile::start(plugins);
    let client = Client::connect(stile.mqtt, "c");
    client.subscribe("t/#", QoS::AtLeastOnce);
    client.subscribe("other", QoS::AtLeastOnce);
    (stile, client)
}

/// Publishes these in turn, and an end; what came before the end.
fn through(client: &Client, readings: &[&str]) -> Vec<String> {
    for reading in readings {
        client.publish("t/a", QoS::AtLeastOnce, false, *reading);
    }
    client.publish("t/end", QoS::AtLeastOnce, false, "0");
    let mut seen = Vec::new();
    loop {
        let message = client.next();
        if message.topic == "t/end" {
            return seen;
        }
        seen.push(message.text().to_owned());
    }
}

#[test]
fn a_plugin_takes_out_what_it_should_and_nothing_else() {
    let (stile, client) = start(&deadband(0.5));
    assert_eq!(through(&client, &["20.0", "20.1", "20.6", "20.7"]), ["20.0", "20.6"]);
    client.publish("other", QoS::AtLeastOnce, false, "20.0");
    client.publish("other", QoS::AtLeastOnce, false, "20.0");
    assert_eq!((client.next().text(), client.next().text()), ("20.0", "20.0"));
    assert_eq!(stile.metric("stile_messages_filtered_total"), 2.0);
    assert_eq!(stile.metric("stile_plugin_messages_total{plugin=\"deadband\"}"), 5.0);
    assert_eq!(stile.metric("stile_plugin_filtered_total{plugin=\"deadband\",reason=\"unchanged\"}"), 2.0);
}

#[test]
fn new_settings_are_taken_while_messages_go_on() {
    let (stile, client) = start(&deadband(0.5));
    assert_eq!(through(&client, &["20.0", "20.1"]), ["20.0"]);
    let verdict = stile.reload("", &deadband(0.05));
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    assert_eq!(through(&client, &["30.0", "30.1", "30.11"]), ["30.0", "30.1"]);
    let verdict = stile.reload("", "");
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    assert_eq!(through(&client, &["30.0", "30.0"]), ["30.0", "30.0"]);
}

#[test]
fn settings_that_the_plugin_refuses_leave_its_predecessor_at_work() {
    let (stile, client) = start(&deadband(0.5));
    let wrong = plugin("deadband", &built("downsample"), "t/#", "tick = \"1s\"\n[plugin.settings]\nfields = 7");
    let verdict = stile.reload("", &wrong);
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    let told = stile.wait_log("a plugin could not be loaded; without a predecessor its messages go by on-failure");
    assert!(
        told["error"].as_str().unwrap().contains("`fields` in [plugin.settings] is a whole number, not a table"),
        "{told}"
    );
    assert_eq!(through(&client, &["20.0", "20.1"]), ["20.0"]);
    assert_eq!(stile.metric("stile_plugin_state{plugin=\"deadband\",state=\"ready\"}"), 1.0);
    assert_eq!(stile.metric("stile_plugin_outdated{plugin=\"deadband\"}"), 1.0);
}

#[test]
fn a_plugin_that_is_no_component_keeps_nothing_else_from_working() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("garbage.wasm");
    std::fs::write(&file, [0_u8; 4096]).unwrap();
    for (policy, expected) in [("pass", 1), ("drop", 0)] {
        let (stile, client) = start(&plugin("garbage", &file, "t/a", &format!("on-failure = \"{policy}\"")));
        assert_eq!(through(&client, &["x"]).len(), expected);
        assert_eq!(stile.metric("stile_plugin_state{plugin=\"garbage\",state=\"not-loaded\"}"), 1.0);
        assert_eq!(stile.dropped("plugin-failed"), 1 - expected as u64);
    }
}

#[test]
fn a_second_start_compiles_nothing_and_a_newer_component_is_taken_at_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("filter.wasm");
    std::fs::copy(built("pass"), &file).unwrap();
    let settings = plugin("filter", &file, "t/#", "tick = \"1s\"\n[plugin.settings]\nfields = { \"\" = 0.5 }");
    let (stile, client) = start(&plugin("filter", &file, "t/#", ""));
    assert_eq!(through(&client, &["1", "1"]), ["1", "1"]);
    std::fs::copy(built("downsample"), &file).unwrap();
    let verdict = stile.reload("", &settings);
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    assert_eq!(through(&client, &["1", "1"]), ["1"]);
    let cache = stile.dir.path().join("data/plugins/cache");
    let entries = || std::fs::read_dir(&cache).unwrap().count();
    assert_eq!(entries(), 2);
    client.expect_silence(Duration::from_millis(50));
}

#[test]
fn a_meter_on_a_serial_port_becomes_readings_with_units() {
    let radio = "[[radio]]\nname = \"p1\"\nkind = \"simulated\"\ndevice = \"dsmr-p1\"\nperiod = \"100ms\"\n";
    let meter = plugin("meter", &built("meter"), "serial/p1/up", "grants = [\"kv\", \"emit\"]\non-failure = \"drop\"");
    let stile = Stile::start(&format!("{radio}\n{meter}"));
    let client = Client::connect(stile.mqtt, "c");
    client.subscribe("serial/p1/up", QoS::AtLeastOnce);
    let (first, second) = (client.next().json(), client.next().json());
    let reading = |pack: &serde_json::Value, name: &str| {
        pack.as_array().unwrap().iter().find(|record| record["n"] == name).cloned().unwrap_or_default()
    };
    for pack in [&first, &second] {
        assert_eq!(pack[0]["bn"], "serial/p1/up/", "{pack}");
        assert_eq!(
            (&reading(pack, "energy-import-t1")["u"], &reading(pack, "1/gas")["u"]),
            (&"Wh".into(), &"m3".into())
        );
    }
    assert!(reading(&second, "energy-import-t1-delta")["v"].is_number(), "{second}");
    assert_eq!(stile.metric("stile_plugin_decisions_total{plugin=\"meter\",decision=\"reject\"}"), 0.0);
}

#[test]
fn a_thermostat_is_asked_and_its_next_word_confirms_it() {
    let settings = "grants = [\"kv\", \"emit\"]\n[plugin.settings.thermostats]\n\
        hall = { device = \"24e124126d000002\", model = \"wt101\" }\n[plugin.settings.downlink]\n\
        topic = \"t/down/{device}\"\nformat = \"hex\"\n[plugin.settings.source]\nformat = \"hex\"\ndevice-level = 2";
    let file = built("thermostat");
    let (_stile, client) = start(
        &plugin("thermostat", &file, "+/+/24e124126d000002", settings)
            .replace("topics = [", "topics = [\"thermostat/+/set\", "),
    );
    client.subscribe("thermostat/#", QoS::AtLeastOnce);
    client.publish("thermostat/hall/set", QoS::AtLeastOnce, false, r#"{"target":21}"#);
    let state = |wanted: &str| {
        let fits = |state: &serde_json::Value| state["state"] == wanted;
        client.next_where(|message| message.topic.ends_with("/state") && fits(&message.json())).json()
    };
    let down = client.next();
    assert_eq!((down.topic.as_str(), down.text()), ("t/down/24e124126d000002", "ffb1150500"));
    assert_eq!(state("asked")["asked"], 21.0);
    client.publish("a/b/24e124126d000002", QoS::AtLeastOnce, false, "0467d200");
    assert_eq!(state("confirmed")["target"], 21.0);
}

/// In Python it does too, but compiling that takes longer than a test waits for a gateway.
#[test]
fn a_filter_does_the_same_in_each_language() {
    for name in ["threshold", "threshold-js", "threshold-c"] {
        let more = "grants = [\"kv\"]\n[plugin.settings]\nlimit = 30";
        let (stile, client) = start(&plugin("threshold", &built(name), "t/#", more));
        let seen = through(&client, &["20", "20", "31", "no number"]);
        let [first, high, alert, passed] = seen.as_slice() else { panic!("{name}: {seen:?}") };
        assert_eq!([first, high, passed], ["20", "31", "no number"], "{name}");
        let alert: serde_json::Value = serde_json::from_str(alert).unwrap();
        assert_eq!((alert["reading"].as_f64(), alert["limit"].as_f64()), (Some(31.0), Some(30.0)), "{name}");
        let metric = |what: &str| stile.metric(&format!("stile_plugin_{what}"));
        assert_eq!(metric("filtered_total{plugin=\"threshold\",reason=\"unchanged\"}"), 1.0, "{name}");
        assert_eq!(metric("state{plugin=\"threshold\",state=\"ready\"}"), 1.0, "{name}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_component_holds_up_no_reload() {
    let (stile, client) = start("");
    let pipe = stile.dir.path().join("pipe.wasm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let verdict = stile.reload("", &plugin("pipe", &pipe, "t/#", ""));
    assert_eq!(verdict["message"], "reload done", "{verdict}");
    let told = stile.wait_log("a plugin could not be loaded; without a predecessor its messages go by on-failure");
    assert_eq!(told["error"], "it is no regular file");
    assert_eq!(through(&client, &["1"]), ["1"]);
}
