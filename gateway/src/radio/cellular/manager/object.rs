//! One modem as ModemManager shows it: its interfaces and their properties, whatever their types are.
//!
//! Source: ModemManager 1.20, D-Bus reference, and its flags and enumerations.

use serde_json::{Map, Value};

use super::super::about::Sim;

pub(super) const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
pub(super) const THREE_GPP: &str = "org.freedesktop.ModemManager1.Modem.Modem3gpp";
pub(super) const SIGNAL: &str = "org.freedesktop.ModemManager1.Modem.Signal";
pub(super) const LOCATION: &str = "org.freedesktop.ModemManager1.Modem.Location";
pub(super) const SIMPLE: &str = "org.freedesktop.ModemManager1.Modem.Simple";
pub(super) const SIM: &str = "org.freedesktop.ModemManager1.Sim";
pub(super) const BEARER: &str = "org.freedesktop.ModemManager1.Bearer";

/// MM_MODEM_PORT_TYPE_IGNORED: ModemManager has seen it and leaves it to others.
const IGNORED: i64 = 9;

/// What is where no object is.
const NOWHERE: &str = "/";
/// What all of a modem's bearers are called where they are to be disconnected.
pub(super) const ALL_BEARERS: &str = NOWHERE;

/// More modems than this are not looked at.
const MODEMS_MAX: usize = 32;

/// MMModemState, by number from -1.
const STATES: [&str; 13] = [
    "failed",
    "unknown",
    "initializing",
    "locked",
    "disabled",
    "disabling",
    "enabling",
    "enabled",
    "searching",
    "registered",
    "disconnecting",
    "connecting",
    "connected",
];

/// See the module's head.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) path: String,
    interfaces: Map<String, Value>,
}

impl Object {
    /// The modems among all that ModemManager has.
    pub(super) fn all(objects: &Value) -> Vec<Self> {
        let objects = objects.as_object().into_iter().flatten();
        let modems = objects.filter_map(|(path, interfaces)| {
            let interfaces = interfaces.as_object().filter(|interfaces| interfaces.contains_key(MODEM))?;
            Some(Self { path: path.clone(), interfaces: interfaces.clone() })
        });
        modems.take(MODEMS_MAX).collect()
    }

    /// A property; `null` where it is not there.
    pub(super) fn get(&self, interface: &str, property: &str) -> &Value {
        self.interfaces.get(interface).and_then(|all| all.get(property)).unwrap_or(&Value::Null)
    }

    /// A text that is not empty.
    pub(super) fn text(&self, interface: &str, property: &str) -> Option<&str> {
        self.get(interface, property).as_str().filter(|text| !text.is_empty())
    }

    /// A whole number.
    pub(super) fn whole(&self, interface: &str, property: &str) -> Option<i64> {
        self.get(interface, property).as_i64()
    }

    /// Whether it has an interface. Some come when the modem is ready.
    pub(super) fn has(&self, interface: &str) -> bool {
        self.interfaces.contains_key(interface)
    }

    /// Its ports, by name: those that ModemManager has, and not those that it leaves to others.
    fn ports(&self) -> impl Iterator<Item = &str> {
        let ports = self.get(MODEM, "Ports").as_array().into_iter().flatten();
        ports.filter_map(|port| match (port.get(0)?.as_str(), port.get(1)?.as_i64()) {
            (Some(name), Some(kind)) if kind != IGNORED => Some(name),
            _ => None,
        })
    }

    /// Whether ModemManager has a port of this name by it.
    pub(super) fn has_port(&self, name: &str) -> bool {
        self.text(MODEM, "PrimaryPort") == Some(name) || self.ports().any(|port| port == name)
    }

    /// Whether the settings can mean it by this word.
    pub(super) fn is_called(&self, wanted: &str) -> bool {
        self.text(MODEM, "Device") == Some(wanted) || self.has_port(wanted)
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> &str {
        self.text(MODEM, "PrimaryPort").or_else(|| self.text(MODEM, "Device")).unwrap_or(&self.path)
    }

    /// Maker and model, for people.
    pub(super) fn model(&self) -> String {
        let words = ["Manufacturer", "Model"].into_iter().filter_map(|word| self.text(MODEM, word));
        words.collect::<Vec<_>>().join(" ")
    }

    /// How far it is: MMModemState.
    pub(super) fn state(&self) -> i64 {
        self.whole(MODEM, "State").unwrap_or(0)
    }

    /// The same as a word.
    pub(super) fn state_word(&self) -> &'static str {
        let index = usize::try_from(self.state().saturating_add(1)).ok();
        index.and_then(|index| STATES.get(index)).copied().unwrap_or("unknown")
    }

    /// Whether its radio is on.
    pub(super) fn is_enabled(&self) -> bool {
        matches!(
            self.state_word(),
            "enabled" | "searching" | "registered" | "disconnecting" | "connecting" | "connected"
        )
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state_word() == "connected"
    }

    /// Whether it may be told to connect: it is not on its way anywhere.
    pub(super) fn may_connect(&self) -> bool {
        self.has(SIMPLE) && matches!(self.state_word(), "disabled" | "enabled" | "registered")
    }

    /// The path of its SIM card's object.
    pub(super) fn sim_path(&self) -> Option<&str> {
        self.text(MODEM, "Sim").filter(|path| *path != NOWHERE)
    }

    /// The paths of its bearers.
    pub(super) fn bearers(&self) -> impl Iterator<Item = &str> {
        self.get(MODEM, "Bearers").as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// How its card is; `None` where it wants a PIN. (MMModemLock, MMModemStateFailedReason.)
    pub(super) fn sim(&self) -> Option<Sim> {
        match (self.whole(MODEM, "UnlockRequired"), self.whole(MODEM, "StateFailedReason")) {
            (_, Some(2)) => Some(Sim::Absent),
            (_, Some(3)) => Some(Sim::Failed),
            // PIN2 and PUK2 are for what nobody wants here.
            (Some(1 | 3 | 5), _) => Some(Sim::Ready),
            (Some(2), _) => None,
            (Some(4), _) => Some(Sim::Blocked),
            _ => Some(Sim::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn modem(properties: &Value) -> Object {
        let objects = json!({ "/org/freedesktop/ModemManager1/Modem/0": { MODEM: properties } });
        Object::all(&objects).remove(0)
    }

    #[test]
    fn a_modem_is_known_by_its_ports_and_its_device_and_a_port_that_is_left_to_others_is_none_of_its() {
        let ports = json!([["ttyUSB2", 3], ["cdc-wdm0", 6], ["ttyUSB0", 9], ["x"], 7, [1, 2]]);
        let modem = modem(&json!({ "Device": "/sys/devices/a/usb1/1-1", "PrimaryPort": "cdc-wdm0", "Ports": ports }));
        for (name, is) in
            [("ttyUSB2", true), ("cdc-wdm0", true), ("/sys/devices/a/usb1/1-1", true), ("ttyUSB0", false), ("x", false)]
        {
            assert_eq!(modem.is_called(name), is, "{name}");
        }
        assert!(!modem.has_port("/sys/devices/a/usb1/1-1"));
    }

    #[test]
    fn a_card_is_as_its_lock_says_and_pin2_is_nobodys_business() {
        let sim =
            |lock: Value, reason: Value| modem(&json!({ "UnlockRequired": lock, "StateFailedReason": reason })).sim();
        for (lock, wanted) in [
            (0, Some(Sim::Unknown)),
            (1, Some(Sim::Ready)),
            (2, None),
            (3, Some(Sim::Ready)),
            (4, Some(Sim::Blocked)),
            (6, Some(Sim::Unknown)),
        ] {
            assert_eq!(sim(json!(lock), json!(0)), wanted, "{lock}");
        }
        assert_eq!(sim(json!(0), json!(2)), Some(Sim::Absent));
        assert_eq!(sim(json!(0), json!(3)), Some(Sim::Failed));
        assert_eq!(sim(json!("locked"), json!([])), Some(Sim::Unknown), "whatever its type is");
    }

    #[test]
    fn what_is_no_modem_is_none_and_a_state_that_nobody_knows_is_unknown() {
        for objects in [json!(null), json!([]), json!({ "/a": 7 }), json!({ "/a": { "other": {} } })] {
            assert_eq!(Object::all(&objects), []);
        }
        let words = [json!(-1), json!(8), json!(11), json!(12), json!(i64::MAX), json!("up")];
        let words = words.map(|state| modem(&json!({ "State": state })).state_word());
        assert_eq!(words, ["failed", "registered", "connected", "unknown", "unknown", "unknown"]);
    }
}
