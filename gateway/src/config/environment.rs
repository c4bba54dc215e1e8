//! Lays `STILE_*` variables over the tree of the files. Never reads the process's environment itself.

use super::notes::{Notes, Spot, in_variable};
use super::tree::{Entry, NAMED_LISTS, Node, Table, Value};

/// What the variables' names start with.
const PREFIX: &str = "STILE_";

/// Names the main file; whoever calls `load` has read it already.
const CONFIG_FILE: &str = "STILE_CONFIG";

/// More levels than any key has.
const LEVELS_MAX: usize = 8;

/// Sets what the `STILE_*` variables among `variables` say, in the order of their names.
pub(super) fn apply(root: &mut Table, variables: impl IntoIterator<Item = (String, String)>, notes: &Notes) {
    let mut variables: Vec<_> =
        variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX) && name != CONFIG_FILE).collect();
    variables.sort();
    for (name, value) in variables {
        let levels: Vec<&str> = name.strip_prefix(PREFIX).unwrap_or_default().split("__").collect();
        let spot = Spot::Environment(name.as_str().into());
        if levels.len() > LEVELS_MAX || levels.iter().any(|level| level.is_empty()) {
            let remedy = "join the levels of the key by two underscores: STILE_BROKER__MAX_CONNECTIONS";
            notes.error(&spot, "this name matches no key", remedy);
            continue;
        }
        Variable { spot, notes }.set(root, &levels, value);
    }
}

struct Variable<'n> {
    spot: Spot,
    notes: &'n Notes,
}

impl Variable<'_> {
    /// Sets the value at the end of `levels` below `table`, making tables on the way.
    fn set(&self, table: &mut Table, levels: &[&str], value: String) {
        let [level, rest @ ..] = levels else { return };
        let key = level.to_lowercase().replace('_', "-");
        if rest.is_empty() {
            table.insert(key, self.entry(Value::Given(value)));
            return;
        }
        let named_list = NAMED_LISTS.contains(&key.as_str());
        let entry = table.entry(key.clone()).or_insert_with(|| {
            self.entry(if named_list { Value::List(Vec::new()) } else { Value::Table(Table::new()) })
        });
        match &mut entry.node.value {
            Value::Table(inner) => self.set(inner, rest, value),
            Value::List(items) if named_list => self.set_in_list(items, &key, rest, value),
            // Whatever stood there is no table and has no keys: a table takes its place.
            other => {
                let mut inner = Table::new();
                self.set(&mut inner, rest, value);
                *other = Value::Table(inner);
            }
        }
    }

    /// Sets the value in the table of `items` whose name is the first of `levels`.
    fn set_in_list(&self, items: &mut [Node], list: &str, levels: &[&str], value: String) {
        let [name, rest @ ..] = levels else { return };
        if rest.is_empty() {
            let what = format!("this names a whole {list}, not one of its keys");
            self.notes.error(&self.spot, what, "add two underscores and the key");
            return;
        }
        let known: Vec<String> = items.iter().filter_map(name_of_item).map(in_variable).collect();
        let mut fitting = items.iter_mut().filter_map(|item| match &mut item.value {
            Value::Table(table) if name_of(table).is_some_and(|own| in_variable(own) == *name) => Some(table),
            _ => None,
        });
        match (fitting.next(), fitting.next()) {
            (Some(table), None) => self.set(table, rest, value),
            (Some(_), Some(_)) => {
                let what = format!("more than one {list} is written `{name}` in a variable");
                self.notes.error(&self.spot, what, "set the key in the file");
            }
            (None, _) => {
                let remedy = match known.as_slice() {
                    [] => format!("add a {list} with that name to the file"),
                    known => format!("write one of: `{}`", known.join("`, `")),
                };
                self.notes.nowhere(&self.spot, format!("no {list} is written `{name}` in a variable"), remedy);
            }
        }
    }

    fn entry(&self, value: Value) -> Entry {
        Entry { key: self.spot.clone(), node: Node { spot: self.spot.clone(), value } }
    }
}

fn name_of_item(item: &Node) -> Option<&str> {
    match &item.value {
        Value::Table(table) => name_of(table),
        _ => None,
    }
}

fn name_of(table: &Table) -> Option<&str> {
    match &table.get("name")?.node.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}
