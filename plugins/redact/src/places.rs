//! Places in a payload: JSON Pointers (RFC 6901) in which `*` stands for any one level.

use serde_json::Value;

/// One level of a place.
enum Level {
    Any,
    Named(String),
}

/// A place, or several.
pub(crate) struct Place(Vec<Level>);

impl Place {
    /// Reads one. The whole payload is none: to keep all of it back is a matter of rights.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let Some(levels) = text.strip_prefix('/') else {
            return Err(format!("`{text}` is no JSON Pointer; write `/{text}`"));
        };
        let level = |text: &str| match text {
            "*" => Level::Any,
            name => Level::Named(name.replace("~1", "/").replace("~0", "~")),
        };
        Ok(Self(levels.split('/').map(level).collect()))
    }

    /// Takes it out.
    pub(crate) fn remove(&self, payload: &mut Value) {
        let Some((last, levels)) = self.0.split_last() else { return };
        each(levels, payload, &mut |parent| match (parent, last) {
            (Value::Object(fields), Level::Named(name)) => drop(fields.remove(name)),
            (Value::Object(fields), Level::Any) => fields.clear(),
            (Value::Array(values), Level::Any) => values.clear(),
            (Value::Array(values), Level::Named(name)) => {
                if let Some(index) = name.parse().ok().filter(|index| *index < values.len()) {
                    values.remove(index);
                }
            }
            _ => {}
        });
    }

    /// Changes what is there.
    pub(crate) fn change(&self, payload: &mut Value, change: &mut dyn FnMut(&mut Value)) {
        each(&self.0, payload, change);
    }
}

fn each(levels: &[Level], value: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    let Some((level, rest)) = levels.split_first() else { return act(value) };
    match (value, level) {
        (Value::Object(fields), Level::Any) => fields.values_mut().for_each(|value| each(rest, value, act)),
        (Value::Array(values), Level::Any) => values.iter_mut().for_each(|value| each(rest, value, act)),
        (Value::Object(fields), Level::Named(name)) => {
            if let Some(value) = fields.get_mut(name) {
                each(rest, value, act);
            }
        }
        (Value::Array(values), Level::Named(name)) => {
            if let Some(value) = name.parse::<usize>().ok().and_then(|index| values.get_mut(index)) {
                each(rest, value, act);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn slashes_and_tildes_in_names_are_written_as_in_rfc_6901() {
        let mut payload = json!({ "a/b": { "m~n": 1 }, "a": { "b": 2 } });
        Place::read("/a~1b/m~0n").unwrap().remove(&mut payload);
        assert_eq!(payload, json!({ "a/b": {}, "a": { "b": 2 } }));
    }

    #[test]
    fn all_of_a_level_goes_with_a_star() {
        let mut payload = json!({ "list": [1, 2], "object": { "a": 1 }, "number": 1 });
        for place in ["/list/*", "/object/*", "/number/*", "/list/7"] {
            Place::read(place).unwrap().remove(&mut payload);
        }
        assert_eq!(payload, json!({ "list": [], "object": {}, "number": 1 }));
    }
}
