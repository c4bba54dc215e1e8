//! What the machine's processors add to a latency, kept the same for both brokers.

use std::fs::{File, OpenOptions};
use std::io::Write;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const LATENCY: &str = "/dev/cpu_dma_latency";

/// Gives the clients, which are this process, the first processor, and each broker the others. Left to itself, the kernel has
/// a broker that it owes processor time interrupt its publisher, finds two who want to run, and moves the subscriber to a
/// processor that sleeps: the more often, the less time a broker takes. With one processor all stay there.
pub(crate) fn part(brokers: [Pid; 2]) {
    let all = sched_getaffinity(None).unwrap();
    let mut there = (0..CpuSet::MAX_CPU).filter(|number| all.is_set(*number));
    let Some(first) = there.next() else { return };
    let mut others = all;
    others.unset(first);
    if others.count() == 0 {
        return;
    }
    let mut own = CpuSet::new();
    own.set(first);
    // Threads that come later are where those are that start them.
    brokers.into_iter().for_each(|broker| place(broker, &others));
    place(rustix::process::getpid(), &own);
}

fn place(process: Pid, on: &CpuSet) {
    for thread in std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).unwrap() {
        let number = thread.unwrap().file_name().to_string_lossy().parse().unwrap();
        sched_setaffinity(Pid::from_raw(number), on).unwrap();
    }
}

/// Processors that do not halt. Waking a halted one takes a virtual machine 40 µs and more, at times a millisecond, by what its
/// host is doing: more than a broker needs for a message. `cyclictest` and others hold `/dev/cpu_dma_latency` open for this
/// reason. Format: one 32-bit number, the microseconds that waking may take (Linux,
/// Documentation/power/pm_qos_interface.rst). Dropped, the processors may halt again.
pub(crate) struct Awake {
    _request: File,
}

impl Awake {
    /// Root may ask for it, on a kernel that has it; else why it can't be had.
    pub(crate) fn keep() -> Result<Self, String> {
        let ask = || {
            let mut request = OpenOptions::new().write(true).open(LATENCY)?;
            request.write_all(&0_i32.to_ne_bytes())?;
            Ok::<_, std::io::Error>(Self { _request: request })
        };
        ask().map_err(|error| format!("{LATENCY}: {error}"))
    }
}
