//! Where the settings of a plugin are written: whoever looks into its component finds what does not fit later than the
//! settings are read, and has a place to name nevertheless.

use std::collections::BTreeMap;

use super::notes::Spot;
use super::problem::{Place, Problem, Severity};
use super::tree::{Node, Table, Value};

/// Where one plugin is written, its own settings included.
#[derive(Debug, Clone, PartialEq)]
pub struct Written(Spots);

/// A place, and the places of what is in it.
#[derive(Debug, Clone, PartialEq)]
struct Spots {
    spot: Spot,
    inside: BTreeMap<String, Spots>,
}

impl Written {
    /// Those of a section that stands at `spot`.
    pub(super) fn of(spot: &Spot, table: &Table) -> Self {
        Self(Spots::of_table(spot, table))
    }

    /// The place of what keys and places in lists lead to; where that is not written, of what it would be in.
    pub fn place<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Place {
        let mut spots = &self.0;
        for step in path {
            let Some(inside) = spots.inside.get(step) else { break };
            spots = inside;
        }
        spots.spot.place()
    }

    /// Something that is wrong there.
    pub fn problem<'a>(
        &self,
        path: impl IntoIterator<Item = &'a str>,
        severity: Severity,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem { place: self.place(path), what: what.into(), remedy: remedy.into(), severity }
    }
}

impl Spots {
    fn of_table(spot: &Spot, table: &Table) -> Self {
        let inside = table.iter().map(|(key, entry)| (key.clone(), Self::of(&entry.node)));
        Self { spot: spot.clone(), inside: inside.collect() }
    }

    fn of(node: &Node) -> Self {
        match &node.value {
            Value::Table(table) => Self::of_table(&node.spot, table),
            Value::List(items) => {
                let inside = items.iter().enumerate().map(|(place, item)| (place.to_string(), Self::of(item)));
                Self { spot: node.spot.clone(), inside: inside.collect() }
            }
            _ => Self { spot: node.spot.clone(), inside: BTreeMap::new() },
        }
    }
}
