//! Weeks of made-up homes, and what the filter says of them: how much of what was wrong it finds, and what it tells
//! that was not wrong. `docs/plugin-telecare.md` has the figures, and is held against them.
//!
//! Each home has its own habits: when its person gets up and goes to bed, how much there is to see of them, one day a
//! week away. Days differ: sleeping in, naps, errands, walks at night. Showers and cooking, an open window, lost
//! messages and one longer outage of the network are no alert either. The homes come of a seed: each run is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use stile_filter::serde_json::{self, Value, json};
use stile_filter::{Filter, Host, Message, Time};

use crate::Telecare;

/// Homes, weeks of each, and the weeks at the beginning in which nothing is wrong.
const HOMES: u64 = 40;
const WEEKS: u32 = 8;
const LEARNING: u32 = 3;
/// Minutes between two messages of a sensor.
const STEP: u32 = 10;
const DAY: u32 = 1440;

/// Xorshift.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.unit();
        }
        dice
    }

    /// 0 to 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn happens(&mut self, likely: f64) -> bool {
        self.unit() < likely
    }

    /// Between the two, the middle the likeliest.
    fn about(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.unit() + self.unit() + self.unit()) / 3.0
    }

    fn minute(&mut self, from: f64, to: f64) -> u32 {
        self.about(from, to) as u32
    }
}

/// From one minute to another, since the first week began.
type Span = (u32, u32);

/// Spans stand in the order of their days.
fn within(minute: u32, spans: &[Span]) -> bool {
    let mut near = spans.iter().take_while(|(from, _)| *from < minute + 2 * DAY);
    near.any(|(from, to)| (*from..*to).contains(&minute))
}

/// A home: what happens in it, and what goes wrong.
struct Home {
    dice: Dice,
    /// In which nobody can be seen: asleep, out.
    still: Vec<Span>,
    /// How often somebody who is up is seen in ten minutes.
    seen: f64,
    /// How often somebody gets up at night, for ten minutes.
    nightly: f64,
    warm: f64,
    humid: f64,
    wet: Vec<Span>,
    airing: Vec<Span>,
    outage: Span,
    wrong: BTreeMap<&'static str, Vec<Span>>,
}

impl Home {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (up, bed) = (dice.about(330.0, 540.0), dice.about(1260.0, 1410.0));
        let club = dice.about(0.0, 7.0) as u32;
        let mut home = Self {
            seen: dice.about(0.15, 0.75),
            nightly: dice.about(0.0, 0.06),
            warm: dice.about(18.0, 22.0),
            humid: dice.about(40.0, 55.0),
            still: Vec::new(),
            wet: Vec::new(),
            airing: Vec::new(),
            outage: (0, 0),
            wrong: BTreeMap::new(),
            dice,
        };
        let mut asleep = 0;
        for day in 0..WEEKS * 7 {
            asleep = home.day(day * DAY, asleep, (up, bed), day % 7 == club);
        }
        home.still.push((asleep, u32::MAX));
        let outage = home.dice.minute(0.0, f64::from(WEEKS * 7 * DAY));
        home.outage = (outage, outage + 300);
        home.go_wrong();
        home
    }

    /// One day; gives when the night begins.
    fn day(&mut self, midnight: u32, asleep: u32, (up, bed): (f64, f64), club: bool) -> u32 {
        let dice = &mut self.dice;
        let late = if dice.happens(0.1) { dice.about(40.0, 120.0) } else { 0.0 };
        let up = midnight + dice.minute(up - 40.0, up + 40.0) + late as u32;
        self.still.push((asleep, up));
        if club {
            self.still.push((midnight + 780, midnight + 780 + dice.minute(180.0, 260.0)));
        } else if dice.happens(0.4) {
            let out = midnight + dice.minute(570.0, 960.0);
            self.still.push((out, out + dice.minute(30.0, 200.0)));
        }
        if dice.happens(0.3) {
            let nap = midnight + dice.minute(780.0, 900.0);
            self.still.push((nap, nap + dice.minute(30.0, 100.0)));
        }
        self.wet.push((up + 20, up + 50));
        self.wet.push((midnight + 1080, midnight + 1110));
        let airing = midnight + dice.minute(500.0, 700.0);
        self.airing.push((airing, airing + 20));
        midnight + dice.minute(bed - 45.0, bed + 45.0)
    }

    /// Two days without motion, one failed heating, one damp spell, each in a week of its own.
    fn go_wrong(&mut self) {
        let weeks: Vec<u32> = (LEARNING..WEEKS).collect();
        let first = self.dice.minute(0.0, weeks.len() as f64) as usize;
        let mut spans = (0..4).map(|place| {
            let week = weeks[(first + place) % weeks.len()];
            (week * 7 * DAY) + self.dice.minute(0.0, f64::from(2 * DAY))
        });
        let mut next = |length: u32| {
            let from = spans.next().expect("there are four");
            (from, from + length)
        };
        let quiet = vec![next(DAY), next(DAY)];
        self.wrong = BTreeMap::from([("missing", quiet), ("cold", vec![next(36 * 60)]), ("damp", vec![next(5 * DAY)])]);
    }

    fn wrong(&self, kind: &str, minute: u32) -> Option<u32> {
        self.wrong[kind].iter().find(|(from, to)| (*from..*to).contains(&minute)).map(|(from, _)| minute - from)
    }

    /// What an ERS says of ten minutes: temperature, humidity, motion.
    fn payload(&mut self, minute: u32) -> Vec<u8> {
        if minute.is_multiple_of(DAY) {
            // What is over is looked at no more.
            for spans in [&mut self.still, &mut self.wet, &mut self.airing] {
                spans.retain(|(_, to)| *to > minute);
            }
        }
        let still = within(minute, &self.still);
        let seen = self.dice.happens(if still { 0.0 } else { self.seen });
        let night = !(360..1320).contains(&(minute % DAY)) && self.dice.happens(self.nightly);
        let motion = u8::from((seen || night) && self.wrong("missing", minute).is_none());
        let mut degrees = self.warm + self.dice.about(-0.5, 0.5);
        if let Some(since) = self.wrong("cold", minute) {
            // Out of doors are 5 degrees; the house keeps its warmth for a night or so.
            degrees = 5.0 + (degrees - 5.0) * (-f64::from(since) / 1200.0).exp();
        }
        if within(minute, &self.airing) {
            degrees -= 6.0;
        }
        let mut percent = self.humid + self.dice.about(-3.0, 3.0);
        percent += if within(minute, &self.wet) { 30.0 } else { 0.0 };
        percent += if self.wrong("damp", minute).is_some() { 28.0 } else { 0.0 };
        let [high, low] = ((degrees * 10.0) as i16).to_be_bytes();
        vec![0x01, high, low, 0x02, percent.clamp(0.0, 100.0) as u8, 0x04, 0x00, 0x27, 0x05, motion]
    }
}

/// What came of one kind of alert.
#[derive(Debug, Default, PartialEq)]
struct Score {
    wrong: u32,
    found: u32,
    /// How long each took, in minutes.
    after: Vec<u32>,
    false_alarms: u32,
}

fn at(minute: u32) -> Time {
    Time::EXAMPLE.after(Duration::from_secs(60 * u64::from(minute)))
}

/// Plays the weeks of a home, and adds to the scores.
fn play(seed: u64, host: &Host, telecare: &mut Telecare, scores: &mut BTreeMap<&'static str, Score>) {
    let mut home = Home::new(seed);
    let topic = format!("homes/{seed}/ers");
    let mut opened: Vec<(String, u32)> = Vec::new();
    for minute in (0..WEEKS * 7 * DAY).step_by(STEP as usize) {
        let payload = home.payload(minute);
        if home.dice.happens(0.03) || within(minute, &[home.outage]) {
            continue;
        }
        let mut message = Message::new(&topic, payload);
        message.received = at(minute);
        host.set_now(message.received);
        telecare.process(&message, host);
        for draft in host.published() {
            let alert: Value = serde_json::from_slice(&draft.payload).unwrap();
            if alert["state"] == "open" {
                opened.push((alert["alert"].as_str().unwrap().to_owned(), minute));
            }
        }
    }
    for (kind, spans) in &home.wrong {
        let score = scores.entry(kind).or_default();
        let mut of_kind: Vec<u32> = opened.iter().filter(|(word, _)| word == kind).map(|(_, at)| *at).collect();
        for (from, to) in spans {
            score.wrong += 1;
            let found = of_kind.iter().find(|at| (*from..*to).contains(*at)).copied();
            score.found += u32::from(found.is_some());
            score.after.extend(found.map(|at| at - from));
            of_kind.retain(|at| !(*from..*to).contains(at));
        }
        score.false_alarms += of_kind.len() as u32;
    }
}

fn filter(host: &Host) -> Telecare {
    let settings =
        json!({ "sensors": [{ "topics": "homes/+/ers", "kind": "elsys", "source": { "format": "bytes" } }] });
    Telecare::new(Telecare::settings(&settings.to_string()).unwrap(), host).unwrap()
}

/// The figures as they stand on the page.
fn line(kind: &str, score: &mut Score) -> String {
    score.after.sort_unstable();
    let half = f64::from(score.after[score.after.len() / 2]) / 60.0;
    let most = f64::from(score.after[score.after.len() - 1]) / 60.0;
    let Score { wrong, found, false_alarms, .. } = score;
    format!("| `{kind}` | {found} of {wrong} | {half:.1} h | {most:.1} h | {false_alarms} |")
}

#[test]
fn made_up_weeks_are_judged_as_well_as_the_page_says() {
    let mut scores = BTreeMap::new();
    for seed in 0..HOMES {
        // A host each: one that remembers little is quick.
        let host = Host::in_memory(Telecare::GRANTS);
        play(seed, &host, &mut filter(&host), &mut scores);
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugin-telecare.md")).unwrap();
    let lines: Vec<_> = scores.iter_mut().map(|(kind, score)| line(kind, score)).collect();
    println!("{} homes, {WEEKS} weeks each\n{}", HOMES, lines.join("\n"));
    for (kind, score) in &scores {
        assert!(score.found * 100 >= score.wrong * 95, "{kind}: {score:?}");
        assert!(score.false_alarms * 20 <= HOMES as u32 * WEEKS, "{kind}: {score:?}");
    }
    for line in lines {
        assert!(page.contains(&line), "docs/plugin-telecare.md does not say\n{line}");
    }
}
