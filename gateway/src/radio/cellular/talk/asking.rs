//! One question after the other, and how each ends.

use std::time::{Duration, Instant};

use super::card::SOON;
use super::{Ask, Phase, Said, Talk};
use crate::radio::cellular::about::Sim;
use crate::radio::cellular::veil::ELSEWHERE;

/// How long a modem may take for its final word.
pub(super) const ANSWER: Duration = Duration::from_secs(3);

/// How often a question is asked.
const TRIES: u32 = 2;

/// Questions without any word after which the modem is set up again.
const SILENCES: u32 = 3;

/// A final word.
pub(super) enum Final<'a> {
    Ok,
    No(Option<u32>, &'a str),
    Silence,
}

impl Talk {
    /// Asks what is to be asked next.
    pub(super) fn next(&mut self, now: Instant, out: &mut Vec<Said>) {
        if self.deciding || self.phase == Phase::Over {
            return;
        }
        self.tries = 0;
        self.asked = self.plan.pop_front();
        match (&self.asked, self.phase) {
            (Some(_), _) => self.ask(now, out),
            (None, Phase::SettingUp) => {
                out.push(Said::Ready);
                self.round_due = now;
                self.begin_round(now, out);
            }
            (None, Phase::Measuring) => self.end_round(now, out),
            (None, _) => {}
        }
    }

    pub(super) fn ask(&mut self, now: Instant, out: &mut Vec<Said>) {
        let Some(asked) = &self.asked else { return };
        self.command = match asked {
            Ask::Echo => "ATE0".to_owned(),
            Ask::About(about) => about.command(&self.dialect).to_owned(),
            Ask::Info => "ATI".to_owned(),
            Ask::Set(command) => command.clone(),
            Ask::Card => "AT+CPIN?".to_owned(),
            Ask::Pin(pin) => format!("AT+CPIN=\"{}\"", pin.expose()),
            Ask::Measure(index) => {
                self.dialect.measure.get(*index).map(|measure| measure.send.clone()).unwrap_or_default()
            }
        };
        let secret = matches!(asked, Ask::Pin(_));
        self.tries += 1;
        self.echoed = false;
        self.card_says.clear();
        self.deadline = now + ANSWER;
        out.push(Said::Write { command: format!("{}\r", self.command), secret });
    }

    /// A question has come to its end.
    pub(super) fn finished(&mut self, word: &Final<'_>, now: Instant, out: &mut Vec<Said>) {
        let Some(asked) = self.asked.take() else { return };
        let silent = matches!(word, Final::Silence);
        if silent {
            self.silences += 1;
            if self.tries < TRIES && !matches!(asked, Ask::Pin(_)) {
                self.asked = Some(asked);
                return self.ask(now, out);
            }
        } else {
            self.silences = 0;
            self.quiet |= !self.echoed && asked != Ask::Echo;
        }
        match asked {
            Ask::Echo if silent => {
                let what = "the modem answers nothing to `ATE0`; check `device`, which must be its AT port, `baud` and its power";
                return self.over(what.to_owned(), out);
            }
            // What it was asked before is still to be answered, and would pass for what is asked next.
            Ask::Echo if self.tries > 1 => return self.reset(now, out),
            Ask::Info => self.find_dialect(out),
            Ask::Set(command) => self.declined(&command, word, out),
            Ask::Card => self.card_answered(word, now, out),
            // What became of it nobody knows when there is no word.
            Ask::Pin(_) if matches!(word, Final::Ok) => self.card_due = Some(now + SOON),
            Ask::Pin(_) => self.card_is(Sim::PinRefused, now, out),
            Ask::Measure(index) => return self.measured(index, word, now, out),
            Ask::Echo | Ask::About(_) => {}
        }
        self.go_on(now, out);
    }

    pub(super) fn go_on(&mut self, now: Instant, out: &mut Vec<Said>) {
        if self.silences > SILENCES { self.reset(now, out) } else { self.next(now, out) }
    }

    pub(super) fn declined(&self, command: &str, word: &Final<'_>, out: &mut Vec<Said>) {
        let answer = match word {
            Final::Ok => return,
            Final::No(_, answer) => self.veil.hide(answer, ELSEWHERE),
            Final::Silence => "nothing".to_owned(),
        };
        out.push(Said::Declined { command: command.to_owned(), answer });
    }
}

/// What ends an answer (ITU-T V.250, 5.7.1; 3GPP TS 27.007, 9.2).
pub(super) fn final_word(line: &str) -> Option<Final<'_>> {
    if line == "OK" {
        return Some(Final::Ok);
    }
    if line == "ERROR" || line == "COMMAND NOT SUPPORT" {
        return Some(Final::No(None, line));
    }
    let code = line.strip_prefix("+CME ERROR:").or_else(|| line.strip_prefix("+CMS ERROR:"))?;
    Some(Final::No(code.trim().parse().ok(), line))
}
