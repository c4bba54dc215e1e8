//! `stile user`: who may connect, and what each may do.

mod change;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::socket::Which;
use super::{fail, say, wrong_settings};
use crate::broker::Operation;
use crate::config::{Problems, Settings};
use crate::users::UsersFile;

/// Add, remove and list those who may connect, and ask what they may do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Users are kept in users.toml in the data folder; a running gateway is told at once. Those of the settings, in
[[broker.user]], are changed there.

Examples:
  stile user add boiler-room --group devices
  stile user add collector --subscribe 'devices/#' --subscribe 'serial/+/up'
  stile user add ops --all --password-stdin < ops.password
  stile user passwd boiler-room
  stile user may boiler-room publish devices/boiler-room/temperature
  stile user remove boiler-room
  stile user list")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a user; prints a new password once, unless one is given
    #[command(after_help = "\
Filters may have %u for the user's name and %c for the client id.

Examples:
  stile user add boiler-room --group devices
  stile user add boiler-room --publish 'devices/%u/#' --subscribe 'devices/%u/#'
  stile user add ops --all --password-stdin < ops.password")]
    Add(Add),
    /// Remove a user; its clients are disconnected
    #[command(after_help = "Example:\n  stile user remove boiler-room")]
    Remove(Named),
    /// Give a user another password; its clients are disconnected
    #[command(after_help = "\
Examples:
  stile user passwd boiler-room
  stile user passwd ops --password-stdin < ops.password")]
    Passwd(Passwd),
    /// List all users
    #[command(after_help = "Example:\n  stile user list")]
    List(Place),
    /// Say whether a user may do something, and by which right; exit code 0 for yes, 1 for no
    #[command(after_help = "\
Examples:
  stile user may boiler-room publish devices/boiler-room/temperature
  stile user may boiler-room subscribe 'devices/#' --client pump-1")]
    May(May),
}

/// The gateway whose users they are.
#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    named: Named,
    /// A group of the settings whose rights the user has; may be given again
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// What the user may publish to; may be given again
    #[arg(long, value_name = "FILTER")]
    publish: Vec<String>,
    /// What the user may subscribe to; may be given again
    #[arg(long, value_name = "FILTER")]
    subscribe: Vec<String>,
    /// The user may do everything
    #[arg(long, required_unless_present_any = ["groups", "publish", "subscribe"],
        conflicts_with_all = ["groups", "publish", "subscribe"])]
    all: bool,
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
pub(super) struct Password {
    /// Read the password from standard input, up to the end of the line
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The MQTT user name
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct May {
    #[command(flatten)]
    named: Named,
    /// What the user wants to do
    what: Wish,
    /// A topic, or the filter of a subscription
    topic: String,
    /// The client id, for rights with %c
    #[arg(long, value_name = "ID")]
    client: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wish {
    Publish,
    Subscribe,
}

impl From<Wish> for Operation {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::Publish => Self::Publish,
            Wish::Subscribe => Self::Subscribe,
        }
    }
}

/// A gateway's settings, and where its users are.
struct Found {
    settings: Settings,
    data_dir: PathBuf,
    file: UsersFile,
}

impl Place {
    /// Settings that lack nothing but users will do: the first one is about to be added.
    fn find(&self) -> Result<Found, Problems> {
        let settings = self.which.before_users()?.settings;
        let data_dir = self.which.named_data_dir().unwrap_or_else(|| settings.gateway.data_dir.clone());
        let file = UsersFile::of(&data_dir);
        Ok(Found { settings, data_dir, file })
    }
}

impl What {
    fn place(&self) -> &Place {
        match self {
            Self::Add(add) => &add.named.place,
            Self::Remove(named) => &named.place,
            Self::Passwd(passwd) => &passwd.named.place,
            Self::List(place) => place,
            Self::May(may) => &may.named.place,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let place = arguments.what.place();
    let found = match place.find() {
        Ok(found) => found,
        Err(problems) => return wrong_settings(&problems),
    };
    let changed = match &arguments.what {
        What::Add(add) => change::add(&found, add),
        What::Remove(named) => change::remove(&found, &named.name),
        What::Passwd(passwd) => change::passwd(&found, passwd),
        What::List(_) => return show::list(&found).map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS),
        What::May(may) => return show::may(&found, may).unwrap_or_else(|error| fail(&error)),
    };
    if let Err(error) = changed {
        return fail(&error);
    }
    match change::tell(&found) {
        Ok(true) => say("the running gateway knows"),
        Ok(false) => say("no gateway is running here"),
        Err(error) => return fail(&format!("it is written, but the running gateway could not be told: {error}")),
    }
    ExitCode::SUCCESS
}
