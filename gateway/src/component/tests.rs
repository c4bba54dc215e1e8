//! Components that are read, and files that are none.

use proptest::prelude::*;

use super::*;

/// A section that stands for itself.
fn custom(name: &str, data: &[u8]) -> Vec<u8> {
    let length = |length: usize| -> Vec<u8> {
        (0..5).map(|place| (length >> (7 * place)) as u8 & 0x7f | if place < 4 { 0x80 } else { 0 }).collect()
    };
    let inner = [length(name.len()), name.as_bytes().to_vec(), data.to_vec()].concat();
    [vec![0], length(inner.len()), inner].concat()
}

const MANIFEST: &str = r#"{ "manifest": 1, "name": "parking", "version": "1.2.0", "description": "Says what is free",
    "topics": ["lora/+/up"], "grants": ["kv"], "tick": "10s", "settings": { "type": "object" } }"#;

fn filter(manifest: &str) -> Vec<u8> {
    let quoted = manifest.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
    wat::parse_str(format!(
        r#"(component
            (import "stile:filter/types@1.0.0" (instance)) (import "stile:filter/kv@1.0.0" (instance))
            (core module (@custom "stile:manifest" "{quoted}"))
            (instance $filter) (instance $timer)
            (export "stile:filter/filter@1.0.0" (instance $filter))
            (export "stile:filter/timer@1.0.0" (instance $timer)))"#
    ))
    .unwrap()
}

fn manifest(component: &[u8]) -> Result<Option<Manifest>, String> {
    Manifest::of(&Shape::of(component)?)
}

#[test]
fn a_filter_is_read_with_its_manifest() {
    let component = filter(MANIFEST);
    let shape = Shape::of(&component).unwrap();
    assert_eq!(shape.check(), Ok(()));
    assert_eq!((shape.interfaces().collect::<Vec<_>>(), shape.ticks()), (vec!["kv"], true));
    let manifest = manifest(&component).unwrap().unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("parking", "1.2.0"));
    assert_eq!((manifest.topics[0].as_str(), manifest.grants), ("lora/+/up", vec!["kv".to_owned()]));
    assert_eq!(manifest.tick, Some(std::time::Duration::from_secs(10)));
}

#[test]
fn a_manifest_at_the_components_top_is_found_and_none_is_no_fault() {
    let bare = wat::parse_str("(component)").unwrap();
    assert_eq!(manifest(&bare), Ok(None));
    let at_the_top = [bare, custom("stile:manifest", MANIFEST.as_bytes())].concat();
    assert_eq!(manifest(&at_the_top).unwrap().unwrap().name, "parking");
    let two = [filter(MANIFEST), custom("stile:manifest", MANIFEST.as_bytes())].concat();
    assert!(manifest(&two).unwrap_err().contains("2 manifests"));
}

#[test]
fn a_component_that_is_no_filter_is_refused_by_what_it_is() {
    for (text, said) in [
        (r#"(component (import "wasi:sockets/network@0.2.0" (instance)))"#, "imports `wasi:sockets/network@0.2.0`"),
        (
            r#"(component (import "stile:filter/teleport@1.9.0" (instance)))"#,
            "`stile:filter/teleport@1.9.0`, which this",
        ),
        (r#"(component (import "stile:filter/kv@2.0.0" (instance)))"#, "`stile:filter/kv@2.0.0`, which this"),
        (r#"(component (instance $i) (export "a:b/c@1.0.0" (instance $i)))"#, "is no filter"),
        ("(component)", "is no filter"),
    ] {
        let component = wat::parse_str(text).unwrap();
        let error = Shape::of(&component).unwrap().check().unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_manifest_that_is_not_good_is_refused_with_one_line() {
    let deep = format!(r#"{{"manifest":1,"name":"a","settings":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let long = format!(r#"{{"manifest":1,"name":"{}"}}"#, "x".repeat(10 << 20));
    for (text, said) in [
        ("", "EOF"),
        ("manifest", "expected value"),
        ("[]", "invalid length 0"),
        (r#"{"manifest":2,"name":"a"}"#, "form 2"),
        (r#"{"manifest":1}"#, "missing field `name`"),
        (r#"{"manifest":1,"name":7}"#, "invalid type"),
        (r#"{"manifest":1,"name":"a","tick":"1us"}"#, "its tick `1us`"),
        (r#"{"manifest":1,"name":"a","topics":["a/#/b"]}"#, "its topic `a/#/b`"),
        (&deep, "recursion limit"),
        (&long, "at most 262144 are read"),
    ] {
        let component = [wat::parse_str("(component)").unwrap(), custom("stile:manifest", text.as_bytes())].concat();
        let error = manifest(&component).unwrap_err();
        assert!(error.contains(said) && !error.contains('\n') && error.len() < 400, "{error}");
    }
}

#[test]
fn components_in_each_other_without_end_are_refused() {
    let mut component = wat::parse_str("(component)").unwrap();
    for _ in 0..1000 {
        let length = component.len();
        let size: Vec<u8> =
            (0..5).map(|place| (length >> (7 * place)) as u8 & 0x7f | if place < 4 { 0x80 } else { 0 }).collect();
        component = [&b"\0asm\x0d\0\x01\0\x04"[..], &size, &component].concat();
    }
    assert!(Shape::of(&component).unwrap_err().contains("in each other"));
}

#[test]
fn a_file_cut_off_anywhere_is_refused_or_read() {
    let component = filter(MANIFEST);
    for length in 0..component.len() {
        if let Err(error) = manifest(&component[..length]) {
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

#[test]
fn what_is_no_file_is_not_waited_for_and_what_is_too_large_not_read() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read(dir.path()).unwrap_err().contains("no regular file"));
    assert!(read(std::path::Path::new("/dev/zero")).unwrap_err().contains("no regular file"));
    let large = dir.path().join("zeros.wasm");
    std::fs::File::create(&large).unwrap().set_len(100 << 20).unwrap();
    assert!(read(&large).unwrap_err().contains("more than"));
}

proptest! {
    #[test]
    fn whatever_is_changed_in_a_component_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut component = filter(MANIFEST);
        for (at, byte) in &changes {
            let at = at.index(component.len());
            component[at] = *byte;
        }
        for bytes in [&component[..], &component[..cut.index(component.len())]] {
            if let Ok(shape) = Shape::of(bytes) {
                let _ = shape.check();
                if let Ok(Some(manifest)) = Manifest::of(&shape) {
                    let _ = (manifest.settings.check(&serde_json::json!({ "a": 1 })), manifest.settings.keys());
                }
            }
        }
    }

    #[test]
    fn whatever_a_schema_is_it_is_gone_by_in_bounded_steps(schema in anything(), settings in anything()) {
        let schema = Schema::new(schema);
        let _ = (schema.check(&settings), schema.keys(), schema.masked(&settings, "***"));
    }
}

/// JSON in which the words of schemas are frequent.
fn anything() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let word = prop::sample::select(vec![
        "type",
        "$ref",
        "#",
        "#/$defs/a",
        "properties",
        "required",
        "additionalProperties",
        "anyOf",
        "oneOf",
        "allOf",
        "enum",
        "const",
        "items",
        "minimum",
        "maxLength",
        "object",
        "string",
        "array",
        "a",
        "$defs",
        "writeOnly",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(word.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
