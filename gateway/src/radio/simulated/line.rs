//! A room sensor that prints one line of JSON each tick and answers each line that it is sent.

use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use super::Device;
use super::household::noise;

/// Bytes of a line that are kept for its answer; the rest is passed over.
const LONGEST_ECHO: usize = 256;

/// The sensor.
pub(super) struct Sensor {
    rng: Rng,
    sequence: u64,
    celsius: f64,
    humidity: f64,
    /// The start of the line that is coming in.
    incoming: Vec<u8>,
}

impl Sensor {
    /// A sensor in a room of about 21 degrees and 48 percent humidity.
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), sequence: 0, celsius: 21.0, humidity: 48.0, incoming: Vec::new() }
    }

    /// Takes one byte. Returns the answer when that byte ends a line. CR, LF and both together end one line; an empty
    /// line is none.
    fn take(&mut self, byte: u8) -> Option<String> {
        if !matches!(byte, b'\r' | b'\n') {
            if self.incoming.len() < LONGEST_ECHO {
                self.incoming.push(byte);
            }
            return None;
        }
        let line = std::mem::take(&mut self.incoming);
        let text = Value::from(String::from_utf8_lossy(&line));
        (!line.is_empty()).then(|| format!("{{\"ack\":{text}}}\n"))
    }
}

impl Device for Sensor {
    fn tick(&mut self, _: Duration) -> Vec<u8> {
        self.sequence = self.sequence.saturating_add(1);
        // The pull back to the mean bounds both walks: 3 degrees and 10 percent to either side.
        self.celsius += (21.0 - self.celsius) * 0.05 + 0.15 * noise(&mut self.rng);
        self.humidity += (48.0 - self.humidity) * 0.05 + 0.5 * noise(&mut self.rng);
        let Self { sequence, celsius, humidity, .. } = self;
        format!("{{\"seq\":{sequence},\"temperature\":{celsius:.1},\"humidity\":{humidity:.1}}}\n").into_bytes()
    }

    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.iter().filter_map(|byte| self.take(*byte)).flat_map(String::into_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledged(answer: &[u8]) -> String {
        let value: Value = serde_json::from_slice(answer).unwrap();
        value["ack"].as_str().unwrap().to_owned()
    }

    #[test]
    fn each_tick_is_one_line_of_json_with_the_next_number() {
        let mut sensor = Sensor::new(1);
        for sequence in 1..=1000 {
            let line = sensor.tick(Duration::ZERO);
            assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
            let value: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(value["seq"], sequence);
            assert!((18.0..=24.0).contains(&value["temperature"].as_f64().unwrap()));
            assert!((38.0..=58.0).contains(&value["humidity"].as_f64().unwrap()));
        }
    }

    #[test]
    fn a_line_is_answered_however_it_is_cut_and_ended() {
        for ending in ["\n", "\r\n", "\r"] {
            let mut sensor = Sensor::new(1);
            assert!(sensor.receive(b"set ").is_empty());
            let answer = sensor.receive(format!("led=1{ending}").as_bytes());
            assert_eq!(answer, b"{\"ack\":\"set led=1\"}\n");
            assert!(sensor.receive(b"\n\r\n").is_empty(), "empty lines are none");
        }
    }

    #[test]
    fn anything_that_is_sent_comes_back_as_valid_json() {
        let mut sensor = Sensor::new(1);
        assert_eq!(acknowledged(&sensor.receive(b"a\"b\\c\x01\td\n")), "a\"b\\c\x01\td");
        assert_eq!(acknowledged(&sensor.receive(b"\xFFx\n")), "\u{FFFD}x");
    }

    #[test]
    fn a_line_without_end_is_bounded_and_the_next_one_is_whole() {
        let mut sensor = Sensor::new(1);
        assert!(sensor.receive(&vec![b'x'; 1_000_000]).is_empty());
        assert_eq!(sensor.incoming.len(), LONGEST_ECHO);
        assert_eq!(acknowledged(&sensor.receive(b"\n")), "x".repeat(LONGEST_ECHO));
        assert_eq!(acknowledged(&sensor.receive(b"next\n")), "next");
    }
}
