//! The gateway whose plugins are meant: its settings, its data folder, and whether it runs.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use http_body_util::BodyExt;
use serde_json::Value;

use crate::cli::socket::{self, Which};
use crate::cli::text::visible;
use crate::cli::{runtime, say};
use crate::config::{self, Loaded, Problems};
use crate::whole_file::make_folder;

/// Which gateway.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    which: Which,
}

/// A gateway, running or not.
pub(super) struct Gateway {
    pub(super) loaded: Loaded,
    pub(super) data_dir: PathBuf,
}

impl Place {
    /// Settings that lack nothing but users will do.
    pub(super) fn find(&self) -> Result<Gateway, Problems> {
        let loaded = self.which.before_users()?;
        let data_dir = self.which.named_data_dir().unwrap_or_else(|| loaded.settings.gateway.data_dir.clone());
        // It is written into settings, whose paths begin elsewhere. It fails for an empty path alone.
        let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
        Ok(Gateway { loaded, data_dir })
    }

    /// The same as soon as nobody else changes plugins; nobody does while the file is held.
    pub(super) fn find_locked(&self) -> Result<Result<(Gateway, File), String>, Problems> {
        let lock = match self.find()?.lock() {
            Ok(lock) => lock,
            Err(error) => return Ok(Err(error)),
        };
        // Read anew: whoever held it may have changed what was read before.
        Ok(Ok((self.find()?, lock)))
    }
}

impl Gateway {
    /// The plugin with this name in the settings.
    pub(super) fn plugin(&self, name: &str) -> Option<&config::Plugin> {
        self.loaded.settings.plugin.iter().find(|plugin| plugin.name == name)
    }

    /// The same, or what to do about it.
    pub(super) fn need(&self, name: &str) -> Result<&config::Plugin, String> {
        self.plugin(name).ok_or_else(|| {
            format!("there is no plugin `{}` in the settings; `stile plugin list` names them", visible(name))
        })
    }

    /// The main file of the settings.
    pub(super) fn main(&self) -> &Path {
        self.loaded.files.first().map_or(Path::new(""), PathBuf::as_path)
    }

    /// Where an installed component is.
    pub(super) fn component(&self, name: &str) -> PathBuf {
        self.data_dir.join("plugins").join(format!("{name}.wasm"))
    }

    /// Whether a plugin's component is the one that is installed.
    pub(super) fn has_installed(&self, plugin: &config::Plugin) -> bool {
        std::path::absolute(&plugin.file).is_ok_and(|file| file == self.component(&plugin.name))
    }

    /// Where the one before it is.
    pub(super) fn previous(&self, name: &str) -> PathBuf {
        self.data_dir.join("plugins").join(format!("{name}.previous.wasm"))
    }

    /// Whoever changes plugins at the same time waits, for as long as the file is held.
    fn lock(&self) -> Result<File, String> {
        make_folder(&self.data_dir, None).map_err(|error| explain(&self.data_dir, &error))?;
        // The folder itself, as for users: nothing that anybody could have put there in its place.
        let lock = File::open(&self.data_dir).and_then(|folder| folder.lock().map(|()| folder));
        lock.map_err(|error| explain(&self.data_dir, &error))
    }

    /// Has the running gateway read the settings again, and tells what came of the plugin.
    pub(super) fn tell(&self, name: &str) -> Result<(), String> {
        let runtime = runtime().map_err(|error| error.to_string())?;
        let refused = |error| format!("it is written, but the running gateway did not take it: {error}");
        if !runtime.block_on(socket::post(&self.data_dir, "/reload")).map_err(refused)? {
            say("no gateway is running here; the next start takes it");
            return Ok(());
        }
        let running = self.running()?.unwrap_or_default();
        let plugin = running.iter().find(|plugin| plugin["name"] == name);
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
    pub(super) fn running(&self) -> Result<Option<Vec<Value>>, String> {
        let runtime = runtime().map_err(|error| error.to_string())?;
        let body = runtime.block_on(async {
            match socket::get(&self.data_dir, "/plugins").await? {
                Some(body) => Ok::<_, anyhow::Error>(Some(body.collect().await?.to_bytes())),
                None => Ok(None),
            }
        });
        let Some(body) = body.map_err(|error| error.to_string())? else { return Ok(None) };
        let all: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        Ok(Some(all["plugins"].as_array().cloned().unwrap_or_default()))
    }
}

/// What to do about a path that can't be used.
pub(super) fn explain(path: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "; run it as root, or as the gateway's own user: sudo -u stile stile ...",
        _ => "",
    };
    format!("{}: {error}{remedy}", path.display())
}
