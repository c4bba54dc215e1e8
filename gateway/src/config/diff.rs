//! What differs between two sets of settings, by the unit that must be rebuilt.

use super::radio::Radio;
use super::settings::Settings;

/// One unit whose settings differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `[gateway]`.
    Gateway,
    /// `[log]`.
    Log,
    /// `[broker]`, users and their passwords included.
    Broker,
    /// `[admin]`.
    Admin,
    /// A radio of this name is gone.
    RadioRemoved(String),
    /// The radio of this name has other settings.
    RadioChanged(String),
    /// A radio of this name is new.
    RadioAdded(String),
}

/// The units that differ: sections first, then radios that go, that change and that come. The order of radios does
/// not matter.
pub fn diff(old: &Settings, new: &Settings) -> Vec<Change> {
    let sections = [
        (old.gateway != new.gateway, Change::Gateway),
        (old.log != new.log, Change::Log),
        (old.broker != new.broker, Change::Broker),
        (old.admin != new.admin, Change::Admin),
    ];
    let mut changes: Vec<Change> = sections.into_iter().filter(|(differs, _)| *differs).map(|(_, unit)| unit).collect();
    let gone = old.radio.iter().filter(|radio| named(&new.radio, &radio.name).is_none());
    changes.extend(gone.map(|radio| Change::RadioRemoved(radio.name.clone())));
    let changed = new.radio.iter().filter(|radio| named(&old.radio, &radio.name).is_some_and(|old| old != *radio));
    changes.extend(changed.map(|radio| Change::RadioChanged(radio.name.clone())));
    let added = new.radio.iter().filter(|radio| named(&old.radio, &radio.name).is_none());
    changes.extend(added.map(|radio| Change::RadioAdded(radio.name.clone())));
    changes
}

fn named<'a>(radios: &'a [Radio], name: &str) -> Option<&'a Radio> {
    radios.iter().find(|radio| radio.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogLevel;
    use crate::config::radio::SimulatedDevice;

    fn radio(name: &str, seed: u64) -> Radio {
        Radio::simulated(name, SimulatedDevice::Line, seed)
    }

    #[test]
    fn equal_settings_differ_in_nothing_whatever_the_order_of_radios() {
        let old = Settings { radio: vec![radio("a", 1), radio("b", 1)], ..Settings::default() };
        let new = Settings { radio: vec![radio("b", 1), radio("a", 1)], ..Settings::default() };
        assert_eq!(diff(&old, &new), []);
    }

    #[test]
    fn each_unit_that_differs_is_named() {
        let old =
            Settings { radio: vec![radio("gone", 1), radio("same", 1), radio("other", 1)], ..Settings::default() };
        let mut new = Settings { radio: vec![radio("new", 1), radio("other", 2), radio("same", 1)], ..old.clone() };
        new.log.level = LogLevel::Debug;
        new.admin.listen = None;
        new.broker.max_connections = 1;
        new.gateway.id = "other".into();
        let radios = [
            Change::RadioRemoved("gone".into()),
            Change::RadioChanged("other".into()),
            Change::RadioAdded("new".into()),
        ];
        let units = [Change::Gateway, Change::Log, Change::Broker, Change::Admin];
        assert_eq!(diff(&old, &new), [units.as_slice(), radios.as_slice()].concat());
    }
}
