//! An appliance as far as updates go: a bus of its own, the real RAUC on it, two slots in files, the real script for the boot
//! loader's file, and in the place of the boot loader its rules (image/README.md).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{command, within};

/// Bytes of a slot.
const SLOT: u64 = 192 << 20;

/// The file that boot loader and RAUC share, and the script that RAUC asks it by.
pub struct BootSlots {
    dir: PathBuf,
}

impl BootSlots {
    /// In a folder, as an image has it: A is there.
    pub fn new(dir: &Path) -> Self {
        let slots = Self { dir: dir.to_owned() };
        slots.write("A B", 3, 0);
        slots.runs("A");
        slots
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.dir.join("slots.txt")
    }

    /// What the boot loader writes.
    pub fn write(&self, order: &str, a_left: u8, b_left: u8) {
        let text = format!(
            "# GRUB Environment Block\nBOOT_ORDER={order}\nBOOT_A_LEFT={a_left}\nBOOT_B_LEFT={b_left}\n{}",
            "#".repeat(1024)
        );
        std::fs::write(self.path(), &text[..1024]).unwrap();
    }

    fn runs(&self, slot: &str) {
        std::fs::write(self.dir.join("cmdline"), format!("console=tty1 rauc.slot={slot} quiet\n")).unwrap();
    }

    /// What the file says: order, and the tries left of A and of B.
    pub fn read(&self) -> Option<(String, u8, u8)> {
        let text = String::from_utf8_lossy(&std::fs::read(self.path()).ok()?).into_owned();
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        Some((
            value("BOOT_ORDER")?.to_owned(),
            value("BOOT_A_LEFT")?.parse().ok()?,
            value("BOOT_B_LEFT")?.parse().ok()?,
        ))
    }

    /// Starts the machine: which slot runs then.
    pub fn boot(&self) -> String {
        let (order, mut left) = match self.read() {
            Some((order, a, b)) => (order, [a, b]),
            None => ("A B".to_owned(), [0, 0]),
        };
        let at = |slot: &str| usize::from(slot == "B");
        let tried = order.split(' ').find(|slot| left[at(slot)] > 0).map(str::to_owned);
        let slot = tried.unwrap_or_else(|| {
            let first = order.split(' ').next().unwrap().to_owned();
            left[at(&first)] = 3;
            first
        });
        left[at(&slot)] -= 1;
        self.write(&order, left[0], left[1]);
        self.runs(&slot);
        slot
    }

    /// The script, with its file.
    pub fn script(&self) -> Command {
        let mut script = Command::new(root().join("image/rauc/boot-slots"));
        self.environment(&mut script);
        script
    }

    fn environment(&self, command: &mut Command) {
        command.env("STILE_SLOTS", self.path()).env("STILE_CMDLINE", self.dir.join("cmdline"));
    }

    /// Runs the script to its end.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        said(&self.script().args(arguments).output().unwrap())
    }
}

fn said(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// See the module's head.
pub struct Appliance {
    dir: TempDir,
    /// What the boot loader knows.
    pub slots: BootSlots,
    bus: Child,
    rauc: Option<Child>,
    format: &'static str,
}

impl Appliance {
    /// Slot A runs, and B is empty.
    ///
    /// # Errors
    /// What is missing on this machine.
    pub fn new() -> Result<Self, String> {
        for program in ["dbus-daemon", "rauc", "mksquashfs", "openssl", "unshare"] {
            let found = Command::new(program).arg("--version").output();
            found.map_err(|error| format!("{program}: {error}; tests/setup.sh test installs it"))?;
        }
        if !rustix::process::geteuid().is_root() {
            return Err("only root may mount bundles".to_owned());
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        for folder in ["slot", "mnt", "data"] {
            std::fs::create_dir(path.join(folder)).unwrap();
        }
        for slot in ["A", "B"] {
            std::fs::File::create(path.join("slot").join(slot)).unwrap().set_len(SLOT).unwrap();
        }
        for keys in ["keys", "strangers"] {
            let made = Command::new(root().join("image/rauc/dev-keys.sh")).arg(path.join(keys)).output().unwrap();
            said(&made)?;
        }
        // Where the kernel has no dm-verity, the bundle lies in a file that nobody else can write, and is checked whole.
        let format = if Path::new("/dev/mapper/control").exists() { "verity" } else { "plain" };
        write_settings(path, format);
        let bus = start_bus(path);
        let slots = BootSlots::new(path);
        let mut appliance = Self { dir, slots, bus, rauc: None, format };
        appliance.start_rauc("A");
        appliance.mounts()?;
        Ok(appliance)
    }

    /// Whether RAUC can mount what it is to install. In a container it often can't.
    fn mounts(&self) -> Result<(), String> {
        let (code, _, wrong) =
            self.stile(&["update", self.bundle("0.0.1", "amd64", "keys").to_str().unwrap(), "--allow-older"]);
        let (order, ..) = self.slots.read().unwrap();
        self.slots.write("A B", 3, 0);
        if code == 0 && order == "B A" { Ok(()) } else { Err(format!("RAUC can't mount bundles here: {wrong}")) }
    }

    /// A folder for what a test needs.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the bus is, as an environment variable has it.
    pub fn bus(&self) -> String {
        format!("unix:path={}", self.path().join("bus").display())
    }

    /// What lies in a slot.
    pub fn content(&self, slot: &str) -> Vec<u8> {
        std::fs::read(self.path().join("slot").join(slot)).unwrap()
    }

    /// Whether something has been written into an empty slot.
    pub fn is_begun(&self, slot: &str) -> bool {
        let mut first = [0];
        let mut file = std::fs::File::open(self.path().join("slot").join(slot)).unwrap();
        std::io::Read::read_exact(&mut file, &mut first).unwrap();
        first != [0]
    }

    /// A bundle with a system of this version, signed by `keys`, which the machine believes, or by `strangers`.
    pub fn bundle(&self, version: &str, arch: &str, keys: &str) -> PathBuf {
        let image = self.path().join(format!("{version}.ext4"));
        std::fs::write(&image, image_of(version)).unwrap();
        let bundle = self.path().join(format!("{version}-{arch}-{keys}.raucb"));
        let keys = self.path().join(keys);
        let mut make = Command::new(root().join("image/rauc/bundle.sh"));
        make.env("FORMAT", self.format).arg(image).args([version, arch]);
        said(&make.args([keys.join("release.pem"), keys.join("release.key"), bundle.clone()]).output().unwrap())
            .unwrap();
        bundle
    }

    /// Runs the program on this appliance: exit code, and what it says.
    pub fn stile(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// The same, still to be run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command.args(arguments).env("DBUS_SYSTEM_BUS_ADDRESS", self.bus()).stdin(Stdio::null());
        if let Some("status" | "good" | "bad") = arguments.get(1).copied() {
            command.arg("--record").arg(self.path().join("record/good"));
        }
        command
    }

    /// Starts the machine again: which slot runs then.
    pub fn boot(&mut self) -> String {
        self.kill_rauc();
        let slot = self.slots.boot();
        self.start_rauc(&slot);
        slot
    }

    /// RAUC ends at once, as by a power cut.
    pub fn kill_rauc(&mut self) {
        if let Some(mut rauc) = self.rauc.take() {
            let _ = rauc.kill();
            let _ = rauc.wait();
        }
    }

    /// RAUC of a machine that runs this slot. Its mounts are its own, as systemd gives them to it.
    pub fn start_rauc(&mut self, slot: &str) {
        let log = std::fs::File::options().create(true).append(true).open(self.path().join("rauc.log")).unwrap();
        let mut rauc = Command::new("unshare");
        rauc.args(["--mount", "--propagation", "slave", "rauc"]);
        rauc.arg("--conf")
            .arg(self.path().join("system.conf"))
            .arg(format!("--override-boot-slot={slot}"))
            .arg("service");
        rauc.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus()).stdin(Stdio::null());
        self.slots.environment(&mut rauc);
        self.rauc = Some(rauc.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        within("RAUC answers", || (self.stile(&["update", "status"]).0 == 0).then_some(()));
    }

    /// Has what RAUC asks of the boot loader wait, until it is let go: `set-state` comes before a slot is written, and
    /// `set-primary` when it is whole.
    pub fn hold(&self, what: &str) {
        std::fs::write(self.path().join(format!("hold-{what}")), "").unwrap();
    }

    /// Whether that is asked now.
    pub fn is_held(&self, what: &str) -> bool {
        self.path().join(format!("held-{what}")).exists()
    }

    /// Lets it go on.
    pub fn let_go(&self, what: &str) {
        for name in ["hold", "held"] {
            let _ = std::fs::remove_file(self.path().join(format!("{name}-{what}")));
        }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        self.kill_rauc();
        let _ = kill_process(Pid::from_child(&self.bus), Signal::TERM);
        let _ = self.bus.wait();
    }
}

/// What a system of this version is: 96 MiB that are like no other's.
pub fn image_of(version: &str) -> Vec<u8> {
    let line = format!("this is the whole system of version {version}\n");
    let mut image = line.into_bytes().repeat((96 << 20) / 40);
    image.truncate(96 << 20);
    // What an ext4 begins with is not looked at for one that is written as it is.
    image.resize(96 << 20, b'.');
    image
}

fn write_settings(path: &Path, format: &str) {
    let at = |name: &str| path.join(name).display().to_string();
    let backend = format!(
        "#!/bin/sh\nif [ -e {dir}/hold-$1 ]; then touch {dir}/held-$1; fi\n\
         while [ -e {dir}/hold-$1 ]; do sleep 0.05; done\nexec {script} \"$@\"\n",
        dir = path.display(),
        script = root().join("image/rauc/boot-slots").display()
    );
    std::fs::write(path.join("backend"), backend).unwrap();
    std::fs::set_permissions(path.join("backend"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // That of the image, with these places in the place of a machine's, and without what RAUC 1.8 of Debian 12 does not know.
    let settings = std::fs::read_to_string(root().join("image/rauc/system.conf")).unwrap();
    let settings = settings
        .replace("@ARCH@", "amd64")
        .replace("bundle-formats=verity", &format!("bundle-formats={format}\nmountprefix={}", at("mnt")))
        .replace("data-directory=/data/rauc", &format!("statusfile={}", at("data/status")))
        .replace("/etc/rauc/keyring.pem", &at("keys/keyring.pem"))
        .replace("/usr/lib/stile/boot-slots", &at("backend"))
        .replace("/dev/disk/by-partuuid/5711e001-02", &at("slot/A"))
        .replace("/dev/disk/by-partuuid/5711e001-03", &at("slot/B"));
    let settings: Vec<_> = settings.lines().filter(|line| !line.starts_with("min-bundle-version")).collect();
    std::fs::write(path.join("system.conf"), settings.join("\n")).unwrap();
}

/// A system bus as Debian's RAUC has it, which lets everybody do everything, with the image's policy behind that. `nobody` stands
/// for the gateway's user, who may not be here.
fn start_bus(path: &Path) -> Child {
    let policy = std::fs::read_to_string(root().join("image/rauc/dbus.conf")).unwrap();
    std::fs::write(path.join("policy.conf"), policy.replace("user=\"stile\"", "user=\"nobody\"")).unwrap();
    let settings = format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig><type>system</type>\
         <listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\
         <allow send_destination=\"*\" eavesdrop=\"true\"/><allow receive_sender=\"*\"/></policy>\
         <include>{}</include></busconfig>\n",
        path.join("bus").display(),
        path.join("policy.conf").display()
    );
    std::fs::write(path.join("bus.conf"), settings).unwrap();
    let mut bus = Command::new("dbus-daemon");
    bus.arg(format!("--config-file={}", path.join("bus.conf").display())).arg("--nofork").arg("--nopidfile");
    let bus = bus.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    within("the bus listens", || path.join("bus").exists().then_some(()));
    bus
}
