//! What a value is by itself: its kind, its bounds, the values that it may have.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Remedy;
use crate::component::plain;

/// What is wrong, and the remedy.
type Verdict<'a> = Result<(), (Cow<'static, str>, Remedy<'a>)>;

/// The kinds of JSON Schema Validation, 6.1.1, and how a settings file has them.
const KINDS: [(&str, &str); 7] = [
    ("string", "a text in quotes"),
    ("integer", "a whole number"),
    ("number", "a number"),
    ("boolean", "true or false"),
    ("array", "a list in [ ]"),
    ("object", "a table"),
    ("null", "nothing"),
];

/// Enough values to see what is meant.
const LISTED_MAX: usize = 20;

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        // Stricter than the standard, to which 1.0 is a whole number: most languages' readers refuse it.
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

/// `type`.
pub(super) fn check<'a>(schema: &Map<String, Value>, value: &Value) -> Verdict<'a> {
    let wanted: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().take(KINDS.len()).filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    if wanted.iter().any(|kind| is(value, kind)) {
        return Ok(());
    }
    let named = KINDS.iter().filter(|(name, _)| wanted.contains(name) && *name != "null").map(|(_, words)| *words);
    let words = named.collect::<Vec<_>>().join(" or ");
    Err((format!("is {}, not {words}", kind(value)).into(), said(format!("write {words}"))))
}

fn said<'a>(remedy: impl Into<Cow<'static, str>>) -> Remedy<'a> {
    Remedy::Said(remedy.into())
}

/// What to do about a value that is none of these.
pub(super) fn one_of(values: &[Value]) -> String {
    let listed = values.iter().take(LISTED_MAX).map(|value| plain(&value.to_string()));
    format!("write one of: {}", listed.collect::<Vec<_>>().join(", "))
}

/// `enum`, `const`, `minimum` and the like.
pub(super) fn bounds<'a>(schema: &'a Map<String, Value>, value: &Value) -> Verdict<'a> {
    let single = schema.get("const").map(std::slice::from_ref);
    if let Some(values) = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice).or(single)
        && !values.contains(value)
    {
        return Err(("is none of the values that it knows".into(), Remedy::OneOf(values)));
    }
    let of = |key: &str| schema.get(key).and_then(Value::as_f64);
    let size = match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            let above = of("exclusiveMinimum").is_none_or(|least| number > least);
            let below = of("exclusiveMaximum").is_none_or(|most| number < most);
            if !(above && below) {
                return Err(("is out of range".into(), said("read the plugin's page")));
            }
            return range(number, of("minimum"), of("maximum"), "out of range", "a number");
        }
        Value::String(text) => {
            let (least, most) = (of("minLength"), of("maxLength"));
            return range(count(text.chars().count()), least, most, "too short or too long", "characters:");
        }
        Value::Array(items) => (items.len(), "minItems", "maxItems"),
        Value::Object(object) => (object.len(), "minProperties", "maxProperties"),
        Value::Null | Value::Bool(_) => return Ok(()),
    };
    range(count(size.0), of(size.1), of(size.2), "too short or too long", "entries:")
}

#[expect(clippy::cast_precision_loss, reason = "settings have at most a megabyte")]
fn count(items: usize) -> f64 {
    items as f64
}

fn range<'a>(size: f64, least: Option<f64>, most: Option<f64>, wrong: &str, what: &str) -> Verdict<'a> {
    if least.is_none_or(|least| size >= least) && most.is_none_or(|most| size <= most) {
        return Ok(());
    }
    let remedy = match (least, most) {
        (Some(least), Some(most)) => format!("write {what} from {least} to {most}"),
        (Some(least), None) => format!("write {what} {least} or more"),
        (None, most) => format!("write {what} {} or less", most.unwrap_or_default()),
    };
    Err((format!("is {wrong}").into(), said(remedy)))
}
