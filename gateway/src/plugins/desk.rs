//! Changes of the plugins of the gateway that runs. All of it blocks: each waits for whoever changes plugins at the same time,
//! is asked first, written, and told of when the gateway has taken it. What the gateway does not take is given back.
//!
//! Settings are changed by [`Changes`]: each is on trial until the gateway has taken it, so that a power cut in between takes
//! it back, and stands in the history with who made it.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::install::{Candidate, Refused, Wish, roll_back, starts};
use super::site::{Site, explain, regular};
use super::{Plugins, edit};
use crate::changes::{CONFIRM_WITHIN, ChangeError, Changes, Wanted};
use crate::component::{MAX_BYTES, fingerprint, has_text, plain, read};
use crate::config::{self, MASK};

/// Why a change was not made, or is not in force.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is no such plugin in the settings.
    #[error("there is no plugin `{0}`")]
    Unknown(String),
    /// It can't be, in words. Nothing has changed.
    #[error("{0}")]
    Refused(String),
    /// It could not be written, or the gateway did not take it, in words.
    #[error("{0}")]
    Failed(String),
}

impl From<String> for DeskError {
    fn from(words: String) -> Self {
        Self::Failed(words)
    }
}

impl From<Refused> for DeskError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.to_string())
    }
}

impl From<ChangeError> for DeskError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Wrong(problems) => Self::Refused(format!("the settings would be wrong: {problems}")),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// What was installed.
#[derive(Debug)]
pub struct Installed {
    /// What it is called here.
    pub name: String,
    /// SHA-256 of it in hex.
    pub hash: String,
    /// Whether there was none of this name before; then it is not enabled.
    pub is_new: bool,
    /// Whether a version before is kept.
    pub keeps_previous: bool,
    /// Why it does not start with its settings, if it does not.
    pub why_not: Option<String>,
}

/// See the module's head.
pub struct Desk<'a> {
    /// Those of the gateway.
    pub plugins: &'a Plugins,
    /// Its settings.
    pub changes: &'a Changes,
    /// Who changes something, for the history.
    pub by: &'a str,
    /// Has the gateway read its settings again, and waits until it has taken them.
    pub reload: &'a dyn Fn() -> Result<(), String>,
}

impl Desk<'_> {
    /// Has messages go through a plugin, or past it. Gives whether that is another state than before.
    ///
    /// # Errors
    /// [`DeskError`]; what does not start is not enabled.
    pub fn switch(&self, name: &str, enabled: bool) -> Result<bool, DeskError> {
        let (site, _lock) = self.site()?;
        let plugin = known(&site, name)?;
        if plugin.enabled == enabled {
            return Ok(false);
        }
        if enabled {
            let started = starts(&component(plugin)?, plugin, &site, &self.loader()).and_then(|started| started);
            started.map_err(|why| DeskError::Refused(format!("it does not start: {why}; nothing has changed")))?;
        }
        self.change(&self.edit(|text| edit::enabled(text, name, enabled))?)?;
        if enabled {
            self.is_loaded(name)?;
        }
        Ok(true)
    }

    /// Installs a component from a file that is open at its beginning: a new plugin, which is not enabled, or another version
    /// of one that is installed, which takes its place at once.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn install(&self, mut file: File, wish: &Wish) -> Result<Installed, DeskError> {
        let (site, _lock) = self.site()?;
        let mut component = Vec::new();
        let taken = file.by_ref().take(MAX_BYTES as u64 + 1).read_to_end(&mut component);
        taken.map_err(|error| format!("what was uploaded can't be read: {error}"))?;
        let candidate = Candidate::of(&component, wish, &site, &self.loader())?;
        let Candidate { wanted, is_new, why_not } = &candidate;
        let name = &wanted.name;
        // Whatever can fail comes before the component changes.
        let new = if *is_new { Some(candidate.new_settings(false, &site)?) } else { None };
        let was_there = regular(&site.component(name))?.is_some();
        let keeps_previous = site.put(&component, name)?;
        match new {
            Some((file, text)) => {
                let written = self.change(&Wanted::from([(in_folder(&file), Some(text))]));
                if let Err(error) = written {
                    if !was_there {
                        // Without settings it is nobody's.
                        let _ = fs::remove_file(site.component(name));
                    }
                    return Err(error);
                }
            }
            None => (self.reload)().map_err(|error| {
                format!("it is written, but the gateway did not take it: {error}; the version before is kept")
            })?,
        }
        if wanted.enabled && !is_new {
            self.is_loaded(name)?;
        }
        let hash = fingerprint(&component);
        Ok(Installed { name: name.clone(), hash, is_new: *is_new, keeps_previous, why_not: why_not.clone() })
    }

    /// Goes back to the version before; gives its SHA-256.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn roll_back(&self, name: &str) -> Result<String, DeskError> {
        let (site, _lock) = self.site()?;
        let enabled = known(&site, name)?.enabled;
        let back = roll_back(name, &site, &self.loader()).map_err(DeskError::Refused)?;
        (self.reload)().map_err(|error| format!("it is written, but the gateway did not take it: {error}"))?;
        if enabled {
            self.is_loaded(name)?;
        }
        Ok(back.hash)
    }

    /// Gives a plugin another place on the messages' way, from 0; beyond the last is the last. Gives the names in their new
    /// order.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn place(&self, name: &str, place: usize) -> Result<Vec<String>, DeskError> {
        let (site, _lock) = self.site()?;
        known(&site, name)?;
        let before: Vec<_> = site.loaded.settings.plugin.iter().map(|plugin| plugin.name.clone()).collect();
        let mut names: Vec<_> = before.iter().filter(|other| *other != name).cloned().collect();
        names.insert(place.min(names.len()), name.to_owned());
        if names == before {
            return Ok(names);
        }
        let texts = self.changes.texts()?;
        // Where it is said already, or else in the main file.
        let file = texts.iter().find(|(_, text)| edit::has_order(text)).map(|(file, _)| file.as_str());
        let file = file.unwrap_or(self.changes.main_name());
        let text = texts.get(file).map_or("", String::as_str);
        let changed = edit::order(text, &names).map_err(|error| format!("{file}: {error}"))?;
        self.change(&Wanted::from([(file.to_owned(), Some(changed))]))?;
        Ok(names)
    }

    /// Gives a plugin other settings of its own. Gives why it does not start with them, if it does not and is not enabled.
    /// `seen`: those that they were made of; without any, nobody minds what others did.
    ///
    /// # Errors
    /// [`DeskError`]; settings that do not fit its schema are refused.
    pub fn configure(
        &self,
        name: &str,
        settings: &Map<String, Value>,
        seen: Option<&Value>,
    ) -> Result<Option<String>, DeskError> {
        let (site, _lock) = self.site()?;
        let plugin = known(&site, name)?;
        if seen.is_some_and(|seen| *seen != plugin.settings) {
            let why =
                "its settings in the files are others than those in force; have them read, and make the change anew";
            return Err(DeskError::Failed(why.to_owned()));
        }
        let old = plugin.settings.as_object().cloned().unwrap_or_default();
        if old == *settings {
            return Ok(None);
        }
        let wanted = config::Plugin { settings: Value::Object(settings.clone()), ..plugin.clone() };
        if has_text(&wanted.settings, MASK) {
            // Whoever got the settings to change them did not get the secrets.
            return Err(DeskError::Refused(format!("`{MASK}` stands where a secret was; write the secret")));
        }
        let component = component(plugin)?;
        if let Some(manifest) = super::install::manifest(&component).ok().flatten() {
            let misfits = manifest.settings.check(&wanted.settings).map_err(DeskError::Refused)?;
            if let Some(first) = misfits.first() {
                let key = plain(&first.at.join("."));
                return Err(DeskError::Refused(format!("`{key}` {}; {}", first.what, first.remedy)));
            }
        }
        let why_not = starts(&component, &wanted, &site, &self.loader()).map_or_else(Some, Result::err);
        if let Some(why) = why_not.as_ref().filter(|_| plugin.enabled) {
            return Err(DeskError::Refused(format!("it does not start with these: {why}; nothing has changed")));
        }
        self.change(&self.edit(|text| edit::settings(text, name, &old, settings))?)?;
        if plugin.enabled {
            self.is_loaded(name)?;
        }
        Ok(why_not)
    }

    /// The gateway's plugins at rest, for nobody else to change until the file is dropped.
    fn site(&self) -> Result<(Site, File), DeskError> {
        let find = || {
            let loaded = self.changes.loaded();
            loaded.map(|loaded| Site::of(loaded, None)).map_err(|problems| DeskError::Failed(problems.to_string()))
        };
        let lock = find()?.lock()?;
        // Read anew: whoever held it may have changed what was read before.
        Ok((find()?, lock))
    }

    fn loader(&self) -> impl Fn(&[u8], crate::plugin_host::engine::Code) -> Result<crate::plugin_host::Loaded, String> {
        |component, code| self.plugins.maker.load(component, code)
    }

    /// The one file of the settings that changes.
    fn edit(&self, change: impl Fn(&str) -> Result<Option<String>, String>) -> Result<Wanted, DeskError> {
        for (file, text) in self.changes.texts()? {
            if let Some(changed) = change(&text).map_err(|error| DeskError::Refused(format!("{file}: {error}")))? {
                return Ok(Wanted::from([(file, Some(changed))]));
            }
        }
        Err(DeskError::Failed("no file of the settings has the plugin any more".to_owned()))
    }

    /// Writes settings and has the gateway take them; gives them back where it does not.
    fn change(&self, wanted: &Wanted) -> Result<(), DeskError> {
        let (entry, _) = self.changes.apply(wanted, self.by, Some(CONFIRM_WITHIN))?;
        self.changes.have_taken(entry.number, self.reload)?;
        self.changes.confirm_and_tell(Some(entry.number), self.by, self.reload)?;
        Ok(())
    }

    fn is_loaded(&self, name: &str) -> Result<(), DeskError> {
        let shown = self.plugins.shown().into_iter().find(|shown| shown.name == name);
        match shown.and_then(|shown| shown.load_error) {
            Some(error) => Err(DeskError::Failed(format!("it is written, but the gateway could not load it: {error}"))),
            None => Ok(()),
        }
    }
}

fn known<'a>(site: &'a Site, name: &str) -> Result<&'a config::Plugin, DeskError> {
    site.plugin(name).ok_or_else(|| DeskError::Unknown(plain(name)))
}

fn component(plugin: &config::Plugin) -> Result<Vec<u8>, DeskError> {
    read(&plugin.file).map_err(|why| DeskError::Refused(format!("{}: {why}", plugin.file.display())))
}

/// What a file in `conf.d` is called among the settings.
fn in_folder(file: &Path) -> String {
    format!("conf.d/{}", file.file_name().unwrap_or_default().to_string_lossy())
}

/// A file without a name in the data folder, for what is uploaded: gone with the process, however that ends.
///
/// # Errors
/// In words.
pub fn upload(changes: &Changes) -> Result<File, String> {
    let loaded = changes.loaded().map_err(|problems| problems.to_string())?;
    let folder = Site::of(loaded, None).data_dir;
    tempfile::tempfile_in(&folder).map_err(|error| explain(&folder, &error))
}

/// Whether a version before is kept. Looks at the disk.
pub fn keeps_previous(changes: &Changes, name: &str) -> bool {
    let site = changes.loaded().map(|loaded| Site::of(loaded, None));
    site.is_ok_and(|site| {
        site.plugin(name).is_some_and(|plugin| site.has_installed(plugin)) && site.previous(name).is_file()
    })
}
