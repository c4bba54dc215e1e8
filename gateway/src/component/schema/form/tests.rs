use serde_json::json;

use super::*;

const MASK: &str = "***";

fn schema() -> Schema {
    Schema::new(json!({
        "$defs": {
            "Format": { "oneOf": [{ "const": "hex", "type": "string" }, { "const": "bytes", "type": "string" }] },
            "Source": { "type": "object", "additionalProperties": false, "properties": {
                "format": { "$ref": "#/$defs/Format", "description": "What payloads are." },
                "level": { "type": "integer", "default": 1 } } },
        },
        "type": "object", "additionalProperties": false, "required": ["width"],
        "properties": {
            "width": { "type": "number" },
            "window": { "type": ["string", "null"] },
            "retain": { "type": "boolean", "default": true },
            "key": { "type": "string", "writeOnly": true },
            "source": { "$ref": "#/$defs/Source", "description": "Where it is." },
            "maybe": { "anyOf": [{ "$ref": "#/$defs/Source" }, { "type": "null" }] },
            "fields": { "type": "object", "additionalProperties": { "type": "number" } },
        },
    }))
}

fn filled(settings: &Value, given: &[(&str, &str)]) -> Result<Value, Vec<Unread>> {
    let fields = schema().form(settings, MASK);
    let find = |name: &str| given.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    Schema::filled(&fields, settings, MASK, find, |_| false)
}

#[test]
fn each_part_has_a_field_of_its_kind_and_secrets_are_not_in_it() {
    let settings = json!({ "width": 2, "key": "hidden", "source": { "format": "hex" }, "fields": { "/t": 1 } });
    let fields = schema().form(&settings, MASK);
    let choice = Kind::Choice(vec!["hex".to_owned(), "bytes".to_owned()]);
    let mut found: Vec<_> =
        fields.iter().map(|field| (field.label(), field.kind.clone(), field.value.as_str())).collect();
    // The schema's order is that of its text or of the keys, as JSON is read.
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let wanted = [
        ("fields", Kind::Json, "{\n  \"/t\": 1\n}"),
        ("key", Kind::Secret, ""),
        ("maybe", Kind::Json, ""),
        ("retain", Kind::Boolean, ""),
        ("source.format", choice, "hex"),
        ("source.level", Kind::Integer, ""),
        ("width", Kind::Number, "2"),
        ("window", Kind::Text, ""),
    ];
    assert_eq!(found, wanted.map(|(label, kind, value)| (label.to_owned(), kind, value)));
    let by_name = |name: &str| fields.iter().find(|field| field.name() == name).unwrap();
    assert!(by_name("/width").required && !by_name("/source/level").required && by_name("/key").is_set);
    assert_eq!(by_name("/source/format").description, "What payloads are.");
    assert_eq!(by_name("/retain").default.as_deref(), Some("true"));
}

#[test]
fn what_is_filled_in_becomes_settings_and_what_is_left_stays() {
    let old = json!({ "width": 2, "key": "hidden", "source": { "format": "hex" }, "beyond": [1] });
    let given = [
        ("/width", "2.5"),
        ("/key", ""),
        ("/source/format", ""),
        ("/source/level", ""),
        ("/retain", "false"),
        ("/fields", "{\"/t\": 0.5}"),
        ("/window", "10s"),
    ];
    let new = filled(&old, &given).unwrap();
    let wanted = json!({ "width": 2.5, "key": "hidden", "retain": false, "fields": { "/t": 0.5 }, "window": "10s",
        "beyond": [1] });
    assert_eq!(new, wanted);
    assert_eq!(filled(&old, &[("/width", "2")]).unwrap(), old);
    assert_eq!(filled(&json!({}), &[("/source/level", "3")]).unwrap(), json!({ "source": { "level": 3 } }));
}

#[test]
fn what_can_not_be_read_is_named() {
    let given = [
        ("/width", "wide"),
        ("/source/level", "1.5"),
        ("/source/format", "octal"),
        ("/retain", "yes"),
        ("/fields", "{"),
    ];
    let mut unread: Vec<_> = filled(&json!({}), &given).unwrap_err().into_iter().map(|one| one.name).collect();
    unread.sort();
    assert_eq!(unread, ["/fields", "/retain", "/source/format", "/source/level", "/width"]);
}

#[test]
fn secrets_within_json_stay_or_are_written_anew() {
    let schema = Schema::new(json!({ "type": "object", "additionalProperties": {
        "type": "object", "properties": { "key": { "type": "string", "writeOnly": true }, "at": { "type": "integer" } } } }));
    let settings = json!({ "a": { "key": "hidden", "at": 1 } });
    let fields = schema.form(&settings, MASK);
    let [field] = &fields[..] else { panic!("{fields:?}") };
    assert!(field.kind == Kind::Json && field.name().is_empty() && !field.value.contains("hidden"));
    let fill = |text: &str| Schema::filled(&fields, &settings, MASK, |_| Some(text), |_| false);
    assert_eq!(fill(&field.value.replace('\n', "\r\n")).unwrap(), settings);
    assert!(fill(&field.value.replace('1', "2")).unwrap_err()[0].what.contains("anew"));
    assert_eq!(fill(r#"{ "a": { "key": "new" } }"#).unwrap(), json!({ "a": { "key": "new" } }));
}

#[test]
fn a_secret_goes_where_it_is_to_be_forgotten_and_need_not_be_there() {
    let secret = json!({ "type": "string", "writeOnly": true });
    let schema = Schema::new(json!({ "type": "object", "additionalProperties": false, "required": ["token"],
        "properties": { "key": secret, "token": secret } }));
    let settings = json!({ "key": "hidden", "token": "hidden" });
    let fields = schema.form(&settings, MASK);
    let fill = |key: &str| Schema::filled(&fields, &settings, MASK, |_| Some(""), |name| name == key);
    assert_eq!(fill("/key").unwrap(), json!({ "token": "hidden" }));
    assert_eq!(fill("/token").unwrap(), settings, "it must be there");
    assert_eq!(fill("/other").unwrap(), settings);
    let both = Schema::filled(&fields, &settings, MASK, |_| Some("new"), |name| name == "/key");
    assert_eq!(both.unwrap_err()[0].name, "/key");
    let unset = schema.form(&json!({ "token": "hidden" }), MASK);
    assert!(!unset.iter().any(Field::can_be_forgotten), "{unset:?}");
}

#[test]
fn a_value_of_another_kind_is_shown_as_it_is() {
    let fields = schema().form(&json!({ "width": "wide", "source": 7 }), MASK);
    let kind = |label: &str| fields.iter().find(|field| field.label() == label).map(|field| field.kind.clone());
    assert_eq!((kind("width"), kind("source")), (Some(Kind::Json), Some(Kind::Json)));
}

#[test]
fn a_secret_that_is_no_text_stays_where_nobody_touches_it() {
    let schema = Schema::new(json!({ "type": "object", "additionalProperties": false, "properties": {
        "pin": { "type": "integer", "writeOnly": true },
        "armed": { "type": "boolean", "writeOnly": true },
        "way": { "enum": ["in", "out"], "writeOnly": true },
        "level": { "type": "integer" } } }));
    let settings = json!({ "pin": 4711, "armed": true, "way": "out", "level": 1 });
    let fields = schema.form(&settings, MASK);
    let fill = |pin: &str, level: &str| {
        let given = |name: &str| match name {
            "/pin" => Some(pin),
            "/level" => Some(level),
            name => fields.iter().find(|field| field.name() == name).map(|field| field.value.as_str()),
        };
        Schema::filled(&fields, &settings, MASK, given, |_| false).map_err(|unread| unread.len())
    };
    let shown = &fields.iter().find(|field| field.label() == "pin").unwrap().value;
    assert!(fields.iter().all(|field| field.label() == "level" || field.kind == Kind::Json), "{fields:?}");
    assert!(!format!("{fields:?}").contains("4711"));
    assert_eq!(fill(shown, "2"), Ok(json!({ "pin": 4711, "armed": true, "way": "out", "level": 2 })));
    assert_eq!(fill("12", "1"), Ok(json!({ "pin": 12, "armed": true, "way": "out", "level": 1 })));
}
