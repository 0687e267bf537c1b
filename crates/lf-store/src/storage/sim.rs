//! A storage in memory that knows what is only written and what is durable, and fails on command. For tests, of
//! this crate and of others; no test code of any one module lives here.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Storage, StorageFile, check_path};

mod inode;

use inode::Inode;

/// What survives or is lost together: a power cut tears writes at this granularity, in bytes.
const SECTOR_BYTES: usize = 512;

/// A kind of storage operation, to aim a [`Fault`] at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// [`Storage::create_directory`]
    CreateDirectory,
    /// [`Storage::list`]
    List,
    /// [`Storage::create`]
    Create,
    /// [`Storage::open`]
    Open,
    /// [`Storage::rename`]
    Rename,
    /// [`Storage::remove`]
    Remove,
    /// [`Storage::sync_directory`]
    SyncDirectory,
    /// [`Storage::free_bytes`]
    FreeBytes,
    /// [`StorageFile::length`]
    Length,
    /// [`StorageFile::read_at`]
    Read,
    /// [`StorageFile::write_all_at`]
    Write,
    /// [`StorageFile::truncate`]
    Truncate,
    /// [`StorageFile::sync`]
    Sync,
}

/// What happens when a [`Fault`] strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEffect {
    /// The operation fails with this error. A write has then written its first half; a failed `sync` (of file or
    /// directory) leaves what it should have made durable in doubt for ever, as real systems do.
    Error(io::ErrorKind),
    /// The power goes off in the middle of the operation: it and everything after it fails, and
    /// [`SimStorage::crash`] tells what is left.
    PowerCut,
}

/// An order to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which operations count; `None`: all.
    pub operation: Option<Operation>,
    /// How many of them pass, from now on, before the first failure.
    pub after: u64,
    /// How many then fail (`u64::MAX`: all).
    pub times: u64,
    /// How.
    pub effect: FaultEffect,
}

/// A simulated disk. Clones are handles of the same disk.
#[derive(Debug, Clone)]
pub struct SimStorage {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(u64),
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, Node),
    Rename(String, String, Node),
    Unlink(String),
}

impl NameChange {
    fn shares_name(&self, other: &NameChange) -> bool {
        let names = |change: &NameChange| match change {
            NameChange::Link(path, _) | NameChange::Unlink(path) => [path.clone(), path.clone()],
            NameChange::Rename(from, to, _) => [from.clone(), to.clone()],
        };
        let others = names(other);
        names(self).iter().any(|n| others.contains(n))
    }
}

#[derive(Debug)]
struct PendingName {
    directory: String,
    change: NameChange,
    /// A sync of the directory failed after it: no later one makes it durable.
    lost: bool,
}

#[derive(Debug, Default)]
struct Disk {
    names: BTreeMap<String, Node>,
    names_durable: BTreeMap<String, Node>,
    names_pending: Vec<PendingName>,
    inodes: BTreeMap<u64, Inode>,
    inode_next: u64,
    faults: Vec<Fault>,
    counts: BTreeMap<Operation, u64>,
    capacity_bytes: Option<u64>,
    short_reads: bool,
    unreadable: Vec<(String, std::ops::Range<u64>)>,
    dead: bool,
    random: Random,
}

/// SplitMix64: all that is asked of it is to be seeded and spread.
#[derive(Debug, Default, Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..=most`.
    fn up_to(&mut self, most: usize) -> usize {
        (self.next() % (most as u64 + 1)) as usize
    }
}

impl Default for SimStorage {
    fn default() -> SimStorage {
        SimStorage::new(0)
    }
}

impl SimStorage {
    /// An empty disk; `seed` decides where reads are short.
    pub fn new(seed: u64) -> SimStorage {
        SimStorage { disk: Arc::new(Mutex::new(Disk { random: Random(seed), ..Disk::default() })) }
    }

    /// Cuts the power: what a new start would find, one of the legal possibilities, chosen by `seed`. Synced data
    /// and names are all there. Of the rest of a file any sectors may be there in any version written since, its
    /// length in any version too; of names any changes. The original is dead from then on: its handles fail.
    pub fn crash(&self, seed: u64) -> SimStorage {
        let mut disk = self.lock();
        disk.dead = true;
        let mut random = Random(seed);
        let mut names = disk.names_durable.clone();
        let pending = &disk.names_pending;
        let (style, whole) = (random.up_to(3), random.up_to(pending.len()));
        for (i, change) in pending.iter().enumerate() {
            let happened = match style {
                0 => false,
                1 => true,
                2 => i < whole,
                _ => random.up_to(1) == 0,
            };
            if happened {
                apply_name(&mut names, &change.change);
            }
        }
        let parents: BTreeSet<String> =
            names.iter().filter(|(_, n)| **n == Node::Directory).map(|(p, _)| p.clone()).collect();
        names.retain(|path, _| parent(path).is_empty() || parents.contains(parent(path)));
        let mut inodes = BTreeMap::new();
        for node in names.values() {
            if let Node::File(id) = node
                && let Some(inode) = disk.inodes.get(id)
            {
                inodes.insert(*id, Inode::durable(inode.survive(&mut random)));
            }
        }
        SimStorage {
            disk: Arc::new(Mutex::new(Disk {
                names: names.clone(),
                names_durable: names,
                inodes,
                inode_next: disk.inode_next,
                capacity_bytes: disk.capacity_bytes,
                random,
                ..Disk::default()
            })),
        }
    }

    /// Kills the process, not the machine: everything written is there, whether synced or not (and what was not
    /// synced still is not). Handles of the original go on working.
    pub fn kill(&self) -> SimStorage {
        let mut disk = self.lock();
        disk.dead = false;
        disk.faults.clear();
        drop(disk);
        self.clone()
    }

    /// Orders a fault.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Takes all faults back (not those that already cut the power).
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// How many operations there were, of one kind or of all.
    pub fn operations(&self, operation: Option<Operation>) -> u64 {
        let disk = self.lock();
        match operation {
            Some(operation) => disk.counts.get(&operation).copied().unwrap_or(0),
            None => disk.counts.values().sum(),
        }
    }

    /// Limits all file content together to `bytes`: a write beyond fails with `StorageFull` after the part that
    /// fits. `None`: no limit.
    pub fn set_capacity_bytes(&self, bytes: Option<u64>) {
        self.lock().capacity_bytes = bytes;
    }

    /// Bytes of content of all files together.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// Whether reads return fewer bytes than asked for, at random.
    pub fn set_short_reads(&self, short: bool) {
        self.lock().short_reads = short;
    }

    /// Makes reads that touch this range of the file fail, like bad sectors.
    pub fn set_unreadable(&self, path: &str, range: std::ops::Range<u64>) {
        self.lock().unreadable.push((path.to_owned(), range));
    }

    /// Whether a fault has cut the power.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// The content of a file as a reader sees it now; `None` if there is none.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let disk = self.lock();
        match disk.names.get(path)? {
            Node::File(id) => Some(disk.inodes.get(id)?.current.clone()),
            Node::Directory => None,
        }
    }

    /// Overwrites a file's content behind everybody's back, durably; makes the file if it is missing.
    pub fn set_content(&self, path: &str, content: Vec<u8>) {
        let mut disk = self.lock();
        let id = match disk.names.get(path) {
            Some(Node::File(id)) => *id,
            _ => {
                disk.inode_next += 1;
                disk.inode_next
            }
        };
        disk.names.insert(path.to_owned(), Node::File(id));
        disk.names_durable.insert(path.to_owned(), Node::File(id));
        disk.inodes.insert(id, Inode::durable(content));
    }

    /// Flips one bit of a file, durably. Returns whether there was such a byte.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u8) -> bool {
        let Some(mut content) = self.content(path) else { return false };
        let Some(byte) = usize::try_from(offset).ok().and_then(|o| content.get_mut(o)) else { return false };
        *byte ^= 1 << (bit % 8);
        self.set_content(path, content);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the operation and runs it, with the fault that is due.
    fn run<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut Disk, bool) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut disk = self.lock();
        if disk.dead {
            return Err(power_cut());
        }
        *disk.counts.entry(operation).or_default() += 1;
        match disk.fault(operation) {
            None => act(&mut disk, false),
            Some(FaultEffect::Error(kind)) => {
                if matches!(operation, Operation::Write | Operation::Sync | Operation::SyncDirectory) {
                    let _ = act(&mut disk, true);
                }
                Err(io::Error::new(kind, "injected fault"))
            }
            Some(FaultEffect::PowerCut) => {
                // Changes get as far as being possible; a sync gets nowhere, which leaves every outcome open.
                if !matches!(operation, Operation::Sync | Operation::SyncDirectory) {
                    let _ = act(&mut disk, false);
                }
                disk.dead = true;
                Err(power_cut())
            }
        }
    }
}

fn power_cut() -> io::Error {
    io::Error::other("power cut")
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn apply_name(names: &mut BTreeMap<String, Node>, change: &NameChange) {
    match change {
        NameChange::Link(path, node) => {
            names.insert(path.clone(), *node);
        }
        NameChange::Rename(from, to, node) => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
    }
}

impl Disk {
    fn fault(&mut self, operation: Operation) -> Option<FaultEffect> {
        let mut due = None;
        for fault in &mut self.faults {
            if fault.operation.is_some_and(|o| o != operation) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 && due.is_none() {
                fault.times = fault.times.saturating_sub(1);
                due = Some(fault.effect);
            }
        }
        due
    }

    fn used_bytes(&self) -> u64 {
        self.names
            .values()
            .map(|node| match node {
                Node::File(id) => self.inodes.get(id).map_or(0, |i| i.current.len() as u64),
                Node::Directory => 0,
            })
            .sum()
    }

    fn change_name(&mut self, directory: &str, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.names_pending.push(PendingName { directory: directory.to_owned(), change, lost: false });
    }

    fn need_directory(&self, path: &str) -> io::Result<()> {
        if path.is_empty() || self.names.get(path) == Some(&Node::Directory) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn inode(&mut self, id: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for SimStorage {
    fn create_directory(&self, path: &str) -> io::Result<()> {
        check_path(path)?;
        self.run(Operation::CreateDirectory, |disk, _| {
            disk.need_directory(parent(path))?;
            match disk.names.get(path) {
                Some(Node::Directory) => Ok(()),
                Some(Node::File(_)) => Err(io::ErrorKind::AlreadyExists.into()),
                None => {
                    disk.change_name(parent(path), NameChange::Link(path.to_owned(), Node::Directory));
                    Ok(())
                }
            }
        })
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        check_path(directory)?;
        self.run(Operation::List, |disk, _| {
            disk.need_directory(directory)?;
            let files =
                disk.names.iter().filter(|(p, n)| parent(p) == directory && matches!(n, Node::File(_)));
            Ok(files
                .map(|(p, _)| p.rsplit_once('/').map_or(p.as_str(), |(_, name)| name).to_owned())
                .collect())
        })
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn StorageFile>> {
        check_path(path)?;
        self.run(Operation::Create, |disk, _| {
            disk.need_directory(parent(path))?;
            if disk.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            disk.inode_next += 1;
            let id = disk.inode_next;
            disk.inodes.insert(id, Inode::default());
            disk.change_name(parent(path), NameChange::Link(path.to_owned(), Node::File(id)));
            Ok(self.handle(path, id))
        })
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn StorageFile>> {
        check_path(path)?;
        self.run(Operation::Open, |disk, _| match disk.names.get(path) {
            Some(Node::File(id)) => Ok(self.handle(path, *id)),
            _ => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_path(from)?;
        check_path(to)?;
        self.run(Operation::Rename, |disk, _| {
            disk.need_directory(parent(to))?;
            match disk.names.get(from).copied() {
                Some(node @ Node::File(_)) if disk.names.get(to) != Some(&Node::Directory) => {
                    disk.change_name(parent(to), NameChange::Rename(from.to_owned(), to.to_owned(), node));
                    Ok(())
                }
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        check_path(path)?;
        self.run(Operation::Remove, |disk, _| match disk.names.get(path) {
            Some(Node::File(_)) => {
                disk.change_name(parent(path), NameChange::Unlink(path.to_owned()));
                Ok(())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        check_path(directory)?;
        self.run(Operation::SyncDirectory, |disk, failing| {
            disk.need_directory(directory)?;
            let mut still_pending: Vec<PendingName> = Vec::new();
            for mut pending in std::mem::take(&mut disk.names_pending) {
                if pending.directory == directory && !pending.lost {
                    if !failing {
                        // What is durable about a name now supersedes what was in doubt about it.
                        still_pending.retain(|p| !p.change.shares_name(&pending.change));
                        apply_name(&mut disk.names_durable, &pending.change);
                        continue;
                    }
                    pending.lost = true;
                }
                still_pending.push(pending);
            }
            disk.names_pending = still_pending;
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.run(Operation::FreeBytes, |disk, _| {
            Ok(disk.capacity_bytes.map_or(1 << 40, |c| c.saturating_sub(disk.used_bytes())))
        })
    }
}

impl SimStorage {
    fn handle(&self, path: &str, id: u64) -> Arc<dyn StorageFile> {
        Arc::new(SimFile { storage: self.clone(), path: path.to_owned(), id })
    }
}

#[derive(Debug)]
struct SimFile {
    storage: SimStorage,
    path: String,
    id: u64,
}

impl StorageFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        self.storage.run(Operation::Length, |disk, _| Ok(disk.inode(self.id)?.current.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.storage.run(Operation::Read, |disk, _| {
            let end = offset.saturating_add(buffer.len() as u64);
            if disk.unreadable.iter().any(|(p, r)| *p == self.path && r.start < end && offset < r.end) {
                return Err(io::Error::other("bad sector"));
            }
            let short =
                disk.short_reads.then(|| disk.random.up_to(buffer.len().saturating_sub(1).min(999)) + 1);
            let content = &disk.inode(self.id)?.current;
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let n = buffer.len().min(content.len() - from).min(short.unwrap_or(usize::MAX));
            buffer[..n].copy_from_slice(&content[from..from + n]);
            Ok(n)
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.storage.run(Operation::Write, |disk, failing| {
            let room = disk.capacity_bytes.map_or(u64::MAX, |c| c.saturating_sub(disk.used_bytes()));
            let inode = disk.inode(self.id)?;
            let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
            let fits = (inode.current.len() as u64).saturating_add(room).saturating_sub(offset as u64);
            let fits = usize::try_from(fits).unwrap_or(usize::MAX).min(bytes.len());
            let wanted = if failing { bytes.len() / 2 } else { bytes.len() };
            inode.write(&bytes[..fits.min(wanted)], offset);
            if fits < wanted { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.storage.run(Operation::Truncate, |disk, _| {
            let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
            disk.inode(self.id)?.set_length(length);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.run(Operation::Sync, |disk, failing| {
            disk.inode(self.id)?.sync(failing);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
