//! The conversation, with each dialect; what a modem says is that of its manual.

use std::time::{Duration, Instant};

use super::about::{About, Sim};
use super::talk::{Said, Talk};
use super::values::Technology;
use super::veil::Veil;
use crate::config::{ModemDialect, Secret};
use crate::pipeline::DropReason;
use crate::pseudonym::Key;

const IMEI: &str = "860123045678901";

struct Bench {
    talk: Talk,
    now: Instant,
    said: Vec<Said>,
    /// It repeats what it is told.
    echo: bool,
    card: &'static str,
    /// What it answers to commands that begin like this, in the place of what is usual.
    instead: Vec<(&'static str, &'static [&'static str])>,
}

fn bench(dialect: Option<ModemDialect>) -> Bench {
    let now = Instant::now();
    let talk = Talk::new((dialect, None), Duration::from_secs(1), Veil::new(Key::example()), now).unwrap();
    Bench { talk, now, said: Vec::new(), echo: false, card: "+CPIN: READY", instead: Vec::new() }
}

/// What a Quectel answers.
fn quectel(command: &str) -> &'static [&'static str] {
    match command {
        "AT+CGMI" | "ATI" => &["Quectel", "OK"],
        "AT+CGMM" => &["RM500Q-GL", "OK"],
        "AT+CGMR" => &["RM500QGLAAR11A06M4G", "OK"],
        "AT+CGSN" => &[IMEI, "OK"],
        "AT+CIMI" => &["262011234567890", "OK"],
        "AT+QCCID" => &["+QCCID: 8949020000123456789F", "OK"],
        "AT+CNUM" => &["+CNUM: ,\"+491701234567\",145", "OK"],
        "AT+CEREG?" => &["+CEREG: 2,5,\"4E21\",\"1A2B303\",13", "OK"],
        "AT+C5GREG?" => &["+C5GREG: 2,0", "OK"],
        "AT+COPS?" => &["+COPS: 0,0,\"Net\",13", "OK"],
        "AT+QENG=\"servingcell\"" => &[
            "+QENG: \"servingcell\",\"NOCONN\"",
            "+QENG: \"LTE\",\"FDD\",262,01,1A2B303,212,1300,3,5,5,4E21,-95,-11,-63,12,9,230,-",
            "+QENG: \"NR5G-NSA\",262,01,500,-101,15,-11,640704,78,12,1",
            "OK",
        ],
        _ => &["OK"],
    }
}

impl Bench {
    fn line(&mut self, line: &str) {
        self.talk.line(line, self.now, &mut self.said);
    }

    fn timer(&mut self) {
        self.now = self.now.max(self.talk.deadline().unwrap());
        self.talk.timer(self.now, &mut self.said);
    }

    /// Plays the modem's part until nothing more is written; gives the commands and what else was said.
    fn play(&mut self) -> (Vec<String>, Vec<Said>) {
        let (mut commands, mut others) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let said = std::mem::take(&mut self.said);
            let (writes, rest) = said.into_iter().partition::<Vec<_>, _>(|said| matches!(said, Said::Write { .. }));
            others.extend(rest);
            if writes.is_empty() {
                return (commands, others);
            }
            for said in writes {
                let Said::Write { command, .. } = said else { continue };
                let command = command.strip_suffix('\r').unwrap().to_owned();
                if self.echo {
                    self.line(&format!("{command}\r"));
                }
                self.line("");
                let instead =
                    self.instead.iter().find(|(begin, _)| command.starts_with(begin)).map(|(_, lines)| *lines);
                let card = [self.card, "OK"];
                let lines = instead.unwrap_or(if command == "AT+CPIN?" { &card[..] } else { quectel(&command) });
                lines.iter().for_each(|line| self.line(line));
                commands.push(command);
            }
        }
        panic!("it does not end: {commands:?}");
    }

    /// Lets it answer until a reading is there.
    fn ready() -> Self {
        let mut bench = bench(None);
        bench.timer();
        bench.play();
        bench
    }

    /// What is said in the next round.
    fn round(&mut self) -> (Vec<String>, Vec<Said>) {
        self.timer();
        self.play()
    }

    fn reading(&mut self) -> super::values::Reading {
        let (_, said) = self.round();
        let reading =
            said.into_iter().find_map(|said| if let Said::Reading(reading) = said { Some(*reading) } else { None });
        reading.unwrap()
    }
}

#[test]
fn an_access_point_is_told_while_the_modem_is_set_up_and_one_that_declines_goes_on() {
    for answer in ["OK", "+CME ERROR: 3"] {
        let mut bench = bench(None);
        let veil = Veil::new(Key::example());
        bench.talk = Talk::new((None, Some("internet")), Duration::from_secs(1), veil, bench.now).unwrap();
        bench.instead.push(("AT+CGDCONT", if answer == "OK" { &["OK"] } else { &["+CME ERROR: 3"] }));
        bench.timer();
        let (commands, said) = bench.play();
        let at = |wanted: &str| commands.iter().position(|command| command == wanted).unwrap();
        assert!(at("AT+CGDCONT=1,\"IPV4V6\",\"internet\"") < at("AT+CPIN?"), "{commands:?}");
        assert!(said.contains(&Said::Ready), "{said:?}");
    }
}

#[test]
fn a_modem_is_asked_who_it_is_and_then_again_and_again_how_it_hears() {
    for echo in [false, true] {
        let mut bench = bench(None);
        bench.echo = echo;
        bench.timer();
        let (commands, said) = bench.play();
        assert_eq!(commands.first().unwrap(), "ATE0");
        assert!(said.contains(&Said::Speaks("quectel")) && said.contains(&Said::Card(Sim::Ready)), "{said:?}");
        let first = said.iter().position(|said| *said == Said::Ready).unwrap();
        assert!(said[first..].iter().any(|said| matches!(said, Said::Reading(_))), "{said:?}");
        let (commands, _) = bench.round();
        assert_eq!(commands, ["AT+CEREG?", "AT+C5GREG?", "AT+QENG=\"servingcell\""], "echo: {echo}");
        let reading = bench.reading();
        assert_eq!((reading.technology, reading.operator.as_deref()), (Technology::EnDc, Some("Net")));
        assert_eq!((reading.raw.len(), reading.unread, reading.errors.len()), (5, 0, 0), "{:?}", reading.raw);
    }
}

#[test]
fn one_reading_follows_another_by_the_period() {
    let mut bench = Bench::ready();
    let begun = bench.now;
    for n in 1..=3 {
        bench.round();
        assert_eq!(bench.now - begun, Duration::from_secs(n));
    }
}

#[test]
fn numbers_of_people_and_devices_do_not_come_out_in_any_line() {
    let mut bench = bench(None);
    bench.instead.push(("AT+CGMR", &["Rev 1 IMEI 860123045678901", "OK"]));
    bench.timer();
    let (_, said) = bench.play();
    let learnt: Vec<_> = said.iter().filter(|said| matches!(said, Said::Learnt(..))).collect();
    assert_eq!(learnt.len(), 7, "{learnt:?}");
    bench.instead.push(("AT+QENG", &["+QENG: \"servingcell\",\"860123045678901\"", "+CME ERROR: 262011234567890"]));
    let reading = bench.reading();
    let all = format!("{said:?}{reading:?}");
    for number in [IMEI, "262011234567890", "8949020000123456789", "491701234567"] {
        assert!(!all.contains(number), "{number} in {all}");
    }
    assert!(reading.raw.iter().any(|line| line.contains("imei:")), "{:?}", reading.raw);
    assert!(said.contains(&Said::Learnt(About::Imei, Key::example().pseudonym(&format!("imei:{IMEI}")))));
}

#[test]
fn a_pin_is_told_once_and_when_it_was_wrong_the_readings_go_on_without() {
    for (answer, card) in [(&["OK"][..], Sim::Ready), (&["+CME ERROR: 16"], Sim::PinRefused)] {
        let mut bench = bench(Some(ModemDialect::Quectel));
        bench.card = "+CPIN: SIM PIN";
        bench.instead.push(("AT+CPIN=", answer));
        bench.timer();
        let (commands, said) = bench.play();
        assert!(said.contains(&Said::WantsPin) && !commands.iter().any(|command| command.starts_with("AT+CPIN=")));
        bench.talk.pin(Ok(Secret::new("2468")), bench.now, &mut bench.said);
        assert!(bench.said.contains(&Said::Write { command: "AT+CPIN=\"2468\"\r".to_owned(), secret: true }));
        if card == Sim::Ready {
            bench.card = "+CPIN: READY";
        }
        let mut all = bench.play().1;
        let mut told = 0;
        for _ in 0..70 {
            let (commands, said) = bench.round();
            told += commands.iter().filter(|command| command.starts_with("AT+CPIN=")).count();
            all.extend(said);
        }
        assert_eq!(told, 0, "it was told before");
        let cards: Vec<_> = all.iter().filter(|said| matches!(said, Said::Card(_))).collect();
        assert_eq!(cards, [&Said::Card(card)]);
        assert!(all.iter().filter(|said| matches!(said, Said::Reading(_))).count() >= 70);
    }
}

#[test]
fn a_pin_of_which_nobody_heard_is_not_told_again() {
    let mut bench = bench(Some(ModemDialect::Quectel));
    bench.card = "+CPIN: SIM PIN";
    bench.instead.push(("AT+CPIN=", &[]));
    bench.timer();
    bench.play();
    bench.talk.pin(Ok(Secret::new("2468")), bench.now, &mut bench.said);
    bench.play();
    let (commands, said) = bench.round();
    assert!(!commands.iter().any(|command| command.starts_with("AT+CPIN=")), "{commands:?}");
    assert!(said.contains(&Said::Card(Sim::PinRefused)), "{said:?}");
    bench.line("RDY");
    let (commands, said) = bench.round();
    assert!(
        commands.iter().any(|command| command == "AT+CPIN?") && !said.contains(&Said::WantsPin),
        "not after a reset"
    );
}

#[test]
fn without_a_card_the_modem_is_asked_all_the_same() {
    let mut bench = bench(None);
    bench.instead.push(("AT+CPIN?", &["+CME ERROR: 10"]));
    bench.timer();
    let (commands, said) = bench.play();
    assert!(said.contains(&Said::Card(Sim::Absent)) && !commands.iter().any(|command| command == "AT+CIMI"));
    assert!(said.iter().any(|said| matches!(said, Said::Reading(_))));
}

#[test]
fn a_reset_is_noticed_by_its_greeting_or_because_it_repeats_again_what_it_is_told() {
    let mut bench = Bench::ready();
    bench.timer();
    bench.line("+QENG: \"servingc");
    bench.line("RDY");
    bench.line("+CPIN: READY");
    bench.said.retain(|said| !matches!(said, Said::Write { .. }));
    assert!(bench.said.contains(&Said::Reset), "{:?}", bench.said);
    let (commands, said) = bench.round();
    assert_eq!((commands.first().unwrap().as_str(), said.contains(&Said::Ready)), ("ATE0", true));

    let mut bench = Bench::ready();
    bench.round();
    bench.timer();
    bench.line("AT+CEREG?");
    assert!(bench.said.contains(&Said::Reset), "{:?}", bench.said);
}

#[test]
fn what_comes_unasked_or_makes_no_sense_harms_no_reading() {
    let mut bench = Bench::ready();
    bench.timer();
    for line in ["+CEREG: 1,\"4E21\",\"0000001\",7", "RING", "+CLIP: \"+491701234567\",145", "\u{1}\u{2}", "\u{fffd}x"]
    {
        bench.line(line);
    }
    let dropped = bench.said.iter().filter(|said| matches!(said, Said::Dropped { reason: DropReason::FrameNoise, .. }));
    assert_eq!(dropped.count(), 2);
    let (_, said) = bench.play();
    let Some(Said::Reading(reading)) = said.into_iter().find(|said| matches!(said, Said::Reading(_))) else { panic!() };
    assert_eq!((reading.technology, reading.lte.numbers.len()), (Technology::EnDc, 12));
    assert_eq!((reading.registration, reading.unread), (Some(super::values::Registration::Roaming), 0));
    assert!(!reading.raw.iter().any(|line| line.contains("+CLIP")));
}

#[test]
fn an_error_is_in_the_reading_and_an_optional_question_without_a_word_is_left_out_for_a_while() {
    let mut bench = Bench::ready();
    bench.instead.push(("AT+QENG", &["+CME ERROR: 30"]));
    bench.instead.push(("AT+C5GREG?", &["ERROR"]));
    let reading = bench.reading();
    assert_eq!(reading.errors, ["`+CME ERROR: 30` to `AT+QENG=\"servingcell\"`"]);
    assert_eq!(reading.technology, Technology::EnDc, "registration says so");
    bench.instead = vec![("AT+C5GREG?", &[])];
    bench.round();
    bench.round();
    let (commands, said) = bench.round();
    assert!(said.iter().any(|said| matches!(said, Said::Declined { .. })), "{said:?}");
    assert_eq!(commands, ["AT+QENG=\"servingcell\""]);
    let (commands, _) = bench.round();
    assert_eq!(commands, ["AT+CEREG?", "AT+QENG=\"servingcell\""]);
    let again = (0..60).any(|_| bench.round().0.iter().any(|command| command == "AT+C5GREG?"));
    assert!(again, "it may have been busy");
}

#[test]
fn a_modem_that_answers_late_at_first_is_asked_anew_when_it_has_said_all() {
    let mut bench = bench(None);
    bench.timer();
    // As long as it starts it says nothing; then it answers both tries at once.
    bench.timer();
    bench.said.clear();
    for line in ["ATE0", "OK", "ATE0", "OK"] {
        bench.line(line);
    }
    assert!(!bench.said.iter().any(|said| matches!(said, Said::Write { .. } | Said::Learnt(..))), "{:?}", bench.said);
    bench.said.clear();
    let (commands, said) = bench.round();
    assert_eq!(commands.first().unwrap(), "ATE0");
    assert!(said.contains(&Said::Speaks("quectel")), "{said:?}");
    assert!(said.contains(&Said::Learnt(About::Model, "RM500Q-GL".to_owned())), "{said:?}");
}

#[test]
fn a_pin_that_is_repeated_late_is_nobody_s_name() {
    let mut bench = bench(None);
    bench.instead.push(("AT+CGM", &["AT+CPIN=\"2468\"", "OK"]));
    bench.timer();
    let (_, said) = bench.play();
    assert!(!format!("{said:?}").contains("2468"), "{said:?}");
}

#[test]
fn a_card_that_is_taken_out_is_missed() {
    let mut bench = Bench::ready();
    bench.instead.push(("AT+CPIN?", &["+CME ERROR: 10"]));
    assert!((0..60).any(|_| bench.round().1.contains(&Said::Card(Sim::Absent))));
}

#[test]
fn a_modem_that_answers_nothing_ends_the_conversation_with_what_to_check() {
    for mut bench in [bench(None), Bench::ready()] {
        bench.instead.push(("AT", &[]));
        let mut over = None;
        for _ in 0..50 {
            let (_, said) = bench.round();
            over = said.into_iter().find_map(|said| if let Said::Over(why) = said { Some(why) } else { None });
            if over.is_some() {
                break;
            }
        }
        let why = over.unwrap();
        assert!(why.contains("answers nothing to `ATE0`; check `device`"), "{why}");
        assert_eq!(bench.talk.deadline(), None);
    }
}
