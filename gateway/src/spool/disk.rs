//! The files of a spool, behind a trait: the real ones, and in tests some that lose and fail.
//!
//! Paths are relative to the spool's folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// What to open a file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Reading one that is there.
    Read,
    /// Reading and writing one that is there.
    Write,
    /// Writing one that is not there yet.
    Create,
}

pub(super) trait Disk: Send {
    fn make_folder(&self, folder: &str) -> io::Result<()>;
    /// The files of a folder, with their lengths, in no order.
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>>;
    fn open(&self, path: &str, mode: Mode) -> io::Result<Box<dyn DiskFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Makes what came to a folder, or left it, outlast a power cut.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
}

pub(super) trait DiskFile: Send {
    /// Reads as much as there is of `bytes`, and says how much.
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize>;
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Waits until what was written would outlast a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// The real files, below a folder.
pub(super) struct RealDisk(pub(super) PathBuf);

impl Disk for RealDisk {
    fn make_folder(&self, folder: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.0.join(folder))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.0.join(folder))? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // It went since the folder was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn open(&self, path: &str, mode: Mode) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != Mode::Read).create_new(mode == Mode::Create).mode(0o600);
        Ok(Box::new(options.open(self.0.join(path))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(path))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        File::open(self.0.join(folder))?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            match FileExt::read_at(self, &mut bytes[done..], at + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.sync_data()
    }
}

/// Blocks that a disk can't read are read as zeros.
const BLOCK: usize = 4096;

/// Reads `length` bytes from `at` on, or as many as there are. With `lossy`, what can't be read is zeros, a block at a time.
pub(super) fn read(file: &dyn DiskFile, at: u64, length: usize, lossy: bool) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    match file.read_at(at, &mut bytes) {
        Ok(read) => {
            bytes.truncate(read);
            return Ok(bytes);
        }
        Err(error) if !lossy => return Err(error),
        Err(_) => {}
    }
    for (n, block) in bytes.chunks_mut(BLOCK).enumerate() {
        if file.read_at(at + (n * BLOCK) as u64, block).is_err() {
            block.fill(0);
        }
    }
    Ok(bytes)
}
