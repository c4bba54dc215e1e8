//! Setting a modem up, and reading after reading.

use std::time::Instant;

use super::asking::Final;
use super::{Ask, Phase, Said, Talk};
use crate::radio::cellular::about::About;
use crate::radio::cellular::dialect::Dialect;
use crate::radio::cellular::values::Reading;
use crate::radio::cellular::veil::ELSEWHERE;

/// Readings without a question that the modem had no word for.
const DUMB_ROUNDS: u64 = 60;

impl Talk {
    pub(super) fn set_up(&mut self, now: Instant, out: &mut Vec<Said>) {
        self.phase = Phase::SettingUp;
        self.plan = [Ask::Echo].into_iter().chain(About::MODEM.map(Ask::About)).collect();
        if self.wanted.is_none() {
            self.plan.push_back(Ask::Info);
        } else {
            self.plan.extend(self.dialect.setup.iter().cloned().map(Ask::Set));
            out.push(Said::Speaks(self.dialect.name));
        }
        self.plan.extend(self.context.clone().map(Ask::Set));
        self.plan.push_back(Ask::Card);
        self.next(now, out);
    }

    /// The modem has said all that it says of itself.
    pub(super) fn find_dialect(&mut self, out: &mut Vec<Said>) {
        match Dialect::which_says(&self.seen) {
            Ok(dialect) => self.dialect = dialect,
            Err(error) => return self.over(error.to_string(), out),
        }
        out.push(Said::Speaks(self.dialect.name));
        for command in self.dialect.setup.iter().rev() {
            self.plan.push_front(Ask::Set(command.clone()));
        }
    }

    pub(super) fn begin_round(&mut self, now: Instant, out: &mut Vec<Said>) {
        self.phase = Phase::Measuring;
        // Missed turns are skipped, not made up for.
        self.round_due = (self.round_due + self.period).max(now);
        (self.reading, self.act) = (Reading::new(now), None);
        self.plan.clear();
        if self.card_due.is_some_and(|due| due <= now) {
            self.plan.push_back(Ask::Card);
        }
        self.dumb.retain(|_, again| *again > self.round);
        let measures = self.dialect.measure.iter().enumerate();
        let due = measures.filter(|(index, measure)| measure.is_due(self.round) && !self.dumb.contains_key(index));
        self.plan.extend(due.map(|(index, _)| Ask::Measure(index)));
        self.round += 1;
        self.next(now, out);
    }

    pub(super) fn end_round(&mut self, now: Instant, out: &mut Vec<Said>) {
        let mut reading = std::mem::replace(&mut self.reading, Reading::new(now));
        reading.finish(self.act);
        // It is not asked for in each round.
        if reading.operator.is_some() || !reading.has_service() {
            self.operator.clone_from(&reading.operator);
        }
        reading.operator.clone_from(&self.operator);
        self.setups = 0;
        out.push(Said::Reading(Box::new(reading)));
        (self.phase, self.deadline) = (Phase::Resting, self.round_due);
    }

    pub(super) fn measured(&mut self, index: usize, word: &Final<'_>, now: Instant, out: &mut Vec<Said>) {
        let Some(measure) = self.dialect.measure.get(index) else { return self.next(now, out) };
        let (command, optional) = (measure.send.clone(), measure.optional);
        match word {
            Final::Ok => {}
            Final::No(_, answer) if !optional => {
                let answer = self.veil.hide(answer, ELSEWHERE);
                self.reading.errors.push(format!("`{answer}` to `{command}`"));
            }
            Final::No(..) => {}
            Final::Silence if optional => {
                self.dumb.insert(index, self.round + DUMB_ROUNDS);
                self.declined(&command, word, out);
            }
            Final::Silence => return self.reset(now, out),
        }
        self.go_on(now, out);
    }
}
