//! Whether it is cold or damp where a sensor is. Pure: no host, no clock.
//!
//! Mould grows on walls, which are colder than the air, and there the same water is a higher relative humidity. What
//! counts is the mean of that over a time: a shower is over soon, a damp wall is not.

/// Of a longer silence nobody knows what it was like: minutes.
const LONGEST_STEP: u32 = 180;

/// How much warmer than the bound it must be to be cold no more, in degrees.
const WARMER: f64 = 0.5;

/// How much drier than the bound it must be to be damp no more, in percent.
const DRIER: f64 = 3.0;

/// What is kept of a sensor. Times are minutes since 1970, and 0 if there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Climate {
    /// When it was last heard of.
    pub(crate) last: u32,
    /// Since when it is below the bound.
    pub(crate) cold_since: u32,
    /// The last temperature, in tenths of a degree.
    pub(crate) temperature: i16,
    /// Since when humidity is heard of.
    damp_from: u32,
    /// The mean relative humidity at the wall.
    pub(crate) wall: f32,
    /// When that was last changed.
    damp_last: u32,
    /// It was told that it is cold, damp, silent.
    pub(crate) cold: bool,
    pub(crate) damp: bool,
    pub(crate) silent: bool,
}

/// What of it can be set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Cold is what is below, in degrees, for so many minutes.
    pub(crate) cold_below: f64,
    pub(crate) cold_for: u32,
    /// Damp is a mean relative humidity at the wall above this, over so many minutes.
    pub(crate) damp_above: f64,
    pub(crate) damp_over: u32,
    /// How much colder the wall is than the air, in degrees.
    pub(crate) wall_colder: f64,
}

impl Climate {
    /// A temperature came. True if `cold` has changed.
    pub(crate) fn temperature(&mut self, minute: u32, degrees: f64, rule: Rule) -> bool {
        let late = minute.checked_sub(self.last).is_none_or(|step| step > LONGEST_STEP);
        self.temperature = tenths(degrees);
        let below = degrees < rule.cold_below || (self.cold && degrees < rule.cold_below + WARMER);
        self.cold_since = match self.cold_since {
            _ if !below => 0,
            // Of the time in between nothing is known; what has been told stays.
            0 => minute,
            _ if late && !self.cold => minute,
            since => since.min(minute),
        };
        let cold = below && (self.cold || minute - self.cold_since >= rule.cold_for);
        cold != std::mem::replace(&mut self.cold, cold)
    }

    /// A humidity came, with the temperature. True if `damp` has changed.
    pub(crate) fn humidity(&mut self, minute: u32, percent: f64, degrees: f64, rule: Rule) -> bool {
        let wall = at_the_wall(percent, degrees, rule.wall_colder);
        if self.damp_from == 0 || minute < self.damp_last {
            (self.damp_from, self.wall) = (minute, wall as f32);
        }
        let step = minute.saturating_sub(self.damp_last).min(LONGEST_STEP);
        let weight = 1.0 - (-f64::from(step) / f64::from(rule.damp_over)).exp();
        let mean = f64::from(self.wall) + (wall - f64::from(self.wall)) * weight;
        (self.wall, self.damp_last) = (mean as f32, minute);
        let bound = if self.damp { rule.damp_above - DRIER } else { rule.damp_above };
        // The first reading is no mean yet.
        let damp = mean > bound && (self.damp || minute - self.damp_from >= rule.damp_over);
        damp != std::mem::replace(&mut self.damp, damp)
    }

    /// How many bytes it is kept in.
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn bytes(&self) -> [u8; Self::BYTES] {
        let flags = u8::from(self.cold) | u8::from(self.damp) << 1 | u8::from(self.silent) << 2;
        let [low, high] = self.temperature.to_le_bytes();
        let mut bytes = [0; Self::BYTES];
        let times = [self.last, self.cold_since, self.damp_from, self.damp_last, self.wall.to_bits()];
        let all = [VERSION, flags, low, high].into_iter().chain(times.into_iter().flat_map(u32::to_le_bytes));
        for (place, byte) in bytes.iter_mut().zip(all) {
            *place = byte;
        }
        bytes
    }

    /// None if it is not what [`Self::bytes`] gives.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let ([VERSION, flags, low, high], rest) = bytes.split_first_chunk::<4>()? else { return None };
        let rest: &[u8; 20] = rest.try_into().ok()?;
        let mut times = rest.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        Some(Self {
            last: times.next()?,
            cold_since: times.next()?,
            temperature: i16::from_le_bytes([*low, *high]),
            damp_from: times.next()?,
            damp_last: times.next()?,
            wall: f32::from_bits(times.next()?),
            cold: flags & 1 != 0,
            damp: flags & 2 != 0,
            silent: flags & 4 != 0,
        })
    }
}

/// The form in which it is kept.
const VERSION: u8 = 1;

fn tenths(degrees: f64) -> i16 {
    (degrees * 10.0).round() as i16
}

/// The relative humidity at a wall that is so much colder than the air, in percent.
fn at_the_wall(percent: f64, degrees: f64, colder: f64) -> f64 {
    (percent * saturation(degrees) / saturation(degrees - colder)).min(100.0)
}

/// The pressure of saturated water vapour in hPa: Magnus's formula with the figures of the WMO's Guide to Instruments
/// (WMO-No. 8, annex 4.B), for -45 to 60 degrees.
fn saturation(degrees: f64) -> f64 {
    let degrees = degrees.clamp(-45.0, 60.0);
    6.112 * (17.62 * degrees / (243.12 + degrees)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { cold_below: 16.0, cold_for: 120, damp_above: 80.0, damp_over: 1440, wall_colder: 3.0 };

    #[test]
    fn water_vapour_is_as_in_tables() {
        // 0 and 20 degrees: 6.11 and 23.4 hPa.
        assert!((saturation(0.0) - 6.112).abs() < 0.001 && (saturation(20.0) - 23.37).abs() < 0.05);
        // What is 70 % in the air is 84 % at a wall three degrees colder.
        assert!((at_the_wall(70.0, 20.0, 3.0) - 84.4).abs() < 0.1);
    }

    #[test]
    fn cold_is_what_lasts() {
        let mut climate = Climate::default();
        let mut heard = |minute: u32, degrees| {
            let changed = climate.temperature(1_000_000 + minute, degrees, RULE);
            climate.last = 1_000_000 + minute;
            (changed, climate.cold)
        };
        // A window is opened for half an hour.
        assert_eq!([heard(0, 15.0), heard(30, 19.0), heard(60, 15.9)], [(false, false); 3]);
        assert_eq!([heard(120, 15.5), heard(179, 15.5)], [(false, false); 2]);
        assert_eq!([heard(180, 15.5), heard(240, 16.4)], [(true, true), (false, true)]);
        assert_eq!(heard(250, 16.5), (true, false));
        // Nothing is known of the time in between.
        assert_eq!(
            [heard(300, 15.0), heard(900, 15.0), heard(1020, 15.0)],
            [(false, false), (false, false), (true, true)]
        );
    }

    #[test]
    fn damp_is_what_stays() {
        let mut climate = Climate::default();
        let mut day = |day: u32, percent: &dyn Fn(u32) -> f64| {
            let changes = (0..144)
                .filter(|step| climate.humidity(1_000_000 + day * 1440 + step * 10, percent(*step), 20.0, RULE));
            (changes.count(), climate.damp)
        };
        // Showers of an hour, twice a day.
        let showers = |step: u32| if step % 72 < 6 { 95.0 } else { 52.0 };
        assert_eq!([day(0, &showers), day(1, &showers)], [(0, false); 2]);
        assert_eq!([day(2, &|_| 75.0), day(3, &|_| 75.0)], [(1, true), (0, true)]);
        assert_eq!(day(4, &|_| 50.0), (1, false));
    }

    #[test]
    fn it_is_kept_as_it_was() {
        let mut climate = Climate { silent: true, ..Climate::default() };
        climate.temperature(1_000_000, -3.2, RULE);
        climate.humidity(1_000_000, 71.5, 19.0, RULE);
        climate.last = 1_000_000;
        assert_eq!(Climate::of(&climate.bytes()), Some(climate.clone()));
        assert_eq!(Climate::of(&climate.bytes()[1..]), None);
        assert_eq!(Climate::of(&[]), None);
    }
}
