//! The manifest: what is to be known of a filter before it runs. It stands in the component as the section
//! `stile:manifest`, in JSON, and beside the source as `manifest.json`, where a change of the settings shows in review.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Filter;

/// The manifest of a filter.
pub fn of<F: Filter>(name: &str, version: &str, description: &str) -> Value {
    let grants: Vec<_> = F::GRANTS.iter().map(|grant| grant.name()).collect();
    sorted(json!({
        "manifest": 1,
        "name": name,
        "version": version,
        "description": description,
        "topics": F::TOPICS,
        "grants": grants,
        "tick": F::TICK.map(period),
        "settings": schemars::schema_for!(F::Settings),
    }))
}

/// By name, whether or not `serde_json` was built to keep the order: the same bytes in each workspace.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// In the words of the settings: `10s`.
fn period(period: Duration) -> String {
    match period.subsec_millis() {
        0 => format!("{}s", period.as_secs()),
        _ => format!("{}ms", period.as_millis()),
    }
}

/// The test behind [`export!`](crate::export): fails where `manifest.json` is not what it should be, or writes it where
/// `UPDATE_MANIFEST` is set. The filter's name is that of its folder.
#[expect(clippy::panic, reason = "it is a test")]
pub fn hold<F: Filter>(folder: &str, version: &str, description: &str) {
    let folder = Path::new(folder);
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let wanted = format!("{:#}\n", of::<F>(name, version, description));
    let path = folder.join("manifest.json");
    if std::env::var_os("UPDATE_MANIFEST").is_some() {
        std::fs::write(&path, wanted).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    } else if std::fs::read_to_string(&path).unwrap_or_default() != wanted {
        panic!("{} is not that of the filter; write it with: UPDATE_MANIFEST=1 cargo test", path.display());
    }
}
