//! What `inspect` found, for people.

use serde_json::Value;

use crate::cli::text::visible;

/// One line a fact, then the settings.
pub(super) fn page(found: &Value) -> String {
    let manifest = &found["manifest"];
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| lines.push(format!("{name:<11} {}", visible(&text)));
    if manifest.is_object() {
        line("name", words(&manifest["name"]));
        line("version", words(&manifest["version"]));
        line("about", words(&manifest["description"]));
        line("topics", words(&manifest["topics"]));
        line("grants", or(words(&manifest["grants"]), "none needed"));
        line("tick", or(words(&manifest["tick"]), "none"));
    } else {
        line("manifest", "none that is good: topics, grants and settings are up to you".into());
    }
    line("imports", or(words(&found["imports"]), "nothing"));
    line("exports", or(words(&found["exports"]), "nothing"));
    line("signed by", signer(&found["signer"]));
    line("size", format!("{} bytes", found["size"]));
    line("SHA-256", words(&found["sha256"]));
    line("would run", found["refused"].as_str().map_or("yes".into(), |why| format!("no: {why}")));
    lines.extend(settings(&manifest["settings"]));
    lines.join("\n")
}

/// A text, or the texts of a list.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.into() } else { text }
}

fn signer(signer: &Value) -> String {
    let key = or(words(&signer["key"]), "a key that it does not name");
    match (&signer["name"], &signer["error"]) {
        _ if signer.is_null() => "nobody".into(),
        (_, Value::String(why)) => why.clone(),
        (Value::String(name), _) => format!("{name} ({key})"),
        _ => format!("{key}, which is not among the trusted keys"),
    }
}

fn settings(keys: &Value) -> Vec<String> {
    let Some(keys) = keys.as_array().filter(|keys| !keys.is_empty()) else { return Vec::new() };
    let mut lines = vec![String::new(), "[plugin.settings]".to_owned()];
    for key in keys {
        let default = match (&key["default"], key["required"] == true) {
            (_, true) => ", must be there".into(),
            (Value::String(default), _) => format!(", else {default}"),
            _ => String::new(),
        };
        let secret = if key["secret"] == true { ", secret" } else { "" };
        lines.push(visible(&format!("  {}: {}{default}{secret}", words(&key["name"]), words(&key["type"]))));
        lines.push(visible(&format!("      {}", words(&key["description"]))));
    }
    lines
}
