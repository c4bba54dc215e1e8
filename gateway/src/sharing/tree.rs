//! What a rule says of which places in a payload, so that each place of a payload is looked up once on the way down.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{self, Coarse, Field, Step};

/// What is said of a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    /// A pseudonym goes in its place.
    Pseudonym,
    /// It is a position and goes to the grid with squares of so many metres.
    Position(u32),
    /// It is a number and keeps so many decimals.
    Number(u8),
    /// It is a time and is rounded down to a multiple of this.
    Time(Duration),
    /// It goes as it is.
    Keep,
}

impl What {
    /// Where several things are said of a place by stars, the least number counts.
    fn order(self) -> u8 {
        match self {
            Self::Pseudonym => 0,
            Self::Position(_) | Self::Number(_) | Self::Time(_) => 1,
            Self::Keep => 2,
        }
    }
}

/// What is said of a place, and in which words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) what: What,
    /// The key of the settings, and the field there.
    key: &'static str,
    field: Field,
}

impl Said {
    /// Where it is said.
    pub(super) fn words(&self) -> String {
        format!("`{}` has \"{}\"", self.key, self.field.as_str())
    }
}

/// A place, and what is said of those in it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    said: Option<Said>,
    named: BTreeMap<String, Tree>,
    any: Option<Box<Tree>>,
}

impl Tree {
    pub(super) fn of(share: &config::Share) -> Self {
        let mut tree = Self::default();
        for field in &share.pseudonyms {
            tree.say("pseudonyms", field, What::Pseudonym);
        }
        for coarse in &share.coarse {
            match coarse {
                Coarse::Position { position, metres } => tree.say("coarse", position, What::Position(*metres)),
                Coarse::Number { number, decimals } => tree.say("coarse", number, What::Number(*decimals)),
                Coarse::Time { time, to } => tree.say("coarse", time, What::Time(*to)),
                Coarse::Received { .. } => {}
            }
        }
        for field in share.fields.iter().flatten() {
            tree.say("fields", field, What::Keep);
        }
        tree
    }

    /// What is said first of a place stands.
    fn say(&mut self, key: &'static str, field: &Field, what: What) {
        let mut place = self;
        for step in field.steps() {
            place = match step {
                Step::Any => place.any.get_or_insert_default(),
                Step::Named(name) => place.named.entry(name.clone()).or_default(),
            };
        }
        place.said.get_or_insert(Said { what, key, field: field.clone() });
    }

    fn ends_here(&self) -> bool {
        self.named.is_empty() && self.any.is_none()
    }
}

/// All that the rule's places come to at one place of a payload: several, where a star and a name lead there.
#[derive(Debug, Clone, Default)]
pub(super) struct Here<'t>(Vec<&'t Tree>);

impl<'t> Here<'t> {
    pub(super) fn top(tree: &'t Tree) -> Self {
        Self(vec![tree])
    }

    /// Whether nothing is said of this place, nor of what is in it.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing is said of what is in this place.
    pub(super) fn is_end(&self) -> bool {
        self.0.iter().all(|tree| tree.ends_here())
    }

    /// What is said of this place.
    pub(super) fn said(&self) -> Option<&'t Said> {
        self.0.iter().filter_map(|tree| tree.said.as_ref()).min_by_key(|said| said.what.order())
    }

    /// One level down, to a member of an object.
    pub(super) fn member(&self, name: &str) -> Self {
        let below = self.0.iter().flat_map(|tree| tree.named.get(name).into_iter().chain(tree.any.as_deref()));
        Self(below.collect())
    }

    /// One level down, to an item of a list.
    pub(super) fn item(&self, place: usize) -> Self {
        let names = self.0.iter().any(|tree| !tree.named.is_empty());
        if names {
            self.member(&place.to_string())
        } else {
            Self(self.0.iter().filter_map(|t| t.any.as_deref()).collect())
        }
    }
}
