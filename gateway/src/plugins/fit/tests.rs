//! What is said of a component under settings.

use serde_json::json;

use super::*;
use crate::signature::{PrivateKey, sign};

const MANIFEST: &str = r#"{ "manifest": 1, "name": "parking", "topics": ["lora/+/up"], "grants": ["kv", "emit"], "tick": "10s",
    "settings": { "properties": { "after": { "type": "string" } }, "additionalProperties": false } }"#;

/// A filter that acts as time goes by, with or without a manifest.
fn component(manifest: Option<&str>) -> Vec<u8> {
    let quoted = manifest.map(|text| text.replace('"', "\\\"").replace('\n', " "));
    let section = quoted.map_or(String::new(), |text| format!(r#"(core module (@custom "stile:manifest" "{text}"))"#));
    wat::parse_str(format!(
        r#"(component {section} (instance $i) (export "stile:filter/filter@1.0.0" (instance $i))
            (instance $t) (export "stile:filter/timer@1.0.0" (instance $t)))"#
    ))
    .unwrap()
}

fn settings(topics: &str) -> config::Plugin {
    let plugin = config::Plugin::new("p", "/p.wasm", topics);
    config::Plugin { grants: vec![Grant::Kv, Grant::Emit], ..plugin }
}

fn said(component: &[u8], settings: &config::Plugin, trust: &Trust) -> Vec<String> {
    let misfits = fit(component, settings, trust).unwrap_err();
    misfits.iter().map(|misfit| format!("{}: {misfit}", misfit.at.join("/"))).collect()
}

#[test]
fn what_the_operator_leaves_out_is_taken_of_the_manifest() {
    let fits = fit(&component(Some(MANIFEST)), &settings(""), &Trust::default()).unwrap();
    assert_eq!(fits.settings.topics[0].as_str(), "lora/+/up");
    assert_eq!(fits.settings.tick, Some(std::time::Duration::from_secs(10)));
    let own = config::Plugin { tick: Some(std::time::Duration::from_secs(1)), ..settings("a/#") };
    let fits = fit(&component(Some(MANIFEST)), &own, &Trust::default()).unwrap();
    assert_eq!((fits.settings.topics, fits.settings.tick), (own.topics, own.tick));
}

#[test]
fn nobody_is_told_to_grant_what_needs_no_grant_or_is_not_there() {
    let asking = |grants: &str| component(Some(&MANIFEST.replace(r#"["kv", "emit"]"#, grants)));
    assert!(fit(&asking(r#"["log", "clock", "kv"]"#), &settings("a"), &Trust::default()).is_ok());
    assert_eq!(
        said(&asking(r#"["kv", "net"]"#), &settings("a"), &Trust::default()),
        [
            "file: it needs `net`, which this version does not have; take a newer version of Stile, or an older one of the plugin"
        ]
    );
}

#[test]
fn all_that_does_not_fit_is_said_at_once_with_its_place() {
    let plugin = config::Plugin {
        grants: vec![Grant::Emit],
        settings: json!({ "after": 12, "befor": "1h" }),
        ..config::Plugin::new("p", "/p.wasm", "a")
    };
    assert_eq!(
        said(&component(Some(MANIFEST)), &plugin, &Trust::default()),
        [
            "grants: it needs `kv`, which `grants` in [[plugin]] does not have; write `grants = [\"emit\", \"kv\"]` if it may have it",
            "settings/after: `after` in [plugin.settings] is a whole number, not a text in quotes; write a text in quotes",
            "settings/befor: `befor` in [plugin.settings] is not known to it; remove it; known are: `after`",
        ]
    );
}

#[test]
fn without_a_manifest_the_settings_have_to_say_all() {
    let bare = component(None);
    let said = said(&bare, &settings(""), &Trust::default());
    assert!(said[0].starts_with("topics: `topics` is missing") && said[1].starts_with("tick: "), "{said:?}");
    let plugin = config::Plugin { tick: Some(std::time::Duration::from_secs(1)), ..settings("a") };
    let plugin = config::Plugin { settings: json!({ "whatever": [1] }), ..plugin };
    assert!(fit(&bare, &plugin, &Trust::default()).unwrap().manifest.is_none());
}

#[test]
fn where_signatures_are_required_only_those_of_trusted_keys_will_do() {
    let key = || PrivateKey::read(&PrivateKey::make().unwrap()).unwrap();
    let (anna, other) = (key(), key());
    let trusted_keys = [("anna".to_owned(), anna.public())].into_iter().collect();
    let trust = Trust { require: Require::Signed, trusted_keys, ..Trust::default() };
    let bare = component(Some(MANIFEST));
    let plugin = settings("a");
    let fits = fit(&sign(&bare, &anna).unwrap(), &plugin, &trust).unwrap();
    assert_eq!(fits.signer, Signer::Trusted("anna".into(), anna.public()));
    assert!(said(&bare, &plugin, &trust)[0].starts_with("file: it is not signed"));
    let by_other = sign(&bare, &other).unwrap();
    let expected = format!("file: it is signed by the key {}, which is not in", other.public());
    assert!(said(&by_other, &plugin, &trust)[0].starts_with(&expected));
    assert!(fit(&by_other, &plugin, &Trust::default()).is_ok());
    let mut changed = sign(&bare, &anna).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    for trust in [&trust, &Trust::default()] {
        assert!(said(&changed, &plugin, trust)[0].contains("changed after it was signed"));
    }
}
