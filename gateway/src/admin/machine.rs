//! The machine that the gateway runs on, as far as its files say: disk, memory, temperature, load. Waits for the kernel, so
//! never on the thread of messages.

use std::fs;
use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

/// What is known at one moment. What can't be found out is none.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(super) struct Machine {
    /// Bytes of the file system that the data folder is on.
    pub(super) disk_total: Option<u64>,
    /// Of these, bytes that the gateway may still write.
    pub(super) disk_free: Option<u64>,
    /// Bytes of memory.
    pub(super) memory_total: Option<u64>,
    /// Of these, bytes that programs can still have.
    pub(super) memory_available: Option<u64>,
    /// Bytes that the gateway itself holds.
    pub(super) memory_own: Option<u64>,
    /// The warmest sensor, in degrees Celsius.
    pub(super) temperature: Option<f64>,
    /// Programs that wanted to run, on average of the last minute.
    pub(super) load: Option<f64>,
    /// Processors.
    pub(super) processors: usize,
    /// Seconds since the machine started.
    pub(super) up_seconds: Option<u64>,
}

impl Machine {
    /// Asks.
    pub(super) fn look(data_dir: &Path) -> Self {
        let disk = rustix::fs::statvfs(data_dir).ok();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let first = |path: &str| fs::read_to_string(path).ok()?.split_whitespace().next()?.parse::<f64>().ok();
        Self {
            disk_total: disk.as_ref().map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize)),
            disk_free: disk.as_ref().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            memory_total: kib(&meminfo, "MemTotal:"),
            memory_available: kib(&meminfo, "MemAvailable:"),
            memory_own: kib(&own, "VmRSS:"),
            temperature: warmest(Path::new("/sys/class/thermal")),
            load: first("/proc/loadavg"),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            up_seconds: first("/proc/uptime").map(|seconds| seconds as u64),
        }
    }

    /// Of the disk, how much is taken, in hundredths.
    pub(super) fn disk_used(&self) -> Option<u64> {
        used(self.disk_total, self.disk_free)
    }

    /// The same for the memory.
    pub(super) fn memory_used(&self) -> Option<u64> {
        used(self.memory_total, self.memory_available)
    }
}

fn used(total: Option<u64>, free: Option<u64>) -> Option<u64> {
    let (total, free) = total.zip(free).filter(|(total, _)| *total > 0)?;
    Some(total.saturating_sub(free).saturating_mul(100) / total)
}

/// The line of a file like `/proc/meminfo` that begins with this, in bytes.
fn kib(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
}

fn warmest(folder: &Path) -> Option<f64> {
    let zones = fs::read_dir(folder).ok()?.flatten().map(|zone| zone.path().join("temp"));
    let millidegrees = zones.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<f64>().ok());
    millidegrees.map(|temperature| temperature / 1000.0).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_disk_and_memory() {
        let machine = Machine::look(Path::new("/"));
        assert!(machine.disk_used().unwrap() <= 100 && machine.memory_used().unwrap() <= 100, "{machine:?}");
        assert!(machine.memory_own.unwrap() > 0 && machine.processors > 0, "{machine:?}");
    }

    #[test]
    fn the_warmest_sensor_counts_and_a_machine_without_one_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(warmest(dir.path()), None);
        for (zone, text) in [("thermal_zone0", "41500\n"), ("thermal_zone1", "48000\n"), ("cooling_device0", "x")] {
            fs::create_dir(dir.path().join(zone)).unwrap();
            fs::write(dir.path().join(zone).join("temp"), text).unwrap();
        }
        assert_eq!(warmest(dir.path()), Some(48.0));
    }
}
