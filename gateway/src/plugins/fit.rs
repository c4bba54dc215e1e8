//! Whether a component is what an operator wants under these settings, found without running it. The same is asked at
//! each load, by `stile check` and by `stile plugin inspect`.
//!
//! The signature comes first: of a component that nobody vouches for, nothing else is read.

use std::fmt;

use crate::component::{Manifest, Mismatch, Shape, plain};
use crate::config::{self, Grant, Require, Trust};
use crate::signature::{Signer, signer};

/// What to do about a component that is no good.
const ANOTHER: &str = "build it anew, or name another one in `file`";

/// The most that is said of one plugin.
const MISFITS_MAX: usize = 20;

/// Why a component can't run under its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Keys of the plugin's section that lead to it.
    pub at: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// All of them in one line.
pub fn said(misfits: &[Misfit]) -> String {
    misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn misfit(at: &[&str], what: impl Into<String>, remedy: impl Into<String>) -> Misfit {
    Misfit { at: at.iter().map(|key| (*key).to_owned()).collect(), what: what.into(), remedy: remedy.into() }
}

/// A component that fits, as far as that can be told.
#[derive(Debug)]
pub struct Fit {
    /// Who signed it.
    pub signer: Signer,
    /// What its author says of it.
    pub manifest: Option<Manifest>,
    /// The settings, with what the manifest says where they say nothing.
    pub settings: config::Plugin,
}

/// Holds a component against the settings of a plugin.
///
/// # Errors
/// All that does not fit.
pub fn fit(component: &[u8], settings: &config::Plugin, trust: &Trust) -> Result<Fit, Vec<Misfit>> {
    let signer = allowed(component, trust).map_err(|misfit| vec![misfit])?;
    let (shape, manifest) = readable(component).map_err(|misfit| vec![misfit])?;
    let mut misfits = Vec::new();
    let mut settings = settings.clone();
    if let Some(manifest) = &manifest {
        misfits.extend(grants(manifest, &settings));
        misfits.extend(own_settings(manifest, &settings));
        settings.tick = settings.tick.or(manifest.tick);
        if settings.topics.is_empty() {
            settings.topics.clone_from(&manifest.topics);
        }
    }
    let says = if manifest.is_some() { "its manifest says none" } else { "it has no manifest that says some" };
    if settings.topics.is_empty() {
        let remedy = "write `topics = [\"lora/+/up\"]` with the filters of the messages it is to judge";
        misfits.push(misfit(&["topics"], format!("`topics` is missing in [[plugin]], and {says}"), remedy));
    }
    if settings.tick.is_none() && shape.ticks() {
        let what = format!("it acts as time goes by, `tick` is missing in [[plugin]], and {says}");
        misfits.push(misfit(&["tick"], what, "set `tick`, such as `tick = \"10s\"`"));
    }
    misfits.truncate(MISFITS_MAX);
    if misfits.is_empty() { Ok(Fit { signer, manifest, settings }) } else { Err(misfits) }
}

/// Who signed a component that may run.
///
/// # Errors
/// Why it may not.
pub fn allowed(component: &[u8], trust: &Trust) -> Result<Signer, Misfit> {
    let remedy = "sign it with `stile plugin sign`, or take one that is signed by somebody you trust";
    let signer = signer(component, &trust.trusted_keys).map_err(|why| misfit(&["file"], why, ANOTHER))?;
    if trust.require == Require::Nothing {
        return Ok(signer);
    }
    match signer {
        Signer::Trusted(..) => Ok(signer),
        Signer::Nobody => Err(misfit(&["file"], "it is not signed, and [plugins] requires that it is", remedy)),
        Signer::Unknown(key) => {
            let key = key.map_or("a key".to_owned(), |key| format!("the key {key}"));
            Err(misfit(&["file"], format!("it is signed by {key}, which is not in [plugins.trusted-keys]"), remedy))
        }
    }
}

/// What can be read off a component that this version can have as a filter.
fn readable(component: &[u8]) -> Result<(Shape<'_>, Option<Manifest>), Misfit> {
    let wrong = |why| misfit(&["file"], why, ANOTHER);
    let shape = Shape::of(component).map_err(wrong)?;
    shape.check().map_err(wrong)?;
    let manifest = Manifest::of(&shape).map_err(wrong)?;
    Ok((shape, manifest))
}

fn grants(manifest: &Manifest, settings: &config::Plugin) -> Option<Misfit> {
    let known = |grant: &&String| Grant::ALL.iter().any(|known| known.as_str() == grant.as_str());
    if let Some(unknown) = manifest.grants.iter().find(|grant| !known(grant)) {
        let remedy = "take a newer version of Stile, or an older one of the plugin";
        return Some(misfit(&["file"], format!("it needs `{unknown}`, which this version does not have"), remedy));
    }
    let granted: Vec<&str> = settings.grants.iter().map(|grant| grant.as_str()).collect();
    let lacking: Vec<&str> =
        manifest.grants.iter().map(String::as_str).filter(|grant| !granted.contains(grant)).collect();
    if lacking.is_empty() {
        return None;
    }
    let what = format!("it needs `{}`, which `grants` in [[plugin]] does not have", lacking.join("`, `"));
    let all: Vec<String> = granted.iter().chain(&lacking).map(|grant| format!("\"{grant}\"")).collect();
    Some(misfit(&["grants"], what, format!("write `grants = [{}]` if it may have it", all.join(", "))))
}

fn own_settings(manifest: &Manifest, settings: &config::Plugin) -> Vec<Misfit> {
    match manifest.settings.check(&settings.settings) {
        Ok(found) => found.into_iter().map(mismatch).collect(),
        Err(why) => {
            vec![misfit(&["file"], format!("its manifest is not good: the schema of its settings: {why}"), ANOTHER)]
        }
    }
}

fn mismatch(found: Mismatch) -> Misfit {
    let Mismatch { at, what, remedy } = found;
    let what = match at.as_slice() {
        [] => format!("[plugin.settings] {what}"),
        keys => format!("`{}` in [plugin.settings] {what}", dotted(keys)),
    };
    Misfit { at: std::iter::once("settings".to_owned()).chain(at).collect(), what, remedy }
}

/// Keys as TOML has them.
fn dotted(keys: &[String]) -> String {
    let bare = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let written = keys.iter().map(|key| if bare(key) { key.clone() } else { format!("\"{}\"", plain(key)) });
    written.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests;
