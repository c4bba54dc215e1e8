//! A gateway that measures: four modems on pseudo-terminals and ten probes of another gateway's reflector, all of them by one
//! clock; and the count of what they say, at a subscriber and in what is exported.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rumqttc::QoS;
use serde_json::Value;

use crate::cellular::{CellularModem, Maker, Serving};
use crate::{Client, Stile, check};

const MODEMS: [Maker; 4] = [Maker::Quectel, Maker::Simcom, Maker::Sierra, Maker::Other];
const PROBES: usize = 10;
/// What numbers its records, by topic, and the key that it does so by.
const TOPICS: [(&str, &str); 2] = [("cellular/+/signal", "seq"), ("probe/+/result", "sequence")];

/// See the module's head.
pub struct Measuring {
    /// The one that measures.
    pub stile: Stile,
    /// The one that reflects.
    pub far: Stile,
    client: Client,
    _modems: Vec<CellularModem>,
}

/// A record as a subscriber gets it.
pub struct Record {
    /// Its topic: each has numbers of its own.
    pub topic: String,
    /// Its number.
    pub number: u64,
    /// All of it.
    pub body: Value,
}

/// What became of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Those that came to the subscriber.
    pub records: u64,
    /// Those that lie between two that came, and did not.
    pub missing: u64,
    /// Those that came again, or late.
    pub repeated: u64,
    /// Those up to the last that came, which the export has not, or more than once.
    pub not_exported: u64,
    /// How long it took.
    pub took: Duration,
}

impl Measuring {
    /// Has each modem read, and each probe run with one packet, once in this time.
    #[track_caller]
    pub fn start(period: Duration) -> Self {
        let far = Stile::start("[reflector]\nlisten = \"127.0.0.1:0\"\nallow = [\"127.0.0.1\"]\n");
        let reflector = far.door("reflecting STAMP packets");
        let modems: Vec<_> =
            MODEMS.into_iter().map(|maker| CellularModem::start(maker, Serving::EnDc(0x01A2_B303))).collect();
        let millis = period.as_millis();
        let radios = modems.iter().enumerate().map(|(at, modem)| {
            let device = modem.path();
            format!(
                "[[radio]]\nname = \"modem-{at}\"\nkind = \"cellular\"\ndevice = {device:?}\nperiod = \"{millis}ms\"\n"
            )
        });
        let probes = (0..PROBES).map(|at| {
            format!(
                "[[probe]]\nname = \"probe-{at}\"\nkind = \"stamp\"\ntarget = \"{reflector}\"\npackets = 1\n\
                 interval = \"{millis}ms\"\ntimeout = \"150ms\"\n"
            )
        });
        let stile = Stile::start(&radios.chain(probes).collect::<String>());
        let client = Client::connect(stile.mqtt, "measuring");
        TOPICS.iter().for_each(|(topic, _)| client.subscribe(topic, QoS::AtLeastOnce));
        Self { stile, far, client, _modems: modems }
    }

    /// How many number their records.
    pub fn sources(&self) -> usize {
        MODEMS.len() + PROBES
    }

    /// The next record.
    #[track_caller]
    pub fn next(&self) -> Record {
        let message = self.client.next();
        let body = message.json();
        let number =
            TOPICS.iter().find_map(|(_, key)| body[key].as_u64()).unwrap_or_else(|| panic!("no number: {body}"));
        Record { topic: message.topic, number, body }
    }

    /// Counts until each has said so much, and holds that against an export.
    #[track_caller]
    pub fn count(&self, each: u64) -> Tally {
        let begun = Instant::now();
        // Of each, how many came and which was the last.
        let mut heard = BTreeMap::<String, (u64, u64)>::new();
        let (mut missing, mut repeated) = (0, 0);
        while heard.len() < self.sources() || heard.values().any(|(count, _)| *count < each) {
            let Record { topic, number, .. } = self.next();
            let (count, last) = heard.entry(topic).or_insert((0, number - 1));
            match number.checked_sub(*last + 1) {
                Some(between) => (missing, *last) = (missing + between, number),
                None => repeated += 1,
            }
            *count += 1;
        }
        let took = begun.elapsed();
        let exported = self.exported();
        let not_exported = heard.iter().map(|(topic, (_, last))| {
            let mut times = BTreeMap::<u64, u64>::new();
            exported.get(topic).into_iter().flatten().for_each(|number| *times.entry(*number).or_default() += 1);
            (1..=*last).filter(|number| times.get(number) != Some(&1)).count() as u64
        });
        let records = heard.values().map(|(count, _)| count).sum();
        Tally { records, missing, repeated, not_exported: not_exported.sum(), took }
    }

    /// The numbers that an export has, by topic.
    #[track_caller]
    fn exported(&self) -> BTreeMap<String, Vec<u64>> {
        let config = self.stile.dir.path().join("stile.toml");
        let topics = TOPICS.iter().flat_map(|(topic, _)| ["--topic", topic]);
        let columns = ["export", "--columns", "topic,seq,sequence", "--config", config.to_str().unwrap()];
        let (code, out, err) = check(&columns.into_iter().chain(topics).collect::<Vec<_>>());
        assert_eq!(code, 0, "{err}");
        let mut numbers = BTreeMap::<String, Vec<u64>>::new();
        for line in out.lines().skip(1) {
            let (topic, rest) = line.split_once(',').unwrap();
            let number = rest.split(',').find(|cell| !cell.is_empty()).unwrap_or_else(|| panic!("no number: {line}"));
            numbers.entry(topic.to_owned()).or_default().push(number.parse().unwrap());
        }
        numbers
    }
}
