//! Plugins that keep to the letter of the interface, written as text.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

const WIT: &str = include_str!("../../../../wit/filter.wit");
const WORLD: &str = "timed-message-filter";

/// Where a plugin that is written by hand has its answer.
pub(super) const ANSWER: usize = 1024;
/// Bytes there that mean: all pass, nothing is made.
pub(super) const NOTHING: usize = 16;

/// The world, for whoever makes components of modules.
pub(super) struct Writer {
    pub(super) resolve: Resolve,
    pub(super) world: WorldId,
}

impl Writer {
    pub(super) fn new() -> Self {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("filter.wit", WIT).expect("the interface is good");
        let world = resolve.select_world(&[package], Some(WORLD)).expect("it has this world");
        Self { resolve, world }
    }

    /// A component of a module that has what the world asks for; `None` where it does not.
    pub(super) fn component(&self, mut module: Vec<u8>) -> Option<Vec<u8>> {
        embed_component_metadata(&mut module, &self.resolve, self.world, StringEncoding::UTF8).ok()?;
        ComponentEncoder::default().validate(true).module(&module).ok()?.encode().ok()
    }

    /// A plugin that keeps to the rules: `data` lies at a place in its memory, and `process` and `tick` do `body` and answer
    /// with what lies at another.
    pub(super) fn written(&self, data: &[u8], at: usize, imports: &str, body: &str, answer: usize) -> Option<Vec<u8>> {
        let data = data.iter().fold(String::new(), |mut text, byte| {
            // Writing into a `String` cannot fail.
            let _ = write!(text, "\\{byte:02x}");
            text
        });
        let text = format!(
            r#"(module {imports}
            (memory (export "memory") 4)
            (data (i32.const {at}) "{data}")
            (global $heap (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
              (global.set $heap (i32.add (local.get $at) (local.get $size)))
              (local.get $at))
            (func (export "stile:filter/filter@1.0.0#configure") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
              (i32.const {NOTHING}))
            (func (export "stile:filter/filter@1.0.0#process") (param $list i32) (param i32) (result i32) (local $n i32)
              {body} (i32.const {answer}))
            (func (export "cabi_post_stile:filter/filter@1.0.0#process") (param i32)
              (global.set $heap (i32.const 65536)))
            (func (export "stile:filter/timer@1.0.0#tick") (param i64) (result i32) (i32.const {answer})))"#
        );
        self.component(wat::parse_str(text).ok()?)
    }
}
