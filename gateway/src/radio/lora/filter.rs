//! What is dropped before it becomes a message: by checksum, by address, by rate, and what came already.
//!
//! Pure: the time is handed in. All tables are bounded.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use lrwn::{DevAddr, NetID};

use super::Refusal;
use super::gw::CrcStatus;
use super::phy::{FrameType, Seen, look};
use crate::buckets::Buckets;
use crate::config::{CrcFilter, LoraFilter, NetId};

/// Device addresses whose rate is known, about 1 MiB of them. Those that come on top share one limit.
const DEVICES_MAX: usize = 16_384;

/// Frames that are known to have come. Policy: the oldest is forgotten, and passes if it comes once more.
const RECENT_MAX: usize = 8192;

const MINUTE: Duration = Duration::from_secs(60);

/// The filter of one radio.
pub(super) struct Filter {
    settings: LoraFilter,
    net_ids: Vec<NetID>,
    devices: Option<Buckets<u32>>,
    recent: Option<Recent>,
}

impl Filter {
    /// As the settings say; nothing has come yet.
    pub(super) fn new(settings: &LoraFilter, deduplicate: Option<Duration>, now: Instant) -> Self {
        let net_id = |NetId(id): &NetId| {
            let [_, bytes @ ..] = id.to_be_bytes();
            NetID::from_be_bytes(bytes)
        };
        Self {
            settings: settings.clone(),
            net_ids: settings.net_ids.iter().map(net_id).collect(),
            devices: settings.per_device.map(|most| Buckets::new(most, MINUTE, DEVICES_MAX, now)),
            recent: deduplicate.map(Recent::new),
        }
    }

    /// Whether a frame passes, and what can be seen of it if it does. Where the checksum is wrong nothing is, since
    /// nobody knows which bytes are.
    pub(super) fn check(&mut self, phy: &[u8], crc: CrcStatus, now: Instant) -> Result<Option<Seen>, Refusal> {
        if self.settings.crc == CrcFilter::Valid && crc != CrcStatus::CrcOk {
            return Err(Refusal::Crc);
        }
        let seen = if crc == CrcStatus::BadCrc { None } else { look(phy) };
        match &seen {
            None if self.settings.lorawan_only => return Err(Refusal::NotLorawan),
            Some(seen) if seen.frame_type == FrameType::Proprietary && self.settings.lorawan_only => {
                return Err(Refusal::NotLorawan);
            }
            Some(seen) => self.check_addresses(seen, now)?,
            None => {}
        }
        if self.recent.as_mut().is_some_and(|recent| recent.came_already(phy, now)) {
            return Err(Refusal::Duplicate);
        }
        Ok(seen)
    }

    fn check_addresses(&mut self, seen: &Seen, now: Instant) -> Result<(), Refusal> {
        if let Some(dev_addr) = seen.dev_addr {
            if !self.is_ours(dev_addr) {
                return Err(Refusal::DevAddr);
            }
            if self.devices.as_mut().is_some_and(|devices| !devices.take(dev_addr, now)) {
                return Err(Refusal::PerDevice);
            }
        }
        let joins = &self.settings.join_euis;
        match seen.join_eui {
            Some(eui) if !joins.is_empty() && !joins.iter().any(|prefix| prefix.matches(eui)) => Err(Refusal::JoinEui),
            _ => Ok(()),
        }
    }

    fn is_ours(&self, dev_addr: u32) -> bool {
        let prefixes = &self.settings.dev_addrs;
        if self.net_ids.is_empty() && prefixes.is_empty() {
            return true;
        }
        let address = DevAddr::from_be_bytes(dev_addr.to_be_bytes());
        prefixes.iter().any(|prefix| prefix.matches(u64::from(dev_addr)))
            || self.net_ids.iter().any(|net_id| address.is_net_id(*net_id))
    }
}

/// Frames that came within the last while, by a digest under a key of this process.
struct Recent {
    within: Duration,
    key: RandomState,
    known: HashSet<u64>,
    order: VecDeque<(Instant, u64)>,
}

impl Recent {
    fn new(within: Duration) -> Self {
        Self { within, key: RandomState::new(), known: HashSet::new(), order: VecDeque::new() }
    }

    fn came_already(&mut self, phy: &[u8], now: Instant) -> bool {
        while let Some((came, digest)) = self.order.front().copied() {
            if now.saturating_duration_since(came) <= self.within && self.order.len() < RECENT_MAX {
                break;
            }
            self.order.pop_front();
            self.known.remove(&digest);
        }
        let digest = self.key.hash_one(phy);
        let new = self.known.insert(digest);
        if new {
            self.order.push_back((now, digest));
        }
        !new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Prefix;

    const GOOD: CrcStatus = CrcStatus::CrcOk;

    /// A data frame of this device, with this counter.
    fn data(dev_addr: u32, counter: u8) -> Vec<u8> {
        let [a, b, c, d] = dev_addr.to_le_bytes();
        vec![0x40, a, b, c, d, 0, counter, 0, 1, 2, 3, 4, 5]
    }

    fn join(join_eui: u64) -> Vec<u8> {
        let mut frame = vec![0];
        frame.extend(join_eui.to_le_bytes());
        frame.extend([0; 14]);
        frame
    }

    fn filter(settings: &LoraFilter) -> impl FnMut(&[u8], CrcStatus) -> Result<Option<Seen>, Refusal> + use<> {
        let now = Instant::now();
        let mut filter = Filter::new(settings, None, now);
        move |phy, crc| filter.check(phy, crc, now)
    }

    #[test]
    fn without_settings_all_that_has_a_right_checksum_passes() {
        let mut check = filter(&LoraFilter::default());
        assert_eq!(check(&data(1, 0), GOOD).unwrap().unwrap().dev_addr, Some(1));
        assert!(check(b"", GOOD).unwrap().is_none() && check(&[0xff; 255], GOOD).is_ok());
        assert_eq!(check(&data(1, 0), CrcStatus::BadCrc), Err(Refusal::Crc));
        assert_eq!(check(&data(1, 0), CrcStatus::NoCrc), Err(Refusal::Crc));
    }

    #[test]
    fn with_crc_any_the_others_pass_too_and_nothing_is_made_of_bytes_that_may_be_wrong() {
        let mut check = filter(&LoraFilter { crc: CrcFilter::Any, ..LoraFilter::default() });
        assert_eq!(check(&data(1, 0), CrcStatus::BadCrc), Ok(None));
        assert!(check(&data(1, 0), CrcStatus::NoCrc).unwrap().is_some());
    }

    #[test]
    fn devices_pass_by_their_network_or_by_their_address() {
        let settings = LoraFilter {
            net_ids: vec![NetId::parse("000013").unwrap()],
            dev_addrs: vec![Prefix::parse("01020000/16").unwrap()],
            ..LoraFilter::default()
        };
        let mut check = filter(&settings);
        for (dev_addr, passes) in
            [(0x2600_0000, true), (0x27ff_ffff, true), (0x2800_0000, false), (0x0102_ffff, true), (0x0103_0000, false)]
        {
            assert_eq!(check(&data(dev_addr, 0), GOOD).is_ok(), passes, "{dev_addr:08x}");
        }
        assert!(check(&join(1), GOOD).is_ok(), "who joins has no address yet");
    }

    #[test]
    fn who_joins_passes_by_the_join_server() {
        let join_euis = vec![Prefix::parse("70b3d57ed0000000/36").unwrap()];
        let mut check = filter(&LoraFilter { join_euis, ..LoraFilter::default() });
        assert!(check(&join(0x70b3_d57e_d123_4567), GOOD).is_ok());
        assert_eq!(check(&join(0x70b3_d57e_e000_0000), GOOD), Err(Refusal::JoinEui));
        assert!(check(&data(1, 0), GOOD).is_ok());
    }

    #[test]
    fn what_is_no_lorawan_can_be_kept_out() {
        let mut check = filter(&LoraFilter { lorawan_only: true, ..LoraFilter::default() });
        for phy in [&b""[..], b"\x40", &[0xe0; 20], &[0xff; 20]] {
            assert_eq!(check(phy, GOOD), Err(Refusal::NotLorawan));
        }
        assert!(check(&data(1, 0), GOOD).is_ok());
    }

    #[test]
    fn each_device_has_its_own_rate() {
        let mut check = filter(&LoraFilter { per_device: Some(2), ..LoraFilter::default() });
        let mut passes = |dev_addr| check(&data(dev_addr, 0), GOOD).is_ok();
        assert_eq!([passes(1), passes(1), passes(1), passes(2)], [true, true, false, true]);
    }

    #[test]
    fn what_came_already_is_dropped_for_a_while_and_the_table_is_bounded() {
        let (now, within) = (Instant::now(), Duration::from_millis(200));
        let mut filter = Filter::new(&LoraFilter::default(), Some(within), now);
        let mut check = |counter, at| filter.check(&data(1, counter), GOOD, at).map(|_| ());
        assert_eq!([check(0, now), check(0, now + within), check(1, now)], [Ok(()), Err(Refusal::Duplicate), Ok(())]);
        assert_eq!(check(0, now + within + Duration::from_millis(1)), Ok(()));
        let mut recent = Recent::new(within);
        for number in 0..20_000_u32 {
            assert!(!recent.came_already(&number.to_le_bytes(), now));
        }
        assert!(recent.known.len() <= RECENT_MAX && recent.order.len() == recent.known.len());
    }
}
