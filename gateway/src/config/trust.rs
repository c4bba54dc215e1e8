//! Whose plugins may run: `[plugins]` in the configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::signature::PublicKey;

/// `[plugins]`: what holds for all plugins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trust {
    /// What a plugin must have to be run.
    pub require: Require,
    /// `[plugins.trusted-keys]`: keys whose signatures count, by the name of whoever has them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub trusted_keys: BTreeMap<String, PublicKey>,
    /// Names of plugins in the order of messages' way. Those that it does not name come behind, in the order of the files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
}

/// What a plugin must have to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Require {
    /// Nothing: whoever can write its file is trusted. A signature that does not fit is refused nevertheless.
    #[default]
    Nothing,
    /// A signature by a trusted key. The default where `[plugins.trusted-keys]` is written, be it empty.
    Signed,
}
