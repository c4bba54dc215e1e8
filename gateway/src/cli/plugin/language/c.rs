//! C: clang and lld with wasi-libc, and two tools of Rust's world: the generator of the bindings, and the linker that makes
//! a component of what lld links.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{
    CASE, INTERFACE, Language, MADE, MANIFEST, Options, REFUSAL, WORLD, prepared, program, run, with_manifest,
};

const TARGET: &str = "--target=wasm32-wasi";
const LINKER: &str = "wasm-component-ld";
const INSTALL: &str = "install Debian's packages `clang lld wasi-libc libclang-rt-dev-wasm32`";
const INSTALL_GENERATOR: &str =
    "`cargo install --locked --version 0.60.0 --no-default-features --features c wit-bindgen-cli`";
const INSTALL_LINKER: &str = "it comes with Rust: https://rustup.rs, or `cargo install --locked wasm-component-ld`";

pub(super) const C: Language = Language {
    name: "c",
    mark: "stile.h",
    files: &[
        (".gitignore", "/build\n/*.wasm\n"),
        ("README.md", include_str!("../templates/c/README.md.in")),
        ("limit.c", include_str!("../templates/c/limit.c.in")),
        ("stile.h", include_str!("../../../../../plugins/threshold/c/stile.h")),
        ("stile.c", include_str!("../../../../../plugins/threshold/c/stile.c")),
        ("json.h", include_str!("../../../../../plugins/threshold/c/json.h")),
        ("json.c", include_str!("../../../../../plugins/threshold/c/json.c")),
        ("no_wasi.c", include_str!("../../../../../plugins/threshold/c/no_wasi.c")),
        MANIFEST,
        WORLD,
        INTERFACE,
        CASE,
        REFUSAL,
    ],
    sdk: None,
    build,
};

fn build(folder: &Path, _: &Options) -> Result<PathBuf, String> {
    let project = prepared(folder)?;
    let (made, linker) = (project.join(MADE).join("made.wasm"), component_linker(&project)?);
    let lld = on_path("wasm-ld").ok_or_else(|| format!("`wasm-ld` is not there; {INSTALL}"))?;
    has_library(&project)?;
    generate(&project)?;
    let mut clang = program(&project, "clang");
    clang.args([TARGET, "-std=c17", "-Os", "-flto", "-Wall", "-Wextra", "-I", MADE]);
    // No start-up code, which would be a program's.
    clang.args(["-nostartfiles", "-Wl,--no-entry", "-Wl,--strip-all"]);
    clang.arg(joined("-fuse-ld=", &linker)).arg(joined("-Wl,--wasm-ld-path=", &lld));
    clang.args(sources(&project)?).args(["build/filter.c", "build/filter_component_type.o", "-o"]).arg(&made);
    run(&mut clang, INSTALL)?;
    with_manifest(&project, made)
}

/// The C side of the interface, into [`MADE`]: by the generator's own command, or by that of Stile's repository
/// (`plugins/c-bindings`), which is the same with little around it.
fn generate(project: &Path) -> Result<(), String> {
    let ours = "stile-c-bindings";
    let mut generator = if on_path(ours).is_some() {
        let mut ours = program(project, ours);
        ours.args(["wit", MADE]);
        ours
    } else {
        let mut generator = program(project, "wit-bindgen");
        generator.args(["c", "--world", "filter", "--out-dir", MADE, "wit"]);
        generator
    };
    run(&mut generator, INSTALL_GENERATOR).map(drop)
}

/// clang alone compiles for WebAssembly; its C library and its own are packages apart.
fn has_library(project: &Path) -> Result<(), String> {
    let mut compile = program(project, "clang");
    compile.args([TARGET, "-fsyntax-only", "-include", "stdlib.h", "-x", "c", "/dev/null"]);
    let missing = |what: &str| format!("{what} is not there; {INSTALL}");
    run(&mut compile, INSTALL).map_err(|error| format!("{error}\n{}", missing("a C library for WebAssembly")))?;
    let printed = run(program(project, "clang").args([TARGET, "--print-libgcc-file-name"]), INSTALL)?;
    let builtins = PathBuf::from(String::from_utf8_lossy(&printed).trim_end());
    if builtins.is_file() { Ok(()) } else { Err(missing(&builtins.to_string_lossy())) }
}

/// In Rust's toolchain it is not on the PATH.
fn component_linker(project: &Path) -> Result<PathBuf, String> {
    if let Some(found) = on_path(LINKER) {
        return Ok(found);
    }
    let missing = || format!("`{LINKER}` is not there; {INSTALL_LINKER}");
    let print = |what| run(Command::new("rustc").current_dir(project).args(["--print", what]), INSTALL_LINKER);
    let printed =
        [print("sysroot")?, print("host-tuple")?].map(|line| String::from_utf8_lossy(&line).trim().to_owned());
    let found = Path::new(&printed[0]).join("lib/rustlib").join(&printed[1]).join("bin").join(LINKER);
    if found.is_file() { Ok(found) } else { Err(missing()) }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut whole = OsString::from(option);
    whole.push(path);
    whole
}

/// All that is written in C, in the same order each time.
fn sources(project: &Path) -> Result<Vec<OsString>, String> {
    let entries = fs::read_dir(project).map_err(|error| format!("{}: {error}", project.display()))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let mut sources: Vec<_> = names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "c")).collect();
    sources.sort();
    Ok(sources)
}
