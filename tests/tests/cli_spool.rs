//! `stile spool`: what it prints of files that a gateway left, and that it leaves them alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::Value;
use stile_tests::command;

/// A data folder with the spool of an uplink `cloud`: an alarm and three messages wait in it.
fn filled() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("spool-1"), &spool(data.path()));
    data
}

fn spool(data: &Path) -> PathBuf {
    data.join("spool/cloud")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The one file of the bulk lane.
fn bulk(data: &Path) -> PathBuf {
    fs::read_dir(spool(data).join("bulk")).unwrap().next().unwrap().unwrap().path()
}

/// Exit code, what it prints, what it complains of.
fn run(data: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = command().arg("spool").args(arguments).arg("--data-dir").arg(data).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_waits_is_counted_by_lane() {
    let data = filled();
    let (code, out, err) = run(data.path(), &["inspect"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..3], ["cloud", "alarm", "1"], "{out}");
    assert_eq!(lines[2][..3], ["cloud", "bulk", "3"], "{out}");
    assert_eq!(lines.len(), 3, "{out}");
    let (_, out, _) = run(data.path(), &["inspect", "cloud", "--json"]);
    let all: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(all["spools"][0]["contents"]["lanes"][1]["messages"], 3, "{out}");
}

#[test]
fn what_waits_is_exported_in_order_as_often_as_one_likes() {
    let data = filled();
    for _ in 0..2 {
        let (code, out, err) = run(data.path(), &["export", "cloud"]);
        assert_eq!((code, err.as_str()), (0, ""));
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let payloads: Vec<_> = lines.iter().map(|line| line["payload"].as_str().unwrap()).collect();
        assert_eq!(payloads, ["reading 5", "reading 2", "reading 3", "reading 4"]);
        assert_eq!((&lines[0]["lane"], &lines[0]["topic"]), (&"alarm".into(), &"door/alarm".into()));
        assert_eq!(lines[1]["number"], 2);
    }
}

#[test]
fn damage_is_named_with_its_file_and_what_is_whole_is_exported() {
    let data = filled();
    assert_eq!(run(data.path(), &["verify"]).0, 0);
    let file = bulk(data.path());
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.windows(9).position(|window| window == b"reading 3").unwrap();
    bytes[place] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, out, _) = run(data.path(), &["verify", "cloud"]);
    assert_eq!(code, 1, "{out}");
    let name = file.file_name().unwrap().to_str().unwrap();
    let told = out.lines().find(|line| line.contains(name)).unwrap();
    assert!(told.ends_with("damaged, 1 messages are lost"), "{out}");
    assert_eq!(run(data.path(), &["export", "cloud"]).1.lines().count(), 3);
}

#[test]
fn a_gateway_that_has_it_open_is_not_disturbed() {
    let data = filled();
    let lock = File::create(spool(data.path()).join("lock")).unwrap();
    lock.lock().unwrap();
    for verb in ["inspect", "verify", "export"] {
        let (code, out, err) = run(data.path(), &[verb, "cloud"]);
        assert_eq!((code, out.as_str()), (1, ""), "{verb}");
        assert!(err.contains("a running gateway has") && err.contains("stile uplink status"), "{err}");
    }
    drop(lock);
    assert_eq!(run(data.path(), &["inspect", "cloud"]).0, 0);
}

#[test]
fn what_is_not_there_is_said() {
    let data = tempfile::tempdir().unwrap();
    let (code, out, _) = run(data.path(), &["inspect"]);
    assert_eq!((code, out.starts_with("no uplink has a spool in ")), (0, true), "{out}");
    for (name, word) in [("cloud", "can't look at"), ("../cloud", "is no uplink's name"), ("/", "is no uplink's name")]
    {
        let (code, _, err) = run(data.path(), &["export", name]);
        assert_eq!((code, err.contains(word)), (1, true), "{name}: {err}");
    }
}
