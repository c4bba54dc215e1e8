//! Clocks, medians, and rows of tables in Markdown.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// CPU time that the calling thread has used.
pub(crate) fn thread_time() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

/// CPU time that all threads of this process have used.
pub(crate) fn process_time() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

/// The middle value; of an even number the upper of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Median of the thread's CPU time for one turn, in nanoseconds: of `rounds` rounds with `turns` turns each.
pub(crate) fn nanos(rounds: usize, turns: usize, mut turn: impl FnMut()) -> f64 {
    let round = |_| {
        let before = thread_time();
        (0..turns).for_each(|_| turn());
        (thread_time() - before).as_nanos() as f64 / turns as f64
    };
    median((0..rounds).map(round).collect())
}

/// Median of the time by the wall that a turn takes, in milliseconds.
pub(crate) fn millis<T>(rounds: usize, mut turn: impl FnMut() -> T) -> f64 {
    let round = |_| {
        let before = Instant::now();
        let made = turn();
        let time = before.elapsed().as_secs_f64() * 1e3;
        drop(made);
        time
    };
    median((0..rounds).map(round).collect())
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
}

/// Begins a table of figures and their targets.
pub(crate) fn targets() {
    println!("| Figure | Measured | Target | |\n|---|---|---|---|");
}

/// One figure with a target.
pub(crate) fn target(figure: &str, measured: &str, target: &str, met: bool) {
    println!("| {figure} | {measured} | {target} | {} |", if met { "met" } else { "**missed**" });
}

/// One figure for information.
pub(crate) fn information(figure: &str, measured: &str) {
    println!("| {figure} | {measured} | | |");
}
