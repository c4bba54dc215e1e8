//! Property bags: what an IoT hub's topics carry in the place of properties. Pure.
//!
//! Source: Microsoft, "Communicate with an IoT hub using the MQTT protocol", sending device-to-cloud and receiving
//! cloud-to-device messages; the names of system properties are those of its device libraries.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::IgnoredAny;

use crate::message::{Message, MessageId, Properties};

/// What stands in names and values as it is (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Properties that are read of one message; a hub sends fewer.
const MOST: usize = 256;
/// Names of properties that begin like this are the gateway's own.
const OWN_PREFIX: &str = "stile-";

/// Percent-encodes a text, so that it can stand in a bag, a topic or a token.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Pairs of names and values, written one after the other; the first of a name counts.
#[derive(Default)]
struct Writer {
    text: String,
    names: BTreeSet<String>,
}

impl Writer {
    /// A system property, whose name needs no escaping.
    fn system(&mut self, name: &str, value: &str) {
        self.pair(name, name, value);
    }

    fn own(&mut self, name: &str, value: &str) {
        self.pair(name, &escape(name), value);
    }

    fn pair(&mut self, name: &str, written: &str, value: &str) {
        if self.names.insert(name.to_owned()) {
            let between = if self.text.is_empty() { "" } else { "&" };
            self.text += &format!("{between}{written}={}", escape(value));
        }
    }
}

/// The bag of a message that is called `topic`: system properties, the gateway's own, the publisher's. Names that begin with
/// `$` or `iothub-` are the hub's, and no publisher's.
pub(super) fn of(message: &Message, topic: &str) -> String {
    let mut bag = Writer::default();
    let said = message.properties.as_deref();
    // One without an id has among its properties what may be said of it.
    let silent = message.id == MessageId::NONE;
    if !silent {
        bag.system("$.mid", &message.id.to_string());
    }
    let content_type = said.and_then(|said| said.content_type.as_deref());
    let json = || serde_json::from_slice::<IgnoredAny>(&message.payload).is_ok();
    if let Some(content_type) = content_type.or_else(|| json().then_some("application/json")) {
        bag.system("$.ct", content_type);
        if std::str::from_utf8(&message.payload).is_ok() {
            bag.system("$.ce", "utf-8");
        }
    }
    let correlation = message.correlation().and_then(|correlation| std::str::from_utf8(correlation).ok());
    if let Some(correlation) = correlation {
        bag.system("$.cid", correlation);
    }
    if !silent && message.received.trusted().is_some() {
        bag.system("$.ctime", &message.received.rfc3339());
    }
    bag.own("topic", topic);
    if !silent {
        bag.own("stile-received-at", &message.received.rfc3339());
        bag.own("stile-clock", message.received.clock.as_str());
        bag.own("stile-origin", &message.origin.to_string());
    }
    if let Some(response) = said.and_then(|said| said.response_topic.as_deref()) {
        bag.own("response-topic", response);
    }
    let theirs = |name: &str| {
        let of_hub = ["$", "iothub-"].iter().any(|prefix| name.starts_with(prefix));
        !of_hub && (silent || !name.starts_with(OWN_PREFIX))
    };
    for (name, value) in said.into_iter().flat_map(|said| &said.user).filter(|(name, _)| theirs(name)) {
        bag.own(name, value);
    }
    bag.text
}

/// The pairs of a bag, decoded; one without `=` has an empty value. `None` where some are no text.
pub(super) fn pairs(bag: &str) -> Option<Vec<(String, String)>> {
    let decode = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    let written = bag.trim_start_matches(['/', '?']).split('&').filter(|pair| !pair.is_empty()).take(MOST);
    let pairs = written.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name)?, decode(value)?))
    });
    pairs.collect()
}

/// What pairs say of a message, as properties of MQTT 5.
pub(super) fn properties(pairs: Vec<(String, String)>) -> Properties {
    let mut properties = Properties::default();
    for (name, value) in pairs {
        match name.as_str() {
            "$.ct" => properties.content_type = Some(value),
            "$.ce" => properties.payload_is_text = value.eq_ignore_ascii_case("utf-8").then_some(true),
            "$.cid" => properties.correlation = Some(value.into_bytes().into()),
            "$.mid" => properties.user.push(("message-id".to_owned(), value)),
            // To whom, until when, whether it is to be told what became of it: between the hub and its service.
            _ if name.starts_with('$') || name.starts_with(OWN_PREFIX) => {}
            _ => properties.user.push((name, value)),
        }
    }
    properties
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::message::{ClockQuality, Origin, Received, Topic};

    fn message(payload: &'static str, properties: Properties) -> Message {
        let received = Received {
            wall: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            monotonic: Instant::now(),
            clock: ClockQuality::Synchronised,
        };
        let id = MessageId { run: 7, sequence: 5 };
        let topic = Topic::new("serial/meter/up").unwrap();
        let message = Message::new(id, received, Origin::Radio("meter".into()), topic, payload);
        Message { properties: (!properties.is_empty()).then(|| Arc::new(properties)), ..message }
    }

    #[test]
    fn the_bag_of_json_says_so_and_has_nothing_that_a_topic_can_not() {
        let bag = of(&message("{\"a\":1}", Properties::default()), "site/a+b#/up");
        let expected = "$.mid=0000000000000007-5&$.ct=application%2Fjson&$.ce=utf-8&$.ctime=2023-11-14T22%3A13%3A20.000000Z\
            &topic=site%2Fa%2Bb%23%2Fup&stile-received-at=2023-11-14T22%3A13%3A20.000000Z&stile-clock=synchronised\
            &stile-origin=radio%3Ameter";
        assert_eq!(bag, expected);
        assert!(!of(&message("one two", Properties::default()), "a").contains("$.ct="), "it may be anything");
    }

    #[test]
    fn a_publishers_properties_are_there_and_none_can_pass_for_the_hubs_or_the_gateways() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let properties = Properties {
            content_type: Some("text/csv".into()),
            correlation: Some("c 1".into()),
            response_topic: Some("r/1".into()),
            user: vec![
                pair("unit", "°C"),
                pair("unit", "K"),
                pair("$.mid", "mine"),
                pair("topic", "other"),
                pair("iothub-message-schema", "x"),
                pair("stile-clock", "synchronised"),
                pair("a&b=c", "d&e=f"),
            ],
            ..Properties::default()
        };
        let bag = of(&message("1;2", properties), "t");
        let read = pairs(&bag).unwrap();
        let value = |name: &str| read.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
        assert_eq!((value("$.ct"), value("$.ce"), value("$.cid")), (vec!["text/csv"], vec!["utf-8"], vec!["c 1"]));
        assert_eq!((value("topic"), value("response-topic")), (vec!["t"], vec!["r/1"]));
        assert_eq!((value("unit"), value("a&b=c")), (vec!["°C"], vec!["d&e=f"]), "the first of a name");
        assert_eq!((value("$.mid"), value("iothub-message-schema")), (vec!["0000000000000007-5"], vec![]));
    }

    #[test]
    fn a_message_without_an_id_says_of_itself_only_what_stands_among_its_properties() {
        let user = vec![("stile-id".to_owned(), "7-5".to_owned()), ("site".to_owned(), "roof".to_owned())];
        let properties = Properties { expiry: Some(60), user, ..Properties::default() };
        let shared = Message { id: MessageId::NONE, ..message("1;2", properties) };
        assert_eq!(of(&shared, "t"), "topic=t&stile-id=7-5&site=roof");
    }

    #[test]
    fn what_a_hub_sends_is_read_in_all_its_forms() {
        // The example of the page: no value, an empty one, a text.
        let read = pairs("/?prop1&prop2=&prop3=a%20string").unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, [("prop1", ""), ("prop2", ""), ("prop3", "a string")]);
        let bag = "%24.mid=m1&%24.to=%2Fdevices%2Froof%2Fmessages%2FdeviceBound&%24.ct=text%2Fplain&%24.ce=UTF-8&%24.cid=7\
            &iothub-ack=none&stile-id=forged&level=3";
        let read = properties(pairs(bag).unwrap());
        let user: Vec<_> = read.user.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(user, ["message-id=m1", "iothub-ack=none", "level=3"]);
        assert_eq!((read.content_type.as_deref(), read.payload_is_text), (Some("text/plain"), Some(true)));
        assert_eq!(read.correlation.as_deref(), Some(&b"7"[..]));
        assert_eq!(pairs("a=%ff"), None, "no text");
        assert_eq!(pairs(""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again_and_fits_a_topic(name in "[^$]\\PC{0,8}", value in "\\PC{0,12}") {
            prop_assume!(!name.starts_with(OWN_PREFIX) && !name.starts_with("iothub-"));
            prop_assume!(!["topic", "response-topic"].contains(&name.as_str()));
            let user = vec![(name.clone(), value.clone())];
            let bag = of(&message("", Properties { user, ..Properties::default() }), "t");
            prop_assert!(Topic::new(&bag).is_ok() && !bag.contains('/'));
            prop_assert_eq!(pairs(&bag).unwrap().pop(), Some((name, value)));
        }

        #[test]
        fn any_text_is_read_or_refused(bag in "\\PC{0,64}") {
            let _ = pairs(&bag).map(properties);
        }
    }
}
