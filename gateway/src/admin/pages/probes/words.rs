//! What a result says, in words. Results are messages: whatever is in one may come from elsewhere.

use serde_json::Value;

use crate::admin::pages::shown::{bytes, count, cut};

/// As much of a text as is shown, in characters.
const TEXT: usize = 240;

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Is {
    Millis,
    Percent,
    Count,
    Bytes,
    Seconds,
    BitsPerSecond,
}

/// What can stand in a result, and what it is called; in this order.
const FIGURES: [(&str, &str, Is); 24] = [
    ("rtt_ms_min", "Fastest round trip", Is::Millis),
    ("rtt_ms_p50", "Median", Is::Millis),
    ("rtt_ms_p90", "90th percentile", Is::Millis),
    ("rtt_ms_p99", "99th percentile", Is::Millis),
    ("rtt_ms_max", "Slowest", Is::Millis),
    ("jitter_ms", "Jitter", Is::Millis),
    ("ipdv_ms_mean", "From one packet to the next", Is::Millis),
    ("sent", "Packets sent", Is::Count),
    ("received", "Answered", Is::Count),
    ("late", "Answered too late", Is::Count),
    ("datagrams", "Datagrams", Is::Count),
    ("lost", "Lost", Is::Count),
    ("loss_percent", "Loss", Is::Percent),
    ("forward_lost", "Lost on the way there", Is::Count),
    ("backward_lost", "Lost on the way back", Is::Count),
    ("forward_ms_p50", "One way there, median", Is::Millis),
    ("backward_ms_p50", "One way back, median", Is::Millis),
    ("one_way_error_ms", "Each may be off by", Is::Millis),
    ("connect_ms", "Until connected", Is::Millis),
    ("sign_in_ms", "Until let in", Is::Millis),
    ("rtt_ms", "Until acknowledged", Is::Millis),
    ("throughput_bit_s", "Throughput", Is::BitsPerSecond),
    ("seconds", "Time", Is::Seconds),
    ("retransmits", "Segments sent again", Is::Count),
];

/// A result in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    /// When the run began, UTC, to the second.
    pub(super) when: String,
    /// Over which path of an uplink.
    pub(super) path: Option<String>,
    pub(super) on_demand: bool,
    /// The kind of state that it is, and its word.
    pub(super) state: (&'static str, &'static str),
    pub(super) words: String,
    /// What was sent and received.
    pub(super) moved: String,
    pub(super) figures: Vec<(&'static str, String)>,
}

impl Told {
    pub(super) fn of(result: &Value) -> Self {
        let number = |key: &str| result[key].as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        let text = |key: &str| result[key].as_str().map(|text| cut(text, TEXT));
        let well = result["ok"] == true;
        let state = match number("loss_percent") {
            _ if !well => ("bad", "failed"),
            Some(loss) if loss > 0.0 => ("notice", "loss"),
            _ => ("good", "well"),
        };
        let figures = FIGURES.iter().filter_map(|(key, name, is)| Some((*name, is.word(number(key)?)))).collect();
        Self {
            when: text("time").map(|time| second(&time)).unwrap_or_default(),
            path: text("path"),
            on_demand: result["trigger"] == "demand",
            state,
            words: match text("error") {
                Some(error) => error,
                None => in_words(result, number),
            },
            moved: number("data_bytes").map(|moved| bytes(moved as u64)).unwrap_or_default(),
            figures,
        }
    }
}

fn second(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

/// What was found, shortly.
fn in_words(result: &Value, number: impl Fn(&str) -> Option<f64>) -> String {
    let word = |key: &str, is: Is| number(key).map(|number| is.word(number));
    let parts = if let Some(throughput) = word("throughput_bit_s", Is::BitsPerSecond) {
        let direction = if result["direction"] == "down" { "from the server" } else { "to the server" };
        let of = word("bytes", Is::Bytes).zip(word("seconds", Is::Seconds)).map(|(of, time)| format!("{of} in {time}"));
        let loss = word("loss_percent", Is::Percent).map(|loss| format!("{loss} lost"));
        [Some(format!("{throughput} {direction}")), of, loss]
    } else if let Some(acknowledged) = word("rtt_ms", Is::Millis) {
        let connected = word("connect_ms", Is::Millis).map(|after| format!("connected after {after}"));
        [connected, Some(format!("acknowledged after {acknowledged}")), None]
    } else {
        let answered = word("received", Is::Count).zip(word("sent", Is::Count));
        let answered = answered.map(|(received, sent)| format!("{received} of {sent} answered"));
        let median = word("rtt_ms_p50", Is::Millis).map(|median| format!("median {median}"));
        let slowest = word("rtt_ms_max", Is::Millis).map(|slowest| format!("slowest {slowest}"));
        [answered, median, slowest]
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl Is {
    fn word(self, value: f64) -> String {
        match self {
            Self::Millis if value < 1.0 => format!("{:.0} µs", value * 1e3),
            Self::Millis if value < 10.0 => format!("{value:.2} ms"),
            Self::Millis if value < 100.0 => format!("{value:.1} ms"),
            Self::Millis => format!("{value:.0} ms"),
            Self::Percent if value == value.trunc() => format!("{value:.0} %"),
            Self::Percent => format!("{value:.1} %"),
            Self::Count => count(value as u64),
            Self::Bytes => bytes(value as u64),
            Self::Seconds if value < 1.0 => Self::Millis.word(value * 1e3),
            Self::Seconds => format!("{value:.2} s"),
            Self::BitsPerSecond => bits(value),
        }
    }
}

/// Bits a second: `850 bit/s`, `12.3 Mbit/s`.
fn bits(value: f64) -> String {
    let (mut value, mut unit) = (value, "bit/s");
    for next in ["kbit/s", "Mbit/s", "Gbit/s"] {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "bit/s" || value >= 99.5 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_result_is_told_in_words() {
        let stamp = json!({ "kind": "stamp", "ok": true, "time": "2026-11-27T13:21:11.550237Z", "trigger": "demand",
            "sent": 10, "received": 9, "lost": 1, "loss_percent": 10.0, "rtt_ms_p50": 0.0231, "rtt_ms_max": 12.34,
            "data_bytes": 1440 });
        let told = Told::of(&stamp);
        assert_eq!((told.when.as_str(), told.on_demand, told.state), ("2026-11-27 13:21:11", true, ("notice", "loss")));
        assert_eq!(told.words, "9 of 10 answered, median 23 µs, slowest 12.3 ms");
        assert_eq!((told.moved.as_str(), told.figures[0].clone()), ("1.4 kB", ("Median", "23 µs".to_owned())));
        for (result, state, words) in [
            (
                json!({ "ok": true, "direction": "down", "throughput_bit_s": 98_765_432, "bytes": 20_000_000, "seconds": 1.62 }),
                "well",
                "98.8 Mbit/s from the server, 20 MB in 1.62 s",
            ),
            (
                json!({ "ok": true, "direction": "up", "throughput_bit_s": 950, "loss_percent": 0.52 }),
                "loss",
                "950 bit/s to the server, 0.5 % lost",
            ),
            (
                json!({ "ok": true, "path": "modem", "connect_ms": 81.25, "rtt_ms": 140.2 }),
                "well",
                "connected after 81.2 ms, acknowledged after 140 ms",
            ),
            (json!({ "ok": false, "error": "nobody answers there", "sent": 3 }), "failed", "nobody answers there"),
            // Somebody else has published it.
            (json!({ "ok": true, "sent": -1, "received": "many", "rtt_ms_p50": null }), "well", ""),
            (json!([1, 2]), "failed", ""),
        ] {
            let told = Told::of(&result);
            assert_eq!((told.state.1, told.words.as_str()), (state, words), "{result}");
        }
        assert_eq!(Told::of(&json!({ "error": "ä".repeat(1000) })).words.chars().count(), TEXT + 1);
    }
}
