//! A home's own baseline of motion, and whether nobody has moved for longer than it allows. Pure: no host, no clock.
//!
//! For each hour of the day it counts the days on which the sensors were heard, and those with motion. Hours are those
//! of UTC: a baseline is a home's own, and needs no time zone. What an hour without motion says is how seldom that hour
//! is without: 1 in 20 at most, however long it was never so. What hours in a row say is multiplied.

/// The days that an hour remembers. When there are more, both counts are halved, so that old habits fade.
const MOST_DAYS: u8 = 56;

/// No hour is surer than this.
const SUREST: f32 = 0.95;

/// An hour of the baseline.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Hour {
    /// Days on which it was heard.
    heard: u8,
    /// Days on which somebody moved.
    moved: u8,
}

/// What is kept of a home.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Motion {
    day: [Hour; 24],
    /// The hour that is under way, since 1970.
    now: u32,
    heard: bool,
    moved: bool,
    /// How unlikely it is that nobody moved since the last motion, as a natural logarithm.
    quiet: f32,
    /// Minutes since 1970 of the last motion; 0 if there was none.
    pub(crate) last: u32,
    /// It was told that motion is missing.
    pub(crate) missing: bool,
}

/// What of it can be set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Motion is missing when the baseline allows so much silence once in so many times.
    pub(crate) rarity: f32,
    /// An hour counts when it was heard on so many days.
    pub(crate) learn: u8,
}

impl Motion {
    /// A message with or without motion came at this minute since 1970. True if `missing` has changed.
    pub(crate) fn heard(&mut self, minute: u32, moved: bool, rule: Rule) -> bool {
        let hour = minute / 60;
        if hour > self.now {
            self.close(rule);
        }
        if hour != self.now {
            // Also when the clock was set back: of the hour that was under way nobody knows when it was.
            (self.now, self.heard, self.moved) = (hour, false, false);
        }
        self.heard = true;
        if moved {
            let was = self.missing;
            (self.moved, self.quiet, self.last, self.missing) = (true, 0.0, minute, false);
            return was;
        }
        let missing = self.missing || self.quiet >= rule.rarity.ln();
        missing != std::mem::replace(&mut self.missing, missing)
    }

    /// The hour that was under way is over. One that was not heard says nothing.
    fn close(&mut self, rule: Rule) {
        if !self.heard {
            return;
        }
        let hour = &mut self.day[self.now as usize % 24];
        if !self.moved && hour.heard >= rule.learn {
            self.quiet -= (1.0 - hour.likely()).ln();
        }
        // What is not as it should be is nothing to learn from.
        if !self.missing {
            hour.learn(self.moved);
        }
    }

    /// How many bytes it is kept in.
    pub(crate) const BYTES: usize = 62;

    pub(crate) fn bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let flags = u8::from(self.heard) | u8::from(self.moved) << 1 | u8::from(self.missing) << 2;
        let days = self.day.iter().flat_map(|hour| [hour.heard, hour.moved]);
        let rest = [self.now.to_le_bytes(), self.quiet.to_le_bytes(), self.last.to_le_bytes()].concat();
        for (place, byte) in bytes.iter_mut().zip([VERSION, flags].into_iter().chain(days).chain(rest)) {
            *place = byte;
        }
        bytes
    }

    /// None if it is not what [`Self::bytes`] gives.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let ([VERSION, flags], rest) = bytes.split_first_chunk::<2>()? else { return None };
        let (days, rest) = rest.split_first_chunk::<48>()?;
        let (now, rest) = rest.split_first_chunk()?;
        let (quiet, last) = rest.split_first_chunk()?;
        let mut day = [Hour::default(); 24];
        for (hour, counts) in day.iter_mut().zip(days.chunks_exact(2)) {
            *hour = Hour { heard: counts[0], moved: counts[1] };
        }
        Some(Self {
            day,
            now: u32::from_le_bytes(*now),
            heard: flags & 1 != 0,
            moved: flags & 2 != 0,
            missing: flags & 4 != 0,
            quiet: f32::from_le_bytes(*quiet),
            last: u32::from_le_bytes(last.try_into().ok()?),
        })
    }
}

/// The form in which it is kept.
const VERSION: u8 = 1;

impl Hour {
    /// How likely motion is in it. A little less than it was: what never failed may. Where there never was any, none is
    /// missed.
    fn likely(self) -> f32 {
        if self.moved == 0 {
            return 0.0;
        }
        ((f32::from(self.moved) + 0.5) / (f32::from(self.heard) + 1.0)).min(SUREST)
    }

    fn learn(&mut self, moved: bool) {
        if self.heard >= MOST_DAYS {
            (self.heard, self.moved) = (self.heard / 2, self.moved / 2);
        }
        self.heard += 1;
        self.moved += u8::from(moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { rarity: 10_000.0, learn: 7 };

    /// Somebody who moves each hour from 7 to 22.
    fn learnt(days: u32) -> Motion {
        let mut motion = Motion::default();
        for hour in 0..days * 24 {
            assert!(!motion.heard(60 * hour, (7..22).contains(&(hour % 24)), RULE));
        }
        motion
    }

    #[test]
    fn a_quiet_night_is_none_and_a_quiet_morning_is() {
        let mut motion = learnt(14);
        let first = (0..24).find(|hour| motion.heard(60 * (14 * 24 + hour), false, RULE));
        // Three hours that never were are 1 in 8,000, four 1 in 160,000; it is known when the fourth is over.
        assert_eq!(first, Some(11));
        assert_eq!((motion.missing, motion.last), (true, 60 * (13 * 24 + 21)));
        assert!(motion.heard(60 * (14 * 24 + 24), true, RULE) && !motion.missing);
    }

    #[test]
    fn nothing_is_missing_where_too_little_was_learnt() {
        let mut motion = learnt(6);
        assert!((0..24).all(|hour| !motion.heard(60 * (6 * 24 + hour), false, RULE)));
    }

    #[test]
    fn nothing_is_missing_where_nobody_ever_moved() {
        let mut motion = Motion::default();
        assert!((0..365 * 24).all(|hour| !motion.heard(60 * hour, false, RULE)));
    }

    #[test]
    fn hours_that_were_not_heard_say_nothing() {
        let mut motion = learnt(14);
        assert!(!motion.heard(60 * (14 * 24 + 7), false, RULE));
        assert!(!motion.heard(60 * (14 * 24 + 22), false, RULE));
        assert!(!motion.heard(60 * (14 * 24 + 23), false, RULE));
    }

    #[test]
    fn habits_are_learnt_anew_and_days_without_anybody_are_not() {
        let mut motion = learnt(14);
        (14 * 24..44 * 24).for_each(|hour| {
            motion.heard(60 * hour, false, RULE);
        });
        let noon = motion.day[12];
        assert!(noon.moved >= 14 && noon.heard <= 15, "{noon:?}");
        // Up at ten from now on: after some weeks nine o'clock is no hour to be missed.
        (44 * 24..104 * 24).for_each(|hour| {
            motion.heard(60 * hour, (10..22).contains(&(hour % 24)), RULE);
        });
        assert!(motion.day[9].likely() < 0.3 && motion.day[12].likely() > 0.9);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_alert() {
        let mut motion = learnt(14);
        assert!((0..6).all(|hour| !motion.heard(60 * hour, false, RULE)));
    }

    #[test]
    fn it_is_kept_as_it_was() {
        let mut motion = learnt(9);
        motion.heard(60 * 9 * 24 + 60 * 9, false, RULE);
        assert_eq!(Motion::of(&motion.bytes()), Some(motion.clone()));
        assert_eq!(Motion::of(&motion.bytes()[1..]), None);
        assert_eq!(Motion::of(&[2; Motion::BYTES]), None);
        assert_eq!(Motion::of(&[]), None);
    }
}
