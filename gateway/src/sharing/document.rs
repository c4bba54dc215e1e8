//! Whether a payload is JSON (RFC 8259) that can be judged: of bounded size and depth, and with each name once. Of two
//! members with one name, one reader would take the first and the next the last; so neither is let through.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::Withheld;

/// The longest payload whose fields are looked at, in bytes. All of it is looked at in one turn of the daemon's thread.
pub(super) const BYTES_MAX: usize = 256 * 1024;

/// The deepest, in levels of objects and lists.
const DEPTH_MAX: usize = 32;

/// The text of a payload that can be judged.
pub(super) fn check(payload: &[u8]) -> Result<&str, Withheld> {
    if payload.len() > BYTES_MAX {
        return Err(Withheld::TooLarge);
    }
    let text = std::str::from_utf8(payload).map_err(|_| Withheld::NotJson)?;
    let mut flaw = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Look { depth: 0, flaw: &mut flaw }.deserialize(&mut reader).and_then(|()| reader.end());
    match (flaw, read) {
        (Some(flaw), _) => Err(flaw),
        (None, Err(_)) => Err(Withheld::NotJson),
        (None, Ok(())) => Ok(text),
    }
}

/// Looks at one value and all that is in it.
struct Look<'a> {
    /// Levels above it.
    depth: usize,
    /// Why it can't be judged, where it is JSON nevertheless.
    flaw: &'a mut Option<Withheld>,
}

impl Look<'_> {
    fn fail<E: Error>(&mut self, flaw: Withheld) -> E {
        *self.flaw = Some(flaw);
        E::custom("it can't be judged")
    }

    fn deeper<E: Error>(&mut self) -> Result<Look<'_>, E> {
        if self.depth == DEPTH_MAX {
            return Err(self.fail(Withheld::TooDeep));
        }
        Ok(Look { depth: self.depth + 1, flaw: self.flaw })
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let below = self.deeper()?;
        while items.next_element_seed(Look { depth: below.depth, flaw: below.flaw })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut below = self.deeper()?;
        let mut names = HashSet::new();
        while let Some(Name(name)) = members.next_key()? {
            if !names.insert(name) {
                return Err(below.fail(Withheld::DuplicateKey));
            }
            members.next_value_seed(Look { depth: below.depth, flaw: below.flaw })?;
        }
        Ok(())
    }
}

/// A member's name, without its escapes; copied only where there are some.
#[derive(serde::Deserialize, PartialEq, Eq, Hash)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_judged_is_json_of_bounded_depth_with_each_name_once() {
        for good in ["{}", " [1, 2e3, -0.1] ", "\"a\"", "null", "{\"a\":{\"b\":1},\"b\":[{\"a\":1},{\"a\":2}]}"] {
            assert_eq!(check(good.as_bytes()), Ok(good));
        }
        for bad in
            ["", "21.5 ", "{", "{a:1}", "{'a':1}", "[1,]", "{\"a\":1}x", "\"\\ud800\"", "NaN", "1e999", "\u{feff}{}"]
        {
            let expected = if bad == "21.5 " { Ok(bad) } else { Err(Withheld::NotJson) };
            assert_eq!(check(bad.as_bytes()), expected, "{bad}");
        }
        assert_eq!(check(b"\"\xff\""), Err(Withheld::NotJson));
        for twice in ["{\"a\":1,\"a\":1}", "[{\"b\":{\"a\":1,\"\\u0061\":2}}]"] {
            assert_eq!(check(twice.as_bytes()), Err(Withheld::DuplicateKey), "{twice}");
        }
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(check(deep(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(check(deep(DEPTH_MAX + 1).as_bytes()), Err(Withheld::TooDeep));
        assert_eq!(check(deep(100_000).as_bytes()), Err(Withheld::TooDeep));
        assert_eq!(check(&vec![b' '; BYTES_MAX + 1]), Err(Withheld::TooLarge));
    }
}
