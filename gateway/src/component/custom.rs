//! Custom sections (WebAssembly Core, 5.5.3), as they are written.

/// A section that stands for itself. At a component's end it changes nothing of what is before it.
pub fn custom_section(name: &str, content: &[u8]) -> Vec<u8> {
    let named = [&with_length(name.as_bytes()), content].concat();
    [vec![0], with_length(&named)].concat()
}

/// LEB128 (WebAssembly Core, 5.2.2), then the bytes.
pub fn with_length(bytes: &[u8]) -> Vec<u8> {
    let (mut length, mut out) = (bytes.len(), Vec::with_capacity(bytes.len() + 5));
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        out.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            out.extend_from_slice(bytes);
            return out;
        }
    }
}
