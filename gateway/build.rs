//! Makes the list of licences that the page shows: what the gateway is built of, as cargo itself tells it.
//!
//! Only a look at Cargo.lock and at what cargo has fetched for this build. Where that fails the list is empty, and the page
//! says so: it is no reason not to build.
#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    println!("cargo:rerun-if-changed=Cargo.toml");
    let list = licences().unwrap_or_else(|error| {
        println!("cargo:warning=no list of licences: {error}");
        String::new()
    });
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("licences.txt"), list).expect("cargo has made the folder");
}

/// A line each: name, version, licence, with tabs between them.
fn licences() -> Result<String, String> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let arguments = [
        "tree",
        "--offline",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}\t{l}",
        "--target",
    ];
    let mut cargo = Command::new(variable("CARGO")?);
    let output = cargo.args(arguments).arg(variable("TARGET")?).current_dir(variable("CARGO_MANIFEST_DIR")?).output();
    let output = output.map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "));
    }
    let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    let own = variable("CARGO_PKG_NAME")?;
    let lines: BTreeSet<_> =
        text.lines().filter_map(line).filter(|line| !line.starts_with(&format!("{own}\t"))).collect();
    Ok(lines.into_iter().map(|line| line + "\n").collect())
}

/// Of `serde v1.0.229 (*)<tab>MIT`. A star says that its own dependencies stand further up.
fn line(line: &str) -> Option<String> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some(format!("{name}\t{version}\t{}", licence.trim_end_matches(" (*)").trim()))
}
