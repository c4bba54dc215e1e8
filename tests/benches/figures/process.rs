//! What the kernel says of a running process.

use std::time::Duration;

use nix::time::ClockId;
use rustix::process::Pid;

/// The time that its threads have spent on a core, user and system together, in nanoseconds. Threads that have ended
/// count too: Stile's router has a new one each time it is replaced.
pub(crate) fn cpu(pid: Pid) -> Duration {
    let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(pid.as_raw_nonzero().get()));
    clock.and_then(ClockId::now).unwrap().into()
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Bytes as MB of a million, the unit of the target.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
