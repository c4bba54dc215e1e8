//! Shared access signatures: what a device shows to an IoT hub that knows its key. Pure.
//!
//! Source: Microsoft, "Control access to IoT Hub by using shared access signatures", the structure of a token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::bag::escape;

/// A token for a device of a hub: `key` is the device's, decoded, and the token is good until `expiry` by the hub's clock.
pub(super) fn token(host: &str, device: &str, key: &[u8], expiry: SystemTime) -> String {
    let resource = escape(&format!("{host}/devices/{device}"));
    let expiry = expiry.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let signed = format!("{resource}\n{expiry}");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
    let signature = escape(&STANDARD.encode(signature));
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_one_that_openssl_makes() {
        // printf 'roof.azure-devices.net%%2Fdevices%%2Fgw-1\n1700000000' | openssl dgst -sha256 -hmac 'a key' -binary | base64
        let made = token("roof.azure-devices.net", "gw-1", b"a key", UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let expected = "SharedAccessSignature sr=roof.azure-devices.net%2Fdevices%2Fgw-1&sig=F1QbwL%2F1necbHNhcQ9wuczYh0udepZhsRXPamP2R3iU%3D&se=1700000000";
        assert_eq!(made, expected);
    }
}
