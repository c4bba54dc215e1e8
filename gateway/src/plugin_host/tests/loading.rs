//! What may not run at all.

use super::guest::{Guest, compile, component, load};
use crate::plugin_host::{LoadError, Sandbox};

fn refused(component: &[u8]) -> LoadError {
    Sandbox::new().unwrap().load(&compile(component)).unwrap_err()
}

#[test]
fn what_the_gateway_did_not_compile_is_refused() {
    let sandbox = Sandbox::new().unwrap();
    let good = compile(&Guest::default().component());
    assert!(sandbox.load(&good).is_ok());
    for bad in [&b""[..], b"text", &[0; 100_000], &good[..good.len() / 2], &Guest::default().component()] {
        let error = sandbox.load(bad).unwrap_err();
        assert!(matches!(error, LoadError::NotCompiled(_)), "{error}");
    }
}

#[test]
fn a_core_module_is_refused() {
    let engine = wasmtime::Engine::new(&crate::plugin_host::engine::config(true, Default::default())).unwrap();
    let module = engine.precompile_module(&wat::parse_str("(module)").unwrap()).unwrap();
    let error = Sandbox::new().unwrap().load(&module).unwrap_err();
    assert!(matches!(error, LoadError::NotCompiled(_)), "{error}");
}

#[test]
fn a_component_that_imports_wasi_is_refused_by_name() {
    let text = r#"(component (import "wasi:sockets/network@0.2.0" (instance)))"#;
    let error = refused(&wat::parse_str(text).unwrap());
    assert!(matches!(&error, LoadError::Foreign(name) if name == "wasi:sockets/network@0.2.0"), "{error}");
}

#[test]
fn a_component_for_another_world_is_refused() {
    let error = refused(&wat::parse_str("(component)").unwrap());
    assert!(matches!(error, LoadError::Export(_)), "{error}");
    let newer = r#"(component (import "stile:filter/log@1.7.0" (instance (export "shout" (func)))))"#;
    let error = refused(&wat::parse_str(newer).unwrap());
    assert!(matches!(&error, LoadError::Import(text) if text.contains("shout")), "{error}");
    let later = r#"(component (import "stile:filter/log@2.0.0" (instance (export "threshold" (func)))))"#;
    assert!(matches!(refused(&wat::parse_str(later).unwrap()), LoadError::Import(_)));
}

#[test]
fn what_a_component_imports_and_whether_it_ticks_is_known_before_it_runs() {
    let items = r#"(import "stile:filter/kv@1.0.0" "delete" (func $delete (param i32 i32) (result i32)))"#;
    let sandbox = Sandbox::new().unwrap();
    let loaded = load(&sandbox, &Guest { items, tick: Some("(i32.const 16)"), ..Guest::default() }.component());
    assert_eq!(loaded.imports().collect::<Vec<_>>(), ["kv"]);
    assert!(loaded.ticks());
    assert!(!load(&sandbox, &component(&Guest::default().text(), "message-filter")).ticks());
}
