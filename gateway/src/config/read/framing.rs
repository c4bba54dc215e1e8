//! Reads `framing`: a name, or a table with the keys of its kind; or such keys alone, from whoever tries one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::config::hex_bytes;
use crate::config::notes::{Notes, Source, Spot};
use crate::config::radio::{Crc, Endian, Framing, LineEnding};
use crate::config::section::Section;
use crate::config::tree::{Entry, Kind, Node, Table, Value};

/// The most bytes of a marker.
const MARKER_MAX_BYTES: usize = 8;

/// The names of [`Framing`]'s variants.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FramingName {
    Raw,
    Line,
    IdleGap,
    Fixed,
    LengthPrefix,
    Slip,
    Cobs,
    StartStop,
    Nmea,
    DsmrP1,
    ModbusRtu,
}

/// Reads the framing of `radio`, which has one.
pub(super) fn read(radio: &mut Section<'_>) -> Option<Framing> {
    let node = radio.node("framing", &[Kind::Text, Kind::Table])?;
    let spot = node.spot.clone();
    let table = match node.value {
        Value::Table(table) => table,
        // A name alone means a table with nothing but the kind.
        value => {
            let node = Node { spot: spot.clone(), value };
            Table::from([("kind".to_owned(), Entry { key: spot.clone(), node })])
        }
    };
    let mut section = Section::new("framing of [[radio]]", spot, table, radio.notes);
    let name = section.choice("kind");
    section.require("kind", "write the kind, such as `framing = { kind = \"line\" }`");
    let framing = of_kind(&mut section, name?);
    section.finish();
    framing
}

impl Framing {
    /// The framing that these keys say, each with its value as a text. Only keys of its kind may be there.
    ///
    /// # Errors
    /// What is wrong with them, and what to do, in words.
    pub fn of_fields(fields: &[(String, String)]) -> Result<Self, String> {
        let nowhere = Source { path: PathBuf::new(), text: String::new() };
        let (notes, spot) = (Notes::default(), Spot::File(Arc::new(nowhere), 0));
        let entry = |(key, value): &(String, String)| {
            let node = Node { spot: spot.clone(), value: Value::Given(value.clone()) };
            (key.clone(), Entry { key: spot.clone(), node })
        };
        let mut section = Section::new("the framing", spot.clone(), fields.iter().map(entry).collect(), &notes);
        let name = section.choice("kind");
        section.require("kind", "write the kind, such as `line`");
        let framing = name.and_then(|name| of_kind(&mut section, name));
        section.finish();
        match (framing, notes.into_sorted(&[])) {
            (Some(framing), problems) if problems.is_empty() => Ok(framing),
            (_, problems) => {
                let said = problems.into_iter().map(|problem| format!("{}; {}", problem.what, problem.remedy));
                Err(said.collect::<Vec<_>>().join(". "))
            }
        }
    }
}

fn of_kind(section: &mut Section<'_>, name: FramingName) -> Option<Framing> {
    Some(match name {
        FramingName::Raw => Framing::Raw,
        FramingName::Slip => Framing::Slip,
        FramingName::Cobs => Framing::Cobs,
        FramingName::Nmea => Framing::Nmea,
        FramingName::DsmrP1 => Framing::DsmrP1,
        FramingName::ModbusRtu => Framing::ModbusRtu,
        FramingName::Line => Framing::Line { ending: section.choice("ending").unwrap_or(LineEnding::Lf) },
        FramingName::IdleGap => {
            let range = Duration::from_millis(1)..=Duration::from_secs(10);
            Framing::IdleGap { gap: section.duration("gap", range).unwrap_or(Duration::from_millis(20)) }
        }
        FramingName::Fixed => {
            let length = section.integer("length", 1..=65_536);
            section.require("length", "write `framing = { kind = \"fixed\", length = 12 }` with your length");
            Framing::Fixed { length: length? }
        }
        FramingName::LengthPrefix => length_prefix(section),
        FramingName::StartStop => {
            let start = marker(section, "start");
            let stop = marker(section, "stop");
            Framing::StartStop { start: start?, stop: stop? }
        }
    })
}

fn length_prefix(section: &mut Section<'_>) -> Framing {
    let width = section.integer("width", 1..=4).unwrap_or(2);
    if width == 3 {
        section.refuse("width", "is 3, which is out of range", "write one of: 1, 2, 4");
    }
    Framing::LengthPrefix {
        width,
        endian: section.choice("endian").unwrap_or(Endian::Big),
        crc: section.choice("crc").unwrap_or(Crc::None),
    }
}

fn marker(section: &mut Section<'_>, key: &'static str) -> Option<Vec<u8>> {
    let bytes = section.parsed(key, "1 to 8 bytes in hex digits, such as \"02\" or \"0d0a\"", |text| {
        hex_bytes::parse(text).filter(|bytes| (1..=MARKER_MAX_BYTES).contains(&bytes.len()))
    });
    section.require(key, "write `framing = { kind = \"start-stop\", start = \"02\", stop = \"03\" }` with your bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&str, &str)]) -> Result<Framing, String> {
        let fields: Vec<_> = fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Framing::of_fields(&fields)
    }

    #[test]
    fn fields_say_a_framing_as_the_settings_would() {
        assert_eq!(of(&[("kind", "line")]), Ok(Framing::Line { ending: LineEnding::Lf }));
        assert_eq!(of(&[("kind", "fixed"), ("length", "12")]), Ok(Framing::Fixed { length: 12 }));
        let markers = [("kind", "start-stop"), ("start", "02"), ("stop", "10")];
        assert_eq!(of(&markers), Ok(Framing::StartStop { start: vec![2], stop: vec![0x10] }));
    }

    #[test]
    fn what_is_wrong_with_them_is_said_with_its_remedy() {
        for (fields, what) in [
            (&[][..], "`kind` is missing in the framing; write the kind"),
            (&[("kind", "lines")], "which is not known; write `line`"),
            (&[("kind", "fixed")], "`length` is missing in the framing"),
            (&[("kind", "fixed"), ("length", "0")], "out of range; write a whole number from 1 to 65536"),
            (&[("kind", "fixed"), ("length", "many")], "not a whole number"),
            (&[("kind", "line"), ("gap", "20ms")], "unknown key `gap`"),
            (&[("kind", "start-stop"), ("start", "x"), ("stop", "03")], "not 1 to 8 bytes in hex digits"),
        ] {
            let said = of(fields).unwrap_err();
            assert!(said.contains(what), "{fields:?}: {said}");
        }
    }
}
