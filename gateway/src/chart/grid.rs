//! Values by place, gathered into cells of a grid, so that however many come, a bounded number is drawn.
//!
//! Cells are squares in degrees. When there are too many, each becomes as wide as two were, until there are few enough: so
//! nobody has to know beforehand how far it goes. Of each cell the values are known by halves, which gives its median.

use std::collections::BTreeMap;

/// Degrees of the smallest cells: some 9 m of latitude, which a receiver of positions is no better than.
const FINEST: f64 = 0.00008;

/// Doubled so often, four cells are the whole earth: each side of the equator and of the meridian.
const LEVEL_MOST: u32 = 22;

/// What one cell has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spot {
    lat: f64,
    lon: f64,
    /// Values.
    pub count: u64,
    /// How often, by twice the value.
    values: BTreeMap<i16, u64>,
}

impl Spot {
    /// Where its values were, in the mean: latitude and longitude.
    pub fn place(&self) -> (f64, f64) {
        let count = self.count.max(1) as f64;
        (self.lat / count, self.lon / count)
    }

    /// The value in the middle, the lower of two.
    pub fn median(&self) -> f64 {
        let mut left = self.count.div_ceil(2);
        let middle = self.values.iter().find(|(_, often)| {
            let there = left <= **often;
            left = left.saturating_sub(**often);
            there
        });
        middle.map_or(f64::NAN, |(twice, _)| f64::from(*twice) / 2.0)
    }

    /// The least value.
    pub fn least(&self) -> f64 {
        self.values.keys().next().map_or(f64::NAN, |twice| f64::from(*twice) / 2.0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.lat += other.lat;
        self.lon += other.lon;
        self.count += other.count;
        for (value, often) in &other.values {
            *self.values.entry(*value).or_default() += often;
        }
    }
}

/// See the module's head.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    most: usize,
    /// How often cells have been doubled.
    level: u32,
    spots: BTreeMap<(i32, i32), Spot>,
}

impl Grid {
    /// One of at most so many cells.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), level: 0, spots: BTreeMap::new() }
    }

    /// Adds a value; latitude and longitude in degrees. What is no place on earth or no number is left out.
    pub fn add(&mut self, lat: f64, lon: f64, value: f64) {
        if !((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon) && value.is_finite()) {
            return;
        }
        let index = |degrees: f64| ((degrees / FINEST).floor() as i32) >> self.level;
        let twice = (value * 2.0).round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16;
        let spot = self.spots.entry((index(lat), index(lon))).or_default();
        spot.add(&Spot { lat, lon, count: 1, values: BTreeMap::from([(twice, 1)]) });
        self.thin();
    }

    fn thin(&mut self) {
        while self.spots.len() > self.most && self.level < LEVEL_MOST {
            self.double();
        }
    }

    fn double(&mut self) {
        self.level += 1;
        for ((lat, lon), spot) in std::mem::take(&mut self.spots) {
            self.spots.entry((lat >> 1, lon >> 1)).or_default().add(&spot);
        }
    }

    /// The same in at most so many cells.
    pub fn thinned(&self, most: usize) -> Self {
        let mut grid = Self { most: most.max(1), ..self.clone() };
        grid.thin();
        grid
    }

    /// The same in cells of at least so many degrees.
    pub(super) fn coarser(&self, degrees: f64) -> Self {
        let mut grid = self.clone();
        while grid.cell_degrees() < degrees && grid.level < LEVEL_MOST {
            grid.double();
        }
        grid
    }

    /// What cells have.
    pub fn spots(&self) -> impl Iterator<Item = &Spot> {
        self.spots.values()
    }

    /// All values together.
    pub fn count(&self) -> u64 {
        self.spots.values().map(|spot| spot.count).sum()
    }

    /// Degrees that a cell is wide and high.
    fn cell_degrees(&self) -> f64 {
        FINEST * f64::from(1_u32 << self.level)
    }
}
