//! The checksums that the made-up devices put behind what they say. Knows no frame.

/// CRC-16 with the reflected polynomial 0xA001.
///
/// `initial` is 0 for a P1 telegram (DSMR P1 Companion Standard 5.0.2, section 5.2)
/// and 0xFFFF for Modbus (Modbus over Serial Line 1.02, section 6.2.2).
pub(super) fn crc16(initial: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(initial, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 })
    })
}

/// Exclusive or of all bytes: the checksum between `$` and `*` of an NMEA 0183 sentence.
pub(super) fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_gives_the_catalogue_s_check_values() {
        assert_eq!(crc16(0, b"123456789"), 0xBB3D);
        assert_eq!(crc16(0xFFFF, b"123456789"), 0x4B37);
    }

    #[test]
    fn xor_of_a_known_sentence() {
        assert_eq!(xor(b"GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"), 0x47);
    }
}
