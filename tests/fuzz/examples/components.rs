//! Writes what the corpus of `plugins` stands for to `corpus/components`, for the gateway's own tests, which have no
//! wasm-smith.
//!
//!     cargo run --manifest-path tests/fuzz/Cargo.toml --example components

use std::path::Path;

use stile_fuzz::plugins::Maker;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let maker = Maker::new();
    std::fs::create_dir_all(corpus.join("components"))?;
    for entry in std::fs::read_dir(corpus.join("plugins"))? {
        let entry = entry?;
        if let Some(component) = maker.make(&std::fs::read(entry.path())?) {
            std::fs::write(corpus.join("components").join(entry.file_name()), component)?;
        }
    }
    Ok(())
}
