//! Components that the fuzz target `plugins` makes, as they are and changed at random.

#[allow(unreachable_pub, clippy::panic, reason = "it is the fuzz target's")]
#[path = "../../../../tests/fuzz/src/plugins/bench.rs"]
mod bench;
#[allow(clippy::duplicate_mod, reason = "tests of several rooms share it, and no room may import another's")]
#[path = "../../../../tests/fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../../tests/fuzz/src/plugins/written.rs"]
mod written;

use bench::{Bench, Reached};
use corpus::{corpus, play_changed};

/// How often each component is changed.
const CHANGES: usize = 10;

#[test]
fn what_the_fuzzer_knows_is_refused_or_contained() {
    let mut bench = Bench::new();
    let mut reached = Vec::new();
    for component in corpus("components") {
        reached.extend([false, true].map(|metered| bench.play(&component, metered)));
    }
    for stage in [Reached::Nothing, Reached::Compiled, Reached::Loaded, Reached::Started, Reached::Judged] {
        assert!(reached.contains(&stage), "the corpus has none that came as far as {stage:?}");
    }
}

#[test]
fn components_that_are_changed_at_random_are_refused_or_contained() {
    let (mut bench, mut metered) = (Bench::new(), false);
    play_changed("components", CHANGES, |component| {
        metered = !metered;
        bench.play(component, metered);
    });
}
