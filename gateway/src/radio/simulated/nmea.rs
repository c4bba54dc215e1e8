//! A GPS receiver carried round St James's Park, Westminster: one GGA and one RMC sentence each tick. It never listens.
//!
//! Source: NMEA 0183 version 2.3, sentences GGA and RMC; checksum as in its section on sentence fields.

use std::f64::consts::TAU;
use std::time::Duration;

use fastrand::Rng;

use super::Device;
use super::calendar::Civil;
use super::checksum::xor;
use super::household::noise;

/// Centre of the walk, in degrees north and east.
const CENTRE: (f64, f64) = (51.5025, -0.1347);
/// Radius of the walk, in metres.
const RADIUS: f64 = 200.0;
/// Walking speed, in metres a second.
const SPEED: f64 = 1.2;
/// Metres in one degree of latitude.
const DEGREE: f64 = 111_320.0;
/// Knots in one metre a second.
const KNOTS: f64 = 1.943_844;

/// The receiver.
pub(super) struct Receiver {
    rng: Rng,
    /// Where on the circle the walk starts, in radians clockwise from north.
    start: f64,
}

impl Receiver {
    /// A receiver with a fix. The seed says where the walk starts and how the fix jitters.
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let start = rng.f64() * TAU;
        Self { rng, start }
    }
}

impl Device for Receiver {
    fn tick(&mut self, now: Duration) -> Vec<u8> {
        let angle = (self.start + SPEED / RADIUS * now.as_secs_f64()) % TAU;
        let north = RADIUS * angle.cos() + noise(&mut self.rng);
        let east = RADIUS * angle.sin() + noise(&mut self.rng);
        let latitude = coordinate(CENTRE.0 + north / DEGREE, 2, ['N', 'S']);
        let longitude = coordinate(CENTRE.1 + east / (DEGREE * CENTRE.0.to_radians().cos()), 3, ['E', 'W']);
        // Walking clockwise, the course is a quarter turn ahead of the place on the circle.
        let course = (angle.to_degrees() + 90.0 + 2.0 * noise(&mut self.rng)) % 360.0;
        let knots = KNOTS * (SPEED + 0.1 * noise(&mut self.rng));
        let satellites = self.rng.u32(7..=11);
        let altitude = 5.0 + noise(&mut self.rng);
        let Civil { year, month, day, hour, minute, second, .. } = Civil::utc(now);
        let time = format!("{hour:02}{minute:02}{second:02}.{:02}", now.subsec_millis() / 10);
        let date = format!("{day:02}{month:02}{:02}", year % 100);
        let gga = format!("GPGGA,{time},{latitude},{longitude},1,{satellites:02},0.9,{altitude:.1},M,45.8,M,,");
        let rmc = format!("GPRMC,{time},A,{latitude},{longitude},{knots:.2},{course:.1},{date},,,A");
        (sentence(&gga) + &sentence(&rmc)).into_bytes()
    }

    /// This receiver takes no commands.
    fn receive(&mut self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

fn sentence(body: &str) -> String {
    format!("${body}*{:02X}\r\n", xor(body.as_bytes()))
}

/// Degrees and minutes as NMEA writes them, then the hemisphere: `5130.15000,N`.
fn coordinate(degrees: f64, width: usize, hemispheres: [char; 2]) -> String {
    /// Hundred-thousandths of a minute in a degree.
    const PARTS: u64 = 60 * 100_000;
    let [positive, negative] = hemispheres;
    let hemisphere = if degrees < 0.0 { negative } else { positive };
    // Rounded as a whole, so that 59.999999 minutes become a degree and not 60 minutes.
    let parts = (degrees.abs() * PARTS as f64).round() as u64;
    let minutes = (parts % PARTS) as f64 / 100_000.0;
    format!("{:0width$}{minutes:08.5},{hemisphere}", parts / PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(seed: u64, second: u64) -> Vec<String> {
        let text = String::from_utf8(Receiver::new(seed).tick(Duration::from_secs(second))).unwrap();
        assert!(text.ends_with("\r\n"));
        text.lines().map(str::to_owned).collect()
    }

    fn degrees(field: &str, width: usize) -> f64 {
        let (degrees, minutes) = field.split_at(width);
        degrees.parse::<f64>().unwrap() + minutes.parse::<f64>().unwrap() / 60.0
    }

    #[test]
    fn each_sentence_has_a_right_checksum_and_fits_in_82_characters() {
        for second in (0..2000).step_by(7) {
            let sentences = sentences(4, second);
            assert_eq!(sentences.len(), 2);
            for sentence in sentences {
                let (body, sum) = sentence.strip_prefix('$').unwrap().split_once('*').unwrap();
                let mut expected = 0;
                for byte in body.bytes() {
                    expected ^= byte;
                }
                assert_eq!(sum, format!("{expected:02X}"));
                assert!(sentence.len() + 2 <= 82, "{sentence}");
            }
        }
    }

    #[test]
    fn it_stays_on_the_circle_and_comes_round() {
        let mut north_most = f64::MIN;
        for second in (0..1100).step_by(10) {
            let fields: Vec<String> = sentences(4, second)[0].split(',').map(str::to_owned).collect();
            assert_eq!((fields[3].as_str(), fields[5].as_str()), ("N", "W"));
            let north = (degrees(&fields[2], 2) - CENTRE.0) * DEGREE;
            let east = (-degrees(&fields[4], 3) - CENTRE.1) * DEGREE * CENTRE.0.to_radians().cos();
            assert!((north.hypot(east) - RADIUS).abs() < 3.0);
            north_most = north_most.max(north);
        }
        assert!(north_most > 195.0, "a lap takes 1047 seconds");
    }

    #[test]
    fn time_and_date_come_from_the_fixed_start() {
        let sentences = sentences(4, 90);
        assert!(sentences[0].starts_with("$GPGGA,060130.00,5130."), "{}", sentences[0]);
        assert!(sentences[1].contains(",050126,,,A*"), "{}", sentences[1]);
    }

    #[test]
    fn a_coordinate_never_shows_sixty_minutes() {
        assert_eq!(coordinate(51.999_999_999_9, 2, ['N', 'S']), "5200.00000,N");
        assert_eq!(coordinate(-0.1347, 3, ['E', 'W']), "00008.08200,W");
    }
}
