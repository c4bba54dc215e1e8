//! A three-phase smart meter's P1 port: one DSMR 5 telegram each tick. It never listens.
//!
//! Source: DSMR P1 Companion Standard 5.0.2, sections 5.2 (telegram and CRC) and 6.12 (objects and example).

use std::fmt::Write;
use std::time::Duration;

use super::Device;
use super::calendar::Civil;
use super::checksum::crc16;
use super::household::{Household, noise};

/// How often the gas meter reports, in seconds (section 6.12, `0-n:24.2.1`).
const GAS_PERIOD: u64 = 300;
/// Mean gas flow of one such period, in cubic metres.
const GAS_FLOW: f64 = 0.018;
/// What part of the load hangs on the first and on the second phase; the rest is on the third.
const FIRST_PHASE: f64 = 0.55;
const SECOND_PHASE: f64 = 0.25;

/// The meter.
pub(super) struct Meter {
    household: Household,
    electricity_id: String,
    gas_id: String,
    /// Energy taken at the low and at the normal tariff, in kWh.
    low: f64,
    normal: f64,
    /// Gas meter's reading in cubic metres, and the report it belongs to, counted in `GAS_PERIOD`s.
    gas: f64,
    gas_report: u64,
}

/// What one phase shows.
struct Phase {
    volts: f64,
    watts: u64,
}

impl Meter {
    /// A meter that has been in the house for some years.
    pub(super) fn new(seed: u64) -> Self {
        let mut household = Household::new(seed);
        let rng = household.rng();
        let electricity_id = hex_of_text(&format!("E0044{:012}", rng.u64(..1_000_000_000_000)));
        let gas_id = hex_of_text(&format!("G0065{:012}", rng.u64(..1_000_000_000_000)));
        let (low, normal) = (5000.0 + 4000.0 * rng.f64(), 6000.0 + 4000.0 * rng.f64());
        let gas = 2000.0 + 3000.0 * rng.f64();
        Self { household, electricity_id, gas_id, low, normal, gas, gas_report: 0 }
    }

    /// Lets time pass. Returns whether the normal tariff holds: on weekdays from 7 to 23 o'clock.
    fn advance(&mut self, now: Duration) -> bool {
        let civil = Civil::cet(now);
        let normal_tariff = civil.weekday < 5 && (7..23).contains(&civil.hour);
        let used = self.household.advance(now) / 1000.0;
        if normal_tariff {
            self.normal += used;
        } else {
            self.low += used;
        }
        let report = now.as_secs() / GAS_PERIOD;
        let passed = report.saturating_sub(self.gas_report) as f64;
        self.gas += passed * GAS_FLOW * (1.0 + 0.5 * noise(self.household.rng()));
        self.gas_report = self.gas_report.max(report);
        normal_tariff
    }

    /// The load spread over the phases. Their watts sum up to the total.
    fn phases(&mut self) -> (u64, [Phase; 3]) {
        let total = self.household.watts;
        let watts = total.round() as u64;
        let first = (total * FIRST_PHASE).round() as u64;
        let second = (total * SECOND_PHASE).round() as u64;
        let third = watts.saturating_sub(first).saturating_sub(second);
        let volts = self.household.volts;
        let rng = self.household.rng();
        (watts, [first, second, third].map(|watts| Phase { volts: volts + noise(rng), watts }))
    }

    /// The telegram up to and with `!`.
    fn telegram(&mut self, now: Duration) -> Result<String, std::fmt::Error> {
        let normal_tariff = self.advance(now);
        let (watts, phases) = self.phases();
        let mut text = String::with_capacity(1024);
        write!(text, "/STL5\\STILE-SIM-1\r\n\r\n1-3:0.2.8(50)\r\n")?;
        write!(text, "0-0:1.0.0({})\r\n0-0:96.1.1({})\r\n", stamp(now), self.electricity_id)?;
        write!(text, "1-0:1.8.1({:010.3}*kWh)\r\n1-0:1.8.2({:010.3}*kWh)\r\n", self.low, self.normal)?;
        write!(text, "1-0:2.8.1(000000.000*kWh)\r\n1-0:2.8.2(000000.000*kWh)\r\n")?;
        write!(text, "0-0:96.14.0({:04})\r\n", if normal_tariff { 2 } else { 1 })?;
        write!(text, "1-0:1.7.0({:06.3}*kW)\r\n1-0:2.7.0(00.000*kW)\r\n", kilo(watts))?;
        write!(text, "0-0:96.7.21(00004)\r\n0-0:96.7.9(00002)\r\n")?;
        write!(text, "1-0:99.97.0(1)(0-0:96.7.19)(251208152415W)(0000000240*s)\r\n")?;
        write!(text, "1-0:32.32.0(00002)\r\n1-0:52.32.0(00001)\r\n1-0:72.32.0(00000)\r\n")?;
        write!(text, "1-0:32.36.0(00000)\r\n1-0:52.36.0(00003)\r\n1-0:72.36.0(00000)\r\n0-0:96.13.0()\r\n")?;
        for (phase, code) in phases.iter().zip(["32", "52", "72"]) {
            write!(text, "1-0:{code}.7.0({:05.1}*V)\r\n", phase.volts)?;
        }
        for (phase, code) in phases.iter().zip(["31", "51", "71"]) {
            write!(text, "1-0:{code}.7.0({:03.0}*A)\r\n", phase.watts as f64 / phase.volts)?;
        }
        for (phase, code) in phases.iter().zip(["21", "41", "61"]) {
            write!(text, "1-0:{code}.7.0({:06.3}*kW)\r\n", kilo(phase.watts))?;
        }
        write!(text, "1-0:22.7.0(00.000*kW)\r\n1-0:42.7.0(00.000*kW)\r\n1-0:62.7.0(00.000*kW)\r\n")?;
        let reported = Duration::from_secs(self.gas_report.saturating_mul(GAS_PERIOD));
        write!(text, "0-1:24.1.0(003)\r\n0-1:96.1.0({})\r\n", self.gas_id)?;
        write!(text, "0-1:24.2.1({})({:09.3}*m3)\r\n!", stamp(reported), self.gas)?;
        Ok(text)
    }
}

impl Device for Meter {
    fn tick(&mut self, now: Duration) -> Vec<u8> {
        let text = self.telegram(now).expect("writing to a String does not fail");
        let crc = crc16(0, text.as_bytes());
        format!("{text}{crc:04X}\r\n").into_bytes()
    }

    /// A P1 port has no receive line.
    fn receive(&mut self, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

fn kilo(watts: u64) -> f64 {
    watts as f64 / 1000.0
}

/// `YYMMDDhhmmssX`, X being `W` for winter time (section 6.4, TST).
fn stamp(now: Duration) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = Civil::cet(now);
    format!("{:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}W", year % 100)
}

/// Identifiers are sent as the hex digits of their characters.
fn hex_of_text(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard's generator x^16 + x^15 + x^2 + 1 by long division, most significant bit first, on bytes turned
    /// round: another way to the same sum.
    fn independent_crc(bytes: &[u8]) -> u16 {
        let mut remainder: u32 = 0;
        for byte in bytes {
            for bit in 0..8 {
                remainder = (remainder << 1) ^ (u32::from((byte >> bit) & 1) << 16);
                if remainder & 0x1_0000 != 0 {
                    remainder ^= 0x1_8005;
                }
            }
        }
        (remainder as u16).reverse_bits()
    }

    fn value(telegram: &str, code: &str) -> f64 {
        let line = telegram.lines().find(|line| line.starts_with(&format!("{code}("))).unwrap();
        let inner = line.rsplit('(').next().unwrap().trim_end_matches(')');
        inner.split('*').next().unwrap().parse().unwrap()
    }

    fn telegram(meter: &mut Meter, second: u64) -> String {
        String::from_utf8(meter.tick(Duration::from_secs(second))).unwrap()
    }

    #[test]
    fn the_crc_covers_the_telegram_from_slash_to_exclamation_mark() {
        let mut meter = Meter::new(1);
        for second in 0..50 {
            let text = telegram(&mut meter, second);
            let (body, crc) = text.split_at(text.find('!').unwrap() + 1);
            assert_eq!(crc, format!("{:04X}\r\n", independent_crc(body.as_bytes())));
            assert!((600..=900).contains(&text.len()), "{} bytes", text.len());
            assert!(text.starts_with("/STL5\\STILE-SIM-1\r\n\r\n1-3:0.2.8(50)\r\n"));
        }
    }

    #[test]
    fn times_come_from_the_fixed_start() {
        let text = telegram(&mut Meter::new(1), 3661);
        assert!(text.contains("0-0:1.0.0(260105080101W)\r\n"), "{text}");
        assert!(text.contains("0-1:24.2.1(260105080000W)("), "{text}");
    }

    #[test]
    fn consumption_grows_by_the_power_drawn() {
        let mut meter = Meter::new(5);
        let before = telegram(&mut meter, 0);
        let after = telegram(&mut meter, 3600);
        let grown = value(&after, "1-0:1.8.2") - value(&before, "1-0:1.8.2");
        assert!((grown - value(&before, "1-0:1.7.0")).abs() < 0.002, "{grown}");
        assert_eq!(value(&after, "1-0:1.8.1"), value(&before, "1-0:1.8.1"), "the low tariff rests in the day");
        assert!(value(&after, "0-1:24.2.1") > value(&before, "0-1:24.2.1"));
    }

    #[test]
    fn the_phases_sum_up_to_the_total() {
        let text = telegram(&mut Meter::new(9), 7200);
        let phases: f64 = ["1-0:21.7.0", "1-0:41.7.0", "1-0:61.7.0"].iter().map(|code| value(&text, code)).sum();
        assert!((phases - value(&text, "1-0:1.7.0")).abs() < 1e-9);
        for code in ["1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0"] {
            assert!((220.0..245.0).contains(&value(&text, code)));
        }
    }

    #[test]
    fn nights_and_weekends_are_at_the_low_tariff() {
        let mut meter = Meter::new(2);
        assert!(telegram(&mut meter, 0).contains("0-0:96.14.0(0002)"), "Monday 07:00");
        assert!(telegram(&mut meter, 16 * 3600).contains("0-0:96.14.0(0001)"), "Monday 23:00");
        assert!(telegram(&mut meter, (5 * 24 + 5) * 3600).contains("0-0:96.14.0(0001)"), "Saturday noon");
    }
}
