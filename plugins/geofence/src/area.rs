//! Areas, and how far a point is beyond the edge of one. Around a point the Earth is taken as flat, which is right to a
//! thousandth for some ten kilometres. Areas that hold a pole are not meant; the date line may be crossed.

use stile_filter::{Deserialize, JsonSchema};

/// A degree of latitude in metres.
const METRES: f64 = 111_195.0;

/// The most corners that an area may have: each is looked at for each message.
const MOST_CORNERS: usize = 256;

/// A point, in degrees.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    latitude: f64,
    longitude: f64,
}

/// An area on the map.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "stile_filter::serde", untagged)]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) enum Area {
    /// All within so many metres.
    Circle { center: [f64; 2], radius: f64 },
    /// All between these corners.
    Polygon { corners: Vec<[f64; 2]> },
}

impl Point {
    /// None if there is no such place.
    pub(crate) fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let there = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        there.then_some(Self { latitude, longitude })
    }

    /// Where another point is, in metres to the east and to the north.
    fn to(self, [latitude, longitude]: [f64; 2]) -> (f64, f64) {
        let east = (longitude - self.longitude + 540.0).rem_euclid(360.0) - 180.0;
        (east * METRES * self.latitude.to_radians().cos(), (latitude - self.latitude) * METRES)
    }
}

impl Area {
    /// Whether it is one.
    pub(crate) fn check(&self) -> Result<(), String> {
        let points: &[[f64; 2]] = match self {
            Self::Circle { radius, .. } if !(radius.is_finite() && *radius > 0.0) => {
                return Err("`radius` is not above 0".to_owned());
            }
            Self::Circle { center, .. } => std::slice::from_ref(center),
            Self::Polygon { corners } if !(3..=MOST_CORNERS).contains(&corners.len()) => {
                return Err(format!("an area has 3 to {MOST_CORNERS} corners"));
            }
            Self::Polygon { corners } => corners,
        };
        let wrong = points.iter().find(|[latitude, longitude]| Point::new(*latitude, *longitude).is_none());
        wrong.map_or(Ok(()), |point| Err(format!("{point:?} is no latitude and longitude")))
    }

    /// How far a point is beyond its edge, in metres; inside, 0 or less.
    pub(crate) fn beyond(&self, point: Point) -> f64 {
        match self {
            Self::Circle { center, radius } => {
                let (east, north) = point.to(*center);
                east.hypot(north) - radius
            }
            Self::Polygon { corners } => {
                let around: Vec<_> = corners.iter().map(|corner| point.to(*corner)).collect();
                let edges = || around.iter().zip(around.iter().cycle().skip(1));
                // A line to the east crosses the edge an odd number of times.
                let inside = edges().filter(|(a, b)| crosses(**a, **b)).count() % 2 == 1;
                let nearest = edges().map(|(a, b)| distance(*a, *b)).fold(f64::INFINITY, f64::min);
                if inside { -nearest } else { nearest }
            }
        }
    }
}

/// Whether the line from 0 to the east crosses that from a to b.
fn crosses(a: (f64, f64), b: (f64, f64)) -> bool {
    (a.1 > 0.0) != (b.1 > 0.0) && a.0 - a.1 * (b.0 - a.0) / (b.1 - a.1) > 0.0
}

/// From 0 to the nearest point of the line from a to b.
fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (east, north) = (b.0 - a.0, b.1 - a.1);
    let length = east * east + north * north;
    let along = if length > 0.0 { (-(a.0 * east + a.1 * north) / length).clamp(0.0, 1.0) } else { 0.0 };
    (a.0 + along * east).hypot(a.1 + along * north)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond(area: &Area, latitude: f64, longitude: f64) -> f64 {
        area.beyond(Point::new(latitude, longitude).unwrap())
    }

    #[test]
    fn metres_are_metres_at_any_latitude() {
        // From Alexanderplatz to the Brandenburg Gate are 2.5 km.
        let circle = Area::Circle { center: [52.5219, 13.4132], radius: 100.0 };
        assert!((beyond(&circle, 52.5163, 13.3777) - 2383.0).abs() < 20.0);
        assert!((beyond(&Area::Circle { center: [0.0, 0.0], radius: 1.0 }, 1.0, 0.0) - 111_194.0).abs() < 1.0);
    }

    #[test]
    fn an_area_may_be_hollow_and_lie_across_the_date_line() {
        let hollow = [[0.0, 179.99], [0.0, -179.99], [0.02, -179.99], [0.01, 180.0], [0.02, 179.99]];
        let area = Area::Polygon { corners: hollow.to_vec() };
        assert!(beyond(&area, 0.005, 180.0) < 0.0 && beyond(&area, 0.005, -180.0) < 0.0);
        assert!(beyond(&area, 0.015, 180.0) > 0.0 && beyond(&area, 0.015, 179.992) < 0.0);
        assert!((beyond(&area, -0.001, 180.0) - 111.195).abs() < 0.1);
        // Beyond a corner, what counts is the corner and not the line that its edge lies on.
        assert!((beyond(&area, -0.001, -179.989) - 157.25).abs() < 0.1);
    }
}
