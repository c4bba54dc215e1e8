//! The server's way down: commands in, questions to Concentratord, and what became of them.

use std::time::Instant;

use tokio::sync::mpsc;

use super::courier::Ask;
use super::downlink::{self, Prepared};
use super::form::Question;
use super::server::Server;
use crate::radio::lora::commands::{Command, Wanted};
use crate::radio::lora::done::Done;
use crate::radio::lora::gw::{self, DownlinkFrame};
use crate::radio::lora::schedule::TxStatus;
use crate::radio::lora::tally::Tally;
use crate::radio::{RadioStats, Refused};

/// The longest question, in bytes: a downlink with all its items, or the channels of eight concentrators, has less.
const QUESTION_MAX: usize = 16 * 1024;

const AWAY: &str = "Concentratord can't be reached";

/// What Concentratord was asked.
pub(super) enum UnderWay {
    Down(u64, Prepared),
    Configure(u64),
}

impl Server {
    /// Does what a command wants, or says why not.
    pub(super) async fn command(&mut self, command: Command, ask: &mpsc::Sender<Ask>) {
        match command.wanted {
            Wanted::Down if command.turned_away || !self.takes => self.refuse(command).await,
            Wanted::Down => self.down(&command, ask).await,
            Wanted::Config => self.configure(&command, ask),
            Wanted::Raw => {
                self.clerk.stats.refused(Refused::NotEncodable);
                if self.clerk.may_log() {
                    log::warn!(radio:% = self.clerk.name, gateway:% = command.eui; "raw command not passed on: Concentratord knows none");
                }
            }
        }
    }

    fn read(&mut self, command: &Command) -> Option<DownlinkFrame> {
        gw::decode(&command.payload).map_err(|error: String| self.clerk.not_understood(command.eui, &error)).ok()
    }

    /// A command that is not even tried.
    pub(super) async fn refuse(&mut self, command: Command) {
        if command.wanted != Wanted::Down {
            return self.clerk.stats.refused(Refused::PortClosed);
        }
        let Some(frame) = self.read(&command) else { return };
        let (status, why) = match command.turned_away {
            true => (TxStatus::QueueFull, "too many downlinks wait"),
            false => {
                self.clerk.stats.refused(Refused::PortClosed);
                (TxStatus::InternalError, AWAY)
            }
        };
        self.kept(&Done::not_tried(&frame, status, why)).await;
    }

    async fn down(&mut self, command: &Command, ask: &mpsc::Sender<Ask>) {
        let Some(frame) = self.read(command) else { return };
        let prepared = match downlink::prepare(frame, &mut self.meter, Instant::now()) {
            Ok(prepared) => prepared,
            Err(done) => return self.kept(&done).await,
        };
        match self.ask(Question::Down(prepared.frame.clone()), ask) {
            Ok(number) => self.under_way = Some(UnderWay::Down(number, prepared)),
            Err(why) => {
                let done = prepared.failed(why);
                self.kept(&done).await;
            }
        }
    }

    fn configure(&mut self, command: &Command, ask: &mpsc::Sender<Ask>) {
        let Some(settings) = self.clerk.settings(command) else { return };
        let (configures, version) = (self.configures, settings.version.clone());
        if !configures {
            if let Some(gateway) = &mut self.gateway {
                gateway.config_version = version;
            }
            return;
        }
        let asked = if self.takes { self.ask(Question::Configure(settings), ask) } else { Err(AWAY) };
        match asked {
            Ok(number) => {
                log::info!(radio:% = self.clerk.name, gateway:% = command.eui, version = version.as_str();
                    "channels passed on to Concentratord");
                self.under_way = Some(UnderWay::Configure(number));
            }
            Err(why) => self.not_configured(why),
        }
    }

    fn not_configured(&mut self, why: &str) {
        self.clerk.stats.refused(Refused::NoResponse);
        log::warn!(radio:% = self.clerk.name, reason = why; "channels not taken by Concentratord");
    }

    fn ask(&mut self, question: Question, ask: &mpsc::Sender<Ask>) -> Result<u64, &'static str> {
        let length = match &question {
            Question::Down(frame) => gw::Message::encoded_len(frame),
            Question::Configure(settings) => gw::Message::encoded_len(settings),
        };
        if length > QUESTION_MAX {
            self.clerk.stats.refused(Refused::NotEncodable);
            return Err("it is too long");
        }
        self.asked += 1;
        if ask.try_send(Ask { number: self.asked, question }).is_err() {
            self.clerk.stats.refused(Refused::PortClosed);
            return Err(AWAY);
        }
        RadioStats::add(&self.clerk.stats.bytes_sent, length);
        Ok(self.asked)
    }

    /// Concentratord has answered.
    pub(super) async fn answered(&mut self, number: u64, answer: &[u8]) {
        match self.under_way.take() {
            Some(UnderWay::Down(asked, prepared)) if asked == number => {
                let done = prepared.answered(answer, &mut self.meter);
                if done.sent.is_some() {
                    RadioStats::add(&self.clerk.stats.frames_sent, 1);
                }
                self.handed_on(&done).await;
            }
            // Nothing: it has taken them.
            Some(UnderWay::Configure(asked)) if asked == number => {}
            // What is answered was given up before; what is under way is something else.
            other => self.under_way = other,
        }
    }

    /// What Concentratord was asked will not be answered any more.
    pub(super) async fn give_up(&mut self, why: &str) {
        match self.under_way.take() {
            Some(UnderWay::Down(_, prepared)) => {
                self.clerk.stats.refused(Refused::NoResponse);
                let done = prepared.unanswered(why, &mut self.meter);
                self.handed_on(&done).await;
            }
            Some(UnderWay::Configure(_)) => self.not_configured(why),
            None => {}
        }
    }

    /// Tells what became of a downlink that never reached Concentratord.
    async fn kept(&mut self, done: &Done) {
        let Some(gateway) = &mut self.gateway else { return };
        gateway.kept = gateway.kept.saturating_add(1);
        let message = self.clerk.done(gateway.eui, &mut gateway.tally, done);
        self.events.ack(&gateway.topics, &message).await;
    }

    /// Tells what became of one that did, which Concentratord counts in its own statistics.
    async fn handed_on(&mut self, done: &Done) {
        let Some(gateway) = &mut self.gateway else { return };
        let message = self.clerk.done(gateway.eui, &mut Tally::default(), done);
        self.events.ack(&gateway.topics, &message).await;
    }
}
