//! What the kernel says of a running process.

use std::time::Duration;

use rustix::process::Pid;

/// The time that its threads have spent on a core, user and system together. From the scheduler's own count in
/// nanoseconds: utime and stime in `stat` are the same time in steps of 10 ms. Threads that have ended are left out;
/// none of the processes here ends threads while it is measured.
pub(crate) fn cpu(pid: Pid) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    let nanos = tasks.flatten().map(|task| {
        let line = std::fs::read_to_string(task.path().join("schedstat")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanos.sum())
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
