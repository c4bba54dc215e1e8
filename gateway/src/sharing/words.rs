//! What an uplink's settings let leave, in lines that can be read aloud and compared.

use crate::config::{Coarse, Field, PseudonymsChange, Rule, Share, Uplink};
use crate::message::TopicFilter;

/// Where messages go, which, and what of them: a line for the remote, for each rule of `topics`, for each of `share`.
pub fn words(uplink: &Uplink) -> Vec<String> {
    let mut lines = vec![format!("goes to {}", uplink.url)];
    lines.extend(uplink.topics.iter().filter(|rule| rule.direction.is_out()).map(sends));
    if uplink.share.is_empty() {
        lines.push("shares all that it sends, as it is".to_owned());
    }
    let rules = uplink.share.iter().enumerate();
    lines.extend(rules.map(|(place, share)| format!("rule {} shares {}", place + 1, shares(share))));
    if uplink.pseudonyms_change == PseudonymsChange::Daily {
        lines.push("pseudonyms change daily".to_owned());
    }
    lines
}

fn sends(rule: &Rule) -> String {
    let (here, there) =
        (format!("{}{}", rule.local_prefix, rule.filter), format!("{}{}", rule.remote_prefix, rule.filter));
    if here == there { format!("sends {here}") } else { format!("sends {here} as {there}") }
}

fn list(fields: &[Field]) -> String {
    fields.iter().map(|field| format!("\"{}\"", field.as_str())).collect::<Vec<_>>().join(", ")
}

/// A rule of `share`: its topics, and what of the messages.
fn shares(share: &Share) -> String {
    let topics: Vec<_> = share.topics.iter().map(TopicFilter::as_str).collect();
    let mut parts = Vec::new();
    match &share.fields {
        Some(fields) if fields.is_empty() => parts.push("no field as it is".to_owned()),
        Some(fields) => parts.push(format!("fields {}", list(fields))),
        None if share.changes() => parts.push("all other fields".to_owned()),
        None => parts.push("as they are".to_owned()),
    }
    if !share.pseudonyms.is_empty() {
        parts.push(format!("pseudonyms for {}", list(&share.pseudonyms)));
    }
    parts.extend(share.coarse.iter().map(coarse));
    if !share.topic_levels.is_empty() {
        let levels: Vec<_> = share.topic_levels.iter().map(ToString::to_string).collect();
        parts.push(format!("pseudonyms for topic levels {}", levels.join(", ")));
    }
    match &share.properties {
        Some(names) if names.is_empty() => parts.push("no properties".to_owned()),
        Some(names) => parts.push(format!("properties {}", names.join(", "))),
        None if share.changes() => parts.push("no properties".to_owned()),
        None => parts.push("all properties".to_owned()),
    }
    format!("{}: {}", topics.join(", "), parts.join("; "))
}

fn coarse(coarse: &Coarse) -> String {
    let to = |time: &std::time::Duration| humantime::format_duration(*time).to_string();
    match coarse {
        Coarse::Position { position, metres } => format!("position \"{}\" to {metres} m", position.as_str()),
        Coarse::Number { number, decimals } => format!("number \"{}\" to {decimals} decimals", number.as_str()),
        Coarse::Time { time, to: step } => format!("time \"{}\" to {}", time.as_str(), to(step)),
        Coarse::Received { property, to: step } => format!("property {property} to {}", to(step)),
    }
}
