//! What modems of one maker are told and how their answers are read, as data.
//!
//! A file in `dialects/` is one dialect; `common.toml` is for all of them. They are compiled in.

use serde::Deserialize;

use super::shape::{Label, Line, ShapeError};
use super::values::{Reading, Technology};
use crate::config::ModemDialect;
use crate::radio::lora::modem::Pattern;

/// What any modem is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Common {
    restart: Vec<Pattern>,
    settle_ms: u64,
    setup: Vec<String>,
    measure: Vec<Measure>,
}

/// What modems of one maker are told besides.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Own {
    makers: Vec<String>,
    iccid: String,
    setup: Vec<String>,
    measure: Vec<Measure>,
}

/// See the module's head.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    pub(super) name: &'static str,
    /// What they say after a reset.
    pub(super) restart: Vec<Pattern>,
    /// How long they are left alone then.
    pub(super) settle_ms: u64,
    /// What asks for the number of the SIM card.
    pub(super) iccid: String,
    /// What they are told once; a modem may decline each.
    pub(super) setup: Vec<String>,
    /// What they are asked again and again.
    pub(super) measure: Vec<Measure>,
}

/// A question that is asked in each round, or in each so many rounds.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Measure {
    pub(super) send: String,
    /// Whether a no is no news.
    #[serde(default)]
    pub(super) optional: bool,
    #[serde(default = "each")]
    every: u64,
    #[serde(default)]
    line: Vec<Line>,
    #[serde(default)]
    label: Vec<Label>,
}

fn each() -> u64 {
    1
}

/// How a line was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Read,
    /// It is an answer, and makes no sense.
    Unread,
    /// It is something else.
    Not,
}

impl Measure {
    /// Whether it is asked in the round of this number.
    pub(super) fn is_due(&self, round: u64) -> bool {
        round.is_multiple_of(self.every.max(1))
    }

    fn take(&self, line: &str, reading: &mut Reading, act: &mut Option<Technology>) -> Taken {
        let labels: Vec<&Label> = self.label.iter().filter(|label| label.is_in(line)).collect();
        let read = self.line.iter().any(|shape| shape.read(line, reading, act));
        let labels_read = labels.iter().filter(|label| label.read(line, reading, act)).count();
        if read || (labels_read > 0 && labels_read == labels.len()) {
            Taken::Read
        } else if !labels.is_empty() || self.line.iter().any(|shape| shape.says.has_head(line)) {
            Taken::Unread
        } else {
            Taken::Not
        }
    }
}

impl Dialect {
    /// That of this name.
    pub(super) fn of(dialect: ModemDialect) -> Result<Self, ShapeError> {
        let (common, own) = (common()?, own(dialect)?);
        Ok(Self {
            name: dialect.as_str(),
            restart: common.restart,
            settle_ms: common.settle_ms,
            iccid: own.iccid,
            setup: common.setup.into_iter().chain(own.setup).collect(),
            measure: common.measure.into_iter().chain(own.measure).collect(),
        })
    }

    /// That of the modem which says this of itself.
    pub(super) fn which_says(texts: &str) -> Result<Self, ShapeError> {
        let texts = texts.to_lowercase();
        for dialect in ModemDialect::ALL {
            if own(dialect)?.makers.iter().any(|maker| texts.contains(maker.as_str())) {
                return Self::of(dialect);
            }
        }
        Self::of(ModemDialect::ThreeGpp)
    }

    /// Takes a line that came while questions were asked. A late answer is as good as one in time.
    pub(super) fn take(&self, line: &str, reading: &mut Reading, act: &mut Option<Technology>) -> Taken {
        let mut unread = Taken::Not;
        for measure in &self.measure {
            match measure.take(line, reading, act) {
                Taken::Read => return Taken::Read,
                Taken::Unread => unread = Taken::Unread,
                Taken::Not => {}
            }
        }
        unread
    }
}

fn common() -> Result<Common, ShapeError> {
    parse(include_str!("dialects/common.toml"))
}

fn own(dialect: ModemDialect) -> Result<Own, ShapeError> {
    parse(match dialect {
        ModemDialect::Quectel => include_str!("dialects/quectel.toml"),
        ModemDialect::Simcom => include_str!("dialects/simcom.toml"),
        ModemDialect::Sierra => include_str!("dialects/sierra.toml"),
        ModemDialect::ThreeGpp => include_str!("dialects/3gpp.toml"),
    })
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, ShapeError> {
    toml::from_str(text).map_err(|error| ShapeError::Form(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_dialect_can_be_read_and_asks_for_something() {
        for dialect in ModemDialect::ALL {
            let dialect = Dialect::of(dialect).unwrap_or_else(|error| panic!("{dialect:?}: {error}"));
            assert!(dialect.measure.iter().any(|measure| !measure.optional), "{}", dialect.name);
            for command in dialect.measure.iter().map(|measure| &measure.send).chain(&dialect.setup) {
                assert!(command.starts_with("AT") && command.is_ascii(), "{command}");
            }
            for measure in &dialect.measure {
                assert!(!measure.line.is_empty() || !measure.label.is_empty(), "{}", measure.send);
            }
        }
    }

    #[test]
    fn a_modem_is_known_by_what_it_says_of_itself() {
        for (says, name) in [
            ("Quectel", "quectel"),
            ("Manufacturer: SIMCOM INCORPORATED", "simcom"),
            ("Sierra Wireless, Incorporated", "sierra"),
            ("Cinterion", "3gpp"),
            ("", "3gpp"),
        ] {
            assert_eq!(Dialect::which_says(says).unwrap().name, name, "{says}");
        }
    }

    /// What lines say, all told: technology, place and signal.
    fn said(dialect: ModemDialect, lines: &[&str]) -> (&'static str, Value, Value) {
        let dialect = Dialect::of(dialect).unwrap();
        let (mut reading, mut act) = (Reading::new(Instant::now()), None);
        for line in lines {
            assert_eq!(dialect.take(line, &mut reading, &mut act), Taken::Read, "{line}");
        }
        reading.finish(act);
        (reading.technology.as_str(), Value::Object(reading.sides(true)), Value::Object(reading.sides(false)))
    }

    #[test]
    fn lines_of_quectel_are_read_as_its_manual_says() {
        let sa =
            r#"+QENG: "servingcell","NOCONN","NR5G-SA","TDD",460,01,19013B004,299,690E0F,633984,78,12,-107,-13,2,1,-"#;
        let place = json!({ "nr": { "plmn": "46001", "cell": 6_712_176_644_u64, "pci": 299, "tac": 6_884_879,
            "arfcn": 633_984, "band": 78, "bandwidth": 100 } });
        let signal = json!({ "nr": { "rsrp": -107, "rsrq": -13, "sinr": 2 } });
        assert_eq!(said(ModemDialect::Quectel, &[sa]), ("nr-sa", place, signal));
        let en_dc = [
            r#"+QENG: "servingcell","CONNECT""#,
            r#"+QENG: "LTE","FDD",262,01,1A2B303,212,1300,3,5,5,4E21,-95,-11,-63,12,9,230,-"#,
            r#"+QENG: "NR5G-NSA",262,01,500,-101,15,-11,640704,78,12,1"#,
        ];
        let place = json!({
            "lte": { "plmn": "26201", "cell": 27_439_875, "pci": 212, "tac": 20_001, "arfcn": 1300, "band": 3, "bandwidth": 20 },
            "nr": { "plmn": "26201", "pci": 500, "arfcn": 640_704, "band": 78, "bandwidth": 100 },
        });
        let signal = json!({
            "lte": { "rsrp": -95, "rsrq": -11, "rssi": -63, "sinr": 12, "cqi": 9, "tx_power": 23 },
            "nr": { "rsrp": -101, "rsrq": -11, "sinr": 15 },
        });
        assert_eq!(said(ModemDialect::Quectel, &en_dc), ("en-dc", place, signal));
        let lte = r#"+QENG: "servingcell","NOCONN","LTE","TDD",262,02,1A2B304,7,1300,3,3,3,4E21,-98,-12,-66,-,-,-,-"#;
        let (technology, _, signal) = said(ModemDialect::Quectel, &[lte]);
        assert_eq!((technology, signal), ("lte", json!({ "lte": { "rsrp": -98, "rsrq": -12, "rssi": -66 } })));
        let beside = r#"+QENG: "NR5G-NSA",262,02,65535,-32768,-32768,-32768"#;
        let (technology, place, _) = said(ModemDialect::Quectel, &[lte, beside]);
        assert_eq!((technology, &place["nr"]), ("lte", &Value::Null), "no cell of NR is there");
        assert_eq!(said(ModemDialect::Quectel, &[r#"+QENG: "servingcell","SEARCH""#]).0, "none");
    }

    #[test]
    fn lines_of_simcom_are_read_as_its_manual_says() {
        let sa = "+CPSI: NR5G_SA,Online,242-12,0x765D,4955280,0,NR5G_BAND78,640704,-740,-110,240";
        let place = json!({ "nr": { "plmn": "24212", "cell": 4_955_280, "pci": 0, "tac": 30_301, "arfcn": 640_704, "band": 78 } });
        let signal = json!({ "nr": { "rsrp": -74, "rsrq": -11, "sinr": 24 } });
        assert_eq!(said(ModemDialect::Simcom, &[sa]), ("nr-sa", place, signal));
        let en_dc = [
            "+CPSI: LTE,Online,460-11,0x5A1E,187214780,257,EUTRAN-BAND3,1850,5,5,-94,-850,-545,15",
            "+CPSI: NR5G_NSA,644,NR5G_BAND78,627264,-960,-120,95",
        ];
        let (technology, place, signal) = said(ModemDialect::Simcom, &en_dc);
        assert_eq!((technology, &place["nr"]["pci"], &place["lte"]["tac"]), ("en-dc", &json!(644), &json!(23_070)));
        assert_eq!(signal["lte"], json!({ "rsrp": -85, "rsrq": -9.4, "rssi": -54.5, "sinr": 15 }));
        assert_eq!(signal["nr"], json!({ "rsrp": -96, "rsrq": -12, "sinr": 9.5 }));
        assert_eq!(said(ModemDialect::Simcom, &["+CPSI: NO SERVICE,Online"]).0, "none");
    }

    #[test]
    fn labels_of_sierra_are_read_wherever_they_stand() {
        let en_dc = [
            "System mode:   ENDC       \tPS state:    Attached     ",
            "LTE band:      B66     \t\tLTE bw:      20 MHz  ",
            "LTE Rx chan:   66661\t\tLTE Tx chan: 132197",
            "PCC RxM RSSI:  -56\t\tPCC RxM RSRP:  -86",
            "Tx Power:      --\t\tTAC:         2F05 (12037)",
            "RSRQ (dB):     -9.5\t\tCell ID:     028A9B0F (42638095)",
            "SINR (dB):     19.8",
            "NR5G band:     n71\t\tNR5G bw:         20 MHz",
            "NR5G RSRP (dBm): -104        NR5G RSRQ (dB):  -15",
            "NR5G SINR (dB):   0.5",
        ];
        let (technology, place, signal) = said(ModemDialect::Sierra, &en_dc);
        let lte = json!({ "cell": 42_638_095, "tac": 12_037, "arfcn": 66_661, "band": 66, "bandwidth": 20 });
        assert_eq!((technology, &place["lte"]), ("en-dc", &lte));
        assert_eq!(place["nr"], json!({ "band": 71, "bandwidth": 20 }));
        assert_eq!(signal["lte"], json!({ "rsrp": -86, "rsrq": -9.5, "rssi": -56, "sinr": 19.8 }));
        assert_eq!(signal["nr"], json!({ "rsrp": -104, "rsrq": -15, "sinr": 0.5 }));
        let sa = [
            "System mode:   NR5G\t\tPS state:    Not attached    ",
            "NR5G TAC:        2d6600       NR5G Cell ID:    1C649D138 (7)",
        ];
        let (technology, place, _) = said(ModemDialect::Sierra, &sa);
        assert_eq!((technology, place), ("nr-sa", json!({ "nr": { "cell": 7_621_693_752_u64, "tac": 2_975_232 } })));
        let none = "NR5G RSRP (dBm): ---            NR5G RSRQ (dB):  ---";
        assert_eq!(said(ModemDialect::Sierra, &[none]).2, json!({}));
    }

    #[test]
    fn any_other_modem_says_what_27_007_has() {
        let five = ["+C5GREG: 2,1,\"690E0F\",\"19013B004\",11,1,\"01\"", "+CESQ: 99,99,255,255,255,255,65,70,77"];
        let (technology, place, signal) = said(ModemDialect::ThreeGpp, &five);
        assert_eq!((technology, place), ("nr-sa", json!({ "nr": { "cell": 6_712_176_644_u64, "tac": 6_884_879 } })));
        assert_eq!(signal, json!({ "nr": { "rsrp": -87, "rsrq": -11, "sinr": 15 } }));
        let four = ["+CEREG: 2,5,\"4E21\",\"1A2B303\",7", "+COPS: 0,0,\"Net\",7", "+CESQ: 99,99,255,255,20,46"];
        let (technology, place, signal) = said(ModemDialect::ThreeGpp, &four);
        assert_eq!((technology, place), ("lte", json!({ "lte": { "cell": 27_439_875, "tac": 20_001 } })));
        assert_eq!(signal, json!({ "lte": { "rsrp": -95, "rsrq": -10 } }));
    }

    #[test]
    fn an_answer_that_is_damaged_is_no_reading_and_another_line_no_answer() {
        let dialect = Dialect::of(ModemDialect::Quectel).unwrap();
        let take = |line: &str| dialect.take(line, &mut Reading::new(Instant::now()), &mut None);
        assert_eq!(take(r#"+QENG: "NR5G-NSA",262,01,500,-1"#), Taken::Unread);
        assert_eq!(take(r#"+QENG: "NR5G-NSA",2x2,01,500,-101,15,-11,640704,78,12,1"#), Taken::Unread);
        assert_eq!(take("RING"), Taken::Not);
    }
}
