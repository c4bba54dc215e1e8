//! What a component imports and exports, and where its manifest is, read off its sections.

use wasmparser::{Parser, Payload};

use super::{check_component, plain};

/// The package of `wit/`. Whatever else a component imports, Stile does not have.
pub const PACKAGE: &str = "stile:filter/";

/// The section with the manifest. In a component from Rust it is inside of the core module; tools for other languages
/// may put it at the top.
pub const MANIFEST: &str = "stile:manifest";

/// Modules and components in each other: no tool makes more than a few.
const NESTING_MAX: usize = 16;

/// The most imports and exports that are looked at.
const NAMES_MAX: usize = 1000;

/// The interfaces of [`PACKAGE`] that this version has for plugins.
const IMPORTS: [&str; 9] = ["types", "context", "log", "kv", "metrics", "emit", "clock", "random", "data"];

/// What can be read off a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape<'a> {
    /// What it imports, such as `stile:filter/kv@1.0.0`, in its order.
    pub imports: Vec<&'a str>,
    /// What it exports.
    pub exports: Vec<&'a str>,
    /// Its manifests, unread; at most one is good.
    pub(super) manifests: Vec<&'a [u8]>,
}

impl<'a> Shape<'a> {
    /// Reads the sections of a component.
    ///
    /// # Errors
    /// What is wrong with it, in words that go behind its name.
    pub fn of(component: &'a [u8]) -> Result<Self, String> {
        check_component(component)?;
        let mut shape = Self { imports: Vec::new(), exports: Vec::new(), manifests: Vec::new() };
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(damaged)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if section.name() == MANIFEST => {
                    shape.manifests.push(section.data());
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        add(&mut shape.imports, import.map_err(damaged)?.name.name)?;
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        add(&mut shape.exports, export.map_err(damaged)?.name.name)?;
                    }
                }
                _ => {}
            }
            if depth > NESTING_MAX || shape.manifests.len() > NAMES_MAX {
                return Err(format!("it has more than {NESTING_MAX} components in each other, or too many sections"));
            }
        }
        Ok(shape)
    }

    /// The interfaces of Stile that it imports, such as `kv`, but for the one that has types alone.
    pub fn interfaces(&self) -> impl Iterator<Item = &'a str> {
        self.imports.iter().map(|name| interface(name)).filter(|name| *name != "types")
    }

    /// Whether it acts as time goes by.
    pub fn ticks(&self) -> bool {
        self.exports.iter().any(|name| name.starts_with("stile:filter/timer@1."))
    }

    /// Whether this version of Stile can have it as a filter.
    ///
    /// # Errors
    /// Why not, in words that go behind its name. That it is none is not all that can be wrong: the types of what it
    /// imports and exports are compared where it is loaded.
    pub fn check(&self) -> Result<(), String> {
        if let Some(name) = self.imports.iter().find(|name| !name.starts_with(PACKAGE)) {
            return Err(foreign(name));
        }
        let ours = |name: &&&str| IMPORTS.contains(&interface(name)) && name.contains("@1.");
        if let Some(name) = self.imports.iter().find(|name| !ours(name)) {
            return Err(format!("imports `{}`, which this version of Stile does not have", plain(name)));
        }
        if !self.exports.iter().any(|name| name.starts_with("stile:filter/filter@1.")) {
            return Err("is no filter: it exports no `stile:filter/filter@1.0.0`".into());
        }
        Ok(())
    }
}

fn add<'a>(names: &mut Vec<&'a str>, name: &'a str) -> Result<(), String> {
    names.push(name);
    if names.len() > NAMES_MAX { Err(format!("it has more than {NAMES_MAX} imports or exports")) } else { Ok(()) }
}

#[expect(clippy::needless_pass_by_value, reason = "it goes behind `map_err`")]
fn damaged(error: wasmparser::BinaryReaderError) -> String {
    format!("it is damaged or cut off: {}", plain(&error.to_string()))
}

/// What is to be said of an import that is not Stile's.
pub fn foreign(name: &str) -> String {
    format!(
        "imports `{}`, which Stile gives to no plugin: there are no files, no network and no WASI; build it for \
         wasm32-unknown-unknown with the SDK",
        plain(name)
    )
}

/// `kv` of `stile:filter/kv@1.0.0`.
pub fn interface(name: &str) -> &str {
    let bare = name.strip_prefix(PACKAGE).unwrap_or(name);
    bare.split('@').next().unwrap_or(bare)
}
