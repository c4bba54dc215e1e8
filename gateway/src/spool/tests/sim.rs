//! A disk that loses what was not synced, tears what it was writing, and fails when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::spool::disk::{Disk, DiskFile, Mode};

/// What is written or lost as one.
const BLOCK: usize = 512;

#[derive(Default)]
struct Inode {
    now: Vec<u8>,
    safe: Vec<u8>,
    /// Blocks of `now` that the next sync writes. A sync that failed forgets them, as Linux does.
    dirty: BTreeSet<usize>,
}

#[derive(Default)]
struct Folder {
    now: BTreeMap<String, usize>,
    safe: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Sim {
    inodes: Vec<Inode>,
    folders: BTreeMap<String, Folder>,
    /// Files opened before a crash are of no use after it.
    life: u32,
    /// So many changes from now, one fails, or all.
    fault: Option<(u32, ErrorKind, bool)>,
    room: Option<usize>,
    read_fault: bool,
}

#[derive(Clone, Default)]
pub(super) struct SimDisk(Arc<Mutex<Sim>>);

struct SimFile {
    sim: Arc<Mutex<Sim>>,
    inode: usize,
    life: u32,
}

/// Numbers that look random, the same for the same seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: usize) -> usize {
        // The step of SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 29)) as usize % n.max(1)
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

impl Sim {
    /// Counts a change, which may be one that fails.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.fault {
            Some((0, kind, for_ever)) => {
                let error = io::Error::from(*kind);
                if !*for_ever {
                    self.fault = None;
                }
                Err(error)
            }
            Some((left, ..)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn used(&self) -> usize {
        let there = self.folders.values().flat_map(|folder| folder.now.values());
        there.map(|inode| self.inodes[*inode].now.len()).sum()
    }

    fn folder(&mut self, path: &str) -> &mut Folder {
        self.folders.entry(path.to_owned()).or_default()
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl SimDisk {
    fn sim(&self) -> MutexGuard<'_, Sim> {
        self.0.lock().unwrap()
    }

    /// Lets the `after`th change from now fail, and with `for_ever` all behind it.
    pub(super) fn fail(&self, after: u32, kind: ErrorKind, for_ever: bool) {
        self.sim().fault = Some((after, kind, for_ever));
    }

    pub(super) fn fail_reading(&self, fails: bool) {
        self.sim().read_fault = fails;
    }

    pub(super) fn heal(&self) {
        let mut sim = self.sim();
        (sim.fault, sim.room, sim.read_fault) = (None, None, false);
    }

    /// So many bytes more, and the disk is full.
    pub(super) fn leave(&self, bytes: usize) {
        let mut sim = self.sim();
        sim.room = Some(sim.used() + bytes);
    }

    pub(super) fn is_well(&self) -> bool {
        let sim = self.sim();
        sim.fault.is_none() && sim.room.is_none()
    }

    pub(super) fn used(&self) -> usize {
        self.sim().used()
    }

    /// The power fails: what was not synced may be there, or not, or in part.
    pub(super) fn crash(&self, dice: &mut Dice) {
        let mut sim = self.sim();
        sim.life += 1;
        for folder in sim.folders.values_mut() {
            let names: BTreeSet<String> = folder.now.keys().chain(folder.safe.keys()).cloned().collect();
            for name in names {
                let entry = if dice.coin() { folder.now.get(&name) } else { folder.safe.get(&name) }.copied();
                match entry {
                    Some(inode) => drop(folder.safe.insert(name, inode)),
                    None => drop(folder.safe.remove(&name)),
                }
            }
            folder.now = folder.safe.clone();
        }
        for inode in &mut sim.inodes {
            let (short, long) = (inode.now.len().min(inode.safe.len()), inode.now.len().max(inode.safe.len()));
            let length = short + dice.below(long - short + 1);
            inode.safe.resize(length, 0);
            for block in std::mem::take(&mut inode.dirty) {
                let end = ((block + 1) * BLOCK).min(inode.now.len()).min(length);
                let range = (block * BLOCK).min(end)..end;
                let kept = match dice.below(3) {
                    0 => 0,
                    1 => range.len(),
                    _ => dice.below(range.len() + 1),
                };
                let range = range.start..range.start + kept;
                inode.safe[range.clone()].copy_from_slice(&inode.now[range]);
            }
            inode.now = inode.safe.clone();
        }
    }
}

impl Disk for SimDisk {
    fn make_folder(&self, folder: &str) -> io::Result<()> {
        let mut sim = self.sim();
        sim.change()?;
        sim.folder(folder);
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let sim = self.sim();
        let found = sim.folders.get(folder).ok_or(ErrorKind::NotFound)?;
        Ok(found.now.iter().map(|(name, inode)| (name.clone(), sim.inodes[*inode].now.len() as u64)).collect())
    }

    fn open(&self, path: &str, mode: Mode) -> io::Result<Box<dyn DiskFile>> {
        let mut sim = self.sim();
        let (folder, name) = split(path);
        let found = sim.folder(folder).now.get(name).copied();
        let inode = match (found, mode) {
            (Some(_), Mode::Create) => return Err(ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, Mode::Create) => {
                sim.change()?;
                sim.inodes.push(Inode::default());
                let inode = sim.inodes.len() - 1;
                sim.folder(folder).now.insert(name.to_owned(), inode);
                inode
            }
            (None, _) => return Err(ErrorKind::NotFound.into()),
        };
        Ok(Box::new(SimFile { sim: Arc::clone(&self.0), inode, life: sim.life }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut sim = self.sim();
        sim.change()?;
        let (folder, name) = split(from);
        let inode = sim.folder(folder).now.remove(name).ok_or(ErrorKind::NotFound)?;
        let (folder, name) = split(to);
        sim.folder(folder).now.insert(name.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut sim = self.sim();
        sim.change()?;
        let (folder, name) = split(path);
        sim.folder(folder).now.remove(name).map(drop).ok_or(ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut sim = self.sim();
        sim.change()?;
        let folder = sim.folder(folder);
        folder.safe = folder.now.clone();
        Ok(())
    }
}

impl SimFile {
    fn sim(&self) -> io::Result<MutexGuard<'_, Sim>> {
        let sim = self.sim.lock().unwrap();
        assert_eq!(sim.life, self.life, "a file of a process that is gone");
        Ok(sim)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let sim = self.sim()?;
        if sim.read_fault {
            return Err(ErrorKind::Other.into());
        }
        let now = &sim.inodes[self.inode].now;
        let from = (at as usize).min(now.len());
        let read = bytes.len().min(now.len() - from);
        bytes[..read].copy_from_slice(&now[from..from + read]);
        Ok(read)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut sim = self.sim()?;
        let failed = sim.change();
        let left = sim.room.map_or(usize::MAX, |room| room.saturating_sub(sim.used()));
        let inode = &mut sim.inodes[self.inode];
        let (at, length) = (at as usize, inode.now.len());
        // What fails may have been done in part.
        let wanted = if failed.is_err() { bytes.len() / 2 } else { bytes.len() };
        let done = wanted.min(left.saturating_add(length.saturating_sub(at)));
        if done > 0 {
            inode.now.resize(length.max(at + done), 0);
            inode.now[at..at + done].copy_from_slice(&bytes[..done]);
            inode.dirty.extend(at / BLOCK..=(at + done - 1) / BLOCK);
        }
        failed?;
        if done == bytes.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut sim = self.sim()?;
        sim.change()?;
        sim.inodes[self.inode].now.resize(length as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut sim = self.sim()?;
        let failed = sim.change();
        let inode = &mut sim.inodes[self.inode];
        let dirty = std::mem::take(&mut inode.dirty);
        failed?;
        let length = inode.now.len();
        inode.safe.resize(length, 0);
        for block in dirty {
            let range = (block * BLOCK).min(length)..((block + 1) * BLOCK).min(length);
            inode.safe[range.clone()].copy_from_slice(&inode.now[range]);
        }
        Ok(())
    }
}
