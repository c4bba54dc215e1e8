//! `stile check`: everything that is wrong with the settings, at once.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{ConfigFile, say, wrong_settings};
use crate::component::{plain, read};
use crate::config::{Loaded, Plugin, Problem, Problems, Severity, Trust, Written};
use crate::plugins::fit::fit;

/// Check the settings and say everything that is wrong with them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code: 0 when they can be used, 78 when not. The components of plugins are looked into, but not run. A gateway starts and
reloads also when one of them does not fit; --settings-only asks what keeps it from that.

Examples:
  stile check
  stile check ./stile.toml
  stile check --settings-only")]
pub(super) struct Arguments {
    /// The settings; conf.d/*.toml beside it are read too
    #[arg(value_name = "FILE", env = "STILE_CONFIG", default_value = super::DEFAULT_CONFIG)]
    file: PathBuf,
    /// Leave the components of plugins alone
    #[arg(long)]
    settings_only: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let file = ConfigFile { config: arguments.file.clone() };
    match file.load() {
        Ok(loaded) => {
            let mut problems = Problems(loaded.warnings.clone());
            if !arguments.settings_only {
                problems.0.extend(plugins(&loaded));
            }
            if problems.errors() > 0 {
                return wrong_settings(&problems);
            }
            for warning in &problems.0 {
                say(&warning.to_string());
            }
            let (files, radios) = (loaded.files.len(), loaded.settings.radio.len());
            say(&format!("{}: good ({files} files, {radios} radios)", arguments.file.display()));
            ExitCode::SUCCESS
        }
        Err(problems) => wrong_settings(&problems),
    }
}

/// What does not fit between plugins' settings and their components.
fn plugins(loaded: &Loaded) -> Vec<Problem> {
    let settings = &loaded.settings;
    let pairs = settings.plugin.iter().zip(&loaded.plugins);
    pairs.flat_map(|(plugin, written)| of_plugin(plugin, written, &settings.plugins)).collect()
}

fn of_plugin(plugin: &Plugin, written: &Written, trust: &Trust) -> Vec<Problem> {
    let (name, file) = (&plugin.name, plain(&plugin.file.to_string_lossy()));
    let problem = |at: &[String], severity, what: String, remedy: String| {
        written.problem(at.iter().map(String::as_str), severity, what, remedy)
    };
    let at_file = ["file".to_owned()];
    // One that is not enabled is not run, whatever it is.
    let severity = if plugin.enabled { Severity::Error } else { Severity::Warning };
    // Settings may be checked where the components are not.
    if !plugin.file.try_exists().unwrap_or(false) {
        let what =
            format!("plugin `{name}`: {file} is not there or can't be reached, so its settings were not checked");
        let remedy = "put the component there, or name another one".to_owned();
        return vec![problem(&at_file, Severity::Warning, what, remedy)];
    }
    let component = match read(&plugin.file) {
        Ok(component) => component,
        Err(why) => {
            let remedy = "name a component that the gateway may read".to_owned();
            return vec![problem(&at_file, severity, format!("plugin `{name}`: {file}: {why}"), remedy)];
        }
    };
    let misfits = fit(&component, plugin, trust).err().unwrap_or_default();
    let found = misfits
        .into_iter()
        .map(|misfit| problem(&misfit.at, severity, format!("plugin `{name}`: {}", misfit.what), misfit.remedy));
    found.collect()
}
