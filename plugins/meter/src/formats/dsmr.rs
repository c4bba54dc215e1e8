//! Telegrams of the P1 port: DSMR 2.2 to 5.0.2 P1 Companion Standard (Netbeheer Nederland), chapter 6, and its
//! relatives in Belgium, Luxembourg, Sweden. Lines of OBIS codes with values in brackets, from `/` through `!` and a
//! CRC16.

use crc::{CRC_16_ARC, Crc, NoTable};

use super::obis::Obis;
use crate::reading::{Kind, Meter, decimal, unit};

/// The most lines that are looked at. A telegram with four further meters has about sixty.
const MOST_LINES: usize = 256;
/// Channels for further meters: gas, water, heat.
const CHANNELS: u8 = 4;

/// Reads one.
pub(crate) fn read(payload: &[u8]) -> Result<Vec<Meter>, &'static str> {
    let end = payload.iter().rposition(|byte| *byte == b'!').ok_or("the telegram has no end")?;
    let (telegram, checksum) = payload.split_at(end + 1);
    check(telegram, checksum)?;
    let text = std::str::from_utf8(telegram).map_err(|_| "the telegram is no text")?;
    let mut meters: Vec<_> = (0..=CHANNELS).map(|channel| Channel::new(channel, device(text, channel))).collect();
    for (code, values) in objects(text) {
        let channel = if code.a == 0 { code.b } else { 0 };
        if let Some(meter) = meters.get_mut(usize::from(channel)) {
            meter.take(code, &values);
        }
    }
    let meters = meters.into_iter().map(|channel| channel.meter);
    Ok(meters.filter(|meter| !meter.readings.is_empty()).collect())
}

/// Meters before DSMR 4 send no checksum.
fn check(telegram: &[u8], checksum: &[u8]) -> Result<(), &'static str> {
    let digits = checksum.trim_ascii();
    if digits.is_empty() {
        return Ok(());
    }
    let wanted = std::str::from_utf8(digits).ok().and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let found = Crc::<u16, NoTable>::new(&CRC_16_ARC).checksum(telegram);
    if wanted == Some(found) { Ok(()) } else { Err("the checksum of the telegram is wrong") }
}

/// The codes with what stands in brackets behind them. DSMR 3 puts a value on a line of its own.
fn objects(text: &str) -> impl Iterator<Item = (Obis, Vec<&str>)> {
    let mut lines = text.lines().take(MOST_LINES).peekable();
    std::iter::from_fn(move || {
        let line = lines.next()?;
        let (code, values) = line.split_once('(').unwrap_or((line, ""));
        let mut values: Vec<_> = brackets(values).collect();
        if let Some(next) = lines.peek().and_then(|next| next.strip_prefix('(')) {
            values.extend(brackets(next));
        }
        Some((code, values))
    })
    .filter_map(|(code, values)| Some((Obis::read(code.trim())?, values)))
}

/// `a)(b)` without the brackets.
fn brackets(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.trim_end().strip_suffix(')');
    inner.into_iter().flat_map(|inner| inner.split(")("))
}

/// What hangs on a channel, by the device types of EN 13757-3: it is told for the telegram as a whole.
fn device(text: &str, channel: u8) -> &'static str {
    let wanted = Obis { a: 0, b: channel, c: 24, d: 1, e: 0 };
    let kind = objects(text).find(|(code, _)| *code == wanted).and_then(|(_, values)| values.first()?.parse().ok());
    match kind {
        Some(2) => "energy-import",
        Some(3) => "gas",
        Some(4 | 12) => "heat",
        Some(6 | 7) => "water",
        Some(10 | 11) => "cold",
        _ => "volume",
    }
}

/// A meter under way.
struct Channel {
    meter: Meter,
    counter: &'static str,
}

impl Channel {
    fn new(channel: u8, counter: &'static str) -> Self {
        let part = if channel == 0 { String::new() } else { channel.to_string() };
        Self { meter: Meter { part, ..Meter::default() }, counter }
    }

    fn take(&mut self, code: Obis, values: &[&str]) {
        match (code.a, code.b, code.c, code.d) {
            // The telegram's version, its time, texts for people, the log of failures: their counts are read.
            (1, 3, ..) | (0, _, 1 | 17 | 42, _) | (0, _, 96, 13) | (1, _, 99, 97) => {}
            // Of its identifiers the one of the device: the others are the telegram's version, a supply point.
            (0, _, 96, 1) if !matches!(code.e, 0 | 1 | 255) => {}
            (0, _, 96, 1) => {
                let id = values.first().map(|id| plain(id)).filter(|id| !id.is_empty());
                self.meter.id = self.meter.id.take().or(id);
            }
            // The time of the reading, and the reading; before DSMR 4, its unit in front of it.
            (0, 1.., 24, 2) => self.add_value(values.last().copied()),
            (0, 1.., 24, 3) => {
                if let [.., unit, value] = values {
                    self.add_value(Some(&format!("{value}*{unit}")));
                }
            }
            (0, 1.., 24, 4) => {
                if let Some(value) = values.first().and_then(|value| decimal(value, 0)) {
                    self.meter.add("valve", None, value, Kind::Watched);
                }
            }
            (_, _, 24, _) => {}
            _ => self.add_plain(code, values),
        }
    }

    /// What a further meter counts.
    fn add_value(&mut self, value: Option<&str>) {
        if let Some((unit, value)) = value.and_then(with_unit) {
            self.meter.add(self.counter, Some(unit), value, Kind::Counter);
        }
    }

    fn add_plain(&mut self, code: Obis, values: &[&str]) {
        let [value] = values else { return };
        let (name, kind) = code.name();
        let number = match with_unit(value) {
            Some((unit, value)) => Some((Some(unit), value)),
            // Without a unit, only what is known by name is a number.
            None if name != code.to_string() => {
                digits(value).and_then(|value| decimal(value, 0)).map(|value| (None, value))
            }
            None => None,
        };
        if let Some((unit, value)) = number {
            self.meter.add(&name, unit, value, kind);
        }
    }
}

/// `001581.123*kWh`
fn with_unit(value: &str) -> Option<(&'static str, f64)> {
    let (number, name) = value.split_once('*')?;
    let (unit, exponent) = unit(name)?;
    Some((unit, decimal(digits(number)?, exponent)?))
}

/// A number as meters write it, and nothing else that could be read as one.
fn digits(text: &str) -> Option<&str> {
    let number = text.strip_prefix('-').unwrap_or(text);
    let fit = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (fit && !number.is_empty() && number.len() <= 32).then_some(text)
}

/// An identifier: hexadecimal digits that stand for letters, or just what is there.
fn plain(text: &str) -> String {
    let pairs = text.as_bytes().chunks(2);
    let letters = pairs.map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok().filter(u8::is_ascii_graphic).map(char::from)
    });
    let id = letters.collect::<Option<String>>().unwrap_or_else(|| text.to_owned());
    id.chars().take(64).collect()
}
