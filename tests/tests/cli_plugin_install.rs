//! `stile plugin` for operators: installing, going back, switching on and off, with a gateway that runs and without one.
//! The components are those that `make plugins` left in target/plugins.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rumqttc::QoS;
use serde_json::Value;
use stile_tests::{Client, Stile, check};

const NOBODY: &str = "no gateway is running here; the next start takes it";

fn built(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(format!("target/plugins/{name}.wasm"));
    assert!(path.exists(), "{} is not there; make plugins", path.display());
    path
}

/// A gateway's folder, and `stile plugin` with its settings.
struct Place<'a>(&'a Path);

impl Place<'_> {
    fn run(&self, verb: &str, arguments: &[&str]) -> (i32, String, String) {
        let config = self.0.join("stile.toml");
        check(&[&["plugin", verb, "--config", config.to_str().unwrap()], arguments].concat())
    }

    /// Runs it; it must succeed. Gives what it prints.
    #[track_caller]
    fn good(&self, verb: &str, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(verb, arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{verb} {arguments:?}: {out}");
        out
    }

    /// Runs it; it must fail. Gives its complaint.
    #[track_caller]
    fn bad(&self, verb: &str, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(verb, arguments);
        assert_eq!(code, 1, "{verb} {arguments:?}: {out}{err}");
        err
    }

    fn list(&self) -> Vec<Value> {
        serde_json::from_str(&self.good("list", &["--json"])).unwrap()
    }

    fn installed(&self, name: &str) -> PathBuf {
        self.0.join(format!("data/plugins/{name}.wasm"))
    }

    fn settings(&self, name: &str) -> PathBuf {
        self.0.join(format!("conf.d/plugin-{name}.toml"))
    }
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("stile.toml"), Stile::settings(dir.path(), "", "")).unwrap();
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_running_gateway_has_a_plugin_as_soon_as_it_is_installed_and_loses_it_when_it_is_disabled() {
    let stile = Stile::start("");
    let place = Place(stile.dir.path());
    let client = Client::connect(stile.mqtt, "c");
    client.subscribe("t/#", QoS::AtLeastOnce);
    let through = |readings: &[&str]| -> Vec<String> {
        readings.iter().for_each(|reading| client.publish("t/a", QoS::AtLeastOnce, false, *reading));
        client.publish("t/end", QoS::AtLeastOnce, false, "0");
        let seen = std::iter::repeat_with(|| client.next());
        seen.take_while(|message| message.topic != "t/end").map(|message| message.text().to_owned()).collect()
    };
    let settings = stile.dir.path().join("settings.json");
    std::fs::write(&settings, r#"{ "fields": { "": 0.5 } }"#).unwrap();
    let downsample = built("downsample");
    let arguments = [text(&downsample), "--topic", "t/a", "--settings", text(&settings)];
    let out = place.good("install", &arguments);
    assert!(
        out.contains("downsample: installed, ") && out.ends_with("the running gateway has taken it: ready\n"),
        "{out}"
    );
    assert_eq!(through(&["1", "1.1", "2"]), ["1", "2"]);
    let list = place.good("list", &[]);
    let line = list.lines().nth(1).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[..2], ["downsample", "1.0.0"], "{list}");
    assert_eq!(words[3..10], ["ready", "3", "2", "0", "1", "0", "0"], "{list}");

    let out = place.good("disable", &["downsample"]);
    assert!(out.ends_with("the running gateway has taken it: messages go past the plugin\n"), "{out}");
    assert_eq!(through(&["2", "2"]), ["2", "2"]);
    assert_eq!(place.list()[0]["state"], "disabled");
    let out = place.good("enable", &["downsample"]);
    assert!(out.ends_with("the running gateway has taken it: ready\n"), "{out}");
    assert_eq!(through(&["1", "1.1"]), ["1"]);
}

#[test]
fn a_plugin_that_needs_settings_is_installed_and_waits_for_them() {
    let dir = folder();
    let place = Place(dir.path());
    let out = place.good("install", &[text(&built("downsample"))]);
    assert!(
        out.contains("not enabled, since it does not start: `fields` in [plugin.settings] is missing")
            && out.contains(NOBODY),
        "{out}"
    );
    let written = std::fs::read_to_string(place.settings("downsample")).unwrap();
    assert!(
        written.contains("enabled = false") && written.contains("topics = [\"lora/+/up\", \"serial/+/up\"]"),
        "{written}"
    );
    assert!(written.contains("tick = \"1s\""), "{written}");
    place.good("install", &[text(&built("downsample")), "--name", "seldom", "--tick", "2m"]);
    assert!(std::fs::read_to_string(place.settings("seldom")).unwrap().contains("tick = \"2m\""));
    let error = place.bad("install", &[text(&built("downsample")), "--name", "often", "--tick", "1ms"]);
    assert!(error.contains("100ms") && !place.settings("often").exists(), "{error}");
    let entry = &place.list()[0];
    assert_eq!((&entry["state"], &entry["enabled"]), (&"disabled".into(), &Value::Bool(false)));
    let with_settings = format!("{written}# Ours.\n[plugin.settings]\nfields = {{ \"\" = 1 }} # one degree\n");
    std::fs::write(place.settings("downsample"), &with_settings).unwrap();
    place.good("enable", &["downsample"]);
    let enabled = std::fs::read_to_string(place.settings("downsample")).unwrap();
    assert_eq!(enabled, with_settings.replace("enabled = false", "enabled = true"));
    assert!(place.good("enable", &["downsample"]).starts_with("downsample: enabled already"));
}

#[test]
fn what_would_not_load_changes_nothing() {
    let dir = folder();
    let place = Place(dir.path());
    let garbage = dir.path().join("garbage.wasm");
    std::fs::write(&garbage, b"\0asm\x0d\0\x01\0garbage").unwrap();
    assert!(place.bad("install", &[text(&garbage), "--name", "garbage", "--topic", "#"]).contains("garbage.wasm: "));
    assert!(!place.settings("garbage").exists() && !place.installed("garbage").exists());

    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    std::fs::write(place.settings("pass"), "# Somebody else's.\n").unwrap();
    assert!(place.bad("install", &[text(&built("pass"))]).contains("is there already, without a plugin `pass`"));
    assert!(!place.installed("pass").exists());
    std::fs::remove_file(place.settings("pass")).unwrap();

    place.good("install", &[text(&built("pass"))]);
    let before = std::fs::read(place.installed("pass")).unwrap();
    // Another plugin under this name does not start with its settings.
    let error = place.bad("install", &[text(&built("downsample")), "--name", "pass"]);
    assert!(
        error.contains("does not start with the settings of `pass`") && error.contains("nothing has changed"),
        "{error}"
    );
    assert_eq!(std::fs::read(place.installed("pass")).unwrap(), before);
    assert!(place.bad("install", &[text(&built("pass")), "--name", "a/b"]).contains("--name"));
    assert!(place.bad("enable", &["absent"]).contains("`stile plugin list` names them"));
    assert!(place.bad("rollback", &["pass"]).contains("no version of `pass` from before is kept"));
}

#[test]
fn the_version_before_is_kept_and_one_command_goes_back_to_it() {
    let dir = folder();
    let place = Place(dir.path());
    place.good("install", &[text(&built("pass"))]);
    let first = std::fs::read(place.installed("pass")).unwrap();
    // The same plugin with one more custom section: other bytes that run alike.
    let newer = dir.path().join("newer.wasm");
    std::fs::write(&newer, [&first[..], &[0, 2, 1, b'x']].concat()).unwrap();
    let out = place.good("install", &[text(&newer)]);
    assert!(out.contains("`stile plugin rollback pass` goes back to it"), "{out}");
    let second = std::fs::read(place.installed("pass")).unwrap();
    assert_ne!(first, second);
    // Installed again it is no version before of itself.
    place.good("install", &[text(&newer)]);
    place.good("rollback", &["pass"]);
    assert_eq!(std::fs::read(place.installed("pass")).unwrap(), first);
    place.good("rollback", &["pass"]);
    assert_eq!(std::fs::read(place.installed("pass")).unwrap(), second);
    // What is kept is asked as much as what is installed.
    let kept = place.installed("pass.previous");
    std::fs::copy(built("downsample"), &kept).unwrap();
    let error = place.bad("rollback", &["pass"]);
    assert!(error.contains("does not start: ") && error.contains("nothing has changed"), "{error}");
    assert_eq!(std::fs::read(place.installed("pass")).unwrap(), second);
    place.good("disable", &["pass"]);
    assert!(place.good("rollback", &["pass"]).contains("not enabled, and would not start: "));
    place.good("rollback", &["pass"]);
    let error = place.bad("install", &[text(&newer), "--topic", "a/#"]);
    assert!(error.contains("--topic, --settings and --tick are for a new one"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path().join("data/plugins")).unwrap().count(), 2, "nothing is left behind");
}

#[test]
fn what_is_no_file_in_a_components_place_is_neither_read_nor_replaced() {
    let dir = folder();
    let place = Place(dir.path());
    place.good("install", &[text(&built("pass"))]);
    let installed = place.installed("pass");
    std::fs::remove_file(&installed).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &installed).unwrap();
    assert!(place.bad("install", &[text(&built("pass"))]).contains("no regular file"));
    std::fs::remove_file(&installed).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&installed).status().unwrap();
    assert!(made.success());
    assert!(place.bad("install", &[text(&built("pass"))]).contains("no regular file"));
    let (code, _, error) = check(&["plugin", "keys", "/dev/zero", "--show", "--name", "a"]);
    assert!(code == 1 && error.contains("no private key"), "{error}");
}

#[test]
fn a_data_folder_named_from_here_is_written_as_a_whole_path() {
    let dir = folder();
    let settings = dir.path().join("settings.json");
    std::fs::write(&settings, r#"{ "fields": { "": 0.5 } }"#).unwrap();
    let run = |name: &str, component: &Path, more: &[&str]| {
        let mut command = stile_tests::command();
        command.current_dir(dir.path()).args([
            "plugin",
            "install",
            "--config",
            "stile.toml",
            "--data-dir",
            "elsewhere",
        ]);
        let output = command.args(["--name", name, text(component)]).args(more).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    run("pass", &built("pass"), &[]);
    run("down", &built("downsample"), &["--settings", text(&settings)]);
    let place = Place(dir.path());
    let written = std::fs::read_to_string(place.settings("pass")).unwrap();
    let whole = dir.path().join("elsewhere/plugins/pass.wasm");
    assert!(whole.exists() && written.contains(text(&whole)), "{written}");
    let mode = |name: &str| std::fs::metadata(place.settings(name)).unwrap().mode() & 0o007;
    assert_eq!(mode("down"), 0, "settings may be secrets");
}

#[test]
fn switching_waits_for_whoever_changes_plugins() {
    let dir = folder();
    let place = Place(dir.path());
    place.good("install", &[text(&built("pass"))]);
    let lock = std::fs::File::open(dir.path().join("data")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let switching = scope.spawn(|| place.good("disable", &["pass"]));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!switching.is_finished());
        // Written meanwhile, it is not lost.
        let written = std::fs::read_to_string(place.settings("pass")).unwrap();
        std::fs::write(place.settings("pass"), format!("{written}# Ours.\n")).unwrap();
        drop(lock);
        switching.join().unwrap();
    });
    let written = std::fs::read_to_string(place.settings("pass")).unwrap();
    assert!(written.contains("enabled = false") && written.ends_with("# Ours.\n"), "{written}");
}

#[test]
fn what_root_installs_is_the_gateways_and_nobody_else_can_change_it() {
    let dir = folder();
    let place = Place(dir.path());
    let (data, config) = (dir.path().join("data"), dir.path().join("stile.toml"));
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o640)).unwrap();
    // Only root can give files away; for others the modes are what can be looked at.
    let given = chown(&data, Some(65_534), Some(65_534)).and_then(|()| chown(&config, Some(0), Some(65_534))).is_ok();
    place.good("install", &[text(&built("pass"))]);
    let rights = |path: &Path| {
        let meta = std::fs::metadata(path).unwrap();
        (meta.mode() & 0o777, meta.uid(), meta.gid())
    };
    let (component, folder) = (rights(&place.installed("pass")), rights(&dir.path().join("data/plugins")));
    assert_eq!((component.0, folder.0, rights(&place.settings("pass")).0), (0o600, 0o700, 0o640));
    if given {
        assert_eq!((component.1, folder.1), (65_534, 65_534));
        let settings = rights(&place.settings("pass"));
        assert_eq!((settings.1, settings.2), (0, 65_534), "as the main file");
    }
    place.good("disable", &["pass"]);
    assert_eq!(rights(&place.settings("pass")).0, 0o640);
}

#[test]
fn a_reload_that_is_refused_is_told_to_whoever_asked_for_it() {
    let stile = Stile::start("");
    let place = Place(stile.dir.path());
    place.good("install", &[text(&built("pass"))]);
    // The gateway reads all settings again, those of others too; the command line reads them first.
    let wrong = stile.dir.path().join("conf.d/wrong.toml");
    std::fs::write(&wrong, "[gateway]\nidd = 1\n").unwrap();
    let (code, _, err) = place.run("disable", &["pass"]);
    assert!(code == 78 && err.contains("idd"), "{code} {err}");
    std::fs::remove_file(&wrong).unwrap();
    // A component that is gone: the gateway says so, and goes on with what it has.
    std::fs::remove_file(place.installed("pass")).unwrap();
    place.good("disable", &["pass"]);
    let error = place.bad("enable", &["pass"]);
    assert!(error.contains("could not load it") && error.contains("No such file"), "{error}");
}
