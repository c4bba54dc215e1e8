//! Plugins that no author would write, as text.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// A filter that adds one to each of two numbers that it remembers, for each message whose payload begins with `c`, in the
/// call in which it judges it. One that begins with `?` goes on with both instead, as in `7/7`; at one that begins with
/// `x` it does what `on_x` says, in WebAssembly's text format, such as `(unreachable)`.
pub fn counter(on_x: &str) -> Vec<u8> {
    component(&COUNTER.replace("ON_X", on_x))
}

/// The answer at 1024: `ok` with one decision, which changes the payload; place and length of it are put in.
const COUNTER: &str = r#"(module
    (import "stile:filter/kv@1.0.0" "increment" (func $increment (param i32 i32 i64 i32)))
    (import "stile:filter/kv@1.0.0" "get" (func $get (param i32 i32 i32)))
    (memory (export "memory") 4)
    (data (i32.const 512) "ab")
    (data (i32.const 1024) "\00\00\00\00\0c\04\00\00\01\00\00\00")
    (data (i32.const 1040) "\01")
    (data (i32.const 1056) "\01")
    (global $heap (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
      (global.set $heap (i32.add (local.get $at) (local.get $size)))
      (local.get $at))
    (func (export "stile:filter/filter@1.0.0#configure") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
      (i32.const 16))
    (func $append (param $key i32) (param $at i32) (result i32)
      (call $get (local.get $key) (i32.const 1) (i32.const 528))
      (if (i32.eqz (i32.load8_u (i32.const 528))) (then (return (local.get $at))))
      (memory.copy (local.get $at) (i32.load (i32.const 532)) (i32.load (i32.const 536)))
      (i32.add (local.get $at) (i32.load (i32.const 536))))
    (func (export "stile:filter/filter@1.0.0#process") (param $list i32) (param $len i32) (result i32)
      (local $i i32) (local $first i32) (local $answer i32) (local $end i32)
      (local.set $answer (i32.const 16))
      (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $len)))
        (local.set $first
          (i32.load8_u (i32.load offset=8 (i32.add (local.get $list) (i32.shl (local.get $i) (i32.const 6))))))
        (if (i32.eq (local.get $first) (i32.const 99)) (then
          (call $increment (i32.const 512) (i32.const 1) (i64.const 1) (i32.const 528))
          (call $increment (i32.const 513) (i32.const 1) (i64.const 1) (i32.const 528))))
        (if (i32.eq (local.get $first) (i32.const 63)) (then
          (local.set $end (call $append (i32.const 512) (i32.const 2048)))
          (i32.store8 (local.get $end) (i32.const 47))
          (local.set $end (call $append (i32.const 513) (i32.add (local.get $end) (i32.const 1))))
          (i32.store (i32.const 1036) (local.get $i))
          (i32.store (i32.const 1060) (i32.const 2048))
          (i32.store (i32.const 1064) (i32.sub (local.get $end) (i32.const 2048)))
          (local.set $answer (i32.const 1024))))
        (if (i32.eq (local.get $first) (i32.const 120)) (then ON_X))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
      (local.get $answer))
    (func (export "cabi_post_stile:filter/filter@1.0.0#process") (param i32)
      (global.set $heap (i32.const 65536))))"#;

fn component(text: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("message-filter")).unwrap();
    let mut module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}
