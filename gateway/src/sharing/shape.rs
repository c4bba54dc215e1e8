//! What is left of a payload. Values that go as they are keep their text, down to the last digit and space; objects and
//! lists of which only a part goes are written anew around them.

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::coarse;
use super::document::Name;
use super::trace::{Became, Trace};
use super::tree::{Here, Said, Tree, What};
use crate::pseudonym::Key;

/// Names of the members of a position.
const LATITUDE: [&str; 2] = ["latitude", "lat"];
const LONGITUDE: [&str; 4] = ["longitude", "lon", "lng", "long"];

/// Why something is left out, for who follows.
const NOT_NAMED: &str = "no rule names it";

/// The way through one payload.
struct Shaper<'a> {
    key: &'a Key,
    trace: &'a mut Trace,
    out: String,
}

/// Writes what may leave of a text that [`check`](super::document::check) has let through; `None` where that is nothing.
/// With `keep`, what nothing is said of goes as it is.
pub(super) fn shape(text: &str, tree: &Tree, keep: bool, key: &Key, trace: &mut Trace) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let mut shaper = Shaper { key, trace, out: String::with_capacity(text.len()) };
    shaper.value(raw, &Here::top(tree), keep.then_some("nothing is said of it")).then_some(shaper.out)
}

/// Why a value goes as it is where nothing is said of it; `None` where it does not go.
type Keep<'w> = Option<&'w str>;

impl Shaper<'_> {
    /// Says whether something was written.
    fn value(&mut self, raw: &RawValue, here: &Here<'_>, keep: Keep<'_>) -> bool {
        let said = here.said();
        match said.map(|said| (said.what, said)) {
            Some((What::Pseudonym, said)) => return self.pseudonym(raw, said),
            Some((What::Number(decimals), said)) => {
                return self.less(raw, said, |json| coarse::to_decimals(json, decimals));
            }
            Some((What::Time(to), said)) => return self.less(raw, said, |json| coarse::time(json, to)),
            Some((What::Position(metres), said)) => return self.position(raw, here, metres, said),
            Some((What::Keep, said)) => {
                let words = said.words();
                return self.whole_or_parts(raw, here, Some(&words));
            }
            None => {}
        }
        self.whole_or_parts(raw, here, keep)
    }

    fn whole_or_parts(&mut self, raw: &RawValue, here: &Here<'_>, keep: Keep<'_>) -> bool {
        if !here.is_end() {
            match raw.get().as_bytes().first() {
                Some(b'{') => return self.object(raw, here, keep, None),
                Some(b'[') => return self.list(raw, here, keep),
                _ => {}
            }
        }
        match keep {
            Some(why) => self.write(raw.get(), Became::Kept, || why.to_owned()),
            None => self.leave_out(|| NOT_NAMED.to_owned()),
        }
    }

    fn write(&mut self, json: &str, became: Became, why: impl FnOnce() -> String) -> bool {
        self.out.push_str(json);
        self.trace.note(became, why);
        true
    }

    fn leave_out(&mut self, why: impl FnOnce() -> String) -> bool {
        self.trace.note(Became::LeftOut, why);
        false
    }

    /// Members, each shaped; what is in none of them does not go. `position` says what latitude and longitude become.
    fn object(&mut self, raw: &RawValue, here: &Here<'_>, keep: Keep<'_>, position: Option<&Position<'_>>) -> bool {
        let Some(Members(members)) = read(raw) else { return self.leave_out(|| "it can't be read".to_owned()) };
        let start = self.out.len();
        self.out.push('{');
        let mut first = true;
        for (Name(name), raw) in &members {
            let mark = self.out.len();
            let entered = self.trace.enter(|| name.clone().into_owned());
            let below = here.member(name);
            let moved = position.and_then(|position| position.member(name, &below));
            let written = if moved.is_none() && keep.is_none() && below.is_nothing() {
                self.leave_out(|| NOT_NAMED.to_owned())
            } else {
                self.begin_member(name, first);
                match moved {
                    Some((degrees, said)) => self.less(raw, said, |_| degrees.and_then(coarse::degrees)),
                    None => self.value(raw, &below, keep),
                }
            };
            self.trace.leave(entered);
            if written { first = false } else { self.out.truncate(mark) }
        }
        self.close(start, '}', first && !(members.is_empty() && keep.is_some()))
    }

    fn begin_member(&mut self, name: &str, first: bool) {
        if !first {
            self.out.push(',');
        }
        // A text can always be written.
        self.out.push_str(&serde_json::to_string(name).unwrap_or_default());
        self.out.push(':');
    }

    fn list(&mut self, raw: &RawValue, here: &Here<'_>, keep: Keep<'_>) -> bool {
        let Some(items): Option<Vec<&RawValue>> = read(raw) else {
            return self.leave_out(|| "it can't be read".to_owned());
        };
        let start = self.out.len();
        self.out.push('[');
        let mut first = true;
        for (place, raw) in items.iter().enumerate() {
            let mark = self.out.len();
            if !first {
                self.out.push(',');
            }
            let entered = self.trace.enter(|| place.to_string());
            let written = self.value(raw, &here.item(place), keep);
            self.trace.leave(entered);
            if written { first = false } else { self.out.truncate(mark) }
        }
        self.close(start, ']', first && !(items.is_empty() && keep.is_some()))
    }

    fn close(&mut self, start: usize, bracket: char, nothing: bool) -> bool {
        if nothing {
            self.out.truncate(start);
        } else {
            self.out.push(bracket);
        }
        !nothing
    }

    /// A text by itself, a number or a truth by how it is written: 7 and "7" are one.
    fn pseudonym(&mut self, raw: &RawValue, said: &Said) -> bool {
        let json = raw.get();
        let pseudonym = match json.as_bytes().first() {
            Some(b'{' | b'[') => return self.leave_out(|| format!("{}, and it is no single value", said.words())),
            Some(b'n') => return self.write(json, Became::Kept, || "null says nothing".to_owned()),
            Some(b'"') => read(raw).map(|Name(text)| self.key.pseudonym(&text)),
            _ => Some(self.key.pseudonym(json)),
        };
        let Some(pseudonym) = pseudonym else { return self.leave_out(|| "it can't be read".to_owned()) };
        self.write(&format!("\"{pseudonym}\""), Became::Pseudonym, || said.words())
    }

    /// Something less exact in its place; what can't be made that does not go.
    fn less(&mut self, raw: &RawValue, said: &Said, make: impl FnOnce(&str) -> Option<String>) -> bool {
        if raw.get() == "null" {
            return self.write("null", Became::Kept, || "null says nothing".to_owned());
        }
        match make(raw.get()) {
            Some(json) => self.write(&json, Became::Coarse, || said.words()),
            None => self.leave_out(|| format!("{}, and it can't be made coarse", said.words())),
        }
    }

    /// Latitude and longitude, in an object or as a list; whatever else is there goes only where it is named.
    fn position(&mut self, raw: &RawValue, here: &Here<'_>, metres: u32, said: &Said) -> bool {
        match raw.get().as_bytes().first() {
            Some(b'{') => {
                let members = read(raw).unwrap_or(Members(Vec::new()));
                let position = Position::of(&members, metres, said);
                self.object(raw, here, None, Some(&position))
            }
            _ => self.less(raw, said, |_| pair(raw, metres)),
        }
    }
}

/// A list of longitude and latitude, as GeoJSON has it (RFC 7946, section 3.1.1); an altitude behind them does not go.
fn pair(raw: &RawValue, metres: u32) -> Option<String> {
    let items: Vec<&RawValue> = read(raw)?;
    let [longitude, latitude, ..] = items.as_slice() else { return None };
    let latitude = coarse::latitude(latitude.get(), metres)?;
    let longitude = coarse::longitude(longitude.get(), latitude, metres)?;
    Some(format!("[{},{}]", coarse::degrees(longitude)?, coarse::degrees(latitude)?))
}

/// What a position comes to.
struct Position<'s> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    said: &'s Said,
}

impl<'s> Position<'s> {
    /// Of several members that are a latitude, the first counts.
    fn of(Members(members): &Members<'_>, metres: u32, said: &'s Said) -> Self {
        let first = |names: &[&str]| members.iter().find(|(Name(name), _)| names.contains(&name.as_ref()));
        let latitude = first(&LATITUDE).and_then(|(_, raw)| coarse::latitude(raw.get(), metres));
        let longitude = first(&LONGITUDE).zip(latitude);
        let longitude = longitude.and_then(|((_, raw), at)| coarse::longitude(raw.get(), at, metres));
        Self { latitude, longitude, said }
    }

    /// What becomes of a member, unless it is none of the two, or something stronger is said of it.
    fn member(&self, name: &str, below: &Here<'_>) -> Option<(Option<f64>, &'s Said)> {
        let degrees = match name {
            name if LATITUDE.contains(&name) => self.latitude,
            name if LONGITUDE.contains(&name) => self.longitude,
            _ => return None,
        };
        let other = below.said().is_some_and(|said| said.what != What::Keep);
        (!other).then_some((degrees, self.said))
    }
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(Name<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(Name<'de>, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut read = Vec::new();
                while let Some(member) = members.next_entry()? {
                    read.push(member);
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Reader).map(Members)
    }
}

fn read<'a, T: serde::Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}
