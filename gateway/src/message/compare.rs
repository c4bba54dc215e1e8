//! Topic filters held against each other, as sets of topics. Exact: the tests of rights hold both against matching.

use super::TopicFilter;

/// The levels of a filter. `#` alone matches what `+/#` does, since every topic has a first level; and `/#` what `/+/#`
/// does, since no topic is empty.
fn levels(filter: &TopicFilter) -> Vec<&str> {
    match filter.as_str() {
        "#" => vec!["+", "#"],
        "/#" => vec!["", "+", "#"],
        text => text.split('/').collect(),
    }
}

/// Whether one begins with a wildcard and the other with a `$`: what begins with `$` is never under a wildcard (MQTT
/// 5.0, section 4.7.2).
fn apart(a: &[&str], b: &[&str]) -> bool {
    let wild = |levels: &[&str]| levels.first() == Some(&"+");
    let special = |levels: &[&str]| levels.first().is_some_and(|first| first.starts_with('$'));
    (wild(a) && special(b)) || (special(a) && wild(b))
}

impl TopicFilter {
    /// Whether every topic under `other` is under this filter too.
    pub fn covers(&self, other: &Self) -> bool {
        let (a, b) = (levels(self), levels(other));
        if apart(&a, &b) {
            return false;
        }
        let mut theirs = b.iter();
        for level in &a {
            match (*level, theirs.next()) {
                // What is left of the other, nothing at all included, is under it.
                ("#", _) => return true,
                ("+", Some(other)) if *other != "#" => {}
                (own, Some(other)) if own == *other => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// Whether some topic is under both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (levels(self), levels(other));
        if apart(&a, &b) {
            return false;
        }
        let (mut ours, mut theirs) = (a.iter(), b.iter());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(&"#"), _) | (_, Some(&"#")) | (None, None) => return true,
                (Some(own), Some(other)) if own == other || *own == "+" || *other == "+" => {}
                _ => return false,
            }
        }
    }
}
