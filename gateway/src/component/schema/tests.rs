//! Settings against schemas as `schemars` writes them, and against those that nobody sensible would write.

use serde_json::json;

use super::*;

fn said(schema: Value, settings: &Value) -> Vec<String> {
    let found = Schema::new(schema).check(settings).unwrap();
    found.iter().map(|found| format!("{} {}; {}", found.at.join("/"), found.what, found.remedy)).collect()
}

/// That of a filter in `plugins/`.
fn of_filter(name: &str) -> Schema {
    let text = std::fs::read(format!("../plugins/{name}/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    Schema::new(manifest["settings"].clone())
}

#[test]
fn a_wrong_value_is_called_by_its_key_and_never_shown() {
    let schema = json!({
        "type": "object",
        "properties": {
            "key": { "type": "string", "minLength": 3 },
            "level": { "type": "integer", "minimum": 0, "maximum": 255 },
            "share": { "type": "number", "exclusiveMinimum": 0 },
            "mode": { "enum": ["fast", "slow"] },
            "names": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
            "limits": { "type": "object", "additionalProperties": { "type": ["number", "null"] } },
        },
        "required": ["key"],
        "additionalProperties": false,
    });
    assert!(said(schema.clone(), &json!({ "key": "abc", "level": 7, "share": 1, "mode": "slow" })).is_empty());
    let wrong = json!({
        "key": "hu", "level": 256, "share": 0, "mode": "hunter2", "names": ["a", 2, "c"],
        "limits": { "": "hunter2", "b": null }, "hunter": true,
    });
    let expected = [
        "key is too short or too long; write characters: 3 or more",
        "level is out of range; write a number from 0 to 255",
        "share is out of range; read the plugin's page",
        "mode is none of the values that it knows; write one of: \"fast\", \"slow\"",
        "names is too short or too long; write entries: 2 or less",
        "names/1 is a whole number, not a text in quotes; write a text in quotes",
        "limits/ is a text, not a number; write a number",
        "hunter is not known to it; remove it; known are: `key`, `level`, `share`, `mode`, `names`, `limits`",
    ];
    assert_eq!(said(schema.clone(), &wrong), expected);
    assert_eq!(said(schema, &json!({})), ["key is missing; write it"]);
}

#[test]
fn names_by_a_pattern_are_left_to_the_plugin_and_their_secrets_masked() {
    let schema = json!({ "additionalProperties": false, "patternProperties": { "^[0-9]+$": { "writeOnly": true } } });
    assert!(said(schema.clone(), &json!({ "7": "hunter2" })).is_empty());
    assert_eq!(Schema::new(schema).masked(&json!({ "7": "hunter2" }), "***"), json!({ "7": "***" }));
}

#[test]
fn alternatives_are_told_apart_by_the_one_that_comes_furthest() {
    let schema = json!({
        "$defs": { "Circle": {
            "type": "object", "properties": { "radius": { "type": "number" } }, "required": ["radius"],
        } },
        "properties": { "area": { "anyOf": [{ "$ref": "#/$defs/Circle" }, { "type": "null" }] } },
    });
    assert!(said(schema.clone(), &json!({ "area": { "radius": 2 } })).is_empty());
    assert_eq!(
        said(schema, &json!({ "area": { "radius": "2" } })),
        ["area/radius is a text, not a number; write a number"]
    );
    let either = json!({ "oneOf": [{ "const": "on" }, { "const": "off" }] });
    assert!(said(either.clone(), &json!("off")).is_empty());
    assert_eq!(said(either, &json!("of")).len(), 1);
}

#[test]
fn the_filters_own_settings_fit_their_schemas() {
    let good = json!({ "fields": { "": 0.5, "/a": 1 }, "window": "1m" });
    assert_eq!(of_filter("downsample").check(&good), Ok(vec![]));
    let wrong = of_filter("downsample").check(&json!({ "fields": 7, "with": 1 })).unwrap();
    assert_eq!(wrong.iter().map(|found| found.at.concat()).collect::<Vec<_>>(), ["fields", "with"]);
    assert_eq!(of_filter("pass").check(&json!({})), Ok(vec![]));
    assert_eq!(of_filter("redact").check(&json!({ "round": { "/a": 256 } })).unwrap().len(), 1);
}

#[test]
fn secrets_are_masked_wherever_they_are() {
    let settings = json!({ "key": "hunter2", "remove": ["/a"] });
    assert_eq!(of_filter("redact").masked(&settings, "***"), json!({ "key": "***", "remove": ["/a"] }));
    let schema = Schema::new(json!({
        "$defs": { "Login": { "properties": { "password": { "type": "string", "format": "password" } } } },
        "properties": { "all": { "items": { "anyOf": [{ "$ref": "#/$defs/Login" }, { "type": "null" }] } } },
    }));
    let settings = json!({ "all": [{ "user": 7, "password": "hunter2" }, null] });
    assert_eq!(schema.masked(&settings, "***"), json!({ "all": [{ "user": 7, "password": "***" }, null] }));
}

#[test]
fn texts_that_no_part_of_a_schema_describes_are_masked() {
    let schema = Schema::new(json!({
        "properties": {
            "mode": { "enum": ["on", "off"] },
            "names": { "type": "object", "additionalProperties": { "type": ["string", "null"] } },
            "any": true,
            "more": { "type": "object", "description": "Whatever." },
            "number": { "type": "number" },
            "list": { "type": "array", "prefixItems": [{ "title": "The first" }] },
        },
    }));
    let settings = json!({
        "mode": "on", "names": { "a": "A" }, "any": "hunter2", "more": { "token": ["hunter2", 7] }, "number": "hunter2",
        "list": ["first", "hunter2"], "misspelt": { "key": "hunter2" },
    });
    let masked = json!({
        "mode": "on", "names": { "a": "A" }, "any": "***", "more": { "token": ["***", 7] }, "number": "***",
        "list": ["first", "***"], "misspelt": { "key": "***" },
    });
    assert_eq!(schema.masked(&settings, "***"), masked);
}

#[test]
fn a_secret_is_one_whichever_part_of_a_schema_says_so() {
    let secret = json!({ "properties": { "key": { "writeOnly": true } } });
    for schema in [
        json!({ "if": true, "then": secret }),
        json!({ "else": secret }),
        json!({ "dependentSchemas": { "mode": secret } }),
        json!({ "patternProperties": { "^a": {} }, "additionalProperties": { "writeOnly": true } }),
        json!({ "properties": { "key": {} }, "patternProperties": { "^k": { "writeOnly": true } } }),
    ] {
        let masked = Schema::new(schema.clone()).masked(&json!({ "key": "hunter2" }), "***");
        assert_eq!(masked, json!({ "key": "***" }), "{schema}");
    }
}

#[test]
fn keys_are_told_with_what_they_take() {
    let keys = of_filter("redact").keys();
    let key = keys.iter().find(|key| key.name == "key").unwrap();
    assert_eq!(
        (key.kind.as_str(), key.secret, key.required, key.default.as_deref()),
        ("string", true, false, Some("\"\""))
    );
    assert!(key.description.starts_with("The secret that pseudonyms are made with"), "{key:?}");
    assert_eq!(keys.iter().find(|key| key.name == "round").unwrap().kind, "object of integer");
    assert_eq!(keys.iter().find(|key| key.name == "remove").unwrap().kind, "array of string");
}

#[test]
fn words_are_made_for_what_is_told_and_not_at_each_look() {
    // Text that takes milliseconds to put into words, at each of thousands of looks: minutes.
    let long = "long ".repeat(20_000);
    let names: Map<String, Value> = (0..200).map(|name| (format!("{name} {}", &long[..500]), json!(true))).collect();
    let many = |to: &str| vec![json!({ "$ref": format!("#/$defs/{to}") }); 2000];
    let schema = Schema::new(json!({
        "$defs": {
            "value": { "enum": [long.as_str(), [long.as_str()]] },
            "keys": { "additionalProperties": false, "properties": names },
            "missing": { "required": [long.as_str()] },
        },
        "properties": { "a": { "anyOf": many("value") }, "b": { "anyOf": many("keys") } },
    }));
    let started = std::time::Instant::now();
    let found = schema.check(&json!({ "a": 1, "b": { "c": 1 } })).unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|found| found.remedy.len() < 1000), "{found:?}");
    let all = json!({ "allOf": many("missing"), "$defs": schema.as_json()["$defs"] });
    assert!(Schema::new(all).check(&json!({})).is_err(), "a long name at each of many looks");
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    let far = json!({ "$ref": format!("#/{long}") });
    assert!(Schema::new(far).check(&json!(1)).is_err());
}

#[test]
fn a_schema_that_would_take_for_ever_is_given_up() {
    let round = json!({ "$ref": "#" });
    assert!(Schema::new(round).check(&json!(1)).is_err());
    let twice = json!({ "allOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/a" }],
        "$defs": { "a": { "allOf": [{ "$ref": "#" }, { "$ref": "#" }] } } });
    assert!(Schema::new(twice).check(&json!(1)).is_err());
    assert!(Schema::new(json!({ "$ref": "elsewhere.json" })).check(&json!(1)).is_err());
    // Doubled at each of 40 levels: 2^40 looks, if nobody counted.
    let levels = (0..40).map(|level| {
        let next = json!({ "$ref": format!("#/$defs/{}", level + 1) });
        (level.to_string(), json!({ "anyOf": [{ "allOf": [next, false] }, { "allOf": [next, false] }] }))
    });
    let mut defs: Map<String, Value> = levels.collect();
    defs.insert("40".into(), json!(true));
    let bomb = Schema::new(json!({ "$ref": "#/$defs/0", "$defs": defs }));
    assert!(bomb.check(&json!(1)).is_err());
    let _ = (bomb.masked(&json!({ "a": 1 }), "***"), bomb.keys());
}
