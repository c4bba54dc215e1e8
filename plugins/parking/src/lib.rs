//! Parking bays: which are free, and how many of a street.
//!
//! Each sensor is one bay. `tps110.rs` reads what it sends, `bay.rs` decides what is to be told of it, `streets.rs` what of
//! streets, `told.rs` tells it.
//! All that is known is kept by the gateway (`shard.rs`): an instance begins where the one before it ended, but for the
//! streets, which it tells anew.

mod bay;
mod settings;
mod shard;
mod streets;
mod told;
mod tps110;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use stile_filter::uplink::{Source, Uplink};
use stile_filter::{Draft, Error, Filter, Grant, Host, Level, Message, Period, Time, Verdict};

use bay::{Bay, Patience, Status};
use settings::Settings;
use shard::{Entry, SHARDS, Shard};
use streets::{Counts, Streets};
use told::Teller;
use tps110::Report;

/// The most bays, and the most streets, that one tick tells. The rest waits for the next: bays that have gone silent all
/// at once must not be more than a call may cost.
const MOST_TOLD: usize = 100;

/// When a tick has looked at so many bays, it leaves the other values to the next.
const MOST_LOOKED_AT: usize = 2_500;

struct Parking {
    source: Source,
    occupied: String,
    homes: BTreeMap<String, String>,
    street_field: String,
    street_level: Option<usize>,
    patience: Patience,
    forget_after: Duration,
    teller: Teller,
    /// The value that the next tick begins with, and what those before it have of each street.
    next: u32,
    counting: BTreeMap<String, Counts>,
    streets: Streets,
}

impl Filter for Parking {
    type Settings = Settings;
    const TOPICS: &'static [&'static str] = &["application/+/device/+/event/up"];
    const GRANTS: &'static [Grant] = &[Grant::Kv];
    const TICK: Option<Duration> = Some(Duration::from_secs(5));

    fn new(settings: Settings, _: &Host) -> Result<Self, Error> {
        settings.check().map_err(Error::Invalid)?;
        let homes = settings.homes().map_err(Error::Invalid)?;
        let Settings { source, occupied, street_field, street_level, topic, retain, .. } = settings;
        let (Period(debounce), Period(stale), Period(forget_after)) =
            (settings.debounce, settings.stale_after, settings.forget_after);
        let (patience, teller) = (Patience { debounce, stale }, Teller { topic, retain });
        let (counting, streets) = (BTreeMap::new(), Streets::default());
        Ok(Self {
            source,
            occupied,
            homes,
            street_field,
            street_level,
            patience,
            forget_after,
            teller,
            next: 0,
            counting,
            streets,
        })
    }

    fn process(&mut self, message: &Message, host: &Host) -> Verdict {
        self.judge(message, host).unwrap_or_else(Verdict::Reject)
    }

    fn tick(&mut self, now: Time, host: &Host) -> Result<Vec<Draft>, Error> {
        let (mut drafts, mut looked_at) = (Vec::new(), 0);
        let mut counting = std::mem::take(&mut self.counting);
        while self.next < SHARDS && looked_at < MOST_LOOKED_AT {
            looked_at += self.look(&mut Shard::numbered(self.next, host), now, &mut drafts, &mut counting, host);
            self.next += 1;
        }
        if self.next == SHARDS {
            self.next = 0;
            self.streets.counted(std::mem::take(&mut counting));
        }
        self.counting = counting;
        drafts.extend(self.streets.news(MOST_TOLD).iter().map(|(name, counts)| self.teller.street(name, *counts, now)));
        Ok(drafts)
    }
}

impl Parking {
    fn judge(&self, message: &Message, host: &Host) -> Result<Verdict, Cow<'static, str>> {
        let (uplink, at) = (self.source.read(message)?, message.received);
        let report = self.report(&uplink)?;
        if let Report::Startup { start, .. } = &report {
            host.log(Level::Info, format_args!("{} has started: {start}", uplink.device));
        }
        let street = self.street(message, &uplink);
        let mut shard = Shard::of(&uplink.device, host);
        let mut bay = shard.find(&uplink.device).unwrap_or_else(|| Bay::new(at));
        let mut drafts = Vec::new();
        let mut tell = |bay, temperature| {
            drafts.push(self.teller.bay(&Entry { device: &uplink.device, street: &street, bay }, temperature, at));
        };
        // What was due before this message came is told before it.
        if bay.settle(at, self.patience) {
            tell(bay, None);
        }
        let status = report.occupied().map(Status::of);
        bay.report(status, at);
        match (bay.settle(at, self.patience), report) {
            (_, Report::Heartbeat { temperature, .. }) => tell(bay, temperature),
            (true, _) => tell(bay, None),
            (false, _) => {}
        }
        shard.put(&Entry { device: &uplink.device, street: &street, bay })?;
        shard.keep(host).map_err(|error| error.to_string())?;
        Ok(match drafts {
            drafts if !drafts.is_empty() => Verdict::Replace(drafts),
            _ if status.is_none() => Verdict::Drop("not of a bay".into()),
            _ if bay.told != bay.now => Verdict::Drop("not settled".into()),
            _ => Verdict::Drop("unchanged".into()),
        })
    }

    /// What the sensor says.
    fn report(&self, uplink: &Uplink) -> Result<Report, &'static str> {
        if self.occupied.is_empty() {
            return tps110::read(uplink.port, &uplink.bytes);
        }
        let occupied = uplink.json()?.pointer(&self.occupied).and_then(Value::as_bool);
        occupied.map(|occupied| Report::Status { occupied }).ok_or("`occupied` is neither true nor false there")
    }

    /// The street of a device; empty where nobody says.
    fn street<'a>(&'a self, message: &'a Message, uplink: &'a Uplink) -> Cow<'a, str> {
        if let Some(street) = self.homes.get(&uplink.device.to_ascii_lowercase()) {
            return street.into();
        }
        let said = Some(self.street_field.as_str()).filter(|field| !field.is_empty());
        let said = said.and_then(|field| uplink.text(field));
        said.or_else(|| message.level(self.street_level?)).unwrap_or_default().into()
    }

    /// Goes through the bays of a value: tells what is due, forgets who is gone, counts the others. How many it has.
    fn look(
        &self,
        shard: &mut Shard,
        now: Time,
        drafts: &mut Vec<Draft>,
        streets: &mut BTreeMap<String, Counts>,
        host: &Host,
    ) -> usize {
        let (mut changed, mut gone, mut count) = (Vec::new(), Vec::new(), 0);
        for (place, entry) in shard.entries() {
            count += 1;
            if now.since(entry.bay.heard) >= self.forget_after {
                gone.push(place);
                continue;
            }
            let mut bay = entry.bay;
            if drafts.len() < MOST_TOLD && bay.settle(now, self.patience) {
                drafts.push(self.teller.bay(&Entry { bay, ..entry }, None, now));
                changed.push((place, bay));
            }
            match streets.get_mut(entry.street) {
                Some(counts) => counts.add(bay),
                None => streets.entry(entry.street.to_owned()).or_default().add(bay),
            }
        }
        if changed.is_empty() && gone.is_empty() {
            return count;
        }
        changed.iter().for_each(|(place, bay)| shard.set(place, *bay));
        shard.forget(gone);
        if let Err(error) = shard.keep(host) {
            // It is told again at the next tick: better twice than never.
            host.log(Level::Warn, format_args!("what was told is not kept: {error}"));
        }
        count
    }
}

stile_filter::export!(Parking, timed);

#[cfg(test)]
mod tests;
