//! The gateways that speak to one server: who may, and where each is reached.
//!
//! The protocol has no authentication. So a name is believed only from an address that is that gateway's, where the
//! settings say which. And the way back to a gateway belongs to whoever opened it: another address or port takes it over
//! only when the holder has been silent. A packet forwarder that was started again has another port, and it is heard
//! again when its old one has missed three of its own PULL_DATA.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::downlinks::Downlinks;
use crate::config::{Eui, LoraGateway, LoraRadio, Network};
use crate::message::TopicError;
use crate::radio::lora::Refusal;
use crate::radio::lora::events::GatewayTopics;
use crate::radio::lora::jamming::Watch;
use crate::radio::lora::tally::Tally;

/// A way back is closed when no PULL_DATA has come for so long: three times the longest pause that gateways are set to.
pub(super) const PATH_PATIENCE: Duration = Duration::from_secs(90);

/// The shortest silence after which a way back from the same host is taken over: twice the usual pause.
const TAKEOVER_MIN: Duration = Duration::from_secs(10);

/// Gateways that are kept where the settings name none. Policy when full: one that has been silent is forgotten, else the
/// newcomer is refused.
const UNNAMED_MAX: usize = 64;

/// Where a gateway is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    /// The source of its PULL_DATA.
    pub(super) address: SocketAddr,
    pulled: Instant,
    /// The last pause between two of them.
    pause: Option<Duration>,
}

impl Path {
    /// Whether somebody at another address may have it.
    fn free_for(&self, source: SocketAddr, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.pulled);
        let patience = match self.pause {
            Some(pause) if source.ip() == self.address.ip() => (3 * pause).clamp(TAKEOVER_MIN, PATH_PATIENCE),
            _ => PATH_PATIENCE,
        };
        silent >= patience
    }
}

/// One gateway.
pub(super) struct Gateway {
    /// Its topics.
    pub(super) topics: GatewayTopics,
    /// What it heard and sent since its last statistics.
    pub(super) tally: Tally,
    /// Whether somebody jams its channels.
    pub(super) watch: Watch,
    /// What is to be sent.
    pub(super) downlinks: Downlinks,
    /// The version of settings that ChirpStack sent last.
    pub(super) config_version: String,
    /// The way back, while it is open.
    pub(super) path: Option<Path>,
    heard: Instant,
}

impl Gateway {
    /// PULL_DATA came. Says whether that opened the way back.
    ///
    /// # Errors
    /// When the way belongs to somebody else.
    pub(super) fn pulled(&mut self, source: SocketAddr, now: Instant) -> Result<bool, Refusal> {
        match &mut self.path {
            Some(path) if path.address == source => {
                path.pause = Some(now.saturating_duration_since(path.pulled));
                path.pulled = now;
                Ok(false)
            }
            Some(path) if !path.free_for(source, now) => Err(Refusal::WrongAddress),
            path => Ok(path.replace(Path { address: source, pulled: now, pause: None }).is_none()),
        }
    }

    /// When the way back will be closed.
    fn closes(&self) -> Option<Instant> {
        self.path.map(|path| path.pulled + PATH_PATIENCE)
    }
}

/// The gateways of one server.
pub(super) struct Gateways {
    radio: Arc<LoraRadio>,
    /// Those that may speak; none where whoever can may.
    named: HashMap<Eui, Option<Network>>,
    known: HashMap<Eui, Gateway>,
}

impl Gateways {
    /// Those that may speak; all of them known, none of them reached.
    ///
    /// # Errors
    /// When the prefix can't begin a topic.
    pub(super) fn new(radio: Arc<LoraRadio>, named: &[LoraGateway], now: Instant) -> Result<Self, TopicError> {
        let mut gateways = Self {
            radio,
            named: named.iter().map(|gateway| (gateway.eui, gateway.address)).collect(),
            known: HashMap::new(),
        };
        for gateway in named {
            gateways.insert(gateway.eui, now)?;
        }
        Ok(gateways)
    }

    fn insert(&mut self, eui: Eui, now: Instant) -> Result<(), TopicError> {
        let gateway = Gateway {
            topics: GatewayTopics::new(&self.radio.topic_prefix, eui)?,
            tally: Tally::default(),
            watch: Watch::new(now),
            downlinks: Downlinks::new(&self.radio, now),
            config_version: String::new(),
            path: None,
            heard: now,
        };
        self.known.insert(eui, gateway);
        Ok(())
    }

    /// Lets a gateway in by its name and address. Says whether it is new.
    ///
    /// # Errors
    /// When it may not speak, or there is no room.
    pub(super) fn admit(&mut self, eui: Eui, source: SocketAddr, now: Instant) -> Result<bool, Refusal> {
        if !self.named.is_empty() {
            match self.named.get(&eui) {
                None => return Err(Refusal::UnknownGateway),
                Some(Some(network)) if !network.contains(source.ip()) => return Err(Refusal::WrongAddress),
                Some(_) => {}
            }
        }
        if let Some(gateway) = self.known.get_mut(&eui) {
            gateway.heard = now;
            return Ok(false);
        }
        if self.known.len() >= UNNAMED_MAX {
            return Err(Refusal::TooManyGateways);
        }
        self.insert(eui, now).map_err(|_| Refusal::UnknownGateway)?;
        Ok(true)
    }

    /// One that was let in.
    pub(super) fn get_mut(&mut self, eui: Eui) -> Option<&mut Gateway> {
        self.known.get_mut(&eui)
    }

    /// All that are known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Eui, &Gateway)> {
        self.known.iter().map(|(eui, gateway)| (*eui, gateway))
    }

    /// Gateways whose way back is open.
    pub(super) fn online(&self) -> usize {
        self.known.values().filter(|gateway| gateway.path.is_some()).count()
    }

    /// When the next way back closes.
    pub(super) fn next_close(&self) -> Option<Instant> {
        self.known.values().filter_map(Gateway::closes).min()
    }

    /// When something is due at a gateway.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.known.values().filter_map(|gateway| gateway.downlinks.next_due()).min()
    }

    /// The gateways at which something is due.
    pub(super) fn due(&self, now: Instant) -> Vec<Eui> {
        let due = self.known.iter().filter(|(_, gateway)| gateway.downlinks.next_due().is_some_and(|at| at <= now));
        due.map(|(eui, _)| *eui).collect()
    }

    /// Closes all ways back, and tells which were open.
    pub(super) fn close_all(&mut self) -> Vec<Eui> {
        let open = self.known.iter_mut().filter(|(_, gateway)| gateway.path.is_some());
        open.map(|(eui, gateway)| (*eui, gateway.path = None).0).collect()
    }

    /// Closes the ways back of those that have been silent, and tells which.
    pub(super) fn close_silent(&mut self, now: Instant) -> Vec<Eui> {
        let silent = self.known.iter_mut().filter(|(_, gateway)| gateway.closes().is_some_and(|at| at <= now));
        silent.map(|(eui, gateway)| (*eui, gateway.path = None).0).collect()
    }

    /// Forgets a gateway that the settings do not name, when there is no room and it has said nothing for as long as
    /// that closes a way back. Gives it with its name, so that nothing is sent to it and nothing said of it any more.
    pub(super) fn make_room(&mut self, now: Instant) -> Option<(Eui, Gateway)> {
        if !self.named.is_empty() || self.known.len() < UNNAMED_MAX {
            return None;
        }
        let (eui, gateway) = self.known.iter().min_by_key(|(_, gateway)| gateway.heard)?;
        let silent = gateway.path.is_none() && now.saturating_duration_since(gateway.heard) >= PATH_PATIENCE;
        let eui = *eui;
        silent.then(|| self.known.remove_entry(&eui)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EUI: Eui = Eui(1);

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn named(address: Option<&str>) -> Gateways {
        let address = address.map(|text| Network::parse(text).unwrap());
        Gateways::new(LoraRadio::usual("roof").into(), &[LoraGateway { eui: EUI, address }], Instant::now()).unwrap()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_those_that_are_named_may_speak_and_only_from_their_address() {
        let (mut gateways, now) = (named(Some("10.0.0.0/24")), Instant::now());
        assert_eq!(gateways.admit(EUI, at("10.0.0.9:1"), now), Ok(false));
        assert_eq!(gateways.admit(EUI, at("10.0.1.9:1"), now), Err(Refusal::WrongAddress));
        assert_eq!(gateways.admit(Eui(2), at("10.0.0.9:1"), now), Err(Refusal::UnknownGateway));
    }

    #[test]
    fn a_spoofed_pull_data_redirects_nothing_until_the_holder_has_been_silent() {
        let (mut gateways, now) = (named(None), Instant::now());
        let gateway = gateways.get_mut(EUI).unwrap();
        assert_eq!(gateway.pulled(at("10.0.0.1:1"), now), Ok(true));
        assert_eq!(gateway.pulled(at("10.0.0.1:1"), now + secs(10)), Ok(false));
        assert_eq!(gateway.pulled(at("10.0.0.2:1"), now + secs(99)), Err(Refusal::WrongAddress), "another host");
        assert_eq!(gateway.pulled(at("10.0.0.1:2"), now + secs(39)), Err(Refusal::WrongAddress), "another port");
        assert_eq!(gateway.path.unwrap().address, at("10.0.0.1:1"));
        assert_eq!(gateway.pulled(at("10.0.0.1:2"), now + secs(40)), Ok(false), "a forwarder that was started again");
        assert_eq!(gateway.pulled(at("10.0.0.2:1"), now + secs(130)), Ok(false));
        assert_eq!(gateway.path.unwrap().address, at("10.0.0.2:1"));
    }

    #[test]
    fn a_way_back_closes_after_ninety_seconds_of_silence() {
        let (mut gateways, now) = (named(None), Instant::now());
        assert_eq!(gateways.next_close(), None);
        gateways.get_mut(EUI).unwrap().pulled(at("10.0.0.1:1"), now).unwrap();
        assert_eq!((gateways.online(), gateways.next_close()), (1, Some(now + secs(90))));
        assert_eq!(gateways.close_silent(now + secs(89)), []);
        assert_eq!((gateways.close_silent(now + secs(90)), gateways.online()), (vec![EUI], 0));
    }

    #[test]
    fn unnamed_gateways_are_bounded_and_the_longest_silent_one_makes_room() {
        let now = Instant::now();
        let mut gateways = Gateways::new(LoraRadio::usual("roof").into(), &[], now).unwrap();
        let source = at("127.0.0.1:1");
        for eui in 0..64 {
            assert_eq!(gateways.admit(Eui(eui), source, now + secs(eui)), Ok(true));
        }
        assert_eq!(gateways.admit(Eui(99), source, now), Err(Refusal::TooManyGateways));
        assert!(gateways.make_room(now + secs(89)).is_none());
        let (forgotten, gateway) = gateways.make_room(now + secs(90)).unwrap();
        assert!(forgotten == Eui(0) && gateway.topics.up.as_str().contains("0000000000000000"));
        assert_eq!(gateways.admit(Eui(99), source, now + secs(90)), Ok(true));
    }
}
