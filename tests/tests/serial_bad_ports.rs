//! Ports that can't be opened: each says once, in plain words, what is wrong and what to do; the others go on.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;
use std::process::Command;

use rumqttc::QoS;
use rustix::fs::FlockOperation;
use serde_json::Value;
use stile_tests::{Client, Pty, Stile, SwitchedPort, binary, serial, skip, within};

const NOT_OPEN: &str = "port not open; tried again until it is";
/// A user and a group that own nothing.
const NOBODY: u32 = 65_534;

/// What was logged of a radio's port that would not open.
fn complaints(stile: &Stile, radio: &str) -> Vec<Value> {
    stile.logged(NOT_OPEN).into_iter().filter(|record| record["radio"] == radio).collect()
}

#[track_caller]
fn first_complaint(stile: &Stile, radio: &str) -> String {
    let record = within(&format!("complaint about {radio}"), || complaints(stile, radio).into_iter().next());
    record["error"].as_str().unwrap().to_owned()
}

/// Lets some tries to open ports pass: plugs `port` in and out, for which the same time goes by.
#[track_caller]
fn some_tries(stile: &Stile, radio: &str, port: &mut SwitchedPort) {
    for _ in 0..3 {
        let (open, lost) = ("port open", "port lost; it is opened again when it is back");
        let of = |message| stile.logged(message).iter().filter(|r| r["radio"] == radio).count();
        let (opened, losses) = (of(open), of(lost));
        port.plug();
        within("the port is opened", || (of(open) > opened).then_some(()));
        port.unplug();
        within("the port is lost", || (of(lost) > losses).then_some(()));
    }
}

#[test]
fn a_port_that_cannot_be_opened_says_why_once_and_disturbs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("file"), "x").unwrap();
    // Settings with a folder for a device are refused, so it becomes one later.
    let in_use = Pty::open();
    let held = std::fs::File::open(in_use.path()).unwrap();
    rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
    std::os::unix::fs::symlink(in_use.path(), path("held")).unwrap();
    let port = |name: &str| SwitchedPort::named(dir.path(), name);
    let (mut clock, mut good) = (port("clock"), port("good"));
    good.plug();
    let names = ["file", "gone", "folder", "held", "clock", "good"];
    let settings: String = names.iter().map(|name| serial(name, &port(name), "")).collect();
    let folder = path("folder");
    let stile = Stile::start_in(dir, "", &settings);
    first_complaint(&stile, "folder");
    std::fs::create_dir(&folder).unwrap();

    let says = |radio| first_complaint(&stile, radio);
    assert!(says("file").contains("is no serial port; set `device` to a tty"), "{}", says("file"));
    assert!(says("gone").contains("is not there; plug the device in"), "{}", says("gone"));
    assert!(says("held").contains("is in use by another program"), "{}", says("held"));
    some_tries(&stile, "clock", &mut clock);
    for radio in ["file", "gone", "held"] {
        assert_eq!(complaints(&stile, radio).len(), 1, "{radio}");
    }
    let of_folder = within("complaint about the folder", || complaints(&stile, "folder").into_iter().nth(1));
    assert!(of_folder["error"].as_str().unwrap().contains("is a directory; set `device`"), "{of_folder}");
    assert_eq!(complaints(&stile, "folder").len(), 2);

    stile.wait_online("good");
    let client = Client::connect(stile.mqtt, "test");
    client.subscribe("serial/good/up", QoS::AtLeastOnce);
    good.pty().write(b"undisturbed\n");
    assert_eq!(client.next().text(), "undisturbed");
    // What was in the way is gone: it opens without a restart.
    drop(held);
    stile.wait_online("held");
}

#[test]
fn settings_that_name_a_folder_as_a_port_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("port")).unwrap();
    let radio = serial("a", &SwitchedPort::unplugged(dir.path()), "");
    let file = dir.path().join("stile.toml");
    std::fs::write(&file, Stile::settings(dir.path(), "", &radio)).unwrap();
    let (code, _, said) = stile_tests::check(&["check", file.to_str().unwrap()]);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("which is a folder") && said.contains("write the path of a port in it"), "{said}");
}

/// The name of the group of a file, asked of another program.
fn group(path: &Path) -> String {
    let output = Command::new("stat").args(["--dereference", "--format=%G"]).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_port_without_permission_names_the_group_to_join_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut clock, mut port) = (SwitchedPort::named(dir.path(), "clock"), SwitchedPort::named(dir.path(), "locked"));
    port.plug();
    // Nobody but root may open it; root may open everything, so it runs the daemon as somebody else.
    let locked = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(port.link(), locked).unwrap();
    let settings = serial("locked", &port, "") + &serial("clock", &clock, "");
    let stile = if rustix::process::geteuid().is_root() {
        use std::os::unix::process::CommandExt;
        if let Err(error) = Command::new(binary()).arg("--version").uid(NOBODY).gid(NOBODY).output() {
            return skip(&format!("the user {NOBODY} must be able to run {}: {error}", binary().display()));
        }
        std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        Stile::start_as(NOBODY, dir, &settings)
    } else {
        Stile::start_in(dir, "", &settings)
    };
    let (said, group) = (first_complaint(&stile, "locked"), group(port.link()));
    let remedy = format!("add the gateway's user to the group `{group}`: sudo usermod -aG {group} stile");
    assert!(said.starts_with("no permission to open ") && said.ends_with(&remedy), "{said}");
    some_tries(&stile, "clock", &mut clock);
    assert_eq!(complaints(&stile, "locked").len(), 1);
}
