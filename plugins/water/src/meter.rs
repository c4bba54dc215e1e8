//! A meter: whether the water behind it ever rests. In a house without a leak it does, in the night if not before.

use std::time::Duration;

use stile_filter::{Host, Time};

/// What a flow is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Water that flows for so long without a rest is a leak.
    pub(crate) window: Duration,
    /// What lies between two readings with more time between them is not known.
    pub(crate) longest_interval: Duration,
    /// A flow of at most so many litres an hour is a rest.
    pub(crate) rest: f64,
}

/// What is kept of a meter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Meter {
    /// The last reading, in litres.
    litres: f64,
    at: Time,
    /// Since when the water has not rested, as far as is known.
    since: Time,
    /// The least flow since then, in litres an hour.
    pub(crate) least: f64,
}

/// What a reading comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Flow {
    /// It can't be known: there is no reading to hold it against.
    Unknown,
    /// The water has rested.
    Rest,
    /// The water has flowed for so long without a rest.
    Steady(Duration),
}

impl Meter {
    pub(crate) fn kept(device: &str, host: &Host) -> Option<Self> {
        let value = host.kv().get(&key(device))?;
        let (numbers, _) = value.as_chunks::<8>();
        let [litres, at, since, least] = numbers.try_into().ok()?;
        let time = |bytes| Time(u64::from_le_bytes(bytes));
        Some(Self {
            litres: f64::from_le_bytes(litres),
            at: time(at),
            since: time(since),
            least: f64::from_le_bytes(least),
        })
    }

    pub(crate) fn keep(&self, device: &str, host: &Host) -> Result<(), String> {
        let Self { litres, at, since, least } = self;
        let value = [litres.to_le_bytes(), at.0.to_le_bytes(), since.0.to_le_bytes(), least.to_le_bytes()].concat();
        host.kv().set(&key(device), &value, None).map_err(|error| error.to_string())
    }

    /// Another reading of a meter that may have been read before.
    pub(crate) fn read(before: Option<Self>, litres: f64, at: Time, limits: Limits) -> (Self, Flow) {
        let anew = Self { litres, at, since: at, least: f64::INFINITY };
        // Without an earlier reading, after a gap, and with a meter that was exchanged or has begun anew.
        let known = before.filter(|before| at.since(before.at) <= limits.longest_interval && litres >= before.litres);
        let Some(before) = known else { return (anew, Flow::Unknown) };
        let hours = at.since(before.at).as_secs_f64() / 3600.0;
        if hours == 0.0 {
            return (before, Flow::Unknown);
        }
        let flow = (litres - before.litres) / hours;
        if flow <= limits.rest {
            return (anew, Flow::Rest);
        }
        (Self { since: before.since, least: before.least.min(flow), ..anew }, Flow::Steady(at.since(before.since)))
    }
}

fn key(device: &str) -> String {
    format!("meter/{device}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stile_filter::Grant;

    const HOUR: Duration = Duration::from_secs(3600);
    const LIMITS: Limits = Limits { window: Duration::from_secs(6 * 3600), longest_interval: HOUR, rest: 0.5 };

    fn flows(readings: &[(u32, f64)]) -> Vec<Flow> {
        let mut meter = None;
        let read = readings.iter().map(|(hour, litres)| {
            let (now, flow) = Meter::read(meter, *litres, Time::EXAMPLE.after(HOUR * *hour), LIMITS);
            meter = Some(now);
            flow
        });
        read.collect()
    }

    #[test]
    fn a_flow_lasts_until_the_water_rests() {
        let readings = [(0, 10.0), (1, 11.0), (2, 13.0), (3, 13.5), (4, 14.1)];
        let wanted = [Flow::Unknown, Flow::Steady(HOUR), Flow::Steady(HOUR * 2), Flow::Rest, Flow::Steady(HOUR)];
        assert_eq!(flows(&readings), wanted);
    }

    #[test]
    fn gaps_and_new_meters_begin_anew() {
        assert_eq!(flows(&[(0, 10.0), (1, 11.0), (3, 20.0), (4, 21.0)])[2..], [Flow::Unknown, Flow::Steady(HOUR)]);
        assert_eq!(flows(&[(0, 10.0), (1, 11.0), (2, 0.0), (3, 1.0)])[2..], [Flow::Unknown, Flow::Steady(HOUR)]);
    }

    #[test]
    fn what_comes_twice_changes_nothing() {
        let wanted = [Flow::Unknown, Flow::Steady(HOUR), Flow::Unknown, Flow::Steady(HOUR * 2)];
        assert_eq!(flows(&[(0, 10.0), (1, 11.0), (1, 11.0), (2, 12.0)]), wanted);
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let host = Host::in_memory(&[Grant::Kv]);
        let (meter, _) = Meter::read(None, 12.5, Time::EXAMPLE, LIMITS);
        assert_eq!(Meter::kept("a", &host), None);
        meter.keep("a", &host).unwrap();
        assert_eq!((Meter::kept("a", &host), Meter::kept("b", &host)), (Some(meter), None));
    }
}
