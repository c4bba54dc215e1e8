//! How Basics Station writes 64-bit identifiers: as ID6, as an EUI, or as a number (doc.sm.tc/station, glossary).

use serde::{Deserialize, Deserializer, de};

use crate::config::Eui;

/// Reads an ID6 or an EUI. An ID6 is four numbers of up to four hex digits with colons between them, where `::` stands
/// once for zeros; a word and a `-` may stand before it, as in `router-::1`.
pub(super) fn parse(text: &str) -> Option<Eui> {
    Eui::parse(text).or_else(|| id6(text))
}

fn id6(text: &str) -> Option<Eui> {
    let text = match text.split_once('-') {
        Some((word, id)) if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) => id,
        _ => text,
    };
    let groups = match text.split_once("::") {
        None => numbers(text)?,
        Some((left, right)) => {
            let (mut left, right) = (numbers(left)?, numbers(right)?);
            // It stands for one zero at least.
            let zeros = 4_usize.checked_sub(left.len() + right.len()).filter(|zeros| *zeros > 0)?;
            left.extend(std::iter::repeat_n(0, zeros));
            left.extend(right);
            left
        }
    };
    (groups.len() == 4).then(|| Eui(groups.iter().fold(0, |id, group| id << 16 | u64::from(*group))))
}

/// The numbers between colons; none where there is nothing.
fn numbers(text: &str) -> Option<Vec<u16>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let number = |digits: &str| {
        let fits = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    };
    text.split(':').map(number).collect()
}

/// The same as an ID6, without `::`.
pub(super) fn as_id6(eui: Eui) -> String {
    let [a, b, c, d] = [48, 32, 16, 0].map(|shift| eui.0 >> shift & 0xffff);
    format!("{a:x}:{b:x}:{c:x}:{d:x}")
}

/// For fields of messages.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(from)? {
        Written::Number(number) => Ok(number),
        Written::Text(text) => parse(&text).map(|eui| eui.0).ok_or_else(|| de::Error::custom("this is no EUI")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_identifier_is_read_in_each_of_its_forms() {
        for (text, value) in [
            ("b827:ebff:fe61:1234", 0xb827_ebff_fe61_1234),
            ("B8-27-EB-FF-FE-61-12-34", 0xb827_ebff_fe61_1234),
            ("b827ebfffe611234", 0xb827_ebff_fe61_1234),
            ("::1", 1),
            ("router-::1", 1),
            ("1::", 1 << 48),
            ("::", 0),
            ("1::2", 1 << 48 | 2),
            ("1:2::3", 1 << 48 | 2 << 32 | 3),
            ("1:2:3:4", 1 << 48 | 2 << 32 | 3 << 16 | 4),
        ] {
            assert_eq!(parse(text), Some(Eui(value)), "{text}");
        }
        for bad in
            ["", "1", "1:2:3", "1:2:3:4:5", "1:2:3::4", "::1::", "12345::", "g::", "a b-::1", ":1:2:3", "+1::", "-::1-"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value: u64) {
            prop_assert_eq!(parse(&as_id6(Eui(value))), Some(Eui(value)));
            prop_assert_eq!(parse(&Eui(value).to_string()), Some(Eui(value)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-g:-]{0,24}|.{0,12}") {
            let _ = parse(&text);
        }
    }
}
