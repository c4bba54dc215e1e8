//! `stile plugin new` and `build` in the languages besides Rust: from nothing to a component that passes its cases.
//!
//! `tests/setup.sh plugins` installs the tools of all of them. Where those of one are missing, its test is shown as ignored,
//! with that reason in its name.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Arguments, Failed, Trial};
use stile_tests::{binary, command};

/// What is said of a language whose tools are not there.
const MISSING: &str = "its tools are not installed; tests/setup.sh plugins does that";

/// Each language, what its route must run, and the file that a new project in it is known by.
const LANGUAGES: [(&str, &[&str], &str); 3] = [
    ("js", &["node", "componentize-qjs"], "filter.js"),
    ("python", &["componentize-py"], "app.py"),
    ("c", &["clang", "wasm-ld", "stile-c-bindings"], "limit.c"),
];

/// Where programs are looked for: where tests/setup.sh installs them, beside the tested binary, and where they always are.
fn places() -> Vec<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/tools");
    let ours = [tools.join("js/node_modules/.bin"), tools.join("python/bin"), binary().parent().unwrap().to_owned()];
    ours.into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())).collect()
}

fn is_there(program: &str) -> bool {
    places().iter().any(|place| place.join(program).is_file())
}

fn stile(folder: &Path, arguments: &[&str]) -> Command {
    let mut stile = command();
    stile.current_dir(folder).arg("plugin").args(arguments);
    stile
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn becomes_a_component(language: &str, source: &str) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let made = stile(dir.path(), &["new", "limit-9", "--lang", language]).output()?;
    assert!(made.status.success() && dir.path().join("limit-9").join(source).is_file(), "{}", said(&made));
    let built = stile(dir.path(), &["build", "limit-9"]).env("PATH", env::join_paths(places())?).output()?;
    assert!(built.status.success(), "{}", said(&built));
    let tested = stile(dir.path(), &["test", "limit-9/limit-9.wasm"]).output()?;
    assert!(tested.status.success() && said(&tested).contains("2 of 2 good"), "{}", said(&tested));
    Ok(())
}

fn without_tools_says_what_to_install(language: &str) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    assert!(stile(dir.path(), &["new", "bare", "--lang", language]).output()?.status.success());
    let refused = stile(dir.path(), &["build", "bare"]).env("PATH", dir.path()).output()?;
    let said = said(&refused);
    assert!(!refused.status.success() && said.contains("is not there") && said.contains("instal"), "{said}");
    Ok(())
}

fn sdk_is_for_rust() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let refused = stile(dir.path(), &["new", "limit-9", "--lang", "js", "--sdk", "."]).output()?;
    assert!(!refused.status.success() && said(&refused).contains("leave --sdk out"), "{}", said(&refused));
    assert!(!dir.path().join("limit-9").exists());
    Ok(())
}

fn main() {
    let mut trials = vec![Trial::test("a_project_without_an_sdk_takes_none", sdk_is_for_rust)];
    for (language, programs, source) in LANGUAGES {
        let trial =
            Trial::test(format!("{language}::a_new_project_becomes_a_component_that_passes_its_cases"), move || {
                becomes_a_component(language, source)
            });
        let there = programs.iter().all(|program| is_there(program));
        trials.push(if there { trial } else { trial.with_kind(MISSING).with_ignored_flag(true) });
        let name = format!("{language}::a_build_without_its_tools_says_what_to_install");
        trials.push(Trial::test(name, move || without_tools_says_what_to_install(language)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
