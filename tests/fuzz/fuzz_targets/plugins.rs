//! Plugins of all kinds: files that may be components, and components that may do anything.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use stile_fuzz::plugins::{Bench, Maker};

thread_local! {
    static BENCH: RefCell<(Maker, Bench)> = RefCell::new((Maker::new(), Bench::new()));
}

fuzz_target!(|input: &[u8]| {
    BENCH.with_borrow_mut(|(maker, bench)| {
        if let Some(component) = maker.make(input) {
            // The upper half of what says the kind: whether it has little time or little fuel.
            bench.play(&component, input[0] >= 128);
        }
    });
});
