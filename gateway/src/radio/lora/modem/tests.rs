//! The conversation, with each model; what a modem says is that of its manual.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::dialogue::Dialogue;
use super::fuzzed::channel;
use super::talk::{Packet, Said, Talk};
use crate::config::{Envelope, LoraModem, ModemModel, Port, Region, Serial};
use crate::pipeline::DropReason;
use crate::radio::Refused;

struct Bench {
    talk: Talk,
    now: Instant,
    said: Vec<Said>,
}

/// A modem on a channel of EU868.
pub(super) fn modem() -> LoraModem {
    LoraModem {
        name: "a".to_owned(),
        model: ModemModel::Rak3172,
        serial: Serial { port: Port::Device("/dev/null".into()), line: ModemModel::Rak3172.line() },
        region: Region::Eu868,
        channel: channel(),
        duty_cycle: true,
        dwell_time: false,
        envelope: Envelope::Json,
        down_queue: 64,
        write_timeout: Duration::from_secs(2),
    }
}

fn bench(model: ModemModel) -> Bench {
    let now = Instant::now();
    let talk = Talk::new(Dialogue::of(model).unwrap(), channel(), Duration::from_micros(87), now);
    Bench { talk, now, said: Vec::new() }
}

/// What each model answers to a command; the first that the command begins with.
fn answer(model: ModemModel, command: &str) -> &'static [&'static str] {
    let answers: &[(&str, &[&str])] = match model {
        ModemModel::Rak3172 => {
            &[("AT+PSEND", &["OK", "+EVT:TXP2P DONE"]), ("AT+PRECV=?", &["AT+PRECV=65534", "OK"]), ("", &["OK"])]
        }
        ModemModel::LoraE5 => &[
            ("AT+MODE", &["+MODE: TEST"]),
            (
                "AT+TEST=RFCFG",
                &["+TEST: RFCFG F:868100000, SF7, BW125K, TXPR:8, RXPR:8, POW:14dBm, CRC:ON, IQ:OFF, NET:ON"],
            ),
            ("AT+TEST=TXLRPKT", &["+TEST: TXLRPKT \"AB\"", "+TEST: TX DONE"]),
            ("", &["+TEST: RXLRPKT"]),
        ],
        ModemModel::Rn2483 => &[("mac pause", &["4294967245"]), ("radio tx", &["ok", "radio_tx_ok"]), ("", &["ok"])],
    };
    answers.iter().find(|(begin, _)| command.starts_with(begin)).map_or(&[], |(_, lines)| lines)
}

impl Bench {
    fn line(&mut self, line: &str) {
        self.talk.line(line, self.now, &mut self.said);
    }

    fn timer(&mut self) {
        self.now = self.now.max(self.talk.deadline().unwrap());
        self.talk.timer(self.now, &mut self.said);
    }

    fn said(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }

    /// The one command that is written now.
    fn command(&mut self) -> String {
        match self.said().as_slice() {
            [Said::Write(command)] => command.strip_suffix("\r\n").unwrap().to_owned(),
            other => panic!("not one command: {other:?}"),
        }
    }

    /// Plays the modem's part until nothing more is written; gives the commands and what else was said.
    fn play(&mut self, model: ModemModel) -> (Vec<String>, Vec<Said>) {
        let (mut commands, mut others) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            let (writes, rest) = self.said().into_iter().partition::<Vec<_>, _>(|said| matches!(said, Said::Write(_)));
            others.extend(rest);
            if writes.is_empty() {
                return (commands, others);
            }
            for said in writes {
                let Said::Write(command) = said else { continue };
                let command = command.trim_end().to_owned();
                // Echoed, with an empty line, as some do.
                self.line(&command);
                self.line("");
                answer(model, &command).iter().for_each(|line| self.line(line));
                commands.push(command);
            }
        }
        panic!("it does not end: {commands:?}");
    }

    fn ready(model: ModemModel) -> Self {
        let mut bench = bench(model);
        bench.timer();
        let (_, others) = bench.play(model);
        assert_eq!(others, [Said::Ready], "{model:?}");
        assert!(bench.talk.is_listening());
        bench
    }

    fn send(&mut self) {
        self.talk.send(vec![0xAB], Duration::from_millis(50), self.now, &mut self.said);
    }
}

fn packet(payload: &[u8], rssi: Option<f32>, snr: Option<f32>) -> Said {
    Said::Packet(Packet { payload: payload.to_vec(), rssi, snr })
}

#[test]
fn each_model_is_set_up_sends_and_receives_again() {
    for model in ModemModel::ALL {
        let mut bench = Bench::ready(model);
        bench.send();
        let (commands, others) = bench.play(model);
        assert_eq!(others, [Said::Sent], "{model:?}");
        assert!(commands.iter().any(|command| command.contains("AB")), "{commands:?}");
        assert!(
            commands.last().unwrap().to_lowercase().contains("rx") || commands.last().unwrap().contains("PRECV=65534")
        );
        assert!(bench.talk.is_listening());
    }
}

#[test]
fn packets_are_read_in_each_form() {
    let rak = ModemModel::Rak3172;
    for (model, lines, expected) in [
        (rak, &["+EVT:RXP2P:-60:11:AABB"][..], packet(&[0xAA, 0xBB], Some(-60.0), Some(11.0))),
        (rak, &["+EVT:RXP2P, RSSI -60, SNR 11", "+EVT:AABB"], packet(&[0xAA, 0xBB], Some(-60.0), Some(11.0))),
        (
            ModemModel::LoraE5,
            &["+TEST: LEN:2, RSSI:-106, SNR:-7", "+TEST: RX \"AABB\""],
            packet(&[0xAA, 0xBB], Some(-106.0), Some(-7.0)),
        ),
        (ModemModel::Rn2483, &["radio_rx  AABB"], packet(&[0xAA, 0xBB], None, None)),
    ] {
        let mut bench = Bench::ready(model);
        lines.iter().for_each(|line| bench.line(line));
        let (commands, others) = bench.play(model);
        assert_eq!(others, [expected], "{model:?}");
        let rearmed = if model == ModemModel::Rn2483 { vec!["radio rx 0".to_owned()] } else { vec![] };
        assert_eq!(commands, rearmed, "{model:?}");
    }
}

#[test]
fn the_first_half_of_a_packet_does_not_wait_for_ever() {
    let mut bench = Bench::ready(ModemModel::LoraE5);
    bench.line("+TEST: LEN:2, RSSI:-106, SNR:-7");
    bench.now += Duration::from_secs(2);
    bench.line("+TEST: RX \"AABB\"");
    assert_eq!(bench.said(), [packet(&[0xAA, 0xBB], None, None)]);
}

#[test]
fn a_damaged_line_is_dropped_and_named() {
    let mut bench = Bench::ready(ModemModel::Rak3172);
    for (line, reason) in
        [("+EVT:RXP2P:-60:11:AAB", DropReason::FrameMalformed), ("\u{fffd}\u{fffd}PRECV", DropReason::FrameNoise)]
    {
        bench.line(line);
        assert_eq!(bench.said(), [Said::Dropped { reason, length: line.len() }]);
    }
}

#[test]
fn a_reset_in_mid_stream_is_noticed_by_the_greeting_even_when_it_cuts_a_line() {
    for (model, cut) in [
        (ModemModel::Rak3172, "Current Work Mode: LoRa P2P."),
        (ModemModel::Rn2483, "radio_rx  AABRN2483 1.0.5 Oct 31 2018 15:06:52"),
    ] {
        let mut bench = Bench::ready(model);
        bench.line(cut);
        assert!(bench.said().contains(&Said::Reset), "{model:?}");
        assert!(!bench.talk.is_listening());
        bench.timer();
        assert_eq!(bench.play(model).1, [Said::Ready], "{model:?}");
    }
}

#[test]
fn a_reset_that_nobody_saw_is_found_out_by_asking() {
    for (model, after_a_reset) in
        [(ModemModel::Rak3172, "AT+PRECV=0"), (ModemModel::LoraE5, "+TEST: ERROR(-12)"), (ModemModel::Rn2483, "ok")]
    {
        let mut bench = Bench::ready(model);
        bench.timer();
        let command = bench.command();
        bench.line(after_a_reset);
        if !bench.said().contains(&Said::Reset) {
            bench.timer();
            assert!(bench.said().contains(&Said::Reset), "{model:?}: {command}");
        }
        bench.timer();
        assert_eq!(bench.play(model).1, [Said::Ready], "{model:?}");
    }
}

#[test]
fn a_modem_that_is_well_is_asked_and_left_alone() {
    for (model, well) in
        [(ModemModel::Rak3172, "AT+PRECV=65534"), (ModemModel::LoraE5, "+TEST: RXLRPKT"), (ModemModel::Rn2483, "busy")]
    {
        let mut bench = Bench::ready(model);
        for _ in 0..10 {
            bench.timer();
            let _ = bench.command();
            bench.line(well);
            assert_eq!((bench.said(), bench.talk.is_listening()), (vec![], true), "{model:?}");
        }
    }
}

#[test]
fn a_modem_that_never_answers_is_given_up_with_what_it_was_asked() {
    for model in ModemModel::ALL {
        let mut bench = bench(model);
        let mut asked = 0;
        let why = loop {
            bench.timer();
            let said = bench.said();
            asked += said.iter().filter(|said| matches!(said, Said::Write(_))).count();
            if let Some(Said::Over(why)) = said.last() {
                break why.clone();
            }
            assert!(asked < 20, "{model:?}");
        };
        assert!(why.contains("answers nothing to `") && why.contains("check `model`"), "{why}");
        assert_eq!(bench.talk.deadline(), None);
    }
}

#[test]
fn a_modem_that_resets_again_and_again_is_given_up() {
    let mut bench = bench(ModemModel::Rak3172);
    for _ in 0..100 {
        bench.timer();
        bench.line("RAKwireless RAK3172");
        if let Some(Said::Over(why)) = bench.said().last() {
            assert!(why.contains("could not be set up"), "{why}");
            return;
        }
    }
    panic!("it goes on for ever");
}

#[test]
fn a_command_that_is_not_needed_may_be_declined() {
    let mut bench = bench(ModemModel::Rak3172);
    bench.timer();
    let mut declined = Vec::new();
    while !bench.talk.is_listening() {
        let said = bench.said();
        declined.extend(said.iter().filter(|said| matches!(said, Said::Declined { .. })).cloned());
        let Some(Said::Write(command)) = said.iter().find(|said| matches!(said, Said::Write(_))) else {
            panic!("{said:?}")
        };
        bench.line(if command.starts_with("AT+SYNCWORD") { "AT_COMMAND_NOT_FOUND" } else { "OK" });
    }
    assert_eq!(declined.len(), 1, "{declined:?}");
}

#[test]
fn what_becomes_of_a_frame_is_said_whatever_happens() {
    let rn = ModemModel::Rn2483;
    let not_sent = |said: &[Said]| {
        said.iter().find_map(|said| match said {
            Said::NotSent { why, may_be_on_air, .. } => Some((*why, *may_be_on_air)),
            _ => None,
        })
    };
    // It says no.
    let mut bench = Bench::ready(rn);
    bench.send();
    bench.line("ok");
    bench.line("invalid_param");
    assert_eq!(not_sent(&bench.said()), Some((Refused::DeviceRefused, false)));
    // It fails on the air.
    let mut bench = Bench::ready(rn);
    bench.send();
    ["ok", "ok", "radio_err"].iter().for_each(|line| bench.line(line));
    assert_eq!(not_sent(&bench.said()), Some((Refused::DeviceRefused, false)));
    // It is reset meanwhile.
    let mut bench = Bench::ready(rn);
    bench.send();
    ["ok", "ok", "RN2483 1.0.5 Oct 31 2018 15:06:52"].iter().for_each(|line| bench.line(line));
    assert_eq!(not_sent(&bench.said()), Some((Refused::NoResponse, true)));
    // It says nothing more.
    let mut bench = Bench::ready(rn);
    bench.send();
    ["ok", "ok"].iter().for_each(|line| bench.line(line));
    bench.timer();
    assert_eq!(not_sent(&bench.said()), Some((Refused::NoResponse, true)));
}

#[test]
fn a_packet_that_comes_while_a_frame_is_to_be_sent_is_kept() {
    let mut bench = Bench::ready(ModemModel::Rak3172);
    bench.send();
    assert_eq!(bench.command(), "AT+PRECV=0");
    bench.line("+EVT:RXP2P:-60:11:AABB");
    bench.line("OK");
    let said = bench.said();
    assert_eq!(said[0], packet(&[0xAA, 0xBB], Some(-60.0), Some(11.0)));
    assert_eq!(said[1], Said::Write("AT+PSEND=AB\r\n".to_owned()));
}

proptest! {
    /// Whatever a modem says and when, it is listened to, commands wait for their answers, and each frame has one end.
    #[test]
    fn any_modem_is_borne(
        model in prop::sample::select(ModemModel::ALL.to_vec()),
        steps in vec(prop_oneof![
            Just(None),
            "[ -~]{0,20}".prop_map(Some),
            prop::sample::select(vec![
                "OK", "ok", "busy", "AT_BUSY_ERROR", "+MODE: TEST", "+TEST: RFCFG x", "+TEST: RXLRPKT", "+TEST: TX DONE",
                "radio_tx_ok", "radio_err", "radio_rx  AB", "RN2483 1.0.5", "RAKwireless x", "+EVT:TXP2P DONE", "1",
                "+TEST: TXLRPKT \"AB\"", "+EVT:RXP2P:-1:1:AB", "+INFO: x",
            ]).prop_map(|line| Some(line.to_owned())),
        ], 0..200),
    ) {
        let mut bench = bench(model);
        let (mut sent, mut ended) = (0, 0);
        for step in steps {
            match step {
                Some(line) => bench.line(&line),
                None if bench.talk.deadline().is_some() => bench.timer(),
                None => {}
            }
            let said = bench.said();
            let count = |f: fn(&Said) -> bool| said.iter().filter(|said| f(said)).count();
            ended += count(|said| matches!(said, Said::Sent | Said::NotSent { .. }));
            prop_assert!(count(|said| matches!(said, Said::Write(_))) <= 1);
            prop_assert!(ended <= sent);
            if bench.talk.is_listening() {
                prop_assert_eq!(ended, sent);
                bench.send();
                sent += 1;
                bench.said();
            }
        }
    }
}
