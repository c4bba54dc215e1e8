//! Typed settings of what a remote may be told: `[[uplink.share]]`.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::duration;
use super::text::filters;
use crate::message::TopicFilter;

/// More levels of one field than this are refused: each may cost a look at all that is below.
const LEVELS_MAX: usize = 16;

/// Which messages a remote may be sent, and what of them. The first rule that names a topic decides; a message that none
/// names stays here.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Share {
    /// Topics, as they are here.
    #[serde(with = "filters")]
    pub topics: Vec<TopicFilter>,
    /// Fields of the payload that go as they are. `None`: all of which nothing else is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<Field>>,
    /// Fields in whose place a pseudonym goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pseudonyms: Vec<Field>,
    /// What goes less exactly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coarse: Vec<Coarse>,
    /// Levels of the topic, from 0, in whose place a pseudonym goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topic_levels: Vec<usize>,
    /// Properties that go along. `None`: all, unless something else is kept back or changed; then none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Vec<String>>,
}

impl Share {
    /// A rule that shares messages of these topics as they are.
    pub fn all(topics: Vec<TopicFilter>) -> Self {
        Self {
            topics,
            fields: None,
            pseudonyms: Vec::new(),
            coarse: Vec::new(),
            topic_levels: Vec::new(),
            properties: None,
        }
    }

    /// Whether something in its messages gets a pseudonym.
    pub fn has_pseudonyms(&self) -> bool {
        !(self.pseudonyms.is_empty() && self.topic_levels.is_empty())
    }

    /// Whether messages go otherwise than they are, but for their properties.
    pub fn changes(&self) -> bool {
        self.fields.is_some() || self.has_pseudonyms() || !self.coarse.is_empty()
    }
}

/// What goes less exactly, and how exactly it goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Coarse {
    /// An object with a latitude and a longitude in degrees, or a list of longitude and latitude.
    Position {
        /// Where it is.
        position: Field,
        /// The width of a square of the grid that it is moved to; 1 to 100,000.
        metres: u32,
    },
    /// A number.
    Number {
        /// Where it is.
        number: Field,
        /// How many decimals are kept; 0 to 8.
        decimals: u8,
    },
    /// A time, as RFC 3339 or since 1970.
    Time {
        /// Where it is.
        time: Field,
        /// It is rounded down to a multiple of this; 1 s to 31 d.
        #[serde(with = "duration")]
        to: Duration,
    },
    /// The time at which the message was received.
    Received {
        /// [`RECEIVED_AT`](crate::message::RECEIVED_AT).
        property: &'static str,
        /// It is rounded down to a multiple of this; 1 s to 31 d.
        #[serde(with = "duration")]
        to: Duration,
    },
}

impl Coarse {
    /// The field of the payload that it is about.
    pub fn field(&self) -> Option<&Field> {
        match self {
            Self::Position { position: field, .. }
            | Self::Number { number: field, .. }
            | Self::Time { time: field, .. } => Some(field),
            Self::Received { .. } => None,
        }
    }
}

/// When pseudonyms change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PseudonymsChange {
    /// They stay the same.
    #[default]
    Never,
    /// At midnight, UTC.
    Daily,
}

impl PseudonymsChange {
    /// Whether they stay the same.
    pub fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

/// One level of a field's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `*`: any member of an object or of a list.
    Any,
    /// A member of an object by its name, or of a list by its number.
    Named(String),
}

/// A place in a payload of JSON, or several: a JSON Pointer (RFC 6901) in which `*` stands for any one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    text: String,
    steps: Vec<Step>,
}

impl Field {
    /// Reads one; the empty text is the payload as a whole.
    ///
    /// # Errors
    /// In words: what it is.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else {
            let whole = Self { text: String::new(), steps: Vec::new() };
            return if text.is_empty() { Ok(whole) } else { Err("does not begin with `/`") };
        };
        let steps: Option<Vec<_>> = rest.split('/').map(step).collect();
        match steps {
            None => Err("has a `~` that is neither `~0` (which is `~`) nor `~1` (which is `/`)"),
            Some(steps) if steps.len() > LEVELS_MAX => Err("has more than 16 levels"),
            Some(steps) => Ok(Self { text: text.to_owned(), steps }),
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its levels, from the top.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether all that `other` stands for is in what this stands for.
    pub fn holds(&self, other: &Self) -> bool {
        let mut pairs = self.steps.iter().zip(&other.steps);
        self.steps.len() <= other.steps.len() && pairs.all(|(own, other)| *own == Step::Any || own == other)
    }
}

fn step(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::Any);
    }
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    escapes.then(|| Step::Named(text.replace("~1", "/").replace("~0", "~")))
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> Field {
        Field::parse(text).unwrap()
    }

    #[test]
    fn a_field_is_a_json_pointer_with_stars() {
        let named = |name: &str| Step::Named(name.to_owned());
        assert_eq!(field("/a~1b/*/m~0n/").steps(), [named("a/b"), Step::Any, named("m~n"), named("")]);
        assert_eq!(field("/~01").steps(), [named("~1")]);
        assert_eq!(field("").steps(), []);
        for wrong in ["a", "a/b", "/~", "/~2", "/a~"] {
            assert!(Field::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Field::parse(&"/a".repeat(17)).is_err() && Field::parse(&"/a".repeat(16)).is_ok());
    }

    #[test]
    fn a_field_holds_what_is_below_it() {
        for (own, other, holds) in [
            ("/a", "/a/b", true),
            ("/*", "/a/b", true),
            ("/a/*", "/a/b", true),
            ("/a/b", "/a/*", false),
            ("/a/b", "/a", false),
            ("", "/a", true),
            ("/a", "/b", false),
        ] {
            assert_eq!(field(own).holds(&field(other)), holds, "{own} {other}");
        }
    }
}
