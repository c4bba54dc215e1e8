//! Compiled plugins on disk, so that a start compiles nothing twice: `plugins/cache/` in the data folder.
//!
//! Compiled code is run as it stands: whoever can write an entry owns the gateway (wasmtime says so of
//! `Component::deserialize`). So nothing is taken that anybody but this user could have written, by owner, by mode and by
//! its own digest; what fails is compiled anew, with a warning. The digest is against damaged disks and half-written
//! files, the owner and the mode are against people.

mod folder;

use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256, digest};
use wasmtime::Config;

use super::engine::{self, Code};
use crate::component::hex;
use folder::Folder;

/// Where it is in the data folder.
const PLACE: [&str; 2] = ["plugins", "cache"];

/// What every entry begins with; its digest follows, and then the compiled code.
const MAGIC: &[u8] = b"stile compiled plugin 1\n";

/// Length of a digest, in bytes.
const DIGEST: usize = 32;

/// What the cache may hold. When there is more, the entries that were written first go.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Number of entries.
    pub entries: usize,
    /// Bytes of all entries together.
    pub bytes: u64,
}

impl Default for Bounds {
    /// Twice as many as there can be plugins; the largest, a Python one, has some 60 MB.
    fn default() -> Self {
        Self { entries: 128, bytes: 512 << 20 }
    }
}

/// What compiled code is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of a component on this machine and this gateway: another version, processor or engine makes another key.
    pub fn of(component: &[u8], code: Code) -> Self {
        Self::with(component, &environment(&engine::config(false, code)))
    }

    fn with(component: &[u8], environment: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(environment.as_bytes());
        context.update(&[0]);
        context.update(component);
        Self(hex(context.finish().as_ref()))
    }
}

/// Everything that compiled code depends on besides the component.
fn environment(config: &Config) -> String {
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    format!("{} {arch} {os} {} {config:?}", env!("CARGO_PKG_VERSION"), processor())
}

/// What the kernel says that the processor can do. wasmtime asks the processor itself too, when it loads.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    line.unwrap_or_default().to_owned()
}

/// The folder of compiled plugins.
#[derive(Debug, Clone)]
pub struct Cache {
    path: PathBuf,
    bounds: Bounds,
}

impl Cache {
    /// That of a data folder.
    pub fn of(data_dir: &Path, bounds: Bounds) -> Self {
        Self { path: PLACE.iter().fold(data_dir.to_owned(), |path, part| path.join(part)), bounds }
    }

    /// The compiled code of `key`, if it is there and can be trusted. What can't be is removed.
    pub fn load(&self, key: &Key) -> Option<Vec<u8>> {
        let folder = self.folder()?;
        let entry = match folder.read(&name(key)) {
            Ok(entry) => entry?,
            Err(reason) => {
                self.distrust(&folder, key, &reason);
                return None;
            }
        };
        let compiled = unwrap(&entry).map(<[u8]>::to_vec);
        if compiled.is_none() {
            self.distrust(&folder, key, "it is damaged");
        }
        compiled
    }

    /// Keeps compiled code. That it can't is no more than slow: the next start compiles again.
    pub fn store(&self, key: &Key, compiled: &[u8]) {
        let Some(folder) = self.folder() else { return };
        if let Err(error) = folder.write(&name(key), &[MAGIC, digest(&SHA256, compiled).as_ref(), compiled]) {
            log::warn!(error:% = error, folder:% = self.path.display(); "a compiled plugin could not be kept");
        }
        folder.shrink(self.bounds, &name(key));
    }

    /// Lets go of an entry, such as one that the engine refused.
    pub fn forget(&self, key: &Key) {
        if let Some(folder) = self.folder() {
            folder.remove(&name(key));
        }
    }

    fn folder(&self) -> Option<Folder> {
        match Folder::open(&self.path) {
            Ok(folder) => Some(folder),
            Err(reason) => {
                log::warn!(reason = reason, folder:% = self.path.display(); "the cache of compiled plugins is not used");
                None
            }
        }
    }

    fn distrust(&self, folder: &Folder, key: &Key, reason: &str) {
        let file = self.path.join(name(key));
        log::warn!(reason = reason, file:% = file.display(); "a compiled plugin was not trusted, and is compiled anew");
        folder.remove(&name(key));
    }
}

fn name(key: &Key) -> String {
    format!("{}.compiled", key.0)
}

/// The compiled code of an entry whose digest fits.
fn unwrap(entry: &[u8]) -> Option<&[u8]> {
    let (told, compiled) = entry.strip_prefix(MAGIC)?.split_at_checked(DIGEST)?;
    (digest(&SHA256, compiled).as_ref() == told).then_some(compiled)
}

#[cfg(test)]
mod tests;
