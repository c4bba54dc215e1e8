//! Policies as operators write them, on messages as devices send them; and on any.

mod any;

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::*;
use crate::config::{Coarse, Field, Share};
use crate::message::{
    ClockQuality, Message, MessageId, Origin, Properties, RECEIVED_AT, RadioMeta, Received, Topic, TopicFilter,
};
use crate::pseudonym::Key;

fn field(text: &str) -> Field {
    Field::parse(text).unwrap()
}

fn fields(texts: &[&str]) -> Vec<Field> {
    texts.iter().map(|text| field(text)).collect()
}

fn everything() -> Share {
    Share::all(vec![TopicFilter::new("#").unwrap()])
}

fn message(topic: &str, payload: impl Into<Vec<u8>>) -> Message {
    let received = Received {
        wall: UNIX_EPOCH + Duration::from_micros(1_795_751_999_250_000),
        monotonic: Instant::now(),
        clock: ClockQuality::Synchronised,
    };
    let id = MessageId { run: 7, sequence: 1 };
    Message::new(id, received, Origin::Client("anna".into()), Topic::new(topic).unwrap(), payload.into())
}

fn policy(share: Share) -> Policy {
    Policy::of(&[share]).unwrap()
}

/// What a payload becomes, or the word for why it does not leave.
fn becomes(share: Share, payload: &str) -> String {
    match policy(share).shape(&message("a", payload), Some(&Key::example())) {
        Ok(shaped) => String::from_utf8(shaped.payload.to_vec()).unwrap(),
        Err(why) => why.as_str().to_owned(),
    }
}

fn alias(text: &str) -> String {
    Key::example().pseudonym(text)
}

#[test]
fn only_named_fields_leave_and_they_keep_their_text() {
    let share = Share { fields: Some(fields(&["/id", "/object/t", "/rx/*/rssi", "/list/1"])), ..everything() };
    let payload = r#"{ "id": 12345678901234567890123, "owner": "A. Miller",
        "object": { "t": 2.150e1, "note": "x" }, "rx": [{ "rssi": -7 , "gw": 1 }, { "gw": 2 }, { "rssi": [1, 2] }],
        "list": ["no", { "a" : "caf\u00e9" }], "none": {} }"#;
    let expected = r#"{"id":12345678901234567890123,"object":{"t":2.150e1},"rx":[{"rssi":-7},{"rssi":[1, 2]}],"list":[{ "a" : "caf\u00e9" }]}"#;
    assert_eq!(becomes(share, payload), expected);
}

#[test]
fn without_fields_all_else_leaves_as_it_is() {
    let share = Share { pseudonyms: fields(&["/devEui", "/rx/*/gw"]), ..everything() };
    let payload = r#"{"devEui":"0016c001","x":1.0,"rx":[{"gw":7,"s":{ "t":0 }},{"gw":"7"},{"gw":null}],"e":[],"o":{}}"#;
    let (eui, gateway) = (alias("0016c001"), alias("7"));
    let expected = format!(
        r#"{{"devEui":"{eui}","x":1.0,"rx":[{{"gw":"{gateway}","s":{{ "t":0 }}}},{{"gw":"{gateway}"}},{{"gw":null}}],"e":[],"o":{{}}}}"#
    );
    assert_eq!(becomes(share, payload), expected);
}

#[test]
fn what_has_no_pseudonym_or_can_not_be_coarse_is_left_out() {
    let coarse = vec![
        Coarse::Number { number: field("/n"), decimals: 1 },
        Coarse::Time { time: field("/t"), to: Duration::from_secs(3600) },
        Coarse::Position { position: field("/p"), metres: 1000 },
    ];
    let share = Share { pseudonyms: fields(&["/who"]), coarse, ..everything() };
    let payload = r#"{"who":{"name":"anna"},"n":"secret","t":"yesterday","p":"52.5,13.4","x":1}"#;
    assert_eq!(becomes(share.clone(), payload), r#"{"x":1}"#);
    let payload = r#"{"who":["anna"],"n":[1],"t":{},"p":{"where":"home","lat":91,"lon":1},"x":1}"#;
    assert_eq!(becomes(share, payload), r#"{"x":1}"#);
}

#[test]
fn a_position_moves_to_a_grid_in_whatever_form_it_comes() {
    let at = |place: &str, fields: Option<Vec<Field>>| Share {
        coarse: vec![Coarse::Position { position: field(place), metres: 1000 }],
        fields,
        ..everything()
    };
    let exact = r#"{"latitude":52.516274,"longitude":13.377704,"altitude":34.5,"accuracy":3}"#;
    assert_eq!(becomes(at("", None), exact), r#"{"latitude":52.520347,"longitude":13.375723}"#);
    assert_eq!(
        becomes(at("", Some(fields(&["/accuracy"]))), exact),
        r#"{"latitude":52.520347,"longitude":13.375723,"accuracy":3}"#
    );
    let named = r#"{"gps":{"lat":"52.516274","lng":13.377704}}"#;
    assert_eq!(becomes(at("/gps", Some(Vec::new())), named), r#"{"gps":{"lat":52.520347,"lng":13.375723}}"#);
    let geojson = r#"{"location":{"type":"Point","coordinates":[13.377704,52.516274,34.5]}}"#;
    assert_eq!(
        becomes(at("/location/coordinates", None), geojson),
        r#"{"location":{"type":"Point","coordinates":[13.375723,52.520347]}}"#
    );
    for lone in [r#"{"longitude":13.377704}"#, r#"{"latitude":"here","longitude":13.377704}"#, "[13.377704]", "7"] {
        assert_eq!(becomes(at("", None), lone), "nothing-left", "{lone}");
    }
}

#[test]
fn what_can_not_be_judged_or_has_nothing_left_stays_here() {
    let share = || Share { fields: Some(fields(&["/a"])), ..everything() };
    for (payload, expected) in [
        ("21.5 degrees", "not-json"),
        ("{\"a\":1,\"b\":2,\"b\":3}", "duplicate-key"),
        ("{\"b\":2}", "nothing-left"),
        ("{}", "nothing-left"),
        ("5", "nothing-left"),
        ("", ""),
    ] {
        assert_eq!(becomes(share(), payload), expected, "{payload}");
    }
    assert_eq!(becomes(share(), &format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40))), "too-deep");
    assert_eq!(becomes(share(), &format!("{{\"a\":\"{}\"}}", "x".repeat(300_000))), "too-large");
    assert_eq!(becomes(everything(), "21.5 degrees"), "21.5 degrees", "without fields it is not read");
}

#[test]
fn the_first_rule_that_names_a_topic_decides_and_what_none_names_stays_here() {
    let rule = |topic: &str, field: &str| Share {
        fields: Some(fields(&[field])),
        ..Share::all(vec![TopicFilter::new(topic).unwrap()])
    };
    let policy = Policy::of(&[rule("a/b", "/x"), rule("a/+", "/y")]).unwrap();
    let out = |topic: &str| policy.shape(&message(topic, r#"{"x":1,"y":2}"#), None).map(|shaped| shaped.payload);
    assert_eq!(out("a/b").unwrap(), r#"{"x":1}"#);
    assert_eq!(out("a/c").unwrap(), r#"{"y":2}"#);
    assert_eq!(out("b"), Err(Withheld::Topic));
    assert!(policy.names("a/b") && !policy.names("b"));
    assert!(Policy::of(&[]).is_none());
}

#[test]
fn a_level_of_the_topic_gets_the_pseudonym_that_the_field_has() {
    let share = Share { topic_levels: vec![1, 9], pseudonyms: fields(&["/devEui"]), ..everything() };
    let shaped = policy(share).shape(&message("lora/0016c001/up", r#"{"devEui":"0016c001"}"#), Some(&Key::example()));
    let (shaped, alias) = (shaped.unwrap(), alias("0016c001"));
    assert_eq!(shaped.topic.as_str(), format!("lora/{alias}/up"));
    assert_eq!(shaped.payload, format!("{{\"devEui\":\"{alias}\"}}"));
    let share = Share { topic_levels: vec![0], ..everything() };
    let long = message(&format!("a/{}", "x".repeat(65_530)), "");
    assert_eq!(policy(share.clone()).shape(&long, Some(&Key::example())), Err(Withheld::LongTopic));
    assert_eq!(policy(share).shape(&message("a", ""), None), Err(Withheld::NoSecret));
}

fn with_properties() -> Message {
    let user = [("site", "roof"), ("owner", "A. Miller"), ("stile-id", "made up")];
    let properties = Properties {
        payload_is_text: Some(true),
        content_type: Some("application/json".into()),
        response_topic: Some("answers/anna".into()),
        correlation: Some("anna".into()),
        user: user.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        expiry: None,
    };
    let radio = RadioMeta { framing: "line".into(), baud: 9600, poll: Some("anna".into()) };
    Message { properties: Some(Arc::new(properties)), radio: Some(Arc::new(radio)), ..message("a", "{\"a\":1}") }
}

fn said(shaped: &Message) -> Vec<String> {
    let properties = crate::codec::properties_of(shaped);
    let known = [
        properties.content_type.map(|text| format!("content-type={text}")),
        properties.response_topic.map(|text| format!("response-topic={text}")),
        properties.correlation_data.map(|bytes| format!("correlation-data={}", String::from_utf8_lossy(&bytes))),
    ];
    let user = properties.user.iter().map(|(name, value)| format!("{name}={value}"));
    known.into_iter().flatten().chain(user).collect()
}

#[test]
fn of_properties_only_those_that_are_named_leave_the_gateways_own_included() {
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let shaped = |share: Share| policy(share).shape(&with_properties(), Some(&Key::example())).unwrap();
    let share = Share { properties: names(&["content-type", "site", "stile-id", RECEIVED_AT]), ..everything() };
    let copy = shaped(share);
    assert_eq!(
        said(&copy),
        [
            "content-type=application/json",
            "site=roof",
            "stile-id=0000000000000007-1",
            "stile-received-at=2026-11-27T03:59:59.250000Z",
        ]
    );
    let record = String::from_utf8_lossy(&copy.to_record()).into_owned();
    assert!(!record.contains("anna") && !record.contains("Miller"), "{record}");
    assert_eq!(said(&shaped(Share { fields: Some(fields(&["/a"])), ..everything() })), Vec::<String>::new());
    let whole = with_properties();
    assert_eq!(
        policy(everything()).shape(&whole, None).unwrap(),
        whole,
        "a rule that says nothing else shares all of it"
    );
}

#[test]
fn the_time_of_receipt_leaves_as_coarse_as_it_may_and_lies_in_no_queue_otherwise() {
    let property = RECEIVED_AT;
    let coarse = vec![Coarse::Received { property, to: Duration::from_secs(3600) }];
    let shaped = |share: Share, message: &Message| policy(share).shape(message, None).unwrap();
    let copy = shaped(Share { coarse: coarse.clone(), ..everything() }, &with_properties());
    assert_eq!(said(&copy), ["stile-received-at=2026-11-27T03:00:00Z"]);
    assert_eq!(copy.received.rfc3339(), "2026-11-27T03:00:00.000000Z");
    let copy = shaped(Share { properties: Some(Vec::new()), ..everything() }, &with_properties());
    assert_eq!((copy.received.unix_micros(), copy.received.trusted()), (0, None));
    let mut expires = message("a", "1");
    expires.properties = Some(Arc::new(Properties { expiry: Some(60), ..Properties::default() }));
    let copy = shaped(Share { coarse, ..everything() }, &expires);
    assert_eq!(copy.received, expires.received, "how long it waits is counted by that");
    assert_eq!(said(&copy), ["stile-received-at=2026-11-27T03:00:00Z"]);
}

#[test]
fn an_explanation_says_what_became_of_each_field_and_by_which_rule() {
    let share = Share {
        fields: Some(fields(&["/object/t"])),
        pseudonyms: fields(&["/a~1b"]),
        coarse: vec![Coarse::Number { number: field("/n/*"), decimals: 1 }],
        ..everything()
    };
    let explained = policy(share).explain(
        &message("a", r#"{"a/b":"x","object":{"t":{"deep":1},"u":2},"n":[1.25,"?"],"owner":{"name":1}}"#),
        &Key::example(),
    );
    let lines: Vec<_> =
        explained.fates.iter().map(|fate| format!("{} {}: {}", fate.field, fate.became.as_str(), fate.why)).collect();
    assert_eq!(
        lines,
        [
            "/a~1b pseudonym: `pseudonyms` has \"/a~1b\"",
            "/object/t kept: `fields` has \"/object/t\"",
            "/object/u left out: no rule names it",
            "/n/0 coarse: `coarse` has \"/n/*\"",
            "/n/1 left out: `coarse` has \"/n/*\", and it can't be made coarse",
            "/owner left out: no rule names it",
        ]
    );
    assert_eq!((explained.rule, explained.outcome.is_ok()), (Some(0), true));
    let elsewhere = Share::all(vec![TopicFilter::new("b").unwrap()]);
    let explained = policy(elsewhere).explain(&message("a", ""), &Key::example());
    assert_eq!((explained.rule, explained.outcome), (None, Err(Withheld::Topic)));
}
