//! Lines with places in them: what a modem says, and what it is told.
//!
//! A place is a name in braces. Text outside must be there as it is; a place takes what stands up to the text behind it.

use serde::Deserialize;

use super::dialogue::DialogueError;

/// Bytes of a PHY payload at most.
const PAYLOAD_MAX: usize = 255;

/// What a place may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// dBm.
    Rssi,
    /// dB.
    Snr,
    /// Bytes in hex.
    Payload,
    /// Digits.
    Number,
    /// Whatever it is.
    Any,
}

/// A line that a modem may say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::radio) struct Pattern {
    start: String,
    /// Each place with the text behind it.
    places: Vec<(Field, String)>,
}

/// What a line's places hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    pub(super) rssi: Option<f32>,
    pub(super) snr: Option<f32>,
    pub(super) payload: Option<Vec<u8>>,
}

impl TryFrom<String> for Pattern {
    type Error = DialogueError;

    fn try_from(text: String) -> Result<Self, DialogueError> {
        let mut parts = text.split('{');
        let start = parts.next().unwrap_or_default().to_owned();
        let place = |part: &str| {
            let unknown = || DialogueError::Place(part.to_owned());
            let (name, behind) = part.split_once('}').ok_or_else(unknown)?;
            let field = match name {
                "rssi" => Field::Rssi,
                "snr" => Field::Snr,
                "payload" => Field::Payload,
                "number" => Field::Number,
                "*" => Field::Any,
                _ => return Err(unknown()),
            };
            Ok((field, behind.to_owned()))
        };
        Ok(Self { places: parts.map(place).collect::<Result<_, _>>()?, start })
    }
}

impl Pattern {
    /// What the line holds, if it is one of these.
    pub(super) fn find(&self, line: &str) -> Option<Found> {
        let mut rest = line.strip_prefix(self.start.as_str())?;
        let mut found = Found::default();
        for (field, behind) in &self.places {
            let end = if behind.is_empty() { rest.len() } else { rest.find(behind.as_str())? };
            let (value, after) = rest.split_at_checked(end)?;
            found.take(*field, value)?;
            rest = after.strip_prefix(behind.as_str())?;
        }
        rest.is_empty().then_some(found)
    }

    /// Whether the line ends with one of these: what came before was cut off by it.
    pub(in crate::radio) fn ends(&self, line: &str) -> bool {
        let whole = self.start.is_empty() && self.find(line).is_some();
        let mut at = line.match_indices(self.start.as_str()).filter(|_| !self.start.is_empty());
        whole || at.any(|(index, _)| line.get(index..).is_some_and(|rest| self.find(rest).is_some()))
    }

    /// Whether the line begins as this does: one that does and can't be read is damaged.
    pub(super) fn begins(&self, line: &str) -> bool {
        !self.start.is_empty() && line.starts_with(self.start.as_str())
    }
}

impl Found {
    fn take(&mut self, field: Field, value: &str) -> Option<()> {
        match field {
            Field::Rssi => self.rssi = Some(number(value)?),
            Field::Snr => self.snr = Some(number(value)?),
            Field::Payload => self.payload = Some(hex(value)?),
            Field::Number if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) => return None,
            Field::Number | Field::Any => {}
        }
        Some(())
    }
}

fn number(text: &str) -> Option<f32> {
    text.parse().ok().filter(|number: &f32| number.is_finite())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 2 * PAYLOAD_MAX {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

/// Fills the places of a command; `value` gives what they hold. The dialogue was checked: each place has a value.
pub(super) fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, DialogueError> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((text, place)) = rest.split_once('{') {
        let (name, behind) = place.split_once('}').ok_or_else(|| DialogueError::Place(place.to_owned()))?;
        filled.push_str(text);
        filled.push_str(&value(name).ok_or_else(|| DialogueError::Place(name.to_owned()))?);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_line_is_taken_apart_by_the_text_between_its_places() {
        let found = pattern("+EVT:RXP2P:{rssi}:{snr}:{payload}").find("+EVT:RXP2P:-60:11:AABBcc0d").unwrap();
        let payload = Some(vec![0xAA, 0xBB, 0xCC, 0x0D]);
        assert_eq!(found, Found { rssi: Some(-60.0), snr: Some(11.0), payload });
        let found = pattern("+TEST: LEN:{*}, RSSI:{rssi}, SNR:{snr}").find("+TEST: LEN:250, RSSI:-106, SNR:-7.5");
        assert_eq!(found, Some(Found { rssi: Some(-106.0), snr: Some(-7.5), payload: None }));
        assert_eq!(pattern("+TEST: RX \"{payload}\"").find("+TEST: RX \"\"").unwrap().payload, Some(vec![]));
        assert!(pattern("{number}").find("4294967245").is_some());
        assert!(pattern("ok").find("ok").is_some());
    }

    #[test]
    fn what_is_cut_odd_or_too_long_is_none() {
        let packet = pattern("+EVT:RXP2P:{rssi}:{snr}:{payload}");
        for line in ["+EVT:RXP2P:-60:11:AAB", "+EVT:RXP2P:-60:11:XY", "+EVT:RXP2P:-60:1", "+EVT:RXP2P:nan:11:AA"] {
            assert_eq!(packet.find(line), None, "{line}");
            assert!(packet.begins(line));
        }
        let longest = format!("+EVT:RXP2P:-60:11:{}", "00".repeat(255));
        assert_eq!(packet.find(&longest).unwrap().payload.unwrap().len(), 255);
        assert_eq!(packet.find(&(longest + "00")), None);
        assert_eq!(pattern("ok").find("okay"), None);
        assert!(pattern("RN2483 {*}").ends("radio_rx  AABRN2483 1.0.5 Oct 31 2018"));
        assert!(!pattern("RN2483 {*}").ends("radio_rx  AAB"));
        assert_eq!(pattern("{number}").find(""), None);
        assert!(!pattern("{number}").begins("1"));
    }

    #[test]
    fn a_command_is_filled_in_and_an_unknown_place_is_named() {
        let value = |name: &str| (name == "sf").then(|| "7".to_owned());
        assert_eq!(fill("radio set sf sf{sf}", value).unwrap(), "radio set sf sf7");
        assert!(fill("{what}", value).unwrap_err().to_string().contains("what"));
        assert!(fill("{sf", value).is_err());
        assert!(Pattern::try_from("{nothing}".to_owned()).is_err());
    }

    proptest! {
        #[test]
        fn any_line_is_looked_at(line in any::<String>(), text in "[ :,a]{0,3}") {
            let pattern = pattern(&format!("{{*}}{text}{{rssi}}{text}{{payload}}"));
            let _ = (pattern.find(&line), pattern.begins(&line), pattern.ends(&line));
        }
    }
}
