//! The machine that the gateway runs on, as the API tells of it. What is known of it `host` finds out.

use serde::Serialize;
use utoipa::ToSchema;

use crate::host::Facts;

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
    /// Of the processor, in degrees Celsius.
    pub(super) temperature: Option<f64>,
    /// Programs that wanted to run, on average of the last minute.
    pub(super) load: Option<f64>,
    /// Processors.
    pub(super) processors: usize,
    /// Seconds since the machine started.
    pub(super) up_seconds: Option<u64>,
}

impl Machine {
    /// From what was found out.
    pub(super) fn of(facts: &Facts) -> Self {
        Self {
            disk_total: facts.disk.map(|disk| disk.total),
            disk_free: facts.disk.map(|disk| disk.available),
            memory_total: facts.memory.map(|memory| memory.total),
            memory_available: facts.memory.map(|memory| memory.available),
            memory_own: facts.process_bytes,
            temperature: facts.temperature,
            load: facts.load.map(|[minute, ..]| minute),
            processors: facts.processors,
            up_seconds: facts.up_seconds,
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::Host;

    #[test]
    fn this_machine_has_a_disk_and_memory() {
        let machine = Machine::of(&Host::new(Path::new("/")).facts());
        assert!(machine.disk_used().unwrap() <= 100 && machine.memory_used().unwrap() <= 100, "{machine:?}");
        assert!(machine.memory_own.unwrap() > 0 && machine.processors > 0, "{machine:?}");
    }
}
