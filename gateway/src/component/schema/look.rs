//! What a schema tells an operator: the keys, and which of them are secrets.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{STEPS_MAX, Schema};
use crate::component::plain;

/// The most keys that are told.
const KEYS_MAX: usize = 200;

/// How deep secrets are looked for.
const DEPTH_MAX: usize = 32;

/// A key of the settings, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What it takes, in words of JSON Schema: `string`, `array of string`.
    pub kind: String,
    /// Its default as JSON, where there is one.
    pub default: Option<String>,
    /// What its author says of it.
    pub description: String,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it is not to be shown.
    pub secret: bool,
}

impl Schema {
    /// The keys of the settings, in the schema's order.
    pub fn keys(&self) -> Vec<Key> {
        let text = |schema: &Value, key: &str| schema.get(key).and_then(Value::as_str).map(plain).unwrap_or_default();
        let required = self.0.get("required").and_then(Value::as_array);
        let properties = self.0.get("properties").and_then(Value::as_object);
        let key = |(name, schema): (&String, &Value)| Key {
            name: plain(name),
            kind: self.kind(schema, 0),
            default: schema.get("default").map(|default| plain(&default.to_string())),
            description: text(schema, "description"),
            required: required.is_some_and(|keys| keys.iter().any(|key| key == name.as_str())),
            secret: secret(schema),
        };
        properties.into_iter().flatten().take(KEYS_MAX).map(key).collect()
    }

    fn kind(&self, schema: &Value, depth: usize) -> String {
        let of = |key: &str| schema.get(key).filter(|inner| inner.is_object() && depth < DEPTH_MAX);
        if let Some(Value::String(reference)) = schema.get("$ref")
            && depth < DEPTH_MAX
        {
            return Self::resolve(&self.0, reference).map_or("anything".into(), |to| self.kind(to, depth + 1));
        }
        let names: Vec<&str> = match schema.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => {
                kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect()
            }
            _ => Vec::new(),
        };
        let inner = of("items").or_else(|| of("additionalProperties")).map(|inner| self.kind(inner, depth + 1));
        let kind = match schema.get("enum").and_then(Value::as_array) {
            Some(values) => values.iter().take(20).map(Value::to_string).collect::<Vec<_>>().join(" or "),
            None if names.is_empty() => "anything".into(),
            None => names.join(" or "),
        };
        plain(&inner.map_or(kind.clone(), |inner| format!("{kind} of {inner}")))
    }

    /// The settings with a mask in the place of each secret, and of each text of which no part of the schema says what it
    /// is: it may be one.
    pub fn masked(&self, settings: &Value, mask: &str) -> Value {
        let mut masked = settings.clone();
        let mut masking = Masking { root: &self.0, mask, steps: 0, at: Vec::new(), described: HashSet::new() };
        masking.value(&self.0, &mut masked, 0);
        masking.others(&mut masked);
        masked
    }
}

struct Masking<'a> {
    root: &'a Value,
    mask: &'a str,
    steps: usize,
    /// Where it is: the places on the way there.
    at: Vec<usize>,
    /// Where texts are that some part of the schema describes.
    described: HashSet<Vec<usize>>,
}

impl Masking<'_> {
    /// Alternatives may each call something else a secret: what one of them does is masked. So is whatever a schema
    /// makes too hard to find out.
    fn value(&mut self, schema: &Value, value: &mut Value, depth: usize) {
        self.steps += 1;
        if secret(schema) || depth > DEPTH_MAX || self.steps > STEPS_MAX {
            *value = Value::String(self.mask.into());
            return;
        }
        if value.is_string() && describes_text(schema) {
            self.described.insert(self.at.clone());
        }
        if let Some(to) = schema.get("$ref").and_then(Value::as_str).and_then(|to| Schema::resolve(self.root, to).ok())
        {
            self.value(to, value, depth + 1);
        }
        // What they are for does not matter: one that does not hold here may still call something a secret.
        let parts = ["if", "then", "else"].map(|key| schema.get(key));
        let dependent = schema.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(Map::values);
        for one in parts.into_iter().flatten().chain(dependent) {
            self.value(one, value, depth + 1);
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            for one in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.value(one, value, depth + 1);
            }
        }
        match value {
            Value::Object(object) => {
                for (place, (key, value)) in object.iter_mut().enumerate() {
                    self.at.push(place);
                    let known = schema.get("properties").and_then(|properties| properties.get(key));
                    let patterns = schema.get("patternProperties").and_then(Value::as_object);
                    // Whose names fit a pattern, only the plugin knows: any of these may be meant.
                    let others = schema.get("additionalProperties").filter(|_| known.is_none());
                    let patterns = patterns.into_iter().flat_map(Map::values);
                    for one in known.into_iter().chain(others).chain(patterns) {
                        self.value(one, value, depth + 1);
                    }
                    self.at.pop();
                }
            }
            Value::Array(items) => {
                for (place, item) in items.iter_mut().enumerate() {
                    let first = schema.get("prefixItems").and_then(|first| first.get(place));
                    self.at.push(place);
                    if let Some(schema) = first.or_else(|| schema.get("items")) {
                        self.value(schema, item, depth + 1);
                    }
                    self.at.pop();
                }
            }
            _ => {}
        }
    }

    /// Masks the texts that nothing describes.
    fn others(&mut self, value: &mut Value) {
        let inner: Vec<&mut Value> = match value {
            Value::String(text) if !self.described.contains(&self.at) => return self.mask.clone_into(text),
            Value::Object(object) => object.values_mut().collect(),
            Value::Array(items) => items.iter_mut().collect(),
            _ => return,
        };
        for (place, value) in inner.into_iter().enumerate() {
            self.at.push(place);
            self.others(value);
            self.at.pop();
        }
    }
}

/// Whether the author calls it a secret: `writeOnly` (Validation, 9.4), or the `format` that OpenAPI has for passwords.
pub(super) fn secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
        || schema.get("format").is_some_and(|format| format == "password")
}

/// What to do about a key that is not known.
pub(super) fn known(properties: Option<&Map<String, Value>>) -> String {
    let names = properties.into_iter().flatten().take(KEYS_MAX).map(|(name, _)| name.as_str());
    let names = names.collect::<Vec<_>>().join("`, `");
    if names.is_empty() { "remove it".into() } else { plain(&format!("remove it; known are: `{names}`")) }
}

/// Whether a schema says of a text what it is.
fn describes_text(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        Some(kind) => kind == "string",
        None => ["enum", "const", "title", "description"].iter().any(|key| schema.get(key).is_some()),
    }
}
