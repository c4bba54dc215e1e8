//! A set-up leaves one gateway and comes to another.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};

use stile_tests::{Stile, check};

const RADIO: &str = "[[radio]]\nname = \"moved\"\nkind = \"simulated\"\ndevice = \"line\"\n";
const USER: &str = "[[broker.user]]\nname = \"ops\"\npassword = \"s3cret-of-ops\"\n";

fn config(main: &Path, arguments: &[&str]) -> (i32, String) {
    let main = main.to_str().unwrap();
    let all: Vec<&str> = ["config"].iter().chain(arguments).copied().chain(["--config", main]).collect();
    let (code, out, error) = check(&all);
    (code, out + &error)
}

/// A folder with settings for a gateway that does not run, a user in its file, and a passphrase.
fn first(dir: &Path) -> PathBuf {
    let main = dir.join("stile.toml");
    // Where its data are is no part of what moves: the other one has them in its own folder by the same words.
    let text = Stile::settings(dir, "", USER).replace(&format!("{:?}", dir.join("data")), "\"data\"");
    std::fs::write(&main, text).unwrap();
    std::fs::create_dir(dir.join("conf.d")).unwrap();
    std::fs::write(dir.join("conf.d/radio.toml"), RADIO).unwrap();
    std::fs::write(dir.join("passphrase"), "correct horse battery staple\n").unwrap();
    let (code, _, error) = check(&["user", "add", "berta", "--all", "--config", main.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    main
}

#[test]
fn a_sealed_set_up_comes_to_a_running_gateway_as_a_change_on_trial() {
    let from = tempfile::tempdir().unwrap();
    let main = first(from.path());
    let path = |name: &str| from.path().join(name).to_str().unwrap().to_owned();
    let (sealed, passphrase) = (path("set-up.sealed"), path("passphrase"));
    let (code, said) = config(&main, &["export", "--to", &sealed, "--passphrase-file", &passphrase]);
    assert_eq!(code, 0, "{said}");
    let text = std::fs::read_to_string(&sealed).unwrap();
    assert!(!text.contains("s3cret") && !text.contains("berta"), "{text}");

    let stile = Stile::start("");
    let to = stile.dir.path().join("stile.toml");
    let before = std::fs::read_to_string(&to).unwrap();
    let (code, said) = config(&to, &["import", &sealed]);
    assert!(code == 1 && said.contains("it is sealed; give its passphrase with --passphrase-file"), "{said}");
    let (code, said) = config(&to, &["import", &sealed, "--passphrase-file", &passphrase, "--confirm-within", "1h"]);
    assert!(code == 0 && said.contains("berta: user added") && said.contains("radio moved: new"), "{said}");
    assert!(stile.get("/metrics").1.contains("stile_radio_online{radio=\"moved\"}"));
    assert_eq!(std::fs::read(&to).unwrap(), std::fs::read(&main).unwrap());
    let (code, said) = config(&to, &["return"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), before);
    assert!(!to.with_file_name("conf.d").join("radio.toml").exists());
}

#[test]
fn without_a_passphrase_no_secret_leaves_and_what_is_lacking_is_said() {
    let from = tempfile::tempdir().unwrap();
    let main = first(from.path());
    let (code, text) = config(&main, &["export"]);
    assert!(code == 0 && !text.contains("s3cret") && !text.contains("argon2id") && text.contains("berta"), "{text}");
    let file = from.path().join("set-up.json");
    std::fs::write(&file, &text).unwrap();
    let file = file.to_str().unwrap();

    let to = tempfile::tempdir().unwrap();
    let second = to.path().join("stile.toml");
    let (code, said) = config(&second, &["import", file]);
    assert!(code == 1 && said.contains("the main file, line") && said.contains("--into"), "{said}");
    assert!(!second.exists());
    let into = to.path().join("new");
    let (code, said) = config(&second, &["import", file, "--into", into.to_str().unwrap()]);
    assert!(code == 0 && into.join("conf.d/radio.toml").exists() && into.join("users.toml").exists(), "{said}");
    // Filled in, it is a set-up like any other; this user gets a new password.
    let filled = text.replace("********", "another-s3cret");
    std::fs::write(from.path().join("filled.json"), filled).unwrap();
    let filled = from.path().join("filled.json");
    let (code, said) = config(&second, &["import", filled.to_str().unwrap(), "--no-trial"]);
    assert!(code == 0 && said.contains("berta: user added; password, shown this once: "), "{said}");
    let (code, said, error) = check(&["check", second.to_str().unwrap()]);
    assert!(code == 0 && said.contains("good (2 files, 1 radios)"), "{said}{error}");
    let (code, said, _) = check(&["user", "list", "--config", second.to_str().unwrap()]);
    assert!(code == 0 && said.contains("berta"), "{said}");
}
