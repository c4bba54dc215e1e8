//! Whether a bundle may be installed here.

use std::cmp::Ordering;

use semver::Version;

use super::Bundle;

/// Why a bundle is not installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the bundle is for {bundle}, and this machine is {machine}; get the one for this machine")]
    OtherMachine { bundle: String, machine: String },
    #[error(
        "the bundle has version {bundle}, which is older than {running} that runs; an older one is installed only where that is \
         asked for (--allow-older)"
    )]
    Older { bundle: String, running: String },
    #[error(
        "whether version {bundle} is older than {running} that runs can't be told, since a version is written like 1.2.3; it is \
         installed only where that is asked for (--allow-older)"
    )]
    NoOrder { bundle: String, running: String },
}

/// Judges a bundle for a machine that is `compatible` with what it says and runs the version `running`. The same version once
/// more is allowed: it may repair something.
///
/// # Errors
/// Why it is not installed.
pub(super) fn judge(bundle: &Bundle, compatible: &str, running: &str, allow_older: bool) -> Result<(), Refusal> {
    if bundle.compatible != compatible {
        return Err(Refusal::OtherMachine { bundle: bundle.compatible.clone(), machine: compatible.to_owned() });
    }
    let (version, running) = (bundle.version.clone(), running.to_owned());
    match order(&version, &running) {
        _ if allow_older => Ok(()),
        Some(Ordering::Less) => Err(Refusal::Older { bundle: version, running }),
        Some(_) => Ok(()),
        None => Err(Refusal::NoOrder { bundle: version, running }),
    }
}

/// By the rules of semantic versioning (semver.org, 2.0.0, section 11): 1.2.0-rc.1 comes before 1.2.0, and what follows a `+`
/// does not count.
fn order(one: &str, other: &str) -> Option<Ordering> {
    Some(Version::parse(one).ok()?.cmp_precedence(&Version::parse(other).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(compatible: &str, version: &str, allow_older: bool) -> Result<(), Refusal> {
        let bundle = Bundle { compatible: compatible.to_owned(), version: version.to_owned(), hash: None };
        judge(&bundle, "stile-arm64", "1.10.0", allow_older)
    }

    #[test]
    fn what_is_newer_or_the_same_is_installed_and_what_is_older_where_that_is_meant() {
        for version in ["1.10.0", "1.10.0+2", "1.10.1", "1.11.0-rc.1", "2.0.0"] {
            assert_eq!(judged("stile-arm64", version, false), Ok(()), "{version}");
        }
        for version in ["1.9.9", "1.10.0-rc.1", "0.99.0"] {
            let said = judged("stile-arm64", version, false).unwrap_err().to_string();
            assert!(said.contains(version) && said.contains("1.10.0") && said.contains("--allow-older"), "{said}");
            assert_eq!(judged("stile-arm64", version, true), Ok(()));
        }
        assert!(matches!(judged("stile-arm64", "yesterday", false), Err(Refusal::NoOrder { .. })));
        assert_eq!(judged("stile-arm64", "yesterday", true), Ok(()));
    }

    #[test]
    fn what_is_for_another_machine_is_never_installed() {
        for allow_older in [false, true] {
            let said = judged("stile-amd64", "2.0.0", allow_older).unwrap_err().to_string();
            assert!(said.contains("stile-amd64") && said.contains("stile-arm64"), "{said}");
        }
    }
}
