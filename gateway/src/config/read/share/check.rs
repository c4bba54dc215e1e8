//! What does not go together in the rules of `[[uplink.share]]`: fields with fields, rules with rules, rules with what the
//! uplink sends.

use super::{Placed, TITLE};
use crate::config::notes::{Notes, Spot};
use crate::config::problem::plain;
use crate::config::section::Section;
use crate::config::share::Field;
use crate::config::uplink::Rule;
use crate::message::TopicFilter;

/// Fields that stand in two places of one rule, or where another leaves nothing of them.
pub(super) fn fields(notes: &Notes, rules: &[Placed]) {
    for rule in rules {
        for (at, one) in rule.fields.iter().enumerate() {
            for (other_at, other) in rule.fields.iter().enumerate() {
                if at != other_at {
                    pair(notes, rule, one, other, at < other_at);
                }
            }
        }
    }
}

type PlacedField = (&'static str, Field, Spot);

/// What `one` makes of `other`.
fn pair(notes: &Notes, rule: &Placed, one: &PlacedField, other: &PlacedField, first: bool) {
    let ((key, field, _), (other_key, inner, spot)) = (one, other);
    let (outer_text, text) = (plain(field.as_str()), plain(inner.as_str()));
    if field == inner {
        if first {
            let what = format!("`{text}` in `{other_key}` of {TITLE} stands in `{key}` of the same rule already");
            notes.error(
                spot,
                what,
                "keep it in one of the two: what gets a pseudonym or becomes coarse leaves as that",
            );
        }
        return;
    }
    if !field.holds(inner) || rule.is_position(field) {
        return;
    }
    if *key == "fields" && *other_key == "fields" {
        notes.warning(spot, format!("`{text}` in `fields` of {TITLE} goes with `{outer_text}` anyway"), "remove it");
    } else if *key != "fields" && (inner.steps().len() > field.steps().len() || *other_key == "fields") {
        let what =
            format!("`{text}` in `{other_key}` of {TITLE} is in `{outer_text}` of `{key}`, which leaves as one value");
        notes.error(spot, what, "remove one of the two");
    }
}

impl Placed {
    fn is_position(&self, field: &Field) -> bool {
        use crate::config::share::Coarse;
        self.share.coarse.iter().any(|coarse| matches!(coarse, Coarse::Position { position, .. } if position == field))
    }
}

/// Rules that an earlier one leaves no topic, or only some.
pub(super) fn order(notes: &Notes, rules: &[Placed]) {
    for (at, rule) in rules.iter().enumerate() {
        for (filter, spot) in &rule.topics {
            let earlier = rules.iter().take(at).flat_map(|rule| &rule.topics);
            let mut all = earlier.filter(|(earlier, _)| earlier.overlaps(filter));
            let Some((first, place)) = all.clone().find(|(earlier, _)| earlier.covers(filter)).or_else(|| all.next())
            else {
                continue;
            };
            let (name, by, place) = (plain(filter.as_str()), plain(first.as_str()), place.place());
            if first.covers(filter) {
                let what =
                    format!("`{name}` in {TITLE} is never asked: `{by}`, at {place}, comes first and names all of it");
                notes.error(spot, what, "put the narrower rule first, or remove one of the two");
            } else {
                let what = format!("`{name}` in {TITLE} overlaps `{by}`, at {place}, which decides where both match");
                notes.warning(spot, what, "put the narrower rule first, or write filters that have no topic in common");
            }
        }
    }
}

/// Rules about what the uplink never sends, what it sends without any rule about it, and pseudonyms under which it would
/// not send.
pub(super) fn against(uplink: &Section<'_>, shares: &[Placed], rules: &[Rule]) {
    let notes = uplink.notes;
    let sent: Vec<_> = rules.iter().filter(|rule| rule.direction.is_out()).filter_map(Rule::here).collect();
    for (filter, spot) in shares.iter().flat_map(|share| &share.topics) {
        if !sent.iter().any(|rule| rule.overlaps(filter)) {
            let what =
                format!("`{}` in {TITLE} names nothing that `topics` of the uplink sends", plain(filter.as_str()));
            notes.error(
                spot,
                what,
                "correct it, remove it, or add a rule to `topics`; both are about topics as they are here",
            );
        }
    }
    for rule in sent.iter().filter(|_| !shares.is_empty() && shares.iter().all(|share| share.sound)) {
        if !shares.iter().flat_map(|share| &share.topics).any(|(filter, _)| filter.overlaps(rule)) {
            let name = plain(rule.as_str());
            let what = format!("`topics` in [[uplink]] sends `{name}`, and no {TITLE} names it, so none of it leaves");
            notes.warning(uplink.spot("topics"), what, format!("add a rule with `topics = [\"{name}\"]`"));
        }
    }
    for share in shares {
        for level in &share.share.topic_levels {
            topic_level(notes, share, *level, &sent);
        }
    }
}

/// What stands at one level of a filter.
enum At<'f> {
    /// Any name.
    Any,
    /// This name.
    Name(&'f str),
    /// No topic has that level.
    Beyond,
}

fn at(filter: &TopicFilter, level: usize) -> At<'_> {
    let mut levels = filter.as_str().split('/');
    let open = levels.clone().take(level + 1).any(|name| name == "#");
    match levels.nth(level) {
        _ if open => At::Any,
        Some("+") => At::Any,
        Some(name) => At::Name(name),
        None => At::Beyond,
    }
}

fn topic_level(notes: &Notes, share: &Placed, level: usize, sent: &[TopicFilter]) {
    let spot = &share.topic_levels;
    for (filter, _) in &share.topics {
        let name = plain(filter.as_str());
        let is = match at(filter, level) {
            At::Any => None,
            At::Name(same) => Some(format!("is `{}` in each topic of `{name}`", plain(same))),
            At::Beyond => Some(format!("is in no topic of `{name}`")),
        };
        if let Some(is) = is {
            let what = format!("level {level} of `topic-levels` in {TITLE} {is}");
            notes.error(spot, what, "name the level of a `+`; 0 is the first one");
            continue;
        }
        for rule in sent.iter().filter(|rule| rule.overlaps(filter)) {
            if let At::Name(literal) = at(rule, level) {
                let (rule, literal) = (plain(rule.as_str()), plain(literal));
                let what = format!(
                    "level {level} of `topic-levels` in {TITLE} would get a pseudonym, and `{rule}` in `topics` sends `{literal}` alone"
                );
                notes.error(spot, what, "write `+` for that level in `topics` of the uplink");
            }
        }
    }
}
