//! A modem's data connection: begun where the settings want it, looked at in any case, and ended by whoever began it.
//!
//! ModemManager connects the modem. The addresses of its network interface are others' business, since the gateway may not set
//! any.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::veil::{ELSEWHERE, Veil};
use super::bus::{Bus, BusError};
use super::object::{ALL_BEARERS, BEARER, Object};

/// Between two tries to connect, at first and at most.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// How long the end of a connection may take. The radio is given up soon after that.
const DISCONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Readings after which the bearers are looked at, also where nothing seems to have changed.
const LOOK_AGAIN: u64 = 10;

/// Bearers that are looked at.
const BEARERS_MAX: usize = 8;

type Connecting = Pin<Box<dyn Future<Output = Result<Value, BusError>> + Send>>;

/// See the module's head.
pub(super) struct Link {
    /// The access point, where the gateway is to connect.
    apn: Option<String>,
    connecting: Option<Connecting>,
    /// The bearer that the gateway has had connected.
    ours: Option<String>,
    again: Instant,
    pause: Duration,
    /// Why it failed, as was said last.
    trouble: String,
    /// What the modem said of its connection when the bearers were looked at.
    seen: Option<(i64, Vec<String>)>,
    bearer: Map<String, Value>,
}

impl Link {
    /// `ours` is a bearer that the gateway has had connected before.
    pub(super) fn new(apn: Option<String>, ours: Option<String>) -> Self {
        Self {
            apn,
            connecting: None,
            ours,
            again: Instant::now(),
            pause: PAUSE,
            trouble: String::new(),
            seen: None,
            bearer: Map::new(),
        }
    }

    /// Waits until connecting has come to an end; for ever while nobody connects.
    pub(super) async fn ended(&mut self) -> Result<Value, BusError> {
        match &mut self.connecting {
            Some(connecting) => {
                let ended = connecting.as_mut().await;
                self.connecting = None;
                ended
            }
            None => std::future::pending().await,
        }
    }

    /// Takes how connecting has ended.
    pub(super) fn took(&mut self, ended: &Result<Value, BusError>, veil: &Veil, radio: &str) {
        match ended {
            Ok(bearer) => {
                log::info!(radio = radio; "the modem is connected");
                self.ours = bearer.as_str().map(str::to_owned);
                (self.pause, self.trouble, self.seen) = (PAUSE, String::new(), None);
            }
            Err(error) => {
                let trouble = veil.hide(&error.to_string(), ELSEWHERE);
                if trouble != self.trouble {
                    log::warn!(radio = radio, error = trouble.as_str(); "the modem could not be connected; tried again");
                    self.trouble = trouble;
                }
            }
        }
        self.again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Begins to connect where that is wanted and the modem can.
    pub(super) fn begin(&mut self, modem: &Object, bus: &Bus) {
        let Some(apn) = self.apn.clone() else { return };
        if self.connecting.is_some() || !modem.may_connect() || Instant::now() < self.again {
            return;
        }
        self.ours = None;
        let (bus, path) = (bus.clone(), modem.path.clone());
        self.connecting = Some(Box::pin(async move { bus.connect(&path, &apn).await }));
    }

    /// Looks at the connection: its state, and of one that is up the interface and how that gets its addresses.
    pub(super) async fn look(&mut self, modem: &Object, bus: &Bus, round: u64) -> Result<Map<String, Value>, BusError> {
        let bearers: Vec<String> = modem.bearers().take(BEARERS_MAX).map(str::to_owned).collect();
        let now = (modem.state(), bearers);
        if self.seen.as_ref() != Some(&now) || round.is_multiple_of(LOOK_AGAIN) {
            self.bearer = if modem.is_connected() { up(&now.1, bus).await? } else { Map::new() };
            self.seen = Some(now);
        }
        let state = match modem.state_word() {
            "connected" => "connected",
            "connecting" => "connecting",
            "disconnecting" => "disconnecting",
            _ if self.connecting.is_some() => "connecting",
            _ if !self.trouble.is_empty() => "failed",
            _ => "off",
        };
        let mut shown = Map::new();
        shown.insert("state".to_owned(), json!(state));
        shown.extend(self.bearer.clone());
        Ok(shown)
    }

    /// Breaks off, and gives the bearer that is the gateway's own, if any is. One that is under way has no name yet; there is
    /// no other then, since none was when it was begun.
    pub(super) fn leave(&mut self) -> Option<String> {
        let ours = self.ours.take();
        self.connecting.take().map_or(ours, |_| Some(ALL_BEARERS.to_owned()))
    }

    /// Ends the connection, if it is the gateway's own.
    pub(super) async fn end(&mut self, modem: &str, bus: &Bus, veil: &Veil, radio: &str) {
        let Some(bearer) = self.leave() else { return };
        match bus.disconnect(modem, &bearer, DISCONNECT_PATIENCE).await {
            Ok(_) => log::info!(radio = radio; "the modem is disconnected"),
            Err(error) => {
                let error = veil.hide(&error.to_string(), ELSEWHERE);
                log::warn!(radio = radio, error = error.as_str(); "the modem could not be disconnected");
            }
        }
    }
}

/// What there is to say of the first bearer that is connected. Addresses stay here.
async fn up(bearers: &[String], bus: &Bus) -> Result<Map<String, Value>, BusError> {
    let mut shown = Map::new();
    for bearer in bearers {
        let properties = match bus.properties(bearer, BEARER).await {
            Err(error) if error.is_of_the_call() => continue,
            properties => properties?,
        };
        if properties.get("Connected") != Some(&Value::Bool(true)) {
            continue;
        }
        let interface = properties.get("Interface").and_then(Value::as_str).filter(|name| !name.is_empty());
        shown.extend(interface.map(|name| ("interface".to_owned(), json!(name))));
        for (name, property) in [("ipv4", "Ip4Config"), ("ipv6", "Ip6Config")] {
            let method = properties.get(property).and_then(|config| config.get("method")).and_then(Value::as_i64);
            // MMBearerIpMethod.
            let word = match method {
                Some(1) => "ppp",
                Some(2) => "static",
                Some(3) => "dhcp",
                _ => continue,
            };
            shown.insert(name.to_owned(), json!(word));
        }
        break;
    }
    Ok(shown)
}
