//! Reads `[[uplink.share]]`: which messages a remote may be sent, and what of them. What does not go together, with each
//! other or with what the uplink sends, is found in `check.rs`.

mod check;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::filters::{filter, placed_texts};
use crate::config::notes::Spot;
use crate::config::problem::plain;
use crate::config::section::Section;
use crate::config::share::{Coarse, Field, PseudonymsChange, Share};
use crate::config::suggest::nearest;
use crate::config::tree::{Kind, Node, Value};
use crate::config::uplink::Rule;
use crate::message::{OWN_PROPERTIES, RECEIVED_AT, TopicFilter};

/// More rules of one uplink than this are refused: each may be tried for each message.
const SHARES_MAX: usize = 100;

/// More fields made coarse by one rule than this are refused.
const COARSE_MAX: usize = 100;

/// More levels of a topic than this get no pseudonym.
const TOPIC_LEVELS_MAX: usize = 16;

/// The roundest that a time becomes.
const ROUND: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(31 * 24 * 3600);

const TITLE: &str = "[[uplink.share]]";

/// A rule, and where its parts are written.
struct Placed {
    share: Share,
    topics: Vec<(TopicFilter, Spot)>,
    /// The key that each field stands in, the field, and its place.
    fields: Vec<(&'static str, Field, Spot)>,
    topic_levels: Spot,
    /// Nothing was wrong in it by itself.
    sound: bool,
}

/// What could be read of a list, and whether that is all of it.
type Listed<T> = (T, bool);

/// Reads the rules of one uplink, whose `topics` are these where they could be read. `None` where something is wrong.
pub(super) fn read(uplink: &mut Section<'_>, topics: Option<&[Rule]>) -> Option<Vec<Share>> {
    let sections = uplink.sections("share", TITLE, SHARES_MAX);
    let written = sections.len();
    if uplink.has("share") && written == 0 {
        let remedy = "name topics that may leave, or remove it, and all that `topics` sends may leave";
        uplink.refuse("share", "has no rule, so that nothing would leave", remedy);
        return None;
    }
    let placed: Vec<_> = sections.into_iter().map(read_rule).collect();
    check::fields(uplink.notes, &placed);
    check::order(uplink.notes, &placed);
    if let Some(rules) = topics {
        check::against(uplink, &placed, rules);
    }
    let sound = placed.len() == written && placed.iter().all(|placed| placed.sound);
    sound.then(|| placed.into_iter().map(|placed| placed.share).collect())
}

/// Reads when an uplink's pseudonyms change.
pub(super) fn pseudonyms_change(uplink: &mut Section<'_>, share: Option<&[Share]>) -> PseudonymsChange {
    let change = uplink.choice("pseudonyms-change");
    if change.is_some() && share.is_some_and(|share| !share.iter().any(Share::has_pseudonyms)) {
        let what = "`pseudonyms-change` in [[uplink]] is there, and no [[uplink.share]] has pseudonyms";
        uplink.notes.warning(uplink.spot("pseudonyms-change"), what, "remove it, or name `pseudonyms` in a rule");
    }
    change.unwrap_or_default()
}

/// Reads one rule; what is wrong in it is left out, so that the rest can be checked as well.
fn read_rule(mut section: Section<'_>) -> Placed {
    let s = &mut section;
    let (topics, good_topics) = topics(s);
    let (fields, good_fields) = fields(s, "fields");
    let (pseudonyms, good_pseudonyms) = fields_of(s, "pseudonyms");
    let coarse = s.sections("coarse", "`coarse` of [[uplink.share]]", COARSE_MAX);
    let written = coarse.len();
    let coarse: Vec<_> = coarse.into_iter().filter_map(coarsened).collect();
    let (topic_levels, good_levels) = topic_levels(s);
    let (properties, good_properties) = properties(s);
    let placed_levels = s.spot("topic-levels").clone();
    section.finish();
    let bare = |list: &[(Field, Spot)]| list.iter().map(|(field, _)| field.clone()).collect::<Vec<_>>();
    let share = Share {
        topics: topics.iter().map(|(filter, _)| filter.clone()).collect(),
        fields: fields.as_deref().map(bare),
        pseudonyms: bare(&pseudonyms),
        coarse: coarse.iter().map(|(coarse, _)| coarse.clone()).collect(),
        topic_levels,
        properties,
    };
    let good = [good_topics, good_fields, good_pseudonyms, good_levels, good_properties, coarse.len() == written];
    let in_coarse = coarse.into_iter().filter_map(|(coarse, spot)| Some(("coarse", coarse.field()?.clone(), spot)));
    let named = |key| move |(field, spot)| (key, field, spot);
    let fields = fields.into_iter().flatten().map(named("fields"));
    let fields = fields.chain(pseudonyms.into_iter().map(named("pseudonyms"))).chain(in_coarse).collect();
    Placed { share, topics, fields, topic_levels: placed_levels, sound: good.into_iter().all(|good| good) }
}

fn topics(section: &mut Section<'_>) -> Listed<Vec<(TopicFilter, Spot)>> {
    let remedy = "write `topics = [\"serial/+/up\"]` with the filters of the messages that may leave";
    let texts = placed_texts(section, "topics", "a topic filter");
    section.require("topics", remedy);
    let Some(texts) = texts else { return (Vec::new(), false) };
    if texts.is_empty() {
        section.refuse("topics", "is empty, so that the rule would be about nothing", remedy);
        return (Vec::new(), false);
    }
    let written = texts.len();
    let filters = texts.into_iter().filter_map(|(text, spot)| match filter(&text) {
        Ok(filter) => Some((filter, spot)),
        Err(is) => {
            let what = format!("`topics` in {TITLE} has `{}`, which {is}", plain(&text));
            section.notes.error(&spot, what, "write a topic filter such as \"serial/+/up\"");
            None
        }
    });
    let filters: Vec<_> = filters.collect();
    let all = filters.len() == written;
    (filters, all)
}

/// The fields at a key, `None` where it is not there.
fn fields(section: &mut Section<'_>, key: &'static str) -> Listed<Option<Vec<(Field, Spot)>>> {
    let Some(texts) = placed_texts(section, key, "a field such as \"/object/temperature\"") else {
        return (None, !section.has(key));
    };
    let written = texts.len();
    let read: Vec<_> = texts.into_iter().filter_map(|(text, spot)| field(section, key, &text, spot, false)).collect();
    let all = read.len() == written;
    (Some(read), all)
}

fn fields_of(section: &mut Section<'_>, key: &'static str) -> Listed<Vec<(Field, Spot)>> {
    let (fields, all) = fields(section, key);
    (fields.unwrap_or_default(), all)
}

/// The field that a text is. Only a position may be the payload as a whole.
fn field(section: &Section<'_>, key: &str, text: &str, spot: Spot, whole: bool) -> Option<(Field, Spot)> {
    let read = match Field::parse(text) {
        Ok(field) if whole || !text.is_empty() => return Some((field, spot)),
        Ok(_) => Err("is the payload as a whole"),
        Err(is) => Err(is),
    };
    let is: Result<(), _> = read;
    let remedy = match text {
        "" => "name fields such as \"/object/temperature\", with `*` for any one level".to_owned(),
        _ if !text.starts_with('/') => {
            format!("write \"/{}\", with `/` before each level", plain(&text.replace('.', "/")))
        }
        _ => "write a JSON Pointer such as \"/rxInfo/*/rssi\"".to_owned(),
    };
    let what = format!("`{key}` in {} has `{}`, which {}", section.title(), plain(text), is.err().unwrap_or_default());
    section.notes.error(&spot, what, remedy);
    None
}

/// One table of `coarse`: what it is about, and how exactly that goes.
fn coarsened(mut section: Section<'_>) -> Option<(Coarse, Spot)> {
    const ABOUT: [&str; 4] = ["position", "number", "time", "property"];
    let s = &mut section;
    let here: Vec<_> = ABOUT.into_iter().filter(|key| s.has(key)).collect();
    let read = match *here.as_slice() {
        [] => {
            let what = format!("{} says not what is to be coarse", s.title());
            s.notes.missing(
                s.spot("position"),
                what,
                "write `position`, `number` or `time` with a field, or `property`",
            );
            ABOUT.into_iter().for_each(|key| s.skip(key));
            None
        }
        ["position"] => position(s),
        ["number"] => number(s),
        ["time"] => time(s),
        [_] => property(s),
        [first, second, ..] => {
            ABOUT.into_iter().chain(["metres", "decimals", "to"]).for_each(|key| s.skip(key));
            s.refuse(second, format!("stands beside `{first}`"), "write a table for each of the two");
            None
        }
    };
    section.finish();
    read
}

fn field_at(section: &mut Section<'_>, key: &'static str, whole: bool) -> Option<(Field, Spot)> {
    let text = section.text(key)?;
    let spot = section.spot(key).clone();
    field(section, key, &text, spot, whole)
}

fn position(section: &mut Section<'_>) -> Option<(Coarse, Spot)> {
    let place = field_at(section, "position", true);
    let metres = section.integer("metres", 1..=100_000);
    section.require("metres", "write `metres = 1000`: how wide the squares of the grid are that it is moved to");
    let (position, spot) = place?;
    Some((Coarse::Position { position, metres: metres? }, spot))
}

fn number(section: &mut Section<'_>) -> Option<(Coarse, Spot)> {
    let place = field_at(section, "number", false);
    let decimals = section.integer("decimals", 0..=8);
    section.require("decimals", "write `decimals = 2`: how many are kept; of degrees, 2 are about a kilometre");
    let (number, spot) = place?;
    Some((Coarse::Number { number, decimals: decimals? }, spot))
}

fn round(section: &mut Section<'_>) -> Option<Duration> {
    let to = section.duration("to", ROUND);
    section.require("to", "write `to = \"1h\"`: it is rounded down to a multiple of that");
    to
}

fn time(section: &mut Section<'_>) -> Option<(Coarse, Spot)> {
    let place = field_at(section, "time", false);
    let to = round(section);
    let (time, spot) = place?;
    Some((Coarse::Time { time, to: to? }, spot))
}

fn property(section: &mut Section<'_>) -> Option<(Coarse, Spot)> {
    let wanted = "stile-received-at, the one property that is a time";
    let property = section.parsed("property", wanted, |text| (text == RECEIVED_AT).then_some(RECEIVED_AT));
    let to = round(section);
    let spot = section.spot("property").clone();
    Some((Coarse::Received { property: property?, to: to? }, spot))
}

fn topic_levels(section: &mut Section<'_>) -> Listed<Vec<usize>> {
    let Some(items) = section.list("topic-levels", TOPIC_LEVELS_MAX) else {
        return (Vec::new(), !section.has("topic-levels"));
    };
    let written = items.len();
    let mut levels = Vec::new();
    for item in items {
        let Node { spot, value } = item.resolve(&[Kind::Integer]);
        match value {
            Value::Integer(level @ 0..=1000) => levels.extend(usize::try_from(level)),
            _ => {
                let what = format!("`topic-levels` in {TITLE} has something that is no level");
                section.notes.error(&spot, what, "write numbers; 0 is the first level of a topic");
            }
        }
    }
    let all = levels.len() == written;
    levels.sort_unstable();
    levels.dedup();
    (levels, all)
}

/// The names of properties, `None` where none are written.
fn properties(section: &mut Section<'_>) -> Listed<Option<Vec<String>>> {
    const KNOWN: [&str; 3] = ["content-type", "response-topic", "correlation-data"];
    let Some(texts) = placed_texts(section, "properties", "the name of a property") else {
        return (None, !section.has("properties"));
    };
    let (mut names, written) = (Vec::new(), texts.len());
    for (name, spot) in texts {
        if name.starts_with("stile-") && !OWN_PROPERTIES.contains(&name.as_str()) {
            let what = format!("`properties` in {TITLE} has `{}`, which the gateway never says", plain(&name));
            let meant = nearest(&name, OWN_PROPERTIES).map(|meant| format!("write `{meant}`"));
            let remedy = meant.unwrap_or_else(|| format!("write one of: `{}`", OWN_PROPERTIES.join("`, `")));
            section.notes.error(&spot, what, remedy);
            continue;
        }
        if let Some(meant) = nearest(&name, KNOWN).filter(|meant| *meant != name) {
            let what = format!("`properties` in {TITLE} has `{}`, which stands for a user property", plain(&name));
            section.notes.warning(&spot, what, format!("write `{meant}`, if that is meant"));
        }
        names.push(name);
    }
    let all = names.len() == written;
    (Some(names), all)
}
