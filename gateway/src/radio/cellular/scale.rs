//! How modems write numbers.

/// How one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// As it is.
    Plain,
    /// In hexadecimal digits.
    Hex,
    /// In tenths.
    Tenth,
    /// The digits at its end: `NR5G_BAND78`, `n78`.
    Trailing,
    /// Quectel's numbers of LTE bandwidths.
    LteBandwidth,
    /// Quectel's numbers of NR bandwidths.
    NrBandwidth,
    /// `<rsrp>` of +CESQ, and so on (3GPP TS 27.007, 8.69).
    CesqRsrp,
    CesqRsrq,
    CesqSsRsrp,
    CesqSsRsrq,
    CesqSsSinr,
}

impl Scale {
    /// By its name in dialects.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "hex" => Self::Hex,
            "tenth" => Self::Tenth,
            "trailing" => Self::Trailing,
            "lte-bandwidth" => Self::LteBandwidth,
            "nr-bandwidth" => Self::NrBandwidth,
            "cesq-rsrp" => Self::CesqRsrp,
            "cesq-rsrq" => Self::CesqRsrq,
            "cesq-ss-rsrp" => Self::CesqSsRsrp,
            "cesq-ss-rsrq" => Self::CesqSsRsrq,
            "cesq-ss-sinr" => Self::CesqSsSinr,
            _ => return None,
        })
    }

    /// What a text says: `Err` when it is nothing that could stand there, `Ok(None)` when it says that the modem does not
    /// know.
    pub(super) fn read(self, text: &str) -> Result<Option<f64>, ()> {
        // `-`, `--` and `---`.
        if text.bytes().all(|byte| byte == b'-') {
            return Ok(None);
        }
        match self {
            Self::Plain => plain(text).map(Some),
            Self::Tenth => Ok(Some(plain(text)? / 10.0)),
            Self::Hex => {
                let digits = text.trim_start_matches("0x").trim_start_matches("0X");
                let fits = (1..=10).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let value = fits.then(|| u64::from_str_radix(digits, 16).ok()).flatten().ok_or(())?;
                // Ten digits at most: exact in 53 bits.
                Ok(Some(value as f64))
            }
            Self::Trailing => {
                let start = text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
                plain(text.get(start..).unwrap_or_default()).map(Some)
            }
            Self::LteBandwidth => Ok(listed(&[1.4, 3.0, 5.0, 10.0, 15.0, 20.0], code(text)?)),
            Self::NrBandwidth => {
                let megahertz = [
                    5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 200.0, 400.0, 35.0,
                    45.0,
                ];
                Ok(listed(&megahertz, code(text)?))
            }
            Self::CesqRsrp => cesq(text, 97, |n| n - 141.0),
            Self::CesqRsrq => cesq(text, 34, |n| n / 2.0 - 20.0),
            Self::CesqSsRsrp => cesq(text, 126, |n| n - 157.0),
            Self::CesqSsRsrq => cesq(text, 126, |n| n / 2.0 - 43.5),
            Self::CesqSsSinr => cesq(text, 127, |n| n / 2.0 - 23.5),
        }
    }
}

fn plain(text: &str) -> Result<f64, ()> {
    let written =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.'));
    let number = if written { text.parse().ok() } else { None };
    number.filter(|number: &f64| number.is_finite()).ok_or(())
}

fn code(text: &str) -> Result<u8, ()> {
    text.parse().map_err(|_| ())
}

fn listed(list: &[f64], index: u8) -> Option<f64> {
    list.get(usize::from(index)).copied()
}

/// The lower edge of a step. 0 means below the range, 255 unknown, and what lies between the last step and that nothing.
fn cesq(text: &str, last: u8, edge: impl Fn(f64) -> f64) -> Result<Option<f64>, ()> {
    let code = code(text)?;
    Ok((1..=last).contains(&code).then(|| edge(code.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3GPP TS 27.007, 8.69: the first and the last step of each, what lies below, what lies beyond, and unknown.
    #[test]
    fn each_edge_of_cesq_is_as_27_007_says() {
        for (scale, first, (last, at_last), beyond) in [
            (Scale::CesqRsrp, -140.0, (97, -44.0), 98),
            (Scale::CesqRsrq, -19.5, (34, -3.0), 35),
            (Scale::CesqSsRsrp, -156.0, (126, -31.0), 127),
            (Scale::CesqSsRsrq, -43.0, (126, 19.5), 127),
            (Scale::CesqSsSinr, -23.0, (127, 40.0), 128),
        ] {
            let read = |code: u32| scale.read(&code.to_string());
            assert_eq!((read(1), read(last)), (Ok(Some(first)), Ok(Some(at_last))), "{scale:?}");
            assert_eq!((read(0), read(beyond), read(254), read(255)), (Ok(None), Ok(None), Ok(None), Ok(None)));
            assert_eq!((read(256), scale.read("-1"), scale.read("")), (Err(()), Err(()), Ok(None)), "{scale:?}");
        }
        let example =
            [(Scale::CesqSsRsrq, "65", -11.0), (Scale::CesqSsRsrp, "70", -87.0), (Scale::CesqSsSinr, "77", 15.0)];
        for (scale, code, value) in example {
            assert_eq!(scale.read(code), Ok(Some(value)));
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written_and_what_is_none_is_refused() {
        for (scale, text, value) in [
            (Scale::Plain, "-107", Some(-107.0)),
            (Scale::Plain, "-11.5", Some(-11.5)),
            (Scale::Plain, "-", None),
            (Scale::Plain, "---", None),
            (Scale::Tenth, "-740", Some(-74.0)),
            (Scale::Tenth, "95", Some(9.5)),
            (Scale::Hex, "19013B004", Some(6_712_176_644.0)),
            (Scale::Hex, "0x765D", Some(30_301.0)),
            (Scale::Hex, "690e0f", Some(6_884_879.0)),
            (Scale::Trailing, "NR5G_BAND78", Some(78.0)),
            (Scale::Trailing, "EUTRAN-BAND3", Some(3.0)),
            (Scale::LteBandwidth, "0", Some(1.4)),
            (Scale::LteBandwidth, "5", Some(20.0)),
            (Scale::LteBandwidth, "6", None),
            (Scale::NrBandwidth, "5", Some(30.0)),
            (Scale::NrBandwidth, "6", Some(40.0)),
            (Scale::NrBandwidth, "12", Some(100.0)),
            (Scale::NrBandwidth, "14", Some(400.0)),
            (Scale::NrBandwidth, "16", Some(45.0)),
            (Scale::NrBandwidth, "17", None),
        ] {
            assert_eq!(scale.read(text), Ok(value), "{scale:?} {text}");
        }
        for (scale, text) in [
            (Scale::Plain, "nan"),
            (Scale::Plain, "inf"),
            (Scale::Plain, "1e9"),
            (Scale::Plain, "1-1"),
            (Scale::Hex, "G1"),
            (Scale::Hex, "12345678901"),
            (Scale::Trailing, "BAND"),
            (Scale::NrBandwidth, "300"),
        ] {
            assert_eq!(scale.read(text), Err(()), "{scale:?} {text}");
        }
    }
}
