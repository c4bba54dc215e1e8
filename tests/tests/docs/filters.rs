//! Holds the pages of filters against their manifests.

use super::read;
use super::walk::root;
use serde_json::Value;

/// It has nothing to be told.
const WITHOUT_PAGE: &str = "pass";

/// The names and manifests of all filters that have a page.
fn manifests() -> Vec<(String, Value)> {
    let folders = std::fs::read_dir(root().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    let manifests = folders.filter_map(|folder| std::fs::read(folder.join("manifest.json")).ok());
    let named = manifests.map(|text| serde_json::from_slice::<Value>(&text).unwrap());
    let named = named.map(|manifest| (manifest["name"].as_str().unwrap().to_owned(), manifest));
    named.filter(|(name, _)| name != WITHOUT_PAGE).collect()
}

#[test]
fn every_setting_of_a_filter_is_on_its_page() {
    let manifests = manifests();
    assert!(!manifests.is_empty());
    for (name, manifest) in manifests {
        let page = read(&format!("docs/plugin-{name}.md"));
        for setting in manifest["settings"]["properties"].as_object().unwrap().keys() {
            assert!(page.contains(&format!("| `{setting}` |")), "docs/plugin-{name}.md does not explain {setting}");
        }
        let grants: Vec<_> = manifest["grants"].as_array().unwrap().iter().map(Value::to_string).collect();
        let line = format!("grants = [{}]", grants.join(", "));
        assert!(grants.is_empty() || page.contains(&line), "docs/plugin-{name}.md does not say {line}");
    }
}
