//! Values by place, drawn without a map: what is where, north up, with a scale.
//!
//! The projection is local and equirectangular (Snyder, Map Projections: A Working Manual, USGS 1395, section 12): a degree of
//! longitude is as long as in the middle of the picture. Over the size of a town that is off by less than a marker. A class has a
//! shape beside its colour.

use std::fmt::Write;

use super::grid::{Grid, Spot};
use super::{Table, Unit, WIDTH, escaped};

/// Cells that are drawn, and rows of the table.
const DRAWN: usize = 500;
const ROWS: usize = 60;
/// Metres of a degree of latitude, in the mean.
const DEGREE: f64 = 111_320.0;
/// What is shown at least, in metres: one place is a point in the middle of that.
const LEAST: f64 = 60.0;
/// Between two markers, at least by and large.
const APART: f64 = 30.0;
/// The frame, and the room within it that no marker comes into.
const EDGE: f64 = 30.0;
const MARGIN: f64 = 60.0;
const HEIGHT_LEAST: f64 = 480.0;
const HEIGHT_MOST: f64 = 1000.0;
/// Height of a row of the legend.
const ROW: f64 = 56.0;

/// Classes of a value: from the best to the worst, each a shape of its own.
const CLASSES: usize = 5;
const SHAPES: [&str; CLASSES] = [
    "m-11 0a11 11 0 1 0 22 0a11 11 0 1 0-22 0z",
    "m-10-10h20v20h-20z",
    "m0-14l14 14l-14 14l-14-14z",
    "m0-13l13 23h-26z",
    "m-13-7l6-6l7 7l7-7l6 6l-7 7l7 7l-6 6l-7-7l-7 7l-6-6l7-7z",
];
const WORDS: [&str; CLASSES] = ["circle", "square", "diamond", "triangle", "cross"];

/// What is shown, and where it becomes worse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// What it is called.
    pub name: &'static str,
    /// Of its values.
    pub unit: Unit,
    /// The least values of all classes but the worst, from the best on.
    pub limits: [f64; CLASSES - 1],
}

impl Metric {
    fn class(&self, value: f64) -> usize {
        self.limits.iter().position(|least| value >= *least).unwrap_or(CLASSES - 1)
    }

    /// `-90 to -80 dBm`.
    fn word(&self, class: usize) -> String {
        let word = |value: f64| self.unit.word(value);
        match class {
            0 => format!("{} and better", word(self.limits[0])),
            class if class + 1 < CLASSES => format!("{} to {}", self.limits[class], word(self.limits[class - 1])),
            _ => format!("below {}", word(self.limits[CLASSES - 2])),
        }
    }
}

/// Values by place.
#[derive(Debug, Clone, Copy)]
pub struct MapChart<'a> {
    /// Unlike any other on its page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// Of all values.
    pub metric: Metric,
    /// The values.
    pub grid: &'a Grid,
}

/// From degrees to the picture.
struct Projection {
    west: f64,
    north: f64,
    /// Units of the picture for a degree.
    x: f64,
    y: f64,
    /// Of the picture, for a metre.
    metre: f64,
    height: f64,
}

/// Longitudes as they are, or, across the 180th meridian, those of the west behind those of the east.
fn unbroken(spots: &[&Spot]) -> Vec<(f64, f64)> {
    let places: Vec<_> = spots.iter().map(|spot| spot.place()).collect();
    let (least, most) = ends(places.iter().map(|place| place.1));
    let across = most - least > 180.0;
    places.into_iter().map(|(lat, lon)| (lat, if across && lon < 0.0 { lon + 360.0 } else { lon })).collect()
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)))
}

impl Projection {
    fn of(places: &[(f64, f64)]) -> Self {
        let (south, north) = ends(places.iter().map(|place| place.0));
        let (west, east) = ends(places.iter().map(|place| place.1));
        let (lat, lon) = ((south + north) / 2.0, (west + east) / 2.0);
        // At a pole longitudes mean nothing; anything but 0 will do.
        let narrow = lat.to_radians().cos().max(0.01);
        let wide = ((east - west) * narrow * DEGREE).max(LEAST);
        let high = ((north - south) * DEGREE).max(LEAST);
        let room = f64::from(WIDTH) - 2.0 * (EDGE + MARGIN);
        let height = (room * high / wide).clamp(HEIGHT_LEAST - 2.0 * MARGIN, HEIGHT_MOST - 2.0 * MARGIN);
        let metre = (room / wide).min(height / high);
        let (x, y) = (metre * narrow * DEGREE, metre * DEGREE);
        let frame = height + 2.0 * MARGIN;
        Self {
            west: lon - f64::from(WIDTH) / 2.0 / x,
            north: lat + (EDGE + frame / 2.0) / y,
            x,
            y,
            metre,
            height: frame,
        }
    }

    fn place(&self, (lat, lon): (f64, f64)) -> (i32, i32) {
        (((lon - self.west) * self.x).round() as i32, ((self.north - lat) * self.y).round() as i32)
    }

    /// The frame's lower end.
    fn bottom(&self) -> f64 {
        EDGE + self.height
    }
}

impl MapChart<'_> {
    /// The picture.
    pub fn svg(&self) -> String {
        let grid = self.grid.thinned(DRAWN);
        let spots: Vec<_> = grid.spots().collect();
        let places = unbroken(&spots);
        let shown = if places.is_empty() { vec![(0.0, 0.0)] } else { places };
        let projection = Projection::of(&shown);
        // So that markers do not lie on each other, and shapes are seen.
        let grid = grid.coarser(APART / projection.x.max(projection.y * 0.4));
        let spots: Vec<_> = grid.spots().collect();
        let places = unbroken(&spots);
        let mut svg = self.head(&projection, &grid);
        if spots.is_empty() {
            let (x, y) = (WIDTH / 2, projection.bottom() / 2.0);
            let _ = write!(svg, "<text class=\"x\" x=\"{x}\" y=\"{y}\">no position is known</text></svg>");
            return svg;
        }
        // The worst on top: they must not be hidden.
        let mut drawn: Vec<_> =
            spots.iter().zip(&places).map(|(spot, place)| (self.metric.class(spot.median()), place)).collect();
        drawn.sort_by_key(|(class, _)| *class);
        for (class, place) in drawn {
            let (x, y) = projection.place(*place);
            let _ = write!(svg, "<path class=\"spot q{}\" d=\"M{x} {y}{}\"/>", class + 1, SHAPES[class]);
        }
        scale(&mut svg, &projection);
        self.legend(&mut svg, &projection, &spots);
        svg.push_str("</svg>");
        svg
    }

    fn head(&self, projection: &Projection, grid: &Grid) -> String {
        let (id, title, said) = (escaped(self.id), escaped(self.title), escaped(&self.description(grid)));
        let height = projection.bottom() + 20.0 + 3.0 * ROW;
        let mut svg = format!(
            "<svg class=\"chart map\" role=\"img\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{said}</desc>"
        );
        let (width, frame) = (f64::from(WIDTH) - 2.0 * EDGE, projection.height);
        // Writing to a string can't fail, here and below.
        let _ = write!(svg, "<path class=\"axis\" d=\"M{EDGE} {EDGE}h{width:.0}v{frame:.0}h-{width:.0}z\"/>");
        let (x, y) = (f64::from(WIDTH) - EDGE - 44.0, EDGE + 18.0);
        let _ = write!(svg, "<path class=\"north\" d=\"M{x} {y}l16 40l-16-10l-16 10z\"/>");
        let _ = write!(svg, "<text class=\"x\" x=\"{x}\" y=\"{:.0}\">N</text>", y + 80.0);
        svg
    }

    /// What it shows, in words.
    fn description(&self, grid: &Grid) -> String {
        let (readings, cells) = (grid.count(), grid.spots().count());
        if readings == 0 {
            return "No reading says where it was.".to_owned();
        }
        let mut all = Spot::default();
        grid.spots().for_each(|spot| all.add(spot));
        let word = |value: f64| self.metric.unit.word(value);
        format!(
            "{} of {readings} readings at {cells} places: median {}, least {}. The table has them in numbers.",
            self.metric.name,
            word(all.median()),
            word(all.least())
        )
    }

    fn legend(&self, svg: &mut String, projection: &Projection, spots: &[&Spot]) {
        for (class, shape) in SHAPES.iter().enumerate() {
            let places = spots.iter().filter(|spot| self.metric.class(spot.median()) == class).count();
            let (x, y) =
                (EDGE + 20.0 + (class % 2) as f64 * 690.0, projection.bottom() + 40.0 + (class / 2) as f64 * ROW);
            let _ = write!(svg, "<path class=\"spot q{}\" d=\"M{x} {y}{shape}\"/>", class + 1);
            let text = format!("{} ({places})", self.metric.word(class));
            let _ = write!(svg, "<text x=\"{:.0}\" y=\"{:.0}\">{}</text>", x + 40.0, y + 10.0, escaped(&text));
        }
    }

    /// The same in numbers, the weakest first; of many places each row is several.
    pub fn table(&self) -> Table {
        let grid = self.grid.thinned(ROWS);
        let mut spots: Vec<_> = grid.spots().collect();
        spots.sort_by(|a, b| a.median().total_cmp(&b.median()));
        let word = |value: f64| self.metric.unit.word(value);
        let row = |spot: &&Spot| {
            let (lat, lon) = spot.place();
            let class = WORDS[self.metric.class(spot.median())];
            vec![
                format!("{lat:.5}, {lon:.5}"),
                word(spot.median()),
                word(spot.least()),
                spot.count.to_string(),
                class.to_owned(),
            ]
        };
        let head = ["Latitude, longitude", "Median", "Least", "Readings", "Drawn as"];
        Table {
            title: self.title.to_owned(),
            head: head.map(str::to_owned).to_vec(),
            rows: spots.iter().map(row).collect(),
        }
    }
}

/// How long a round number of metres is.
fn scale(svg: &mut String, projection: &Projection) {
    let most = f64::from(WIDTH) / 4.0 / projection.metre;
    let power = 10f64.powf(most.log10().floor());
    let metres =
        [5.0, 2.0, 1.0].into_iter().map(|factor| factor * power).find(|metres| *metres <= most).unwrap_or(power);
    let long = metres * projection.metre;
    let word = if metres >= 1000.0 { format!("{} km", metres / 1000.0) } else { format!("{metres} m") };
    let (x, y) = (EDGE + 24.0, projection.bottom() - 24.0);
    let _ = write!(svg, "<path class=\"bar-scale\" d=\"M{x} {:.0}v12h{long:.0}v-12\"/>", y - 12.0);
    let _ = write!(svg, "<text x=\"{:.0}\" y=\"{:.0}\">{word}</text>", x + 4.0, y - 22.0);
}
