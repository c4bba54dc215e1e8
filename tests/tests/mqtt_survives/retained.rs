//! Retained messages are those that were acknowledged last, before and after SIGKILL.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stile_tests::packet::{V5, V311, Value, ack, counted, publish};
use stile_tests::{Gone, Random, RawClient, Stile, within};

use super::{BOTH, PUBACK, PUBCOMP, PUBREC, PUBREL};

/// What is kept under `filter`: payloads in the order of their topics.
fn kept(stile: &Stile, version: u8, filter: &str) -> Vec<(String, String)> {
    let mut client = RawClient::connect(stile.mqtt, version, "reader");
    assert_eq!(client.subscribe(&[(filter, 0)], &[]), [0]);
    client.send(&[0xc0, 0]);
    let messages = std::iter::from_fn(|| Some(client.packet()).filter(|packet| packet.kind() == 3));
    let messages = messages.map(|packet| packet.publish(version));
    let mut kept: Vec<_> = messages.inspect(|m| assert!(m.retain)).map(|m| (m.topic, m.text)).collect();
    client.disconnect();
    kept.sort();
    kept
}

fn pair(topic: &str, text: &str) -> (String, String) {
    (topic.to_owned(), text.to_owned())
}

#[test]
fn retained_messages_are_there_after_a_kill_with_their_properties_and_what_was_cleared_is_not() {
    let mut stile = Stile::start("");
    for version in BOTH {
        let mut client = RawClient::connect(stile.mqtt, version, "writer");
        for (topic, text) in [("one", "first"), ("one", "last"), ("gone", "x"), ("gone", ""), ("two", "ä")] {
            client.publish_acked(true, &format!("{version}/{topic}"), &[], text);
        }
        client.send(&publish(version, 5, &format!("{version}/qos2"), 8, &[], "twice sure"));
        assert_eq!(client.packet().first, PUBREC);
        client.cut();
    }
    let mut client = RawClient::connect(stile.mqtt, V5, "writer");
    let user = [vec![0x26], counted("name"), counted("value")].concat();
    let properties = [vec![0x01, 1, 0x02, 0, 0, 14, 16, 0x03], counted("text/plain"), user].concat();
    client.publish_acked(true, "rich", &properties, "text");
    for _ in 0..2 {
        stile.kill_and_start();
        for version in BOTH {
            let all = ["one", "qos2", "two"].map(|topic| format!("{version}/{topic}"));
            let expected = [pair(&all[0], "last"), pair(&all[1], "twice sure"), pair(&all[2], "ä")];
            assert_eq!(kept(&stile, version, &format!("{version}/#")), expected);
        }
        let mut reader = RawClient::connect(stile.mqtt, V5, "reader");
        reader.subscribe(&[("rich", 2)], &[]);
        let rich = reader.next_acked();
        assert_eq!((rich.text.as_str(), rich.qos, rich.retain), ("text", 1, true));
        assert_eq!((rich.number(0x01), rich.property(0x03)), (Some(1), Some(&Value::Bytes(b"text/plain".into()))));
        assert_eq!(rich.property(0x26), Some(&Value::Pair("name".into(), "value".into())));
        assert!(rich.number(0x02).is_some_and(|left| (3500..=3600).contains(&left)), "{rich:?}");
        reader.disconnect();
    }
}

#[test]
fn a_retained_messages_expiry_goes_on_while_the_gateway_is_down() {
    let mut stile = Stile::start("");
    let mut client = RawClient::connect(stile.mqtt, V5, "writer");
    client.publish_acked(true, "brief", &[0x02, 0, 0, 0, 1], "soon over");
    client.publish_acked(true, "long", &[0x02, 0, 0, 1, 0], "stays");
    stile.kill_and_start();
    // However late it was started, the brief one ends; a second is also how long this may take at least.
    within("the brief message ends", || (kept(&stile, V5, "#") == [pair("long", "stays")]).then_some(()));
}

/// Sets and clears one topic, each time waiting for the acknowledgement. Returns when the daemon is gone.
fn write(client: &mut RawClient, topic: &str, state: &State, qos_2: bool) -> Result<(), Gone> {
    loop {
        let number = state.sent.load(Ordering::SeqCst) + 1;
        // Every fourth one clears.
        let text = if number.is_multiple_of(4) { String::new() } else { number.to_string() };
        state.sent.store(number, Ordering::SeqCst);
        client.try_send(&publish(V311, if qos_2 { 5 } else { 3 }, topic, 7, &[], text))?;
        let first = next(client)?;
        assert_eq!(first, if qos_2 { PUBREC } else { PUBACK });
        state.acknowledged.store(number, Ordering::SeqCst);
        if qos_2 {
            client.try_send(&ack(PUBREL, 7))?;
            assert_eq!(next(client)?, PUBCOMP);
        }
    }
}

fn next(client: &mut RawClient) -> Result<u8, Gone> {
    Ok(client.try_packet(stile_tests::PATIENCE)?.expect("an answer").first)
}

#[derive(Default)]
struct State {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

impl State {
    /// What may be retained: what was acknowledged last, or what was on its way.
    fn allowed(&self, topic: &str) -> Vec<Vec<(String, String)>> {
        let (sent, acknowledged) = (self.sent.load(Ordering::SeqCst), self.acknowledged.load(Ordering::SeqCst));
        let texts = (acknowledged..=sent).map(|number| match number.is_multiple_of(4) {
            true => vec![],
            false => vec![pair(topic, &number.to_string())],
        });
        texts.collect()
    }
}

#[test]
fn whenever_it_is_killed_a_retained_message_is_the_last_acknowledged_one_or_the_next() {
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    let mut stile = Stile::start("");
    let states = [State::default(), State::default()];
    for _ in 0..5 {
        let address = stile.mqtt;
        let goal = states[0].acknowledged.load(Ordering::SeqCst) + random.below(100);
        let moment = Duration::from_micros(random.below(5000));
        std::thread::scope(|scope| {
            for (i, state) in states.iter().enumerate() {
                scope.spawn(move || {
                    let mut client = RawClient::connect(address, V311, &format!("w{i}"));
                    let _killed: Result<(), Gone> = write(&mut client, &format!("kept/{i}"), state, i == 1);
                });
            }
            within("progress", || (states[0].acknowledged.load(Ordering::SeqCst) >= goal).then_some(()));
            // Any moment.
            std::thread::sleep(moment);
            stile.kill();
        });
        stile.start_again();
        for (i, state) in states.iter().enumerate() {
            let topic = format!("kept/{i}");
            let found = kept(&stile, V311, &topic);
            assert!(state.allowed(&topic).contains(&found), "{found:?} is none of {:?}", state.allowed(&topic));
        }
    }
}
