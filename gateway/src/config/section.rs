//! One table of the settings, read key by key: typed values out, problems noted, unknown keys reported at the end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;

use super::duration;
use super::notes::{Notes, Spot};
use super::problem::{Place, plain};
use super::suggest::nearest;
use super::tree::{Entry, Kind, Node, Table, Value};
use super::written::Written;

/// A table that is being read. Every method that gives `None` has noted why, unless the key is just not there.
pub(super) struct Section<'n> {
    /// What messages call it: `[broker]`.
    title: &'static str,
    spot: Spot,
    table: Table,
    /// The keys asked for, with the spot of the value where there is one.
    asked: BTreeMap<&'static str, Option<Spot>>,
    pub(super) notes: &'n Notes,
}

impl<'n> Section<'n> {
    /// Begins to read `table`, which stands at `spot`.
    pub(super) fn new(title: &'static str, spot: Spot, table: Table, notes: &'n Notes) -> Self {
        Self { title, spot, table, asked: BTreeMap::new(), notes }
    }

    /// Where the value of `key` stands, once it was asked for; else where the table stands.
    pub(super) fn spot(&self, key: &str) -> &Spot {
        self.asked.get(key).and_then(Option::as_ref).unwrap_or(&self.spot)
    }

    /// What messages call it.
    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    /// Whether `key` has, or had, a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key) || self.asked.get(key).is_some_and(Option::is_some)
    }

    /// The value of `key`, if it is of a wanted kind.
    pub(super) fn node(&mut self, key: &'static str, wanted: &[Kind]) -> Option<Node> {
        let remedy = wanted.iter().map(|kind| kind.in_toml()).collect::<Vec<_>>().join(" or ");
        self.typed(key, wanted, format!("write {remedy}"))
    }

    fn typed(&mut self, key: &'static str, wanted: &[Kind], remedy: String) -> Option<Node> {
        let Some(Entry { node, .. }) = self.table.remove(key) else {
            self.asked.entry(key).or_insert(None);
            return None;
        };
        self.asked.insert(key, Some(node.spot.clone()));
        let node = node.resolve(wanted);
        if wanted.contains(&node.kind()) {
            return Some(node);
        }
        let wanted = wanted.iter().map(Kind::to_string).collect::<Vec<_>>().join(" or ");
        self.refuse(key, format!("is {}, not {wanted}", node.kind()), remedy);
        None
    }

    /// Notes that the value of `key` is wrong: "`key` in [section] is ...".
    pub(super) fn refuse(&self, key: &str, is: impl fmt::Display, remedy: impl Into<String>) {
        self.notes.error(self.spot(key), format!("`{key}` in {} {is}", self.title), remedy);
    }

    /// Notes that `key` is not there, unless something was there and has been refused.
    pub(super) fn require(&self, key: &str, remedy: impl Into<String>) {
        if !self.has(key) {
            self.notes.missing(&self.spot, format!("`{key}` is missing in {}", self.title), remedy);
        }
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.node(key, &[Kind::Text])?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text that `parse` makes something of; `wanted` says what it should be.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(key)?;
        let value = parse(&text);
        if value.is_none() {
            self.refuse(key, format!("is `{}`, which is not {wanted}", plain(&text)), format!("write {wanted}"));
        }
        value
    }

    /// A whole number in `range`.
    pub(super) fn integer<T: TryFrom<i128>>(&mut self, key: &'static str, range: RangeInclusive<i128>) -> Option<T> {
        let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
        let Value::Integer(number) = self.typed(key, &[Kind::Integer], remedy.clone())?.value else { return None };
        let value = range.contains(&number).then(|| T::try_from(number).ok()).flatten();
        if value.is_none() {
            let shown = if number == i128::MAX { "a huge number".into() } else { number.to_string() };
            self.refuse(key, format!("is {shown}, which is out of range"), remedy);
        }
        value
    }

    /// True or false.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        match self.node(key, &[Kind::Boolean])?.value {
            Value::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// A time with its unit, in `range`.
    pub(super) fn duration(&mut self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.parsed(key, "a time with its unit, such as \"20ms\", \"5m\" or \"24h\"", duration::parse)?;
        if range.contains(&value) {
            return Some(value);
        }
        let (least, most) = (duration::print(*range.start()), duration::print(*range.end()));
        let is = format!("is {}, which is out of range", duration::print(value));
        self.refuse(key, is, format!("write a time from {least} to {most}"));
        None
    }

    /// One of the names of the closed set `T`.
    pub(super) fn choice<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<T> {
        let text = self.text(key)?;
        let parsed: Result<T, NotOneOf> = T::deserialize(text.as_str().into_deserializer());
        let NotOneOf(names) = match parsed {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let remedy = match nearest(&text, names.iter().copied()) {
            Some(name) => format!("write `{name}`; known are: `{}`", names.join("`, `")),
            None => format!("write one of: `{}`", names.join("`, `")),
        };
        self.refuse(key, format!("is `{}`, which is not known", plain(&text)), remedy);
        None
    }

    /// A path without NUL; what is relative starts from the folder of the file that says so.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path =
            self.parsed(key, "a path", |text| (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text)))?;
        let path = self.spot(key).folder().join(path);
        Some(std::path::absolute(&path).unwrap_or(path))
    }

    /// The table at `key`, empty when there is none.
    pub(super) fn section(&mut self, key: &'static str, title: &'static str) -> Section<'n> {
        let (spot, table) = match self.node(key, &[Kind::Table]) {
            Some(Node { spot, value: Value::Table(table) }) => (spot, table),
            _ => (self.spot.clone(), Table::new()),
        };
        Section::new(title, spot, table, self.notes)
    }

    /// The table at `key`, whatever its keys are.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Table> {
        match self.node(key, &[Kind::Table])?.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Where all of it is written.
    pub(super) fn written(&self) -> Written {
        Written::of(&self.spot, &self.table)
    }

    /// The tables of the list at `key`; not more than `most`.
    pub(super) fn sections(&mut self, key: &'static str, title: &'static str, most: usize) -> Vec<Section<'n>> {
        self.list(key, most)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|node| match node.resolve(&[Kind::Table]) {
                Node { spot, value: Value::Table(table) } => Some(Section::new(title, spot, table, self.notes)),
                node => {
                    let what = format!("`{key}` in {} has {} where a table should be", self.title, node.kind());
                    self.notes.error(&node.spot, what, format!("begin each with {title}"));
                    None
                }
            })
            .collect()
    }

    /// The items of the list at `key`; not more than `most`.
    pub(super) fn list(&mut self, key: &'static str, most: usize) -> Option<Vec<Node>> {
        let Value::List(mut items) = self.node(key, &[Kind::List])?.value else { return None };
        if items.len() > most {
            self.refuse(key, format!("has {} items", items.len()), format!("write at most {most}"));
            items.truncate(most);
        }
        Some(items)
    }

    /// Takes the value of a key that cannot be judged, so that nothing is said about it.
    pub(super) fn skip(&mut self, key: &'static str) {
        let spot = self.table.remove(key).map(|entry| entry.node.spot);
        self.asked.insert(key, spot);
    }

    /// Reports what is left: nobody asked for these keys.
    pub(super) fn finish(self) {
        for (key, entry) in &self.table {
            let what = format!("unknown key `{}` in {}", plain(key), self.title);
            self.notes.error(&entry.key, what, self.instead_of(key, &entry.key));
        }
    }

    /// What to do about an unknown key that stands at `spot`.
    fn instead_of(&self, key: &str, spot: &Spot) -> String {
        let free = self.asked.iter().filter(|(_, spot)| spot.is_none()).map(|(known, _)| *known);
        if let Some(meant) = nearest(key, free) {
            return format!("rename it to `{}`", spot.spell(meant));
        }
        if let Some(meant) = nearest(key, self.asked.keys().copied()) {
            return format!("remove it; `{}` is there already", spot.spell(meant));
        }
        let known: Vec<String> = self.asked.keys().map(|known| spot.spell(known)).collect();
        if known.is_empty() { "remove it".into() } else { format!("remove it; known are: `{}`", known.join("`, `")) }
    }
}

/// What `Deserialize` of an enum of names says of a text that is none of them: the names.
#[derive(Debug)]
struct NotOneOf(&'static [&'static str]);

impl fmt::Display for NotOneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not one of: {}", self.0.join(", "))
    }
}

impl std::error::Error for NotOneOf {}

impl serde::de::Error for NotOneOf {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}

/// Names that may be there once only.
pub(super) struct Unique {
    /// What has the name: `radio`.
    what: &'static str,
    seen: HashMap<String, Spot>,
}

impl Unique {
    /// No name yet.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, seen: HashMap::new() }
    }

    /// Whether somebody has it, be it somebody with other problems.
    pub(super) fn has(&self, name: &str) -> bool {
        self.seen.contains_key(name)
    }

    /// Notes a second `name`, naming the first one's place as well.
    pub(super) fn claim(&mut self, name: &str, spot: &Spot, notes: &Notes) {
        let Some(first) = self.seen.get(name) else {
            self.seen.insert(name.into(), spot.clone());
            return;
        };
        let place: Place = first.place();
        let what = format!("{} `{}` is there already, at {place}", self.what, plain(name));
        notes.error(spot, what, "give one of the two another name, or remove it");
    }
}
