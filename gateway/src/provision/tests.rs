//! A boot partition and a machine as two folders.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use tempfile::TempDir;

use super::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICBsr+CWEeFeg9CG+6eXoD26gQ8REutiaUdz31K9a/bE anna@desk\r\n";
const PROVISION: &str = "host-name = \"roof\"\nlora-hat = \"ic880a\"\n[admin]\nsetup-code = \"abcd-efgh-jkmn\"\n\
    [secrets]\ncloud = \"s3cret\"\n";
const SETTINGS: &str = "[gateway]\nid = \"roof\"\n[[uplink]]\nname = \"cloud\"\nurl = \"mqtt://broker.example:1883\"\n\
    user = \"x\"\npassword-file = \"/run/credentials/stile.service/stile_cloud\"\ntopics = [{ filter = \"#\" }]\n";

struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(machine.boot()).unwrap();
        fs::create_dir_all(machine.root().join("etc/stile")).unwrap();
        machine.with("config.txt", "arm_64bit=1\ninclude hat.txt\n")
    }

    fn boot(&self) -> std::path::PathBuf {
        self.0.path().join("boot")
    }

    fn root(&self) -> std::path::PathBuf {
        self.0.path().join("root")
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.boot().join(name), text).unwrap();
        self
    }

    fn provision(&self) -> Result<Outcome, Failure> {
        provision(&self.boot(), &self.root())
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap_or_else(|error| format!("{name}: {error}"))
    }

    fn on_card(&self) -> Vec<String> {
        let entries = fs::read_dir(self.boot()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.boot().join(ERRORS)).unwrap_or_default()
    }
}

fn all() -> Machine {
    let machine = Machine::new().with("stile.toml", SETTINGS).with("provision.toml", PROVISION);
    machine.with("authorized_keys", KEY)
}

#[test]
fn everything_gets_to_its_place_once_and_the_card_keeps_no_secret() {
    let machine = all().with(ERRORS, "of before");
    let Outcome::Done { notes, restart } = machine.provision().unwrap() else { panic!() };
    assert!(restart && notes.iter().any(|note| note.contains("name is roof")), "{notes:?}");
    assert!(!notes.join("").contains("s3cret") && !notes.join("").contains("abcd"));
    assert_eq!(
        (machine.file("etc/hostname"), machine.file("etc/stile/stile.toml")),
        ("roof\n".into(), SETTINGS.into())
    );
    assert_eq!(machine.file("etc/stile/credentials/cloud"), "s3cret");
    assert!(machine.file("etc/stile/conf.d/provision.toml").contains("$argon2id$"));
    assert!(machine.file("etc/ssh/authorized_keys").contains("anna@desk\n"));
    let mode = |name: &str| fs::metadata(machine.root().join(name)).unwrap().mode() & 0o777;
    let modes =
        ["credentials/cloud", "stile.toml", "conf.d/provision.toml"].map(|name| mode(&format!("etc/stile/{name}")));
    assert_eq!(modes, [0o600, 0o640, 0o640]);
    assert_eq!(machine.on_card(), ["authorized_keys.done", "config.txt", "hat.txt", NOTES]);
    assert!(fs::read_to_string(machine.boot().join("hat.txt")).unwrap().ends_with("\ndtparam=spi=on\n"));
    assert!(fs::read_to_string(machine.boot().join(NOTES)).unwrap().contains("\r\n- the machine's name is roof\r\n"));
    assert_eq!(machine.provision().unwrap(), Outcome::Nothing);
    // Later files are taken too, and what they say nothing of stays.
    let machine = machine.with("provision.toml", "host-name = \"cellar\"\n");
    assert!(matches!(machine.provision().unwrap(), Outcome::Done { restart: false, .. }));
    assert_eq!(
        (machine.file("etc/hostname"), machine.file("etc/stile/stile.toml")),
        ("cellar\n".into(), SETTINGS.into())
    );
    // Settings alone may rely on secrets of before.
    let machine = machine.with("stile.toml", &SETTINGS.replace("roof", "cellar"));
    machine.provision().unwrap();
    assert!(machine.file("etc/stile/stile.toml").contains("id = \"cellar\""));
}

#[test]
fn a_modem_becomes_a_radio_that_fits_the_other_settings_and_its_pin_leaves_the_card() {
    let modem = "[modem]\napn = \"internet\"\nport = \"/dev/ttyUSB2\"\npin = \"7771\"\n";
    let machine = all();
    machine.provision().unwrap();
    let machine = machine.with("provision.toml", modem);
    let Outcome::Done { notes, restart: false } = machine.provision().unwrap() else { panic!() };
    assert!(notes.join("\n").contains("its access point internet") && !notes.join("").contains("7771"), "{notes:?}");
    assert_eq!(machine.file("etc/stile/credentials/modem-pin"), "7771");
    let radio = "etc/stile/conf.d/provision-modem.toml";
    assert!(machine.file(radio).contains("stile_modem-pin") && !machine.file(radio).contains("7771"));
    for name in machine.on_card() {
        assert!(!fs::read_to_string(machine.boot().join(&name)).unwrap().contains("7771"), "{name}");
    }
    // Its radio has to fit to settings of before, and to those that come later.
    let other = "[[radio]]\nname = \"modem\"\nkind = \"cellular\"\ndevice = \"/dev/ttyUSB3\"\n";
    let machine = machine.with("stile.toml", &format!("{SETTINGS}{other}"));
    let Err(Failure::Wrong(problems)) = machine.provision() else { panic!() };
    assert!(problems.to_string().contains("`modem`"), "{problems}");
    let machine =
        machine.with("stile.toml", SETTINGS).with("provision.toml", &modem.replace("port = \"/dev/ttyUSB2\"\n", ""));
    let Err(Failure::Wrong(problems)) = machine.provision() else { panic!() };
    assert!(problems.to_string().contains("no ModemManager to connect it"), "{problems}");
    assert!(machine.errors().contains("write `port") && !machine.errors().contains("7771"));
    fs::create_dir_all(machine.root().join("usr/sbin")).unwrap();
    fs::write(machine.root().join("usr/sbin/ModemManager"), "").unwrap();
    machine.provision().unwrap();
    assert!(machine.file(radio).contains("connect = true"));
    // Another radio has that port already.
    let taken = format!(
        "{SETTINGS}[[radio]]\nname = \"x\"\nkind = \"serial\"\ndevice = \"/dev/ttyUSB2\"\nframing = \"line\"\n"
    );
    let machine = machine.with("stile.toml", &taken);
    machine.provision().unwrap();
    let machine = machine.with("provision.toml", modem);
    let Err(Failure::Wrong(problems)) = machine.provision() else { panic!() };
    assert!(problems.to_string().contains("/provision.toml: "), "{problems}");
}

#[test]
fn what_is_wrong_is_told_on_the_card_all_at_once_and_nothing_changes() {
    let machine = all().with("provision.toml", "host-name = \"a b\"\nhat = 1\n[ssh]\nenabled = true\n");
    let machine = machine.with("stile.toml", "[gateway]\nidd = \"x\"\n").with("authorized_keys", "rubbish");
    fs::write(machine.root().join("etc/stile/stile.toml"), "# of before\n").unwrap();
    let before = machine.on_card();
    let Err(Failure::Wrong(problems)) = machine.provision() else { panic!() };
    assert_eq!(problems.errors(), 4, "{problems}");
    let errors = machine.errors();
    for expected in ["provision.toml:1:13: ", "provision.toml:2:1: ", "stile.toml:2:1: ", "authorized_keys:1:1: "] {
        let expected = format!("{}/{expected}", machine.boot().display());
        assert!(errors.contains(&expected), "{expected}: {errors}");
    }
    assert!(errors.lines().count() > 8 && errors.matches('\n').count() == errors.matches("\r\n").count(), "{errors:?}");
    assert_eq!(
        machine.on_card().iter().filter(|name| *name != ERRORS).collect::<Vec<_>>(),
        before.iter().collect::<Vec<_>>()
    );
    assert_eq!(machine.file("etc/stile/stile.toml"), "# of before\n");
    assert_eq!(fs::read_dir(machine.root().join("etc")).unwrap().count(), 1);
    // Corrected, it is taken, and the complaint goes; and so it does when the files are taken away.
    for name in ["stile.toml", "authorized_keys"] {
        fs::remove_file(machine.boot().join(name)).unwrap();
    }
    let machine = machine.with("provision.toml", "host-name = \"roof\"\n");
    machine.provision().unwrap();
    assert_eq!(machine.errors(), "");
    let machine = machine.with(ERRORS, "x");
    assert_eq!((machine.provision().unwrap(), machine.errors()), (Outcome::Nothing, String::new()));
}

#[test]
fn whatever_lies_on_the_card_is_refused_with_a_remedy() {
    type Put = fn(&Path);
    let cases: [(&str, Put, &str); 7] = [
        ("a link", |boot| symlink("/etc/shadow", boot.join("provision.toml")).unwrap(), "not a regular file"),
        ("a folder", |boot| fs::create_dir(boot.join("stile.toml")).unwrap(), "not a regular file"),
        ("huge", |boot| fs::write(boot.join("user-data"), vec![b'#'; 2 << 20]).unwrap(), "larger than"),
        ("Latin-1", |boot| fs::write(boot.join("provision.toml"), b"host-name = \"caf\xe9\"").unwrap(), "UTF-8"),
        ("zeros", |boot| fs::write(boot.join("provision.toml"), [0; 512]).unwrap(), "syntax error"),
        ("no YAML", |boot| fs::write(boot.join("user-data"), "a: [").unwrap(), "no YAML"),
        (
            "a name with an end",
            |boot| fs::write(boot.join("provision.toml.txt"), "").unwrap(),
            "rename it to provision.toml",
        ),
    ];
    for (what, put, expected) in cases {
        let machine = Machine::new();
        put(&machine.boot());
        let said = machine.provision().unwrap_err().to_string();
        assert!(said.contains(expected) && machine.errors().contains(expected), "{what}: {said}");
        assert_eq!(fs::read_dir(machine.root().join("etc/stile")).unwrap().count(), 0, "{what}");
    }
    let machine = Machine::new().with("config.txt", "").with("provision.toml", "uart = true");
    assert!(machine.provision().unwrap_err().to_string().contains("include hat.txt"));
    let machine = Machine::new().with("provision.toml", "time-zone = \"Mars/Olympus\"");
    assert!(machine.provision().unwrap_err().to_string().contains("does not know"));
}

#[test]
fn what_a_power_cut_left_half_wiped_is_wiped_and_what_has_come_since_is_read() {
    let machine = all();
    let input = input::read(&machine.boot()).unwrap();
    taken::note(&input, &machine.root()).unwrap();
    let mut half = PROVISION.as_bytes().to_vec();
    half[..20].fill(0);
    fs::write(machine.boot().join("provision.toml"), half).unwrap();
    let machine = machine.with("stile.toml", "[gateway]\nid = \"new\"\n");
    assert!(matches!(machine.provision().unwrap(), Outcome::Done { .. }));
    assert!(machine.file("etc/stile/stile.toml").contains("new"));
    assert!(machine.file("etc/hostname").contains("No such file"), "what was taken is not read again");
    assert_eq!(machine.on_card(), ["authorized_keys.done", "config.txt", NOTES]);
}

#[test]
fn what_the_firmware_is_told_of_the_uart_and_of_the_board_is_kept_apart() {
    let mut machine = Machine::new().with("hat.txt", "# By hand.\r\n[pi4]\r\ndtparam=audio=off\r\n");
    let own = "# Written by `stile provision`.\n";
    let uart = "# The header's UART:\nenable_uart=1\ndtoverlay=disable-bt\n";
    let hand = "# The board:\n# By hand.\n[pi4]\ndtparam=audio=off\n";
    let board = "# The board:\ndtparam=spi=on\n";
    let rak = "# The board:\ndtparam=spi=on\ndtparam=i2c_arm=on\nenable_uart=1\ndtoverlay=disable-bt\n";
    for (said, uart, board) in [
        ("uart = true", uart, hand),
        ("lora-hat = \"ic880a\"", uart, board),
        ("uart = false", "", board),
        ("uart = true", uart, board),
        ("lora-hat = \"rak2287\"", "# The header's UART:\n", rak),
        ("lora-hat = \"none\"", uart, "# The board:\n"),
        ("lora-hat = \"rak2287\"\nuart = false", "", rak),
        ("lora-hat = \"none\"", "", "# The board:\n"),
    ] {
        machine = machine.with("provision.toml", said);
        assert!(matches!(machine.provision().unwrap(), Outcome::Done { restart: true, .. }), "{said}");
        assert_eq!(
            fs::read_to_string(machine.boot().join("hat.txt")).unwrap(),
            format!("{own}{uart}{board}"),
            "{said}"
        );
    }
    let machine =
        machine.with("hat.txt", "enable_uart=1\ndtoverlay=disable-bt\n").with("provision.toml", "uart = false");
    machine.provision().unwrap();
    assert_eq!(fs::read_to_string(machine.boot().join("hat.txt")).unwrap(), format!("{own}# The board:\n"));
    fs::write(machine.boot().join("hat.txt"), vec![b'#'; 20 << 20]).unwrap();
    let machine = machine.with("provision.toml", "uart = true");
    assert!(machine.provision().unwrap_err().to_string().contains("hat.txt"), "what is there is read within bounds");
}

#[test]
fn our_own_words_go_before_those_of_imager_and_its_script_is_not_run() {
    let machine = Machine::new().with("user-data", "hostname: pi\nssh_authorized_keys: []\nruncmd: [reboot]\n");
    let machine =
        machine.with("provision.toml", "host-name = \"roof\"\n").with("firstrun.sh", "touch /tmp/x\n").with("ssh", "");
    let Outcome::Done { notes, .. } = machine.provision().unwrap() else { panic!() };
    let notes = notes.join("\n");
    assert_eq!(machine.file("etc/hostname"), "roof\n");
    for expected in ["firstrun.sh was not run", "ssh has no effect", "not honoured: runcmd"] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    assert_eq!(machine.on_card(), ["config.txt", "ssh.done", NOTES]);
}
