//! Reads the numbers of records (EN 13757-3, table 4): integers and BCD with the low byte first, and floats.

/// The digits of a number; none where it is no number, such as a text, a date or a meter's "not known".
pub(super) fn read(field: u8, data: &[u8]) -> Option<String> {
    match field {
        1..=4 | 6 | 7 => Some(integer(data).to_string()),
        5 => Some(f32::from_le_bytes(data.try_into().ok()?))
            .filter(|value| value.is_finite())
            .map(|value| value.to_string()),
        9..=12 | 14 => bcd(data),
        _ => None,
    }
}

/// Two's complement of one to eight bytes.
fn integer(data: &[u8]) -> i64 {
    let negative = data.last().is_some_and(|byte| byte & 0x80 != 0);
    let start = if negative { -1 } else { 0 };
    data.iter().rev().fold(start, |number, byte| number << 8 | i64::from(*byte))
}

/// Two digits a byte. An F in the place of the highest digit is a minus; any other letter says that there is no value.
fn bcd(data: &[u8]) -> Option<String> {
    let digits: String = data.iter().rev().map(|byte| format!("{byte:02X}")).collect();
    let digits = digits.strip_prefix('F').map_or(digits.clone(), |rest| format!("-{rest}"));
    digits.trim_start_matches('-').bytes().all(|digit| digit.is_ascii_digit()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_signs() {
        assert_eq!(read(1, &[0xff]).as_deref(), Some("-1"));
        assert_eq!(read(3, &[0x00, 0x00, 0x80]).as_deref(), Some("-8388608"));
        assert_eq!(read(7, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).as_deref(), Some("9223372036854775807"));
        assert_eq!(read(10, &[0x34, 0x12]).as_deref(), Some("1234"));
        assert_eq!(read(10, &[0x34, 0xf2]).as_deref(), Some("-234"));
        assert_eq!(read(10, &[0x34, 0xaa]), None);
        assert_eq!(read(5, &0.5_f32.to_le_bytes()).as_deref(), Some("0.5"));
        assert_eq!(read(5, &f32::NAN.to_le_bytes()), None);
    }
}
