//! What the operator lays down for one plugin.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Grant, Limits, OnFailure};
use crate::message::TopicFilter;

/// All that is laid down for one plugin.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What becomes of a message that it fails at or rejects.
    pub on_failure: OnFailure,
    /// What it may use besides what every plugin may.
    pub grants: Vec<Grant>,
    /// The topics that it may publish to. A filter that begins with a wildcard leaves `$` topics out, as in MQTT.
    pub publish: Vec<TopicFilter>,
    /// What the plugin itself is told: a JSON object.
    pub settings: String,
    /// Time between its ticks; `None` for a plugin that has none.
    pub tick: Option<Duration>,
    /// What it may cost.
    pub limits: Limits,
    /// Files that it may read, by the name it asks for.
    pub data: Arc<BTreeMap<String, File>>,
}

impl Terms {
    /// The usual terms: nothing is granted, every topic but `$` topics may be published to.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            on_failure: OnFailure::default(),
            grants: Vec::new(),
            publish: TopicFilter::new("#").into_iter().collect(),
            settings: "{}".into(),
            tick: None,
            limits: Limits::default(),
            data: Arc::default(),
        }
    }

    /// Those of the settings. Opens the files that the plugin may read.
    ///
    /// # Errors
    /// A file that can't be opened, by its path and why.
    pub fn of(plugin: &config::Plugin) -> Result<Self, String> {
        let wrong = |path: &Path, error: std::io::Error| format!("can't open {}: {error}", path.display());
        let open = |(name, path): (&String, &PathBuf)| {
            File::open(path).map(|file| (name.clone(), file)).map_err(|error| wrong(path, error))
        };
        Ok(Self {
            name: plugin.name.as_str().into(),
            on_failure: plugin.on_failure,
            grants: plugin.grants.clone(),
            publish: plugin.publish.clone(),
            settings: plugin.settings.to_string(),
            tick: plugin.tick,
            limits: plugin.limits.clone(),
            data: Arc::new(plugin.data.iter().map(open).collect::<Result<_, _>>()?),
        })
    }
}
