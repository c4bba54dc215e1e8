//! OBIS codes (IEC 62056-61), A-B:C.D.E: what they are called here. DSMR and SML share them.

use crate::reading::Kind;

/// A code without its last group, which is 255 in what meters send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Obis {
    pub(crate) a: u8,
    pub(crate) b: u8,
    pub(crate) c: u8,
    pub(crate) d: u8,
    pub(crate) e: u8,
}

impl Obis {
    /// Reads `1-0:1.8.1` or `1-0:1.8.1*255`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (medium, rest) = text.split_once('-')?;
        let (channel, rest) = rest.split_once(':')?;
        let rest = rest.split_once('*').map_or(rest, |(code, _)| code);
        let mut groups = rest.split('.').map(|group| group.parse().ok());
        let mut next = || groups.next().flatten();
        let code = Self { a: medium.parse().ok()?, b: channel.parse().ok()?, c: next()?, d: next()?, e: next()? };
        groups.next().is_none().then_some(code)
    }

    /// What it is called and what it is. One that is not in the table goes by its code.
    pub(crate) fn name(self) -> (String, Kind) {
        let (name, kind) = match (self.a, self.c, self.d, self.e) {
            (1, 1, 8, _) => ("energy-import", Kind::Counter),
            (1, 2, 8, _) => ("energy-export", Kind::Counter),
            (1, 3, 8, _) => ("reactive-energy-import", Kind::Counter),
            (1, 4, 8, _) => ("reactive-energy-export", Kind::Counter),
            (1, 1, 7, 0) => ("power-import", Kind::Gauge),
            (1, 2, 7, 0) => ("power-export", Kind::Gauge),
            (1, 16, 7, 0) => ("power", Kind::Gauge),
            (1, 3, 7, 0) => ("reactive-power-import", Kind::Gauge),
            (1, 4, 7, 0) => ("reactive-power-export", Kind::Gauge),
            (1, 14, 7, 0) => ("frequency", Kind::Gauge),
            (0, 96, 14, 0) => ("tariff", Kind::Gauge),
            (0, 96, 3, 10) => ("switch", Kind::Watched),
            (0, 96, 7, 21) => ("power-failures", Kind::Watched),
            (0, 96, 7, 9) => ("long-power-failures", Kind::Watched),
            _ => return self.phase().unwrap_or_else(|| (self.to_string(), Kind::Gauge)),
        };
        match (self.d, self.e) {
            (8, 1..) => (format!("{name}-t{}", self.e), kind),
            _ => (name.to_owned(), kind),
        }
    }

    /// The groups 21 to 79 of electricity: twenty for each phase.
    fn phase(self) -> Option<(String, Kind)> {
        let phase = self.c.checked_sub(1)? / 20;
        if self.a != 1 || !(1..=3).contains(&phase) || self.e != 0 {
            return None;
        }
        let (name, kind) = match (self.c - 20 * phase, self.d) {
            (1, 7) => ("power-import", Kind::Gauge),
            (2, 7) => ("power-export", Kind::Gauge),
            (16, 7) => ("power", Kind::Gauge),
            (11, 7) => ("current", Kind::Gauge),
            (12, 7) => ("voltage", Kind::Gauge),
            (12, 32) => ("voltage-sags", Kind::Watched),
            (12, 36) => ("voltage-swells", Kind::Watched),
            _ => return None,
        };
        Some((format!("{name}-l{phase}"), kind))
    }
}

impl std::fmt::Display for Obis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { a, b, c, d, e } = self;
        write!(f, "{a}-{b}:{c}.{d}.{e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names() {
        for (code, name) in [
            ("1-0:1.8.0", "energy-import"),
            ("1-0:2.8.2*255", "energy-export-t2"),
            ("1-0:21.7.0", "power-import-l1"),
            ("1-0:56.7.0", "power-l2"),
            ("1-0:72.7.0", "voltage-l3"),
            ("1-0:51.7.0", "current-l2"),
            ("1-0:81.7.1", "1-0:81.7.1"),
        ] {
            assert_eq!(Obis::read(code).map(|code| code.name().0).as_deref(), Some(name), "{code}");
        }
        for text in ["", "1-0", "1-0:1.8", "1-0:1.8.0.1", "1-0:1.8.256", "x-0:1.8.0"] {
            assert_eq!(Obis::read(text), None, "{text}");
        }
    }
}
