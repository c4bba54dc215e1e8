//! What the parking sensor Bosch TPS110 sends, after its codec in TheThingsNetwork/lorawan-devices, vendor/bosch.

use std::fmt;

/// What was sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Report {
    /// The bay was taken or left.
    Status { occupied: bool },
    /// The sensor is there; newer ones say how warm it is, in °C.
    Heartbeat { occupied: bool, temperature: Option<i8> },
    /// The sensor has started.
    Startup { occupied: bool, start: Start },
    /// Something about the sensor and not about the bay.
    Other,
}

/// How a sensor has started.
#[derive(Debug, PartialEq)]
pub(crate) struct Start {
    firmware: [u8; 3],
    cause: u8,
    /// What it has to tell of before; 0 is nothing.
    codes: [u16; 3],
}

impl Report {
    /// Whether the bay is taken, where it says so.
    pub(crate) fn occupied(&self) -> Option<bool> {
        match self {
            Self::Status { occupied } | Self::Heartbeat { occupied, .. } | Self::Startup { occupied, .. } => {
                Some(*occupied)
            }
            Self::Other => None,
        }
    }
}

/// Reads the bytes of a port; where that is not known, their length says which one it is.
pub(crate) fn read(port: Option<u8>, bytes: &[u8]) -> Result<Report, &'static str> {
    let occupied = |status: u8| status & 1 == 1;
    match (port, bytes) {
        (_, []) => Ok(Report::Other),
        (Some(1) | None, [status]) => Ok(Report::Status { occupied: occupied(*status) }),
        (Some(2), [status]) => Ok(Report::Heartbeat { occupied: occupied(*status), temperature: None }),
        (Some(2) | None, [status, temperature]) => {
            let temperature = Some(temperature.cast_signed());
            Ok(Report::Heartbeat { occupied: occupied(*status), temperature })
        }
        (Some(3) | None, [codes @ .., major, minor, patch, cause, status]) if codes.len() == 12 => {
            let code = |place: usize| u16::from_le_bytes([codes[place], codes[place + 1] & 0x0f]);
            let start = Start { firmware: [*major, *minor, *patch], cause: *cause, codes: [code(0), code(4), code(8)] };
            Ok(Report::Startup { occupied: occupied(*status), start })
        }
        // Device information, usage, debugging.
        (Some(4..=6), _) => Ok(Report::Other),
        (Some(1..=3) | None, _) => Err("it has not the length of a TPS110's message"),
        (Some(_), _) => Err("a TPS110 has no such port"),
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([major, minor, patch], cause) = (self.firmware, self.cause);
        let cause = match cause {
            1 => "watchdog",
            2 => "power on",
            3 => "system request",
            _ => "other",
        };
        write!(f, "firmware {major}.{minor}.{patch}, cause: {cause}")?;
        self.codes.iter().filter(|code| **code != 0).try_for_each(|code| write!(f, ", code {code}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of the same place: tps110-0292-codec.yaml.
    const STARTUP: [u8; 17] = [0x24, 3, 0, 0, 0x75, 3, 0, 0, 0, 0, 0, 0, 0, 29, 2, 3, 1];

    #[test]
    fn the_examples_are_read_with_and_without_a_port() {
        for (port, bytes, wanted) in [
            (1, &[1][..], Report::Status { occupied: true }),
            (2, &[1, 255], Report::Heartbeat { occupied: true, temperature: Some(-1) }),
        ] {
            assert_eq!(read(Some(port), bytes).as_ref(), Ok(&wanted));
            assert_eq!(read(None, bytes), Ok(wanted));
        }
        let Ok(Report::Startup { occupied: true, start }) = read(Some(3), &STARTUP) else { panic!() };
        assert_eq!(start.to_string(), "firmware 0.29.2, cause: system request, code 804, code 885");
        assert_eq!(read(None, &STARTUP), read(Some(3), &STARTUP));
        assert_eq!(read(Some(2), &[0]), Ok(Report::Heartbeat { occupied: false, temperature: None }));
    }

    #[test]
    fn other_lengths_and_ports_are_refused() {
        for (port, bytes) in [(Some(1), &[1, 2][..]), (Some(2), &[1, 2, 3]), (Some(3), &STARTUP[1..]), (None, &[1; 5])]
        {
            assert!(read(port, bytes).unwrap_err().contains("length"), "{port:?} {bytes:?}");
        }
        assert!(read(Some(85), &[1]).unwrap_err().contains("port"));
        assert_eq!((read(Some(4), &[1; 9]), read(Some(0), &[])), (Ok(Report::Other), Ok(Report::Other)));
    }
}
