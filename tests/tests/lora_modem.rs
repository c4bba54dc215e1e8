//! LoRa modems on ports: set up, heard, told to send, reset, mute.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use rumqttc::QoS;
use serde_json::Value;
use stile_tests::{Modem, ModemModel, Stile, V5Client, within};

const ALL: [ModemModel; 4] = [ModemModel::Rak3172, ModemModel::OldRak3172, ModemModel::LoraE5, ModemModel::Rn2483];

/// A modem as radio `a`, the daemon, and a client that hears all of it.
struct Bench {
    stile: Stile,
    client: V5Client,
    modem: Modem,
}

fn settings(modem: &Modem, model: ModemModel, rest: &str) -> String {
    let channel = if rest.contains("frequency") { "" } else { "frequency = 868100000\nspreading-factor = 7\n" };
    format!(
        "[[radio]]\nname = \"a\"\nkind = \"lora-modem\"\nmodel = {:?}\ndevice = {:?}\nregion = \"eu868\"\n{channel}{rest}\n",
        model.as_str(),
        modem.path()
    )
}

/// Starts the daemon; the modem may not be ready.
fn bench(model: ModemModel, rest: &str, prepare: impl FnOnce(&Modem)) -> Bench {
    let modem = Modem::start(model);
    prepare(&modem);
    let stile = Stile::start_in(tempfile::tempdir().unwrap(), "", &settings(&modem, model, rest));
    let client = V5Client::connect(stile.mqtt, "bench");
    ["up", "ack", "state"].iter().for_each(|last| client.subscribe(&format!("serial/a/{last}"), QoS::AtLeastOnce));
    Bench { stile, client, modem }
}

/// Starts the daemon and waits until the modem listens.
fn ready(model: ModemModel, rest: &str) -> Bench {
    let bench = bench(model, rest, |_| {});
    bench.stile.wait_online("a");
    bench.listens();
    bench
}

impl Bench {
    #[track_caller]
    fn listens(&self) {
        within("the modem is made to listen", || self.modem.receives().then_some(()));
    }

    #[track_caller]
    fn next(&self, last: &str) -> Value {
        let topic = format!("serial/a/{last}");
        self.client.next_where(|message| message.topic == topic).json()
    }

    fn send(&self, payload: impl Into<Vec<u8>>) {
        self.client.ask("serial/a/down", "x", payload);
    }

    /// The result of what was sent last, with its reason where it has one.
    #[track_caller]
    fn result(&self) -> (String, String) {
        let ack = self.next("ack");
        let text = |key: &str| ack[key].as_str().unwrap_or_default().to_owned();
        (text("result"), text("reason"))
    }

    /// Nothing in the way: heard and sent.
    #[track_caller]
    fn works(&self) {
        self.listens();
        self.modem.hear("0102");
        assert_eq!(self.next("up")["payload"], "\u{1}\u{2}");
        self.listens();
        self.send("AB");
        assert_eq!(self.result().0, "sent");
        assert_eq!(self.modem.sent().last().unwrap(), "4142");
    }
}

#[test]
fn each_model_hears_sends_and_hears_again() {
    for model in ALL {
        let bench = ready(model, "");
        bench.works();
        bench.works();
        assert_eq!(
            (bench.stile.radio("a", "frames_sent_total"), bench.stile.radio("a", "frames_received_total")),
            (2.0, 2.0)
        );
    }
}

#[test]
fn what_is_heard_says_how_and_that_others_may_have_gone_unheard() {
    let bench = ready(ModemModel::LoraE5, "");
    bench.modem.hear("FF");
    let up = bench.next("up");
    assert_eq!((up["encoding"].as_str(), up["payload"].as_str()), (Some("base64"), Some("/w==")));
    let meta = &up["meta"];
    for (key, value) in [
        ("model", Value::from("lora-e5")),
        ("frequency", 868_100_000.into()),
        ("bandwidth", 125_000.into()),
        ("spreading-factor", 7.into()),
        ("coding-rate", "4/5".into()),
        ("rssi", (-60).into()),
        ("snr", 11.into()),
        ("hears", "one channel, one spreading factor".into()),
    ] {
        assert_eq!(meta[key], value, "{key} in {up}");
    }
}

#[test]
fn with_the_raw_envelope_the_frame_is_the_payload_and_the_rest_are_user_properties() {
    let bench = ready(ModemModel::Rn2483, "envelope = \"raw\"");
    bench.modem.hear("00FF");
    let up = bench.client.next_where(|message| message.topic == "serial/a/up");
    assert_eq!(up.payload, [0x00, 0xFF]);
    let property = |name: &str| up.user.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!((property("model"), property("spreading-factor")), (Some("rn2483"), Some("7")));
    assert_eq!(property("rssi"), None, "this model does not say it");
}

#[test]
fn a_modem_that_repeats_what_it_is_told_works_too() {
    for model in ALL {
        let bench = bench(model, "", Modem::echo);
        bench.stile.wait_online("a");
        bench.works();
    }
}

#[test]
fn a_modem_is_told_its_channel() {
    let channel = "frequency = 869525000\nspreading-factor = 9\nbandwidth = 250000\ncoding-rate = \"4/8\"\npreamble = 12\n\
        power = 20\nnetwork = \"private\"";
    for (model, told) in [
        (ModemModel::Rak3172, "AT+P2P=869525000:9:250:3:12:20"),
        (ModemModel::Rak3172, "AT+SYNCWORD=1424"),
        (ModemModel::LoraE5, "AT+TEST=RFCFG,869.525,SF9,250,12,12,20,ON,OFF,OFF"),
        (ModemModel::Rn2483, "radio set freq 869525000"),
        (ModemModel::Rn2483, "radio set cr 4/8"),
        (ModemModel::Rn2483, "radio set sync 12"),
    ] {
        let bench = ready(model, channel);
        let commands = bench.modem.commands();
        assert!(commands.iter().any(|command| command == told), "no {told} in {commands:?}");
    }
}

#[test]
fn a_modem_that_is_reset_in_mid_stream_is_set_up_again() {
    for (model, cut) in [
        (ModemModel::Rak3172, ""),
        (ModemModel::Rak3172, "+EVT:RXP2P:-60:11:AAB"),
        (ModemModel::OldRak3172, "+EVT:RXP2P, RSSI"),
        (ModemModel::Rn2483, "radio_rx  AAB"),
    ] {
        let bench = ready(model, "");
        bench.modem.reset(cut);
        bench.works();
        bench.stile.wait_log("the modem was reset; it is set up again");
    }
}

#[test]
fn a_modem_that_is_reset_while_it_should_send_is_no_loss_in_silence() {
    for (model, command) in
        [(ModemModel::Rak3172, "AT+PSEND"), (ModemModel::Rn2483, "radio tx"), (ModemModel::Rak3172, "AT+PRECV=0")]
    {
        let bench = ready(model, "");
        bench.modem.reset_at(command);
        bench.send("AB");
        assert_eq!(bench.result(), ("refused".to_owned(), "no-response".to_owned()), "{command}");
        bench.works();
    }
}

#[test]
fn a_modem_that_never_answers_is_shown_as_offline_with_what_to_check_and_works_when_it_speaks() {
    let bench = bench(ModemModel::Rak3172, "", |modem| modem.mute(true));
    let state = bench.next("state");
    let reason = state["reason"].as_str().unwrap();
    assert_eq!(state["state"], "offline");
    assert!(reason.contains("the modem answers nothing to `AT+NWM=0`; check `model`, `baud`"), "{reason}");
    bench.modem.mute(false);
    bench.stile.wait_online("a");
    bench.works();
}

#[test]
fn a_modem_that_falls_silent_is_lost_and_found_again() {
    let bench = ready(ModemModel::Rn2483, "");
    bench.modem.mute(true);
    bench.send("AB");
    assert_eq!(bench.result(), ("refused".to_owned(), "no-response".to_owned()));
    bench.client.next_where(|message| message.topic == "serial/a/state" && message.json()["state"] == "offline");
    bench.modem.mute(false);
    bench.stile.wait_online("a");
    bench.works();
}

#[test]
fn what_the_modem_declines_is_refused_with_its_words() {
    let bench = ready(ModemModel::Rak3172, "");
    bench.modem.refuse("AT+PSEND");
    bench.send("AB");
    let ack = bench.next("ack");
    assert_eq!((&ack["reason"], &ack["detail"]), (&"device-refused".into(), &"AT_PARAM_ERROR".into()), "{ack}");
    bench.listens();
}

#[test]
fn the_duty_cycle_of_the_sub_band_is_kept() {
    // 3.6 s an hour are allowed between 868.7 and 869.2 MHz, and this frame takes 2.8.
    let bench = ready(ModemModel::Rak3172, "frequency = 868800000\nspreading-factor = 12");
    bench.send(vec![0; 51]);
    assert_eq!(bench.result().0, "sent");
    bench.listens();
    bench.send(vec![0; 51]);
    assert_eq!(bench.result(), ("refused".to_owned(), "duty-cycle".to_owned()));
    assert_eq!(bench.modem.sent().len(), 1);
}

#[test]
fn without_the_duty_cycle_more_may_be_sent_and_what_the_region_forbids_may_not() {
    let lab = ready(ModemModel::Rak3172, "frequency = 868800000\nspreading-factor = 7\nduty-cycle = false");
    // 0.4 s each.
    for _ in 0..10 {
        lab.send(vec![0; 255]);
        assert_eq!(lab.result().0, "sent");
    }
    let off_band = ready(ModemModel::Rak3172, "frequency = 915000000\nspreading-factor = 7");
    off_band.send("AB");
    assert_eq!(off_band.result(), ("refused".to_owned(), "not-allowed".to_owned()));
    off_band.modem.hear("01");
    assert_eq!(off_band.next("up")["meta"]["frequency"], 915_000_000);
}

#[test]
fn what_no_frame_can_carry_is_refused() {
    let bench = ready(ModemModel::LoraE5, "");
    for payload in [vec![], vec![0; 256]] {
        bench.send(payload);
        assert_eq!(bench.result(), ("refused".to_owned(), "not-encodable".to_owned()));
    }
    bench.works();
}

#[test]
fn noise_on_the_line_is_counted_and_harms_nothing() {
    let bench = ready(ModemModel::Rak3172, "");
    let mut random = stile_tests::Random::new(7);
    for _ in 0..50 {
        let bytes: Vec<u8> = (0..200).map(|_| (random.below(256)) as u8).filter(|byte| *byte != b'\n').collect();
        bench.modem.babble(&bytes);
    }
    bench.modem.babble(&[b'x'; 5000]);
    bench.modem.babble(b"\r\n");
    bench.works();
    assert!(bench.stile.radio("a", "frames_rejected_total") >= 1.0);
}
