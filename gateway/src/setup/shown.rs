//! Settings as they may be seen.

use serde_json::Value;

use crate::component::{Manifest, Shape, read};
use crate::config::{MASK, Settings};

/// With a mask in the place of what plugins call a secret. Where nothing says what is one, every text and number may be. Reads
/// the plugins' files.
pub fn shown(mut settings: Settings) -> Settings {
    for plugin in &mut settings.plugin {
        let manifest = read(&plugin.file).and_then(|bytes| Manifest::of(&Shape::of(&bytes)?));
        match manifest {
            Ok(Some(manifest)) => plugin.settings = manifest.settings.masked(&plugin.settings, MASK),
            _ => mask_all(&mut plugin.settings),
        }
    }
    settings
}

fn mask_all(value: &mut Value) {
    match value {
        Value::String(_) | Value::Number(_) => *value = Value::from(MASK),
        Value::Array(items) => items.iter_mut().for_each(mask_all),
        Value::Object(object) => object.values_mut().for_each(mask_all),
        Value::Null | Value::Bool(_) => {}
    }
}
