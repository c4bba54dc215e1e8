//! `stile token`: tokens for programs that use the admin port.

use std::process::ExitCode;

use clap::Subcommand;

use super::person::{Place, tell};
use super::{fail, say, wrong_settings};
use crate::people::{PeopleFile, Role, Token};

/// Make, remove and list tokens for programs that use the API or read the metrics
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A token goes into the header `Authorization: Bearer ...`. Its scope is `metrics`, for /metrics alone, or a role.

Examples:
  stile token add prometheus --scope metrics
  stile token add dashboard --scope viewer
  stile token remove dashboard
  stile token list")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token; it is printed once and kept nowhere
    #[command(after_help = "Example:\n  stile token add prometheus --scope metrics")]
    Add(Add),
    /// Remove a token, which opens nothing from then on
    #[command(after_help = "Example:\n  stile token remove prometheus")]
    Remove(Named),
    /// List all
    #[command(after_help = "Example:\n  stile token list")]
    List(Place),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// What the token is for
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    named: Named,
    /// What it opens
    #[arg(long, value_name = "SCOPE", value_parser = ["metrics", "viewer", "operator", "admin"])]
    scope: String,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let place = match &arguments.what {
        What::Add(add) => &add.named.place,
        What::Remove(named) => &named.place,
        What::List(place) => place,
    };
    let data_dir = match place.data_dir() {
        Ok(dir) => dir,
        Err(problems) => return wrong_settings(&problems),
    };
    let file = PeopleFile::of(&data_dir);
    let changed = match &arguments.what {
        What::Add(add) => file
            .change(|people| {
                let scope = Role::parse(&add.scope).ok_or("no such scope")?;
                people.add_token(&add.named.name, scope, Some("the command line"))
            })
            .map(|(secret, _)| say(&format!("token, shown this once: {secret}"))),
        What::Remove(named) => file.change(|people| people.remove_token(&named.name)).map(drop),
        What::List(_) => {
            return file.read().map(|people| list(&people.token)).map_or_else(|e| fail(&e), |()| ExitCode::SUCCESS);
        }
    };
    changed.map_or_else(|error| fail(&error), |()| tell(&data_dir))
}

fn list(tokens: &[Token]) {
    say(&format!("{:<24} {:<10} {:<22} by", "name", "scope", "since"));
    for token in tokens {
        let made =
            token.made.map_or_else(|| "-".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string());
        say(&format!("{:<24} {:<10} {made:<22} {}", token.name, token.scope, token.made_by.as_deref().unwrap_or("-")));
    }
}
