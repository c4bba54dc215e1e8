//! Radars of which nothing is heard: who relies on one must know.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use stile_filter::{Host, Time};

use crate::Settings;
use crate::incident;
use crate::sensors::{RADARS, Radar};

/// The most radars that are listened for.
const MOST_RADARS: usize = 1000;

/// When each radar was last heard of. In memory: to write that down each time would wear out a card. So a new instance
/// begins to wait anew.
#[derive(Default)]
pub(crate) struct Silence(BTreeMap<String, Time>);

impl Silence {
    /// A radar was heard of.
    pub(crate) fn heard(&mut self, settings: &Settings, device: &str, at: Time, host: &Host) {
        if settings.silent_after.is_none() {
            return;
        }
        if let Some(last) = self.0.get_mut(device) {
            *last = at;
        } else if self.0.len() < MOST_RADARS {
            self.0.insert(device.to_owned(), at);
            // Kept from the first time on, so that the next instance knows of it.
            Radar::of(device, host).keep(device, host);
        }
        let mut radar = Radar::of(device, host);
        if radar.silent && tell(settings, device, false, at, host) {
            radar.silent = false;
            radar.keep(device, host);
        }
    }

    /// Tells of those that were not heard of for so long, although it was listened for them.
    pub(crate) fn look(&mut self, settings: &Settings, after: Duration, (begun, now): (Time, Time), host: &Host) {
        let known = host.kv().keys(RADARS, u32::try_from(MOST_RADARS).unwrap_or(u32::MAX));
        for device in known.iter().filter_map(|key| key.strip_prefix(RADARS)) {
            let last = *self.0.entry(device.to_owned()).or_insert(now);
            if now.since(last.max(begun)) < after {
                continue;
            }
            let mut radar = Radar::of(device, host);
            if !radar.silent && tell(settings, device, true, last, host) {
                radar.silent = true;
                radar.keep(device, host);
            }
        }
    }
}

fn tell(settings: &Settings, device: &str, silent: bool, since: Time, host: &Host) -> bool {
    let payload = json!({ "sensor": device, "silent": silent, "since": since.to_string() });
    incident::publish(format!("{}/{}/silent/{device}", settings.topic, settings.place(device)), &payload, host)
}
