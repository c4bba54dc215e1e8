//! Provisioning by the built program: a boot partition, a machine's root, and the power cut at each line.
//!
//! The boot partition is a FAT where the kernel has one and root mounts it; else a file system in memory, or a folder.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::time::Duration;

use stile_tests::{Mounted, Random, binary, check, command, or_skip, skip};
use tempfile::TempDir;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICBsr+CWEeFeg9CG+6eXoD26gQ8REutiaUdz31K9a/bE anna@desk\n";
const SECRET: &str = "correct horse battery";

const NEEDS_FAT: &str =
    "a FAT is needed, mounted by root: tests/setup.sh installs dosfstools; another file system stood in for it";
static SAID: Once = Once::new();

/// Where the card is.
enum Card {
    Mounted(Mounted),
    Folder(TempDir),
}

impl Card {
    /// A FAT, or what comes near it here.
    fn new() -> Self {
        let size = 1 << 20;
        if let Ok(fat) = Mounted::fat(size) {
            return Self::Mounted(fat);
        }
        // Once, however many cards a test has.
        SAID.call_once(|| skip(NEEDS_FAT));
        Mounted::in_memory(size).map_or_else(|_| Self::Folder(tempfile::tempdir().unwrap()), Self::Mounted)
    }

    fn path(&self) -> &Path {
        match self {
            Self::Mounted(mounted) => mounted.path(),
            Self::Folder(folder) => folder.path(),
        }
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// All that is to be taken.
    fn fill(&self) {
        self.put("config.txt", "include hat.txt\n");
        self.put("stile.toml", format!("[gateway]\nid = \"roof\"\n# {SECRET}\n"));
        let wifi = format!("[wifi]\ncountry = \"AT\"\nssid = \"Net\"\npassword = \"{SECRET}\"\n");
        let rest = "[ethernet]\naddress = \"192.0.2.10/24\"\n";
        self.put(
            "provision.toml",
            format!("host-name = \"roof\"\nlora-hat = \"ic880a\"\n{wifi}{rest}[secrets]\ncloud = \"x\"\n"),
        );
        self.put("authorized_keys", KEY);
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = files(self.path()).into_keys().map(|path| path.to_str().unwrap().to_owned()).collect();
        names.retain(|name| name != "ballast");
        names
    }
}

/// All files below a folder, with what is in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(folder: &Path, base: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, base, found);
            } else {
                found.insert(path.strip_prefix(base).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, folder, &mut found);
    found
}

fn arguments(card: &Card, root: &Path) -> [String; 5] {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    ["provision".into(), "--boot".into(), text(card.path()), "--root".into(), text(root)]
}

fn provision(card: &Card, root: &Path) -> (i32, String, String) {
    check(&arguments(card, root).each_ref().map(String::as_str))
}

const DONE: [&str; 4] = ["authorized_keys.done", "config.txt", "hat.txt", "stile-notes.txt"];

/// Nothing of an earlier run is left, and nothing is missing.
#[track_caller]
fn assert_done(card: &Card, root: &Path, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    assert_eq!(card.names(), DONE);
    let found = files(root);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (path, bytes) in expected {
        assert!(found[path] == *bytes, "{}: {}", path.display(), String::from_utf8_lossy(&found[path]));
    }
}

/// What a machine is in the end.
fn undisturbed() -> BTreeMap<PathBuf, Vec<u8>> {
    let (card, root) = (Card::new(), tempfile::tempdir().unwrap());
    card.fill();
    let (code, out, err) = provision(&card, root.path());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("the machine's name is roof") && !out.contains(SECRET), "{out}");
    assert_eq!(card.names(), DONE);
    assert!(fs::read_to_string(card.path().join("hat.txt")).unwrap().contains("dtparam=spi=on"));
    assert!(!files(card.path()).values().any(|bytes| String::from_utf8_lossy(bytes).contains(SECRET)));
    // A later start has nothing to do, and says nothing.
    assert_eq!(provision(&card, root.path()), (0, String::new(), String::new()));
    files(root.path())
}

#[test]
fn killed_at_any_moment_it_goes_on_where_it_was() {
    let expected = undisturbed();
    assert_eq!(expected[Path::new("etc/hostname")], b"roof\n");
    let rounds: u64 = std::env::var("KILL_ROUNDS").map_or(40, |rounds| rounds.parse().unwrap());
    let mut random = Random::new(Random::seed_from("KILL_SEED"));
    let mut killed = 0;
    for _ in 0..rounds {
        let (card, root) = (Card::new(), tempfile::tempdir().unwrap());
        card.fill();
        for _ in 0..3 {
            let mut child = command().args(arguments(&card, root.path())).stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(random.below(30_000)));
            let _ = child.kill();
            killed += u64::from(child.wait().unwrap().code().is_none());
        }
        assert_eq!(provision(&card, root.path()).0, 0);
        assert_done(&card, root.path(), &expected);
    }
    assert!(killed > 0, "it was never killed: make the times shorter");
}

/// System calls that change something on a disk, each with its other names.
const CHANGES: [&str; 6] =
    ["?rename,?renameat,renameat2", "write", "fsync", "?unlink,unlinkat", "?symlink,symlinkat", "?mkdir,mkdirat"];

/// Provisions, and is killed before the call of this kind that has this number.
fn cut(card: &Card, root: &Path, calls: &str, when: usize) -> Result<Output, String> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:signal=KILL:when={when}")]).arg(binary());
    let ran = strace.args(arguments(card, root)).stdin(Stdio::null()).stdout(Stdio::null()).output();
    let ran = ran.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if said.contains("strace: ") { Err(said) } else { Ok(ran) }
}

#[test]
fn killed_before_each_change_of_a_disk_it_goes_on_where_it_was() {
    let expected = undisturbed();
    let mut cuts = 0;
    for calls in CHANGES {
        for when in 1.. {
            let (card, root) = (Card::new(), tempfile::tempdir().unwrap());
            card.fill();
            let Some(ran) = or_skip("strace", cut(&card, root.path(), calls, when)) else { return };
            if ran.status.success() {
                break;
            }
            cuts += 1;
            // And once more in the next run, where there is still something to cut.
            let _ = cut(&card, root.path(), calls, when.div_ceil(2));
            let (code, _, err) = provision(&card, root.path());
            assert_eq!((code, err.as_str()), (0, ""), "killed before {calls} {when}");
            assert_done(&card, root.path(), &expected);
        }
    }
    assert!(cuts > 60, "only {cuts} calls were found");
}

#[test]
fn a_card_that_can_not_be_written_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let Card::Mounted(card) = Card::new() else { return };
    let card = Card::Mounted(card);
    card.fill();
    let Card::Mounted(mounted) = &card else { unreachable!("it was just made") };
    mounted.make_read_only();
    let before = card.names();
    let (code, _, err) = provision(&card, root.path());
    assert_eq!(code, 1);
    assert!(err.contains("could not be wiped") && err.contains("nothing was changed"), "{err}");
    assert_eq!((card.names(), files(root.path()).len()), (before, 0));
}

#[test]
fn a_full_card_is_told_and_taken_when_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let Card::Mounted(mounted) = Card::new() else { return };
    let card = Card::Mounted(mounted);
    card.fill();
    let Card::Mounted(mounted) = &card else { unreachable!("it was just made") };
    mounted.fill_up();
    // The firmware's file does not fit.
    let (code, _, err) = provision(&card, root.path());
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("hat.txt") && err.contains("boot partition"), "{err}");
    assert!(card.names().contains(&"provision.toml".to_owned()), "it is still there");
    mounted.make_room();
    assert_eq!(provision(&card, root.path()).0, 0);
    assert_done(&card, root.path(), &undisturbed());
}

#[test]
fn whatever_bytes_are_on_the_card_it_ends_soon_and_changes_nothing() {
    let mut random = Random::new(Random::seed_from("FUZZ_SEED"));
    let names = ["stile.toml", "provision.toml", "authorized_keys", "custom.toml", "user-data", "network-config"];
    let root = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let folder = Card::Folder(tempfile::tempdir().unwrap());
        let name = names[round % names.len()];
        let mut bytes = random.bytes(4096);
        // 0xff is in no UTF-8, so that not one of them can be good.
        bytes.push(0xff);
        folder.put(name, bytes);
        let (code, _, err) = provision(&folder, root.path());
        assert_eq!(code, 78, "{name}: {err}");
        assert!(err.contains("remedy: "), "{err}");
        let told = fs::read_to_string(folder.path().join("stile-errors.txt")).unwrap();
        assert!(told.contains(name) && told.ends_with("\r\n") && !told.replace("\r\n", "").contains('\n'), "{told:?}");
        assert_eq!(files(root.path()).len(), 0);
    }
}

#[test]
fn a_list_of_gateways_makes_cards_that_a_machine_takes() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let rows: String = (1..=20).map(|number| format!("gw-{number},192.0.2.{number}/24,*\n")).collect();
    fs::write(file("g.csv"), format!("id,ethernet.address,secrets.cloud\n{rows}")).unwrap();
    fs::write(file("t.toml"), format!("[wifi]\ncountry = \"AT\"\nssid = \"Net\"\npassword = \"{SECRET}\"\n")).unwrap();
    fs::write(file("s.toml"), "[log]\nlevel = \"warn\"\n").unwrap();
    let all = ["provision", "--csv", &file("g.csv"), "--out", &file("cards"), "--template", &file("t.toml")];
    let (code, out, err) = check(&[&all[..], &["--stile", &file("s.toml")]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("20 gateways") && out.contains("list.csv"), "{out}");
    let root = tempfile::tempdir().unwrap();
    let card = Card::Folder(tempfile::tempdir().unwrap());
    for name in ["provision.toml", "stile.toml"] {
        fs::copy(dir.path().join("cards/gw-7").join(name), card.path().join(name)).unwrap();
    }
    assert_eq!(provision(&card, root.path()).0, 0);
    let machine = files(root.path());
    assert_eq!(machine[Path::new("etc/hostname")], b"gw-7\n");
    let list = fs::read_to_string(dir.path().join("cards/list.csv")).unwrap();
    let secret = list.lines().find_map(|line| line.strip_prefix("gw-7,gw-7,")).unwrap();
    assert_eq!(machine[Path::new("etc/stile/credentials/cloud")], secret.as_bytes());
    // Wrong rows are told, and nothing is written.
    fs::write(file("g.csv"), "id,ethernet.address\na,192.0.2.1\n").unwrap();
    let (code, _, err) = check(&["provision", "--csv", &file("g.csv"), "--out", &file("more")]);
    assert_eq!(code, 78);
    assert!(err.contains("g.csv:2: column `ethernet.address`") && err.contains("nothing was written"), "{err}");
    assert!(!Path::new(&file("more")).exists());
}
