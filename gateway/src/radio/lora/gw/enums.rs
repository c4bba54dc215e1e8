//! The closed sets, with the names and numbers of `gw.proto`.

/// Makes an enumeration of protocol buffers with its names, and a module that writes and reads a field of it in JSON: by
/// its name; a number that is not known stays a number.
macro_rules! enumeration {
    ($(#[$about:meta])* $name:ident, $json:ident { $($(#[$each:meta])* $value:ident = $number:literal $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
        #[repr(i32)]
        pub enum $name {
            $($(#[$each])* $value = $number,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value),*];

            /// The name in `gw.proto`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }

            /// The value with this name.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        pub(super) mod $json {
            use serde::{Deserialize, Deserializer, Serializer};

            use super::$name;
            use crate::radio::lora::gw::json::NameOrNumber;

            pub(in crate::radio::lora::gw) fn serialize<S: Serializer>(value: &i32, to: S) -> Result<S::Ok, S::Error> {
                match $name::try_from(*value) {
                    Ok(known) => to.serialize_str(known.as_str()),
                    Err(_) => to.serialize_i32(*value),
                }
            }

            pub(in crate::radio::lora::gw) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
                match NameOrNumber::deserialize(from)? {
                    NameOrNumber::Number(number) => Ok(number),
                    NameOrNumber::Name(name) => match $name::parse(&name) {
                        Some(known) => Ok(known as i32),
                        None => Err(serde::de::Error::custom(concat!("unknown name of ", stringify!($name)))),
                    },
                }
            }
        }
    };
}

enumeration! {
    /// Error correction.
    CodeRate, code_rate {
        /// Not known.
        Undefined = 0 "CR_UNDEFINED",
        /// 4/5.
        Cr45 = 1 "CR_4_5",
        /// 4/6.
        Cr46 = 2 "CR_4_6",
        /// 4/7.
        Cr47 = 3 "CR_4_7",
        /// 4/8.
        Cr48 = 4 "CR_4_8",
        /// 3/8, of LR-FHSS as the ones that follow.
        Cr38 = 5 "CR_3_8",
        /// 2/6.
        Cr26 = 6 "CR_2_6",
        /// 1/4.
        Cr14 = 7 "CR_1_4",
        /// 1/6.
        Cr16 = 8 "CR_1_6",
        /// 5/6.
        Cr56 = 9 "CR_5_6",
        /// 4/5 with long interleaving, at 2.4 GHz as the ones that follow.
        CrLi45 = 10 "CR_LI_4_5",
        /// 4/6.
        CrLi46 = 11 "CR_LI_4_6",
        /// 4/8.
        CrLi48 = 12 "CR_LI_4_8",
    }
}

enumeration! {
    /// Whether a frame's checksum is right.
    CrcStatus, crc_status {
        /// It has none.
        NoCrc = 0 "NO_CRC",
        /// It is wrong.
        BadCrc = 1 "BAD_CRC",
        /// It is right.
        CrcOk = 2 "CRC_OK",
    }
}

enumeration! {
    /// What became of one item of a downlink.
    TxAckStatus, tx_ack_status {
        /// Another item was sent.
        Ignored = 0 "IGNORED",
        /// It will be sent.
        Ok = 1 "OK",
        /// It came too late.
        TooLate = 2 "TOO_LATE",
        /// Its time is too far ahead.
        TooEarly = 3 "TOO_EARLY",
        /// Another frame is in its time.
        CollisionPacket = 4 "COLLISION_PACKET",
        /// A beacon is in its time.
        CollisionBeacon = 5 "COLLISION_BEACON",
        /// The frequency can't be sent on.
        TxFreq = 6 "TX_FREQ",
        /// The power can't be sent with.
        TxPower = 7 "TX_POWER",
        /// There is no GPS time.
        GpsUnlocked = 8 "GPS_UNLOCKED",
        /// Too many wait.
        QueueFull = 9 "QUEUE_FULL",
        /// Something else went wrong.
        InternalError = 10 "INTERNAL_ERROR",
        /// The duty cycle is used up.
        DutyCycleOverflow = 11 "DUTY_CYCLE_OVERFLOW",
    }
}

enumeration! {
    /// Whether a gateway is there.
    ConnectionState, connection_state {
        /// It is not.
        Offline = 0 "OFFLINE",
        /// It is.
        Online = 1 "ONLINE",
    }
}

enumeration! {
    /// Where a position comes from.
    LocationSource, location_source {
        /// It is not known.
        Unknown = 0 "UNKNOWN",
        /// A GPS receiver.
        Gps = 1 "GPS",
        /// The gateway's settings.
        Config = 2 "CONFIG",
    }
}

enumeration! {
    /// Whose rule a duty cycle is.
    Regulation, regulation {
        /// It is not known.
        Unknown = 0 "REGULATION_UNKNOWN",
        /// That of Europe.
        EtsiEn300220 = 1 "ETSI_EN_300_220",
    }
}
