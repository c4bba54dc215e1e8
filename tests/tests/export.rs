//! What is kept of measurements, exported: by the command line, the API and the page, over kills and damage.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::cell::RefCell;

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::cellular::{CellularModem, Maker, Serving};
use stile_tests::{Client, Measuring, PASSWORD, Stile, Tally, V5Client, Visitor, check, within_or};

const SETTINGS: &str = "[measurements]\ninterval = \"100ms\"\n";

fn signal(seq: u64, place: Option<(f64, f64)>) -> String {
    let mut signal = json!({ "clock": "synchronised", "radio": "wwan", "seq": seq, "technology": "nr-sa",
        "nr": { "rsrp": -90 - (seq % 20) as i64, "rsrq": -10.5 } });
    if let Some((lat, lon)) = place {
        signal["position"] = json!({ "lat": lat, "lon": lon, "quality": "fix", "source": "gps" });
    }
    signal.to_string()
}

fn publish(stile: &Stile, count: std::ops::Range<u64>) {
    let client = Client::connect(stile.mqtt, "modem");
    for seq in count {
        let place = (seq % 2 == 0).then_some((51.5 + seq as f64 * 0.0005, -0.13));
        client.publish("cellular/wwan/signal", QoS::AtLeastOnce, false, signal(seq, place));
    }
}

/// Exports with these options; standard output.
#[track_caller]
fn export(stile: &Stile, options: &[&str]) -> String {
    let config = stile.dir.path().join("stile.toml");
    let (code, out, err) = check(&[&["export", "--config", config.to_str().unwrap()], options].concat());
    assert_eq!(code, 0, "{err}");
    out
}

#[test]
fn what_was_said_is_exported_in_each_form_and_by_topic_and_time() {
    let stile = Stile::start(SETTINGS);
    publish(&stile, 0..40);
    let client = Client::connect(stile.mqtt, "probe");
    client.publish(
        "probe/p/result",
        QoS::AtLeastOnce,
        false,
        r#"{"probe":"p","kind":"stamp","sent":10,"rtt_ms_mean":1.5}"#,
    );
    client.publish("serial/a/up", QoS::AtLeastOnce, false, "not kept");
    let csv = export(&stile, &[]);
    let lines: Vec<_> = csv.split_terminator("\r\n").collect();
    assert!(lines[0].starts_with("time,topic,name,clock") && lines.len() == 42, "{csv}");
    let columns = export(&stile, &["--columns", "topic,seq,nr_rsrp,position_lat", "--topic", "cellular/+/signal"]);
    let lines: Vec<_> = columns.split_terminator("\r\n").collect();
    assert_eq!((lines.len(), lines[3]), (41, "cellular/wwan/signal,2,-92,51.501"));
    let influx = export(&stile, &["--format", "influx", "--topic", "probe/#"]);
    assert!(influx.starts_with("probe_result,gateway=test,kind=stamp,probe=p sent=10i,rtt_ms_mean=1.5 "), "{influx}");
    let senml: Value = serde_json::from_str(&export(&stile, &["--format", "senml"])).unwrap();
    assert_eq!(senml[0]["bn"], "cellular/wwan/");
    let points: Value = serde_json::from_str(&export(&stile, &["--format", "geojson"])).unwrap();
    assert_eq!((points["features"].as_array().unwrap().len(), &points["without_position"]), (20, &json!(21)));
    let json = export(&stile, &["--format", "json", "--topic", "probe/+/result", "--topic", "cellular/+/cell"]);
    assert_eq!(serde_json::from_str::<Value>(json.trim()).unwrap()["topic"], "probe/p/result");
    assert_eq!(export(&stile, &["--to", "1h", "--format", "json"]), "", "nothing is as old as that");
    assert_eq!(export(&stile, &["--from", "1h", "--format", "json"]).lines().count(), 41);
    let file = stile.dir.path().join("out.csv");
    assert_eq!(export(&stile, &["--output", file.to_str().unwrap()]), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), csv);
    assert!(!stile.dir.path().join("out.csv.part").exists());
    for (name, expected) in [("kept_total", 41.0), ("records", 41.0), ("dropped_total{reason=\"oldest\"}", 0.0)] {
        assert_eq!(stile.metric(&format!("stile_measurements_{name}")), expected, "{name}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_what_can() {
    let stile = Stile::start(SETTINGS);
    let config = stile.dir.path().join("stile.toml");
    for (options, said) in [
        (["--from", "yesterday"], "2h"),
        (["--topic", "a/#/b"], "filter"),
        (["--output", "/nowhere/out.csv"], "a folder that you may write"),
    ] {
        let (code, _, err) = check(&[&["export", "--config", config.to_str().unwrap()], &options[..]].concat());
        assert!(code == 1 && err.contains(said), "{options:?}: {err}");
    }
    let (code, _, err) = check(&["export", "--format", "xlsx"]);
    assert!(code == 2 && err.contains("geojson"), "{err}");
}

/// What was begun is taken away then.
#[test]
fn a_file_that_cannot_be_written_to_its_end_is_named_and_not_left_behind() {
    let stile = Stile::start(SETTINGS);
    publish(&stile, 0..1);
    let config = stile.dir.path().join("stile.toml");
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str| folder.path().join(format!("{name}.part"));
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("/dev/full", part("full")).unwrap();
    for (name, said) in
        [("full", "full.part: No space left on device (os error 28); make room"), ("folder", "/folder: ")]
    {
        let output = folder.path().join(name);
        let options = ["export", "--config", config.to_str().unwrap(), "--output", output.to_str().unwrap()];
        let (code, _, err) = check(&options);
        assert!(code == 1 && err.contains(said), "{name}: {err}");
        assert!(!part(name).is_symlink() && !part(name).exists(), "{name}");
    }
}

#[test]
fn records_outlive_a_kill_and_a_torn_end_keeps_nobody_from_starting() {
    let mut stile = Stile::start(SETTINGS);
    publish(&stile, 0..30);
    // An export writes what waits.
    assert_eq!(export(&stile, &["--format", "json"]).lines().count(), 30);
    stile.kill();
    let folder = stile.data("measurements/bulk");
    let file = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).max().unwrap();
    // A part of a batch that was being written.
    let mut torn = std::fs::read(&file).unwrap();
    torn.extend_from_slice(&torn.clone()[24..124]);
    std::fs::write(&file, &torn).unwrap();
    stile.start_again();
    publish(&stile, 30..40);
    let seqs: Vec<u64> =
        export(&stile, &["--columns", "seq"]).lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert_eq!(seqs, (0..40).collect::<Vec<_>>());
    stile.stop();
    stile.start_again();
    assert_eq!(export(&stile, &["--format", "json"]).lines().count(), 40);
}

#[test]
fn a_reload_takes_other_topics_and_ends_the_keeping() {
    let stile = Stile::start(SETTINGS);
    let client = Client::connect(stile.mqtt, "a");
    let say = |what: &str| client.publish("serial/a/up", QoS::AtLeastOnce, false, format!("{{\"n\":{what}}}"));
    say("1");
    stile.reload("", "[measurements]\ntopics = [\"serial/#\"]\n");
    say("2");
    stile.reload("", "[measurements]\nenabled = false\n");
    say("3");
    assert_eq!(export(&stile, &["--columns", "n"]), "n\r\n2\r\n");
}

#[test]
fn a_modem_says_lines_of_influxdb_that_are_exported_as_anything() {
    let modem = CellularModem::start(Maker::Quectel, Serving::NrSa(0x0913_B004));
    let device = modem.path();
    let radio = format!(
        "[[radio]]\nname = \"wwan\"\nkind = \"cellular\"\ndevice = {device:?}\nperiod = \"200ms\"\nformat = \"influx\"\n"
    );
    let stile = Stile::start(&format!("{SETTINGS}{radio}"));
    let client = V5Client::connect(stile.mqtt, "telegraf");
    client.subscribe("cellular/wwan/signal", QoS::AtLeastOnce);
    let line = client.next_where(|message| message.text().contains("nr_rsrp")).text().to_owned();
    assert!(line.starts_with("cellular_signal,cell=152285188,gateway=test,modem=wwan,technology=nr-sa "), "{line}");
    let csv = export(&stile, &["--columns", "technology,nr_rsrp", "--topic", "cellular/wwan/signal"]);
    assert!(csv.contains("\r\nnr-sa,-107\r\n"), "{csv}");
    let points: Value = serde_json::from_str(&export(&stile, &["--format", "geojson"])).unwrap();
    assert_eq!(points["features"], json!([]));
}

/// `make bench` does the same for an hour.
#[test]
fn no_record_of_four_modems_and_ten_probes_is_lost_on_its_way_or_from_the_export() {
    let tally = Measuring::start(std::time::Duration::from_millis(200)).count(20);
    let Tally { records, missing, repeated, not_exported, .. } = tally;
    assert!(records >= 14 * 20, "{tally:?}");
    assert_eq!((missing, repeated, not_exported), (0, 0, 0), "{tally:?}");
}

#[test]
fn whoever_may_see_messages_may_download_and_nobody_else() {
    let stile = Stile::start(SETTINGS);
    publish(&stile, 0..10);
    let mut anna = Visitor::first(&stile);
    let csrf = anna.get("/people").csrf();
    let ben = [("csrf", csrf.as_str()), ("name", "ben"), ("role", "viewer"), ("password", PASSWORD)];
    assert_eq!(anna.post("/people/add", &ben).leads_to(), "/people");
    let mut ben = Visitor::signed_in(&stile, "ben");
    let page = ben.get("/measurements").text();
    assert!(page.contains("5 readings have a place") && page.contains("<svg class=\"chart map\""), "{page}");
    let file = ben.get("/api/v1/measurements?format=geojson&from=&to=&topic=");
    assert_eq!((file.status, file.header("content-type")), (200, "application/geo+json"));
    assert!(file.header("content-disposition").contains(".geojson\""), "{}", file.header("content-disposition"));
    let kept = ben.get("/api/v1/measurements/kept").json();
    assert_eq!((&kept["records"], &kept["dropped"]), (&json!(10), &json!({})));
    let client = Client::connect(stile.mqtt, "blank");
    client.publish("cellular/my modem/signal", QoS::AtLeastOnce, false, signal(0, Some((51.5, -0.13))));
    let page = ben.get("/measurements?modem=my+modem").text();
    assert!(page.contains("1 readings have a place"), "{page}");
    let link = page.split_once("&amp;topic=").or_else(|| page.split_once("&#38;topic=")).unwrap().1;
    let topic = link.split('"').next().unwrap();
    let points = ben.get(&format!("/api/v1/measurements?format=geojson&topic={topic}")).json();
    assert_eq!(points["features"].as_array().unwrap().len(), 1);
    for path in ["/measurements?from=yesterday", "/measurements?modem=%23", "/api/v1/measurements?format=xlsx"] {
        assert_eq!(ben.get(path).status, 422, "{path}");
    }
    let mut stranger = Visitor::new(stile.admin);
    assert!([302, 303, 401].contains(&stranger.get("/api/v1/measurements").status));
    assert!([302, 303, 401].contains(&stranger.get("/measurements").status));
}

/// An answer that nobody reads holds up neither messages nor the end.
#[test]
fn whoever_reads_slowly_is_waited_for_by_nobody() {
    use std::io::{Read, Write};
    let mut stile = Stile::start("[measurements]\ntopics = [\"big/#\"]\ninterval = \"100ms\"\n");
    let client = Client::connect(stile.mqtt, "big");
    let payload = format!("{{\"text\":\"{}\"}}", "x".repeat(8_000));
    let config = stile.dir.path().join("stile.toml");
    for _ in 0..3 {
        (0..200).for_each(|_| client.publish("big/a", QoS::AtLeastOnce, false, payload.clone()));
        // Before an export comes, all is on disk: what would wait for a slow one, above 3.5 MiB, would not be kept.
        let (code, _, err) = check(&["export", "--config", config.to_str().unwrap()]);
        assert_eq!(code, 0, "{err}");
    }
    let mut slow: Vec<_> = (0..4)
        .map(|_| {
            let mut socket = std::os::unix::net::UnixStream::connect(stile.data("stile.sock")).unwrap();
            socket.write_all(b"GET /api/v1/measurements HTTP/1.1\r\nHost: stile\r\n\r\n").unwrap();
            let mut first = [0; 15];
            socket.read_exact(&mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200 OK");
            socket
        })
        .collect();
    let (code, _, err) = check(&["export", "--config", config.to_str().unwrap()]);
    assert!(code == 1 && err.contains("try again in a moment"), "{err}");
    client.publish("big/a", QoS::AtLeastOnce, false, "{}");
    slow.pop();
    let seen = RefCell::new(String::new());
    within_or(
        || format!("one of them has gone, and the last try {}", seen.borrow()),
        || {
            let (code, out, err) = check(&["export", "--config", config.to_str().unwrap(), "--format", "json"]);
            let lines = out.lines().count();
            *seen.borrow_mut() = format!("ended with {code} and {lines} lines: {err}");
            (code == 0 && lines == 601).then_some(())
        },
    );
    stile.stop();
}
