//! What is read and kept about the running system: its version, and which installation was found good.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::whole_file;

/// What the running system is: os-release(5).
const OS_RELEASE: &str = "/etc/os-release";
/// More of a file is not read, in bytes.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// The version of the image that this system came by; none on a machine that was installed otherwise.
pub(crate) fn image_version() -> Option<String> {
    version_in(&read(Path::new(OS_RELEASE))?)
}

fn version_in(text: &str) -> Option<String> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    value("IMAGE_VERSION").filter(|_| value("IMAGE_ID").as_deref() == Some("stile"))
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(FILE_MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The file that says which installation was found good last. It is for all to read: there is no secret in it.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    path: PathBuf,
}

impl Record {
    /// Where it is on an appliance; `StateDirectory=` of stile-update-good.service is its folder.
    pub(crate) const PATH: &str = "/var/lib/stile-update/good";

    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The mark of the installation.
    pub(crate) fn read(&self) -> Option<String> {
        read(&self.path).map(|text| text.trim_end().to_owned())
    }

    /// Puts the mark of another in its place.
    ///
    /// # Errors
    /// What the system says; the file is what it was.
    pub(crate) fn write(&self, mark: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        whole_file::write(&self.path, format!("{mark}\n").as_bytes(), 0o644, folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_an_image_of_ours_is_read_and_no_other() {
        let ours = "ID=debian\nVERSION_ID=\"13\"\nIMAGE_ID=stile\nIMAGE_VERSION=\"1.2.3\"\n";
        assert_eq!(version_in(ours).as_deref(), Some("1.2.3"));
        assert_eq!(version_in(&ours.replace("IMAGE_ID=stile", "IMAGE_ID=other")), None);
        assert_eq!(version_in("ID=debian\n"), None);
    }
}
