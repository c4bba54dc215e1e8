//! What plugins may call.

use super::guest::Guest;
use super::image::{Act, Image};
use crate::config::{Grant, OnFailure};
use crate::message::{Message, Properties};
use crate::pipeline::{Processor, Verdict};
use crate::plugin_host::status::Figure;
use crate::plugin_host::{FailureKind, Terms};

fn terms(grants: &[Grant]) -> Terms {
    Terms { on_failure: OnFailure::Drop, grants: grants.to_vec(), ..Terms::new("test") }
}

/// `$text` at 512 for keys and names.
const INCREMENT: &str = r#"
    (import "stile:filter/kv@1.0.0" "increment" (func $increment (param i32 i32 i64 i32)))
    (import "stile:filter/metrics@1.0.0" "count" (func $count (param i32 i32 i64)))
    (data (i32.const 512) "seen")"#;
const BOTH: &str = "(call $increment (i32.const 512) (i32.const 4) (i64.const 1) (i32.const 528))
    (call $count (i32.const 512) (i32.const 4) (i64.extend_i32_u (local.get $len)))";

#[test]
fn a_call_that_fails_leaves_nothing_behind_and_a_retried_batch_counts_once() {
    let guest = Guest { items: INCREMENT, process: BOTH, on_x: "(unreachable)", ..Guest::default() };
    let mut bench = guest.stage(terms(&[Grant::Kv]));
    assert_eq!(bench.words(&["a", "b"]), ["pass", "pass"]);
    assert_eq!(bench.words(&["a", "x", "b"]), ["pass", "drop plugin-failed", "pass"]);
    assert_eq!(bench.report().metrics["seen"], Figure::Count(4), "two at once, and two alone");
    let mut view = crate::plugin_host::kv::Transaction::new(bench.kv.clone(), 10_000);
    assert_eq!(view.get("seen").as_deref(), Some(&b"3"[..]), "three calls ended well, over three instances");
    assert_eq!(view.increment("seen".into(), 0), Ok(3));
}

#[test]
fn what_is_not_granted_traps_and_names_the_grant() {
    let guest = Guest { items: INCREMENT, on_x: BOTH, ..Guest::default() };
    guest.stage(terms(&[Grant::Emit])).fails(FailureKind::Misuse, "called `kv`, which it is not granted");
}

#[test]
fn a_million_keys_end_at_the_quota() {
    let items = r#"
        (import "stile:filter/kv@1.0.0" "set" (func $set (param i32 i32 i32 i32 i32 i32 i32)))"#;
    // Each key is the eight bytes of a number at 512; the result's tag lies at 528 and the error's at 532.
    let on_x = "(loop $on
        (i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 1)))
        (i32.store (i32.const 516) (i32.or (i32.const 0x30303030) (i32.and (i32.load (i32.const 512)) (i32.const 0x0f0f0f0f))))
        (i32.store (i32.const 520) (i32.or (i32.const 0x30303030) (i32.and (i32.shr_u (i32.load (i32.const 512)) (i32.const 4)) (i32.const 0x0f0f0f0f))))
        (call $set (i32.const 516) (i32.const 8) (i32.const 516) (i32.const 8) (i32.const 0) (i32.const 0) (i32.const 528))
        (br_if $on (i32.eqz (i32.load8_u (i32.const 528)))))
        (if (i32.ne (i32.load8_u (i32.const 529)) (i32.const 1)) (then (unreachable)))";
    let mut limited = terms(&[Grant::Kv]);
    limited.limits.kv_bytes = 8000;
    limited.limits.cpu = std::time::Duration::from_secs(10);
    let mut bench = Guest { items, on_x, ..Guest::default() }.stage(limited);
    assert_eq!(bench.words(&["x"]), ["pass"], "it is told, and may go on");
    assert_eq!((bench.kv.len(), bench.kv.bytes()), (100, 8000));
    assert_eq!(bench.words(&["y"]), ["pass"]);
}

#[test]
fn a_million_log_lines_are_mostly_left_out() {
    let items = r#"(import "stile:filter/log@1.0.0" "write" (func $write (param i32 i32 i32)))
        (data (i32.const 512) "again")"#;
    let on_x = "(loop $on (call $write (i32.const 3) (i32.const 512) (i32.const 5)) (br $on))";
    log::set_max_level(log::LevelFilter::Info);
    let mut bench = Guest { items, on_x, ..Guest::default() }.stage(terms(&[]));
    bench.fails(FailureKind::CpuTime, "CPU time");
    assert!(bench.report().lines_left_out > 0);
}

#[test]
fn figures_have_proper_names() {
    let items = r#"(import "stile:filter/metrics@1.0.0" "gauge" (func $gauge (param i32 i32 f64)))
        (data (i32.const 512) "A b")"#;
    let on_x = "(call $gauge (i32.const 512) (i32.const 3) (f64.const 1))";
    Guest { items, on_x, ..Guest::default() }.stage(terms(&[])).fails(FailureKind::Misuse, "a name that is not");
}

#[test]
fn a_million_figures_are_too_many() {
    let items = r#"(import "stile:filter/metrics@1.0.0" "count" (func $count (param i32 i32 i64)))"#;
    // Each name is eight letters, one for every four bits of its number.
    let letter = |bits: u32| {
        format!(
            "(i32.store8 (i32.const {}) (i32.add (i32.const 97)
              (i32.and (i32.shr_u (local.get $at) (i32.const {bits})) (i32.const 15))))",
            512 + bits / 4
        )
    };
    let name: String = (0..32).step_by(4).map(letter).collect();
    let on_x = format!(
        "(loop $on {name} (call $count (i32.const 512) (i32.const 8) (i64.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $on))"
    );
    let mut patient = terms(&[]);
    patient.limits.cpu = std::time::Duration::from_secs(10);
    let mut bench = Guest { items, on_x: &on_x, ..Guest::default() }.stage(patient);
    bench.fails(FailureKind::Misuse, "measures more than");
    assert!(bench.report().metrics.is_empty(), "the call failed");
}

/// The draft lies at 560: where topic and payload are and how long, and nothing more.
const EMIT: &str = r#"
    (import "stile:filter/emit@1.0.0" "publish" (func $publish (param i32 i32)))
    (data (i32.const 512) "mine")
    (data (i32.const 560) "\00\02\00\00\04\00\00\00\00\02\00\00\01\00\00\00")"#;
const PUBLISH: &str = "(call $publish (i32.const 560) (i32.const 528))";

#[test]
fn emitted_messages_go_on_besides_but_not_those_of_a_failed_call() {
    let trap = format!("{PUBLISH} (unreachable)");
    let guest = Guest { items: EMIT, process: PUBLISH, on_x: &trap, ..Guest::default() };
    let mut bench = guest.stage(terms(&[Grant::Emit]));
    let judged = bench.judge(&["a", "x"]);
    assert_eq!(judged.added.len(), 1, "that of the first message alone");
    assert_eq!((judged.added[0].topic.as_str(), &judged.added[0].payload[..]), ("mine", &b"m"[..]));
    assert!(matches!(judged.verdicts[1], Verdict::Drop(_)));
    assert_eq!(bench.report().made, 1);
}

#[test]
fn ten_thousand_emitted_messages_are_too_many_and_the_plugin_is_told() {
    let on_x = format!("(loop $on {PUBLISH} (br_if $on (i32.eqz (i32.load8_u (i32.const 528)))))");
    let mut limited = terms(&[Grant::Emit]);
    limited.limits.drafts = 100;
    limited.limits.cpu = std::time::Duration::from_secs(10);
    let mut bench = Guest { items: EMIT, on_x: &on_x, ..Guest::default() }.stage(limited);
    assert_eq!(bench.judge(&["x"]).added.len(), 100);
}

#[test]
fn what_a_call_emits_is_bounded_in_bytes_too() {
    let large = "(i32.store (i32.const 568) (i32.const 0)) (i32.store (i32.const 572) (i32.const 200000))";
    let on_x = format!("{large} (loop $on {PUBLISH} (br_if $on (i32.eqz (i32.load8_u (i32.const 262128)))))")
        .replace("(i32.const 528)", "(i32.const 262128)");
    let mut patient = terms(&[Grant::Emit]);
    patient.limits.cpu = std::time::Duration::from_secs(10);
    let mut bench = Guest { items: EMIT, on_x: &on_x, ..Guest::default() }.stage(patient);
    for _ in 0..2 {
        assert_eq!(bench.judge(&["x"]).added.len(), (8 << 20) / 200_004, "the next call begins anew");
    }
}

#[test]
fn what_a_start_on_trial_changes_does_not_come_true() {
    let items = format!("{EMIT} {}", INCREMENT.replace("512", "540"));
    let count = "(call $increment (i32.const 540) (i32.const 4) (i64.const 1) (i32.const 528))";
    let guest = Guest { items: &items, configure: &format!("{PUBLISH} {count}"), ..Guest::default() };
    let mut bench = guest.stage(terms(&[Grant::Emit, Grant::Kv]));
    assert_eq!((bench.plugin.start(), bench.kv.len()), (Ok(()), 0));
    let report = bench.report();
    assert_eq!((report.health.as_str(), report.instances, report.made), ("ready", 0, 0));
    assert_eq!(bench.judge(&["a"]).added.len(), 1);
    assert_eq!((bench.report().instances, bench.report().made, bench.kv.len()), (1, 1, 1));
}

const CONTEXT: &str = r#"
    (import "stile:filter/context@1.0.0" "user-property" (func $user (param i32 i32 i32 i32)))
    (data (i32.const 512) "unit")"#;

#[test]
fn properties_are_told_to_whoever_asks() {
    // The value goes into the payload of the patch, whose pointer and length lie at 1060.
    let on_x = "(call $user (local.get $i) (i32.const 512) (i32.const 4) (i32.const 528))
        (i32.store (i32.const 1060) (i32.load (i32.const 532))) (i32.store (i32.const 1064) (i32.load (i32.const 536)))";
    let answer = Image::decisions(&[(0, Act::Modify(None, Some(b"")))]);
    let mut bench = Guest { items: CONTEXT, on_x, answer, ..Guest::default() }.stage(terms(&[]));
    let mut message: Message = bench.message("x");
    let user = vec![("place".into(), "hall".into()), ("unit".into(), "kW".into())];
    message.properties = Some(Properties { payload_is_text: Some(true), user, ..Properties::default() }.into());
    let judged = bench.plugin.process(&[message]);
    let [Verdict::Modify(changed)] = &judged.verdicts[..] else { panic!("{judged:?}") };
    assert_eq!(&changed.payload[..], b"kW");
    assert_eq!(changed.properties.as_ref().unwrap().payload_is_text, None, "that was said of the old payload");
}

#[test]
fn a_place_beyond_the_batch_traps() {
    let on_x = "(call $user (i32.const 7) (i32.const 512) (i32.const 4) (i32.const 528))";
    let guest = Guest { items: CONTEXT, on_x, ..Guest::default() };
    guest.stage(terms(&[])).fails(FailureKind::Misuse, "message 7 of a batch of 1");
}

#[test]
fn files_are_read_by_the_name_that_the_operator_gave_them() {
    let items = r#"
        (import "stile:filter/data@1.0.0" "read" (func $read (param i32 i32 i64 i32 i32)))
        (data (i32.const 512) "model")"#;
    // From its third byte on; the list of the answer goes into the payload of the patch.
    let on_x = "(call $read (i32.const 512) (i32.const 5) (i64.const 2) (i32.const 100) (i32.const 528))
        (i32.store (i32.const 1060) (i32.load (i32.const 532))) (i32.store (i32.const 1064) (i32.load (i32.const 536)))";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "weights").unwrap();
    let mut settings = crate::config::Plugin::new("test", "test.wasm", "in");
    settings.grants = vec![Grant::Data];
    settings.data.insert("model".into(), file.path().into());
    let answer = Image::decisions(&[(0, Act::Modify(None, Some(b"")))]);
    let mut bench = Guest { items, on_x, answer, ..Guest::default() }.stage(Terms::of(&settings).unwrap());
    assert_eq!(bench.words(&["x"]), ["modify in=ights"]);
    settings.data.insert("other".into(), "nowhere".into());
    assert!(Terms::of(&settings).unwrap_err().contains("can't open nowhere"));
}
