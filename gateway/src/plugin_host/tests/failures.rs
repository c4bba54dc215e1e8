//! What a failure costs: the guilty message, and nothing else.

use std::time::{Duration, Instant};

use super::guest::Guest;
use super::image::{ANSWER, Act, Image};
use crate::config::OnFailure;
use crate::pipeline::{Held, Processor, Verdict};
use crate::plugin_host::{FailureKind, Health, Terms};

fn terms() -> Terms {
    Terms { on_failure: OnFailure::Drop, ..Terms::new("test") }
}

#[test]
fn only_the_guilty_message_of_a_batch_suffers() {
    let mut bench = Guest { on_x: "(unreachable)", ..Guest::default() }.stage(terms());
    assert_eq!(bench.words(&["a", "b", "x", "c", "d"]), ["pass", "pass", "drop plugin-failed", "pass", "pass"]);
    let report = bench.report();
    assert_eq!((report.messages, report.passed, report.failed), (5, 4, 1));
    assert_eq!((report.calls, report.failures_of(FailureKind::Trap), report.instances), (6, 2, 3));
    assert!(report.last_error.unwrap().0.contains("unreachable"));
}

#[test]
fn a_message_that_it_fails_at_passes_where_the_operator_wants_that() {
    let mut bench = Guest { on_x: "(unreachable)", ..Guest::default() }.stage(Terms::new("test"));
    assert_eq!(bench.words(&["a", "x"]), ["pass", "pass"]);
    assert_eq!(bench.report().failed, 1);
}

#[test]
fn a_plugin_that_fails_too_often_is_left_alone() {
    let mut limited = terms();
    limited.limits.failures = 3;
    let mut bench = Guest { on_x: "(unreachable)", ..Guest::default() }.stage(limited);
    assert_eq!(bench.words(&["x", "x"]), ["drop plugin-failed"; 2]);
    assert_eq!(bench.report().health, Health::Ready);
    assert_eq!(bench.words(&["x", "a", "b"]), ["drop plugin-failed"; 3], "nor is it asked about the rest of the batch");
    let report = bench.report();
    assert_eq!((&report.health, report.quarantines, report.skipped, report.memory), (&Health::Quarantined, 1, 2, 0));
    let calls = report.calls;
    assert_eq!(bench.words(&["a"]), ["drop plugin-failed"]);
    assert_eq!(bench.report().calls, calls, "it is not called");
}

#[test]
fn one_that_can_do_nothing_now_keeps_its_instance_and_its_good_name() {
    let mut limited = terms();
    limited.limits.failures = 1;
    let mut bench = Guest { answer: Image::error(1, "no model yet"), ..Guest::default() }.stage(limited);
    for _ in 0..3 {
        assert_eq!(bench.words(&["a", "b"]), ["drop plugin-failed"; 2]);
    }
    let report = bench.report();
    assert_eq!((report.failures_of(FailureKind::Unavailable), report.instances, report.calls), (3, 1, 3));
    assert_eq!((report.health, report.last_error.unwrap().0.as_str()), (Health::Ready, "unavailable: no model yet"));
}

#[test]
fn one_that_says_it_is_broken_or_refuses_its_input_is_made_anew() {
    for (kind, number) in [(FailureKind::Invalid, 0), (FailureKind::Broken, 2)] {
        let mut bench = Guest { answer: Image::error(number, "so it is"), ..Guest::default() }.stage(terms());
        assert_eq!(bench.words(&["a"]), ["drop plugin-failed"]);
        assert_eq!(bench.words(&["a"]), ["drop plugin-failed"]);
        assert_eq!((bench.report().failures_of(kind), bench.report().instances), (2, 2), "{kind}");
    }
}

#[test]
fn one_that_fails_without_a_word_is_told_of_in_words() {
    let mut bench = Guest { answer: Image::error(2, ""), ..Guest::default() }.stage(terms());
    assert_eq!(bench.words(&["a"]), ["drop plugin-failed"]);
    assert_eq!(bench.report().last_error.unwrap().0, "broken: no reason given");
}

#[test]
fn one_that_fails_only_in_company_is_left_alone_at_last() {
    let mut limited = terms();
    limited.limits.failures = 2;
    let process = "(if (i32.gt_u (local.get $len) (i32.const 1)) (then (unreachable)))";
    let mut bench = Guest { process, ..Guest::default() }.stage(limited);
    assert_eq!(bench.words(&["a", "b"]), ["pass"; 2]);
    assert_eq!(bench.report().health, Health::Ready);
    assert_eq!(bench.words(&["a", "b"]), ["pass"; 2]);
    assert_eq!((bench.report().health, bench.report().failed), (Health::Quarantined, 0));
}

#[test]
fn one_that_acts_as_time_goes_by_does_not_start_without_a_tick() {
    let guest = Guest { tick: Some("(i32.const 16)"), ..Guest::default() };
    assert_eq!(guest.stage(terms()).plugin.start(), Err("it acts as time goes by: set `tick`".into()));
    let mut ticking = terms();
    ticking.tick = Some(Duration::from_secs(1));
    assert_eq!(guest.stage(ticking).plugin.start(), Ok(()));
}

#[test]
fn what_a_plugin_says_of_its_settings_is_told() {
    let configure = format!("(return (i32.const {ANSWER}))");
    let guest =
        Guest { configure: &configure, answer: Image::error(0, "`stale-after` is no time"), ..Guest::default() };
    assert_eq!(guest.stage(terms()).plugin.start(), Err("`stale-after` is no time".into()));
}

#[test]
fn a_tick_makes_messages_and_a_failing_one_is_an_incident() {
    let tick = format!("(i32.const {ANSWER})");
    let answer = Image::drafts(&[("alarm", b"cold")]);
    let mut ticking = terms();
    ticking.tick = Some(Duration::ZERO);
    let mut bench = Guest { tick: Some(&tick), answer, ..Guest::default() }.stage(ticking.clone());
    assert!(bench.plugin.tick_at().unwrap() <= Instant::now());
    let made = bench.plugin.tick();
    assert_eq!((made.len(), made[0].topic.as_str(), &made[0].payload[..]), (1, "alarm", &b"cold"[..]));
    ticking.limits.failures = 2;
    let mut bench = Guest { tick: Some("(unreachable)"), ..Guest::default() }.stage(ticking);
    assert!(bench.plugin.tick().is_empty() && bench.plugin.tick().is_empty());
    assert_eq!(bench.report().health, Health::Quarantined);
}

#[test]
fn a_tick_comes_neither_early_nor_to_a_plugin_without_a_timer() {
    let mut hourly = terms();
    hourly.tick = Some(Duration::from_secs(3600));
    assert_eq!(Guest::default().stage(hourly.clone()).plugin.tick_at(), None);
    let mut bench = Guest { tick: Some("(unreachable)"), ..Guest::default() }.stage(hourly);
    let due = bench.plugin.tick_at().unwrap();
    assert!(bench.plugin.tick().is_empty());
    assert_eq!((bench.report().calls, bench.plugin.tick_at()), (0, Some(due)));
}

fn holding(failures: usize) -> Terms {
    let mut terms = Terms { on_failure: OnFailure::Hold, ..Terms::new("test") };
    terms.limits.failures = failures;
    terms
}

#[test]
fn where_messages_are_held_the_guilty_one_lies_apart_and_those_that_it_is_not_asked_about_wait() {
    let mut bench = Guest { on_x: "(unreachable)", ..Guest::default() }.stage(holding(2));
    assert_eq!(bench.words(&["a", "x", "b"]), ["pass", "hold apart", "pass"]);
    assert!(bench.plugin.is_ready());
    assert_eq!(bench.words(&["a", "x", "b"]), ["pass", "hold apart", "hold waits"]);
    assert!(!bench.plugin.is_ready());
    assert_eq!(bench.words(&["c"]), ["hold waits"]);
}

#[test]
fn a_plugin_in_quarantine_keeps_nothing_back_where_nothing_is_held() {
    let mut passing = Terms { on_failure: OnFailure::Pass, ..Terms::new("test") };
    passing.limits.failures = 1;
    let mut bench = Guest { on_x: "(unreachable)", ..Guest::default() }.stage(passing);
    assert_eq!(bench.words(&["x", "a"]), ["pass"; 2]);
    assert_eq!(bench.report().health, Health::Quarantined);
    assert!(bench.plugin.is_ready());
}

#[test]
fn a_message_that_it_fails_at_again_tells_nothing_of_the_plugin() {
    let mut bench = Guest { on_x: "(unreachable)", ..Guest::default() }.stage(holding(1));
    let message = bench.message("x");
    for _ in 0..3 {
        let judged = bench.plugin.judge_again(&message);
        assert!(matches!(judged.verdicts[..], [Verdict::Hold(Held::Apart)]), "{judged:?}");
    }
    assert_eq!((bench.report().health, bench.report().failed), (Health::Ready, 3));
    assert_eq!(bench.words(&["x"]), ["hold apart"]);
    assert_eq!(bench.report().health, Health::Quarantined);
}

#[test]
fn where_something_is_missing_all_wait_and_none_overtakes_another() {
    // The first call says that it is not there yet; all others go well.
    let items = "(global $called (mut i32) (i32.const 0))";
    let process = format!(
        "(if (i32.eqz (global.get $called)) (then (global.set $called (i32.const 1)) (return (i32.const {ANSWER}))))"
    );
    let answer = Image::error(1, "no model yet");
    let mut small = holding(1);
    small.limits.fuel = Some(1_000_000);
    let guest = Guest { items, process: &process, answer, only_x: true, ..Guest::default() };
    let mut bench = guest.stage(small);
    assert_eq!(bench.words(&["a", "b", "c"]), ["hold waits"; 3], "one by one, and the first had to wait");
    assert!(bench.plugin.is_ready());
    assert_eq!(bench.words(&["a", "b", "c"]), ["pass"; 3]);
}

#[test]
fn what_it_rejects_lies_apart() {
    let answer = Image::decisions(&[(0, Act::Reject("no number"))]);
    let mut bench = Guest { answer, only_x: true, ..Guest::default() }.stage(holding(1));
    assert_eq!(bench.words(&["x"]), ["hold apart"]);
    assert_eq!((bench.report().rejected, bench.report().health), (1, Health::Ready));
}
