//! A component's file: how it is read, and what it is by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest component taken, in bytes. Python's are 18 MB.
pub const MAX_BYTES: usize = 64 << 20;

/// What every WebAssembly binary begins with.
const MAGIC: &[u8] = b"\0asm";

/// Version and layer of a core module, and of a component (Component Model, Binary.md).
const CORE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];

/// All bytes of a file that may be a component.
///
/// # Errors
/// That it can't be read, or is too large, in words that go behind the file's name.
pub fn read(file: &Path) -> Result<Vec<u8>, String> {
    // A pipe would block for ever, so it is refused unopened.
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no regular file".into());
    }
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Whether `bytes` begin like a component.
///
/// # Errors
/// What they are instead and what to do about it, in one line.
pub fn check_component(bytes: &[u8]) -> Result<(), String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(match bytes.trim_ascii_start() {
            [] => "it is empty".into(),
            [b'P', b'K', 3 | 5, ..] => "it is a ZIP archive; take the component out of it".into(),
            [0x1f, 0x8b, ..] => "it is packed by gzip; unpack it first".into(),
            [b'(', ..] => "it is WebAssembly as text; a component is binary (`wasm-tools parse` makes one)".into(),
            _ => "it is no WebAssembly".to_owned(),
        });
    };
    if rest.starts_with(COMPONENT) {
        return Ok(());
    }
    if rest.starts_with(CORE) {
        let remedy = "link it with `wasm-component-ld`, or wrap it by `wasm-tools component new`";
        return Err(format!("it is a core WebAssembly module, and plugins are components; {remedy}"));
    }
    Err("it is WebAssembly of a version that is not known, or cut off".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_called_by_its_name() {
        assert_eq!(check_component(b"\0asm\x0d\0\x01\0rest"), Ok(()));
        for (bytes, said) in [
            (&b""[..], "empty"),
            (b"  (component)", "as text"),
            (b"\x7fELF", "no WebAssembly"),
            (b"PK\x03\x04rest", "ZIP archive"),
            (b"\x1f\x8b\x08rest", "packed by gzip"),
            (&[0; 100], "no WebAssembly"),
            (b"\0asm\x01\0\0\0", "core WebAssembly module"),
            (b"\0asm", "cut off"),
            (b"\0asm\x0c\0\x01\0", "version that is not known"),
        ] {
            let error = check_component(bytes).unwrap_err();
            assert!(error.contains(said), "{bytes:?}: {error}");
        }
    }
}
