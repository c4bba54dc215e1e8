//! The same, over WebSocket: the request, the frames, and MQTT in them.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use stile::broker::Below;
use stile_fuzz::Bench;

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

fuzz_target!(|script: &[u8]| BENCH.with_borrow_mut(|bench| bench.play(Below::WebSocket, script)));
