//! What a modem is asked about itself and its card, and the state of the card.

use super::dialect::Dialect;

/// The longest word that a modem says of itself, in characters.
const WORD_MAX: usize = 64;

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Manufacturer,
    Model,
    Firmware,
    Imei,
    Imsi,
    Iccid,
    /// The card's own phone number.
    Number,
}

impl About {
    /// What is asked of a modem.
    pub(super) const MODEM: [Self; 4] = [Self::Manufacturer, Self::Model, Self::Firmware, Self::Imei];
    /// What is asked of a card that is open.
    pub(super) const CARD: [Self; 3] = [Self::Imsi, Self::Iccid, Self::Number];

    /// Its name in records.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Manufacturer => "manufacturer",
            Self::Model => "model",
            Self::Firmware => "firmware",
            Self::Imei => "imei",
            Self::Imsi => "imsi",
            Self::Iccid => "iccid",
            Self::Number => "number",
        }
    }

    pub(super) fn is_of_card(self) -> bool {
        Self::CARD.contains(&self)
    }

    /// Whether it is a number of a person or a device.
    pub(super) fn is_personal(self) -> bool {
        self.is_of_card() || self == Self::Imei
    }

    /// What asks for it (3GPP TS 27.007, 5.1 to 5.6 and 7.1; for the ICCID each maker has its own).
    pub(super) fn command(self, dialect: &Dialect) -> &str {
        match self {
            Self::Manufacturer => "AT+CGMI",
            Self::Model => "AT+CGMM",
            Self::Firmware => "AT+CGMR",
            Self::Imei => "AT+CGSN",
            Self::Imsi => "AT+CIMI",
            Self::Iccid => &dialect.iccid,
            Self::Number => "AT+CNUM",
        }
    }

    /// What a line says of it; `None` where it is no answer.
    pub(super) fn read(self, line: &str) -> Option<String> {
        let text = self.without_head(line)?;
        match self {
            Self::Manufacturer | Self::Model | Self::Firmware => {
                let word: String = text.trim_matches('"').trim().chars().take(WORD_MAX).collect();
                Some(word).filter(|word| !word.is_empty())
            }
            Self::Imei => run(text, |c| c.is_ascii_digit(), 14..=17),
            Self::Imsi => run(text, |c| c.is_ascii_digit(), 6..=15),
            Self::Iccid => {
                let number = run(text, |c| c.is_ascii_hexdigit(), 18..=22)?.to_ascii_uppercase();
                Some(number.trim_end_matches('F').to_owned())
            }
            Self::Number => {
                let number: String = text.split(',').nth(1)?.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
                run(&number, |c| c.is_ascii_digit(), 3..=15)
            }
        }
    }

    /// A bare line, or one with a head that is about this.
    fn without_head(self, line: &str) -> Option<&str> {
        if line.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '"') {
            return (self != Self::Number).then_some(line);
        }
        let (head, text) = line.split_once(':')?;
        let word = match self {
            Self::Manufacturer => "GMI",
            Self::Model => "GMM",
            Self::Firmware => "GMR",
            Self::Imei => "GSN",
            Self::Imsi => "CIMI",
            Self::Iccid => "CCID",
            Self::Number => "CNUM",
        };
        head.contains(word).then(|| text.trim())
    }
}

/// The longest run of such characters, where its length is one that there can be.
fn run(text: &str, is: fn(char) -> bool, length: std::ops::RangeInclusive<usize>) -> Option<String> {
    let longest = text.split(|c: char| !is(c)).max_by_key(|run| run.len())?;
    length.contains(&longest.len()).then(|| longest.to_owned())
}

/// How the card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Sim {
    /// The modem does not say.
    Unknown,
    /// Open.
    Ready,
    /// It wants a PIN, and there is none in the settings.
    PinNeeded,
    /// The PIN was wrong, or it was tried and nobody heard what came of it.
    PinRefused,
    /// It wants its PUK.
    Blocked,
    /// There is none.
    Absent,
    /// It can't be read.
    Failed,
}

impl Sim {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 7] =
        [Self::Unknown, Self::Ready, Self::PinNeeded, Self::PinRefused, Self::Blocked, Self::Absent, Self::Failed];

    /// The word for records and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ready => "ready",
            Self::PinNeeded => "pin-needed",
            Self::PinRefused => "pin-refused",
            Self::Blocked => "blocked",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }

    /// What is wrong and what to do, for people.
    pub(crate) fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Unknown | Self::Ready => None,
            Self::PinNeeded => Some("it wants a PIN; write it into a file and name that as `pin-file`"),
            Self::PinRefused => Some(
                "it did not open with the PIN of `pin-file`, which is not tried again; write the right one into the file \
                 and reload",
            ),
            Self::Blocked => Some("it wants its PUK; open it in a telephone"),
            Self::Absent => Some("there is none; put one in"),
            Self::Failed => Some("it can't be read; see that it sits well"),
        }
    }

    /// What `+CME ERROR: <n>` says of it (3GPP TS 27.007, 9.2.1).
    pub(super) fn of_error(code: Option<u32>) -> Self {
        match code {
            Some(10) => Self::Absent,
            Some(12 | 18) => Self::Blocked,
            Some(13 | 15) => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_a_head_or_without() {
        for (about, line, text) in [
            (About::Manufacturer, "Quectel", Some("Quectel")),
            (About::Manufacturer, "+CGMI: \"Sierra Wireless\"", Some("Sierra Wireless")),
            (About::Model, "+CREG: 1", None),
            (About::Imei, "860123045678901", Some("860123045678901")),
            (About::Imei, "+CGSN: \"860123045678901\"", Some("860123045678901")),
            (About::Imei, "12345", None),
            (About::Imsi, "262011234567890", Some("262011234567890")),
            (About::Imsi, "RING", None),
            (About::Iccid, "+QCCID: 8949020000123456789f", Some("8949020000123456789")),
            (About::Iccid, "!ICCID: 89490200001234567890", Some("89490200001234567890")),
            (About::Number, "+CNUM: \"\",\"+491701234567\",145", Some("491701234567")),
            (About::Number, "+CNUM: \"own\",\"+49 170 123-4567\",145", Some("491701234567")),
            (About::Number, "+CNUM: ,\"\",129", None),
            (About::Number, "491701234567", None),
        ] {
            assert_eq!(about.read(line).as_deref(), text, "{about:?} {line}");
        }
    }

    #[test]
    fn each_state_of_a_card_has_its_number_and_what_is_wrong_says_what_to_do() {
        for (number, sim) in Sim::ALL.into_iter().enumerate() {
            assert_eq!(sim as usize, number);
            assert!(sim.trouble().is_none_or(|text| text.contains(';')), "{sim:?}");
        }
        assert_eq!(
            [10, 12, 13, 14].map(|code| Sim::of_error(Some(code))),
            [Sim::Absent, Sim::Blocked, Sim::Failed, Sim::Unknown]
        );
    }
}
