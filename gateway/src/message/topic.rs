//! Topic names and topic filters (MQTT 5.0, section 4.7), validated once and cheap to clone.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest topic or filter that MQTT can carry, in bytes of UTF-8 (MQTT 5.0, section 1.5.4).
pub const TOPIC_MAX_BYTES: usize = 65_535;

/// Why a text is no topic or no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicError {
    /// No character at all.
    Empty,
    /// More than [`TOPIC_MAX_BYTES`].
    TooLong,
    /// A NUL character.
    Nul,
    /// `+` or `#` in a topic name.
    Wildcard,
    /// `+` that does not fill its level, or `#` that does not fill the last one.
    MisplacedWildcard,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::TooLong => "is longer than 65535 bytes",
            Self::Nul => "contains a NUL character",
            Self::Wildcard => "contains a wildcard (`+` or `#`), which only a filter may",
            Self::MisplacedWildcard => "has a wildcard that does not fill its level, or a `#` that is not last",
        })
    }
}

impl std::error::Error for TopicError {}

fn check_text(text: &str) -> Result<(), TopicError> {
    match text {
        "" => Err(TopicError::Empty),
        _ if text.len() > TOPIC_MAX_BYTES => Err(TopicError::TooLong),
        _ if text.contains('\0') => Err(TopicError::Nul),
        _ => Ok(()),
    }
}

/// The name that a message is published under: not empty, no wildcard, no NUL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Checks `name` and takes it.
    ///
    /// # Errors
    /// What the rules of MQTT 5.0, section 4.7.3 forbid.
    pub fn new(name: &str) -> Result<Self, TopicError> {
        check_text(name)?;
        if name.contains(['+', '#']) {
            return Err(TopicError::Wildcard);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ordered and hashed like its text, so that a map of topics can be asked by text.
impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A pattern over topics: `+` stands for one level, a final `#` for all that remain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(Arc<str>);

impl TopicFilter {
    /// Checks `pattern` and takes it. A `$share/...` prefix is not understood here.
    ///
    /// # Errors
    /// What the rules of MQTT 5.0, sections 4.7.1 and 4.7.3 forbid.
    pub fn new(pattern: &str) -> Result<Self, TopicError> {
        check_text(pattern)?;
        let mut levels = pattern.split('/').peekable();
        while let Some(level) = levels.next() {
            let misplaced = level.len() > 1 && level.contains(['+', '#']);
            if misplaced || (level == "#" && levels.peek().is_some()) {
                return Err(TopicError::MisplacedWildcard);
            }
        }
        Ok(Self(pattern.into()))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `topic` falls under this filter. A leading wildcard leaves `$` topics out (section 4.7.2).
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut names = topic.split('/');
        for level in self.0.split('/') {
            match (level, names.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (level, Some(name)) if level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_a_name_without_wildcards() {
        for good in ["a", "/", "a//b", "Ä/ü", "$SYS/x", " "] {
            assert!(Topic::new(good).is_ok(), "{good:?}");
        }
        assert_eq!(Topic::new(""), Err(TopicError::Empty));
        assert_eq!(Topic::new("a/+"), Err(TopicError::Wildcard));
        assert_eq!(Topic::new("a\0"), Err(TopicError::Nul));
        assert_eq!(Topic::new(&"x".repeat(65_536)), Err(TopicError::TooLong));
    }

    #[test]
    fn wildcards_fill_whole_levels_and_the_hash_is_last() {
        for good in ["#", "+", "a/+/b", "a/#", "+/#", "/+", "a//#"] {
            assert!(TopicFilter::new(good).is_ok(), "{good:?}");
        }
        for bad in ["a#", "a/#/b", "a+", "a/b+/c", "#/a", "##"] {
            assert_eq!(TopicFilter::new(bad), Err(TopicError::MisplacedWildcard), "{bad:?}");
        }
    }

    #[test]
    fn matching_follows_the_examples_of_section_4_7() {
        let cases = [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "a/b", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor", false),
            ("+/monitor", "$SYS/monitor", false),
            ("$SYS/#", "$SYS/monitor", true),
            ("a", "A", false),
        ];
        for (filter, topic, expected) in cases {
            let filter = TopicFilter::new(filter).unwrap();
            assert_eq!(filter.matches(topic), expected, "{filter} {topic}");
        }
    }
}
