//! For the fuzz target `nmea`, and for the test that plays its corpus: what must hold for anything that a receiver of
//! satellites says.
//!
//! Built for these alone. An input is bytes off the port.

use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::{Heard, Navigation};
use crate::config::Framing;
use crate::message::{ClockQuality, Fix, Place, Position, Received, Timing};
use crate::radio::serial::framing::{self, Decoded};

/// The longest frame of a port, as settings have it unless they say otherwise.
const FRAME_MAX: usize = 4096;
/// Between two sentences: what is known of one grows too old within the next few.
const PACE: Duration = Duration::from_millis(2_500);

/// Reads bytes as the port's framing cuts them, and once more with each sentence's checksum put right, which hardly any
/// change leaves right. Panics where a position, a time or a record of these is one that there can't be.
pub fn play(input: &[u8]) {
    listen(input);
    listen(&with_checksums(input));
}

/// The same with the checksum that belongs there behind each `*`.
fn with_checksums(input: &[u8]) -> Vec<u8> {
    let mut right = Vec::with_capacity(input.len() + 64);
    for sentence in input.split_inclusive(|byte| *byte == b'\n') {
        let begin = sentence.iter().position(|byte| *byte == b'$');
        let end = sentence.iter().position(|byte| *byte == b'*');
        let Some(body) = begin.zip(end).and_then(|(begin, end)| sentence.get(begin + 1..end)) else {
            right.extend_from_slice(sentence);
            continue;
        };
        let sum = body.iter().fold(0, |sum, byte| sum ^ byte);
        right.push(b'$');
        right.extend_from_slice(body);
        right.extend_from_slice(format!("*{sum:02X}\r\n").as_bytes());
    }
    right
}

fn listen(bytes: &[u8]) {
    let (mut navigation, place) = (Navigation::default(), Place::default());
    place.select(Some("gps"));
    let mut came = Received { wall: SystemTime::now(), monotonic: Instant::now(), clock: ClockQuality::Unknown };
    framing::decoder(&Framing::Nmea, FRAME_MAX).decode(bytes, &mut |decoded| {
        let Decoded::Frame { payload, .. } = decoded else { return };
        came.monotonic += PACE;
        let position = match navigation.sentence(&payload, came.monotonic) {
            None => return,
            Some(Heard::Position(position)) => Some(position),
            Some(Heard::Time(time, position)) => {
                let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("it is of this century").as_secs();
                assert!((946_684_800..=4_102_444_800).contains(&since), "{since}");
                place.note_time(time, &came);
                position
            }
        };
        if let Some(position) = position {
            can_be(&position, came.monotonic);
            place.note(position);
        }
        let stamp = Value::Object(place.stamp(&came, Timing::default()));
        let there = &stamp["position"];
        assert!(there["source"] == "gps" && there["lat"].is_null() == there["lon"].is_null(), "{stamp}");
        assert!(there["age_s"].as_f64().is_none_or(|age| age >= 0.0), "{stamp}");
        // What is no number would be written as null.
        assert!(all(&stamp).iter().all(|value| !value.is_null()), "{stamp}");
    });
}

fn all(value: &Value) -> Vec<&Value> {
    value.as_object().map_or_else(|| vec![value], |object| object.values().flat_map(all).collect())
}

fn can_be(position: &Position, at: Instant) {
    assert!(position.at == at && (position.degrees.is_some() == (position.fix != Fix::None)), "{position:?}");
    if let Some((north, east)) = position.degrees {
        assert!((-90.0..=90.0).contains(&north) && (-180.0..=180.0).contains(&east), "{position:?}");
    } else {
        assert!(position.altitude.or(position.hdop).or(position.error).is_none(), "{position:?}");
    }
    assert!(position.altitude.is_none_or(|metres| (-20_000.0..=100_000.0).contains(&metres)), "{position:?}");
    assert!(position.hdop.is_none_or(|hdop| (0.0..=100.0).contains(&hdop)), "{position:?}");
    assert!(position.satellites.is_none_or(|count| count < 100), "{position:?}");
    assert!(position.error.is_none_or(|metres| (0.0..=1.5e6).contains(&metres)), "{position:?}");
}

#[cfg(test)]
mod tests {
    use super::play;
    use crate::radio::lora::fuzzed::corpus::{corpus, play_changed};

    #[test]
    fn whatever_a_receiver_says_comes_to_places_and_times_that_there_can_be() {
        corpus("nmea").iter().for_each(|input| play(input));
        play_changed("nmea", 500, play);
    }

    #[test]
    fn a_checksum_is_put_right_and_what_is_no_sentence_stays() {
        assert_eq!(super::with_checksums(b"x$A*00\ny\n"), b"$A*41\r\ny\n");
    }
}
