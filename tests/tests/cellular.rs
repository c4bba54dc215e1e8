//! 4G and 5G modems on ports: asked, handed over, without service, reset, mute, with cards that want a PIN.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use rumqttc::QoS;
use serde_json::{Value, json};
use stile_tests::cellular::{CellularModem, Maker, NUMBERS, Serving, cell, next};
use stile_tests::{Stile, V5Client, within};
use tempfile::TempDir;

const ALL: [Maker; 4] = [Maker::Quectel, Maker::Simcom, Maker::Sierra, Maker::Other];

/// A modem as radio `wwan`, the daemon, and a client that hears all of it.
struct Bench {
    stile: Stile,
    client: V5Client,
    modem: CellularModem,
}

fn settings(modem: &CellularModem, rest: &str) -> String {
    let device = modem.path();
    format!("[[radio]]\nname = \"wwan\"\nkind = \"cellular\"\ndevice = {device:?}\nperiod = \"200ms\"\n{rest}\n")
}

fn bench_in(dir: TempDir, modem: CellularModem, rest: &str) -> Bench {
    let stile = Stile::start_in(dir, "", &settings(&modem, rest));
    let client = V5Client::connect(stile.mqtt, "bench");
    client.subscribe("cellular/#", QoS::AtLeastOnce);
    Bench { stile, client, modem }
}

fn bench(maker: Maker, serving: Serving, rest: &str) -> Bench {
    bench_in(tempfile::tempdir().unwrap(), CellularModem::start(maker, serving), rest)
}

impl Bench {
    #[track_caller]
    fn next(&self, last: &str, fits: impl Fn(&Value) -> bool) -> Value {
        next(&self.client, last, fits)
    }

    #[track_caller]
    fn signal(&self, technology: &str) -> Value {
        self.next("signal", |signal| signal["technology"] == technology && signal["errors"].is_null())
    }

    #[track_caller]
    fn cell(&self, fits: impl Fn(&Value) -> bool) -> Value {
        cell(&self.stile, fits)
    }

    #[track_caller]
    fn event(&self, what: &str) -> Value {
        self.next("event", |event| event["event"] == what)
    }

    fn metric(&self, name: &str, labels: &str) -> f64 {
        self.stile.metric(&format!("stile_cellular_{name}{{radio=\"wwan\"{labels}}}"))
    }
}

#[test]
fn each_modem_says_how_it_hears_and_where_it_is() {
    for maker in ALL {
        let bench = bench(maker, Serving::EnDc(0x01A2_B303), "");
        let signal = bench.signal("en-dc");
        assert_eq!((&signal["radio"], &signal["registration"]), (&json!("wwan"), &json!("home")), "{maker:?}");
        let (lte, nr) = (&signal["lte"], &signal["nr"]);
        assert_eq!((&lte["rsrp"], &lte["rsrq"]), (&json!(-95), &json!(-11)), "{maker:?} {signal}");
        assert_eq!(
            (&nr["rsrp"], &nr["rsrq"], &nr["sinr"]),
            (&json!(-101), &json!(-11), &json!(15)),
            "{maker:?} {signal}"
        );
        assert!(signal["raw"].as_array().unwrap().len() >= 3, "{signal}");
        let cell = bench.cell(|cell| !cell["operator"].is_null());
        assert_eq!(
            (&cell["lte"]["cell"], &cell["lte"]["tac"]),
            (&json!(27_439_875), &json!(20_001)),
            "{maker:?} {cell}"
        );
        assert_eq!((&cell["operator"], &cell["modem"]["model"]), (&json!("Made-up Mobile"), &json!("Model-1")));
        let dialects =
            [(Maker::Quectel, "quectel"), (Maker::Simcom, "simcom"), (Maker::Sierra, "sierra"), (Maker::Other, "3gpp")];
        assert_eq!(dialects.into_iter().find(|(one, _)| *one == maker).unwrap().1, cell["modem"]["dialect"]);
        bench.modem.serve(Serving::NrSa(0x0913_B004));
        let signal = bench.signal("nr-sa");
        assert_eq!((&signal["nr"]["rsrp"], &signal["lte"]), (&json!(-107), &Value::Null), "{maker:?} {signal}");
        assert_eq!(bench.event("technology-change")["to"]["nr"]["cell"], 152_285_188, "{maker:?}");
        assert_eq!(bench.metric("signal", ",side=\"nr\",what=\"rsrp\""), -107.0);
    }
}

#[test]
fn readings_come_by_the_period_and_the_cell_is_retained() {
    let bench = bench(Maker::Quectel, Serving::Lte(1), "");
    let count = |signal: &Value| signal["seq"].as_u64().unwrap();
    let first = count(&bench.signal("lte"));
    for n in 1..10 {
        assert_eq!(count(&bench.signal("lte")), first + n);
    }
    let late = V5Client::connect(bench.stile.mqtt, "late");
    late.subscribe("cellular/wwan/cell", QoS::AtLeastOnce);
    let cell = late.next();
    assert_eq!((cell.retain, &cell.json()["lte"]["cell"]), (true, &json!(1)));
}

#[test]
fn a_handover_a_loss_and_a_return_are_told_with_the_time_they_took() {
    for maker in ALL {
        let bench = bench(maker, Serving::Lte(1), "");
        bench.signal("lte");
        bench.modem.serve(Serving::Lte(2));
        let event = bench.event("cell-change");
        assert_eq!((&event["from"]["lte"]["cell"], &event["to"]["lte"]["cell"]), (&json!(1), &json!(2)), "{maker:?}");
        let took = event["took_seconds"].as_f64().unwrap();
        // A period, or less where a busy machine was late with the reading before.
        assert!(took > 0.0 && took < 10.0, "{took}");
        bench.modem.serve(Serving::Nothing);
        let lost = bench.event("service-lost");
        assert_eq!(lost["to"]["technology"], "none", "{maker:?} {lost}");
        let cell = bench.cell(|cell| cell["registration"] == "searching");
        assert!(cell["operator"].is_null() && cell["lte"].is_null(), "{maker:?} {cell}");
        assert_eq!(bench.stile.metric("stile_cellular_service{radio=\"wwan\",technology=\"none\"}"), 0.0);
        bench.modem.serve(Serving::Lte(2));
        let back = bench.event("service-back");
        assert!(back["took_seconds"].as_f64().unwrap() > 0.0, "{back}");
        for (what, count) in
            [("cell-change", 1.0), ("service-lost", 1.0), ("service-back", 1.0), ("technology-change", 0.0)]
        {
            assert_eq!(bench.metric("events_total", &format!(",event=\"{what}\"")), count, "{maker:?} {what}");
        }
    }
}

#[test]
fn a_modem_that_is_reset_in_mid_stream_is_set_up_again() {
    for maker in ALL {
        let bench = bench(maker, Serving::EnDc(1), "");
        bench.signal("en-dc");
        let before = bench.modem.commands().iter().filter(|command| *command == "ATE0").count();
        bench.modem.reset("\r\n+QENG: \"servi");
        within("it is set up again", || {
            let now = bench.modem.commands().iter().filter(|command| *command == "ATE0").count();
            (now > before).then_some(())
        });
        bench.stile.wait_log("the modem was reset or fell silent; it is set up again");
        bench.signal("en-dc");
        assert_eq!(bench.metric("resets_total", ""), 1.0);
        assert_eq!(bench.metric("events_total", ",event=\"cell-change\""), 0.0, "nothing has changed");
    }
}

#[test]
fn garbage_between_answers_is_counted_and_harms_nothing() {
    let bench = bench(Maker::Quectel, Serving::EnDc(1), "");
    bench.signal("en-dc");
    bench.modem.babble(b"\r\n\x01\x02\xfe\xff\r\nRING\r\n+CREG: 1,\"0001\",\"0002\"\r\n");
    bench.modem.babble(&[b'x'; 3000]);
    bench.modem.babble(b"\r\n");
    within("both are counted", || (bench.stile.radio("wwan", "frames_rejected_total") >= 2.0).then_some(()));
    let now = bench.signal("en-dc")["seq"].as_u64().unwrap();
    bench.next("signal", |signal| signal["seq"].as_u64() > Some(now + 3));
    assert_eq!((bench.stile.dropped("frame-noise"), bench.stile.dropped("frame-too-long")), (1, 1));
}

#[test]
fn a_modem_that_falls_silent_is_shown_as_offline_with_what_to_check_and_works_when_it_speaks() {
    let bench = bench(Maker::Simcom, Serving::Lte(1), "");
    bench.signal("lte");
    bench.modem.mute(true);
    let state = bench.next("state", |state| state["state"] == "offline");
    let reason = state["reason"].as_str().unwrap();
    assert!(reason.contains("answers nothing to `ATE0`; check `device`"), "{reason}");
    bench.modem.mute(false);
    bench.next("state", |state| state["state"] == "online");
    bench.signal("lte");
}

#[test]
fn what_the_modem_declines_is_in_the_reading_and_the_rest_is_read() {
    let modem = CellularModem::start(Maker::Sierra, Serving::Lte(1));
    modem.refuse("AT!GSTATUS?");
    let bench = bench_in(tempfile::tempdir().unwrap(), modem, "dialect = \"sierra\"");
    let signal = bench.next("signal", |signal| !signal["errors"].is_null());
    assert_eq!(signal["errors"], json!(["`ERROR` to `AT!GSTATUS?`"]));
    assert_eq!((&signal["technology"], &signal["lte"]["rsrp"]), (&json!("lte"), &json!(-95)), "{signal}");
    assert!(bench.stile.radio("wwan", "polls_failed_total") >= 1.0);
}

fn with_pin(pin: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pin"), format!("{pin}\n")).unwrap();
    dir
}

fn pins_told(modem: &CellularModem) -> usize {
    modem.commands().iter().filter(|command| command.starts_with("AT+CPIN=")).count()
}

#[test]
fn a_card_is_opened_with_the_pin_of_the_file_and_again_after_a_reset() {
    let modem = CellularModem::start(Maker::Quectel, Serving::Lte(1));
    modem.lock_card("24681357");
    let bench = bench_in(with_pin("24681357"), modem, "pin-file = \"pin\"");
    let cell = bench.cell(|cell| cell["sim"]["state"] == "ready" && !cell["sim"]["imsi"].is_null());
    assert_eq!(cell["sim"]["imsi"].as_str().unwrap().len(), 32, "{cell}");
    bench.modem.lock_card("24681357");
    bench.modem.reset("");
    within("the PIN is told again", || (pins_told(&bench.modem) == 2).then_some(()));
    within("the card is open", || (bench.metric("sim_ready", ",state=\"ready\"") == 1.0).then_some(()));
}

#[test]
fn a_wrong_pin_is_told_once_over_a_restart_too_and_another_one_is_tried() {
    let modem = CellularModem::start(Maker::Quectel, Serving::Lte(1));
    modem.lock_card("24681357");
    let mut bench = bench_in(with_pin("97531864"), modem, "pin-file = \"pin\"");
    let warned = bench.stile.wait_log("the SIM card is not open");
    assert!(warned["error"].as_str().unwrap().contains("did not open with the PIN of `pin-file`"), "{warned}");
    bench.cell(|cell| cell["sim"]["state"] == "pin-refused");
    bench.signal("lte");
    bench.modem.reset("");
    bench.signal("lte");
    bench.stile.stop();
    assert_eq!(bench.stile.logged("the SIM card is not open").len(), 1);
    let text = format!("{:?}", bench.stile.log());
    assert!(!text.contains("97531864"), "the PIN is in the log");
    let dir = std::mem::replace(&mut bench.stile.dir, tempfile::tempdir().unwrap());
    let bench = bench_in(dir, bench.modem, "pin-file = \"pin\"");
    bench.stile.wait_log("the SIM card is not open");
    bench.signal("lte");
    assert_eq!(pins_told(&bench.modem), 1);
    std::fs::write(bench.stile.dir.path().join("pin"), "24681357").unwrap();
    assert_eq!(bench.stile.reload("", &settings(&bench.modem, "pin-file = \"pin\""))["message"], "reload done");
    bench.cell(|cell| cell["sim"]["state"] == "ready");
    assert_eq!(pins_told(&bench.modem), 2);
}

#[test]
fn without_a_card_the_modem_is_read_and_what_to_do_is_said() {
    let modem = CellularModem::start(Maker::Other, Serving::Lte(1));
    modem.take_card();
    let bench = bench_in(tempfile::tempdir().unwrap(), modem, "");
    bench.signal("lte");
    assert_eq!(bench.stile.wait_log("the SIM card is not open")["error"], "there is none; put one in");
    assert_eq!(bench.metric("sim_ready", ",state=\"absent\""), 0.0);
}

#[test]
fn no_number_of_a_person_or_a_device_comes_out_anywhere() {
    for (maker, format) in [(Maker::Quectel, "json"), (Maker::Sierra, "senml")] {
        let mut bench = bench(maker, Serving::EnDc(1), &format!("format = \"{format}\""));
        bench.stile.wait_online("wwan");
        let [imei, imsi, iccid, number] = NUMBERS;
        bench.modem.babble(format!("\r\n+QENG: \"servingcell\",\"{imei}\"\r\nPCC RxM RSRP:  {imsi}\r\n").as_bytes());
        bench.modem.babble(format!("\r\n+CLIP: \"+{number}\",145\r\n+CMTI: \"{iccid}\",0{number}\r\n").as_bytes());
        bench.modem.reset(&format!("+CGSN: {imei}"));
        bench.stile.wait_log("the modem was reset or fell silent; it is set up again");
        let mut seen = String::new();
        let (mut signals, mut learnt) = (0, false);
        while signals < 10 || !learnt {
            let message = bench.client.next();
            signals += usize::from(message.topic.ends_with("/signal"));
            learnt |= message.topic.ends_with("/cell") && message.text().contains("imsi");
            seen += message.text();
        }
        seen += &bench.stile.get("/metrics").1;
        seen += &bench.stile.ledger().to_string();
        bench.stile.stop();
        seen += &format!("{:?}", bench.stile.log());
        for number in NUMBERS {
            for part in [number, &number[2..], &number[..10]] {
                assert!(!seen.contains(part), "{part} of {number} came out");
            }
        }
        let secret = bench.stile.dir.path().join("data/cellular/pseudonyms.secret");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(secret).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn pseudonyms_are_the_same_after_a_restart_and_others_on_another_gateway() {
    let imei = |bench: &Bench| bench.cell(|cell| !cell["modem"]["imei"].is_null())["modem"]["imei"].clone();
    let mut first = bench(Maker::Quectel, Serving::Lte(1), "");
    let name = imei(&first);
    first.stile.stop();
    let dir = std::mem::replace(&mut first.stile.dir, tempfile::tempdir().unwrap());
    let again = bench_in(dir, first.modem, "");
    assert_eq!(imei(&again), name);
    assert_ne!(imei(&bench(Maker::Quectel, Serving::Lte(1), "")), name);
}

#[test]
fn as_senml_each_number_has_a_name_and_the_unit_of_the_registry() {
    let bench = bench(Maker::Quectel, Serving::NrSa(7), "format = \"senml\"");
    let pack = bench.next("signal", Value::is_array);
    let record =
        |name: &str| pack.as_array().unwrap().iter().find(|record| record["n"] == name).cloned().unwrap_or_default();
    assert_eq!(pack[0]["bn"], "cellular/wwan/");
    assert!(pack[0]["bt"].as_f64().unwrap() > 1e9);
    assert_eq!(record("nr/rsrp"), json!({ "n": "nr/rsrp", "u": "dBW", "v": -137 }));
    assert_eq!(record("technology")["vs"], "nr-sa");
}
