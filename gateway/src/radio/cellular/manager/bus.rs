//! The system's D-Bus, and ModemManager on it.
//!
//! The only file that knows D-Bus's types: what comes from there leaves as JSON, whatever it is, and whoever reads it takes what
//! has the form that it wants. Each call has an end, and an answer a size. ModemManager is never started by a call: calls go to
//! whoever has its name now, and fail when that is another one.

use std::time::Duration;

use serde_json::{Map, Value, json};
use zbus::connection::Builder;
use zbus::zvariant::{self, DynamicType, ObjectPath, Structure};

use zbus::{Connection, Error};

/// ModemManager's name.
const MANAGER: &str = "org.freedesktop.ModemManager1";

/// How long the bus may take to be there, and ModemManager for what it knows already.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same for what it has to ask the modem for.
pub(super) const MODEM_PATIENCE: Duration = Duration::from_secs(15);

/// The same for a connection, which may wait for the network. ModemManager itself gives up after three minutes.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(200);

/// The longest answer. All that is known of a modem has some 10 KiB.
const ANSWER_MAX: usize = 512 * 1024;

/// Messages that may wait to be looked at. Only answers come, one at a time.
const QUEUE: usize = 8;

/// What a call may be given.
pub(super) trait Arguments: serde::Serialize + DynamicType {}

impl<T: serde::Serialize + DynamicType> Arguments for T {}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BusError {
    /// There is no bus.
    #[error("there is no system bus: {0}; see that D-Bus runs, `systemctl status dbus`")]
    NoBus(String),
    /// Nobody has ModemManager's name.
    #[error(
        "ModemManager does not run; start it, `systemctl start ModemManager`, or remove `via` to ask the modem by AT"
    )]
    NoManager,
    /// The connection to the bus broke, or ModemManager is another one now.
    #[error("the way to ModemManager broke: {0}; it is found again when it is back")]
    Broke(String),
    /// The modem is there no more.
    #[error("ModemManager has the modem no more: it was unplugged, or reset; it is found again when it is back")]
    Gone,
    /// It took too long.
    #[error("ModemManager does not answer to {0}; see `mmcli -L` and `journalctl -u ModemManager`")]
    Silent(String),
    /// It said no.
    #[error("ModemManager says no to {call}: {text} ({name})")]
    No {
        /// What it was asked.
        call: String,
        /// The error's name on the bus.
        name: String,
        /// In words.
        text: String,
    },
    /// The answer is longer than any that makes sense.
    #[error("ModemManager's answer to {0} has {1} bytes, which is too much")]
    TooLong(String, usize),
}

impl BusError {
    /// Whether it is the rights that are wanting: of the bus, or of polkit.
    pub(super) fn is_forbidden(&self) -> bool {
        let Self::No { name, .. } = self else { return false };
        matches!(
            name.as_str(),
            "org.freedesktop.DBus.Error.AccessDenied" | "org.freedesktop.ModemManager1.Error.Core.Unauthorized"
        )
    }

    /// Whether only this call has failed, and another may work.
    pub(super) fn is_of_the_call(&self) -> bool {
        matches!(self, Self::No { .. } | Self::TooLong(..))
    }
}

/// The way to the ModemManager that runs now.
#[derive(Clone)]
pub(super) struct Bus {
    connection: Connection,
    /// Its own name on the bus, which nobody else gets.
    pub(super) manager: String,
}

impl Bus {
    /// Finds the bus, and ModemManager on it.
    pub(super) async fn open() -> Result<Self, BusError> {
        let opening = async { Builder::system()?.max_queued(QUEUE).build().await };
        let connection = match tokio::time::timeout(PATIENCE, opening).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(BusError::NoBus(error.to_string())),
            Err(_elapsed) => return Err(BusError::NoBus("it does not answer".to_owned())),
        };
        let bus = Self { connection, manager: "org.freedesktop.DBus".to_owned() };
        let owner = bus.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner", &MANAGER, PATIENCE).await;
        match owner {
            Ok(Value::String(manager)) => Ok(Self { manager, ..bus }),
            Ok(_) | Err(BusError::No { .. } | BusError::Broke(_)) => Err(BusError::NoManager),
            Err(error) => Err(error),
        }
    }

    /// Calls a method; what comes back, as JSON: the value, a list of several, or `null` for none.
    pub(super) async fn call(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &impl Arguments,
        patience: Duration,
    ) -> Result<Value, BusError> {
        let call =
            || format!("{}.{method}", interface.strip_prefix("org.freedesktop.ModemManager1.").unwrap_or(interface));
        let destination = Some(self.manager.as_str());
        let asking = self.connection.call_method(destination, path, Some(interface), method, arguments);
        let answer = match tokio::time::timeout(patience, asking).await {
            Err(_elapsed) => return Err(BusError::Silent(call())),
            Ok(Err(Error::MethodError(name, text, _))) => {
                let name = name.to_string();
                let text = text.unwrap_or_default();
                // Of the bus itself: there is nobody any more.
                let is_gone = ["ServiceUnknown", "NameHasNoOwner", "Disconnected", "NoReply"];
                if is_gone.iter().any(|word| name == format!("org.freedesktop.DBus.Error.{word}")) {
                    return Err(BusError::Broke(text));
                }
                return Err(BusError::No { call: call(), name, text });
            }
            Ok(Err(error)) => return Err(BusError::Broke(error.to_string())),
            Ok(Ok(answer)) => answer,
        };
        let body = answer.body();
        if body.len() > ANSWER_MAX {
            return Err(BusError::TooLong(call(), body.len()));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        let Ok(values) = body.deserialize::<Structure<'_>>() else { return Ok(Value::Null) };
        let mut values: Vec<Value> = values.fields().iter().map(json_of).collect();
        Ok(if values.len() == 1 { values.remove(0) } else { Value::Array(values) })
    }

    /// All that ModemManager has, by path and interface.
    pub(super) async fn objects(&self) -> Result<Value, BusError> {
        let path = "/org/freedesktop/ModemManager1";
        self.call(path, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &(), PATIENCE).await
    }

    /// The properties of one interface.
    pub(super) async fn properties(&self, path: &str, interface: &str) -> Result<Value, BusError> {
        self.call(path, "org.freedesktop.DBus.Properties", "GetAll", &interface, PATIENCE).await
    }

    /// Has a modem connect, by this access point. The path of the bearer comes back.
    pub(super) async fn connect(&self, modem: &str, apn: &str) -> Result<Value, BusError> {
        let wanted = std::collections::HashMap::from([("apn", zvariant::Value::from(apn))]);
        self.call(modem, super::object::SIMPLE, "Connect", &wanted, CONNECT_PATIENCE).await
    }

    /// Has a modem end the connection of this bearer.
    pub(super) async fn disconnect(&self, modem: &str, bearer: &str, patience: Duration) -> Result<Value, BusError> {
        let Ok(bearer) = ObjectPath::try_from(bearer) else { return Ok(Value::Null) };
        self.call(modem, super::object::SIMPLE, "Disconnect", &bearer, patience).await
    }
}

/// The same value in JSON. Nesting has an end by D-Bus's own rules, 64 levels.
fn json_of(value: &zvariant::Value<'_>) -> Value {
    use zvariant::Value as Bus;
    match value {
        Bus::U8(number) => json!(number),
        Bus::Bool(value) => json!(value),
        Bus::I16(number) => json!(number),
        Bus::U16(number) => json!(number),
        Bus::I32(number) => json!(number),
        Bus::U32(number) => json!(number),
        Bus::I64(number) => json!(number),
        Bus::U64(number) => json!(number),
        // No more decimals than anybody means.
        Bus::F64(number) => json!((number * 1e6).round() / 1e6),
        Bus::Str(text) => json!(text.as_str()),
        Bus::ObjectPath(path) => json!(path.as_str()),
        Bus::Value(inner) => json_of(inner),
        Bus::Array(items) => items.inner().iter().map(json_of).collect(),
        Bus::Structure(fields) => fields.fields().iter().map(json_of).collect(),
        Bus::Dict(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let key = json_of(key);
                (key.as_str().map_or_else(|| key.to_string(), str::to_owned), json_of(value))
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
        // Signatures and files say nothing of a modem.
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_from_the_bus_is_json() {
        let inner = std::collections::HashMap::from([("rsrp", zvariant::Value::from(-95.5)), ("nan", f64::NAN.into())]);
        let value = zvariant::Value::from((1_u32, "text", vec![(zvariant::Value::from(true), -7_i32)], inner));
        assert_eq!(json_of(&value), json!([1, "text", [[true, -7]], { "rsrp": -95.5, "nan": null }]));
        let by_number = std::collections::HashMap::from([(1_u32, zvariant::Value::from("262,01,0,1A2B303,4E21"))]);
        assert_eq!(json_of(&by_number.into()), json!({ "1": "262,01,0,1A2B303,4E21" }));
    }

    #[test]
    fn what_is_forbidden_is_told_from_what_the_modem_can_t() {
        let no = |name: &str| BusError::No { call: "Modem.Signal.Setup".into(), name: name.into(), text: "no".into() };
        assert!(no("org.freedesktop.DBus.Error.AccessDenied").is_forbidden());
        assert!(no("org.freedesktop.ModemManager1.Error.Core.Unauthorized").is_forbidden());
        assert!(!no("org.freedesktop.ModemManager1.Error.Core.Unsupported").is_forbidden());
        assert!(!BusError::NoManager.is_forbidden());
    }
}
