//! What water sensors and meters send.

use stile_filter::uplink::Uplink;
use stile_filter::{Deserialize, JsonSchema};

/// How devices write their readings.
#[derive(Deserialize, JsonSchema, Clone, Copy, Default)]
#[serde(crate = "stile_filter::serde", rename_all = "kebab-case")]
#[schemars(crate = "stile_filter::schemars")]
pub(crate) enum Device {
    /// Milesight's leak sensors EM300-SLD, -ZLD and -MLD and WS303, and its pulse counter EM300-DI.
    #[default]
    Milesight,
    /// Dragino's leak sensor LWL02.
    Dragino,
}

/// What a device says of water and of itself; what it does not say is none.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Whether there is water where none should be.
    pub(crate) wet: Option<bool>,
    /// What has gone through a meter since it began, in its own unit.
    pub(crate) count: Option<f64>,
    /// What is left of the battery, in %.
    pub(crate) battery: Option<f64>,
    /// The battery's voltage.
    pub(crate) volts: Option<f64>,
    /// In °C.
    pub(crate) temperature: Option<f64>,
    /// In % of relative humidity.
    pub(crate) humidity: Option<f64>,
}

impl Device {
    pub(crate) fn read(self, port: Option<u8>, bytes: &[u8]) -> Result<Reading, &'static str> {
        match self {
            Self::Milesight => milesight(bytes),
            Self::Dragino => dragino(port, bytes),
        }
    }
}

/// Channel, type, value, as in TheThingsNetwork/lorawan-devices, vendor/milesight-iot: em300-zld, em300-di, ws303.
fn milesight(mut bytes: &[u8]) -> Result<Reading, &'static str> {
    let mut reading = Reading::default();
    loop {
        bytes = match bytes {
            [0x01, 0x75, battery, rest @ ..] => {
                reading.battery = Some(f64::from(*battery));
                rest
            }
            [0x03, 0x67, low, high, rest @ ..] => {
                reading.temperature = Some(f64::from(i16::from_le_bytes([*low, *high])) / 10.0);
                rest
            }
            [0x04, 0x68, humidity, rest @ ..] => {
                reading.humidity = Some(f64::from(*humidity) / 2.0);
                rest
            }
            [0x03 | 0x05, 0x00, wet, rest @ ..] => {
                reading.wet = Some(*wet != 0);
                rest
            }
            [0x05, 0xc8, a, b, c, d, rest @ ..] => {
                reading.count = Some(f64::from(u32::from_le_bytes([*a, *b, *c, *d])));
                rest
            }
            [0x01, 0x75] | [0x03, 0x67, ..] | [0x04, 0x68] | [0x03 | 0x05, 0x00] | [0x05, 0xc8, ..] | [_] => {
                return Err("it ends in the middle of a reading");
            }
            // The device's own affairs, such as its version. Their length is not known; they come last or alone.
            _ => return Ok(reading),
        }
    }
}

/// As in TheThingsNetwork/lorawan-devices, vendor/dragino/lwl02.js.
fn dragino(port: Option<u8>, bytes: &[u8]) -> Result<Reading, &'static str> {
    match (port, bytes) {
        (_, []) => Ok(Reading::default()),
        (Some(10) | None, [high, low, mode, _, ..]) => Ok(Reading {
            // Mode 1 is that of a door sensor.
            wet: matches!(mode, 2 | 3).then_some(high & 0x40 != 0),
            volts: Some(f64::from(u16::from_be_bytes([high & 0x3f, *low])) / 1000.0),
            ..Reading::default()
        }),
        (Some(10) | None, _) => Err("it ends in the middle of a reading"),
        // Its settings and its status.
        (Some(_), _) => Ok(Reading::default()),
    }
}

/// What a network server has decoded, or a payload in JSON, by JSON Pointers; empty where there is no such reading.
pub(crate) fn json(uplink: &Uplink, wet: &str, count: &str) -> Result<Reading, &'static str> {
    let all = uplink.json()?;
    let found = |place: &str| Some(place).filter(|place| !place.is_empty()).and_then(|place| all.pointer(place));
    let wet = found(wet).map(|wet| wet.as_bool().ok_or("`leak` is neither true nor false there"));
    let count = found(count).map(|count| count.as_f64().ok_or("`volume` is no number there"));
    Ok(Reading { wet: wet.transpose()?, count: count.transpose()?, ..Reading::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_milesight_are_read() {
        let read = |bytes: &[u8]| Device::Milesight.read(Some(85), bytes);
        let wet = |wet| Reading { wet: Some(wet), ..Reading::default() };
        assert_eq!((read(&[0x05, 0x00, 0x00]), read(&[0x05, 0x00, 0x01])), (Ok(wet(false)), Ok(wet(true))));
        let leak = Reading { battery: Some(100.0), ..wet(true) };
        assert_eq!(read(&[0x01, 0x75, 0x64, 0x03, 0x00, 0x01]), Ok(leak));
        let pulses = Reading { battery: Some(92.0), count: Some(256.0), ..Reading::default() };
        assert_eq!(read(&[0x01, 0x75, 0x5c, 0x05, 0xc8, 0x00, 0x01, 0x00, 0x00]), Ok(pulses));
        // That of the EM300-TH, and below zero.
        let air = |temperature| Reading { temperature: Some(temperature), humidity: Some(30.0), ..Reading::default() };
        assert_eq!(read(&[0x03, 0x67, 0xc8, 0x00, 0x04, 0x68, 0x3c]), Ok(air(20.0)));
        assert_eq!(read(&[0x03, 0x67, 0xff, 0xff, 0x04, 0x68, 0x3c]), Ok(air(-0.1)));
    }

    #[test]
    fn a_reading_of_milesight_that_is_cut_off_is_refused_and_what_is_not_known_ends_it() {
        for bytes in [&[0x05][..], &[0x05, 0x00], &[0x05, 0xc8, 1, 2, 3], &[0x01, 0x75, 9, 0x03, 0x67, 1]] {
            assert!(Device::Milesight.read(None, bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(Device::Milesight.read(None, &[0xff, 0x0b, 0xff]), Ok(Reading::default()));
        assert_eq!(Device::Milesight.read(None, &[]), Ok(Reading::default()));
    }

    #[test]
    fn the_example_of_dragino_is_read_and_a_wet_one_differs_in_a_bit() {
        // Of vendor/dragino/lwl02-codec.yaml; it is one of the mode without water.
        let door = [0x0b, 0x88, 0x01, 0x00, 0x25, 0x00, 0x01];
        let read = |bytes: &[u8]| Device::Dragino.read(Some(10), bytes);
        let volts = Some(2.952);
        assert_eq!(read(&door), Ok(Reading { volts, ..Reading::default() }));
        for (status, wet) in [(0x0b, false), (0x4b, true)] {
            let bytes = [status, 0x88, 0x02, 0, 0, 1, 0, 0, 0, 0];
            assert_eq!(read(&bytes), Ok(Reading { wet: Some(wet), volts, ..Reading::default() }));
        }
        assert_eq!(Device::Dragino.read(Some(5), &[1, 2, 3]), Ok(Reading::default()));
        assert!(read(&[0x0b, 0x88]).is_err());
    }
}
