//! What the machine says of itself: room on the disk, memory, temperature, load, and how far its clock can be trusted.
//!
//! Owns a look at /proc and /sys. Never fails: what can't be read, as in a sandbox that hides it, is unknown. Every look is
//! bounded, in files and in bytes, but it reads files: never on a thread that others wait for.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::clock;
use crate::message::ClockQuality;

/// Of a file no more is read: what is wanted stands at its beginning, and the longest of them has some 3 KiB.
const FILE_MAX_BYTES: u64 = 16 << 10;

/// Thermal zones that are looked at; machines have up to a dozen.
const ZONES_MAX: usize = 32;

/// Sensors that are not connected say things beyond these, in degrees Celsius.
const DEGREES: std::ops::RangeInclusive<f64> = -60.0..=150.0;

/// What is known of the machine at one moment. `None` is unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The file system of the data folder.
    pub disk: Option<Space>,
    /// The machine's memory.
    pub memory: Option<Space>,
    /// What this process holds in memory, in bytes.
    pub process_bytes: Option<u64>,
    /// Of the processor, in degrees Celsius.
    pub temperature: Option<f64>,
    /// Processes that want to run, averaged over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Seconds since the machine was started.
    pub up_seconds: Option<u64>,
    /// Processors that may be used, for the load to be held against.
    pub processors: usize,
    /// How far the wall clock can be trusted.
    #[serde(serialize_with = "as_word")]
    pub clock: ClockQuality,
}

/// Room of some kind, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What can still be had: on a disk by the gateway's user, of memory without swapping.
    pub available: u64,
}

fn as_word<S: serde::Serializer>(quality: &ClockQuality, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(quality.as_str())
}

/// Reads the facts.
#[derive(Debug, Clone)]
pub struct Host {
    /// `/`, but in tests.
    root: PathBuf,
    data_dir: PathBuf,
}

impl Host {
    /// This machine, with the gateway's data folder.
    pub fn new(data_dir: &Path) -> Self {
        Self { root: PathBuf::from("/"), data_dir: data_dir.to_owned() }
    }

    /// Looks at everything.
    pub fn facts(&self) -> Facts {
        Facts {
            disk: disk(&self.data_dir),
            memory: self.text("proc/meminfo").and_then(|text| memory(&text)),
            process_bytes: self.text("proc/self/status").and_then(|text| kib(&text, "VmRSS:")),
            temperature: self.temperature(),
            load: self.text("proc/loadavg").and_then(|text| load(&text)),
            up_seconds: self.text("proc/uptime").and_then(|text| uptime(&text)),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            clock: clock::quality(),
        }
    }

    fn text(&self, path: &str) -> Option<String> {
        read(&self.root.join(path))
    }

    /// The processor's, where a zone says that it is its; else that of the hottest zone.
    fn temperature(&self) -> Option<f64> {
        let zones = fs::read_dir(self.root.join("sys/class/thermal")).ok()?;
        let is_zone =
            |path: &PathBuf| path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"thermal_zone"));
        let zones = zones.flatten().map(|entry| entry.path()).filter(is_zone).take(ZONES_MAX);
        let read = zones.filter_map(|zone| {
            let millidegrees: f64 = read(&zone.join("temp"))?.trim().parse().ok()?;
            let degrees = Some(millidegrees / 1000.0).filter(|degrees| DEGREES.contains(degrees))?;
            Some((is_processor(&read(&zone.join("type")).unwrap_or_default()), degrees))
        });
        // Of several that are the processor's, the hottest as well.
        read.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))).map(|(_, degrees)| degrees)
    }
}

/// By the names that drivers give: `cpu-thermal` on a Raspberry Pi, `x86_pkg_temp`, `soc_thermal` and the like.
fn is_processor(kind: &str) -> bool {
    let kind = kind.trim().to_ascii_lowercase();
    ["cpu", "soc", "pkg_temp"].iter().any(|part| kind.contains(part))
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn disk(folder: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Space { total: bytes(found.f_blocks), available: bytes(found.f_bavail) })
}

/// Bytes that are free for the gateway on the disk that the file is on.
///
/// # Errors
/// When the system does not say.
pub fn room(file: &File) -> io::Result<u64> {
    let found = rustix::fs::fstatvfs(file)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn memory(text: &str) -> Option<Space> {
    Some(Space { total: kib(text, "MemTotal:")?, available: kib(text, "MemAvailable:")? })
}

/// The value of a line like `MemTotal:  16 kB`, in bytes.
fn kib(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?.trim();
    value.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn uptime(text: &str) -> Option<u64> {
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    // A float becomes the nearest whole number that there is.
    seconds.is_finite().then_some(seconds as u64)
}

fn load(text: &str) -> Option<[f64; 3]> {
    let mut averages =
        text.split_whitespace().map_while(|word| word.parse().ok()).filter(|load: &f64| load.is_finite());
    Some([averages.next()?, averages.next()?, averages.next()?])
}
