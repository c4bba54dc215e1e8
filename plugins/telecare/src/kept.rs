//! What is kept, under `h00/HOME` and `s00/HOME/DEVICE`. The two digits are a shard, so that each tick looks at a part.

use std::time::Duration;

use stile_filter::{Host, Level};

use crate::climate::Climate;
use crate::motion::Motion;

/// How many parts there are.
pub(crate) const SHARDS: u8 = 64;

/// The most sensors of a shard that a tick looks at.
const MOST: u32 = 1000;

/// What was not heard of for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60 * 86_400);

/// A sensor in a home.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sensor {
    pub(crate) home: String,
    pub(crate) device: String,
}

fn shard(home: &str) -> u8 {
    home.bytes().fold(0_u8, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte)) % SHARDS
}

fn home_key(home: &str) -> String {
    format!("h{:02}/{home}", shard(home))
}

fn sensor_key(Sensor { home, device }: &Sensor) -> String {
    // A sensor that is a home of its own is named once.
    let device = if device == home { "" } else { device };
    format!("s{:02}/{home}/{device}", shard(home))
}

/// The homes of a shard.
pub(crate) fn homes(shard: u8, host: &Host) -> Vec<String> {
    let prefix = format!("h{shard:02}/");
    let keys = host.kv().keys(&prefix, MOST);
    keys.iter().filter_map(|key| Some(key.strip_prefix(&prefix)?.to_owned())).collect()
}

/// The sensors of a shard.
pub(crate) fn sensors(shard: u8, host: &Host) -> Vec<Sensor> {
    let prefix = format!("s{shard:02}/");
    let keys = host.kv().keys(&prefix, MOST);
    let sensors = keys.iter().filter_map(|key| {
        let (home, device) = key.strip_prefix(&prefix)?.split_once('/')?;
        let device = if device.is_empty() { home } else { device };
        Some(Sensor { home: home.to_owned(), device: device.to_owned() })
    });
    sensors.collect()
}

/// What is known of a home; of a new one, nothing.
pub(crate) fn motion(home: &str, host: &Host) -> Motion {
    host.kv().get(&home_key(home)).and_then(|bytes| Motion::of(&bytes)).unwrap_or_default()
}

pub(crate) fn keep_motion(home: &str, motion: &Motion, host: &Host) {
    keep(&home_key(home), &motion.bytes(), host);
}

/// What is known of a sensor; of a new one, nothing.
pub(crate) fn climate(sensor: &Sensor, host: &Host) -> Climate {
    host.kv().get(&sensor_key(sensor)).and_then(|bytes| Climate::of(&bytes)).unwrap_or_default()
}

pub(crate) fn keep_climate(sensor: &Sensor, climate: &Climate, host: &Host) {
    keep(&sensor_key(sensor), &climate.bytes(), host);
}

fn keep(key: &str, value: &[u8], host: &Host) {
    if let Err(error) = host.kv().set(key, value, Some(FORGOTTEN)) {
        host.count("not_kept", 1);
        host.log(Level::Error, format_args!("{key}: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use stile_filter::Grant;

    use super::*;

    /// What the gateway adds to the bytes of a key and its value when it holds them against `limits.kv-bytes`.
    const ENTRY: usize = 64;

    #[test]
    fn a_home_with_one_sensor_takes_as_much_as_the_page_says() {
        let host = Host::in_memory(&[Grant::Kv]);
        let eui = "a81758fffe03dac1".to_owned();
        keep_motion(&eui, &Motion::default(), &host);
        keep_climate(&Sensor { home: eui.clone(), device: eui.clone() }, &Climate::default(), &host);
        let keys = host.kv().keys("", 9);
        let bytes: usize = keys.iter().map(|key| key.len() + host.kv().get(key).unwrap().len() + ENTRY).sum();
        assert_eq!((keys.len(), bytes), (2, 255));
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugin-telecare.md"));
        assert!(page.unwrap().contains(&format!("takes {bytes} bytes")));
    }

    #[test]
    fn what_is_kept_is_found_in_its_shard_and_in_no_other() {
        let host = Host::in_memory(&[Grant::Kv]);
        let sensor = |home: &str, device: &str| Sensor { home: home.to_owned(), device: device.to_owned() };
        let kept = [sensor("a", "a"), sensor("flat-12", "a"), sensor("flat-12", "b"), sensor("\u{e4}", "c")];
        for one in &kept {
            keep_climate(one, &Climate::default(), &host);
            keep_motion(&one.home, &Motion::default(), &host);
        }
        let mut found: Vec<_> = (0..SHARDS).flat_map(|shard| sensors(shard, &host)).collect();
        found.sort_by_key(|sensor| (sensor.home.clone(), sensor.device.clone()));
        assert_eq!(found, kept);
        assert_eq!((0..SHARDS).flat_map(|shard| homes(shard, &host)).count(), 3);
    }
}
