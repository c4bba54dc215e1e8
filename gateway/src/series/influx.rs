//! InfluxDB's line protocol: <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>.
//!
//! `measurement,tag=value field=1i,other="text" 1795000000000000000`. Commas, spaces and equals signs are escaped in names and
//! tags; quotes and backslashes in texts. A backslash in a name or tag can't be told from an escape by every reader, and
//! an end of line ends the line, so neither is written there. A name may not begin with an underscore.
//!
//! A field has one type for ever, or the database refuses what differs: so what is a count by its nature is an integer,
//! and every other number is a float, whether or not it is whole. Of what is said by others than modems and probes nobody
//! knows the nature: there each number is a float, and all that is said is a field.

use std::fmt::Write;

use super::fields::put;
use super::{Field, Measurement};

/// Names of numbers that are whole by their nature, by their last part.
const WHOLE: &[&str] = &[
    "answers",
    "arfcn",
    "band",
    "bytes",
    "cell",
    "cqi",
    "data_bytes",
    "datagrams",
    "duplicates",
    "forward_lost",
    "backward_lost",
    "lost",
    "pci",
    "received",
    "reordered",
    "retransmits",
    "sats",
    "sent",
    "seq",
    "sequence",
    "tac",
    "timing_advance",
    "ttl_s_min",
    "unread",
];
/// The longest text, in bytes: InfluxDB takes 64 KiB.
const TEXT_MAX: usize = 65_535;
/// The largest number that is written as an integer: beyond it not every one is a float.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// What says which series a value belongs to.
const TAGS: [&str; 5] = ["technology", "kind", "interface", "uplink", "path"];

fn is_whole(name: &str) -> bool {
    WHOLE.iter().any(|whole| {
        name.strip_suffix(whole).is_some_and(|before| {
            before.is_empty()
                || matches!(before, "lte_" | "nr_" | "from_lte_" | "from_nr_" | "to_lte_" | "to_nr_" | "position_")
        })
    })
}

/// See [`super::influx`].
pub(super) fn line(measurement: &Measurement, gateway: &str, cell: Option<f64>) -> Option<String> {
    let mut line = key(&measurement.kind().0)?;
    for (name, value) in tags(measurement, gateway, cell) {
        if let Some(value) = escaped(&value) {
            // Writing to a string can't fail, here and below.
            let _ = write!(line, ",{name}={value}");
        }
    }
    let is_known = measurement.whose() != "name";
    let mut before = ' ';
    for (name, field) in measurement.fields.iter().filter(|(name, field)| !(is_known && is_tag(name, field))) {
        let Some(key) = key(name) else { continue };
        let _ = write!(line, "{before}{key}={}", value(field, is_known && is_whole(name)));
        before = ',';
    }
    let _ = write!(line, " {}", measurement.nanos());
    (before == ',').then_some(line)
}

/// In the order of their names, as the database likes them.
fn tags(measurement: &Measurement, gateway: &str, cell: Option<f64>) -> Vec<(&'static str, String)> {
    let whose = measurement.whose();
    let cell = cell.or_else(|| measurement.cell()).filter(|_| whose == "modem");
    let mut tags = vec![("gateway", gateway.to_owned()), (whose, measurement.kind().1.unwrap_or_default().to_owned())];
    tags.extend(cell.map(|cell| ("cell", cell.to_string())));
    let said = TAGS.iter().filter(|_| whose != "name");
    tags.extend(said.filter_map(|name| Some((*name, measurement.text(name)?.to_owned()))));
    tags.sort_unstable();
    tags
}

/// Whether it is said by a tag already.
fn is_tag(name: &str, field: &Field) -> bool {
    let is_text = matches!(field, Field::Text(_));
    (is_text && TAGS.contains(&name)) || matches!(name, "radio" | "probe" | "gateway" | "modem" | "cell" | "name")
}

fn value(field: &Field, is_whole: bool) -> String {
    match field {
        Field::Bool(value) => value.to_string(),
        Field::Number(number) if is_whole && number.abs() <= INTEGER_MAX => format!("{}i", number.round() as i64),
        Field::Number(number) => number.to_string(),
        Field::Text(text) => {
            let end = text.floor_char_boundary(TEXT_MAX.min(text.len()));
            let plain = text[..end].replace(|character: char| character.is_control(), " ");
            format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}

/// A name of a measurement or a field; `None` where nothing is left of it.
fn key(text: &str) -> Option<String> {
    escaped(text.trim_start_matches('_'))
}

/// With what separates escaped; `None` where it is empty.
fn escaped(text: &str) -> Option<String> {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ',' | '=' | ' ' => safe.extend(['\\', character]),
            '\\' => safe.push('/'),
            character if character.is_control() => safe.push('_'),
            character => safe.push(character),
        }
    }
    (!safe.is_empty()).then_some(safe)
}

/// A line that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) measurement: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) fields: Vec<(String, Field)>,
    /// In nanoseconds, where the line says it.
    pub(super) time: Option<i64>,
}

impl Line {
    /// Values of tags are texts like others; but for whose they are, which the topic says.
    pub(super) fn into_fields(self) -> Vec<(String, Field)> {
        let mut fields = Vec::new();
        for (name, text) in self.tags.into_iter().filter(|(name, _)| TAGS.contains(&name.as_str())) {
            put(&mut fields, name, Field::Text(text));
        }
        self.fields.into_iter().for_each(|(name, field)| put(&mut fields, name, field));
        fields
    }
}

/// Reads one line.
pub(super) fn parse(text: &str) -> Option<Line> {
    let (measurement, mut rest) = word(text, &[',', ' '])?;
    let mut tags = Vec::new();
    while let Some(tag) = rest.strip_prefix(',') {
        let (name, behind) = word(tag, &['='])?;
        let (value, behind) = word(behind.strip_prefix('=')?, &[',', ' '])?;
        tags.push((name, value));
        rest = behind;
    }
    let mut fields = Vec::new();
    let mut before = ' ';
    while let Some(field) = rest.strip_prefix(before) {
        let (name, behind) = word(field, &['='])?;
        let (value, behind) = read_value(behind.strip_prefix('=')?)?;
        fields.push((name, value));
        (rest, before) = (behind, ',');
    }
    let time = match rest.trim() {
        "" => None,
        time => Some(time.parse().ok()?),
    };
    (!fields.is_empty()).then_some(Line { measurement, tags, fields, time })
}

/// A word up to one of these ends, and what follows it, the end included; with what was escaped as it was.
fn word<'a>(text: &'a str, ends: &[char]) -> Option<(String, &'a str)> {
    let mut word = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if ends.contains(&character) {
            return (!word.is_empty()).then(|| (word, &text[at..]));
        }
        match (character, characters.peek()) {
            ('\\', Some((_, next @ (',' | '=' | ' ')))) => {
                word.push(*next);
                characters.next();
            }
            _ => word.push(character),
        }
    }
    None
}

fn read_value(text: &str) -> Option<(Field, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut said = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => return Some((Field::Text(said), &quoted[at + 1..])),
                '\\' => match characters.next()?.1 {
                    escaped @ ('"' | '\\') => said.push(escaped),
                    other => said.extend(['\\', other]),
                },
                character => said.push(character),
            }
        }
        return None;
    }
    let end = text.find([',', ' ']).unwrap_or(text.len());
    let (value, rest) = text.split_at(end);
    let field = match value {
        "t" | "T" | "true" | "True" | "TRUE" => Field::Bool(true),
        "f" | "F" | "false" | "False" | "FALSE" => Field::Bool(false),
        number => {
            let number = number.strip_suffix(['i', 'u']).unwrap_or(number);
            Field::Number(number.parse().ok().filter(|number: &f64| number.is_finite())?)
        }
    };
    Some((field, rest))
}
