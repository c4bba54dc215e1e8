//! Plugins that were built for a version of the interface that is out keep working.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use super::guest::load;
use crate::plugin_host::Sandbox;

/// A component that imports and exports all that a world of that version has.
fn everything(resolve: &Resolve, world: wit_parser::WorldId) -> Vec<u8> {
    let mut module = dummy_module(resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

#[test]
fn a_plugin_that_uses_all_of_any_released_version_still_fits() {
    let sandbox = Sandbox::new().unwrap();
    let mut versions = 0;
    for file in std::fs::read_dir("../wit/released").unwrap() {
        let (path, mut resolve) = (file.unwrap().path(), Resolve::default());
        let package = resolve.push_file(&path).unwrap();
        for (world, ticks) in [("message-filter", false), ("timed-message-filter", true)] {
            let world = resolve.select_world(&[package], Some(world)).unwrap();
            let loaded = load(&sandbox, &everything(&resolve, world));
            let imports: Vec<_> = loaded.imports().collect();
            assert_eq!(imports, ["context", "log", "kv", "metrics", "emit", "clock", "random", "data"], "{path:?}");
            assert_eq!(loaded.ticks(), ticks, "{path:?}");
        }
        versions += 1;
    }
    assert!(versions > 0);
}

#[test]
fn the_interface_of_today_is_kept_under_its_version() {
    let mut resolve = Resolve::default();
    let package = resolve.push_file("../wit/filter.wit").unwrap();
    let version = resolve.packages[package].name.version.clone().unwrap();
    let kept = Path::new("../wit/released").join(format!("{version}.wit"));
    assert_eq!(
        std::fs::read_to_string("../wit/filter.wit").unwrap(),
        std::fs::read_to_string(&kept).unwrap_or_default(),
        "{} is what plugins were built for: give a changed interface another version and keep a copy of it too",
        kept.display()
    );
}
