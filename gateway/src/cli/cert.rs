//! `stile cert`: a certificate for the gateway, signed by an authority of its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Subcommand;

use super::{ConfigFile, fail, say, wrong_settings};
use crate::tls::{Chain, make};

/// Make a certificate for MQTT over TLS, and an authority that signs it
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Writes ca.pem, ca.key, server.pem and server.key into the folder tls of the data folder. An authority that is there
already signs again, so that clients need nothing new.

Examples:
  stile cert
  stile cert --name gateway.example.org --name 192.0.2.7
  stile cert --force                        a new certificate in the place of the old
  stile cert show")]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    place: Folder,
    /// A name or address under which clients reach the gateway; may be given again. Without it, the machine's own
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Overwrite a certificate that is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the certificate's fingerprint and when it ends
    Show(Folder),
}

#[derive(Debug, clap::Args)]
struct Folder {
    #[command(flatten)]
    file: ConfigFile,
    /// The folder for the files; without it, `tls` in the data folder that the settings name
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Folder {
    fn path(&self) -> Result<PathBuf, ExitCode> {
        match &self.dir {
            Some(dir) => std::path::absolute(dir).map_err(|error| fail(&format!("{}: {error}", dir.display()))),
            None => match self.file.load() {
                Ok(loaded) => Ok(loaded.settings.gateway.data_dir.join("tls")),
                Err(problems) => Err(wrong_settings(&problems)),
            },
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let place = match &arguments.what {
        Some(What::Show(place)) => place,
        None => &arguments.place,
    };
    let done = match (place.path(), &arguments.what) {
        (Err(code), _) => return code,
        (Ok(folder), Some(What::Show(_))) => show(&folder),
        (Ok(folder), None) => make(&folder, arguments),
    };
    done.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

fn show(folder: &Path) -> Result<(), String> {
    let path = folder.join("server.pem");
    let pem = fs::read(&path).map_err(|error| format!("{}: {error}; `stile cert` makes one", path.display()))?;
    let chain = Chain::read(&pem).map_err(|error| format!("{} is no certificate: {error}", path.display()))?;
    say(&format!("{}\nSHA-256 fingerprint {}", path.display(), chain.fingerprint()));
    say(&format!("ends on {}", chain.ends().as_deref().unwrap_or("a date that is not readable")));
    Ok(())
}

fn make(folder: &Path, arguments: &Arguments) -> Result<(), String> {
    let [ca, ca_key, server, server_key] =
        ["ca.pem", "ca.key", "server.pem", "server.key"].map(|name| folder.join(name));
    if let Some(there) = [&server, &server_key].into_iter().find(|path| path.exists())
        && !arguments.force
    {
        return Err(format!("{} is there already; `--force` makes a new one in its place", there.display()));
    }
    let year = year();
    fs::create_dir_all(folder).map_err(|error| explain(folder, &error))?;
    let authority = if ca.exists() || ca_key.exists() {
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| explain(path, &error));
        make::Pair { certificate: read(&ca)?, key: read(&ca_key)? }
    } else {
        let host = host().unwrap_or_else(|| "a gateway".to_owned());
        let made = make::authority(&format!("Stile authority of {host}"), year)?;
        write(&ca_key, &made.key, 0o600)?;
        write(&ca, &made.certificate, 0o644)?;
        made
    };
    let names = names(&arguments.names);
    let made = make::server(&authority, &names, year)?;
    write(&server_key, &made.key, 0o600)?;
    write(&server, &made.certificate, 0o644)?;
    say(&format!("made for {}", names.join(", ")));
    show(folder)?;
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    say(&format!(
        "\nFor stile.toml:\n\n[broker.tls]\nlisten = [\"0.0.0.0:8883\"]\ncertificate = {}\nkey = {}\n\nClients need {}.",
        quoted(&server),
        quoted(&server_key),
        ca.display()
    ));
    Ok(())
}

fn explain(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}; name another folder with --dir, or run this as the gateway's user", path.display())
}

/// Writes a file whole or not at all, for the owner of its folder.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let new = path.with_extension("new");
    let written = (|| {
        // What a cut-off run left behind may have other rights.
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // Made by root, it is to be read by the gateway. The folder may be new itself.
        let owner = fs::metadata(path.ancestors().nth(2).unwrap_or(path))?;
        if file.metadata()?.uid() == 0 && owner.uid() != 0 {
            chown(&new, Some(owner.uid()), Some(owner.gid()))?;
            if let Some(folder) = path.parent() {
                chown(folder, Some(owner.uid()), Some(owner.gid()))?;
            }
        }
        fs::rename(&new, path)
    })();
    written.map_err(|error| explain(path, &error))
}

fn year() -> i32 {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('-').next().and_then(|year| year.parse().ok()).unwrap_or(0)
}

fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty() && name.is_ascii()).then(|| name.to_owned())
}

/// Those given, or those of the machine; `localhost` in any case, each once.
fn names(given: &[String]) -> Vec<String> {
    let mut names = given.to_vec();
    if given.is_empty() {
        names.extend(host());
        names.extend(addresses_v4(&fs::read_to_string("/proc/net/fib_trie").unwrap_or_default()));
        names.extend(addresses_v6(&fs::read_to_string("/proc/net/if_inet6").unwrap_or_default()));
    }
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The machine's own IPv4 addresses from `/proc/net/fib_trie`, loopback left out.
fn addresses_v4(trie: &str) -> Vec<String> {
    let (mut last, mut found) = (None, Vec::new());
    for line in trie.lines() {
        if let Some(address) = line.trim_start().strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last.filter(|address| !address.is_loopback()).map(|address| address.to_string()));
        }
    }
    found
}

/// The same for IPv6 from `/proc/net/if_inet6`, those that mean something on one link only left out.
fn addresses_v6(table: &str) -> Vec<String> {
    let words = table.lines().filter_map(|line| line.split_whitespace().next());
    let addresses = words.filter_map(|word| u128::from_str_radix(word, 16).ok()).map(Ipv6Addr::from);
    addresses.filter(|a| !a.is_loopback() && !a.is_unicast_link_local()).map(|a| a.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_addresses_are_read_from_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.0\n        \
            /24 link UNICAST\n     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
        assert_eq!(addresses_v4(trie), ["192.0.2.7"]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
            fe80000000000000021122fffe334455 02 40 20 80     eth0\n20010db8000000000000000000000007 02 40 00 80     eth0\n";
        assert_eq!(addresses_v6(table), ["2001:db8::7"]);
    }

    #[test]
    fn names_that_are_given_take_the_place_of_the_machines_and_each_stands_once() {
        assert_eq!(names(&["a.example".into(), "::1".into()]), ["a.example", "::1", "localhost", "127.0.0.1"]);
    }
}
