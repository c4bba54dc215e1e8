//! Updates of the whole system, on an appliance: the disk has two systems, of which one runs and the other is written. RAUC
//! (rauc.io) writes it, checks who has signed it, and tells the boot loader which one to start.
//!
//! Owns what is asked of RAUC, and what is judged here: whether a bundle is for this machine and new, and whether the running
//! system is on trial, so that a fault of it leads back to the one before; and where a bundle lies that is sent to the gateway.
//! `rauc.rs` speaks D-Bus; `judge.rs` is pure. Never writes a slot, and has no rights of its own: RAUC's service does, and takes
//! only what is signed.

mod judge;
mod on_disk;
mod rauc;
mod sent;

use std::fmt;

pub(crate) use self::judge::Refusal;
pub(crate) use self::on_disk::{Record, image_version};
pub(crate) use self::rauc::{Installing, Rauc, restart_machine};
pub(crate) use self::sent::{BEGINNING, Landing, NoPlace, Sent, check_bundle};

/// What a bundle says of itself. RAUC has looked at its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bundle {
    /// The machines that it is for.
    pub(crate) compatible: String,
    pub(crate) version: String,
    /// SHA-256 of its manifest, where RAUC tells it: what is installed can then be held to be what was judged.
    pub(crate) hash: Option<String>,
}

/// A place for a system on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// RAUC's name for it, such as `rootfs.0`.
    pub(crate) name: String,
    /// The boot loader's, such as `A`.
    pub(crate) boot_name: String,
    /// Whether it runs now.
    pub(crate) runs: bool,
    /// Whether the boot loader starts it next.
    pub(crate) is_next: bool,
    /// Whether the boot loader may start it.
    pub(crate) good: bool,
    /// What was installed there, and when; none where it was written with the whole disk.
    pub(crate) version: Option<String>,
    pub(crate) installed: Option<String>,
    /// Tells this installation from others.
    pub(crate) mark: Option<String>,
}

/// The machine's systems.
#[derive(Debug, Clone)]
pub(crate) struct Systems {
    /// What bundles have to be for.
    pub(crate) compatible: String,
    pub(crate) slots: Vec<Slot>,
}

impl Systems {
    pub(crate) fn running(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.runs)
    }

    /// The version that runs: what the image says, else what was installed, else this program's.
    pub(crate) fn version(&self) -> String {
        let installed = || self.running().and_then(|slot| slot.version.clone());
        image_version().or_else(installed).unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
    }

    /// The system that would start if the running one were given up.
    pub(crate) fn fallback(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| !slot.runs && slot.good)
    }

    /// Whether the running system was installed and has not been found good since. One that came with the disk is not on trial.
    pub(crate) fn on_trial(&self, record: &Record) -> bool {
        let mark = self.running().and_then(|slot| slot.mark.as_deref());
        mark.is_some_and(|mark| record.read().as_deref() != Some(mark))
    }
}

/// What RAUC is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether it installs.
    pub(crate) busy: bool,
    pub(crate) percent: u8,
    /// In RAUC's words.
    pub(crate) doing: String,
    /// What the last installation failed of.
    pub(crate) last_error: Option<String>,
}

/// Why something can't be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no RAUC.
    NoAppliance(String),
    /// RAUC is there, and this user may not ask it.
    Denied,
    /// RAUC has ended while it was at it.
    Ended,
    /// Something else is being installed.
    Busy,
    /// No answer came in time.
    Silent,
    /// In RAUC's words.
    Rauc(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAppliance(why) => write!(
                f,
                "this machine has no second system to install into: RAUC is not on its D-Bus ({why}); where Stile came as a \
                 package, `sudo apt install ./stile_VERSION_ARCH.deb` updates it"
            ),
            Self::Denied => f.write_str("this user may not ask RAUC; run it as root: stile update ..."),
            Self::Ended => f.write_str(
                "RAUC ended before it was done; the other system is not whole and will not be started; try again, and look at \
                 `journalctl -u rauc` if that does not help",
            ),
            Self::Busy => f.write_str("an update is being installed; `stile update status` says how far it is"),
            Self::Silent => f.write_str("RAUC does not answer in time; look at `journalctl -u rauc`"),
            Self::Rauc(why) => write!(f, "RAUC says: {why}"),
        }
    }
}

impl std::error::Error for Failure {}

/// An installation that was begun.
pub(crate) struct Begun {
    pub(crate) bundle: Bundle,
    /// The version that goes on running.
    pub(crate) running: String,
    pub(crate) installing: Installing,
}

/// Why nothing is installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotBegun {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Whether something could be installed now.
///
/// # Errors
/// Why not.
pub(crate) async fn is_idle() -> Result<(), Failure> {
    let progress = Rauc::connect().await?.progress().await?;
    if progress.busy { Err(Failure::Busy) } else { Ok(()) }
}

/// Looks at a bundle, a file by its whole path or an address of a web server, and begins to install it.
///
/// # Errors
/// Why not; then nothing was written.
pub(crate) async fn begin(source: &str, allow_older: bool) -> Result<Begun, NotBegun> {
    let rauc = Rauc::connect().await?;
    let systems = rauc.systems().await?;
    let running = systems.version();
    let bundle = rauc.inspect(source).await?;
    judge::judge(&bundle, &systems.compatible, &running, allow_older)?;
    let installing = rauc.install(source, &bundle, allow_older).await?;
    Ok(Begun { bundle, running, installing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, runs: bool, good: bool, mark: Option<&str>) -> Slot {
        Slot {
            name: name.to_owned(),
            boot_name: name.to_owned(),
            runs,
            is_next: runs,
            good,
            version: None,
            installed: None,
            mark: mark.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_was_installed_and_not_found_good_since_is_on_trial() {
        let dir = tempfile::tempdir().unwrap();
        let record = Record::at(&dir.path().join("folder/good"));
        let with = |mark| Systems {
            compatible: String::new(),
            slots: vec![slot("A", false, true, Some("old")), slot("B", true, true, mark)],
        };
        assert!(!with(None).on_trial(&record), "it came with the disk");
        assert!(with(Some("new")).on_trial(&record));
        record.write("new").unwrap();
        assert!(!with(Some("new")).on_trial(&record));
        assert!(with(Some("newer")).on_trial(&record));
    }

    #[test]
    fn what_is_bad_is_not_led_back_to() {
        let systems = |good| Systems {
            compatible: String::new(),
            slots: vec![slot("A", false, good, None), slot("B", true, true, None)],
        };
        assert_eq!(systems(true).fallback().map(|slot| slot.name.as_str()), Some("A"));
        assert_eq!(systems(false).fallback(), None);
    }
}
