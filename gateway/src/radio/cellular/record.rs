//! The messages of a modem: objects as JSON, or the same as SenML packs or lines of InfluxDB's protocol.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::about::{About, Sim};
use super::past::Event;
use super::values::{Reading, number};
use crate::config::CellularFormat;
use crate::message::Received;
use crate::series::{self, Measurement};

/// When something was measured, and what belongs into each record of that time: where the gateway was, and by how much its clock
/// was off.
pub(super) type Made<'a> = (&'a Received, &'a Map<String, Value>);

/// Makes messages of one modem.
pub(super) struct Records {
    pub(super) radio: String,
    /// The gateway's id.
    pub(super) gateway: Arc<str>,
    pub(super) format: CellularFormat,
    /// Count of readings since the start.
    pub(super) sequence: u64,
}

/// What is known of the modem and its card, without numbers of people or devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Identity {
    pub(super) dialect: &'static str,
    pub(super) facts: Vec<(About, String)>,
    pub(super) sim: Option<Sim>,
    /// Its data connection, where ModemManager says how that is.
    pub(super) connection: Option<Map<String, Value>>,
}

impl Identity {
    pub(super) fn learn(&mut self, about: About, text: String) {
        self.facts.retain(|(known, _)| *known != about);
        self.facts.push((about, text));
    }

    /// How its card is now. What was known of it may be another one's.
    pub(super) fn card(&mut self, sim: Sim) {
        self.facts.retain(|(about, _)| !about.is_of_card());
        self.sim = Some(sim);
    }

    fn part(&self, of_card: bool) -> Map<String, Value> {
        let facts = self.facts.iter().filter(|(about, _)| about.is_of_card() == of_card);
        facts.map(|(about, text)| (about.name().to_owned(), json!(text))).collect()
    }
}

impl Records {
    fn begin(&self, (at, stamp): Made<'_>) -> Map<String, Value> {
        let mut head = into_map(json!({ "time": at.rfc3339(), "clock": at.clock.as_str() }));
        head.extend(stamp.clone());
        head.insert("radio".to_owned(), json!(self.radio));
        head
    }

    /// How it hears, for `signal`.
    pub(super) fn signal(&mut self, reading: &Reading, made: Made<'_>) -> String {
        self.sequence += 1;
        let mut body = self.begin(made);
        body.insert("seq".to_owned(), json!(self.sequence));
        body.insert("technology".to_owned(), json!(reading.technology.as_str()));
        body.extend(reading.registration.map(|now| ("registration".to_owned(), json!(now.as_str()))));
        body.extend(reading.activity.as_ref().map(|text| ("activity".to_owned(), json!(text))));
        body.extend(reading.sides(false));
        if reading.unread > 0 {
            body.insert("unread".to_owned(), json!(reading.unread));
        }
        if !reading.errors.is_empty() {
            body.insert("errors".to_owned(), json!(reading.errors));
        }
        body.insert("raw".to_owned(), json!(reading.raw));
        self.write("signal", body, made, reading.cell())
    }

    /// Where it is and what it is, for `cell`: what of it is compared, and the message.
    pub(super) fn cell(&self, reading: &Reading, identity: &Identity, made: Made<'_>) -> (Value, String) {
        let mut said = Map::new();
        said.insert("technology".to_owned(), json!(reading.technology.as_str()));
        said.extend(reading.registration.map(|now| ("registration".to_owned(), json!(now.as_str()))));
        said.extend(reading.operator.as_ref().map(|name| ("operator".to_owned(), json!(name))));
        said.extend(reading.sides(true));
        let mut modem = identity.part(false);
        modem.insert("dialect".to_owned(), json!(identity.dialect));
        said.insert("modem".to_owned(), Value::Object(modem));
        let mut card = identity.part(true);
        card.extend(identity.sim.as_ref().map(|sim| ("state".to_owned(), json!(sim.as_str()))));
        said.insert("sim".to_owned(), Value::Object(card));
        said.extend(identity.connection.clone().map(|connection| ("connection".to_owned(), Value::Object(connection))));
        let mut body = self.begin(made);
        body.extend(said.clone());
        (Value::Object(said), self.write("cell", body, made, None))
    }

    /// What has happened, for `event`.
    pub(super) fn event(&self, event: &Event, made: Made<'_>) -> String {
        let side = |(technology, place): &(super::values::Technology, Map<String, Value>)| {
            let technology = ("technology".to_owned(), json!(technology.as_str()));
            Value::Object(std::iter::once(technology).chain(place.clone()).collect())
        };
        let mut body = self.begin(made);
        body.insert("event".to_owned(), json!(event.what.as_str()));
        body.insert("took_seconds".to_owned(), number(event.took.as_secs_f64()));
        body.insert("from".to_owned(), side(&event.from));
        body.insert("to".to_owned(), side(&event.to));
        self.write("event", body, made, None)
    }

    /// `cell` is the one that it is in, where the body does not say it.
    fn write(&self, what: &str, body: Map<String, Value>, (at, _): Made<'_>, cell: Option<f64>) -> String {
        match self.format {
            CellularFormat::Json => Value::Object(body).to_string(),
            CellularFormat::Senml => series::senml(&format!("cellular/{}/", self.radio), at.wall, &body).to_string(),
            CellularFormat::Influx => {
                let said = Measurement::of_object(at.wall, &format!("cellular/{}/{what}", self.radio), &body);
                // There is always a field: the word for the clock.
                series::influx(&said, &self.gateway, cell).unwrap_or_default()
            }
        }
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::super::past::Happened;
    use super::super::values::{Key, Registration, Technology};
    use super::*;
    use crate::message::ClockQuality;

    /// As where the settings name a receiver of satellites.
    fn stamp() -> Map<String, Value> {
        into_map(json!({ "timing": { "source": "chrony", "offset_s": -0.000_012_3, "error_s": 0.000_4 },
            "position": { "lat": 51.502_512_3, "lon": -0.1347, "alt_m": 5.25, "age_s": 0.42, "quality": "fix", "source": "gps" } }))
    }

    fn at() -> Received {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_500);
        Received { wall, monotonic: Instant::now(), clock: ClockQuality::Synchronised }
    }

    fn reading() -> Reading {
        let mut reading = Reading::new(Instant::now());
        (reading.technology, reading.registration) = (Technology::NrSa, Some(Registration::Home));
        reading.nr.numbers.extend([
            (Key::Rsrp, -107.0),
            (Key::Rsrq, -10.5),
            (Key::Pci, 299.0),
            (Key::Bandwidth, 100.0),
        ]);
        reading.raw.push("+CESQ: 1".to_owned());
        reading
    }

    fn records(format: CellularFormat) -> Records {
        Records { radio: "wwan".to_owned(), gateway: "roof".into(), format, sequence: 0 }
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_signal_as_json_has_how_it_hears_and_the_lines() {
        let mut records = records(CellularFormat::Json);
        records.signal(&reading(), (&at(), &stamp()));
        assert_eq!(
            parsed(&records.signal(&reading(), (&at(), &stamp()))),
            json!({ "time": at().rfc3339(), "clock": "synchronised", "timing": stamp()["timing"],
                "position": stamp()["position"], "radio": "wwan", "seq": 2, "technology": "nr-sa", "registration": "home", "nr": { "rsrp": -107, "rsrq": -10.5 }, "raw": ["+CESQ: 1"] })
        );
    }

    #[test]
    fn a_signal_as_senml_has_base_fields_in_its_first_record_and_units_of_the_registry() {
        let pack = parsed(&records(CellularFormat::Senml).signal(&reading(), (&at(), &stamp())));
        assert_eq!(
            pack,
            json!([
                { "bn": "cellular/wwan/", "bt": 1_795_000_000.5, "n": "clock", "vs": "synchronised" },
                { "n": "timing/source", "vs": "chrony" },
                { "n": "timing/offset_s", "u": "s", "v": -0.000_012_3 },
                { "n": "timing/error_s", "u": "s", "v": 0.000_4 },
                { "n": "position/lat", "u": "lat", "v": 51.502_512_3 },
                { "n": "position/lon", "u": "lon", "v": -0.1347 },
                { "n": "position/alt_m", "u": "m", "v": 5.25 },
                { "n": "position/age_s", "u": "s", "v": 0.42 },
                { "n": "position/quality", "vs": "fix" },
                { "n": "position/source", "vs": "gps" },
                { "n": "seq", "v": 1 },
                { "n": "technology", "vs": "nr-sa" },
                { "n": "registration", "vs": "home" },
                { "n": "nr/rsrp", "u": "dBW", "v": -137 },
                { "n": "nr/rsrq", "u": "dB", "v": -10.5 },
                { "n": "raw/0", "vs": "+CESQ: 1" },
            ])
        );
    }

    #[test]
    fn a_signal_as_a_line_says_by_tags_whose_it_is_and_in_which_cell() {
        let mut reading = reading();
        reading.nr.numbers.insert(Key::Cell, 4_955_280.0);
        assert_eq!(
            records(CellularFormat::Influx).signal(&reading, (&at(), &Map::new())),
            "cellular_signal,cell=4955280,gateway=roof,modem=wwan,technology=nr-sa clock=\"synchronised\",seq=1i,\
             registration=\"home\",nr_rsrp=-107,nr_rsrq=-10.5 1795000000500000000"
        );
    }

    #[test]
    fn a_cell_says_where_and_what_and_is_compared_without_its_time() {
        let mut identity = Identity { dialect: "quectel", sim: Some(Sim::Ready), ..Identity::default() };
        identity.learn(About::Model, "RM500Q".to_owned());
        identity.learn(About::Imsi, "0123".to_owned());
        let (said, text) = records(CellularFormat::Json).cell(&reading(), &identity, (&at(), &Map::new()));
        let compared = json!({ "technology": "nr-sa", "registration": "home", "nr": { "pci": 299, "bandwidth": 100 },
            "modem": { "model": "RM500Q", "dialect": "quectel" }, "sim": { "imsi": "0123", "state": "ready" } });
        assert_eq!(said, compared);
        assert_eq!(parsed(&text)["time"], at().rfc3339());
        let (_, text) = records(CellularFormat::Senml).cell(&reading(), &identity, (&at(), &Map::new()));
        let pack = parsed(&text);
        assert!(
            pack.as_array().unwrap().contains(&json!({ "n": "nr/bandwidth", "u": "Hz", "v": 100_000_000 })),
            "{pack}"
        );
    }

    #[test]
    fn a_card_that_was_taken_out_leaves_no_number_to_the_next_one() {
        let mut identity = Identity::default();
        for about in [About::Imei, About::Imsi, About::Number] {
            identity.learn(about, "0123".to_owned());
        }
        identity.card(Sim::Absent);
        assert_eq!((identity.part(true).len(), identity.part(false).len()), (0, 1));
    }

    #[test]
    fn an_event_says_from_where_to_where_and_how_long_it_took() {
        let from = (Technology::EnDc, reading().sides(true));
        let to = (Technology::None, Map::new());
        let event = Event { what: Happened::ServiceLost, took: Duration::from_millis(1250), from, to };
        let body = parsed(&records(CellularFormat::Json).event(&event, (&at(), &Map::new())));
        assert_eq!((&body["event"], &body["took_seconds"]), (&json!("service-lost"), &json!(1.25)));
        assert_eq!(body["from"], json!({ "technology": "en-dc", "nr": { "pci": 299, "bandwidth": 100 } }));
        assert_eq!(body["to"], json!({ "technology": "none" }));
    }
}
