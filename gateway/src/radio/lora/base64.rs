//! Base64 as packet forwarders and servers write it: with padding or without, in either alphabet, or in both at once, as
//! in the protocol document's own samples.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes, or `None` where it is no base64 by any reading.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if text.contains(['-', '_']) {
        return TOLERANT.decode(text.replace('-', "+").replace('_', "/")).ok();
    }
    TOLERANT.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_way_of_writing_it_is_read() {
        for text in ["+/8=", "+/8", "-_8", "-/8=", "+_8"] {
            assert_eq!(decode(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(decode(""), Some(vec![]));
        for bad in ["?", "A", "A===", "AA AA", "ä"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
