//! `stile config export` and `import`: the whole set-up as one file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::apply::{How, carry_out};
use crate::changes::{Changes, Wanted};
use crate::cli::socket::{self, Which};
use crate::cli::text::visible;
use crate::cli::{complain, fail, runtime, say, wrong_settings};
use crate::password::Hash;
use crate::setup::{FILE_MAX_BYTES, SetUp, SetUpError, Users};
use crate::users::UsersFile;
use crate::whole_file;

/// The longest passphrase that is read, in bytes.
const PASSPHRASE_MAX_BYTES: u64 = 1024;

/// Write the settings and users into one file, without secrets or sealed by a passphrase
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In it are the files of the settings and the users. Not in it are keys and certificates, the files that `password-file` names,
people and tokens of the admin page, variables, plugins' components and what they remember, sessions and messages. Without a passphrase each secret is left
out, users' passwords among them. With one everything is in it, sealed by argon2id and ChaCha20-Poly1305.

Examples:
  stile config export > set-up.json
  stile config export --passphrase-file passphrase.txt --to set-up.sealed")]
pub(super) struct Export {
    /// Where to; without it, standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
    #[command(flatten)]
    which: Which,
}

/// Take settings and users out of such a file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The settings are taken as by `stile config apply`: checked, in force at once, on trial until they are confirmed. Files of conf.d
that the set-up does not have go. Users that are not there yet are added, and stay; those whose password was left out
get a new one, shown once. Where secrets of the settings were left out, it says in which lines: write the set-up into a
folder with --into, fill them in, and copy the files.

Examples:
  stile config import set-up.sealed --passphrase-file passphrase.txt
  stile config import set-up.json --dry-run
  stile config import set-up.json --into new-settings")]
pub(super) struct Import {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the files into this folder, and change nothing else
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
struct Passphrase {
    /// The passphrase is the first line of this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    fn read(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.passphrase_file else { return Ok(None) };
        let text = read(path, PASSPHRASE_MAX_BYTES)?;
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            Err(format!("{}: its first line is empty", path.display()))
        } else {
            Ok(Some(line.to_owned()))
        }
    }
}

fn read(path: &Path, most: u64) -> Result<String, String> {
    let explain = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut text = String::new();
    File::open(path).map_err(explain)?.take(most + 1).read_to_string(&mut text).map_err(explain)?;
    if text.len() as u64 > most { Err(format!("{}: it is larger than {most} bytes", path.display())) } else { Ok(text) }
}

pub(super) fn export(arguments: &Export) -> ExitCode {
    let loaded = match arguments.which.before_users() {
        Ok(loaded) => loaded,
        Err(problems) => return wrong_settings(&problems),
    };
    let data_dir = arguments.which.named_data_dir().unwrap_or_else(|| loaded.settings.gateway.data_dir.clone());
    let written = || {
        let changes = arguments.which.changes();
        let (texts, passphrase) = (changes.texts()?, arguments.passphrase.read()?);
        let texts = (changes.main_name(), &texts);
        let text = SetUp::export(loaded.settings.clone(), &data_dir, texts, passphrase.as_deref())?;
        let Some(to) = &arguments.to else {
            say(text.trim_end());
            return Ok(());
        };
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        whole_file::write(to, text.as_bytes(), 0o600, folder).map_err(|error| format!("{}: {error}", to.display()))
    };
    written().map_or_else(|error: String| fail(&error), |()| ExitCode::SUCCESS)
}

pub(super) fn import(arguments: &Import) -> ExitCode {
    let set_up = match read_set_up(arguments) {
        Ok(set_up) => set_up,
        Err(error) => return fail(&format!("{}: {error}", arguments.file.display())),
    };
    if let Some(into) = &arguments.into {
        return unpack(&set_up, into).map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS);
    }
    let left_out = set_up.left_out();
    for (file, line) in &left_out {
        complain(&format!("{}, line {line}: a secret was left out", visible(file)));
    }
    if !left_out.is_empty() {
        return fail(&"write it into a folder with --into, and fill these in");
    }
    let changes = arguments.how.which().changes();
    let wanted = match changes.all(&set_up.main, &set_up.small) {
        Ok(wanted) => wanted,
        Err(error) => return fail(&error),
    };
    // Before the settings: those may be refused because nobody could connect.
    if !arguments.how.is_dry()
        && let Err(error) = add_users(&set_up, &changes, arguments, &wanted)
    {
        return fail(&error);
    }
    carry_out(&changes, &wanted, &arguments.how)
}

fn read_set_up(arguments: &Import) -> Result<SetUp, String> {
    let text = read(&arguments.file, FILE_MAX_BYTES)?;
    let passphrase = arguments.passphrase.read()?;
    SetUp::parse(&text, passphrase.as_deref()).map_err(|error| match error {
        SetUpError::Sealed => format!("{error} with --passphrase-file"),
        error => error.to_string(),
    })
}

fn add_users(set_up: &SetUp, changes: &Changes, arguments: &Import, wanted: &Wanted) -> Result<(), String> {
    let Users { all: users, passwords } = set_up.users(Hash::of)?;
    if users.is_empty() {
        return Ok(());
    }
    let data_dir = match arguments.how.which().named_data_dir() {
        Some(named) => named,
        None => changes.data_dir_of(wanted)?,
    };
    whole_file::make_folder(&data_dir, None).map_err(|error| format!("{}: {error}", data_dir.display()))?;
    let added = UsersFile::of(&data_dir).add_new(users)?;
    for name in &added {
        let password = passwords.get(name).map(|new| format!("; password, shown this once: {new}")).unwrap_or_default();
        say(&format!("{}: user added{password}", visible(name)));
    }
    let runtime = runtime().map_err(|error| error.to_string())?;
    let told = runtime.block_on(socket::post(&data_dir, "/users/reload"));
    told.map(drop).map_err(|error| format!("users are written, but the running gateway could not be told: {error}"))
}

fn unpack(set_up: &SetUp, into: &Path) -> Result<(), String> {
    let explain = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let put = |name: &str, text: &str| {
        let path = into.join(name);
        whole_file::write(&path, text.as_bytes(), 0o600, into).map_err(|error| explain(&path, error))?;
        say(&path.display().to_string());
        Ok::<_, String>(())
    };
    whole_file::make_folder(&into.join("conf.d"), None).map_err(|error| explain(into, error))?;
    put("stile.toml", &set_up.main)?;
    for (name, text) in &set_up.small {
        if !Changes::of(&into.join("stile.toml"), Vec::new()).is_name(&format!("conf.d/{name}")) {
            return Err(format!("`{}` is no name of a file of settings", visible(name)));
        }
        put(&format!("conf.d/{name}"), text)?;
    }
    set_up.users.as_ref().map_or(Ok(()), |users| put("users.toml", users))?;
    for (file, line) in set_up.left_out() {
        say(&format!("{}, line {line}: a secret was left out", visible(&file)));
    }
    Ok(())
}
