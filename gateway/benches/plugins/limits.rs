//! Whether the limit on CPU time cuts what it should, soon enough, and nothing else.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stile::pipeline::Processor;
use stile::plugin_host::{FailureKind, Terms};

use crate::figures::{information, target, targets, thread_time};
use crate::subject::{Subject, pass};

/// Calls that spin, with the usual budget.
const SPINS: usize = 40;
/// What a call may take beyond it.
const OVER: Duration = Duration::from_millis(5);
/// Calls that are well, with the least budget that the settings take.
const CALLS: usize = 2_000_000;
const LEAST: Duration = Duration::from_millis(1);

pub(crate) fn run() {
    targets();
    spin();
    no_false_cut();
}

/// All of it counts: the call, its end, and what the host does then.
fn spin() {
    let subject = Subject::of("spin");
    let mut terms = Terms::new("bench");
    terms.limits.failures = 2 * SPINS;
    let most = terms.limits.cpu;
    let mut plugin = subject.plugin_with(subject.load(), terms);
    let message = subject.messages(1, 64);
    let spin = |_| {
        let before = thread_time();
        plugin.process(&message);
        thread_time() - before
    };
    let mut times: Vec<Duration> = (0..SPINS).map(spin).collect();
    times.sort();
    assert_eq!(plugin.status().report().failures_of(FailureKind::CpuTime), SPINS as u64, "each was cut");
    let (middle, longest) = (times[SPINS / 2], times[SPINS - 1]);
    let figure = format!("CPU time of a call that spins, its budget {} ms, the longest of {SPINS}", most.as_millis());
    let wanted = format!("≤ {} ms", (most + OVER).as_millis());
    target(&figure, &format!("{:.1} ms", longest.as_secs_f64() * 1e3), &wanted, longest <= most + OVER);
    information("The same, median", &format!("{:.1} ms", middle.as_secs_f64() * 1e3));
}

/// On a machine with twice as many busy threads as it has cores.
fn no_false_cut() {
    let subject = Subject::of("pass");
    let mut terms = Terms::new("bench");
    terms.limits.cpu = LEAST;
    let mut plugin = subject.plugin_with(subject.load(), terms);
    let message = subject.messages(1, 64);
    let busy = 2 * std::thread::available_parallelism().unwrap().get();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..busy {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    black_box(thread_time());
                }
            });
        }
        (0..CALLS).for_each(|_| pass(&mut plugin, &message));
        done.store(true, Ordering::Relaxed);
    });
    let cuts = plugin.status().report().failures.iter().sum::<u64>();
    let figure = format!(
        "Calls cut of {CALLS} that are well, with a budget of {} ms, beside {busy} busy threads",
        LEAST.as_millis()
    );
    target(&figure, &cuts.to_string(), "0", cuts == 0);
}
