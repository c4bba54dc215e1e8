//! Holds settings against a JSON schema: the part of draft 2020-12 that describes settings (JSON Schema Validation,
//! sections 6.1 to 6.5; Core, 8.2 and 10), which is what `schemars` writes.
//!
//! A schema comes with a plugin, so it is not trusted: references may go round in circles, and alternatives may fan out
//! without end. Each look at a value counts, and after [`STEPS_MAX`] of them nothing more is asked. What is not known
//! here (`pattern`, `patternProperties`, `format`, `if`) holds nothing up: the plugin itself has the last word on its
//! settings.

mod form;
mod kinds;
mod look;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub use form::{Field, Kind, Unread, has_text};
pub use look::Key;

/// Looks at one value by one schema that a check may take.
const STEPS_MAX: usize = 20_000;

/// Schemas in each other, references included.
const DEPTH_MAX: usize = 64;

/// The longest reference that is followed, in bytes: each look reads it anew.
const REFERENCE_MAX_BYTES: usize = 1024;

/// So many bytes of a key that is noted count as a step.
const STEP_BYTES: usize = 64;

/// The most that is told of one plugin's settings.
const TOLD_MAX: usize = 100;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Keys and places from the settings down to it.
    pub at: Vec<String>,
    /// What is wrong, in words that go behind its name. Never says the value, which may be a secret.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// What settings have to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema(Value);

impl Schema {
    /// Takes a schema as it is; what is wrong with it shows where settings are held against it.
    pub fn new(schema: Value) -> Self {
        Self(schema)
    }

    /// As JSON.
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    /// What does not fit; nothing if all does.
    ///
    /// # Errors
    /// The schema can't be gone by.
    pub fn check(&self, settings: &Value) -> Result<Vec<Mismatch>, String> {
        let mut check = Check { root: &self.0, steps: 0, depth: 0, at: Vec::new(), found: Vec::new() };
        check.value(&self.0, settings)?;
        Ok(check.found.into_iter().take(TOLD_MAX).map(Found::told).collect())
    }

    /// The schema that a reference within this document leads to (Core, 8.2.3.1).
    fn resolve<'a>(root: &'a Value, reference: &str) -> Result<&'a Value, String> {
        let pointer = reference.strip_prefix('#').filter(|pointer| pointer.len() <= REFERENCE_MAX_BYTES);
        pointer
            .and_then(|pointer| root.pointer(pointer))
            .ok_or_else(|| "it refers to a part that it does not have".to_owned())
    }
}

/// A mismatch that has no words yet. Most of what alternatives find is thrown away, and words may be long: that of each
/// look in turn would take minutes.
struct Found<'a> {
    at: Vec<String>,
    what: Cow<'static, str>,
    remedy: Remedy<'a>,
}

impl Found<'_> {
    fn told(self) -> Mismatch {
        let remedy = match self.remedy {
            Remedy::Said(said) => said.into_owned(),
            Remedy::OneOf(values) => kinds::one_of(values),
            Remedy::Known(properties) => look::known(properties),
        };
        Mismatch { at: self.at, what: self.what.into_owned(), remedy }
    }
}

/// What to do about a mismatch.
enum Remedy<'a> {
    /// This.
    Said(Cow<'static, str>),
    /// Write one of these.
    OneOf(&'a [Value]),
    /// Write none but these.
    Known(Option<&'a Map<String, Value>>),
}

struct Check<'a> {
    root: &'a Value,
    steps: usize,
    depth: usize,
    at: Vec<String>,
    found: Vec<Found<'a>>,
}

impl<'a> Check<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value) -> Result<(), String> {
        self.step(1)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it goes too deep, or round in a circle".into());
        }
        match schema {
            Value::Bool(false) => self.note("is not known to it", Remedy::Said("remove it".into()))?,
            Value::Object(schema) => self.all(schema, value)?,
            _ => {}
        }
        self.depth -= 1;
        Ok(())
    }

    fn step(&mut self, steps: usize) -> Result<(), String> {
        self.steps += steps;
        if self.steps > STEPS_MAX { Err("it takes too long to go by".into()) } else { Ok(()) }
    }

    fn note(&mut self, what: impl Into<Cow<'static, str>>, remedy: Remedy<'a>) -> Result<(), String> {
        self.step(self.at.iter().map(String::len).sum::<usize>() / STEP_BYTES)?;
        self.found.push(Found { at: self.at.clone(), what: what.into(), remedy });
        Ok(())
    }

    fn all(&mut self, schema: &'a Map<String, Value>, value: &Value) -> Result<(), String> {
        if let Some(Value::String(reference)) = schema.get("$ref") {
            self.value(Schema::resolve(self.root, reference)?, value)?;
        }
        if let Err((what, remedy)) = kinds::check(schema, value) {
            // What is of another kind has no more to be said of it.
            return self.note(what, remedy);
        }
        self.step(schema.get("enum").and_then(Value::as_array).map_or(0, Vec::len))?;
        if let Err((what, remedy)) = kinds::bounds(schema, value) {
            self.note(what, remedy)?;
        }
        for one in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.value(one, value)?;
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(Value::Array(several)) = schema.get(key) {
                self.any(several, value)?;
            }
        }
        match value {
            Value::Object(object) => self.object(schema, object),
            Value::Array(items) => self.items(schema, items),
            _ => Ok(()),
        }
    }

    /// One of several has to fit. Else that one speaks which came furthest: of an object and `null`, the object.
    fn any(&mut self, several: &'a [Value], value: &Value) -> Result<(), String> {
        let before = self.found.len();
        let mut nearest: Option<Vec<Found<'a>>> = None;
        for one in several {
            self.value(one, value)?;
            let found = self.found.split_off(before);
            if found.is_empty() {
                return Ok(());
            }
            let reach = |found: &[Found<'a>]| found.iter().map(|mismatch| mismatch.at.len()).max();
            if nearest.as_deref().is_none_or(|old| reach(&found) > reach(old)) {
                nearest = Some(found);
            }
        }
        self.found.extend(nearest.unwrap_or_default());
        Ok(())
    }

    fn object(&mut self, schema: &'a Map<String, Value>, object: &Map<String, Value>) -> Result<(), String> {
        let properties = schema.get("properties").and_then(Value::as_object);
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            self.step(1 + key.len() / STEP_BYTES)?;
            if !object.contains_key(key) {
                self.at.push(key.to_owned());
                self.note("is missing", Remedy::Said("write it".into()))?;
                self.at.pop();
            }
        }
        // Whose names fit a pattern, only the plugin knows.
        let patterns = schema.contains_key("patternProperties");
        for (key, value) in object {
            self.at.push(key.clone());
            match (properties.and_then(|properties| properties.get(key)), schema.get("additionalProperties")) {
                (Some(schema), _) => self.value(schema, value)?,
                (None, _) if patterns => {}
                (None, Some(Value::Bool(false))) => {
                    self.step(1)?;
                    self.note("is not known to it", Remedy::Known(properties))?;
                }
                (None, Some(schema)) => self.value(schema, value)?,
                (None, None) => {}
            }
            self.at.pop();
        }
        Ok(())
    }

    fn items(&mut self, schema: &'a Map<String, Value>, items: &[Value]) -> Result<(), String> {
        let first = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (place, item) in items.iter().enumerate() {
            let Some(schema) = first.get(place).or_else(|| schema.get("items")) else { continue };
            self.at.push(place.to_string());
            self.value(schema, item)?;
            self.at.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
