//! Property bags, as the hub reads them.

use std::collections::BTreeMap;

/// The pairs of a bag; an error says why the hub takes none of it.
pub(super) fn read(bag: &str) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    for pair in bag.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if pairs.insert(name.clone(), value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(pairs)
}

/// Undoes percent-encoding. What RFC 2396 reserves must be encoded, but for the `$` of the hub's own names.
pub(super) fn decode(text: &str) -> Result<String, String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2).ok_or(format!("`{text}` ends in the middle"))?;
                let digits = std::str::from_utf8(digits).map_err(|_| format!("`{text}` has % without digits"))?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| format!("`{text}` has % without digits"))?);
                rest = tail;
            }
            b'/' | b'?' | b'#' | b'+' | b'&' | b'=' | b';' | b':' | b'@' | b',' | b' ' => {
                return Err(format!("`{text}` has {:?} as it is", *first as char));
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("`{text}` is no text"))
}
