//! What differs between two sets of settings, by the unit that must be rebuilt.

use std::fmt;

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
    /// `[measurements]`.
    Measurements,
    /// `[plugins]`.
    Plugins,
    /// `[clock]`.
    Clock,
    /// `[position]`.
    Position,
    /// A radio of this name is gone.
    RadioRemoved(String),
    /// The radio of this name has other settings.
    RadioChanged(String),
    /// A radio of this name is new.
    RadioAdded(String),
    /// A plugin of this name is gone.
    PluginRemoved(String),
    /// The plugin of this name has other settings.
    PluginChanged(String),
    /// A plugin of this name is new.
    PluginAdded(String),
    /// An uplink of this name is gone.
    UplinkRemoved(String),
    /// The uplink of this name has other settings.
    UplinkChanged(String),
    /// An uplink of this name is new.
    UplinkAdded(String),
    /// A probe of this name is gone.
    ProbeRemoved(String),
    /// The probe of this name has other settings.
    ProbeChanged(String),
    /// A probe of this name is new.
    ProbeAdded(String),
    /// `[reflector]`.
    Reflector,
    /// Plugins that were there and stay are asked in another order.
    PluginsReordered,
}

/// In words for people: `radio boiler: changed`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name, what) = match self {
            Self::Gateway => return f.write_str("[gateway]: changed; takes effect at the next start"),
            Self::Log => return f.write_str("[log]: changed"),
            Self::Broker => return f.write_str("[broker]: changed"),
            Self::Admin => return f.write_str("[admin]: changed"),
            Self::Measurements => return f.write_str("[measurements]: changed"),
            Self::Plugins => return f.write_str("[plugins]: changed"),
            Self::Clock => return f.write_str("[clock]: changed"),
            Self::Position => return f.write_str("[position]: changed"),
            Self::Reflector => return f.write_str("[reflector]: changed"),
            Self::PluginsReordered => return f.write_str("plugins: in another order"),
            Self::RadioRemoved(name) => ("radio", name, "gone"),
            Self::RadioChanged(name) => ("radio", name, "changed"),
            Self::RadioAdded(name) => ("radio", name, "new"),
            Self::PluginRemoved(name) => ("plugin", name, "gone"),
            Self::PluginChanged(name) => ("plugin", name, "changed"),
            Self::PluginAdded(name) => ("plugin", name, "new"),
            Self::UplinkRemoved(name) => ("uplink", name, "gone"),
            Self::UplinkChanged(name) => ("uplink", name, "changed"),
            Self::UplinkAdded(name) => ("uplink", name, "new"),
            Self::ProbeRemoved(name) => ("probe", name, "gone"),
            Self::ProbeChanged(name) => ("probe", name, "changed"),
            Self::ProbeAdded(name) => ("probe", name, "new"),
        };
        write!(f, "{kind} {name}: {what}")
    }
}

/// The units that differ: sections first, then radios, plugins, uplinks and probes that go, that change and that
/// come. The order of radios, uplinks and probes does not matter, that of plugins does.
pub fn diff(old: &Settings, new: &Settings) -> Vec<Change> {
    let sections = [
        (old.gateway != new.gateway, Change::Gateway),
        (old.log != new.log, Change::Log),
        (old.broker != new.broker, Change::Broker),
        (old.admin != new.admin, Change::Admin),
        (old.measurements != new.measurements, Change::Measurements),
        (old.plugins != new.plugins, Change::Plugins),
        (old.clock != new.clock, Change::Clock),
        (old.position != new.position, Change::Position),
        (old.reflector != new.reflector, Change::Reflector),
    ];
    let mut changes: Vec<Change> = sections.into_iter().filter(|(differs, _)| *differs).map(|(_, unit)| unit).collect();
    let radios = Names { removed: Change::RadioRemoved, changed: Change::RadioChanged, added: Change::RadioAdded };
    radios.compare(&old.radio, &new.radio, Radio::name, &mut changes);
    let plugins = Names { removed: Change::PluginRemoved, changed: Change::PluginChanged, added: Change::PluginAdded };
    plugins.compare(&old.plugin, &new.plugin, |plugin| plugin.name.as_str(), &mut changes);
    let uplinks = Names { removed: Change::UplinkRemoved, changed: Change::UplinkChanged, added: Change::UplinkAdded };
    uplinks.compare(&old.uplink, &new.uplink, |uplink| &uplink.name, &mut changes);
    let probes = Names { removed: Change::ProbeRemoved, changed: Change::ProbeChanged, added: Change::ProbeAdded };
    probes.compare(&old.probe, &new.probe, |probe| &probe.name, &mut changes);
    if staying(old, new).ne(staying(new, old)) {
        changes.push(Change::PluginsReordered);
    }
    changes
}

/// The keys that differ and that a running gateway does not take: they take effect at the next start.
pub fn at_next_start(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let (before, after) = (&old.broker, &new.broker);
    let keys = [
        (old.gateway.id != new.gateway.id, "gateway.id"),
        (old.gateway.data_dir != new.gateway.data_dir, "gateway.data-dir"),
        (old.log.format != new.log.format, "log.format"),
        (before.retained_messages != after.retained_messages, "broker.retained-messages"),
        (before.retained_bytes != after.retained_bytes, "broker.retained-bytes"),
        (old.admin.setup_code_hash != new.admin.setup_code_hash, "admin.setup-code-hash"),
        (before.max_filters != after.max_filters, "broker.max-filters"),
    ];
    keys.into_iter().filter(|(differs, _)| *differs).map(|(_, key)| key).collect()
}

/// The plugins of the one that are in the other too, in its order.
fn staying<'a>(one: &'a Settings, other: &'a Settings) -> impl Iterator<Item = &'a str> {
    let there = |name: &str| other.plugin.iter().any(|plugin| plugin.name == name);
    one.plugin.iter().map(|plugin| plugin.name.as_str()).filter(move |name| there(name))
}

/// How to call what happened to something with a name.
struct Names {
    removed: fn(String) -> Change,
    changed: fn(String) -> Change,
    added: fn(String) -> Change,
}

impl Names {
    fn compare<T: PartialEq>(&self, old: &[T], new: &[T], name: fn(&T) -> &str, changes: &mut Vec<Change>) {
        let of = |list: &'_ [T], one: &T| list.iter().position(|other| name(other) == name(one));
        let gone = old.iter().filter(|one| of(new, one).is_none());
        changes.extend(gone.map(|one| (self.removed)(name(one).to_owned())));
        let changed = new.iter().filter(|one| of(old, one).is_some_and(|at| old.get(at) != Some(*one)));
        changes.extend(changed.map(|one| (self.changed)(name(one).to_owned())));
        let added = new.iter().filter(|one| of(old, one).is_none());
        changes.extend(added.map(|one| (self.added)(name(one).to_owned())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::radio::SimulatedDevice;
    use crate::config::{LogLevel, Plugin, SerialRadio};

    fn radio(name: &str, seed: u64) -> Radio {
        Radio::Serial(SerialRadio::simulated(name, SimulatedDevice::Line, seed))
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

    fn plugins(names: &[(&str, u64)]) -> Settings {
        let plugin = |(name, seconds): &(&str, u64)| Plugin {
            tick: Some(std::time::Duration::from_secs(*seconds)),
            ..Plugin::new(name, "/p.wasm", "#")
        };
        Settings { plugin: names.iter().map(plugin).collect(), ..Settings::default() }
    }

    #[test]
    fn a_plugin_that_goes_changes_comes_or_moves_is_named() {
        let old = plugins(&[("gone", 1), ("a", 1), ("b", 1)]);
        let named = [
            Change::PluginRemoved("gone".into()),
            Change::PluginChanged("b".into()),
            Change::PluginAdded("new".into()),
        ];
        assert_eq!(diff(&old, &plugins(&[("a", 1), ("new", 1), ("b", 2)])), named);
        let moved = diff(&old, &plugins(&[("b", 1), ("gone", 1), ("a", 1)]));
        assert_eq!(moved, [Change::PluginsReordered]);
        assert_eq!(diff(&old, &old), []);
    }
}
