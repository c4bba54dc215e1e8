//! Small file systems for a daemon's data, which fill up or fail. Only root may mount them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// What takes the room on a full one.
const BALLAST: &str = "ballast";

/// A mounted file system. Dropped, it is let go, also when somebody is still there.
pub struct Mounted {
    dir: TempDir,
    /// Where the file is that it lies in, if it does.
    image: Option<TempDir>,
    size: usize,
}

/// Runs a program to its end. Its words when it fails.
fn run(program: &str, arguments: &[&str], last: &Path) -> Result<(), String> {
    let output = Command::new(program).args(arguments).arg(last).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said()) }
}

impl Mounted {
    /// In memory, of so many bytes.
    ///
    /// # Errors
    /// Why it can't be mounted.
    pub fn in_memory(size: usize) -> Result<Self, String> {
        let mounted = Self { dir: tempfile::tempdir().unwrap(), image: None, size };
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], mounted.path())?;
        Ok(mounted)
    }

    /// An ext4 of so many bytes, in a file.
    ///
    /// # Errors
    /// Why it can't be made or mounted.
    pub fn ext4(size: usize) -> Result<Self, String> {
        let image = tempfile::tempdir().unwrap();
        let file = image.path().join("image");
        OpenOptions::new().create_new(true).write(true).open(&file).unwrap().set_len(size as u64).unwrap();
        run("mkfs.ext4", &["-q", "-F"], &file)?;
        let mounted = Self { dir: tempfile::tempdir().unwrap(), image: Some(image), size };
        mounted.mount()?;
        Ok(mounted)
    }

    /// A FAT of so many bytes, in a file: a boot partition.
    ///
    /// # Errors
    /// Why it can't be made or mounted.
    pub fn fat(size: usize) -> Result<Self, String> {
        let image = tempfile::tempdir().unwrap();
        let file = image.path().join("image");
        OpenOptions::new().create_new(true).write(true).open(&file).unwrap().set_len(size as u64).unwrap();
        run("mkfs.vfat", &[], &file)?;
        let mounted = Self { dir: tempfile::tempdir().unwrap(), image: Some(image), size };
        mounted.mount()?;
        Ok(mounted)
    }

    /// Nothing on it can be written any more.
    pub fn make_read_only(&self) {
        run("mount", &["-o", "remount,ro"], self.path()).unwrap();
    }

    fn mount(&self) -> Result<(), String> {
        let image = self.image.as_ref().unwrap().path().join("image");
        run("mount", &["-o", "loop", image.to_str().unwrap()], self.path())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A folder for a daemon whose data is on it.
    pub fn folder(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let data = self.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        std::os::unix::fs::symlink(data, dir.path().join("data")).unwrap();
        dir
    }

    /// Takes so many bytes of it.
    pub fn take(&self, bytes: usize) {
        std::fs::write(self.path().join(BALLAST), vec![b'x'; bytes]).unwrap();
    }

    /// Fills it up to the last byte.
    pub fn fill_up(&self) {
        let mut size = self.size;
        while size > 0 {
            let mut file = OpenOptions::new().create(true).append(true).open(self.path().join(BALLAST)).unwrap();
            if file.write_all(&vec![b'x'; size]).is_err() {
                size /= 2;
            }
        }
    }

    /// Gives back what was taken.
    pub fn make_room(&self) {
        std::fs::remove_file(self.path().join(BALLAST)).unwrap();
    }

    /// Has the kernel take an ext4 for broken: it can only be read from now on, by those too who have files open.
    ///
    /// # Errors
    /// Why it does not.
    pub fn break_down(&self) -> Result<(), String> {
        run("mount", &["-o", "remount,abort"], self.path())?;
        match std::fs::write(self.path().join("probe"), "x") {
            Ok(()) => Err("the file system can still be written to".to_owned()),
            Err(_) => Ok(()),
        }
    }

    /// Checks an ext4 that broke down, and mounts what it had on disk as another one. Mounted itself it might be the broken
    /// one again: whoever has made a mount namespace meanwhile keeps that. Nobody may be there.
    #[track_caller]
    pub fn repair(&self) {
        run("umount", &[], self.path()).unwrap();
        let dir = self.image.as_ref().unwrap().path();
        let (image, copy) = (dir.join("image"), dir.join("copy"));
        std::fs::copy(&image, &copy).unwrap();
        std::fs::rename(&copy, &image).unwrap();
        // It says by its exit code that it has mended something.
        let _ = run("e2fsck", &["-p"], &image);
        self.mount().unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy"], self.dir.path());
    }
}
