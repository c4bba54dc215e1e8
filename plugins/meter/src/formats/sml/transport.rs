//! The transport of version 1: a mark, the file in groups of four bytes, a mark, and behind it how many of the bytes
//! only fill up and a checksum.

use std::borrow::Cow;

const MARK: [u8; 4] = [0x1b; 4];
const VERSION_1: [u8; 4] = [0x01; 4];

/// The file in it. A framing may have taken the marks off: then it is all there is.
pub(super) fn file(payload: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    let Some(rest) = payload.strip_prefix(&MARK) else { return Ok(Cow::Borrowed(payload)) };
    let rest = rest.strip_prefix(&VERSION_1).ok_or("the transport of SML is not version 1")?;
    let (groups, _) = rest.as_chunks::<4>();
    let mut file = Vec::with_capacity(rest.len());
    let mut numbered = groups.iter().enumerate();
    while let Some((_, group)) = numbered.next() {
        if *group != MARK {
            file.extend_from_slice(group);
            continue;
        }
        match numbered.next() {
            // What looks like a mark in the file is doubled.
            Some((_, group)) if *group == MARK => file.extend_from_slice(group),
            Some((place, [0x1a, fill @ 0..=3, high, low])) => {
                // The two marks at the beginning, the groups before this one, and half of it.
                let checked = payload.get(..8 + 4 * place + 2).unwrap_or_default();
                if !super::fits(checked, u16::from_be_bytes([*high, *low])) {
                    return Err("the checksum of the SML file is wrong");
                }
                file.truncate(file.len().saturating_sub(usize::from(*fill)));
                return Ok(Cow::Owned(file));
            }
            Some(_) => return Err("the SML file is damaged"),
            None => break,
        }
    }
    Err("the SML file has no end")
}
