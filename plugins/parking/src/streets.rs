//! How many bays of each street are what, and what has been told of it. It is in memory alone: told twice, it is no less
//! true.

use std::collections::BTreeMap;

use crate::bay::{Bay, Status};

/// How many bays of a street are what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) free: u32,
    pub(crate) occupied: u32,
    pub(crate) unknown: u32,
}

/// All streets.
#[derive(Default)]
pub(crate) struct Streets {
    counted: BTreeMap<String, Counts>,
    told: BTreeMap<String, Counts>,
    /// The one that was told last.
    last: String,
}

impl Counts {
    pub(crate) fn add(&mut self, bay: Bay) {
        match bay.told {
            Status::Free => self.free += 1,
            Status::Occupied => self.occupied += 1,
            Status::Unknown => self.unknown += 1,
        }
    }
}

impl Streets {
    /// All bays have been counted, each under its street; those that are in none under an empty one.
    pub(crate) fn counted(&mut self, mut counts: BTreeMap<String, Counts>) {
        counts.remove("");
        // A street whose last bay is gone has none.
        for name in self.told.keys() {
            if !counts.contains_key(name) {
                counts.insert(name.clone(), Counts::default());
            }
        }
        self.counted = counts;
    }

    /// Streets of which a number is not what was told, at most so many. They count as told.
    pub(crate) fn news(&mut self, most: usize) -> Vec<(String, Counts)> {
        let differs =
            |(name, counts): &(&String, &Counts)| self.told.get(*name).copied().unwrap_or_default() != **counts;
        // Each has its turn, though others change at every tick.
        let (before, behind): (Vec<_>, Vec<_>) =
            self.counted.iter().filter(differs).partition(|(name, _)| **name <= self.last);
        let turn = behind.into_iter().chain(before).take(most);
        let news: Vec<_> = turn.map(|(name, counts)| (name.clone(), *counts)).collect();
        for (name, counts) in &news {
            self.last.clone_from(name);
            match *counts == Counts::default() {
                true => self.told.remove(name),
                false => self.told.insert(name.clone(), *counts),
            };
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(streets: &mut Streets, free: u32, names: &[&str]) {
        let counts = Counts { free, ..Counts::default() };
        streets.counted(names.iter().map(|name| ((*name).to_owned(), counts)).collect());
    }

    fn told(streets: &mut Streets) -> Vec<String> {
        streets.news(2).into_iter().map(|(name, counts)| format!("{name} {}", counts.free)).collect()
    }

    #[test]
    fn each_street_has_its_turn_though_all_change_all_the_time() {
        let mut streets = Streets::default();
        for (free, wanted) in [(1, ["a 1", "b 1"]), (2, ["c 2", "a 2"]), (3, ["b 3", "c 3"])] {
            counted(&mut streets, free, &["", "a", "b", "c"]);
            assert_eq!(told(&mut streets), wanted);
        }
        assert_eq!(told(&mut streets), ["a 3"]);
        assert!(told(&mut streets).is_empty());
    }

    #[test]
    fn a_street_whose_bays_are_gone_is_told_once_more() {
        let mut streets = Streets::default();
        counted(&mut streets, 1, &["a"]);
        assert_eq!(told(&mut streets), ["a 1"]);
        for wanted in [&["a 0"][..], &[]] {
            counted(&mut streets, 1, &[]);
            assert_eq!(told(&mut streets), wanted);
        }
    }
}
