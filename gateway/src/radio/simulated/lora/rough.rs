//! A network that is not what one would wish: datagrams come late, are overtaken, or are lost. Pure.

use std::time::Duration;

use fastrand::Rng;

use crate::config::Roughness;

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It never comes.
    Lost,
    /// It comes after so long.
    After(Duration),
    /// It comes behind the next one.
    Overtaken,
}

/// See the module's head.
pub(super) struct Rough {
    how: Roughness,
    random: Rng,
}

impl Rough {
    pub(super) fn new(how: Roughness, seed: u64) -> Self {
        Self { how, random: Rng::with_seed(!seed) }
    }

    /// Of the next datagram.
    pub(super) fn fate(&mut self) -> Fate {
        if self.loses() {
            return Fate::Lost;
        }
        if self.random.u8(..100) < self.how.reorder {
            return Fate::Overtaken;
        }
        Fate::After(self.how.jitter.mul_f64(self.random.f64()))
    }

    /// Whether the next datagram of the other side is lost.
    pub(super) fn loses(&mut self) -> bool {
        self.random.u8(..100) < self.how.loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(how: Roughness) -> Vec<Fate> {
        let mut rough = Rough::new(how, 7);
        (0..1000).map(|_| rough.fate()).collect()
    }

    #[test]
    fn a_smooth_network_brings_all_at_once() {
        assert!(fates(Roughness::default()).iter().all(|fate| *fate == Fate::After(Duration::ZERO)));
    }

    #[test]
    fn of_a_hundred_so_many_are_lost_and_overtaken_and_the_rest_is_late() {
        let jitter = Duration::from_millis(100);
        let some = fates(Roughness { jitter, loss: 10, reorder: 20 });
        let count = |wanted: Fate| some.iter().filter(|fate| **fate == wanted).count();
        assert!((60..140).contains(&count(Fate::Lost)) && (120..240).contains(&count(Fate::Overtaken)));
        assert!(some.iter().all(|fate| !matches!(fate, Fate::After(late) if *late > jitter)));
        let all = fates(Roughness { loss: 100, ..Roughness::default() });
        assert!(all.iter().all(|fate| *fate == Fate::Lost));
    }
}
