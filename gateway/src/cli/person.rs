//! `stile person`: who may sign in to the admin page.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use http_body_util::BodyExt;

use super::socket::{self, Which};
use super::user::Password;
use super::{fail, runtime, say, wrong_settings};
use crate::config::Problems;
use crate::password::Hash;
use crate::people::{self, PeopleFile, Person, Role};

/// Add, remove and list those who may sign in to the admin page
#[derive(Debug, clap::Args)]
#[command(after_help = "\
People are kept in people.toml in the data folder; a running gateway is told at once. They are not MQTT's users: those
are of `stile user`.

Examples:
  stile person add anna --role admin
  stile person add visitor --role viewer --password-stdin < visitor.password
  stile person passwd anna                  for who has forgotten it
  stile person role visitor operator
  stile person remove visitor
  stile person list")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add somebody; prints a new password once, unless one is given
    #[command(after_help = "Example:\n  stile person add anna --role admin")]
    Add(Add),
    /// Remove somebody, who is signed out
    #[command(after_help = "Example:\n  stile person remove anna")]
    Remove(Named),
    /// Give somebody another password; who is signed in with the old one is signed out
    #[command(after_help = "Example:\n  stile person passwd anna")]
    Passwd(Passwd),
    /// Give somebody another role
    #[command(after_help = "Example:\n  stile person role anna operator")]
    Role(NewRole),
    /// List all
    #[command(after_help = "Example:\n  stile person list")]
    List(Place),
    /// Print the code by which the first admin sets the page up, as the log has it
    #[command(after_help = "Example:\n  stile person code")]
    Code(Place),
}

/// The gateway whose people they are.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The name to sign in with
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    named: Named,
    /// What the person may do: see everything, operate, or change everything
    #[arg(long, value_name = "ROLE", value_parser = ["viewer", "operator", "admin"])]
    role: String,
    #[command(flatten)]
    password: Password,
}

#[derive(Debug, clap::Args)]
struct Passwd {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    password: Password,
}

#[derive(Debug, clap::Args)]
struct NewRole {
    #[command(flatten)]
    named: Named,
    /// What the person may do from now on
    #[arg(value_name = "ROLE", value_parser = ["viewer", "operator", "admin"])]
    role: String,
}

impl Place {
    /// The data folder. Settings that lack nothing but MQTT's users will do.
    pub(super) fn data_dir(&self) -> Result<PathBuf, Problems> {
        match self.which.named_data_dir() {
            Some(dir) => Ok(dir),
            None => Ok(self.which.before_users()?.settings.gateway.data_dir),
        }
    }
}

impl What {
    fn place(&self) -> &Place {
        match self {
            Self::Add(add) => &add.named.place,
            Self::Remove(named) => &named.place,
            Self::Passwd(passwd) => &passwd.named.place,
            Self::Role(role) => &role.named.place,
            Self::List(place) | Self::Code(place) => place,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let data_dir = match arguments.what.place().data_dir() {
        Ok(dir) => dir,
        Err(problems) => return wrong_settings(&problems),
    };
    let file = PeopleFile::of(&data_dir);
    let changed = match &arguments.what {
        What::Add(add) => new_password(&add.password, |hash| {
            let role = Role::parse(&add.role).ok_or("no such role")?;
            std::fs::create_dir_all(&data_dir).map_err(|error| format!("{}: {error}", data_dir.display()))?;
            file.change(|people| people.add(&add.named.name, role, hash)).map(drop)
        }),
        What::Remove(named) => file.change(|people| people.remove(&named.name)).map(drop),
        What::Passwd(passwd) => new_password(&passwd.password, |hash| {
            file.change(|people| people.change(&passwd.named.name, |person| person.hash = hash)).map(drop)
        }),
        What::Role(new) => file
            .change(|people| {
                let role = Role::parse(&new.role).ok_or("no such role")?;
                people.change(&new.named.name, |person| person.role = role)
            })
            .map(drop),
        What::Code(_) => return code(&data_dir).map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS),
        What::List(_) => {
            return file.read().map(|people| list(&people.person)).map_or_else(|e| fail(&e), |()| ExitCode::SUCCESS);
        }
    };
    changed.map_or_else(|error| fail(&error), |()| tell(&data_dir))
}

/// Takes or makes a password, hands on its hash, and shows what was made when that has been taken.
fn new_password(password: &Password, take: impl FnOnce(Hash) -> Result<(), String>) -> Result<(), String> {
    let (text, generated) = password.text()?;
    people::check_password(&text)?;
    take(Hash::of(&text)?)?;
    if generated {
        say(&format!("password, shown this once: {text}"));
    }
    Ok(())
}

/// Asks the running gateway.
fn code(data_dir: &Path) -> Result<(), anyhow::Error> {
    runtime()?.block_on(async {
        let Some(body) = socket::get(data_dir, "/setup-code").await? else {
            anyhow::bail!("no gateway is running here; the code is another after each start");
        };
        say(String::from_utf8_lossy(&body.collect().await?.to_bytes()).trim_end());
        Ok(())
    })
}

fn list(people: &[Person]) {
    say(&format!("{:<24} {:<10} since", "name", "role"));
    for person in people {
        let made =
            person.made.map_or_else(|| "-".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string());
        say(&format!("{:<24} {:<10} {made}", person.name, person.role));
    }
}

/// Has the running gateway read the file again, and says whether there is one.
pub(super) fn tell(data_dir: &Path) -> ExitCode {
    let told = runtime()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(socket::post(data_dir, "/people/reload")));
    match told {
        Ok(true) => say("the running gateway knows"),
        Ok(false) => say("no gateway is running here"),
        Err(error) => return fail(&format!("it is written, but the running gateway could not be told: {error}")),
    }
    ExitCode::SUCCESS
}
