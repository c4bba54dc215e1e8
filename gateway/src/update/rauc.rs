//! D-Bus: RAUC's service, and systemd's for starting the machine again. The only file that names zbus.
//!
//! The interface is de.pengutronix.rauc.Installer of RAUC's manual, chapter "D-Bus API", for RAUC 1.8 and later.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, timeout};
use zbus::proxy::CacheProperties;
use zbus::zvariant::{OwnedValue, Value};
use zbus::{Connection, DBusError};

use super::{Bundle, Failure, Progress, Slot, Systems};

/// How long an answer may take. A bundle's beginning and its end may come over a slow line.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked how far RAUC is.
const TICK: Duration = Duration::from_millis(300);
/// Nothing but the bundle with this hash is installed.
const SAME_BUNDLE: &str = "require-manifest-hash";
/// `min-bundle-version` of RAUC's settings does not count.
const ANY_VERSION: &str = "ignore-version-limit";
/// The longest text of RAUC's that is passed on, in characters.
const TEXT: usize = 500;

#[zbus::proxy(
    interface = "de.pengutronix.rauc.Installer",
    default_service = "de.pengutronix.rauc",
    default_path = "/",
    gen_blocking = false
)]
trait Installer {
    fn inspect_bundle(&self, source: &str, args: HashMap<&str, Value<'_>>) -> zbus::Result<Dictionary>;
    fn info(&self, bundle: &str) -> zbus::Result<(String, String)>;
    fn install_bundle(&self, source: &str, args: &HashMap<&str, Value<'_>>) -> zbus::Result<()>;
    fn mark(&self, state: &str, slot_identifier: &str) -> zbus::Result<(String, String)>;
    fn get_slot_status(&self) -> zbus::Result<Vec<(String, Dictionary)>>;
    fn get_primary(&self) -> zbus::Result<String>;
    #[zbus(signal)]
    fn completed(&self, result: i32) -> zbus::Result<()>;
    #[zbus(property)]
    fn operation(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn last_error(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn progress(&self) -> zbus::Result<(i32, String, i32)>;
    #[zbus(property)]
    fn compatible(&self) -> zbus::Result<String>;
}

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1",
    gen_blocking = false
)]
trait Manager {
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<zbus::zvariant::OwnedObjectPath>;
}

type Dictionary = HashMap<String, OwnedValue>;

/// RAUC's service on this machine.
pub(crate) struct Rauc {
    installer: InstallerProxy<'static>,
}

impl Rauc {
    /// Finds it on the system's bus, which starts it where it does not run yet.
    ///
    /// # Errors
    /// That there is none.
    pub(crate) async fn connect() -> Result<Self, Failure> {
        let bus = in_time(Connection::system()).await?.map_err(|error| Failure::NoAppliance(error.to_string()))?;
        // Its properties are asked for each time: a service that was started anew has others.
        let installer = InstallerProxy::builder(&bus).cache_properties(CacheProperties::No).build().await;
        Ok(Self { installer: installer.map_err(explain)? })
    }

    /// What a bundle says of itself: a file of this machine by its whole path, or an address of a web server.
    ///
    /// # Errors
    /// Why it can't be read, or that nobody whom this machine believes has signed it.
    pub(crate) async fn inspect(&self, source: &str) -> Result<Bundle, Failure> {
        match in_time(self.installer.inspect_bundle(source, HashMap::new())).await? {
            Ok(told) => {
                let update = told.get("update").and_then(dictionary).unwrap_or_default();
                let compatible = text(&update, "compatible").unwrap_or_default();
                let version = text(&update, "version").unwrap_or_default();
                Ok(Bundle { compatible, version, hash: text(&told, "manifest-hash") })
            }
            // RAUC before 1.11.
            Err(error) if is(&error, "UnknownMethod") => {
                let (compatible, version) = in_time(self.installer.info(source)).await?.map_err(explain)?;
                Ok(Bundle { compatible, version, hash: None })
            }
            Err(error) => Err(explain(error)),
        }
    }

    /// The machine's systems, and how each is.
    ///
    /// # Errors
    /// That there is no RAUC, or what it says; it does not tell while it installs.
    pub(crate) async fn systems(&self) -> Result<Systems, Failure> {
        let compatible = in_time(self.installer.compatible()).await?.map_err(explain)?;
        let told = in_time(self.installer.get_slot_status()).await?.map_err(explain)?;
        // A damaged answer of the boot loader's does not hide the rest.
        let next = in_time(self.installer.get_primary()).await?.ok();
        let mut slots: Vec<_> =
            told.into_iter().filter_map(|(name, status)| slot(name, &status, next.as_deref())).collect();
        slots.sort_by(|one, other| one.boot_name.cmp(&other.boot_name));
        Ok(Systems { compatible, slots })
    }

    /// How far it is.
    ///
    /// # Errors
    /// That there is no RAUC.
    pub(crate) async fn progress(&self) -> Result<Progress, Failure> {
        let busy = in_time(self.installer.operation()).await?.map_err(explain)? != "idle";
        // Before the first installation there is none.
        let (percent, doing, _) = in_time(self.installer.progress()).await?.unwrap_or_default();
        let last_error = in_time(self.installer.last_error()).await?.unwrap_or_default();
        Ok(Progress {
            busy,
            percent: u8::try_from(percent.clamp(0, 100)).unwrap_or(0),
            doing: cut(&doing),
            last_error: Some(cut(&last_error)).filter(|error| !error.is_empty()),
        })
    }

    /// Begins to install. Where `bundle` has a hash and RAUC knows how, nothing but that very bundle is installed, whatever lies
    /// there by then; where not, it is one that RAUC judges once more, by its signature and `min-bundle-version`.
    ///
    /// # Errors
    /// Why it does not begin.
    pub(crate) async fn install(
        &self,
        source: &str,
        bundle: &Bundle,
        allow_older: bool,
    ) -> Result<Installing, Failure> {
        // Before it begins, so that an end that comes at once is heard.
        let completed = in_time(self.installer.receive_completed()).await?.map_err(explain)?;
        let owners = in_time(self.installer.inner().receive_owner_changed()).await?.map_err(explain)?;
        let mut args = HashMap::new();
        if let Some(hash) = &bundle.hash {
            args.insert(SAME_BUNDLE, Value::from(hash.as_str()));
        }
        if allow_older {
            args.insert(ANY_VERSION, Value::from(true));
        }
        // What a RAUC does not know, it says, and does nothing: RAUC 1.8 of Debian 12 knows neither, 1.13 of Debian 13 one of them.
        while let Err(error) = in_time(self.installer.install_bundle(source, &args)).await? {
            let unknown = args.keys().copied().find(|key| is_unsupported(&error, key));
            let Some(unknown) = unknown else { return Err(explain(error)) };
            args.remove(unknown);
        }
        Ok(Installing { rauc: Self { installer: self.installer.clone() }, completed, owners })
    }

    /// Marks the running system as good, so that it goes on being started.
    ///
    /// # Errors
    /// What RAUC says.
    pub(crate) async fn mark_good(&self) -> Result<(), Failure> {
        in_time(self.installer.mark("good", "booted")).await?.map(drop).map_err(explain)
    }

    /// Marks the running system as bad, so that the other one starts next.
    ///
    /// # Errors
    /// What RAUC says.
    pub(crate) async fn mark_bad(&self) -> Result<(), Failure> {
        in_time(self.installer.mark("bad", "booted")).await?.map(drop).map_err(explain)
    }
}

/// An installation that is under way. Dropped, it goes on; RAUC does it.
pub(crate) struct Installing {
    rauc: Rauc,
    completed: CompletedStream,
    owners: zbus::proxy::OwnerChangedStream<'static>,
}

impl Installing {
    /// Waits for its end, and tells how far it is.
    ///
    /// # Errors
    /// What it failed of. The other system is not started then.
    pub(crate) async fn finish(mut self, mut tell: impl FnMut(&Progress)) -> Result<(), Failure> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                signal = self.completed.next() => {
                    let Some(signal) = signal else { return Err(Failure::Ended) };
                    let result = signal.args().map_err(explain)?.result;
                    break if result == 0 { Ok(()) } else { Err(self.why().await) };
                }
                // Whoever takes its place knows nothing of this installation.
                _ = self.owners.next() => return Err(Failure::Ended),
                _ = tick.tick() => if let Ok(progress) = self.rauc.progress().await {
                    tell(&progress);
                },
            }
        }
    }

    async fn why(&self) -> Failure {
        let told = self.rauc.progress().await.ok().and_then(|progress| progress.last_error);
        Failure::Rauc(told.unwrap_or_else(|| "it failed; `journalctl -u rauc` says of what".to_owned()))
    }
}

/// Has systemd end everything in order and start the machine again.
///
/// # Errors
/// What systemd says, as that this user may not.
pub(crate) async fn restart_machine() -> Result<(), String> {
    let asked = async {
        let bus = Connection::system().await?;
        ManagerProxy::new(&bus).await?.start_unit("reboot.target", "replace-irreversibly").await
    };
    match in_time(asked).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("systemd does not start the machine again: {error}; do it by hand: reboot")),
        Err(_) => Err("systemd does not answer; start the machine again by hand: reboot".to_owned()),
    }
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(PATIENCE, answer).await.map_err(|_| Failure::Silent)
}

/// An answer that is an error: its name, and what it says. Those of the bus itself come in another form for properties.
fn refusal(error: &zbus::Error) -> Option<(String, String)> {
    let (name, told) = match error {
        zbus::Error::MethodError(name, told, _) => (name.to_string(), told.clone()),
        zbus::Error::FDO(error) => (error.name().to_string(), error.description().map(str::to_owned)),
        _ => return None,
    };
    let told = told.unwrap_or_else(|| name.clone());
    Some((name, told))
}

/// Whether it is this error of the bus, of those that D-Bus' specification names.
fn is(error: &zbus::Error, name: &str) -> bool {
    refusal(error).is_some_and(|(told, _)| told.strip_prefix("org.freedesktop.DBus.Error.") == Some(name))
}

/// Whether RAUC says that it does not know this option.
fn is_unsupported(error: &zbus::Error, key: &str) -> bool {
    refusal(error).is_some_and(|(_, told)| told.strip_prefix("Unsupported key: ") == Some(key))
}

fn explain(error: impl Into<zbus::Error>) -> Failure {
    let error = error.into();
    if ["ServiceUnknown", "NameHasNoOwner"].iter().any(|name| is(&error, name)) {
        return Failure::NoAppliance("nobody has the name de.pengutronix.rauc".to_owned());
    }
    if is(&error, "AccessDenied") {
        return Failure::Denied;
    }
    if matches!(error, zbus::Error::InputOutput(_)) || ["NoReply", "Disconnected"].iter().any(|name| is(&error, name)) {
        return Failure::Ended;
    }
    let told = refusal(&error).map_or_else(|| error.to_string(), |(_, told)| told);
    if told.to_ascii_lowercase().starts_with("already processing") { Failure::Busy } else { Failure::Rauc(cut(&told)) }
}

fn cut(text: &str) -> String {
    text.trim().chars().take(TEXT).collect()
}

fn text(dictionary: &Dictionary, key: &str) -> Option<String> {
    dictionary.get(key).and_then(|value| <&str>::try_from(value).ok()).map(str::to_owned)
}

/// A dictionary in a dictionary stands in a variant of its own.
fn dictionary(value: &OwnedValue) -> Option<Dictionary> {
    let mut value: &Value<'_> = value;
    while let Value::Value(inner) = value {
        value = inner;
    }
    Dictionary::try_from(value.try_clone().ok()?).ok()
}

/// A slot that the boot loader knows; others are none to choose.
fn slot(name: String, status: &Dictionary, next: Option<&str>) -> Option<Slot> {
    let installed = text(status, "installed.timestamp");
    let count = status.get("installed.count").and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    let mark = installed.as_ref().map(|installed| format!("{name} {count} {installed}"));
    Some(Slot {
        boot_name: text(status, "bootname")?,
        runs: text(status, "state").as_deref() == Some("booted"),
        is_next: next == Some(name.as_str()),
        good: text(status, "boot-status").as_deref() == Some("good"),
        version: text(status, "bundle.version"),
        installed,
        mark,
        name,
    })
}
