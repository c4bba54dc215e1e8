//! A form for settings: a field for each part that has a plain kind, and JSON for whatever is more complicated.
//!
//! Never shows a secret: what is one is sent anew or stays.

use serde_json::{Map, Value};

use super::{Schema, look};
use crate::component::plain;

/// The most fields; what is beyond them stays as it is.
const FIELDS_MAX: usize = 200;
/// Objects in each other whose fields stand alone; what is deeper is JSON.
const DEPTH_MAX: usize = 3;
/// References and alternatives that are followed to find out what one part is.
const HOPS_MAX: usize = 16;
/// The most values to choose from.
const CHOICES_MAX: usize = 100;

/// What a field takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that is not shown.
    Secret,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// One of these.
    Choice(Vec<String>),
    /// Anything else, as JSON.
    Json,
}

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The keys that lead to it; none for all of the settings.
    pub at: Vec<String>,
    /// What it takes.
    pub kind: Kind,
    /// What its author says of it.
    pub description: String,
    /// What counts where it is not there, in words.
    pub default: Option<String>,
    /// Whether it must be there.
    pub required: bool,
    /// What it is, as it is shown: nothing for a secret, and a mask for what is one within JSON.
    pub value: String,
    /// Whether it is there.
    pub is_set: bool,
}

/// A field that can't be what was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The field's name.
    pub name: String,
    /// What is wrong with it, in words that go behind its name.
    pub what: String,
}

impl Field {
    /// Its name in a form: a JSON Pointer.
    pub fn name(&self) -> String {
        pointer(&self.at)
    }

    /// Its name for people: keys with points between them.
    pub fn label(&self) -> String {
        plain(&self.at.join("."))
    }

    /// Whether it is a secret that is there and need not be: an empty field says that it stays.
    pub fn can_be_forgotten(&self) -> bool {
        // Within an object that need not be there nothing need be there.
        self.kind == Kind::Secret && self.is_set && !(self.required && self.at.len() == 1)
    }

    /// What was given for it, as a value; `None`: it is not to be there. `old`: what it was.
    fn read(&self, given: &str, old: Option<&Value>, mask: &str) -> Result<Option<Value>, String> {
        let nothing = given.trim().is_empty();
        match &self.kind {
            // An empty field is what a browser shows of it.
            Kind::Secret if given.is_empty() => Ok(old.cloned()),
            // Nobody has touched it.
            _ if given == self.value && self.is_set && self.kind != Kind::Secret => Ok(old.cloned()),
            Kind::Text if given.is_empty() && !self.required => Ok(None),
            Kind::Text | Kind::Secret => Ok(Some(given.into())),
            _ if nothing => Ok(None),
            Kind::Choice(choices) => {
                let known = choices.iter().any(|choice| choice == given);
                if known { Ok(Some(given.into())) } else { Err("is none of its choices".to_owned()) }
            }
            Kind::Boolean => given.trim().parse().map(Value::Bool).map(Some).map_err(|_| "is true or false".to_owned()),
            Kind::Integer => number(given, "a whole number", |number| number.is_i64() || number.is_u64()),
            Kind::Number => number(given, "a number", |_| true),
            Kind::Json => {
                let read: Value = serde_json::from_str(given).map_err(|error| format!("is no JSON: {error}"))?;
                // What stood there and was not shown can't be told from what is meant now.
                if has_text(&read, mask) {
                    Err("has secrets that are not shown; write them anew".to_owned())
                } else {
                    Ok(Some(read))
                }
            }
        }
    }
}

fn number(given: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Option<Value>, String> {
    let read: Option<Value> = serde_json::from_str(given.trim()).ok();
    read.filter(|read| read.is_number() && fits(read)).map(Some).ok_or_else(|| format!("is not {what}"))
}

/// Whether this text stands anywhere in a value.
pub fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Array(items) => items.iter().any(|item| has_text(item, text)),
        Value::Object(object) => object.values().any(|value| has_text(value, text)),
        _ => false,
    }
}

impl Schema {
    /// The fields of a form that shows these settings, with `mask` in the place of secrets.
    pub fn form(&self, settings: &Value, mask: &str) -> Vec<Field> {
        let masked = self.masked(settings, mask);
        let mut form = Form { root: &self.0, settings, masked: &masked, fields: Vec::new() };
        let closed = self.0.get("additionalProperties") == Some(&Value::Bool(false));
        if closed && self.0.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty) {
            // There is nothing to set.
            return Vec::new();
        }
        if !form.object(&self.0, &mut Vec::new(), 0) {
            form.add(&self.0, &[], true);
        }
        form.fields
    }

    /// The settings that a filled form says. What it does not ask for stays as it is in `settings`, out of which it was made.
    /// A secret goes where `forgotten` says so of its name.
    ///
    /// # Errors
    /// The fields that can't be read. Whether the whole fits is another question.
    pub fn filled<'a>(
        fields: &[Field],
        settings: &Value,
        mask: &str,
        given: impl Fn(&str) -> Option<&'a str>,
        forgotten: impl Fn(&str) -> bool,
    ) -> Result<Value, Vec<Unread>> {
        let (mut filled, mut unread) = (settings.clone(), Vec::new());
        for field in fields {
            let name = field.name();
            let Some(text) = given(&name) else { continue };
            // Browsers end lines like this.
            let text = text.replace("\r\n", "\n");
            let read = match forgotten(&name) && field.can_be_forgotten() {
                true if text.is_empty() => Ok(None),
                true => Err("is to be forgotten and is written anew; do one of them".to_owned()),
                false => field.read(&text, settings.pointer(&name), mask),
            };
            match read {
                Ok(value) => put(&mut filled, &field.at, value),
                Err(what) => unread.push(Unread { name, what }),
            }
        }
        if unread.is_empty() { Ok(filled) } else { Err(unread) }
    }
}

/// Puts a value at its place; with `None` it goes, and the objects around it that have nothing else.
fn put(settings: &mut Value, at: &[String], value: Option<Value>) {
    let Some((key, rest)) = at.split_first() else {
        *settings = value.unwrap_or_else(|| Value::Object(Map::new()));
        return;
    };
    if !settings.is_object() {
        if value.is_none() {
            return;
        }
        *settings = Value::Object(Map::new());
    }
    let Some(object) = settings.as_object_mut() else { return };
    if !rest.is_empty() {
        let had = object.contains_key(key);
        let goes = value.is_none();
        if !had && goes {
            return;
        }
        let inner = object.entry(key.as_str()).or_insert_with(|| Value::Object(Map::new()));
        put(inner, rest, value);
        if goes && inner.as_object().is_some_and(Map::is_empty) {
            object.remove(key);
        }
        return;
    }
    match value {
        Some(value) => drop(object.insert(key.clone(), value)),
        None => drop(object.remove(key)),
    }
}

struct Form<'a> {
    root: &'a Value,
    settings: &'a Value,
    masked: &'a Value,
    fields: Vec<Field>,
}

impl<'a> Form<'a> {
    /// Adds the fields of an object that has nothing but known ones. `false`: it is no such object.
    fn object(&mut self, schema: &'a Value, at: &mut Vec<String>, depth: usize) -> bool {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return false };
        let open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false))
            || ["patternProperties", "allOf", "anyOf", "oneOf", "if"].iter().any(|key| schema.get(key).is_some());
        if properties.is_empty() || open || depth > DEPTH_MAX {
            return false;
        }
        // Where something else stands, it is shown as it is.
        let there = self.settings.pointer(&pointer(at));
        if there.is_some_and(|there| !there.is_object()) {
            return false;
        }
        let required = schema.get("required").and_then(Value::as_array);
        for (key, schema) in properties {
            if self.fields.len() >= FIELDS_MAX {
                return true;
            }
            let required = required.is_some_and(|keys| keys.iter().any(|known| known == key.as_str()));
            let (schema, optional, description) = self.part(schema);
            at.push(key.clone());
            if optional || !self.object(schema, at, depth + 1) {
                self.add(schema, at, required && !optional);
                if let Some(field) = self.fields.last_mut().filter(|_| !description.is_empty()) {
                    field.description = description;
                }
            }
            at.pop();
        }
        true
    }

    /// What a part is when references are followed and "or nothing" is taken off, whether it was there, and what is said of it.
    fn part(&self, schema: &'a Value) -> (&'a Value, bool, String) {
        let (mut part, mut optional, mut description) = (schema, false, String::new());
        for _ in 0..HOPS_MAX {
            if description.is_empty() {
                description = part.get("description").and_then(Value::as_str).map(plain).unwrap_or_default();
            }
            let reference = part.get("$ref").and_then(Value::as_str);
            if let Some(to) = reference.and_then(|to| Schema::resolve(self.root, to).ok()) {
                part = to;
                continue;
            }
            let Some([one, other]) = part.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) else { break };
            let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
            match (is_null(one), is_null(other)) {
                (false, true) => part = one,
                (true, false) => part = other,
                _ => break,
            }
            optional = true;
        }
        (part, optional, description)
    }

    fn add(&mut self, schema: &Value, at: &[String], required: bool) {
        let pointer = pointer(at);
        let (value, masked) = (self.settings.pointer(&pointer), self.masked.pointer(&pointer));
        let hidden = masked != value;
        let mut kind = match kind(schema) {
            Kind::Text if hidden || look::secret(schema) => Kind::Secret,
            // Of JSON alone the mask can be sent back.
            _ if hidden => Kind::Json,
            kind => kind,
        };
        if !value.is_none_or(|value| fits(&kind, value)) {
            kind = Kind::Json;
        }
        let shown = match (&kind, masked) {
            (_, None) | (Kind::Secret, _) => String::new(),
            (Kind::Json, Some(value)) => serde_json::to_string_pretty(value).unwrap_or_default(),
            (_, Some(Value::String(text))) => text.clone(),
            (_, Some(value)) => value.to_string(),
        };
        let default = schema.get("default").filter(|default| !default.is_null());
        self.fields.push(Field {
            at: at.to_vec(),
            kind,
            description: schema.get("description").and_then(Value::as_str).map(plain).unwrap_or_default(),
            default: default.map(|default| plain(&default.to_string())),
            required,
            value: shown,
            is_set: value.is_some(),
        });
    }
}

fn pointer(at: &[String]) -> String {
    at.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}

/// The kind of a part whose references are followed.
fn kind(schema: &Value) -> Kind {
    let texts = |values: &[Value]| -> Option<Vec<String>> {
        let few = (1..=CHOICES_MAX).contains(&values.len());
        values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>().filter(|_| few)
    };
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return texts(values).map_or(Kind::Json, Kind::Choice);
    }
    if let Some(parts) = schema.get("oneOf").and_then(Value::as_array) {
        let values: Option<Vec<Value>> = parts.iter().map(|part| part.get("const").cloned()).collect();
        return values.and_then(|values| texts(&values)).map_or(Kind::Json, Kind::Choice);
    }
    if ["anyOf", "allOf", "$ref", "const", "if"].iter().any(|key| schema.get(key).is_some()) {
        return Kind::Json;
    }
    let mut kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    kinds.retain(|kind| *kind != "null");
    match kinds.as_slice() {
        ["string"] => Kind::Text,
        ["integer"] => Kind::Integer,
        ["number"] => Kind::Number,
        ["boolean"] => Kind::Boolean,
        _ => Kind::Json,
    }
}

/// Whether a field of this kind can show a value.
fn fits(kind: &Kind, value: &Value) -> bool {
    match kind {
        // An input has one line; browsers would take the others away.
        Kind::Text => value.as_str().is_some_and(|text| !text.contains(['\n', '\r'])),
        Kind::Secret => value.is_string(),
        Kind::Integer => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::Choice(choices) => value.as_str().is_some_and(|text| choices.iter().any(|choice| choice == text)),
        Kind::Json => true,
    }
}

#[cfg(test)]
mod tests;
