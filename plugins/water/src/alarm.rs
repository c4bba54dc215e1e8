//! Alarms: raised once, told again from time to time, and cleared.

use std::time::Duration;

use serde_json::{Value, json};
use stile_filter::{Draft, Host, Level, Qos, Time};

/// An alarm whose device is silent for so long is given up: nobody else could end it.
const GIVEN_UP: Duration = Duration::from_secs(30 * 86_400);

/// The most alarms that one tick tells again, and the most that it looks at. The next one goes on from there.
const MOST_TOLD: usize = 100;
const MOST_LOOKED_AT: u32 = 1_000;

/// What an alarm is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sensor is wet.
    Leak,
    /// The water behind a meter does not rest.
    Flow,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Flow => "flow",
        }
    }
}

/// What is kept of an alarm, under `alarm/KIND/DEVICE`.
#[derive(Clone, Copy)]
struct Alarm {
    raised: Time,
    told: Time,
    heard: Time,
}

/// All alarms, as the gateway keeps them.
pub(crate) struct Alarms<'a> {
    pub(crate) host: &'a Host,
    /// The first level of the topics that it tells on.
    pub(crate) topic: &'a str,
}

impl Alarms<'_> {
    pub(crate) fn is_on(&self, kind: Kind, device: &str) -> bool {
        self.kept(&key(kind, device)).is_some()
    }

    /// The device says that it is so. Gives what is to be told, which is something the first time.
    pub(crate) fn raise(&self, kind: Kind, device: &str, at: Time, least_flow: Option<f64>) -> Option<Draft> {
        let key = key(kind, device);
        let before = self.kept(&key);
        let alarm = before.map_or(Alarm { raised: at, told: at, heard: at }, |alarm| Alarm { heard: at, ..alarm });
        // Where it can't be kept it is told nevertheless, each time: better too often than never.
        self.keep(&key, alarm);
        before.is_none().then(|| self.told("raised", kind.name(), device, alarm, at, least_flow))
    }

    /// The device says that it is not so.
    pub(crate) fn clear(&self, kind: Kind, device: &str, at: Time) -> Option<Draft> {
        let key = key(kind, device);
        let alarm = self.kept(&key)?;
        self.host.kv().delete(&key);
        Some(self.told("cleared", kind.name(), device, alarm, at, None))
    }

    /// What is to be told by now of alarms that last; `after` is the last one that was looked at.
    pub(crate) fn remind(&self, now: Time, every: Duration, after: &mut String) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let keys = self.host.kv().keys_after("alarm/", after, MOST_LOOKED_AT);
        after.clear();
        let mut left = MOST_LOOKED_AT;
        for key in keys {
            left -= 1;
            let (Some((kind, device)), Some(alarm)) = (key["alarm/".len()..].split_once('/'), self.kept(&key)) else {
                continue;
            };
            if now.since(alarm.heard) >= GIVEN_UP {
                self.host.kv().delete(&key);
                drafts.push(self.told("given-up", kind, device, alarm, now, None));
            } else if !every.is_zero() && now.since(alarm.told) >= every {
                self.keep(&key, Alarm { told: now, ..alarm });
                drafts.push(self.told("reminder", kind, device, alarm, now, None));
            }
            if drafts.len() >= MOST_TOLD || left == 0 {
                *after = key;
                break;
            }
        }
        drafts
    }

    /// On `TOPIC/alert/DEVICE/KIND`, and kept: whoever comes later learns of it too.
    fn told(&self, event: &str, kind: &str, device: &str, alarm: Alarm, at: Time, least_flow: Option<f64>) -> Draft {
        let mut alert = json!({ "event": event, "kind": kind, "device": device, "since": alarm.raised.to_string(),
            "at": at.to_string() });
        if let Some(flow) = least_flow {
            alert["litres-per-hour"] = Value::from(flow);
        }
        Draft {
            qos: Qos::AtLeastOnce,
            retain: true,
            content_type: Some("application/json".to_owned()),
            ..Draft::new(format!("{}/alert/{device}/{kind}", self.topic), alert.to_string())
        }
    }

    fn kept(&self, key: &str) -> Option<Alarm> {
        let value = self.host.kv().get(key)?;
        let (times, _) = value.as_chunks::<8>();
        let [raised, told, heard] = times.try_into().ok()?;
        let time = |bytes| Time(u64::from_le_bytes(bytes));
        Some(Alarm { raised: time(raised), told: time(told), heard: time(heard) })
    }

    fn keep(&self, key: &str, alarm: Alarm) {
        let value = [alarm.raised, alarm.told, alarm.heard].map(|time| time.0.to_le_bytes()).concat();
        if let Err(error) = self.host.kv().set(key, &value, None) {
            self.host.log(Level::Warn, format_args!("{key} is not kept: {error}"));
        }
    }
}

fn key(kind: Kind, device: &str) -> String {
    format!("alarm/{}/{device}", kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stile_filter::Grant;

    #[test]
    fn each_of_many_alarms_is_told_again_once_and_not_all_at_once() {
        let host = Host::in_memory(&[Grant::Kv]);
        let (alarms, every) = (Alarms { host: &host, topic: "water" }, Duration::from_secs(3600));
        // Of most it is not yet time to be told again.
        for number in 0..1_500 {
            let at = Time::EXAMPLE.after(if number < 1_100 { every / 2 } else { Duration::ZERO });
            assert!(alarms.raise(Kind::Leak, &format!("{number:04}"), at, None).is_some());
        }
        let (now, mut after) = (Time::EXAMPLE.after(every), String::new());
        let mut told = std::collections::BTreeSet::new();
        for _ in 0..10 {
            let drafts = alarms.remind(now, every, &mut after);
            assert!(drafts.len() <= MOST_TOLD);
            for draft in drafts {
                assert!(told.insert(draft.topic));
            }
        }
        assert_eq!(told.len(), 400);
        for _ in 0..5 {
            assert!(alarms.remind(now, every, &mut after).is_empty());
        }
    }
}
