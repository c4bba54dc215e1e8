//! What a sharing policy costs a message: from the message to the copy that is queued.
//!
//! The event is one of ChirpStack's, of about a kilobyte. Each row is the median of rounds of many messages, on one core.
//! Prints rows of a Markdown table.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may be loud")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use stile::config::{Coarse, Field, Share};
use stile::message::{Clock, Message, MessageId, Origin, Topic, TopicFilter};
use stile::pseudonym::Key;
use stile::sharing::Policy;

const ROUNDS: usize = 21;
const MESSAGES: u32 = 2000;

const EVENT: &str = r#"{"deduplicationId":"3ac7e3c4-4401-4b8d-9386-a5c902f9202d","time":"2026-11-27T03:59:59.775023+00:00",
"deviceInfo":{"tenantId":"52f14cd4-c6f1-4fbd-8f87-4025e1d49242","tenantName":"ChirpStack","applicationId":"17c82e96-be03",
"applicationName":"bedrooms","deviceProfileId":"14855bf7-d10d-4aee-b618-ebfcb64dc7ad","deviceName":"Miller, 2nd floor",
"devEui":"0016c001ff10a235","tags":{"key":"value"}},"devAddr":"00189440","dr":1,"fPort":2,"fCnt":12345,"confirmed":false,
"data":"AWcA5gJoYA==","object":{"temperatureSensor":{"1":23.0},"humiditySensor":{"2":48.0},"battery":3.61},
"rxInfo":[{"gatewayId":"0016c001f153a14c","uplinkId":4217106255,"rssi":-36,"snr":10.5,"channel":2,"rfChain":1,
"location":{"latitude":52.516274,"longitude":13.377704,"altitude":34.0},"context":"E3OWOQ==","crcStatus":"CRC_OK"},
{"gatewayId":"0016c001f1500812","uplinkId":3818451335,"rssi":-101,"snr":-7.25,"channel":5,"rfChain":0,
"location":{"latitude":52.520008,"longitude":13.404954,"altitude":30.0},"context":"E3OWOQ==","crcStatus":"CRC_OK"}],
"txInfo":{"frequency":867100000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":11,"codeRate":"CR_4_5"}}}}"#;

fn main() {
    let all = || Share::all(vec![TopicFilter::new("lora/+/up").unwrap()]);
    let fields = |texts: &[&str]| texts.iter().map(|text| Field::parse(text).unwrap()).collect::<Vec<_>>();
    let some = fields(&["/object", "/rxInfo/*/rssi", "/rxInfo/*/snr", "/fCnt"]);
    let coarse = vec![
        Coarse::Position { position: Field::parse("/rxInfo/*/location").unwrap(), metres: 1000 },
        Coarse::Time { time: Field::parse("/time").unwrap(), to: Duration::from_secs(3600) },
    ];
    let (some, eui) = (Some(some), fields(&["/deviceInfo/devEui"]));
    row("a record alone", None);
    row("the whole message", Some(all()));
    row("4 fields", Some(Share { fields: some.clone(), ..all() }));
    row("1 pseudonym, all else", Some(Share { pseudonyms: eui.clone(), ..all() }));
    let share = Share { fields: some, pseudonyms: eui, coarse, topic_levels: vec![1], ..all() };
    row("4 fields, 2 pseudonyms, 2 positions, a time", Some(share));
}

fn row(what: &str, share: Option<Share>) {
    let policy = share.and_then(|share| Policy::of(&[share]));
    let (key, clock) = (Key::example(), Clock::default());
    let topic = Topic::new("lora/0016c001ff10a235/up").unwrap();
    let id = MessageId { run: 1, sequence: 1 };
    let message = Message::new(id, clock.now(), Origin::Client("chirpstack".into()), topic, EVENT);
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round(&message, policy.as_ref(), &key)).collect();
    rounds.sort();
    println!("| {what} | {:.1} µs | | |", rounds[ROUNDS / 2].as_nanos() as f64 / 1000.0);
}

fn round(message: &Message, policy: Option<&Policy>, key: &Key) -> Duration {
    let began = Instant::now();
    for _ in 0..MESSAGES {
        let record = match policy {
            None => message.to_record(),
            Some(policy) => policy.shape(black_box(message), Some(key)).unwrap().to_record(),
        };
        black_box(record);
    }
    began.elapsed() / MESSAGES
}
