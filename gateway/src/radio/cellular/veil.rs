//! Keeps the numbers of people and devices from leaving: IMSI, IMEI, ICCID and phone numbers.
//!
//! Owns what is written in their place: a keyed pseudonym, the same each time on this gateway and nowhere else. Whatever a
//! modem says goes through here before anybody else sees it.

use crate::pseudonym::Key;

/// In an answer to a question about the network, more digits than this in a row are no number of a cell or a channel: the
/// longest is a cell of NR, 36 bits.
pub(super) const IN_ANSWERS: usize = 11;

/// The same anywhere else, where phone numbers may be.
pub(super) const ELSEWHERE: usize = 4;

/// Numbers that are remembered, so that they are known in whatever line they stand. The oldest goes first.
const KNOWN_MAX: usize = 16;

/// A shorter one may well be part of something else.
const KNOWN_MIN_DIGITS: usize = 8;

/// See the module's head.
pub(super) struct Veil {
    key: Key,
    /// Digits, and what stands in their place.
    known: Vec<(String, String)>,
}

impl Veil {
    pub(super) fn new(key: Key) -> Self {
        Self { key, known: Vec::new() }
    }

    /// The pseudonym of a number of this kind. From now on it stands in its place wherever the number comes.
    pub(super) fn learn(&mut self, kind: &str, digits: &str) -> String {
        let pseudonym = self.key.pseudonym(&format!("{kind}:{digits}"));
        let is_long = digits.len() >= KNOWN_MIN_DIGITS;
        if is_long && !self.known.iter().any(|(known, _)| known == digits) {
            if self.known.len() == KNOWN_MAX {
                self.known.remove(0);
            }
            self.known.push((digits.to_owned(), format!("{kind}:{pseudonym}")));
        }
        pseudonym
    }

    /// A line without numbers that are known, or parts of them, and without any that have more than so many digits. Groups of
    /// digits with a space or a dash in between, as on a label, are one number.
    pub(super) fn hide(&self, line: &str, most: usize) -> String {
        let mut hidden = String::new();
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            let (number, behind) = from.split_at(number_length(from.as_bytes()));
            let digits: String = number.chars().filter(char::is_ascii_digit).collect();
            hidden.push_str(before);
            match self.name_of(&digits) {
                Some(name) => hidden.push_str(name),
                None if digits.len() > most => {
                    hidden.push_str("number:");
                    hidden.push_str(&self.key.pseudonym(&format!("number:{digits}")));
                }
                None => hidden.push_str(number),
            }
            rest = behind;
        }
        hidden.push_str(rest);
        hidden
    }

    /// What stands in the place of digits that have a known number in them, or are a part of one: a line may be cut, and a
    /// phone number be written as within its country.
    fn name_of(&self, digits: &str) -> Option<&str> {
        let part = digits.trim_start_matches('0');
        let is_long = part.len() >= KNOWN_MIN_DIGITS;
        let is = |known: &str| digits.contains(known) || is_long && known.contains(part);
        self.known.iter().find(|(known, _)| is(known)).map(|(_, name)| name.as_str())
    }
}

/// How many bytes of a text that begins with a digit are one number.
fn number_length(text: &[u8]) -> usize {
    let is_digit = |index: usize| text.get(index).is_some_and(u8::is_ascii_digit);
    let joins = |index: usize| matches!(text.get(index), Some(b' ' | b'-')) && is_digit(index + 1);
    (0..).find(|index| !is_digit(*index) && !joins(*index)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IMEI: &str = "860123045678901";

    #[test]
    fn a_number_that_is_known_has_its_pseudonym_in_whatever_line_it_stands() {
        let mut veil = Veil::new(Key::example());
        let name = veil.learn("imei", IMEI);
        assert_eq!(veil.learn("imei", IMEI), name);
        assert_ne!(veil.learn("imsi", IMEI), name, "kinds can't be compared");
        assert_eq!(veil.hide(&format!("IMEI: {IMEI},x{IMEI}0"), 100), format!("IMEI: imei:{name},ximei:{name}"));
    }

    #[test]
    fn what_is_as_long_as_such_a_number_goes_though_nobody_knows_it() {
        let veil = Veil::new(Key::example());
        for line in ["+CIMI: 262011234567890", "89490200001234567890F", "x=491701234567"] {
            let number = line.split(|c: char| !c.is_ascii_digit()).max_by_key(|run| run.len()).unwrap();
            let hidden = veil.hide(line, IN_ANSWERS);
            assert!(hidden.contains("number:") && !hidden.contains(number), "{hidden}");
        }
        let answer = "+CPSI: NR5G_SA,Online,242-12,0x765D,68719476735,0,NR5G_BAND78,640704,-740";
        assert_eq!(veil.hide(answer, IN_ANSWERS), answer);
        assert!(veil.hide("+CLIP: \"017012345\",129", ELSEWHERE).starts_with("+CLIP: \"number:"));
        assert_eq!(veil.hide("+CME ERROR: 10", ELSEWHERE), "+CME ERROR: 10");
    }

    #[test]
    fn a_number_in_groups_or_cut_is_hidden_too() {
        let mut veil = Veil::new(Key::example());
        for line in ["IMEI 86-012304-567890-1 x", "+49 170 1234567 1"] {
            let hidden = veil.hide(line, IN_ANSWERS);
            assert!(hidden.contains("number:") && !hidden.contains("0123") && !hidden.contains("1234567"), "{hidden}");
        }
        veil.learn("imei", IMEI);
        veil.learn("number", "491701234567");
        veil.learn("iccid", "89860A12345678901");
        for (line, name) in [
            ("8601230456", "imei:"),
            ("\"45678901\",1", "imei:"),
            ("x 01701234567", "number:"),
            ("0170-1234567", "number:"),
            ("89860A12345678901", "iccid:"),
        ] {
            let hidden = veil.hide(line, IN_ANSWERS);
            assert!(hidden.contains(name) && !hidden.contains("345678") && !hidden.contains("1234"), "{hidden}");
        }
        for line in [
            "+CPSI: LTE,Online,460-11,0x5A1E,187214780,257,1850,5,5,-94,-850",
            "-107 -13",
            "1300\t\t19300",
            "2020/08/13 10:11",
        ] {
            assert_eq!(veil.hide(line, IN_ANSWERS), line);
        }
    }

    #[test]
    fn only_so_many_numbers_are_remembered() {
        let mut veil = Veil::new(Key::example());
        for n in 0..100 {
            veil.learn("imsi", &format!("2620112345{n:05}"));
        }
        assert_eq!(veil.known.len(), KNOWN_MAX);
    }

    proptest! {
        #[test]
        fn no_long_number_comes_through(line in "[0-9]{0,9}([0-9,a\" é-]{0,8}(860123045678901|[0-9]{5,20})){0,5}") {
            let mut veil = Veil::new(Key::example());
            veil.learn("imei", IMEI);
            let hidden = veil.hide(&line, ELSEWHERE);
            // Without the pseudonyms, which may have as many.
            let mut rest = hidden.replace("imei:", "number:");
            while let Some(at) = rest.find("number:") {
                rest.replace_range(at..at + "number:".len() + 32, "x");
            }
            let longest = rest.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            prop_assert!(longest <= Some(ELSEWHERE), "{hidden}");
        }
    }
}
