//! The gateway's own certificate and the authority that signs it, as files in one folder.
//!
//! Owns what the files are called, who may read them, and the names that the machine goes by. What is in them, `tls`
//! makes. Never decides when: `stile cert` does, and the first start of a gateway whose settings name no certificate.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::tls::{self, Chain, make};
use crate::whole_file;

/// The files of one folder.
#[derive(Debug)]
pub(crate) struct Files {
    /// The authority, which clients need.
    pub(crate) authority: PathBuf,
    authority_key: PathBuf,
    /// The gateway's own.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    folder: PathBuf,
}

impl Files {
    /// Those of this folder, whether or not they are there.
    pub(crate) fn of(folder: &Path) -> Self {
        let [authority, authority_key, certificate, key] =
            ["ca.pem", "ca.key", tls::CERTIFICATE, tls::KEY].map(|name| folder.join(name));
        Self { authority, authority_key, certificate, key, folder: folder.to_owned() }
    }

    /// The first of the gateway's own two that is there.
    pub(crate) fn there(&self) -> Option<&Path> {
        [&self.certificate, &self.key].into_iter().find(|path| path.exists()).map(PathBuf::as_path)
    }

    /// Reads the gateway's own.
    pub(crate) fn read(&self) -> Result<Chain, String> {
        let path = self.certificate.display();
        let pem = fs::read(&self.certificate).map_err(|error| format!("{path}: {error}; `stile cert` makes one"))?;
        Chain::read(&pem).map_err(|error| format!("{path} is no certificate: {error}"))
    }

    /// Makes the gateway's own for these names, or for those of the machine; what was there is overwritten. An authority
    /// that is there signs again. Gives the names.
    pub(crate) fn make(&self, names: &[String]) -> Result<Vec<String>, String> {
        let year = year();
        fs::create_dir_all(&self.folder).map_err(|error| explain(&self.folder, &error))?;
        let _held = self.lock()?;
        let authority = if self.authority.exists() || self.authority_key.exists() {
            self.read_authority()?
        } else {
            let host = host().unwrap_or_else(|| "a gateway".to_owned());
            let made = make::authority(&format!("Stile authority of {host}"), year)?;
            write(&self.authority_key, &made.key, 0o600)?;
            write(&self.authority, &made.certificate, 0o644)?;
            made
        };
        let names = self::names(names);
        let made = make::server(&authority, &names, year)?;
        write(&self.key, &made.key, 0o600)?;
        write(&self.certificate, &made.certificate, 0o644)?;
        Ok(names)
    }

    /// Makes another certificate for the key that is there, with the names of the one that is there and the machine's of
    /// now. One file is replaced, so that certificate and key fit together whenever the power fails.
    pub(crate) fn renew(&self) -> Result<Vec<String>, String> {
        let _held = self.lock()?;
        let key = fs::read_to_string(&self.key).map_err(|error| explain(&self.key, &error))?;
        // By some that were given to it clients may know the gateway.
        let names = each_once([self.read()?.names(), names(&[])].concat());
        let made = make::renewed(&self.read_authority()?, &key, &names, year())?;
        write(&self.certificate, &made, 0o644)?;
        Ok(names)
    }

    /// Else one who makes a key and one who renews the certificate of the key before would leave two that do not fit.
    fn lock(&self) -> Result<fs::File, String> {
        whole_file::lock(&self.folder).map_err(|error| explain(&self.folder, &error))
    }

    fn read_authority(&self) -> Result<make::Pair, String> {
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| explain(path, &error));
        Ok(make::Pair { certificate: read(&self.authority)?, key: read(&self.authority_key)? })
    }
}

fn explain(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock => format!("{}: {error}", path.display()),
        _ => format!("{}: {error}; see that the gateway may write there", path.display()),
    }
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
    each_once(names)
}

fn each_once(mut names: Vec<String>) -> Vec<String> {
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
    fn a_renewed_certificate_has_the_names_that_were_given_and_those_of_now() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(&dir.path().join("tls"));
        let given = ["gateway.example", "192.0.2.7"].map(str::to_owned);
        files.make(&given).unwrap();
        let key = fs::read(&files.key).unwrap();
        let renewed = files.renew().unwrap();
        assert_eq!(renewed[..2], given);
        assert!(names(&[]).iter().all(|name| renewed.contains(name)), "{renewed:?}");
        assert_eq!((files.read().unwrap().names(), fs::read(&files.key).unwrap()), (renewed.clone(), key));
        assert_eq!(files.renew().unwrap(), renewed, "each stands once");
    }

    #[test]
    fn a_key_that_is_made_anew_while_a_certificate_is_renewed_fits_it_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(dir.path());
        files.make(&[]).unwrap();
        for _ in 0..20 {
            std::thread::scope(|scope| {
                scope.spawn(|| files.make(&[]).unwrap());
                scope.spawn(|| files.renew().unwrap());
            });
            let key = tls::Key::read(&fs::read(&files.key).unwrap()).unwrap();
            tls::Server::new(files.read().unwrap(), key, None).unwrap();
        }
    }

    #[test]
    fn names_that_are_given_take_the_place_of_the_machines_and_each_stands_once() {
        assert_eq!(names(&["a.example".into(), "::1".into()]), ["a.example", "::1", "localhost", "127.0.0.1"]);
    }
}
