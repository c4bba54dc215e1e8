//! What a camera makes of a page.

use std::path::Path;
use std::process::Command;

/// The texts of the codes in a picture, as `zbarimg` reads them, of the package zbar-tools.
///
/// # Errors
///
/// The program is not there.
#[track_caller]
pub fn codes(picture: &Path) -> Result<Vec<String>, String> {
    let read = Command::new("zbarimg").args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"]).arg(picture).output();
    let read = read.map_err(|error| format!("zbarimg: {error}"))?;
    // 4: it has found none.
    assert!(matches!(read.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&read.stderr));
    Ok(String::from_utf8(read.stdout).unwrap().lines().map(str::to_owned).collect())
}
