//! The form for a plugin's settings, made from its schema: what each field is and what stands in it.

use std::collections::BTreeMap;

use super::{FIELD, FORGET, view};
use crate::component::{Field, Kind};
use crate::plugins::Listed;

/// Fields that belong together: those of the settings themselves, or of an object in them.
pub(super) struct Group {
    /// The object's keys; empty for the settings themselves.
    pub(super) title: String,
    pub(super) fields: Vec<Input>,
}

/// One field.
pub(super) struct Input {
    /// Unlike any other on the page.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) hint: String,
    /// `text`, `secret`, `number`, `choice` or `json`.
    pub(super) kind: &'static str,
    pub(super) value: String,
    /// What can be chosen: what is sent, and what is read.
    pub(super) choices: Vec<(String, String)>,
    pub(super) required: bool,
    /// The name of the box by which a secret goes, where it can.
    pub(super) forget: Option<String>,
    /// That box was ticked.
    pub(super) is_forgotten: bool,
    /// Lines of a text area.
    pub(super) rows: usize,
}

/// The form for what there is, or as it was filled before something in it was refused.
pub(super) fn groups(listed: &Listed, filled: Option<&BTreeMap<String, String>>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, field) in view::fields(listed).iter().enumerate() {
        let title = field.at.split_last().map_or(String::new(), |(_, above)| above.join("."));
        let input = input(number, field, filled);
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.fields.push(input),
            None => groups.push(Group { title, fields: vec![input] }),
        }
    }
    // What stands alone comes first.
    groups.sort_by_key(|group| !group.title.is_empty());
    groups
}

fn input(number: usize, field: &Field, filled: Option<&BTreeMap<String, String>>) -> Input {
    let name = format!("{FIELD}{}", field.name());
    let (kind, choices) = match &field.kind {
        Kind::Text => ("text", Vec::new()),
        Kind::Secret => ("secret", Vec::new()),
        Kind::Integer | Kind::Number => ("number", Vec::new()),
        Kind::Boolean => ("choice", choices(field, &[("true", "yes"), ("false", "no")])),
        Kind::Choice(values) => {
            let pairs: Vec<_> = values.iter().map(|value| (value.as_str(), value.as_str())).collect();
            ("choice", choices(field, &pairs))
        }
        Kind::Json => ("json", Vec::new()),
    };
    // A secret that was typed is not sent back.
    let typed = filled.and_then(|filled| filled.get(&name)).filter(|_| field.kind != Kind::Secret);
    let value = typed.unwrap_or(&field.value).clone();
    let forget = field.can_be_forgotten().then(|| format!("{FORGET}{}", field.name()));
    Input {
        id: format!("field-{number}"),
        label: field.at.last().map_or_else(|| "all of them".to_owned(), |key| crate::component::plain(key)),
        hint: hint(field),
        kind,
        rows: value.lines().count().clamp(2, 16),
        value,
        choices,
        // Within an object that need not be there nothing need be there.
        required: field.required && field.at.len() == 1 && field.kind != Kind::Secret,
        is_forgotten: forget.as_ref().is_some_and(|name| filled.is_some_and(|filled| filled.contains_key(name))),
        forget,
        name,
    }
}

/// One that need not be there can be left open.
fn choices(field: &Field, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let usual = match field.default.as_deref() {
        Some("true") => "as usual: yes".to_owned(),
        Some("false") => "as usual: no".to_owned(),
        Some(default) => format!("as usual: {}", default.trim_matches('"')),
        None => "not set".to_owned(),
    };
    let open = (!field.required || !field.is_set).then(|| (String::new(), usual));
    let named = pairs.iter().map(|(value, word)| ((*value).to_owned(), (*word).to_owned()));
    open.into_iter().chain(named).collect()
}

/// What its author says, what counts without it, and in which form it is written.
fn hint(field: &Field) -> String {
    let mut words = vec![field.description.clone()];
    if let Some(default) = field.default.as_ref().filter(|_| !matches!(field.kind, Kind::Boolean | Kind::Choice(_))) {
        words.push(format!("Without it: {default}."));
    }
    match (&field.kind, field.is_set) {
        (Kind::Secret, true) => words.push("It is set and not shown; leave it empty to keep it.".to_owned()),
        (Kind::Json, _) => words.push("In JSON.".to_owned()),
        _ => {}
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}
