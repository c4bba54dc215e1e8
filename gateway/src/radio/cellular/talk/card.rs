//! The card: how it is, and its PIN.

use std::time::{Duration, Instant};

use super::asking::{ANSWER, Final};
use super::{Ask, Said, Talk};
use crate::radio::cellular::about::{About, Sim};

/// Time between two looks at a card. One that is open may be taken out.
const AGAIN: Duration = Duration::from_secs(30);

/// The same when it was just told its PIN, or can't be read yet, as after a start.
pub(super) const SOON: Duration = Duration::from_secs(2);

impl Talk {
    pub(super) fn card_answered(&mut self, word: &Final<'_>, now: Instant, out: &mut Vec<Said>) {
        let says = std::mem::take(&mut self.card_says);
        match (word, says.as_str()) {
            (Final::Ok, "READY") => self.card_is(Sim::Ready, now, out),
            (Final::Ok, "SIM PIN") | (Final::No(Some(11), _), _) => self.wants_pin(now, out),
            (Final::Ok, "SIM PUK") => self.card_is(Sim::Blocked, now, out),
            (Final::Ok | Final::Silence, _) => self.card_is(Sim::Unknown, now, out),
            (Final::No(code, _), _) => self.card_is(Sim::of_error(*code), now, out),
        }
    }

    pub(super) fn wants_pin(&mut self, now: Instant, out: &mut Vec<Said>) {
        // The answer would be the same.
        if let Some(sim @ (Sim::PinNeeded | Sim::PinRefused)) = self.card {
            return self.card_is(sim, now, out);
        }
        (self.deciding, self.deadline) = (true, now + ANSWER);
        out.push(Said::WantsPin);
    }

    pub(super) fn card_is(&mut self, sim: Sim, now: Instant, out: &mut Vec<Said>) {
        self.card_due = Some(now + if sim == Sim::Unknown { SOON } else { AGAIN });
        if self.card.replace(sim) == Some(sim) {
            return;
        }
        out.push(Said::Card(sim));
        if sim == Sim::Ready {
            About::CARD.into_iter().rev().for_each(|about| self.plan.push_front(Ask::About(about)));
        }
    }
}
