//! ChirpStack Concentratord to MQTT clients and back, with libzmq on the other side, in both forms of its messages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::concentratord::{CONTEXT, Concentratord, Generation, sockets};
use stile_tests::forwarder::{base64, data_frame};
use stile_tests::{Client, Proto, Stile, V5Client, Wire, or_skip, within};
use tempfile::TempDir;

const EUI: u64 = 0x0016_c001_ff10_a235;
const GATEWAY: &str = "eu868/gateway/0016c001ff10a235";
const BOTH: [Generation; 2] = [Generation::Old, Generation::New];

/// A daemon, a server that hears all of it, and where the sockets are.
struct Bench {
    stile: Stile,
    client: V5Client,
    dir: TempDir,
}

fn radio(dir: &TempDir, rest: &str) -> String {
    let [events, commands] = sockets(dir.path());
    format!(
        "[[radio]]\nname = \"hat\"\nkind = \"concentratord\"\nregion = \"eu868\"\nevent-url = \"{events}\"\n\
         command-url = \"{commands}\"\n{rest}\n"
    )
}

/// Skips the test where libzmq can't be had.
#[track_caller]
fn bench(rest: &str) -> Option<Bench> {
    or_skip("libzmq", Concentratord::python())?;
    let dir = tempfile::tempdir().unwrap();
    let stile = Stile::start(&radio(&dir, rest));
    let client = V5Client::connect(stile.mqtt, "server");
    client.subscribe("eu868/#", QoS::AtLeastOnce);
    Some(Bench { stile, client, dir })
}

/// One way to send it.
fn item(frequency: u32, factor: u32, delay: &str) -> Value {
    let lora =
        json!({ "bandwidth": 125_000, "spreadingFactor": factor, "codeRate": "CR_4_5", "polarizationInversion": true });
    json!({ "phyPayload": base64(&[0x60; 33]), "txInfo": { "frequency": frequency, "power": 14,
        "modulation": { "lora": lora }, "timing": { "delay": { "delay": delay } }, "context": base64(&CONTEXT) } })
}

fn windows() -> [Value; 2] {
    [item(868_100_000, 7, "1s"), item(869_525_000, 12, "2s")]
}

impl Bench {
    fn concentratord(&self, generation: Generation) -> Concentratord {
        Concentratord::start(self.dir.path(), generation, EUI)
    }

    /// Waits until it is said to be there and its events come: a subscription takes its time.
    fn until_heard(&self, concentratord: &Concentratord) {
        self.state("ONLINE");
        let count = "stile_lora_concentratord_events_total{radio=\"hat\",kind=\"stats\"}";
        let before = self.stile.metric(count);
        within("an event is heard", || {
            concentratord.stats(&stats(concentratord, &[]));
            (self.stile.metric(count) > before).then_some(())
        });
    }

    #[track_caller]
    fn state(&self, state: &str) {
        self.client.next_where(|m| m.topic == format!("{GATEWAY}/state/conn") && m.json()["state"] == state);
    }

    fn command(&self, last: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(&format!("{GATEWAY}/command/{last}"), QoS::AtLeastOnce, false, payload);
    }

    fn down(&self, id: u32, items: &[Value]) {
        self.command("down", json!({ "downlinkId": id, "items": items, "gatewayId": "0016c001ff10a235" }).to_string());
    }

    #[track_caller]
    fn statuses(&self, id: u32) -> Vec<String> {
        let ack = self.client.next_where(|m| m.topic == format!("{GATEWAY}/event/ack")).json();
        assert_eq!(ack["downlinkId"], id, "{ack}");
        ack["items"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap().to_owned()).collect()
    }

    fn wait_refused(&self, reason: &str, least: f64) {
        let counter = format!("stile_lora_refused_total{{radio=\"hat\",reason=\"{reason}\"}}");
        self.stile.wait_metric(&counter, |count| count >= least);
    }

    fn up(&self) -> Value {
        self.client.next_where(|m| m.topic == format!("{GATEWAY}/event/up")).json()
    }
}

/// Statistics: five frames heard, and what else is wanted.
fn stats(concentratord: &Concentratord, more: &[(u32, Wire)]) -> Proto {
    let own = [(17, Wire::Bytes(concentratord.id().into())), (5, Wire::Number(5))];
    Proto([&own[..], more].concat())
}

#[test]
fn frames_and_statistics_of_both_generations_reach_clients() {
    for generation in BOTH {
        let Some(bench) = bench("") else { return };
        let concentratord = bench.concentratord(generation);
        bench.until_heard(&concentratord);
        let phy = data_frame(0x2601_1f00, 298);
        concentratord.up(&concentratord.frame(&phy));
        let frame = bench.up();
        let lora = json!({ "bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5" });
        assert_eq!(frame["phyPayload"], base64(&phy));
        assert_eq!(frame["txInfo"], json!({ "frequency": 868_100_000, "modulation": { "lora": lora } }));
        let info = &frame["rxInfo"];
        assert_eq!((&info["gatewayId"], &info["uplinkId"]), (&json!("0016c001ff10a235"), &json!(4711)));
        assert_eq!(
            (&info["rssi"], &info["snr"], &info["context"]),
            (&json!(-57), &json!(9.5), &json!(base64(&CONTEXT)))
        );
        assert_eq!((&info["metadata"]["dev_addr"], &info["metadata"]["f_cnt"]), (&json!("26011f00"), &json!("298")));
        let emitted = Proto(vec![(1, Wire::Number(868_100_000)), (2, Wire::Number(3))]).write();
        let version = (4, Wire::Bytes(b"v7".to_vec()));
        concentratord.stats(&stats(&concentratord, &[version, (12, Wire::Bytes(emitted))]));
        let stats = bench.client.next_where(|m| m.topic.ends_with("/event/stats") && m.json()["configVersion"] == "v7");
        let stats = stats.json();
        assert_eq!((&stats["rxPacketsReceived"], &stats["txPacketsPerFrequency"]["868100000"]), (&json!(5), &json!(3)));
        assert_eq!(stats["dutyCycleStats"]["bands"].as_array().map(Vec::len), Some(5));
        assert_eq!(bench.stile.radio("hat", "frames_received_total"), 1.0);
        bench.stile.wait_metric("stile_lora_gateways_online{radio=\"hat\"}", |count| count == 1.0);
    }
}

#[test]
fn a_downlink_reaches_both_generations_and_their_answer_comes_back() {
    for generation in BOTH {
        let Some(bench) = bench("") else { return };
        let concentratord = bench.concentratord(generation);
        bench.state("ONLINE");
        bench.down(7, &windows());
        let asked = concentratord.next();
        assert_eq!((asked.word.as_str(), asked.message.number(3)), ("down", 7));
        let items: Vec<_> = asked.message.all(5).iter().map(|item| Proto::read(item)).collect();
        assert_eq!((items.len(), items[1].bytes(1)), (2, vec![0x60; 33]));
        let info = items[1].message(3);
        assert_eq!((info.number(1), info.number(2), info.bytes(7)), (869_525_000, 14, CONTEXT.to_vec()));
        let delay = info.message(6).message(2).message(1);
        assert_eq!((delay.number(1), info.message(3).message(3).number(4)), (2, 1), "2 s, and inverted");
        // TOO_LATE, and then OK.
        concentratord.acknowledge(&asked.message, &[2, 1]);
        assert_eq!(bench.statuses(7), ["TOO_LATE", "OK"]);
        assert_eq!(bench.stile.radio("hat", "frames_sent_total"), 1.0);
        // What it can't make anything of it answers with nothing.
        bench.down(8, &windows());
        concentratord.next();
        concentratord.answer(b"");
        assert_eq!(bench.statuses(8), ["INTERNAL_ERROR"; 2]);
    }
}

#[test]
fn what_the_region_forbids_never_reaches_concentratord_and_stands_in_the_statistics() {
    let Some(bench) = bench("") else { return };
    let concentratord = bench.concentratord(Generation::New);
    bench.until_heard(&concentratord);
    bench.down(1, &[item(868_650_000, 7, "1s"), item(869_525_000, 12, "2s")]);
    let asked = concentratord.next();
    assert_eq!(asked.message.all(5).len(), 1);
    concentratord.acknowledge(&asked.message, &[1]);
    assert_eq!(bench.statuses(1), ["TX_FREQ", "OK"]);
    // 3.6 s an hour: the second one of 1.8 s is too much with what surrounds it.
    let narrow = [item(868_800_000, 12, "1s")];
    bench.down(2, &narrow);
    concentratord.acknowledge(&concentratord.next().message, &[1]);
    assert_eq!(bench.statuses(2), ["OK"]);
    bench.down(3, &narrow);
    assert_eq!(bench.statuses(3), ["DUTY_CYCLE_OVERFLOW"]);
    let status = Proto(vec![(1, Wire::Bytes(b"OK".to_vec())), (2, Wire::Number(2))]).write();
    concentratord.stats(&stats(&concentratord, &[(7, Wire::Number(2)), (16, Wire::Bytes(status))]));
    let stats = bench.client.next_where(|m| m.topic.ends_with("/event/stats") && m.json()["txPacketsReceived"] != 0);
    let stats = stats.json();
    assert_eq!(
        (&stats["txPacketsReceived"], &stats["txPacketsPerStatus"]),
        (&json!(3), &json!({ "OK": 2, "DUTY_CYCLE_OVERFLOW": 1 }))
    );
    assert_eq!(stats["dutyCycleStats"]["bands"][2]["loadTracked"], "1.810432000s");
}

#[test]
fn one_that_never_answers_is_given_up_and_asked_anew_on_another_connection() {
    let Some(bench) = bench("") else { return };
    let concentratord = bench.concentratord(Generation::New);
    bench.state("ONLINE");
    bench.down(1, &windows());
    concentratord.next();
    bench.down(2, &windows());
    assert_eq!(bench.statuses(1), ["INTERNAL_ERROR"; 2]);
    bench.state("OFFLINE");
    assert_eq!(bench.statuses(2), ["INTERNAL_ERROR"; 2], "it hangs still");
    let refused = "stile_radio_frames_refused_total{radio=\"hat\",reason=\"no-response\"}";
    bench.stile.wait_metric(refused, |count| count >= 1.0);
    // It goes on; its late answer goes to nobody.
    concentratord.acknowledge(&Proto(vec![(3, Wire::Number(1))]), &[1, 0]);
    bench.state("ONLINE");
    bench.down(3, &windows());
    let asked = concentratord.next();
    assert_eq!(asked.message.number(3), 3);
    concentratord.acknowledge(&asked.message, &[1, 0]);
    assert_eq!(bench.statuses(3), ["OK", "IGNORED"]);
}

#[test]
fn one_that_is_killed_and_started_again_is_found_again_also_as_another_generation_or_gateway() {
    let Some(bench) = bench("") else { return };
    for generation in [Generation::Old, Generation::New, Generation::Old] {
        let concentratord = bench.concentratord(generation);
        bench.until_heard(&concentratord);
        concentratord.up(&concentratord.data(1, 2));
        bench.up();
        // In the middle of a question.
        bench.down(5, &windows());
        concentratord.next();
        drop(concentratord);
        assert_eq!(bench.statuses(5), ["INTERNAL_ERROR"; 2]);
        bench.stile.wait_metric("stile_lora_gateways_online{radio=\"hat\"}", |count| count == 0.0);
        bench.down(6, &windows());
        assert_eq!(bench.statuses(6), ["INTERNAL_ERROR"; 2]);
    }
    let _other = Concentratord::start(bench.dir.path(), Generation::New, 7);
    bench
        .client
        .next_where(|m| m.topic == "eu868/gateway/0000000000000007/state/conn" && m.json()["state"] == "ONLINE");
    let late = Client::connect(bench.stile.mqtt, "late");
    late.subscribe(&format!("{GATEWAY}/state/conn"), QoS::AtLeastOnce);
    assert_eq!(late.next().json()["state"], "OFFLINE", "it is retained");
}

#[test]
fn channels_are_passed_on_or_their_version_noted_as_the_settings_say() {
    let channels = json!({ "version": "v9", "statsInterval": "30s", "channels": [{ "frequency": 868_100_000,
        "loraModulationConfig": { "bandwidth": 125_000, "spreadingFactors": [7, 12] } }] });
    for generation in BOTH {
        let Some(bench) = bench("") else { return };
        let concentratord = bench.concentratord(generation);
        bench.state("ONLINE");
        bench.command("config", channels.to_string());
        let asked = concentratord.next();
        assert_eq!((asked.word.as_str(), asked.message.text(2)), ("config", "v9".to_owned()));
        let channel = asked.message.message(3);
        assert_eq!((channel.number(1), channel.message(3).bytes(2)), (868_100_000, vec![7, 12]));
        concentratord.answer(b"");
        bench.down(1, &windows());
        assert_eq!(concentratord.next().word, "down");
        concentratord.answer(b"");
    }
    let Some(bench) = bench("configure = false") else { return };
    let concentratord = bench.concentratord(Generation::New);
    bench.until_heard(&concentratord);
    bench.command("config", channels.to_string());
    bench.command("raw", "{}");
    bench.stile.wait_log("raw command not passed on: Concentratord knows none");
    concentratord.stats(&stats(&concentratord, &[]));
    bench.client.next_where(|m| m.topic.ends_with("/event/stats") && m.json()["configVersion"] == "v9");
}

#[test]
fn events_that_are_amiss_are_counted_under_their_reasons_and_the_next_one_comes() {
    let Some(bench) = bench("[radio.filter]\nnet-ids = [\"000013\"]") else { return };
    let concentratord = bench.concentratord(Generation::New);
    bench.until_heard(&concentratord);
    let good = || concentratord.data(0x2601_1f00, 1);
    let with = |number: u32, wire: Wire| {
        let mut bad = good();
        bad.0.retain(|(field, _)| *field != number);
        bad.0.push((number, wire));
        bad
    };
    let sent = |frequency: u64, modulation: &[u8]| {
        Wire::Bytes(Proto(vec![(1, Wire::Number(frequency)), (2, Wire::Bytes(modulation.to_vec()))]).write())
    };
    let other = Proto(vec![(1, Wire::Bytes(b"0000000000000007".to_vec())), (16, Wire::Number(2))]).write();
    for (bad, reason) in [
        (with(1, Wire::Bytes(vec![0x40; 256])), "frame-too-long"),
        (with(4, Wire::Bytes(vec![])), "frequency"),
        (with(4, sent(868_100_000, b"")), "data-rate"),
        (with(5, Wire::Bytes(other)), "unknown-gateway"),
        (Proto(vec![(1, Wire::Bytes(vec![1]))]), "field"),
        (concentratord.data(0x2801_0203, 1), "dev-addr"),
        (with(5, Wire::Bytes(Proto(vec![(1, Wire::Bytes(concentratord.id().into()))]).write())), "crc"),
    ] {
        concentratord.up(&bad);
        bench.wait_refused(reason, 1.0);
    }
    for (parts, reason) in [
        (vec![b"\xff\xff".to_vec()], "protobuf"),
        (vec![vec![]], "message-type"),
        (vec![b"down".to_vec(), vec![]], "message-type"),
        (vec![vec![1]; 3], "message-type"),
    ] {
        concentratord.publish(&parts);
        bench.wait_refused(reason, 1.0);
    }
    concentratord.up(&good());
    assert_eq!(bench.up()["rxInfo"]["metadata"]["f_cnt"], "1");
    // More than a message may have ends the connection, and the next one hears again.
    for giant in [vec![vec![7; 100_000]], vec![vec![7; 100]; 20]] {
        concentratord.publish(&giant);
        bench.state("OFFLINE");
        bench.until_heard(&concentratord);
    }
    bench.wait_refused("oversized", 2.0);
    concentratord.up(&good());
    bench.up();
}

#[test]
fn what_is_no_concentratord_is_said_once_and_tried_again() {
    if or_skip("libzmq", Concentratord::python()).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (events, commands) = (dir.path().join("events"), dir.path().join("commands"));
    let stile = Stile::start(&radio(&dir, "eui = \"0016c001ff10a235\""));
    let reason = |what: &str| {
        let fits = |r: &Value| {
            r["message"] == "port not open; tried again until it is" && r["reason"].as_str().unwrap().contains(what)
        };
        stile.wait_record(what, fits);
    };
    reason("No such file");
    let client = V5Client::connect(stile.mqtt, "server");
    client.subscribe("eu868/#", QoS::AtLeastOnce);
    client.next_where(|m| m.topic == format!("{GATEWAY}/state/conn") && m.json()["state"] == "OFFLINE");
    // Something that says nothing, and something that says something else.
    let listener = UnixListener::bind(&commands).unwrap();
    let mute = listener.accept().unwrap();
    reason("no greeting");
    drop(mute);
    let noise = std::thread::spawn(move || {
        for stream in listener.incoming().take(1) {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(&[b'x'; 200]);
            let _ = stream.read(&mut [0; 200]);
        }
    });
    reason("does not speak ZeroMQ");
    noise.join().unwrap();
    std::fs::remove_file(&commands).unwrap();
    // The two sockets mixed up.
    let mixed_up = tempfile::tempdir().unwrap();
    let wrong = Concentratord::start(mixed_up.path(), Generation::New, EUI);
    std::os::unix::fs::symlink(mixed_up.path().join("events"), &commands).unwrap();
    reason("is a PUB and not a REP");
    drop(wrong);
    std::fs::remove_file(&commands).unwrap();
    // Another gateway than the settings name, and then the right one.
    let other = Concentratord::start(dir.path(), Generation::New, 7);
    stile.wait_log("Concentratord is another gateway than the settings name");
    drop(other);
    let _right = Concentratord::start(dir.path(), Generation::New, EUI);
    client.next_where(|m| m.topic == format!("{GATEWAY}/state/conn") && m.json()["state"] == "ONLINE");
    assert!(events.exists());
}

#[test]
fn a_reload_says_that_it_is_away_and_protobuf_is_spoken_where_it_is_wanted() {
    let Some(bench) = bench("") else { return };
    let concentratord = bench.concentratord(Generation::New);
    bench.state("ONLINE");
    bench.stile.reload("", &radio(&bench.dir, "format = \"protobuf\""));
    bench.state("OFFLINE");
    bench.client.next_where(|m| m.topic.ends_with("/state/conn") && Proto::read(&m.payload).number(2) == 1);
    within("a frame is heard", || {
        concentratord.up(&concentratord.data(1, 2));
        (bench.stile.radio("hat", "frames_received_total") > 0.0).then_some(())
    });
    let up = Proto::read(&bench.client.next_where(|m| m.topic.ends_with("/event/up")).payload);
    assert_eq!((up.bytes(1), up.message(5).bytes(13)), (data_frame(1, 2), CONTEXT.to_vec()));
}

#[test]
fn a_hundred_downlinks_at_once_are_asked_one_after_the_other_and_none_is_forgotten() {
    let Some(bench) = bench("down-queue = 8\nduty-cycle = false") else { return };
    let concentratord = bench.concentratord(Generation::New);
    bench.state("ONLINE");
    std::thread::scope(|scope| {
        let answering = scope.spawn(move || {
            for answered in 1.. {
                let asked = concentratord.next();
                concentratord.acknowledge(&asked.message, &[1, 0]);
                if asked.message.number(3) == 1000 {
                    return (answered, concentratord);
                }
            }
            unreachable!("a number without end")
        });
        for id in 0..100 {
            bench.down(id, &windows());
        }
        let mut sent = 0;
        for _ in 0..100 {
            let ack = bench.client.next_where(|m| m.topic.ends_with("/event/ack")).json();
            match ack["items"][0]["status"].as_str() {
                Some("OK") => sent += 1,
                Some("QUEUE_FULL") => {}
                _ => panic!("{ack}"),
            }
        }
        bench.down(1000, &windows());
        assert_eq!(bench.statuses(1000), ["OK", "IGNORED"]);
        let (answered, _concentratord) = answering.join().unwrap();
        assert_eq!(answered, sent + 1);
    });
}
