//! What is kept, under `h/HOME` and `s/HOME/DEVICE`.

use std::time::Duration;

use stile_filter::{Host, Level};

use crate::climate::Climate;
use crate::motion::Motion;

/// How much a tick looks at. Each is a few calls to the gateway, and a tick has its budget as well.
const MOST: u32 = 200;

/// What was not heard of for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60 * 86_400);

/// A sensor in a home.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sensor {
    pub(crate) home: String,
    pub(crate) device: String,
}

/// Something that is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    Home(String),
    Sensor(Sensor),
}

fn home_key(home: &str) -> String {
    format!("h/{home}")
}

fn sensor_key(Sensor { home, device }: &Sensor) -> String {
    // A sensor that is a home of its own is named once.
    let device = if device == home { "" } else { device };
    format!("s/{home}/{device}")
}

/// The next part of what is kept, behind `after`, which moves on; none behind the last.
pub(crate) fn next(after: &mut Option<String>, host: &Host) -> Vec<Kept> {
    let keys = host.kv().keys_after("", after.as_deref().unwrap_or_default(), MOST);
    *after = if keys.len() < MOST as usize { None } else { keys.last().cloned() };
    keys.iter().filter_map(|key| kept(key)).collect()
}

fn kept(key: &str) -> Option<Kept> {
    if let Some(home) = key.strip_prefix("h/") {
        return Some(Kept::Home(home.to_owned()));
    }
    let (home, device) = key.strip_prefix("s/")?.split_once('/')?;
    let device = if device.is_empty() { home } else { device };
    Some(Kept::Sensor(Sensor { home: home.to_owned(), device: device.to_owned() }))
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
        assert_eq!((keys.len(), bytes), (2, 251));
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugin-telecare.md"));
        assert!(page.unwrap().contains(&format!("takes {bytes} bytes")));
    }

    #[test]
    fn all_that_is_kept_is_walked_through_once_a_round() {
        let host = Host::in_memory(&[Grant::Kv]);
        let sensor = |home: &str, device: &str| Sensor { home: home.to_owned(), device: device.to_owned() };
        let others = (0..300).map(|number| sensor(&format!("{number:03}"), "a"));
        let wanted: Vec<_> = others.chain([sensor("b", "a"), sensor("b", "d"), sensor("c", "c")]).collect();
        for one in &wanted {
            keep_climate(one, &Climate::default(), &host);
            keep_motion(&one.home, &Motion::default(), &host);
        }
        let (mut after, mut found) = (None, Vec::new());
        for round in 1.. {
            found.extend(next(&mut after, &host));
            if after.is_none() {
                assert_eq!(round, 4);
                break;
            }
        }
        assert_eq!(found.iter().filter(|kept| matches!(kept, Kept::Home(_))).count(), 302);
        let sensors = wanted.into_iter().map(Kept::Sensor);
        assert!(sensors.eq(found.into_iter().filter(|kept| matches!(kept, Kept::Sensor(_)))));
    }
}
