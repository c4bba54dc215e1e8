//! Where the gateway is, and when, as a receiver of satellites said last.
//!
//! One radio is the source, by the settings. Whatever measures puts [`Place::stamp`] into its records, so that each says where
//! it was made, how old that is, and how far the wall clock was off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::{Received, TimeSource, Timing};

/// Who was heard longer ago is nowhere: nobody is to draw a place where the gateway no longer is.
const POSITION_HOLDS: Duration = Duration::from_secs(60);

/// The same of the time, which a clock without a source drifts away from.
const TIME_HOLDS: Duration = Duration::from_secs(10);

/// A receiver's sentence of a second comes within that second; when in it, the sentence does not say. So half of it is taken for
/// the sentence's delay, and the other half is the doubt.
const HALF_SECOND: f64 = 0.5;

/// How good a position is, as the receiver says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fix {
    /// There is none.
    #[default]
    None,
    /// By satellites alone.
    Plain,
    /// Corrected by a reference station or satellite.
    Differential,
    /// By the carrier's phase, to centimetres.
    Rtk,
    /// The same with ambiguities left, to decimetres.
    RtkFloat,
    /// By dead reckoning.
    Estimated,
    /// Typed in.
    Manual,
    /// Made up.
    Simulated,
}

impl Fix {
    /// The word for records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Plain => "fix",
            Self::Differential => "dgps",
            Self::Rtk => "rtk",
            Self::RtkFloat => "rtk-float",
            Self::Estimated => "estimated",
            Self::Manual => "manual",
            Self::Simulated => "simulated",
        }
    }
}

/// What a receiver says of where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// When its first byte came.
    pub at: Instant,
    /// How good it is.
    pub fix: Fix,
    /// Degrees north, -90 to 90, and east, -180 to 180; not there without a fix.
    pub degrees: Option<(f64, f64)>,
    /// Metres above mean sea level.
    pub altitude: Option<f64>,
    /// Horizontal dilution of precision.
    pub hdop: Option<f64>,
    /// Satellites in use.
    pub satellites: Option<u8>,
    /// Metres, one standard deviation, horizontally.
    pub error: Option<f64>,
}

/// See the module's head.
#[derive(Debug, Default)]
pub struct Place(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// The radio whose word counts.
    source: Option<Arc<str>>,
    position: Option<Position>,
    /// Seconds by which the wall clock was ahead of the receiver's time, and when.
    ahead: Option<(f64, Instant)>,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the word of this radio counts. Where it is another one's, what was heard is forgotten.
    pub fn select(&self, source: Option<&str>) {
        let mut heard = self.lock();
        if heard.source.as_deref() != source {
            *heard = Heard { source: source.map(Arc::from), ..Heard::default() };
        }
    }

    /// Whether the word of this radio counts.
    pub fn is_from(&self, radio: &str) -> bool {
        self.lock().source.as_deref() == Some(radio)
    }

    /// Notes where the radio that counts says to be.
    pub fn note(&self, position: Position) {
        self.lock().position = Some(position);
    }

    /// Notes what time it was, by the radio that counts, when its sentence came.
    pub fn note_time(&self, true_time: SystemTime, came: &Received) {
        let ahead = match came.wall.duration_since(true_time) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        };
        self.lock().ahead = Some((ahead, came.monotonic));
    }

    /// What belongs into a record of something that was measured at this time: `timing`, and `position` where the settings name
    /// a source.
    pub fn stamp(&self, at: &Received, timing: Timing) -> Map<String, Value> {
        let heard = self.lock();
        let timing = if timing.source == TimeSource::None { heard.timing(at) } else { timing };
        let mut stamp = Map::new();
        stamp.insert("timing".to_owned(), of_timing(timing));
        stamp.extend(heard.of_position(at).map(|position| ("position".to_owned(), position)));
        stamp
    }
}

impl Heard {
    fn timing(&self, at: &Received) -> Timing {
        let fresh = self.ahead.filter(|(_, then)| age(at, *then) <= TIME_HOLDS);
        fresh.map_or_else(Timing::default, |(ahead, _)| Timing {
            source: TimeSource::Gps,
            offset: Some(ahead - HALF_SECOND),
            error: Some(HALF_SECOND),
        })
    }

    fn of_position(&self, at: &Received) -> Option<Value> {
        let source = self.source.as_ref()?;
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
        let position = self.position.as_ref();
        let fresh = position.filter(|position| age(at, position.at) <= POSITION_HOLDS);
        if let Some(position) = fresh {
            put("lat", position.degrees.map(|(north, _)| rounded(north, 7)));
            put("lon", position.degrees.map(|(_, east)| rounded(east, 7)));
            put("alt_m", position.altitude.map(|metres| rounded(metres, 2)));
        }
        put("age_s", position.map(|position| rounded(age(at, position.at).as_secs_f64(), 3)));
        put("quality", Some(json!(fresh.map_or(Fix::None, |position| position.fix).as_str())));
        if let Some(position) = fresh {
            put("hdop", position.hdop.map(|hdop| rounded(hdop, 2)));
            put("sats", position.satellites.map(|count| json!(count)));
            put("error_m", position.error.map(|metres| rounded(metres, 3)));
        }
        put("source", Some(json!(source)));
        Some(Value::Object(body))
    }
}

fn of_timing(timing: Timing) -> Value {
    let mut body = Map::new();
    body.insert("source".to_owned(), json!(timing.source.as_str()));
    body.extend(timing.offset.map(|seconds| ("offset_s".to_owned(), rounded(seconds, 9))));
    body.extend(timing.error.map(|seconds| ("error_s".to_owned(), rounded(seconds, 9))));
    Value::Object(body)
}

/// How long before the measurement that was. What came while it went on is no time old.
fn age(at: &Received, then: Instant) -> Duration {
    at.monotonic.saturating_duration_since(then)
}

/// No more decimals than anybody means; whole numbers without a point.
fn rounded(value: f64, decimals: i32) -> Value {
    let scale = 10_f64.powi(decimals);
    let rounded = (value * scale).round() / scale;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 { json!(rounded as i64) } else { json!(rounded) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Clock;

    fn position(at: Instant) -> Position {
        Position {
            at,
            fix: Fix::Plain,
            degrees: Some((51.502_512_345_678, -0.1347)),
            altitude: Some(5.25),
            hdop: Some(0.9),
            satellites: Some(8),
            error: None,
        }
    }

    fn later(now: &Received, seconds: u64) -> Received {
        let by = Duration::from_secs(seconds);
        Received { wall: now.wall + by, monotonic: now.monotonic + by, ..*now }
    }

    #[test]
    fn a_record_says_where_it_was_made_and_how_old_that_is_until_it_is_too_old() {
        let (place, now) = (Place::default(), Clock::default().now());
        assert_eq!(Value::Object(place.stamp(&now, Timing::default())), json!({ "timing": { "source": "none" } }));
        place.select(Some("gps"));
        let said = |at: &Received| place.stamp(at, Timing::default())["position"].clone();
        assert_eq!(said(&now), json!({ "quality": "none", "source": "gps" }), "it was never heard");
        place.note(position(now.monotonic));
        let whole = json!({ "lat": 51.502_512_3, "lon": -0.1347, "alt_m": 5.25, "age_s": 2, "quality": "fix",
            "hdop": 0.9, "sats": 8, "source": "gps" });
        assert_eq!(said(&later(&now, 2)), whole);
        assert_eq!(said(&later(&now, 61)), json!({ "age_s": 61, "quality": "none", "source": "gps" }));
        place.select(Some("gps"));
        assert_eq!(said(&later(&now, 2)), whole, "it is the same source");
        place.select(Some("other"));
        assert_eq!(said(&now), json!({ "quality": "none", "source": "other" }));
    }

    #[test]
    fn the_time_of_satellites_counts_while_it_is_fresh_and_nobody_knows_better_with_half_a_second_of_doubt() {
        let (place, now) = (Place::default(), Clock::default().now());
        place.note_time(now.wall - Duration::from_millis(3_750), &now);
        let said = |at: &Received, timing| place.stamp(at, timing)["timing"].clone();
        let of_gps = json!({ "source": "gps", "offset_s": 3.25, "error_s": 0.5 });
        assert_eq!(said(&later(&now, 9), Timing::default()), of_gps);
        assert_eq!(said(&later(&now, 11), Timing::default()), json!({ "source": "none" }));
        let chrony = Timing { source: TimeSource::Chrony, offset: Some(-0.000_012_3), error: Some(0.000_4) };
        let of_chrony = json!({ "source": "chrony", "offset_s": -0.000_012_3, "error_s": 0.000_4 });
        assert_eq!(said(&now, chrony), of_chrony);
        place.note_time(now.wall + Duration::from_secs(10), &now);
        assert_eq!(said(&now, Timing::default())["offset_s"], -10.5);
    }
}
