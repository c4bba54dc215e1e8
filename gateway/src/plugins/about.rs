//! What can be said of a plugin's component whether or not it runs.

use std::path::Path;

use super::fit::Fit;
use super::install::manifest;
use crate::component::{Manifest, fingerprint, read};
use crate::config::Trust;
use crate::signature::{Signer, signer};

/// See the module's head.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// SHA-256 of it in hex; `None` when the file could not be read.
    pub hash: Option<String>,
    /// What its author says.
    pub manifest: Option<Manifest>,
    /// Who signed it, in words.
    pub signer: Option<String>,
    /// Whether that is somebody whose key is trusted.
    pub trusted: bool,
}

impl About {
    /// Of a file as it is. Reads all of it; what can't be found out is left out.
    pub(super) fn read(file: &Path, trust: &Trust) -> Self {
        let Ok(component) = read(file) else { return Self::default() };
        let signer = signer(&component, &trust.trusted_keys);
        Self {
            hash: Some(fingerprint(&component)),
            manifest: manifest(&component).ok().flatten(),
            trusted: matches!(signer, Ok(Signer::Trusted(..))),
            signer: Some(signer.map_or_else(|why| why, |signer| in_words(&signer))),
        }
    }

    /// Of a component that was found to fit.
    pub(super) fn of(hash: &str, fit: &Fit) -> Self {
        Self {
            hash: Some(hash.to_owned()),
            manifest: fit.manifest.clone(),
            trusted: matches!(fit.signer, Signer::Trusted(..)),
            signer: Some(in_words(&fit.signer)),
        }
    }
}

pub(super) fn in_words(signer: &Signer) -> String {
    match signer {
        Signer::Nobody => "nobody".into(),
        Signer::Unknown(Some(key)) => format!("{key}, which is not trusted"),
        Signer::Unknown(None) => "a key that is not trusted".into(),
        Signer::Trusted(name, _) => name.clone(),
    }
}
