//! What the project promises about mending faults: the one place where it stands. The System page, the API and
//! `/.well-known/security.txt` are made from it; SECURITY.md says more.

/// Where to report a vulnerability.
pub(super) const CONTACT: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/security/advisories/new");
/// What becomes of a report.
pub(super) const POLICY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/SECURITY.md");
/// Until this day vulnerabilities are mended, in the newest release.
pub(super) const UNTIL: &str = "2031-12-31";
/// The commit that this was built from, where whoever built it has said so by this variable.
pub(super) const COMMIT: Option<&str> = option_env!("STILE_COMMIT");
