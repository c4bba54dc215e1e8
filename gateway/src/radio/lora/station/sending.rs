//! The server's way down: commands in, `dnmsg` out, and what became of them.

use std::time::Instant;

use super::gps;
use super::message::Sent;
use super::server::Server;
use crate::config::Eui;
use crate::radio::lora::Refusal;
use crate::radio::lora::commands::{Command, Wanted};
use crate::radio::lora::done::Done;
use crate::radio::lora::gw::{self, DownlinkFrame};
use crate::radio::lora::schedule::TxStatus;
use crate::radio::{RadioStats, Refused};

impl Server {
    /// Does what a command wants, or says why not.
    pub(super) async fn command(&mut self, command: Command) {
        match command.wanted {
            Wanted::Down => self.down(command).await,
            Wanted::Config => self.config(&command),
            Wanted::Raw => {
                self.clerk.stats.refused(Refused::NotEncodable);
                if self.clerk.may_log() {
                    log::warn!(radio:% = self.clerk.name, gateway:% = command.eui;
                        "raw command not passed on: Stations run programs by such");
                }
            }
        }
    }

    async fn down(&mut self, command: Command) {
        let eui = command.eui;
        let frame: DownlinkFrame = match gw::decode(&command.payload) {
            Ok(frame) => frame,
            Err(error) => return self.clerk.not_understood(eui, &error),
        };
        if let Some(gateway) = self.gateways.get_mut(&eui) {
            gateway.asked = gateway.asked.saturating_add(1);
        }
        if command.turned_away {
            return self.done(eui, Done::not_tried(&frame, TxStatus::QueueFull, "too many downlinks wait")).await;
        }
        let ready = |gateway: &super::server::Gateway| gateway.link.as_ref().is_some_and(|link| link.ready);
        if !self.gateways.get(&eui).is_some_and(ready) {
            self.clerk.stats.refused(Refused::PortClosed);
            let why = "the gateway can't be reached";
            return self.done(eui, Done::not_tried(&frame, TxStatus::InternalError, why)).await;
        }
        let gps = self.events.now().trusted().and_then(gps::of);
        let Some(gateway) = self.gateways.get_mut(&eui) else { return };
        let done = match gateway.downlinks.take(&frame, &self.plan, gps, Instant::now()) {
            Err(done) => Some(done),
            Ok((diid, json)) => match self.say(eui, json) {
                Ok(()) => None,
                Err(why) => {
                    self.clerk.stats.refused(Refused::PortClosed);
                    self.gateways.get_mut(&eui).and_then(|gateway| gateway.downlinks.unsent(diid, why))
                }
            },
        };
        if let Some(done) = done {
            self.done(eui, done).await;
        }
    }

    fn config(&mut self, command: &Command) {
        let settings = self.clerk.settings(command);
        if let (Some(settings), Some(gateway)) = (settings, self.gateways.get_mut(&command.eui)) {
            gateway.config_version = settings.version;
        }
    }

    /// `dntxed`.
    pub(super) async fn sent(&mut self, eui: Eui, sent: &Sent) -> Result<(), Refusal> {
        let Some(gateway) = self.gateways.get_mut(&eui) else { return Err(Refusal::UnknownGateway) };
        let done = gateway.downlinks.sent(sent)?;
        RadioStats::add(&self.clerk.stats.frames_sent, 1);
        self.done(eui, done).await;
        Ok(())
    }

    /// Tells what became of a downlink.
    pub(super) async fn done(&mut self, eui: Eui, done: Done) {
        let Some(gateway) = self.gateways.get_mut(&eui) else { return };
        let message = self.clerk.done(eui, &mut gateway.tally, &done);
        self.events.ack(&gateway.topics, &message).await;
    }

    /// Gives up what a gateway has been given.
    pub(super) async fn give_up(&mut self, eui: Eui, why: &str) {
        let given_up = self.gateways.get_mut(&eui).map(|gateway| gateway.downlinks.give_up(why));
        for done in given_up.unwrap_or_default() {
            self.done(eui, done).await;
        }
    }
}
