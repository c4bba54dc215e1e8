//! What is kept of bays, many in one value: ten thousand values would be more to keep than the bays are, and more calls
//! than a tick has time for. A bay's device says which value it is in, so that a message costs one of them.

use std::ops::Range;

use stile_filter::host::KvError;
use stile_filter::{Host, Time};

use crate::bay::{Bay, Status};

/// The number of values. Of ten thousand bays, each has 150 and some 8 kB.
pub(crate) const SHARDS: u32 = 64;

/// Status, heard, since, and how long the two names are.
const FIXED: usize = 19;

/// A value: bays one behind the other, each of [`FIXED`] bytes, the device and the street.
pub(crate) struct Shard {
    key: String,
    bytes: Vec<u8>,
}

/// A bay in a value.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry<'a> {
    pub(crate) device: &'a str,
    /// Empty where it is in none.
    pub(crate) street: &'a str,
    pub(crate) bay: Bay,
}

impl Shard {
    /// The value that has this device.
    pub(crate) fn of(device: &str, host: &Host) -> Self {
        // FNV-1a: spreads names that differ in one digit.
        let hash =
            device.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self::numbered(hash % SHARDS, host)
    }

    pub(crate) fn numbered(number: u32, host: &Host) -> Self {
        // With the number of this layout: another version must not misread it.
        let key = format!("bays-1/{number}");
        let bytes = host.kv().get(&key).unwrap_or_default();
        Self { key, bytes }
    }

    pub(crate) fn keep(&self, host: &Host) -> Result<(), KvError> {
        host.kv().set(&self.key, &self.bytes, None)
    }

    /// The bays and where they stand.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Range<usize>, Entry<'_>)> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let (length, entry) = Entry::read(self.bytes.get(from..)?)?;
            from += length;
            Some((from - length..from, entry))
        })
    }

    pub(crate) fn find(&self, device: &str) -> Option<Bay> {
        self.entries().find(|(_, entry)| entry.device == device).map(|(_, entry)| entry.bay)
    }

    /// Keeps a bay in the place of what was known of it.
    pub(crate) fn put(&mut self, entry: &Entry<'_>) -> Result<(), &'static str> {
        let (Ok(device), Ok(street)) = (u8::try_from(entry.device.len()), u8::try_from(entry.street.len())) else {
            return Err("the name of the device or the street is longer than 255 bytes");
        };
        let old = self.entries().find(|(_, old)| old.device == entry.device).map(|(place, _)| place);
        if let Some(place) = old {
            self.bytes.drain(place);
        }
        self.bytes.extend(fixed(entry.bay));
        self.bytes.extend([device, street]);
        self.bytes.extend([entry.device.as_bytes(), entry.street.as_bytes()].concat());
        Ok(())
    }

    /// Another state of the bay that stands there.
    pub(crate) fn set(&mut self, place: &Range<usize>, bay: Bay) {
        let fixed = fixed(bay);
        self.bytes[place.start..place.start + fixed.len()].copy_from_slice(&fixed);
    }

    /// Forgets those that stand there. By rising place.
    pub(crate) fn forget(&mut self, places: Vec<Range<usize>>) {
        for place in places.into_iter().rev() {
            self.bytes.drain(place);
        }
    }
}

fn fixed(bay: Bay) -> [u8; FIXED - 2] {
    let mut bytes = [0; FIXED - 2];
    bytes[0] = bay.told as u8 | (bay.now as u8) << 4;
    bytes[1..9].copy_from_slice(&bay.heard.0.to_le_bytes());
    bytes[9..].copy_from_slice(&bay.since.0.to_le_bytes());
    bytes
}

impl<'a> Entry<'a> {
    /// The first bay and its length. None at the end, and where there is no bay.
    fn read(bytes: &'a [u8]) -> Option<(usize, Self)> {
        let ([status, times @ .., device, street], names) = bytes.split_first_chunk::<FIXED>()?;
        let (device, street) = (usize::from(*device), usize::from(*street));
        let (device, rest) = names.split_at_checked(device)?;
        let street = rest.get(..street)?;
        let (heard, since) = times.split_first_chunk::<8>()?;
        let bay = Bay {
            told: kept(status & 0x0f)?,
            now: kept(status >> 4)?,
            heard: Time(u64::from_le_bytes(*heard)),
            since: Time(u64::from_le_bytes(*since.first_chunk()?)),
        };
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok();
        Some((FIXED + device.len() + street.len(), Self { device: text(device)?, street: text(street)?, bay }))
    }
}

fn kept(status: u8) -> Option<Status> {
    [Status::Unknown, Status::Free, Status::Occupied].into_iter().find(|known| *known as u8 == status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stile_filter::Grant;

    #[test]
    fn what_is_kept_is_found_again() {
        let host = Host::in_memory(&[Grant::Kv]);
        let bay = |told, now, number| Bay { told, now, since: Time(number), heard: Time(number + 1) };
        let mut shard = Shard::numbered(3, &host);
        let a = Entry { device: "a", street: "High Street", bay: bay(Status::Free, Status::Occupied, 1 << 60) };
        let b = Entry { device: "\u{e4}\u{f6}", street: "", bay: bay(Status::Unknown, Status::Free, 2) };
        let c = Entry { device: "c", street: "Mill Lane", bay: bay(Status::Occupied, Status::Unknown, 3) };
        for entry in [&a, &b, &c] {
            shard.put(entry).unwrap();
        }
        shard.keep(&host).unwrap();
        let mut shard = Shard::numbered(3, &host);
        assert!(shard.entries().map(|(_, entry)| entry).eq([&a, &b, &c].map(|e| Entry { bay: e.bay, ..*e })));
        let moved = Entry { device: "a", street: "Mill Lane", bay: a.bay };
        shard.put(&moved).unwrap();
        assert_eq!(shard.entries().map(|(_, entry)| entry.device).collect::<Vec<_>>(), ["\u{e4}\u{f6}", "c", "a"]);
        let places: Vec<_> = shard.entries().map(|(place, _)| place).collect();
        shard.set(&places[1], b.bay);
        assert_eq!(shard.find("c"), Some(b.bay));
        shard.forget(vec![places[0].clone(), places[2].clone()]);
        assert_eq!(shard.entries().map(|(_, entry)| entry.device).collect::<Vec<_>>(), ["c"]);
        assert!(shard.put(&Entry { device: &"x".repeat(256), ..moved }).is_err());
    }
}
