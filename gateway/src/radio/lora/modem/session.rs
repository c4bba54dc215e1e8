//! A conversation over an open port.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use tokio_serial::SerialStream;
use tokio_util::sync::CancellationToken;

use super::Modem;
use super::air::May;
use super::talk::{Packet, Said, Talk};
use crate::radio::lora::schedule::SlotId;
use crate::radio::serial::{Down, Downlink, Ended, Frame, Next, Presence, Reports, Wire};
use crate::radio::{Air, RadioStats, Refused, SeenFrame};
use crate::wait::sleep_until;

/// The longest line: a packet of 255 bytes in hex, with what stands around it.
pub(super) const LINE_MAX: usize = 1024;

/// A client's frame.
struct Waiting {
    down: Down,
    /// Its place on the air, once the modem was told to send it.
    slot: Option<SlotId>,
}

/// See the module's head.
pub(in crate::radio) struct Session<'a> {
    wire: Wire,
    path: PathBuf,
    modem: &'a mut Modem,
    talk: Talk,
    reports: &'a Reports,
    stats: &'a RadioStats,
    downlink: &'a mut Downlink,
    presence: &'a mut Presence,
    waiting: Option<Waiting>,
    /// The modem receives, or did.
    ready: bool,
}

impl<'a> Session<'a> {
    pub(in crate::radio) fn new(
        (port, path): (SerialStream, PathBuf),
        modem: &'a mut Modem,
        reports: &'a Reports,
        stats: &'a RadioStats,
        downlink: &'a mut Downlink,
        presence: &'a mut Presence,
    ) -> Self {
        let character = modem.radio.serial.line.character_time();
        let talk = Talk::new(modem.dialogue.clone(), modem.radio.channel, character, Instant::now());
        Self {
            wire: Wire::new(port, LINE_MAX, modem.radio.write_timeout),
            path,
            modem,
            talk,
            reports,
            stats,
            downlink,
            presence,
            waiting: None,
            ready: false,
        }
    }

    /// Talks until the port is lost, the modem plays its part no more, or `stop` is given.
    pub(in crate::radio) async fn run(mut self, stop: &CancellationToken) -> Ended {
        let ended = self.serve(stop).await;
        self.wire.end(self.reports);
        let why = if matches!(ended, Ended::Stopped) { Refused::ShuttingDown } else { Refused::PortClosed };
        if let Some(waiting) = self.waiting.take() {
            let detail = if waiting.slot.is_some() { "it may be on the air all the same" } else { "" };
            // Its air time stays taken.
            if let Some(slot) = waiting.slot {
                self.modem.air.sent(slot, Instant::now());
            }
            self.downlink.refuse(&waiting.down, why, detail, self.reports).await;
        }
        ended
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Ended {
        loop {
            let idle = self.waiting.is_none() && self.talk.is_listening();
            // Else nobody would take what has become due.
            let asks = self.talk.is_listening() && self.waiting.as_ref().is_some_and(|waiting| waiting.slot.is_none());
            let due = self.modem.air.due().filter(|_| asks);
            let times = [self.talk.deadline(), self.wire.write_by(), due];
            let timer = times.into_iter().flatten().min().map(tokio::time::Instant::from_std);
            let mut said = Vec::new();
            tokio::select! {
                () = stop.cancelled() => return Ended::Stopped,
                moved = self.wire.moved(self.stats, self.reports) => match moved {
                    Ok(lines) => lines.iter().for_each(|line| self.talk.line(line, Instant::now(), &mut said)),
                    Err(ended) => return ended,
                },
                next = self.downlink.next(idle) => match next {
                    Next::Frame(down) => self.take(down).await,
                    Next::TurnedAway(down) => self.reports.refused(&down, Refused::QueueFull, "").await,
                },
                () = sleep_until(timer) => {
                    if let Some(why) = self.wire.stuck() {
                        return self.gone(why);
                    }
                    self.talk.timer(Instant::now(), &mut said);
                }
            }
            self.may_send(&mut said).await;
            for said in said {
                if let Some(ended) = self.act(said).await {
                    return ended;
                }
            }
        }
    }

    /// A client's frame: asks whether it may be sent.
    async fn take(&mut self, down: Down) {
        let length = down.payload.len();
        if length == 0 || length > crate::radio::lora::airtime::PHY_MAX {
            let detail = format!("the payload has {length} bytes, and LoRa frames have 1 to 255");
            return self.downlink.refuse(&down, Refused::NotEncodable, &detail, self.reports).await;
        }
        self.waiting = Some(Waiting { down, slot: None });
        self.modem.air.ask(length, Instant::now());
    }

    /// Tells the modem to send what may be sent now.
    async fn may_send(&mut self, said: &mut Vec<Said>) {
        let now = Instant::now();
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.slot.is_none()) else { return };
        if !self.talk.is_listening() {
            return;
        }
        match self.modem.air.answer(now) {
            Some(May::Send(slot, airtime)) => {
                waiting.slot = Some(slot);
                self.talk.send(waiting.down.payload.to_vec(), airtime, now, said);
            }
            Some(May::Not(why, detail)) => {
                if let Some(Waiting { down, .. }) = self.waiting.take() {
                    self.downlink.refuse(&down, why, &detail, self.reports).await;
                }
            }
            None => {}
        }
    }

    async fn act(&mut self, said: Said) -> Option<Ended> {
        let radio = self.modem.radio.name.as_str();
        match said {
            Said::Write(command) => {
                log::debug!(radio = radio, command = command.trim_end(); "modem is told");
                self.wire.write(&command);
            }
            Said::Ready => self.is_ready().await,
            Said::Packet(packet) => self.packet(packet).await,
            Said::Sent => self.sent().await,
            Said::NotSent { why, detail, may_be_on_air } => self.not_sent(why, &detail, may_be_on_air).await,
            Said::Reset => log::warn!(radio = radio; "the modem was reset; it is set up again"),
            Said::Declined { command, answer } => {
                log::warn!(radio = radio, command = command.as_str(), answer = answer.as_str();
                    "the modem declines a command; it goes on without");
            }
            Said::Dropped { reason, length } => self.reports.rejected(reason, length),
            Said::Over(why) => return Some(self.gone(why)),
        }
        None
    }

    fn gone(&self, why: String) -> Ended {
        if self.ready { Ended::Lost(why) } else { Ended::NotReady(why) }
    }

    async fn is_ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.presence.opened(self.path.clone(), self.reports).await;
            self.presence.settled(self.reports).await;
        }
    }

    async fn packet(&mut self, packet: Packet) {
        let heard = self.heard(&packet);
        let channel = &self.modem.radio.channel;
        let (rssi, snr) = (packet.rssi.map(f64::from), packet.snr.map(f64::from));
        self.stats.signals.heard(channel.frequency, Some(channel.spreading_factor.into()), rssi, snr);
        let received = self.reports.now();
        let factor = Some(channel.spreading_factor.into());
        let air = Air { gateway: None, frequency: channel.frequency, factor, rssi, snr };
        let seen = SeenFrame { air: Some(air), ..SeenFrame::new(received, &packet.payload) };
        self.stats.seen.frame(seen);
        let payload = packet.payload.into();
        self.reports.up(Frame { payload, received, poll: None, correlation: None, heard }).await;
    }

    /// What is known of a packet, and that the modem can't have heard others.
    fn heard(&self, packet: &Packet) -> Vec<(&'static str, Value)> {
        let (radio, channel) = (&self.modem.radio, &self.modem.radio.channel);
        let mut heard = vec![
            ("model", json!(radio.model.as_str())),
            ("frequency", json!(channel.frequency)),
            ("bandwidth", json!(channel.bandwidth)),
            ("spreading-factor", json!(channel.spreading_factor)),
            ("coding-rate", json!(channel.coding_rate.to_string())),
            ("hears", json!("one channel, one spreading factor")),
        ];
        heard.extend(packet.rssi.map(|rssi| ("rssi", number(rssi))));
        heard.extend(packet.snr.map(|snr| ("snr", number(snr))));
        heard
    }

    async fn sent(&mut self) {
        let Some(Waiting { down, slot: Some(slot) }) = self.waiting.take() else { return };
        RadioStats::add(&self.stats.frames_sent, 1);
        self.modem.air.sent(slot, Instant::now());
        self.reports.sent(&down, "sent", down.payload.len()).await;
    }

    async fn not_sent(&mut self, why: Refused, detail: &str, may_be_on_air: bool) {
        let Some(Waiting { down, slot: Some(slot) }) = self.waiting.take() else { return };
        if may_be_on_air {
            self.modem.air.sent(slot, Instant::now());
        } else {
            self.modem.air.not_sent(slot, Instant::now());
        }
        self.downlink.refuse(&down, why, detail, self.reports).await;
    }
}

/// Whole numbers without a decimal point.
fn number(value: f32) -> Value {
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}
