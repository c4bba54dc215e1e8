//! The LoRaWAN regions that a LoRa radio can be set to.

use serde::{Deserialize, Serialize};

/// A region of LoRaWAN Regional Parameters (RP002-1.0.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// Europe, 863 to 870 MHz.
    Eu868,
    /// North America, 902 to 928 MHz.
    Us915,
    /// Australia, 915 to 928 MHz.
    Au915,
    /// Asia, group 1.
    As923,
    /// Asia, group 2.
    #[serde(rename = "as923-2")]
    As923Group2,
    /// Asia, group 3.
    #[serde(rename = "as923-3")]
    As923Group3,
    /// Asia, group 4.
    #[serde(rename = "as923-4")]
    As923Group4,
    /// India, 865 to 867 MHz.
    In865,
    /// Korea, 920 to 923 MHz.
    Kr920,
}

impl Region {
    /// Whether some of its countries limit how long a frame may last (RP002-1.0.4: where `TxParamSetupReq` is known).
    pub fn may_limit_dwell_time(self) -> bool {
        match self {
            Self::Au915 | Self::As923 | Self::As923Group2 | Self::As923Group3 | Self::As923Group4 => true,
            Self::Eu868 | Self::Us915 | Self::In865 | Self::Kr920 => false,
        }
    }
}
