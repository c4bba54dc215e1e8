//! From the text of a message to flat values.

use serde_json::{Map, Value};

use super::{FIELDS_MAX, Field, LEFT_OUT, NAME_MAX, influx, senml};

/// How deep objects are looked into. serde_json goes no deeper than 128.
const DEPTH_MAX: usize = 8;

/// What a text says, whichever of the forms it has.
pub(super) fn of_text(text: &str) -> Option<Vec<(String, Field)>> {
    match text.trim_start().bytes().next()? {
        b'{' => Some(of_object(&serde_json::from_str(text).ok()?)),
        b'[' => Some(senml::fields(&serde_json::from_str::<Vec<Value>>(text).ok()?)),
        _ => influx::parse(text.trim_end()).map(influx::Line::into_fields),
    }
}

/// What an object says: `{"nr":{"rsrp":-97}}` is `nr_rsrp`. Its time is the message's.
pub(super) fn of_object(object: &Map<String, Value>) -> Vec<(String, Field)> {
    let mut fields = Vec::new();
    for (key, value) in object.iter().filter(|(key, _)| !matches!(key.as_str(), "time" | LEFT_OUT)) {
        flatten(key, value, DEPTH_MAX, &mut fields);
    }
    fields
}

fn flatten(name: &str, value: &Value, depth: usize, fields: &mut Vec<(String, Field)>) {
    if name.len() > NAME_MAX || fields.len() >= FIELDS_MAX {
        return;
    }
    let field = match value {
        Value::Null => return,
        Value::Object(map) if depth > 0 => {
            return map.iter().for_each(|(key, value)| flatten(&format!("{name}_{key}"), value, depth - 1, fields));
        }
        Value::Array(list) if depth > 0 => {
            return list
                .iter()
                .enumerate()
                .for_each(|(at, value)| flatten(&format!("{name}_{at}"), value, depth - 1, fields));
        }
        Value::Object(_) | Value::Array(_) => Field::Text(value.to_string()),
        Value::String(text) => Field::Text(text.clone()),
        Value::Bool(value) => Field::Bool(*value),
        Value::Number(number) => match number.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Field::Number(number),
            None => return,
        },
    };
    put(fields, name.to_owned(), field);
}

/// Adds a value, unless there is one of its name or there are too many.
pub(super) fn put(fields: &mut Vec<(String, Field)>, name: String, field: Field) {
    if fields.len() < FIELDS_MAX && fields.iter().all(|(known, _)| *known != name) {
        fields.push((name, field));
    }
}
