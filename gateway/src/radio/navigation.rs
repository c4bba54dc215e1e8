//! What a receiver of satellites says in NMEA 0183: where it is, how well it knows that, and what time it is.
//!
//! Source: NMEA 0183, sentences GGA, RMC and GST, of any talker. Pure: sentences come in, positions and times go out. A field
//! that is empty is not known; one that can't be makes the whole sentence nothing.

#[cfg(any(test, fuzzing))]
pub mod fuzzed;

use std::time::{Duration, Instant, SystemTime};

use super::serial::framing::sentence_is_right;
use crate::message::{Fix, Position};

/// More than any sentence has, in bytes and in fields. (The standard ends at 82; receivers for surveying go beyond.)
const SENTENCE_MAX: usize = 256;

/// How long GGA, which says more, keeps RMC from saying where the receiver is.
const GGA_HOLDS: Duration = Duration::from_secs(5);

/// How long the error that GST gives belongs to a position.
const GST_HOLDS: Duration = Duration::from_secs(5);

/// What came out of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    Position(Position),
    /// UTC, by the satellites; and where it is, where nothing else says that.
    Time(SystemTime, Option<Position>),
}

/// One receiver, and what it said before.
#[derive(Debug, Default)]
pub(super) struct Navigation {
    gga: Option<Instant>,
    /// Metres.
    error: Option<(f64, Instant)>,
}

impl Navigation {
    /// A sentence, from `$` to its checksum, whose first byte came at this time. `None` for others than the three, and for such
    /// as can't be.
    pub(super) fn sentence(&mut self, sentence: &[u8], at: Instant) -> Option<Heard> {
        if sentence.len() > SENTENCE_MAX || !sentence_is_right(sentence) {
            return None;
        }
        let text = std::str::from_utf8(sentence).ok()?.strip_prefix('$')?;
        let (body, _checksum) = text.split_once('*')?;
        let mut fields = body.split(',');
        // The talker is two letters; a maker's own sentences begin with P.
        let kind = fields.next()?.get(2..)?;
        let fields = Fields(fields.collect());
        match kind {
            "GGA" => self.gga(&fields, at).map(Heard::Position),
            "RMC" => self.rmc(&fields, at),
            "GST" => {
                self.error = gst(&fields).map(|metres| (metres, at));
                None
            }
            _ => None,
        }
    }

    /// Time, latitude, N or S, longitude, E or W, quality, satellites, HDOP, altitude, M, ...
    fn gga(&mut self, fields: &Fields<'_>, at: Instant) -> Option<Position> {
        let fix = match fields.text(5)? {
            "0" | "" => Fix::None,
            // 3 is the precise positioning service.
            "1" | "3" => Fix::Plain,
            "2" => Fix::Differential,
            "4" => Fix::Rtk,
            "5" => Fix::RtkFloat,
            "6" => Fix::Estimated,
            "7" => Fix::Manual,
            "8" => Fix::Simulated,
            _ => return None,
        };
        let degrees = fields.degrees(1)?.filter(|_| fix != Fix::None);
        let position = Position {
            at,
            // A fix without a place is none.
            fix: if degrees.is_some() { fix } else { Fix::None },
            degrees,
            altitude: fields.number(8, -20_000.0, 100_000.0)?.filter(|_| degrees.is_some()),
            hdop: fields.number(7, 0.0, 100.0)?.filter(|_| degrees.is_some()),
            satellites: fields.number(6, 0.0, 99.0)?.map(|count| count as u8),
            error: self.error_of(at).filter(|_| degrees.is_some()),
        };
        self.gga = Some(at);
        Some(position)
    }

    /// Time, A or V, latitude, N or S, longitude, E or W, knots, course, date, ..., mode.
    fn rmc(&self, fields: &Fields<'_>, at: Instant) -> Option<Heard> {
        let says_more = self.gga.is_some_and(|gga| at.saturating_duration_since(gga) <= GGA_HOLDS);
        let is_valid = match fields.text(1)? {
            "A" => true,
            "V" => false,
            _ => return None,
        };
        let fix = match fields.text(11).unwrap_or("A") {
            _ if !is_valid => Fix::None,
            "A" | "P" | "" => Fix::Plain,
            "D" => Fix::Differential,
            "R" => Fix::Rtk,
            "F" => Fix::RtkFloat,
            "E" => Fix::Estimated,
            "M" => Fix::Manual,
            "S" => Fix::Simulated,
            "N" => Fix::None,
            _ => return None,
        };
        let degrees = fields.degrees(2)?.filter(|_| fix != Fix::None);
        let fix = if degrees.is_some() { fix } else { Fix::None };
        let (error, altitude, hdop, satellites) = (self.error_of(at).filter(|_| degrees.is_some()), None, None, None);
        let position = Position { at, fix, degrees, altitude, hdop, satellites, error };
        let position = (!says_more).then_some(position);
        // Without satellites the time is that of the receiver's own clock, and when they are made up so is the time.
        let by_satellites = matches!(fix, Fix::Plain | Fix::Differential | Fix::Rtk | Fix::RtkFloat);
        match utc(fields.text(0)?, fields.text(8)?).filter(|_| by_satellites) {
            Some(utc) => Some(Heard::Time(utc, position)),
            None => position.map(Heard::Position),
        }
    }

    fn error_of(&self, at: Instant) -> Option<f64> {
        self.error.filter(|(_, then)| at.saturating_duration_since(*then) <= GST_HOLDS).map(|(metres, _)| metres)
    }
}

/// Time, RMS, semi-major, semi-minor, orientation, then the standard deviations of latitude, longitude and altitude in metres.
fn gst(fields: &Fields<'_>) -> Option<f64> {
    let deviation = |index| fields.number(index, 0.0, 1e6).flatten();
    Some(deviation(5)?.hypot(deviation(6)?))
}

/// What stands between commas, behind the first.
struct Fields<'a>(Vec<&'a str>);

impl<'a> Fields<'a> {
    fn text(&self, index: usize) -> Option<&'a str> {
        self.0.get(index).copied()
    }

    /// `None` where there is no such field or it can't be; `Some(None)` where it is empty.
    fn number(&self, index: usize, least: f64, most: f64) -> Option<Option<f64>> {
        match self.text(index)? {
            "" => Some(None),
            text => number(text).filter(|number| (least..=most).contains(number)).map(Some),
        }
    }

    /// Degrees and minutes with their hemispheres, in four fields from this one: `5130.15000,N,00008.08200,W`.
    fn degrees(&self, index: usize) -> Option<Option<(f64, f64)>> {
        let parts = [0, 1, 2, 3].map(|behind| self.text(index + behind));
        let [Some(north), Some(to_north), Some(east), Some(to_east)] = parts else { return None };
        if [north, to_north, east, to_east].iter().all(|text| text.is_empty()) {
            return Some(None);
        }
        let sign = |to, positive, negative| match to {
            to if to == positive => Some(1.0),
            to if to == negative => Some(-1.0),
            _ => None,
        };
        let north = coordinate(north, 2, 90.0)? * sign(to_north, "N", "S")?;
        let east = coordinate(east, 3, 180.0)? * sign(to_east, "E", "W")?;
        Some(Some((north, east)))
    }
}

/// Digits, a sign in front and a point, and nothing else that Rust would read, such as `inf`.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let written = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if written { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// So many digits of degrees, then minutes.
fn coordinate(text: &str, width: usize, most: f64) -> Option<f64> {
    let (degrees, minutes) = text.split_at_checked(width)?;
    let whole: f64 = whole(degrees)?.into();
    let minutes = number(minutes).filter(|minutes| minutes.is_sign_positive() && *minutes < 60.0)?;
    Some(whole + minutes / 60.0).filter(|degrees| *degrees <= most)
}

fn whole(text: &str) -> Option<u32> {
    let written = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if written { text.parse().ok() } else { None }
}

/// `hhmmss.ss` and `ddmmyy`, of this century.
fn utc(time: &str, date: &str) -> Option<SystemTime> {
    let two = |text: &str, at: usize, most: u32| whole(text.get(at..at + 2)?).filter(|number| *number <= most);
    let (hour, minute) = (two(time, 0, 23)?, two(time, 2, 59)?);
    // 60 is a leap second.
    let second = number(time.get(4..)?).filter(|second| (0.0..61.0).contains(second))?;
    let (day, month, year) = (two(date, 0, 31)?, two(date, 2, 12)?, 2000 + two(date, 4, 99)?);
    let day_time = f64::from(hour * 3600 + minute * 60) + second;
    let since = Duration::from_secs(u64::from(days(year, month, day)?) * 86_400) + Duration::from_secs_f64(day_time);
    (date.len() == 6).then(|| SystemTime::UNIX_EPOCH + since)
}

/// Days since 1970, in the Gregorian calendar.
fn days(year: u32, month: u32, day: u32) -> Option<u32> {
    let leaps = |year: u32| year / 4 - year / 100 + year / 400;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = lengths.get(..usize::try_from(month).ok()?.checked_sub(1)?)?;
    let length = *lengths.get(before.len())?;
    if !(1..=length).contains(&day) {
        return None;
    }
    Some((year - 1970) * 365 + leaps(year - 1) - leaps(1969) + before.iter().sum::<u32>() + day - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole_sentence(body: &str) -> String {
        format!("${body}*{:02X}", body.bytes().fold(0, |sum, byte| sum ^ byte))
    }

    fn position(navigation: &mut Navigation, body: &str, at: Instant) -> Option<Position> {
        match navigation.sentence(whole_sentence(body).as_bytes(), at)? {
            Heard::Position(position) => Some(position),
            Heard::Time(_, position) => position,
        }
    }

    /// What one sentence alone says: how good, where, altitude, HDOP, satellites.
    type Short = (&'static str, Option<(f64, f64)>, Option<f64>, Option<f64>, Option<u8>);

    #[test]
    fn each_sentence_says_where_the_receiver_is_and_how_well_it_knows() {
        let london = Some((51.5025, -0.1347));
        let cases: [(&str, Option<Short>); 21] = [
            (
                "GPGGA,123519.00,5130.15000,N,00008.08200,W,1,08,0.9,545.4,M,46.9,M,,",
                Some(("fix", london, Some(545.4), Some(0.9), Some(8))),
            ),
            ("GNGGA,123519,5130.15,N,00008.082,W,2,12,,,M,,M,,", Some(("dgps", london, None, None, Some(12)))),
            ("GNGGA,123519,5130.15,N,00008.082,W,4,12,0.5,-3.0,M,,M,1.0,0001", {
                Some(("rtk", london, Some(-3.0), Some(0.5), Some(12)))
            }),
            ("GAGGA,123519,5130.15,N,00008.082,W,5,,,,,,,,", Some(("rtk-float", london, None, None, None))),
            ("GPGGA,123519,5130.15,N,00008.082,W,6,00,,,,,,,", Some(("estimated", london, None, None, Some(0)))),
            ("GPGGA,123519,5130.15,N,00008.082,W,8,00,,,,,,,", Some(("simulated", london, None, None, Some(0)))),
            ("GPGGA,,,,,,0,00,99.99,,,,,,", Some(("none", None, None, None, Some(0)))),
            ("GPGGA,,,,,,0,00,,,,,,,", Some(("none", None, None, None, Some(0)))),
            ("GPGGA,123519,,,,,1,03,,,,,,,", Some(("none", None, None, None, Some(3)))),
            ("GPGGA,123519,3330.0,S,15115.0,E,1,4,9,1,M,,,,", {
                Some(("fix", Some((-33.5, 151.25)), Some(1.0), Some(9.0), Some(4)))
            }),
            // What can't be.
            ("GPGGA,123519,9130.15,N,00008.082,W,1,08,0.9,5,M,,M,,", None),
            ("GPGGA,123519,5160.00,N,00008.082,W,1,08,0.9,5,M,,M,,", None),
            ("GPGGA,123519,5130.15,X,00008.082,W,1,08,0.9,5,M,,M,,", None),
            ("GPGGA,123519,5130.15,N,18100.0,W,1,08,0.9,5,M,,M,,", None),
            ("GPGGA,123519,5130.15,N,00008.082,W,1,08,inf,5,M,,M,,", None),
            ("GPGGA,123519,5130.15,N", None),
            // RMC, where it is alone.
            ("GPRMC,123519,A,5130.15,N,00008.082,W,0.5,54.7,191194,,,A", Some(("fix", london, None, None, None))),
            ("GPRMC,123519,A,5130.15,N,00008.082,W,0.5,54.7,191194,,", Some(("fix", london, None, None, None))),
            ("GNRMC,123519,A,5130.15,N,00008.082,W,,,191194,,,D,V", Some(("dgps", london, None, None, None))),
            ("GPRMC,123519,V,,,,,,,191194,,,N", Some(("none", None, None, None, None))),
            ("PUBX,00,123519,5130.15,N,00008.082,W", None),
        ];
        for (body, wanted) in cases {
            let found = position(&mut Navigation::default(), body, Instant::now()).map(|found| {
                let round = |(north, east): (f64, f64)| ((north * 1e7).round() / 1e7, (east * 1e7).round() / 1e7);
                (found.fix.as_str(), found.degrees.map(round), found.altitude, found.hdop, found.satellites)
            });
            assert_eq!(found, wanted, "{body}");
        }
    }

    #[test]
    fn a_wrong_checksum_or_none_says_nothing() {
        let right = whole_sentence("GPGGA,123519,5130.15,N,00008.082,W,1,08,0.9,5,M,,M,,");
        let heard = |text: &str| Navigation::default().sentence(text.as_bytes(), Instant::now()).is_some();
        assert!(heard(&right));
        for wrong in [right.replace("5130", "5131"), right[..right.len() - 3].to_owned(), right[1..].to_owned()] {
            assert!(!heard(&wrong), "{wrong}");
        }
        assert!(!heard(&whole_sentence(&format!("GPGGA{}", ",".repeat(400)))));
    }

    #[test]
    fn gga_says_where_and_rmc_when_while_both_come_and_gst_how_far_off() {
        let (mut navigation, now) = (Navigation::default(), Instant::now());
        let gst = whole_sentence("GPGST,123519,1.2,,,,3.0,4.0,8.0");
        assert_eq!(navigation.sentence(gst.as_bytes(), now), None);
        let gga = "GPGGA,123519,5130.15,N,00008.082,W,1,08,0.9,5,M,,M,,";
        assert_eq!(position(&mut navigation, gga, now).unwrap().error, Some(5.0));
        let rmc = whole_sentence("GPRMC,123519.25,A,5130.15,N,00008.082,W,0.5,54.7,211126,,,A");
        let utc = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_264_519_250);
        assert_eq!(navigation.sentence(rmc.as_bytes(), now), Some(Heard::Time(utc, None)));
        let later = now + Duration::from_secs(6);
        let Some(Heard::Time(_, Some(position))) = navigation.sentence(rmc.as_bytes(), later) else { panic!() };
        assert_eq!((position.fix, position.error), (Fix::Plain, None), "GGA has gone, and so has GST");
    }

    #[test]
    fn a_date_is_a_day_of_the_calendar_or_no_time() {
        let at = |time, date| utc(time, date).map(|utc| humantime::format_rfc3339_seconds(utc).to_string());
        for (time, date, wanted) in [
            ("235960", "311216", Some("2017-01-01T00:00:00Z")),
            ("000000", "290224", Some("2024-02-29T00:00:00Z")),
            ("120000.999", "010100", Some("2000-01-01T12:00:00Z")),
            ("235959", "311299", Some("2099-12-31T23:59:59Z")),
            ("000000", "290225", None),
            ("000000", "310425", None),
            ("000000", "000125", None),
            ("000000", "011325", None),
            ("240000", "010125", None),
            ("000061", "010125", None),
            ("", "010125", None),
            ("000000", "", None),
            ("0000é0", "010125", None),
        ] {
            assert_eq!(at(time, date).as_deref(), wanted, "{time} {date}");
        }
    }

    proptest! {
        #[test]
        fn any_sentence_is_heard_without_harm(fields in "(GGA|RMC|GST|ZZZ)(,[-+.0-9NSEWAVé]{0,12}){0,20}") {
            let heard = Navigation::default().sentence(whole_sentence(&format!("GP{fields}")).as_bytes(), Instant::now());
            if let Some(Heard::Position(position) | Heard::Time(_, Some(position))) = heard {
                prop_assert_eq!(position.degrees.is_some(), position.fix != Fix::None);
                if let Some((north, east)) = position.degrees {
                    prop_assert!(north.abs() <= 90.0 && east.abs() <= 180.0);
                }
            }
        }
    }
}
