//! Decisions, and answers that are none.

use super::guest::Guest;
use super::image::{ANSWER, Act, Image};
use crate::config::OnFailure;
use crate::message::{Origin, Properties, QoS, RadioMeta, TopicFilter};
use crate::pipeline::{Processor, Verdict};
use crate::plugin_host::answer::{Checks, Outcome};
use crate::plugin_host::bindings::stile::filter::types::{Action, Decision, Patch, Property};
use crate::plugin_host::{FailureKind, Terms};

fn dropping() -> Terms {
    Terms { on_failure: OnFailure::Drop, ..Terms::new("test") }
}

#[test]
fn each_decision_does_what_it_says_and_what_is_not_named_passes() {
    let answer = Image::decisions(&[
        (0, Act::Drop("unchanged")),
        (2, Act::Modify(Some("out"), Some(b"new"))),
        (3, Act::Replace(&[("a", b"1"), ("b", b"2")])),
        (4, Act::Reject("not JSON")),
    ]);
    let mut bench = Guest { answer, ..Guest::default() }.stage(dropping());
    let judged = bench.judge(&["0", "1", "2", "3", "4", "5"]);
    let [
        Verdict::Filter,
        Verdict::Pass,
        Verdict::Modify(changed),
        Verdict::Replace(made),
        Verdict::Drop(_),
        Verdict::Pass,
    ] = &judged.verdicts[..]
    else {
        panic!("{:?}", judged.verdicts)
    };
    assert_eq!((changed.topic.as_str(), &changed.payload[..]), ("out", &b"new"[..]));
    assert_eq!(changed.origin, Origin::Client("somebody".into()), "it is still the client's message");
    assert_eq!(changed.qos, QoS::AtLeastOnce);
    assert_eq!((made[0].topic.as_str(), &made[1].payload[..], made.len()), ("a", &b"2"[..], 2));
    assert_eq!((&made[0].origin, made[0].qos), (&Origin::Plugin("test".into()), QoS::ExactlyOnce));
    assert_ne!(made[0].id, made[1].id);
    let report = bench.report();
    assert_eq!((report.messages, report.calls, report.passed, report.modified, report.replaced), (6, 1, 2, 1, 1));
    assert_eq!((report.made, report.rejected, report.filtered["unchanged"]), (2, 1, 1));
    assert_eq!(report.last_rejection.as_deref(), Some("not JSON"));
}

#[test]
fn a_rejected_message_goes_by_the_operators_choice() {
    let answer = || Image::decisions(&[(0, Act::Reject("no"))]);
    let mut passing = Guest { answer: answer(), ..Guest::default() }.stage(Terms::new("test"));
    assert_eq!(passing.words(&["a"]), ["pass"]);
    let mut dropping = Guest { answer: answer(), ..Guest::default() }.stage(dropping());
    assert_eq!(dropping.words(&["a"]), ["drop plugin-rejected"]);
    assert_eq!(dropping.report().failures.iter().sum::<u64>(), 0, "the plugin itself is well");
}

/// The answer becomes the payload: `$at` is the message's record.
const SHOW_RECORD: &str = "(i32.store offset=1060 (i32.const 0) (local.get $at))";

#[test]
fn the_record_that_a_plugin_sees_is_laid_out_as_the_interface_says() {
    // Pointer to the payload of the patch: answer 12, index 4, action 20.
    let answer = Image::decisions(&[(0, Act::Modify(None, Some(&[7; 64])))]);
    assert_eq!(ANSWER + 12 + 4 + 20, 1060);
    let mut bench = Guest { answer, on_x: SHOW_RECORD, ..Guest::default() }.stage(Terms::new("test"));
    let mut message = bench.message("x12");
    message.qos = QoS::ExactlyOnce;
    message.retain = true;
    message.radio = Some(RadioMeta { framing: "line".into(), baud: 9600, poll: None }.into());
    let judged = bench.plugin.process(std::slice::from_ref(&message));
    let [Verdict::Modify(seen)] = &judged.verdicts[..] else { panic!("{judged:?}") };
    let number = |at: usize| u32::from_le_bytes(seen.payload[at..at + 4].try_into().unwrap());
    assert_eq!(seen.payload.len(), 64);
    assert_eq!((number(4), number(12)), (2, 3), "the lengths of topic and payload");
    assert_eq!((seen.payload[16], seen.payload[17]), (2, 1), "quality of service, retain");
    assert_eq!(u64::from_le_bytes(seen.payload[24..32].try_into().unwrap()), message.received.unix_micros());
    assert_eq!((seen.payload[32], seen.payload[33], seen.payload[36]), (0, 1, 1), "clock, origin, radio is there");
    assert!(f32::from_bits(number(40)).is_nan() && f32::from_bits(number(44)).is_nan());
    assert_eq!((number(48), number(52), number(56), seen.payload[60]), (0, 0, 9600, 0));
}

#[test]
fn a_wrong_answer_hurts_only_the_message_that_it_is_about() {
    let bad_text = Image::decisions(&[(0, Act::Drop("why"))]);
    let at = bad_text.find("why");
    let cases = [
        (Image::decisions(&[(1, Act::Drop("a"))]), "message 1 of a batch of 1"),
        (Image::decisions(&[(0, Act::Drop("a")), (0, Act::Drop("a"))]), "twice or out of order"),
        (Image::decisions(&[(0, Act::Modify(Some("a/+"), None))]), "contains a wildcard"),
        (Image::decisions(&[(0, Act::Modify(Some(""), None))]), "is empty"),
        (Image::decisions(&[(0, Act::Replace(&[("other", b"")]))]), "not within what the plugin may `publish`"),
        (Image::decisions(&[(0, Act::Replace(&[("$SYS/a", b"")]))]), "not within what the plugin may `publish`"),
        (Image::decisions(&[(0, Act::Replace(&[("mine/a", &b""[..]); 11]))]), "more than 10 messages in one call"),
        (bad_text.with(at, 0xff), "utf-8"),
        (Image::decisions(&[(0, Act::Drop("a"))]).with(16, 9), "discriminant"),
        (Image::decisions(&[]).with(7, 0xff), "pointer"),
    ];
    for (answer, words) in cases {
        let mut terms = dropping();
        terms.publish = vec![TopicFilter::new("mine/#").unwrap()];
        terms.limits.drafts = 10;
        Guest { answer, only_x: true, ..Guest::default() }.stage(terms).fails(FailureKind::Output, words);
    }
}

#[test]
fn a_payload_that_is_too_large_is_never_taken_out_of_the_plugin() {
    // Its length lies at 40: answer 12, index 4, action 24. Pages of memory, and a byte that makes it so long.
    let cases = [
        (0, 43, 0x40, "pointer"),
        (32, 42, 0x11, "a payload of 1114113 bytes; 1048576 is the most"),
        (16_400, 43, 0x40, "fuel"),
    ];
    for (pages, at, byte, words) in cases {
        let answer = Image::decisions(&[(0, Act::Modify(None, Some(b"x")))]).with(at, byte);
        let on_x = format!("(drop (memory.grow (i32.const {pages})))");
        let mut terms = dropping();
        terms.limits.memory = 2 << 30;
        Guest { answer, on_x: &on_x, only_x: true, ..Guest::default() }.stage(terms).fails(FailureKind::Output, words);
    }
}

#[test]
fn decisions_that_fall_are_refused_and_each_message_judged_alone() {
    let answer = Image::decisions(&[(1, Act::Drop("a")), (0, Act::Drop("a"))]);
    let mut bench = Guest { answer, ..Guest::default() }.stage(Terms::new("test"));
    assert_eq!(bench.words(&["a", "b"]), ["pass", "pass"]);
    assert_eq!(bench.report().failures_of(FailureKind::Output), 3, "the batch and each of its messages");
}

fn nothing() -> Patch {
    Patch {
        topic: None,
        payload: None,
        qos: None,
        retain: None,
        content_type: None,
        response_topic: None,
        correlation: None,
        expiry: None,
        set: Vec::new(),
        unset: Vec::new(),
    }
}

/// What becomes of a message with these properties.
fn patched(properties: Properties, patch: Patch) -> Result<Option<Properties>, String> {
    let terms = dropping();
    let mut message = Guest::default().stage(dropping()).message("x");
    message.properties = Some(properties.into());
    let decided = Checks::new(&terms, 0).decisions(vec![Decision { index: 0, action: Action::Modify(patch) }], 1)?;
    let Some((0, Outcome::Modify(change))) = decided.into_iter().next() else { panic!("it is modified") };
    Ok(change.apply(&message).properties.map(|properties| (*properties).clone()))
}

#[test]
fn what_a_patch_leaves_empty_goes_and_what_it_does_not_name_stays() {
    let had = Properties {
        content_type: Some("text/plain".into()),
        response_topic: Some("answers".into()),
        correlation: Some("7".into()),
        expiry: Some(60),
        ..Properties::default()
    };
    assert_eq!(patched(had.clone(), nothing()), Ok(Some(had.clone())));
    let other = Patch { response_topic: Some("here".into()), expiry: Some(5), ..nothing() };
    let changed = Properties { response_topic: Some("here".into()), expiry: Some(5), ..had.clone() };
    assert_eq!(patched(had.clone(), other), Ok(Some(changed)));
    let empty = Patch {
        content_type: Some(String::new()),
        response_topic: Some(String::new()),
        correlation: Some(Vec::new()),
        expiry: Some(0),
        ..nothing()
    };
    assert_eq!(patched(had.clone(), empty), Ok(None));
    let wrong = Patch { response_topic: Some("a/#".into()), ..nothing() };
    assert!(patched(had, wrong).unwrap_err().contains("the response topic"));
}

#[test]
fn user_properties_weigh_something_even_without_texts() {
    let terms = dropping();
    let answer = |set: usize, unset: usize| {
        let set = vec![Property { name: String::new(), value: String::new() }; set];
        let unset = vec![String::new(); unset];
        let patch = Patch { set, unset, ..nothing() };
        Checks::new(&terms, 0).decisions(vec![Decision { index: 0, action: Action::Modify(patch) }], 1).map(|_| ())
    };
    assert_eq!(answer(13_107, 0), Ok(()));
    assert_eq!(answer(0, 13_107), Ok(()));
    let error = answer(6554, 6554).unwrap_err();
    assert!(error.contains("user properties of 65540 bytes"), "{error}");
}
