//! Shapes of lines, as dialects write them, and what lines of such a shape say.
//!
//! Two forms. `says = '+QENG: "LTE",{*},{lte.mcc},{lte.pci},{...}'` is a head and fields between commas; a field is a text that
//! must be there, or a place in braces: what the number is of, and perhaps a colon and how it is written. `{*}` is any field,
//! `{quoted}` any in quotes, `{...}` all that follow. `says = "PCC RxM RSRP:"` with `is = "lte.rsrp"` is a label anywhere in a line, and the word behind
//! it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::scale::Scale;
use super::values::{Key, Reading, Registration, Side, Technology};

/// Fields of a line that are looked at.
const FIELDS_MAX: usize = 64;

/// The longest text that is taken out of a line, in characters.
const TEXT_MAX: usize = 64;

/// What is wrong with a dialect. The tests of this room read each, so nobody else sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::radio) enum ShapeError {
    /// Not the form that it should have.
    #[error("the modem's dialect can't be read: {0}")]
    Form(String),
    /// A place that has no meaning.
    #[error("the modem's dialect has an unknown place `{0}`")]
    Place(String),
}

/// What a field or a label is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Any,
    /// Anything in quotes.
    Quoted,
    Number(Side, Key, Scale),
    Mcc(Side),
    Mnc(Side),
    /// Both, as `262-01`.
    Plmn(Side),
    /// `<stat>`.
    Stat,
    /// `<AcT>`.
    Act,
    Operator,
    Activity,
}

/// A line of fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Fields {
    head: String,
    items: Vec<Item>,
    /// Whether more may follow.
    open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(String),
    Place(Place),
}

/// A line of fields, and how the modem is connected where there is one.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Line {
    pub(super) says: Fields,
    #[serde(default)]
    pub(super) technology: Option<Technology>,
}

/// A label and the word behind it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Label {
    says: String,
    #[serde(default)]
    is: Option<LabelPlace>,
    /// How the modem is connected, by the word.
    #[serde(default)]
    words: BTreeMap<String, Technology>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct LabelPlace(Place);

/// One thing that a line says.
enum Found {
    Number(Side, Key, f64),
    Mcc(Side, String),
    Mnc(Side, String),
    Stat(Registration),
    Act(Technology),
    Operator(String),
    Activity(String),
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (name, scale) = match text.split_once(':') {
            Some((name, scale)) => (name, Scale::parse(scale)?),
            None => (text, Scale::Plain),
        };
        if let Some((side, key)) = name.split_once('.') {
            let side = match side {
                "lte" => Side::Lte,
                "nr" => Side::Nr,
                _ => return None,
            };
            return Some(match key {
                "mcc" => Self::Mcc(side),
                "mnc" => Self::Mnc(side),
                "plmn" => Self::Plmn(side),
                key => Self::Number(side, Key::parse(key)?, scale),
            });
        }
        Some(match name {
            "*" => Self::Any,
            "quoted" => Self::Quoted,
            "stat" => Self::Stat,
            "act" => Self::Act,
            "operator" => Self::Operator,
            "activity" => Self::Activity,
            _ => return None,
        })
    }

    /// What a text says here; `Err` when nothing like that can stand here.
    fn read(self, text: &str, quoted: bool, found: &mut Vec<Found>) -> Result<(), ()> {
        let known = !text.bytes().all(|byte| byte == b'-');
        match self {
            Self::Any => {}
            Self::Quoted if !quoted => return Err(()),
            Self::Number(side, key, scale) => {
                let (least, most) = key.bounds(side);
                let value = scale.read(text)?.filter(|value| (least..=most).contains(value));
                found.extend(value.map(|value| Found::Number(side, key, value)));
            }
            Self::Mcc(side) if known => found.push(Found::Mcc(side, digits(text, 3..=3)?)),
            Self::Mnc(side) if known => found.push(Found::Mnc(side, network(text)?)),
            Self::Plmn(side) if known => {
                let (mcc, mnc) = text.split_once('-').ok_or(())?;
                found.push(Found::Mcc(side, digits(mcc, 3..=3)?));
                found.push(Found::Mnc(side, network(mnc)?));
            }
            // A quoted one is a tracking area code: the line came unasked, and has a field less.
            Self::Stat if quoted => return Err(()),
            Self::Stat => found.push(Found::Stat(small(text).and_then(Registration::of_stat).ok_or(())?)),
            Self::Act if known => found.extend(Technology::of_act(small(text).ok_or(())?).map(Found::Act)),
            Self::Operator if known => found.push(Found::Operator(short(text))),
            Self::Activity if known => found.push(Found::Activity(short(text))),
            _ => {}
        }
        Ok(())
    }
}

fn small(text: &str) -> Option<u32> {
    text.parse::<u8>().ok().map(u32::from)
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Result<String, ()> {
    let fits = length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.to_owned()).ok_or(())
}

/// Two digits or three; some modems write `1` for `01`.
fn network(text: &str) -> Result<String, ()> {
    digits(text, 1..=3).map(|mnc| format!("{mnc:0>2}"))
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// The head of a line, `+QENG`, and what follows.
fn head(line: &str) -> Option<(&str, &str)> {
    line.split_once(':').map(|(head, rest)| (head.trim(), rest.trim()))
}

/// What stands between the commas that are not in quotes, and whether it was quoted.
fn split(text: &str) -> Vec<(&str, bool)> {
    let mut quoted = false;
    let between = text.split(|c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    between.take(FIELDS_MAX).map(unquoted).collect()
}

fn unquoted(field: &str) -> (&str, bool) {
    let field = field.trim();
    let bare = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
    bare.map_or((field, false), |bare| (bare.trim(), true))
}

impl TryFrom<String> for Fields {
    type Error = ShapeError;

    fn try_from(text: String) -> Result<Self, ShapeError> {
        let unknown = |part: &str| ShapeError::Place(part.to_owned());
        let (head, rest) = head(&text).ok_or_else(|| ShapeError::Form(format!("`{text}` has no head")))?;
        let mut shape = Self { head: head.to_owned(), items: Vec::new(), open: false };
        for (field, _) in split(rest) {
            if shape.open {
                return Err(unknown(field));
            }
            match field.strip_prefix('{').map(|place| place.strip_suffix('}').ok_or_else(|| unknown(field))) {
                None => shape.items.push(Item::Text(field.to_owned())),
                Some(Ok("...")) => shape.open = true,
                Some(place) => {
                    let place = place?;
                    shape.items.push(Item::Place(Place::parse(place).ok_or_else(|| unknown(place))?));
                }
            }
        }
        Ok(shape)
    }
}

impl TryFrom<String> for LabelPlace {
    type Error = ShapeError;

    fn try_from(text: String) -> Result<Self, ShapeError> {
        Place::parse(&text).map(Self).ok_or(ShapeError::Place(text))
    }
}

impl Fields {
    /// Whether a line begins as these do.
    pub(super) fn has_head(&self, line: &str) -> bool {
        head(line).is_some_and(|(head, _)| head == self.head)
    }

    fn find(&self, line: &str) -> Option<Vec<Found>> {
        let (_, rest) = head(line).filter(|(head, _)| *head == self.head)?;
        let fields = split(rest);
        let fits = if self.open { fields.len() >= self.items.len() } else { fields.len() == self.items.len() };
        if !fits {
            return None;
        }
        let mut found = Vec::new();
        for (item, (text, quoted)) in self.items.iter().zip(fields) {
            match item {
                Item::Text(wanted) if wanted != text => return None,
                Item::Text(_) => {}
                Item::Place(place) => place.read(text, quoted, &mut found).ok()?,
            }
        }
        Some(found)
    }
}

impl Line {
    /// Takes what a line of this shape says; false for another one, of which nothing is taken. `act` is what registration
    /// says of how the modem is connected.
    pub(super) fn read(&self, line: &str, reading: &mut Reading, act: &mut Option<Technology>) -> bool {
        let Some(found) = self.says.find(line) else { return false };
        take(found, reading, act);
        if let Some(technology) = self.technology {
            reading.technology = technology;
        }
        true
    }
}

impl Label {
    /// What stands behind the label up to the next gap, where a line has it: at its beginning, or behind a gap.
    fn text<'a>(&self, line: &'a str) -> Option<&'a str> {
        let mut at = line.match_indices(self.says.as_str()).map(|(index, _)| index);
        let begins = |index: usize| {
            let before = line.get(..index).unwrap_or_default();
            before.is_empty() || before.ends_with('\t') || before.ends_with("  ")
        };
        let index = at.find(|index| begins(*index))?;
        let behind = line.get(index + self.says.len()..)?.trim_start();
        Some(behind.split('\t').next()?.split("  ").next()?.trim_end())
    }

    /// Whether a line has it.
    pub(super) fn is_in(&self, line: &str) -> bool {
        self.text(line).is_some()
    }

    /// Takes what stands behind the label; false where the line has none, or what stands there can't be read.
    pub(super) fn read(&self, line: &str, reading: &mut Reading, act: &mut Option<Technology>) -> bool {
        let Some(text) = self.text(line) else { return false };
        let word = text.split_whitespace().next().unwrap_or_default();
        if let Some(technology) = self.words.get(word) {
            reading.technology = *technology;
        }
        let mut found = Vec::new();
        let readable = self.is.as_ref().is_none_or(|place| {
            // Behind a number stands its unit, or the same in other digits.
            let is_text = matches!(place.0, Place::Activity | Place::Operator);
            place.0.read(if is_text { text } else { word }, false, &mut found).is_ok()
        });
        if readable {
            take(found, reading, act);
        }
        readable
    }
}

fn take(found: Vec<Found>, reading: &mut Reading, act: &mut Option<Technology>) {
    for found in found {
        match found {
            Found::Number(side, key, value) => _ = reading.layer(side).numbers.insert(key, value),
            Found::Mcc(side, mcc) => reading.layer(side).mcc = Some(mcc),
            Found::Mnc(side, mnc) => reading.layer(side).mnc = Some(mnc),
            Found::Stat(registration) => reading.registered(registration),
            Found::Act(technology) => *act = Some(act.map_or(technology, |before| newest(before, technology))),
            Found::Operator(operator) => reading.operator = Some(operator),
            Found::Activity(activity) => reading.activity = Some(activity),
        }
    }
}

/// Of what several domains say the one that says most: EN-DC is LTE to the one and more to the other.
fn newest(one: Technology, other: Technology) -> Technology {
    if one as u8 >= other as u8 { one } else { other }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> Line {
        Line { says: Fields::try_from(text.to_owned()).unwrap(), technology: None }
    }

    fn read(shape: &str, text: &str) -> Option<Reading> {
        let mut reading = Reading::new(Instant::now());
        line(shape).read(text, &mut reading, &mut None).then_some(reading)
    }

    #[test]
    fn fields_are_told_apart_by_commas_outside_of_quotes_whatever_the_spaces() {
        let shape = "+X: \"a,b\",{lte.pci},{operator},{...}";
        let reading = read(shape, "+X:  \"a,b\" , 299 ,\"Net, Inc.\",1,2").unwrap();
        assert_eq!(reading.lte.numbers.get(&Key::Pci), Some(&299.0));
        assert_eq!(reading.operator.as_deref(), Some("Net, Inc."));
        assert!(read(shape, "+X: \"a,b\",299").is_none(), "a field is missing");
        assert!(read(shape, "+X: \"a\",299,\"n\"").is_none() && read(shape, "+Y: \"a,b\",299,\"n\"").is_none());
        assert!(read("+X: {lte.pci}", "+X: 1,2").is_none(), "one too many");
        assert!(read(shape, "+X: \"a,b\",29x,\"n\"").is_none(), "no number");
    }

    #[test]
    fn what_is_out_of_bounds_or_a_dash_is_not_known() {
        let reading = read("+X: {nr.rsrp},{nr.pci},{nr.sinr},{nr.mcc}", "+X: -32768,1008,-,-").unwrap();
        assert_eq!(reading.nr, super::super::values::Layer::default());
        let unregistered = read("+X: {lte.tac:hex},{lte.cell:hex},{lte.pci}", "+X: FFFF,FFFFFFFF,504").unwrap();
        assert_eq!(unregistered.lte, super::super::values::Layer::default(), "LTE has less than NR");
    }

    #[test]
    fn a_registration_that_came_unasked_is_not_taken_for_an_answer() {
        let shape = "+CEREG: {*},{stat},{...}";
        assert_eq!(read(shape, "+CEREG: 2,5,\"1A2B\",\"01\",7").unwrap().registration, Some(Registration::Roaming));
        assert!(read(shape, "+CEREG: 1,\"1A2B\",\"01\",7").is_none());
        assert!(read(shape, "+CEREG: 1").is_none());
    }

    #[test]
    fn a_label_is_found_behind_a_gap_and_not_within_another_one() {
        let label = |says: &str, is: &str| Label {
            says: says.to_owned(),
            is: Some(LabelPlace::try_from(is.to_owned()).unwrap()),
            words: BTreeMap::new(),
        };
        let (lte, nr) = (label("RSRQ (dB):", "lte.rsrq"), label("NR5G RSRQ (dB):", "nr.rsrq"));
        let text = "NR5G RSRP (dBm): -104\t\tNR5G RSRQ (dB):  -15";
        let mut reading = Reading::new(Instant::now());
        assert!(!lte.read(text, &mut reading, &mut None) && nr.read(text, &mut reading, &mut None));
        assert!(lte.read("RSRQ (dB):     -11.6    Cell ID: 00a51b02 (1)", &mut reading, &mut None));
        let state = label("PS state:", "activity");
        assert!(state.read("System mode: LTE\t\tPS state:    Not attached  \t", &mut reading, &mut None));
        assert_eq!(reading.activity.as_deref(), Some("Not attached"));
        assert_eq!(
            (reading.lte.numbers.get(&Key::Rsrq), reading.nr.numbers.get(&Key::Rsrq)),
            (Some(&-11.6), Some(&-15.0))
        );
    }

    #[test]
    fn an_unknown_place_is_named() {
        for bad in ["+X: {lte.what}", "+X: {rsrp}", "+X: {nr.rsrp:what}", "+X: {nr.rsrp", "+X: {...},{*}"] {
            assert!(matches!(Fields::try_from(bad.to_owned()), Err(ShapeError::Place(_))), "{bad}");
        }
        assert!(matches!(Fields::try_from("X".to_owned()), Err(ShapeError::Form(_))));
    }

    proptest! {
        #[test]
        fn any_line_is_looked_at(text in any::<String>(), fields in "[-+\",:0-9a-f ]{0,40}") {
            let shape = "+X: {lte.cell:hex},{nr.plmn},{stat},{act},{nr.band:trailing},{lte.rsrp:tenth},{...}";
            let _ = (read(shape, &text), read(shape, &format!("+X: {fields}")));
        }
    }
}
