//! `stile plugin` for authors: cases and captures against components, what a component costs, and a project from nothing to
//! a component. The components are those that `make plugins` left in target/plugins.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stile_tests::{check, command};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn built(name: &str) -> String {
    let path = root().join(format!("target/plugins/{name}.wasm"));
    assert!(path.exists(), "{} is not there; make plugins", path.display());
    path.to_str().unwrap().to_owned()
}

/// A file in a folder of its own.
fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

#[test]
fn a_case_that_differs_ends_with_1_and_says_where() {
    let case = r#"{ "about": "Wrong.", "settings": { "fields": { "": 0.5 } }, "steps": [
        { "at": 0, "in": { "topic": "a", "text": "20" }, "pass": true },
        { "at": 1.5, "in": { "topic": "a", "text": "20.1" }, "pass": true } ] }"#;
    let (_dir, case) = file("wrong.json", case);
    let (code, out, err) = check(&["plugin", "test", &built("downsample"), &case]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    assert!(
        out.starts_with("wrong  wrong.json: Wrong.\n") && out.contains("step 2, at 1.5 s: Drop(\"unchanged\")"),
        "{out}"
    );
    let (code, out, _) = check(&["plugin", "test", &built("downsample"), &case, "--json"]);
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &line["good"], &line["messages"]), (1, &Value::Bool(false), &2.into()), "{line}");
    assert!(line["cpu_nanoseconds"].as_u64().unwrap() > 0 && line["memory_bytes"].as_u64().unwrap() > 0, "{line}");
}

#[test]
fn what_can_not_be_tested_ends_with_2_and_says_why() {
    let (_dir, garbage) = file("garbage.json", "{\n");
    let (_other, good) = file("good.json", r#"{ "about": "x", "settings": {}, "invalid": "x" }"#);
    let pass = built("pass");
    for (arguments, why) in [
        (vec![garbage.as_str(), &good], "garbage.json: it is no WebAssembly"),
        (vec!["/nowhere.wasm", &good], "/nowhere.wasm: No such file"),
        (vec![&garbage], "cases is not there; name a case"),
        (vec![&pass, &garbage], "garbage.json: EOF"),
        (vec![&pass, "/nowhere"], "/nowhere is not there"),
        (vec![&pass, &good, "--grant", "wings"], "kv, emit, random, data"),
    ] {
        let (code, _, err) = check(&[&["plugin", "test"], &arguments[..]].concat());
        assert!(code == 2 && err.contains(why), "{arguments:?}: {code} {err}");
    }
}

#[test]
fn limits_hold_in_a_test_as_they_do_in_the_gateway() {
    let case = r#"{ "about": "x", "steps": [ { "at": 0, "in": { "topic": "a" }, "pass": true } ] }"#;
    let (_dir, case) = file("case.json", case);
    let (code, out, _) = check(&["plugin", "test", &built("pass"), &case, "--memory", "65536"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("memory"), "{out}");
}

#[test]
fn captured_messages_are_played_by_their_own_time() {
    let line = |second: u32, topic: &str, payload: &str| {
        format!(
            "{{\"id\":\"0-1\",\"time\":\"2026-11-21T20:00:{second:02}.000000Z\",\"clock\":\"synchronised\",\
             \"origin\":\"radio:roof\",\"topic\":\"{topic}\",\"qos\":1,\"retain\":false,\"encoding\":\"text\",\"payload\":\"{payload}\"}}\n"
        )
    };
    let lines = [
        line(0, "lora/roof/up", "1"),
        line(5, "other", "1"),
        line(9, "lora/roof/up", "9"),
        line(10, "lora/roof/up", "9"),
    ];
    let (_dir, capture) = file("capture.ndjson", &format!("{}{{\"missed\":2}}\n", lines.concat()));
    let (_other, settings) = file("settings.json", r#"{ "fields": { "": 0 }, "least-interval": "10s" }"#);
    let arguments = ["plugin", "test", &built("downsample"), &capture, "--settings", &settings];
    let (code, out, err) = check(&arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let shown: Vec<_> = out.lines().take(4).collect();
    assert_eq!(
        shown[..3],
        [
            "2026-11-21T20:00:00.000000Z lora/roof/up passed",
            "2026-11-21T20:00:09.000000Z lora/roof/up dropped: too soon",
            "2026-11-21T20:00:10.000000Z lora/roof/up passed"
        ]
    );
    assert!(shown[3].ends_with("1 dropped, 2 passed; 1 were not for it; 2 are missing in it"), "{out}");
    let (code, _, err) = check(&arguments[..4]);
    assert_eq!(code, 2);
    assert!(err.contains("does not start") && err.contains("--settings"), "{err}");
}

#[test]
fn a_bench_tells_what_a_message_costs_in_calls_of_several_sizes() {
    let case = root().join("plugins/downsample/cases/small-changes-are-kept-back.json");
    let case = case.to_str().unwrap();
    let (code, out, err) = check(&["plugin", "bench", &built("downsample"), "--case", case, "--rounds", "3", "--json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let figures: Value = serde_json::from_str(&out).unwrap();
    for pointer in [
        "/cpu_nanoseconds_a_message/1",
        "/cpu_nanoseconds_a_message/16",
        "/cpu_nanoseconds_a_message/64",
        "/memory_bytes",
        "/compile_nanoseconds",
        "/load_nanoseconds",
        "/start_cpu_nanoseconds",
        "/compiled_bytes",
    ] {
        assert!(
            figures.pointer(pointer).and_then(Value::as_u64).is_some_and(|figure| figure > 0),
            "{pointer}: {figures}"
        );
    }
    let (code, _, err) = check(&["plugin", "bench", &built("downsample")]);
    assert!(code == 1 && err.contains("does not start") && err.contains("--settings"), "{err}");
    let (code, out, _) = check(&["plugin", "bench", &built("pass"), "--rounds", "1"]);
    assert!(code == 0 && out.contains("CPU a message, 64 in a call"), "{out}");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Cargo builds it in a folder of the workspace, so that only the first run compiles the SDK; without what takes long and
/// changes nothing but the size.
fn cached(command: &mut Command) -> &mut Command {
    let folder = root().join("target/tmp/plugin-new");
    command
        .env("CARGO_TARGET_DIR", folder)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
}

#[test]
fn a_new_project_builds_and_passes_its_cases_natively_and_as_a_component() {
    let dir = tempfile::tempdir().unwrap();
    let sdk = root();
    let made = command().current_dir(&dir).args(["plugin", "new", "co2-limit", "--sdk"]).arg(&sdk).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let again = command().current_dir(&dir).args(["plugin", "new", "co2-limit"]).output().unwrap();
    assert!(!again.status.success(), "nothing is overwritten");
    let project = dir.path().join("co2-limit");
    let native = cached(&mut Command::new("cargo"))
        .current_dir(&project)
        .args(["test", "--quiet", "--release"])
        .output()
        .unwrap();
    assert!(native.status.success(), "{}", said(&native));
    let mut build = command();
    let sysroot = Command::new("bash").arg(root().join("plugins/toolchain.sh")).output().unwrap();
    let sysroot = String::from_utf8(sysroot.stdout).unwrap();
    build.current_dir(&dir).args(["plugin", "build", "co2-limit"]);
    if !sysroot.trim().is_empty() {
        build.args(["--sysroot", sysroot.trim()]);
    }
    let built = cached(&mut build).output().unwrap();
    assert!(built.status.success(), "{}", said(&built));
    let tested = command().current_dir(&dir).args(["plugin", "test", "co2-limit/co2-limit.wasm"]).output().unwrap();
    assert!(tested.status.success() && said(&tested).contains("2 of 2 good"), "{}", said(&tested));
    let component = std::fs::read(project.join("co2-limit.wasm")).unwrap();
    assert!(
        !String::from_utf8_lossy(&component).contains(dir.path().to_str().unwrap()),
        "it names this machine's folder"
    );
}

#[test]
fn a_folder_without_a_project_is_not_built_and_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = check(&["plugin", "build", dir.path().to_str().unwrap()]);
    assert!(code == 1 && err.contains("Cargo.toml (rust)"), "{err}");
    std::fs::write(dir.path().join("Cargo.toml"), "").unwrap();
    let mut bare = command();
    let built = bare.env("PATH", dir.path()).args(["plugin", "build"]).arg(dir.path()).output().unwrap();
    assert!(said(&built).contains("`rustc` is not there; install Rust"), "{}", said(&built));
}
