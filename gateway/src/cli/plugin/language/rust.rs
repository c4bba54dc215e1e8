//! Rust: cargo alone, with the linker that comes with the toolchain.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{CASE, Language, MANIFEST, Options, REFUSAL, run};

const TARGET: &str = "wasm32-unknown-unknown";
const INSTALL: &str = "install Rust: https://rustup.rs, or Debian's package `rustup`";

pub(super) const RUST: Language = Language {
    name: "rust",
    mark: "Cargo.toml",
    files: &[
        ("Cargo.toml", include_str!("../templates/rust/Cargo.toml.in")),
        (".cargo/config.toml", include_str!("../templates/rust/config.toml.in")),
        (".gitignore", include_str!("../templates/rust/gitignore.in")),
        ("README.md", include_str!("../templates/rust/README.md.in")),
        MANIFEST,
        ("src/lib.rs", include_str!("../templates/rust/lib.rs.in")),
        CASE,
        REFUSAL,
    ],
    sdk: Some(sdk),
    build,
};

/// The dependency on `stile-filter`.
fn sdk(clone: Option<&Path>) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    match clone {
        Some(clone) => format!("{{ path = {} }}", quoted(&clone.join("plugins/sdk").to_string_lossy())),
        None => {
            let (repository, tag) = (env!("CARGO_PKG_REPOSITORY"), concat!("v", env!("CARGO_PKG_VERSION")));
            format!("{{ git = {}, tag = {} }}", quoted(repository), quoted(tag))
        }
    }
}

fn build(folder: &Path, options: &Options) -> Result<PathBuf, String> {
    let sysroot = sysroot(folder, options)?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).args(["build", "--release", "--target", TARGET]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-component-ld");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(folder, sysroot.as_deref()).join("\x1f"));
    let said = run(&mut cargo, INSTALL)?;
    let found = String::from_utf8_lossy(&said).lines().filter_map(component).next_back();
    found.ok_or_else(|| "cargo made no component; `Cargo.toml` needs `crate-type = [\"cdylib\"]` in [lib]".to_owned())
}

/// The component that a line of cargo's tells of.
fn component(line: &str) -> Option<PathBuf> {
    let artifact: Value = serde_json::from_str(line).ok()?;
    let files = artifact["filenames"].as_array()?.iter().filter_map(Value::as_str);
    files.map(PathBuf::from).find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
}

/// Where the standard library is, if not in the toolchain.
fn sysroot(folder: &Path, options: &Options) -> Result<Option<PathBuf>, String> {
    let has_target = |sysroot: &Path| sysroot.join("lib/rustlib").join(TARGET).is_dir();
    if let Some(own) = &options.sysroot {
        let own = std::path::absolute(own).map_err(|error| format!("{}: {error}", own.display()))?;
        let there = has_target(&own);
        return if there { Ok(Some(own)) } else { Err(format!("{} has no {TARGET}", own.display())) };
    }
    let printed = run(Command::new("rustc").current_dir(folder).args(["--print", "sysroot"]), INSTALL)?;
    if has_target(Path::new(String::from_utf8_lossy(&printed).trim_end())) {
        return Ok(None);
    }
    Err(format!(
        "Rust can't compile for WebAssembly yet: `rustup target add {TARGET}`; where that can't be, plugins/toolchain.sh in \
         a clone of the repository makes what is missing, and --sysroot names it"
    ))
}

/// The same bytes in each folder: no path of this machine goes into the component.
fn flags(folder: &Path, sysroot: Option<&Path>) -> Vec<String> {
    let mut flags = Vec::new();
    let mut remap = |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    if let Ok(folder) = folder.canonicalize() {
        remap(&folder, "/plugin");
    }
    let home = |name| std::env::var_os(name).map(PathBuf::from);
    let cargo = home("CARGO_HOME").or_else(|| Some(home("HOME")?.join(".cargo")));
    let crates = cargo.and_then(|cargo| std::fs::read_dir(cargo.join("registry/src")).ok());
    for registry in crates.into_iter().flatten().filter_map(Result::ok) {
        remap(&registry.path(), "/crates");
    }
    flags.extend(sysroot.map(|sysroot| format!("--sysroot={}", sysroot.display())));
    flags
}
