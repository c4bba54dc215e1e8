//! What a modem says of the network, as numbers that have names, units and bounds.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Key {
    /// The cell's identity in its network: 28 bits of LTE, 36 of NR.
    Cell,
    /// Physical cell identity.
    Pci,
    /// Tracking area code.
    Tac,
    /// EARFCN or NR-ARFCN of the downlink.
    Arfcn,
    /// The number behind `B` or `n`.
    Band,
    /// Of the downlink, in MHz.
    Bandwidth,
    /// dBm.
    Rsrp,
    /// dB.
    Rsrq,
    /// dBm.
    Rssi,
    /// dB, in the scale that the modem has.
    Sinr,
    /// Channel quality indicator, 0 to 15.
    Cqi,
    /// dBm.
    TxPower,
    /// As the modem counts it.
    TimingAdvance,
}

impl Key {
    /// All of them, in the order of records.
    pub(super) const ALL: [Self; 13] = [
        Self::Cell,
        Self::Pci,
        Self::Tac,
        Self::Arfcn,
        Self::Band,
        Self::Bandwidth,
        Self::Rsrp,
        Self::Rsrq,
        Self::Rssi,
        Self::Sinr,
        Self::Cqi,
        Self::TxPower,
        Self::TimingAdvance,
    ];

    /// Its name in dialects.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name().replace('_', "-") == name)
    }

    /// Its name in records.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cell => "cell",
            Self::Pci => "pci",
            Self::Tac => "tac",
            Self::Arfcn => "arfcn",
            Self::Band => "band",
            Self::Bandwidth => "bandwidth",
            Self::Rsrp => "rsrp",
            Self::Rsrq => "rsrq",
            Self::Rssi => "rssi",
            Self::Sinr => "sinr",
            Self::Cqi => "cqi",
            Self::TxPower => "tx_power",
            Self::TimingAdvance => "timing_advance",
        }
    }

    /// Whether it says where the modem is, and not how it hears.
    pub(super) fn is_place(self) -> bool {
        matches!(self, Self::Cell | Self::Pci | Self::Tac | Self::Arfcn | Self::Band | Self::Bandwidth)
    }

    /// The least and the most that there can be; what is beyond says that the modem does not know. (3GPP TS 38.133, 10.1;
    /// TS 38.101-1, 5.4.2; TS 38.413, 9.3.1.7; of LTE TS 36.101, 5.7.3; TS 36.331, 6.3. Modems write -32768, 255 and the
    /// like; all ones are kept for a tracking area that is not there, TS 24.301, 9.9.3.32.)
    pub(super) fn bounds(self, side: Side) -> (f64, f64) {
        let of = |lte, nr| if side == Side::Lte { (0.0, lte) } else { (0.0, nr) };
        match self {
            Self::Cell => of(268_435_455.0, 68_719_476_735.0),
            Self::Pci => of(503.0, 1007.0),
            Self::Tac => of(65_533.0, 16_777_213.0),
            Self::Arfcn => of(262_143.0, 3_279_165.0),
            Self::Band => (1.0, 1024.0),
            Self::Bandwidth => (0.1, 2000.0),
            Self::Rsrp => (-160.0, -20.0),
            Self::Rsrq => (-50.0, 25.0),
            Self::Rssi => (-140.0, 0.0),
            Self::Sinr => (-50.0, 300.0),
            Self::Cqi => (0.0, 15.0),
            Self::TxPower => (-100.0, 50.0),
            Self::TimingAdvance => (0.0, 100_000.0),
        }
    }
}

/// Which of the two radios of a modem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Lte,
    Nr,
}

/// How a modem is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Technology {
    /// Not at all, or nobody can tell.
    #[default]
    None,
    Gsm,
    Umts,
    NbIot,
    Lte,
    /// LTE with NR beside it: 5G, non-standalone.
    EnDc,
    /// 5G, standalone.
    NrSa,
}

impl Technology {
    /// The word for records and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gsm => "gsm",
            Self::Umts => "umts",
            Self::NbIot => "nb-iot",
            Self::Lte => "lte",
            Self::EnDc => "en-dc",
            Self::NrSa => "nr-sa",
        }
    }

    /// Of `<AcT>` (3GPP TS 27.007, 7.2 and 10.1.20).
    pub(super) fn of_act(act: u32) -> Option<Self> {
        Some(match act {
            0 | 1 | 3 | 8 => Self::Gsm,
            2 | 4..=6 => Self::Umts,
            7 | 10 => Self::Lte,
            9 => Self::NbIot,
            11 | 12 => Self::NrSa,
            13 => Self::EnDc,
            _ => return None,
        })
    }
}

/// Whether the network has the modem: `<stat>` (3GPP TS 27.007, 7.2 and 10.1.20). Better ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Registration {
    Home,
    Roaming,
    SmsOnly,
    Emergency,
    Searching,
    Denied,
    NotRegistered,
    Unknown,
}

impl Registration {
    pub(super) fn of_stat(stat: u32) -> Option<Self> {
        Some(match stat {
            0 => Self::NotRegistered,
            1 | 9 => Self::Home,
            2 => Self::Searching,
            3 => Self::Denied,
            4 => Self::Unknown,
            5 | 10 => Self::Roaming,
            6 | 7 => Self::SmsOnly,
            8 | 11 => Self::Emergency,
            _ => return None,
        })
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Roaming => "roaming",
            Self::SmsOnly => "sms-only",
            Self::Emergency => "emergency",
            Self::Searching => "searching",
            Self::Denied => "denied",
            Self::NotRegistered => "not-registered",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of one of the two radios.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layer {
    /// Country and network, `262` and `01`.
    pub(super) mcc: Option<String>,
    pub(super) mnc: Option<String>,
    pub(super) numbers: BTreeMap<Key, f64>,
}

impl Layer {
    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.plmn().is_none()
    }

    /// `26201`; two or three digits of network.
    fn plmn(&self) -> Option<String> {
        Some(format!("{}{}", self.mcc.as_ref()?, self.mnc.as_ref()?))
    }

    /// What is known of where it is, or of how it hears.
    fn part(&self, place: bool) -> Map<String, Value> {
        let plmn = self.plmn().filter(|_| place).map(|plmn| ("plmn".to_owned(), json!(plmn)));
        let numbers = self.numbers.iter().filter(|(key, _)| key.is_place() == place);
        plmn.into_iter().chain(numbers.map(|(key, value)| (key.name().to_owned(), number(*value)))).collect()
    }

    /// Whether both say something of the same thing, and not the same.
    pub(super) fn is_elsewhere(&self, other: &Self) -> bool {
        let differs = |key| matches!((self.numbers.get(&key), other.numbers.get(&key)), (Some(a), Some(b)) if a != b);
        let plmn = matches!((self.plmn(), other.plmn()), (Some(a), Some(b)) if a != b);
        plmn || [Key::Cell, Key::Pci, Key::Arfcn].into_iter().any(differs)
    }
}

/// What a modem says at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// When it was asked.
    pub(super) at: Instant,
    pub(super) technology: Technology,
    pub(super) registration: Option<Registration>,
    /// As the modem writes it.
    pub(super) operator: Option<String>,
    /// What it does: `NOCONN`, `CONNECT`, `Online`, in the modem's own words.
    pub(super) activity: Option<String>,
    pub(super) lte: Layer,
    pub(super) nr: Layer,
    /// The lines that this was read from, without personal data.
    pub(super) raw: Vec<String>,
    /// How many of them could not be read.
    pub(super) unread: u64,
    /// What it answered instead, with the command.
    pub(super) errors: Vec<String>,
}

impl Reading {
    pub(super) fn new(at: Instant) -> Self {
        Self {
            at,
            technology: Technology::None,
            registration: None,
            operator: None,
            activity: None,
            lte: Layer::default(),
            nr: Layer::default(),
            raw: Vec::new(),
            unread: 0,
            errors: Vec::new(),
        }
    }

    /// The identity of the cell that it is in: that of NR, else that of LTE.
    pub(super) fn cell(&self) -> Option<f64> {
        [&self.nr, &self.lte].into_iter().find_map(|layer| layer.numbers.get(&Key::Cell).copied())
    }

    pub(super) fn layer(&mut self, side: Side) -> &mut Layer {
        match side {
            Side::Lte => &mut self.lte,
            Side::Nr => &mut self.nr,
        }
    }

    /// Takes what `<stat>` says; of several domains the best one counts.
    pub(super) fn registered(&mut self, now: Registration) {
        self.registration = Some(self.registration.map_or(now, |before| before.min(now)));
    }

    /// Whether the network serves it. A modem that does not say is believed by its cell.
    pub(super) fn has_service(&self) -> bool {
        match self.registration {
            Some(registration) => matches!(registration, Registration::Home | Registration::Roaming),
            None => self.technology != Technology::None,
        }
    }

    /// Whether each question was answered in words that could be read.
    pub(super) fn is_whole(&self) -> bool {
        self.errors.is_empty() && self.unread == 0
    }

    /// All has been said: what belongs to the other technology is left out. `act` is what registration says, for modems
    /// that say no more.
    pub(super) fn finish(&mut self, act: Option<Technology>) {
        if self.technology == Technology::None && self.has_service() {
            self.technology = act.unwrap_or_default();
        }
        if self.technology == Technology::Lte && self.nr.numbers.contains_key(&Key::Rsrp) {
            self.technology = Technology::EnDc;
        }
        match self.technology {
            Technology::NrSa => self.lte = Layer::default(),
            Technology::Lte | Technology::NbIot | Technology::Gsm | Technology::Umts => self.nr = Layer::default(),
            Technology::EnDc | Technology::None => {}
        }
    }

    /// How it hears: `{"lte":{"rsrp":-95,...},"nr":{...}}`; or where it is.
    pub(super) fn sides(&self, place: bool) -> Map<String, Value> {
        let sides = [("lte", &self.lte), ("nr", &self.nr)].into_iter().filter(|(_, layer)| !layer.is_empty());
        let parts = sides.map(|(name, layer)| (name.to_owned(), layer.part(place)));
        parts.filter(|(_, part)| !part.is_empty()).map(|(name, part)| (name, Value::Object(part))).collect()
    }
}

/// Whole numbers without a decimal point; no more decimals than any modem means.
pub(super) fn number(value: f64) -> Value {
    let rounded = (value * 1000.0).round() / 1000.0;
    if rounded.fract() == 0.0 { json!(rounded as i64) } else { json!(rounded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_name_of_its_own_by_which_dialects_find_it() {
        for key in Key::ALL {
            assert_eq!(Key::parse(&key.name().replace('_', "-")), Some(key));
            for side in [Side::Lte, Side::Nr] {
                assert!(key.bounds(side).0 < key.bounds(side).1);
            }
        }
        assert_eq!(Key::parse("rscp"), None);
    }

    #[test]
    fn what_27_007_numbers_is_what_it_says() {
        let of = |act| Technology::of_act(act).map(Technology::as_str);
        assert_eq!([0, 2, 7, 9, 11, 13].map(of), ["gsm", "umts", "lte", "nb-iot", "nr-sa", "en-dc"].map(Some));
        assert_eq!(of(14), None);
        let of = |stat| Registration::of_stat(stat).map(Registration::as_str);
        let words = ["not-registered", "home", "searching", "denied", "unknown", "roaming", "sms-only", "sms-only"];
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(of), words.map(Some));
        assert_eq!(
            [8, 9, 10, 11, 12].map(of),
            [Some("emergency"), Some("home"), Some("roaming"), Some("emergency"), None]
        );
    }

    #[test]
    fn the_best_of_several_registrations_counts_and_the_other_technology_is_left_out() {
        let mut reading = Reading::new(Instant::now());
        reading.registered(Registration::Searching);
        assert!(!reading.has_service());
        reading.registered(Registration::Roaming);
        reading.registered(Registration::NotRegistered);
        assert!(reading.has_service());
        reading.lte.numbers.insert(Key::Tac, 1.0);
        reading.nr.numbers.insert(Key::Rsrp, -80.5);
        reading.finish(Some(Technology::NrSa));
        assert_eq!(reading.technology, Technology::NrSa);
        assert_eq!(Value::Object(reading.sides(false)), json!({ "nr": { "rsrp": -80.5 } }));
        assert!(reading.sides(true).is_empty());
    }
}
