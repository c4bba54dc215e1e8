//! The gateway whose plugins are meant: its settings, its data folder, and whether it runs.

use std::fs::File;

use http_body_util::BodyExt;
use serde_json::Value;

use crate::cli::socket::{self, Which};
use crate::cli::text::visible;
use crate::cli::{runtime, say};
use crate::config::Problems;
use crate::plugins::site::Site;

/// Which gateway.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    which: Which,
}

impl Place {
    /// Settings that lack nothing but users will do.
    pub(super) fn find(&self) -> Result<Site, Problems> {
        Ok(Site::of(self.which.before_users()?, self.which.named_data_dir()))
    }

    /// The same as soon as nobody else changes plugins; nobody does while the file is held.
    pub(super) fn find_locked(&self) -> Result<Result<(Site, File), String>, Problems> {
        let lock = match self.find()?.lock() {
            Ok(lock) => lock,
            Err(error) => return Ok(Err(error)),
        };
        // Read anew: whoever held it may have changed what was read before.
        Ok(Ok((self.find()?, lock)))
    }
}

/// Has the running gateway read the settings again, and tells what came of the plugin.
pub(super) fn tell(site: &Site, name: &str) -> Result<(), String> {
    let runtime = runtime().map_err(|error| error.to_string())?;
    let refused = |error| format!("it is written, but the running gateway did not take it: {error}");
    if !runtime.block_on(socket::post(&site.data_dir, "/reload")).map_err(refused)? {
        say("no gateway is running here; the next start takes it");
        return Ok(());
    }
    let all = running(site)?.unwrap_or_default();
    let plugin = all.iter().find(|plugin| plugin["name"] == name);
    match plugin.map(|plugin| (plugin["load_error"].as_str(), plugin["state"].as_str())) {
        None => say("the running gateway has taken it: messages go past the plugin"),
        Some((Some(error), _)) => {
            return Err(format!("it is written, but the running gateway could not load it: {}", visible(error)));
        }
        Some((None, state)) => say(&format!("the running gateway has taken it: {}", state.unwrap_or_default())),
    }
    Ok(())
}

/// The plugins of the running gateway; `None` where none is running.
pub(super) fn running(site: &Site) -> Result<Option<Vec<Value>>, String> {
    let runtime = runtime().map_err(|error| error.to_string())?;
    let body = runtime.block_on(async {
        match socket::get(&site.data_dir, "/plugins").await? {
            Some(body) => Ok::<_, anyhow::Error>(Some(body.collect().await?.to_bytes())),
            None => Ok(None),
        }
    });
    let Some(body) = body.map_err(|error| error.to_string())? else { return Ok(None) };
    let all: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(Some(all["plugins"].as_array().cloned().unwrap_or_default()))
}
