//! The settings as a tree of values that know where they stand: parsed from TOML, merged, not yet typed.
//! The only file that names the `toml` parser.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use toml::de::{DeTable, DeValue, Error};

use super::notes::{Notes, Source, Spot};

/// Lists of named tables. Those of several files are joined; an environment variable picks one of them by name.
pub(super) const NAMED_LISTS: [&str; 6] = ["radio", "plugin", "uplink", "user", "group", "poll"];

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) spot: Spot,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    /// Saturated: what does not fit is out of every range anyway.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    /// A date or time, as it was written.
    Time(String),
    List(Vec<Node>),
    Table(Table),
    /// From an environment variable: its type is chosen when it is known what is wanted.
    Given(String),
}

/// Values by key.
pub(super) type Table = BTreeMap<String, Entry>;

/// A value with the spot of its key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Spot,
    pub(super) node: Node,
}

/// What kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Float,
    Boolean,
    Time,
    List,
    Table,
}

impl Kind {
    /// How to write one.
    pub(super) fn in_toml(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Integer => "a whole number",
            Self::Float => "a number with a fraction",
            Self::Boolean => "true or false",
            Self::Time => "a date or time",
            Self::List => "a list in [ ]",
            Self::Table => "a table in { }",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Float => "a number with a fraction",
            Self::Boolean => "true or false",
            Self::Time => "a date or time",
            Self::List => "a list",
            Self::Table => "a table",
        })
    }
}

impl Node {
    /// What kind of value it is; what an environment variable gives is a text until resolved.
    pub(super) fn kind(&self) -> Kind {
        match &self.value {
            Value::Text(_) | Value::Given(_) => Kind::Text,
            Value::Integer(_) => Kind::Integer,
            Value::Float(_) => Kind::Float,
            Value::Boolean(_) => Kind::Boolean,
            Value::Time(_) => Kind::Time,
            Value::List(_) => Kind::List,
            Value::Table(_) => Kind::Table,
        }
    }

    /// Gives what an environment variable said the first type that fits: TOML of a wanted kind, else a text. Where
    /// only a list will do, one bare value is a list of one.
    pub(super) fn resolve(self, wanted: &[Kind]) -> Self {
        let Self { spot, value: Value::Given(text) } = self else { return self };
        if let Ok(parsed) = DeValue::parse(&text) {
            let node = convert(parsed.get_ref(), &|_| spot.clone(), 0);
            if wanted.contains(&node.kind()) {
                return node;
            }
        }
        let value = match wanted {
            [Kind::List] => Value::List(vec![Self { spot: spot.clone(), value: Value::Given(text) }]),
            _ => Value::Text(text),
        };
        Self { spot, value }
    }
}

/// The tree of one file. Syntax errors are noted, one a line.
///
/// What can be saved is checked as well: when the file is sound without its bad lines, all other lines are taken;
/// else only what stands before the first bad line is sure.
pub(super) fn parse(source: &Arc<Source>, notes: &Notes) -> Table {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        return top(table.get_ref(), source);
    }
    let bad_lines = note_syntax(source, &errors, notes);
    let sound = without_lines(&source.text, &bad_lines);
    if let Some(sound) = sound.as_deref().and_then(|text| DeTable::parse(text).ok()) {
        return top(sound.get_ref(), source);
    }
    notes.lose(source, bad_lines.first().copied().unwrap_or(0));
    top(table.get_ref(), source)
}

/// Notes the first error of each line; returns where these lines start.
fn note_syntax(source: &Arc<Source>, errors: &[Error], notes: &Notes) -> BTreeSet<usize> {
    let mut first_of_line: BTreeMap<usize, (usize, &Error)> = BTreeMap::new();
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start).min(source.text.len());
        let start = source.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let first = first_of_line.entry(start).or_insert((offset, error));
        if offset < first.0 {
            *first = (offset, error);
        }
    }
    for (offset, error) in first_of_line.values() {
        let (what, remedy) = match error.message() {
            "duplicate key" => ("this key or table is there already".to_owned(), "keep one of the two"),
            message if message.starts_with("string values must be quoted") => {
                ("a value is missing or has no quotes".to_owned(), "write a value; put texts in \"quotes\"")
            }
            message => {
                (format!("syntax error: {message}"), "correct the line; https://toml.io shows how TOML is written")
            }
        };
        notes.syntax(source, *offset, what, remedy);
    }
    first_of_line.into_keys().collect()
}

/// `text` with the lines that start at `bad` blanked, all offsets kept. None when a table's header is among them: the
/// keys below it would land in the table before.
fn without_lines(text: &str, bad: &BTreeSet<usize>) -> Option<String> {
    let mut sound = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if !bad.contains(&sound.len()) {
            sound.push_str(line);
        } else if line.trim_start().starts_with('[') {
            return None;
        } else {
            sound.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
    }
    Some(sound)
}

fn top(table: &DeTable<'_>, source: &Arc<Source>) -> Table {
    convert_table(table, &|offset| Spot::File(Arc::clone(source), offset), 0)
}

/// Deeper values than this are cut off; no setting is that deep, and the parser stops at 80 levels itself.
const DEPTH_MAX: usize = 100;

fn convert_table(table: &DeTable<'_>, spot: &dyn Fn(usize) -> Spot, depth: usize) -> Table {
    let entries = table.iter().map(|(key, value)| {
        let node = Node { spot: spot(value.span().start), ..convert(value.get_ref(), spot, depth + 1) };
        (key.get_ref().to_string(), Entry { key: spot(key.span().start), node })
    });
    if depth > DEPTH_MAX { Table::new() } else { entries.collect() }
}

/// The node's own spot is that of offset 0; whoever knows its span sets it.
fn convert(value: &DeValue<'_>, spot: &dyn Fn(usize) -> Spot, depth: usize) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(time) => Value::Time(time.to_string()),
        DeValue::Array(items) if depth <= DEPTH_MAX => Value::List(
            items
                .iter()
                .map(|item| Node { spot: spot(item.span().start), ..convert(item.get_ref(), spot, depth + 1) })
                .collect(),
        ),
        DeValue::Array(_) => Value::List(Vec::new()),
        DeValue::Table(table) => Value::Table(convert_table(table, spot, depth)),
    };
    Node { spot: spot(0), value }
}

/// Lays `later` over `earlier`: tables key by key, named lists joined, anything else replaced.
pub(super) fn merge(earlier: &mut Table, later: Table) {
    for (key, entry) in later {
        let Some(old) = earlier.get_mut(&key) else {
            earlier.insert(key, entry);
            continue;
        };
        match (&mut old.node.value, entry.node.value) {
            (Value::Table(old), Value::Table(new)) => merge(old, new),
            (Value::List(old), Value::List(new)) if NAMED_LISTS.contains(&key.as_str()) => old.extend(new),
            (_, value) => {
                let node = Node { spot: entry.node.spot, value };
                *old = Entry { key: entry.key, node };
            }
        }
    }
}
