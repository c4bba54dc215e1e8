//! The components in target/plugins, as `make plugins` left them: that each is what its manifest says, asks for nothing
//! that it does not need, tells nothing of the machine that built it, and passes its cases in the gateway's sandbox.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stile_tests::check;
use wasmparser::{Parser, Payload};

/// What every filter may import unasked.
const ALWAYS_THERE: [&str; 5] = ["types", "context", "log", "metrics", "clock"];

/// The most that the least filter may weigh, in bytes.
const LEAST: usize = 24 * 1024;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What can be read off a component.
#[derive(Debug, Default)]
struct Component {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    manifests: Vec<String>,
}

impl Component {
    fn of(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.unwrap() {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::CustomSection(section) if section.name() == "stile:manifest" => {
                    found.manifests.push(String::from_utf8(section.data().to_vec()).unwrap());
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    found.imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    found.exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
                }
                _ => {}
            }
        }
        found
    }
}

/// Languages that a filter may be written in besides Rust, each in a folder of that name.
const LANGUAGES: [&str; 3] = ["js", "python", "c"];

/// Each filter: its name, its manifest as it stands in the source, and its component. One in several languages has the
/// same manifest in each, and several components.
fn filters() -> Vec<(String, Value, Vec<u8>)> {
    let folders = std::fs::read_dir(root().join("plugins")).unwrap().map(|entry| entry.unwrap().path());
    let filters = folders.filter(|folder| folder.join("manifest.json").exists()).flat_map(|folder| {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
        let others = LANGUAGES.into_iter().filter(|language| folder.join(language).exists());
        let names = std::iter::once(name.clone()).chain(others.map(|language| format!("{name}-{language}")));
        let components = names.map(|name| {
            let path = root().join(format!("target/plugins/{name}.wasm"));
            let missing = |error| -> Vec<u8> { panic!("{}: {error}; make plugins", path.display()) };
            let bytes = std::fs::read(&path).unwrap_or_else(missing);
            (name, serde_json::from_slice(&manifest).unwrap(), bytes)
        });
        components.collect::<Vec<_>>()
    });
    filters.collect()
}

/// Whether it is in Rust.
fn is_rust(name: &str) -> bool {
    !LANGUAGES.iter().any(|language| name.ends_with(&format!("-{language}")))
}

fn interface(name: &str) -> String {
    format!("stile:filter/{name}@1.0.0")
}

#[test]
fn every_component_is_what_its_manifest_says() {
    let filters = filters();
    assert!(!filters.is_empty());
    for (name, manifest, bytes) in filters {
        let component = Component::of(&bytes);
        let [text] = component.manifests.as_slice() else { panic!("{name}: {:?}", component.manifests) };
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), manifest, "{name} is not built anew; make plugins");
        let filter = if is_rust(&name) { &name } else { name.rsplit_once('-').unwrap().0 };
        assert_eq!(manifest["name"], filter);
        let mut exports = BTreeSet::from([interface("filter")]);
        exports.extend((!manifest["tick"].is_null()).then(|| interface("timer")));
        // What an interpreter was started with at the build may be left over; nobody calls it.
        let left_over = |export: &String| !is_rust(&name) && !export.contains(':');
        let found: BTreeSet<_> = component.exports.into_iter().filter(|export| !left_over(export)).collect();
        assert_eq!(found, exports, "{name}");
    }
}

#[test]
fn no_component_imports_what_its_manifest_does_not_ask_for() {
    for (name, manifest, bytes) in filters() {
        let grants = manifest["grants"].as_array().unwrap().iter().map(|grant| grant.as_str().unwrap());
        let asked: BTreeSet<_> = grants.clone().chain(ALWAYS_THERE).map(interface).collect();
        let imports = Component::of(&bytes).imports;
        assert!(imports.is_subset(&asked), "{name} imports {imports:?}");
        let granted: BTreeSet<_> = grants.map(interface).collect();
        assert!(granted.is_subset(&imports), "{name} asks for {granted:?} and imports {imports:?}");
    }
}

#[test]
fn the_least_filter_imports_no_function_and_is_small() {
    let (_, _, bytes) = filters().into_iter().find(|(name, ..)| name == "pass").unwrap();
    assert_eq!(Component::of(&bytes).imports, BTreeSet::from([interface("types")]));
    assert!(bytes.len() <= LEAST, "{} bytes", bytes.len());
}

#[test]
fn no_component_tells_where_it_was_built() {
    let home = std::env::var("CARGO_HOME").or_else(|_| Ok::<_, std::env::VarError>(std::env::var("HOME")? + "/.cargo"));
    let (home, here) = (home.unwrap(), root().to_str().unwrap().to_owned());
    for (name, _, bytes) in filters() {
        let text = String::from_utf8_lossy(&bytes);
        // An interpreter names folders of those who built it, whose home may be called like this one.
        let theirs = ["registry/src", home.as_str()].into_iter().filter(|_| is_rust(&name));
        for place in theirs.chain([here.as_str()]) {
            assert!(!text.contains(place), "{name} names {place}");
        }
    }
}

/// The same files that the filter passes natively. Whatever language it is in.
#[test]
fn every_component_passes_its_cases_in_the_sandbox() {
    for (name, manifest, _) in filters() {
        let component = root().join(format!("target/plugins/{name}.wasm"));
        let cases = root().join(format!("plugins/{}/cases", manifest["name"].as_str().unwrap()));
        let count = std::fs::read_dir(&cases).unwrap().count();
        let (code, out, err) = check(&["plugin", "test", component.to_str().unwrap(), cases.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (0, ""), "{name}: {out}");
        assert!(out.contains(&format!("{count} of {count} good")), "{name}: {out}");
    }
}
