//! `stile plugin install`: a component into the data folder, and its settings into `conf.d`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::candidate;
use super::place::{Place, tell};
use crate::cli::{fail, say, wrong_settings};
use crate::component::{fingerprint, read};
use crate::config;
use crate::plugins::install::{Candidate, Refused, Wish};
use crate::plugins::site::{Site, explain};
use crate::whole_file::{self, make_folder};

/// Install a plugin, or a newer version of one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A new plugin gets a file of its own in conf.d, with the topics and grants that its manifest asks for: look at them. One
that does not start without settings is installed and not enabled. Of an installed plugin only the component changes, and
only for one that starts with the settings that are there; the version before is kept, and `stile plugin rollback` goes
back to it. A running gateway takes it at once.

Examples:
  stile plugin install parking.wasm
  stile plugin install parking.wasm --name deck-2 --topic 'lora/deck-2/up'
  stile plugin install parking.wasm --settings settings.json --tick 30s")]
pub(super) struct Arguments {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is called here; without it, what its manifest says
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Topics that it judges; may be given again. Without it, those that its manifest names
    #[arg(long = "topic", value_name = "FILTER")]
    topics: Vec<String>,
    /// Its settings, a JSON file; they are written as TOML
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Time between its ticks, 100 ms to 7 days. Without it, what its manifest says
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    tick: Option<Duration>,
    #[command(flatten)]
    place: Place,
}

impl Arguments {
    /// Whether they say what only a new plugin gets.
    fn describe(&self) -> bool {
        !self.topics.is_empty() || self.settings.is_some() || self.tick.is_some()
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = match arguments.place.find_locked() {
        Ok(found) => found.and_then(|(site, _lock)| install(arguments, &site)),
        Err(problems) => return wrong_settings(&problems),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn install(arguments: &Arguments, site: &Site) -> Result<(), String> {
    let at_file = |error: String| format!("{}: {error}", arguments.file.display());
    let component = read(&arguments.file).map_err(at_file)?;
    let wish = Wish {
        name: arguments.name.clone(),
        topics: arguments.topics.clone(),
        settings: candidate::settings(arguments.settings.as_deref())?,
        tick: arguments.tick,
    };
    let candidate = Candidate::of(&component, &wish, site, &candidate::load);
    let candidate = candidate.map_err(|refused| at_file(format!("{refused}{}", option(&refused))))?;
    let (name, enabled) = (&candidate.wanted.name, candidate.why_not.is_none());
    if !candidate.is_new && arguments.describe() {
        let what = "--topic, --settings and --tick are for a new one; change its settings where they stand";
        return Err(format!("the plugin `{name}` is installed already, and {what}"));
    }
    // Whatever can fail comes before the component changes.
    let new = candidate.is_new.then(|| candidate.new_settings(enabled, site)).transpose()?;
    let before = site.put(&component, name)?;
    say(&format!("{name}: installed, {}", fingerprint(&component)));
    if before {
        say(&format!("the version before is kept; `stile plugin rollback {name}` goes back to it"));
    }
    if let Some((file, text)) = new {
        write_settings(&file, &text, &candidate.wanted, site)?;
        // With settings that can't be used the gateway would not start again.
        if let Err(problems) = arguments.place.find() {
            fs::remove_file(&file).map_err(|error| explain(&file, &error))?;
            return Err(format!("its settings can't be used, and were removed again: {problems}"));
        }
        say(&format!("{}: its topics, grants and settings", file.display()));
        if let Some(why) = &candidate.why_not {
            say(&format!(
                "it is not enabled, since it does not start: {why}\n\
                 write its [plugin.settings] there, and then: stile plugin enable {name}"
            ));
        }
    } else if let Some(why) = &candidate.why_not {
        say(&format!("it is not enabled, and would not start: {why}"));
    }
    tell(site, name)
}

/// The option by which somebody gives what is missing.
fn option(refused: &Refused) -> &'static str {
    match refused {
        Refused::Name | Refused::Taken { .. } => " (--name)",
        Refused::Topics => " (--topic)",
        Refused::Other(_) => "",
    }
}

/// Writes the settings of a new plugin, readable to whoever may read the main file.
fn write_settings(file: &Path, text: &str, plugin: &config::Plugin, site: &Site) -> Result<(), String> {
    let main = site.main();
    let folder = file.parent().unwrap_or(Path::new(""));
    let above = main.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = make_folder(folder, Some(above)).and_then(|()| {
        // Among its settings may be secrets.
        let most = if plugin.settings.as_object().is_some_and(|all| !all.is_empty()) { 0o640 } else { 0o644 };
        let mode = fs::metadata(main)?.mode() & most;
        whole_file::write(file, text.as_bytes(), mode, main)
    });
    written.map_err(|error| explain(file, &error))
}
