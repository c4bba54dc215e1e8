//! Rights: which topics somebody may publish to, and how much of a filter somebody may subscribe to.
//!
//! Pure: filters in, verdicts out. Never knows where users come from or who is connected (`accounts.rs`).

use std::sync::Arc;

use crate::message::{Topic, TopicFilter};

#[cfg(test)]
mod tests;

/// A right as the settings give it: a filter in which `%u` and `%c` stand for the user's name and the client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The text of the settings.
    pub(super) filter: TopicFilter,
    /// The group that gives it, `None` where it is the user's own.
    pub(super) group: Option<Arc<str>>,
}

/// Rights of one kind, before it is known whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Patterns {
    /// No limit.
    Everything,
    /// What falls under one of these.
    These(Vec<Pattern>),
}

/// One right of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    /// What falls under it.
    pub(super) filter: TopicFilter,
    /// Where it comes from.
    pub(super) pattern: Pattern,
}

/// Rights of one kind of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Allowed {
    /// No limit.
    Everything,
    /// What falls under one of these.
    These(Vec<Right>),
}

/// How much of a subscription its client may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// All that falls under its filter. Costs nothing for each message.
    Whole,
    /// What falls under one of these as well.
    Cut(Arc<[TopicFilter]>),
    /// Nothing: it was allowed once and is no longer.
    Nothing,
}

impl Scope {
    /// Whether a message of this topic may go to the client.
    pub(super) fn allows(&self, topic: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Cut(filters) => filters.iter().any(|filter| filter.matches(topic)),
            Self::Nothing => false,
        }
    }
}

/// What one client may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) publish: Allowed,
    pub(super) subscribe: Allowed,
}

impl Rights {
    /// Everything.
    pub(super) const EVERYTHING: Self = Self { publish: Allowed::Everything, subscribe: Allowed::Everything };
    /// Nothing.
    pub(super) const NONE: Self = Self { publish: Allowed::These(Vec::new()), subscribe: Allowed::These(Vec::new()) };

    /// Whether the client may publish to a topic.
    pub(super) fn may_publish(&self, topic: &Topic) -> bool {
        self.publish.matches(topic.as_str())
    }

    /// Whether the client may get a message of a topic.
    pub(super) fn may_get(&self, topic: &Topic) -> bool {
        self.subscribe.matches(topic.as_str())
    }

    /// How much of a filter the client may subscribe to; `Nothing` where the subscription is to be refused: when nothing
    /// of it is allowed, or when it is wider than a right, so that it would take more than whoever gave that right meant.
    pub(super) fn scope(&self, filter: &TopicFilter) -> Scope {
        match self.reach(filter) {
            Scope::Cut(rights) if rights.iter().any(|right| filter.covers(right)) => Scope::Nothing,
            reach => reach,
        }
    }

    /// How much a subscription brings that was granted before: all of it that is allowed now, so that no new right takes
    /// anything from it, and no narrower one more than it says.
    pub(super) fn reach(&self, filter: &TopicFilter) -> Scope {
        let Allowed::These(rights) = &self.subscribe else { return Scope::Whole };
        let rights = || rights.iter().map(|right| &right.filter);
        if rights().any(|right| right.covers(filter)) {
            return Scope::Whole;
        }
        let overlapping: Arc<[TopicFilter]> = rights().filter(|right| right.overlaps(filter)).cloned().collect();
        if overlapping.is_empty() { Scope::Nothing } else { Scope::Cut(overlapping) }
    }
}

impl Allowed {
    fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::These(rights) => rights.iter().any(|right| right.filter.matches(topic)),
        }
    }
}

impl Patterns {
    /// The rights of one client. What asks for a name that is not there, or that could widen the right, is left out.
    pub(super) fn of(&self, user: Option<&str>, client: Option<&str>) -> Allowed {
        match self {
            Self::Everything => Allowed::Everything,
            Self::These(patterns) => Allowed::These(
                patterns
                    .iter()
                    .filter_map(|pattern| {
                        Some(Right { filter: fill_in(&pattern.filter, user, client)?, pattern: pattern.clone() })
                    })
                    .collect(),
            ),
        }
    }
}

/// The filter with names in the place of `%u` and `%c`, in one pass: a name with `%c` in it stays as it is.
fn fill_in(pattern: &TopicFilter, user: Option<&str>, client: Option<&str>) -> Option<TopicFilter> {
    let text = pattern.as_str();
    let mut pieces = text.split('%');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = match (piece.strip_prefix('u'), piece.strip_prefix('c')) {
            (Some(rest), _) => (harmless(user?)?, rest),
            (None, Some(rest)) => (harmless(client?)?, rest),
            (None, None) => ("%", piece),
        };
        filled.push_str(name);
        filled.push_str(rest);
    }
    // Topics that begin with `$` are apart; no name leads there.
    let leads_apart = filled.starts_with('$') && !text.starts_with('$');
    TopicFilter::new(&filled).ok().filter(|_| !leads_apart)
}

/// A name that is one level of a topic and stands for itself alone, so that nobody widens a right by the name he takes.
fn harmless(name: &str) -> Option<&str> {
    (!name.is_empty() && !name.contains(['/', '+', '#'])).then_some(name)
}
