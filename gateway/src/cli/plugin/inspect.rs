//! `stile plugin inspect`: what a component is, found without running it.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Keys, text};
use crate::cli::{fail, say, wrong_settings};
use crate::component::{Key, Manifest, Shape, fingerprint, plain, read};
use crate::config::Trust;
use crate::message::TopicFilter;
use crate::plugins::fit::allowed;
use crate::signature::{Signer, signer};

/// Say what a component is and asks for, who signed it, and whether this gateway would run it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing of it is run, and no gateway need run either. Exit code: 0 when this gateway would take it as a plugin, as far as
that can be told without compiling it, 1 when not.

Examples:
  stile plugin inspect parking.wasm
  stile plugin inspect --json parking.wasm")]
pub(super) struct Arguments {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// As one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: Keys,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let trust = match arguments.keys.trust() {
        Ok(trust) => trust,
        Err(problems) => return wrong_settings(&problems),
    };
    let found = read(&arguments.file).and_then(|bytes| look(&bytes, &trust));
    match found {
        Ok(found) => {
            say(&if arguments.json { format!("{found:#}") } else { text::page(&found) });
            if found["refused"].is_null() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&format!("{}: {error}", arguments.file.display())),
    }
}

/// All that can be told of a component.
fn look(bytes: &[u8], trust: &Trust) -> Result<Value, String> {
    let shape = Shape::of(bytes)?;
    let manifest = Manifest::of(&shape);
    let unfit = shape.check().err().or_else(|| manifest.as_ref().err().cloned());
    let refused = unfit.or_else(|| allowed(bytes, trust).err().map(|misfit| misfit.to_string()));
    Ok(json!({
        "size": bytes.len(),
        "sha256": fingerprint(bytes),
        "imports": names(&shape.imports),
        "exports": names(&shape.exports),
        "signer": signed_by(&signer(bytes, &trust.trusted_keys)),
        "manifest": manifest.ok().flatten().as_ref().map(of_manifest),
        "refused": refused,
    }))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| plain(name)).collect()
}

fn signed_by(signer: &Result<Signer, String>) -> Value {
    match signer {
        Ok(Signer::Nobody) => Value::Null,
        Ok(Signer::Unknown(key)) => json!({ "trusted": false, "key": key }),
        Ok(Signer::Trusted(name, key)) => json!({ "trusted": true, "key": key, "name": name }),
        Err(why) => json!({ "trusted": false, "error": why }),
    }
}

fn of_manifest(manifest: &Manifest) -> Value {
    let key = |key: Key| {
        json!({
            "name": key.name,
            "type": key.kind,
            "default": key.default,
            "required": key.required,
            "secret": key.secret,
            "description": key.description,
        })
    };
    json!({
        "name": manifest.name,
        "version": manifest.version,
        "description": manifest.description,
        "topics": manifest.topics.iter().map(TopicFilter::as_str).collect::<Vec<_>>(),
        "grants": manifest.grants,
        "tick": manifest.tick.map(|tick| humantime::format_duration(tick).to_string()),
        "settings": manifest.settings.keys().into_iter().map(key).collect::<Vec<_>>(),
    })
}
