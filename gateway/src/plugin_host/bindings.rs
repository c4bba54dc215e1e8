//! The interface of `wit/` as Rust types and traits. A macro writes it; nothing is added by hand.
#![allow(unsafe_code, missing_docs, unreachable_pub, reason = "written by the macro")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "message-filter",
    // Messages are lowered from where they are; answers are owned.
    ownership: Borrowing { duplicate_if_necessary: false },
    // A call of what the operator did not grant traps.
    imports: { default: trappable },
});
