//! Plugins that want too much.

use std::time::{Duration, Instant};

use super::guest::Guest;
use crate::config::OnFailure;
use crate::plugin_host::{FailureKind, Terms};

fn terms() -> Terms {
    let mut terms = Terms { on_failure: OnFailure::Drop, ..Terms::new("test") };
    terms.limits.cpu = Duration::from_millis(5);
    terms
}

#[test]
fn an_endless_loop_is_cut() {
    Guest { on_x: "(loop $on (br $on))", ..Guest::default() }
        .stage(terms())
        .fails(FailureKind::CpuTime, "more than 5 ms of CPU time");
}

#[test]
fn an_endless_loop_in_configure_is_cut_and_messages_go_by_the_policy() {
    let mut bench = Guest { configure: "(loop $on (br $on))", ..Guest::default() }.stage(terms());
    let error = bench.plugin.start().unwrap_err();
    assert!(error.contains("more than 100 ms of CPU time"), "{error}");
    assert_eq!(bench.words(&["a", "b"]), ["drop plugin-failed", "drop plugin-failed"]);
    assert_eq!(bench.report().failures_of(FailureKind::Start), 1, "no retry of each message");
    assert_eq!(bench.report().health.as_str(), "failing");
}

#[test]
fn endless_recursion_is_cut() {
    Guest {
        items: "(func $on (param i64) (call $on (i64.add (local.get 0) (i64.const 1))))",
        on_x: "(call $on (i64.const 0))",
        ..Guest::default()
    }
    .stage(terms())
    .fails(FailureKind::Trap, "call stack exhausted");
}

#[test]
fn memory_ends_at_its_limit() {
    let grow = "(if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then (unreachable)))";
    let on_x = format!("(loop $on {grow} (br $on))");
    let mut bench = Guest { on_x: &on_x, ..Guest::default() }.stage(terms());
    bench.fails(FailureKind::Memory, "more memory than it may have");
    assert_eq!(bench.report().memory, 4 * 65_536, "the new instance begins small");
}

#[test]
fn one_that_asks_for_memory_for_ever_is_cut() {
    let on_x = "(loop $on (drop (memory.grow (i32.const 1))) (br $on))";
    Guest { on_x, ..Guest::default() }.stage(terms()).fails(FailureKind::CpuTime, "CPU time");
}

#[test]
fn one_that_begins_beyond_its_limit_does_not_start() {
    let mut small = terms();
    small.limits.memory = 65_536;
    let mut bench = Guest::default().stage(small);
    assert!(bench.plugin.start().is_err());
    assert_eq!(bench.words(&["a"]), ["drop plugin-failed"]);
}

#[test]
fn a_batch_that_takes_too_long_is_judged_in_smaller_parts() {
    // A quarter of a million rounds for each message, which a whole batch of can't be done in time.
    let spin = "(local.set $at (i32.const 3000000)) (loop $on
        (br_if $on (local.tee $at (i32.sub (local.get $at) (i32.const 1)))))";
    let mut slow = terms();
    slow.limits.cpu = Duration::from_millis(40);
    let mut bench = Guest { on_x: spin, ..Guest::default() }.stage(slow);
    let batch = ["x"; 64];
    assert_eq!(bench.words(&batch), ["pass"; 64], "none of them is guilty");
    assert_eq!(bench.report().failed, 0);
}

#[test]
fn what_is_too_much_at_once_is_no_incident_and_the_next_batches_are_smaller() {
    let process = "(if (i32.gt_u (local.get $len) (i32.const 8)) (then (loop $on (br $on))))";
    let mut limited = terms();
    limited.limits.failures = 1;
    let mut bench = Guest { process, ..Guest::default() }.stage(limited);
    assert_eq!(bench.words(&["a"; 64]), ["pass"; 64]);
    assert_eq!(bench.words(&["a"; 64]), ["pass"; 64]);
    assert_eq!((bench.report().health.as_str(), bench.report().failed), ("ready", 0));
    assert_eq!(bench.report().failures_of(FailureKind::CpuTime), 3, "with 64, with 32 and with 16, and then no more");
}

#[test]
fn the_ticker_rests_while_nothing_runs_and_wakes_for_the_next_call() {
    let mut bench = Guest { on_x: "(loop $on (br $on))", ..Guest::default() }.stage(terms());
    let deadline = Instant::now() + Duration::from_secs(10);
    let rests = |bench: &super::guest::Bench| {
        while !bench.sandbox.ticker.parked() {
            assert!(Instant::now() < deadline, "it beats on");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    rests(&bench);
    assert_eq!(bench.words(&["x"]), ["drop plugin-failed"], "a rested ticker cuts too");
    rests(&bench);
}

/// A plugin that goes round a hundred times for each byte of a payload that begins with `x`, with so much fuel.
fn metered(fuel: u64) -> super::guest::Bench {
    let on_x = "(local.set $at (i32.mul (i32.load offset=12 (local.get $at)) (i32.const 100))) (loop $on
        (br_if $on (local.tee $at (i32.sub (local.get $at) (i32.const 1)))))";
    let mut terms = Terms { on_failure: OnFailure::Drop, ..Terms::new("test") };
    terms.limits.cpu = Duration::from_secs(60);
    terms.limits.fuel = Some(fuel);
    terms.limits.failures = 1000;
    Guest { on_x, ..Guest::default() }.stage(terms)
}

/// The length of the longest payload that it manages, between others.
fn longest(bench: &mut super::guest::Bench, others: usize) -> usize {
    let (mut good, mut bad) = (1, 100_000);
    while bad - good > 1 {
        let length = usize::midpoint(good, bad);
        let mut batch = vec!["y"; others];
        let payload = "x".repeat(length);
        batch.insert(others / 2, &payload);
        let words = bench.words(&batch);
        assert!(words.iter().enumerate().all(|(at, word)| at == others / 2 || word == "pass"), "{words:?}");
        if words[others / 2] == "pass" { good = length } else { bad = length }
    }
    good
}

#[test]
fn with_fuel_the_same_message_is_cut_at_the_same_place_whatever_comes_with_it() {
    let first = longest(&mut metered(1_000_000), 0);
    assert!((1000..4000).contains(&first), "some 400 instructions a byte: {first}");
    let mut bench = metered(1_000_000);
    assert_eq!((longest(&mut bench, 63), longest(&mut bench, 2)), (first, first));
    let report = bench.report();
    assert_eq!((report.failures_of(FailureKind::Fuel), report.failures_of(FailureKind::CpuTime)), (report.failed, 0));
    assert!(report.last_error.unwrap().0.contains("more fuel than it may"));
    assert!(longest(&mut metered(2_000_000), 0) > first * 3 / 2);
}

#[test]
fn one_that_starts_with_too_little_fuel_does_not_start() {
    let mut metered = terms();
    metered.limits.fuel = Some(1000);
    let guest = Guest { configure: "(loop $on (br $on))", ..Guest::default() };
    let error = guest.stage(metered).plugin.start().unwrap_err();
    assert!(error.contains("fuel"), "{error}");
}
