//! One modem of ModemManager's, asked for as long as it is there.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::about::Sim;
use super::super::veil::{ELSEWHERE, IN_ANSWERS, Veil};
use super::bus::{Arguments, Bus, BusError, MODEM_PATIENCE};
use super::link::Link;
use super::object::{LOCATION, MODEM, Object, SIGNAL, SIM};
use super::reading::{self, Asked};
use super::{Manager, Ours};
use crate::radio::serial::Ended;
use crate::wait::sleep_until;

/// Calls in a row without any answer after which the modem is given up.
const SILENCES: u32 = 3;

/// Readings without a call that was declined.
const DECLINED_ROUNDS: u64 = 60;

/// Readings after which the modem and its card are asked again what they are.
const ABOUT_ROUNDS: u64 = 60;

/// MM_MODEM_LOCATION_SOURCE_3GPP_LAC_CI.
const LAC_CI: i64 = 1;

/// See the module's head.
pub(super) struct Session<'a> {
    bus: Bus,
    modem: Object,
    manager: &'a mut Manager,
    veil: Veil,
    card: Option<Sim>,
    /// The PIN was told, and taken.
    told: bool,
    link: Link,
    round: u64,
    silences: u32,
    /// Calls that were declined, and the round in which each is made again.
    declined: BTreeMap<&'static str, u64>,
}

impl<'a> Session<'a> {
    pub(super) fn new(bus: Bus, modem: Object, manager: &'a mut Manager) -> Self {
        let veil = Veil::new(manager.modem.key.clone());
        // Another ModemManager gives the same paths to others.
        let ours = manager.ours.take().filter(|ours| ours.manager == bus.manager && ours.modem == modem.path);
        let apn = manager.modem.radio.apn.clone().filter(|_| manager.managed.connect);
        let link = Link::new(apn, ours.map(|ours| ours.bearer));
        let declined = BTreeMap::new();
        Self { bus, modem, manager, veil, card: None, told: false, link, round: 0, silences: 0, declined }
    }

    /// Asks until the modem is gone or `stop` is given; then a connection of the gateway's own is ended.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Ended {
        let Manager { presence, reports, .. } = &mut *self.manager;
        presence.opened(self.modem.place().into(), reports).await;
        presence.settled(reports).await;
        self.manager.modem.identity.dialect = "modem-manager";
        let ended = self.serve(stop).await;
        if matches!(ended, Ended::Stopped) {
            self.link.end(&self.modem.path, &self.bus, &self.veil, &self.manager.modem.radio.name).await;
        } else {
            let (manager, modem) = (self.bus.manager.clone(), self.modem.path.clone());
            self.manager.ours = self.link.leave().map(|bearer| Ours { manager, modem, bearer });
        }
        if let Some(stats) = &self.manager.stats.cellular {
            stats.forget();
        }
        ended
    }

    async fn serve(&mut self, stop: &CancellationToken) -> Ended {
        let mut due = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ended::Stopped,
                ended = self.link.ended() => {
                    self.link.took(&ended, &self.veil, &self.manager.modem.radio.name);
                    continue;
                }
                () = sleep_until(Some(due)) => {}
            }
            // Turns that were missed are skipped, not made up for.
            due = (due + self.manager.modem.radio.period).max(tokio::time::Instant::now());
            match stop.run_until_cancelled(self.measure()).await {
                None => return Ended::Stopped,
                Some(Ok(())) => self.silences = 0,
                Some(Err(BusError::Silent(_))) if self.silences + 1 < SILENCES => self.silences += 1,
                Some(Err(error)) => return Ended::Lost(self.veil.hide(&error.to_string(), ELSEWHERE)),
            }
        }
    }

    /// One reading.
    async fn measure(&mut self) -> Result<(), BusError> {
        let at = Instant::now();
        let all = Object::all(&self.bus.objects().await?);
        let Some(modem) = all.into_iter().find(|modem| modem.path == self.modem.path) else {
            return Err(BusError::Gone);
        };
        self.modem = modem;
        self.look_at_card().await?;
        if self.round.is_multiple_of(ABOUT_ROUNDS) {
            self.learn().await?;
        }
        let mut asked = Asked::default();
        self.ask(&mut asked).await?;
        let reading = reading::read(&self.modem, &asked, &self.veil, at);
        self.link.begin(&self.modem, &self.bus);
        let connection = self.link.look(&self.modem, &self.bus, self.round).await?;
        let Manager { modem, reports, stats, .. } = &mut *self.manager;
        modem.identity.connection = Some(connection);
        modem.reading(&reading, reports, stats).await;
        self.round += 1;
        Ok(())
    }

    /// What the properties do not say.
    async fn ask(&mut self, asked: &mut Asked) -> Result<(), BusError> {
        if !self.modem.is_enabled() {
            asked.errors.push(format!("the modem is {}", self.modem.state_word()));
            return Ok(());
        }
        let wanted = self.manager.modem.radio.period.as_secs().max(1);
        let rate = self.modem.whole(SIGNAL, "Rate").and_then(|rate| u64::try_from(rate).ok()).unwrap_or(0);
        if self.modem.has(SIGNAL) && (rate == 0 || rate > wanted) {
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            self.optional("Signal.Setup", SIGNAL, "Setup", &wanted).await?;
        }
        asked.cells = self.optional("GetCellInfo", MODEM, "GetCellInfo", &()).await?;
        let serves = |cell: &Value| cell.get("serving") == Some(&Value::Bool(true));
        let has_cell = asked.cells.as_array().is_some_and(|cells| cells.iter().any(serves));
        if !has_cell && self.modem.has(LOCATION) {
            let enabled = self.modem.whole(LOCATION, "Enabled").unwrap_or(0);
            if enabled & LAC_CI == 0 {
                let signals = self.modem.get(LOCATION, "SignalsLocation") == &Value::Bool(true);
                let sources = u32::try_from(enabled | LAC_CI).unwrap_or(1);
                self.optional("Location.Setup", LOCATION, "Setup", &(sources, signals)).await?;
            }
            asked.location = self.optional("GetLocation", LOCATION, "GetLocation", &()).await?;
        }
        Ok(())
    }

    /// A call of the modem that it may decline, or never answer; it is left alone with that for a while then. Whether
    /// ModemManager itself answers is seen by what every reading asks it for.
    async fn optional(
        &mut self,
        name: &'static str,
        interface: &str,
        method: &str,
        arguments: &impl Arguments,
    ) -> Result<Value, BusError> {
        if self.declined.get(name).is_some_and(|again| *again > self.round) {
            return Ok(Value::Null);
        }
        match self.bus.call(&self.modem.path, interface, method, arguments, MODEM_PATIENCE).await {
            Err(error) if error.is_of_the_call() || matches!(error, BusError::Silent(_)) => {
                self.decline(name, &error);
                Ok(Value::Null)
            }
            answer => answer,
        }
    }

    fn decline(&mut self, name: &'static str, error: &BusError) {
        let is_new = self.declined.insert(name, self.round + DECLINED_ROUNDS).is_none();
        let radio = self.manager.modem.radio.name.as_str();
        let text = self.veil.hide(&error.to_string(), ELSEWHERE);
        if error.is_forbidden() && is_new {
            log::warn!(radio = radio, call = name, error = text.as_str();
                "ModemManager forbids the gateway a call; it goes on without");
        } else {
            log::debug!(radio = radio, call = name, error = text.as_str(); "the modem declines a call; it goes on without");
        }
    }

    /// What the modem and its card say of themselves.
    async fn learn(&mut self) -> Result<(), BusError> {
        let sim = match self.modem.sim_path() {
            Some(path) => match self.bus.properties(path, SIM).await {
                Err(error) if error.is_of_the_call() => Value::Null,
                sim => sim?,
            },
            None => Value::Null,
        };
        for (about, text) in reading::about(&self.modem, &sim) {
            let text = if about.is_personal() {
                self.veil.learn(about.name(), &text)
            } else {
                self.veil.hide(&text, IN_ANSWERS)
            };
            self.manager.modem.identity.learn(about, text);
        }
        Ok(())
    }

    async fn look_at_card(&mut self) -> Result<(), BusError> {
        let sim = match self.modem.sim() {
            Some(sim) => sim,
            None => self.unlock().await?,
        };
        if self.card.replace(sim) != Some(sim) {
            self.manager.modem.card(sim, &self.manager.stats).await;
            self.learn().await?;
        }
        Ok(())
    }

    /// Tells the card its PIN, once.
    async fn unlock(&mut self) -> Result<Sim, BusError> {
        // The answer would be the same.
        if let Some(sim @ (Sim::PinNeeded | Sim::PinRefused)) = self.card {
            return Ok(sim);
        }
        let again = self.declined.get("SendPin").is_none_or(|again| *again <= self.round);
        let Some(path) = self.modem.sim_path().filter(|_| !self.told && again) else { return Ok(Sim::Unknown) };
        let pin = match self.manager.modem.pin().await {
            Ok(pin) => pin,
            Err(sim) => return Ok(sim),
        };
        match self.bus.call(path, SIM, "SendPin", &pin.expose(), MODEM_PATIENCE).await {
            Ok(_) => {
                self.told = true;
                Ok(Sim::Unknown)
            }
            // It was held up on its way, and the card has not heard it.
            Err(error) if error.is_forbidden() => {
                self.manager.modem.forget_pin().await;
                self.decline("SendPin", &error);
                Ok(Sim::Unknown)
            }
            Err(BusError::No { .. } | BusError::TooLong(..)) => Ok(Sim::PinRefused),
            // What became of it nobody knows, and the mark on disk keeps it from being told again.
            Err(error) => Err(error),
        }
    }
}
