//! The server's way down: commands in, downlinks through the scheduler, datagrams out, and what became of them.

use std::time::Instant;

use tokio::net::UdpSocket;

use super::downlinks::Action;
use super::packet::{self, Packet};
use super::server::Server;
use crate::config::Eui;
use crate::radio::lora::Refusal;
use crate::radio::lora::commands::{Command, Wanted};
use crate::radio::lora::done::Done;
use crate::radio::lora::gw::{self, DownlinkFrame};
use crate::radio::lora::schedule::TxStatus;
use crate::radio::{RadioStats, Refused};

impl Server {
    /// Does what a command wants, or says why not. `socket` is `None` while it is not open.
    pub(super) async fn command(&mut self, socket: Option<&UdpSocket>, command: Command) {
        match command.wanted {
            Wanted::Down => self.down(socket, command).await,
            Wanted::Config => self.config(&command),
            Wanted::Raw => {
                self.clerk.stats.refused(Refused::NotEncodable);
                if self.clerk.may_log() {
                    log::warn!(radio:% = self.clerk.name, gateway:% = command.eui;
                        "raw command not passed on: it would go past the duty cycle");
                }
            }
        }
    }

    async fn down(&mut self, socket: Option<&UdpSocket>, command: Command) {
        let eui = command.eui;
        let frame: DownlinkFrame = match gw::decode(&command.payload) {
            Ok(frame) => frame,
            Err(error) => return self.clerk.not_understood(eui, &error),
        };
        let reachable = self.gateways.get_mut(eui).is_some_and(|gateway| gateway.path.is_some());
        let refused = match (command.turned_away, reachable && socket.is_some()) {
            (true, _) => Some((TxStatus::QueueFull, "too many downlinks wait")),
            (false, false) => {
                self.clerk.stats.refused(Refused::PortClosed);
                Some((TxStatus::InternalError, "the gateway can't be reached"))
            }
            (false, true) => None,
        };
        if let Some((status, why)) = refused {
            return self.done(eui, Done::not_tried(&frame, status, why)).await;
        }
        if let Some(gateway) = self.gateways.get_mut(eui) {
            gateway.downlinks.submit(frame, Instant::now());
        }
        self.pump(socket, eui, Instant::now()).await;
    }

    fn config(&mut self, command: &Command) {
        let settings = self.clerk.settings(command);
        if let (Some(settings), Some(gateway)) = (settings, self.gateways.get_mut(command.eui)) {
            gateway.config_version = settings.version;
        }
    }

    /// TX_ACK.
    pub(super) async fn acknowledged(
        &mut self,
        socket: &UdpSocket,
        packet: &Packet<'_>,
        source: std::net::SocketAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(gateway) = self.gateways.get_mut(packet.eui) else { return Err(Refusal::UnknownGateway) };
        // From any port: some gateways answer by the socket of their uplinks.
        match gateway.path {
            None => return Err(Refusal::AckUnasked),
            Some(path) if path.address.ip() != source.ip() => return Err(Refusal::WrongAddress),
            Some(_) => {}
        }
        gateway.downlinks.acknowledged(packet.token, packet.json, now)?;
        self.count(packet.kind);
        self.pump(Some(socket), packet.eui, now).await;
        Ok(())
    }

    /// Does what is due at gateways.
    pub(super) async fn pump_due(&mut self, socket: Option<&UdpSocket>, now: Instant) {
        for eui in self.gateways.due(now) {
            self.pump(socket, eui, now).await;
        }
    }

    /// Does what is to be done for one gateway.
    pub(super) async fn pump(&mut self, socket: Option<&UdpSocket>, eui: Eui, now: Instant) {
        while let Some(gateway) = self.gateways.get_mut(eui) {
            let path = gateway.path;
            match gateway.downlinks.next(now) {
                Some(Action::Done(done)) => self.done(eui, done).await,
                Some(Action::Send { token, json, slot }) => {
                    let sent = match (socket, path) {
                        (Some(socket), Some(path)) => socket
                            .send_to(&packet::pull_resp(token, &json), path.address)
                            .await
                            .map_err(|e| e.to_string()),
                        _ => Err("the gateway can't be reached any more".to_owned()),
                    };
                    match sent {
                        Ok(bytes) => {
                            RadioStats::add(&self.clerk.stats.frames_sent, 1);
                            RadioStats::add(&self.clerk.stats.bytes_sent, bytes);
                        }
                        Err(why) => {
                            self.clerk.stats.refused(Refused::PortClosed);
                            if let Some(gateway) = self.gateways.get_mut(eui) {
                                gateway.downlinks.unsent(slot, why, now);
                            }
                        }
                    }
                }
                None => return,
            }
        }
    }

    /// Tells what became of a downlink.
    async fn done(&mut self, eui: Eui, done: Done) {
        let Some(gateway) = self.gateways.get_mut(eui) else { return };
        let message = self.clerk.done(eui, &mut gateway.tally, &done);
        self.events.ack(&gateway.topics, &message).await;
    }

    /// Gives up what is under way to a gateway that can't be reached any more.
    pub(super) async fn give_up(&mut self, eui: Eui, why: &str) {
        let given_up = self.gateways.get_mut(eui).map(|gateway| gateway.downlinks.give_up(why));
        for done in given_up.unwrap_or_default() {
            self.done(eui, done).await;
        }
    }
}
