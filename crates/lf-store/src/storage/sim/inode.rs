//! The content of one simulated file: what is durable, what was written since, and what a power cut may leave.

use super::{Random, SECTOR_BYTES};

#[derive(Debug, Default)]
pub(super) struct Inode {
    /// What readers see.
    pub(super) current: Vec<u8>,
    /// What is durable for certain, before `changes`.
    base: Vec<u8>,
    /// What happened since, in order.
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Change {
    kind: ChangeKind,
    state: State,
}

#[derive(Debug)]
enum ChangeKind {
    Write(usize, Vec<u8>),
    SetLength(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for a sync.
    Dirty,
    /// A sync failed: no later one writes it.
    Lost,
    /// Durable, but kept in the list because something before it is lost.
    Synced,
}

impl Change {
    fn length_after(&self, before: usize) -> usize {
        match &self.kind {
            ChangeKind::Write(_, bytes) if bytes.is_empty() => before,
            ChangeKind::Write(offset, bytes) => before.max(offset + bytes.len()),
            ChangeKind::SetLength(length) => *length,
        }
    }

    /// Does what the change does to the bytes `from..from + part.len()` of the file.
    fn apply(&self, part: &mut [u8], from: usize) {
        match &self.kind {
            ChangeKind::Write(offset, bytes) => {
                let start = from.max(*offset);
                let end = (from + part.len()).min(offset + bytes.len());
                if start < end {
                    part[start - from..end - from].copy_from_slice(&bytes[start - offset..end - offset]);
                }
            }
            ChangeKind::SetLength(length) => {
                let keep = length.saturating_sub(from).min(part.len());
                part[keep..].fill(0);
            }
        }
    }

    fn touches(&self, from: usize, to: usize) -> bool {
        match &self.kind {
            ChangeKind::Write(offset, bytes) => *offset < to && from < offset + bytes.len(),
            ChangeKind::SetLength(length) => *length < to,
        }
    }
}

impl Inode {
    pub(super) fn durable(content: Vec<u8>) -> Inode {
        Inode { current: content.clone(), base: content, changes: Vec::new() }
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        self.change(ChangeKind::Write(offset, bytes.to_vec()));
    }

    pub(super) fn set_length(&mut self, length: usize) {
        self.change(ChangeKind::SetLength(length));
    }

    fn change(&mut self, kind: ChangeKind) {
        let change = Change { kind, state: State::Dirty };
        apply_whole(&mut self.current, &change);
        self.changes.push(change);
    }

    pub(super) fn sync(&mut self, failing: bool) {
        let to = if failing { State::Lost } else { State::Synced };
        for change in self.changes.iter_mut().filter(|c| c.state == State::Dirty) {
            change.state = to;
        }
        if self.changes.iter().all(|c| c.state == State::Synced) {
            for change in self.changes.drain(..) {
                apply_whole(&mut self.base, &change);
            }
        }
    }

    /// One of the contents that a power cut may leave.
    pub(super) fn survive(&self, random: &mut Random) -> Vec<u8> {
        let n = self.changes.len();
        let synced =
            |changes: &[Change]| changes.iter().rposition(|c| c.state == State::Synced).map_or(0, |i| i + 1);
        let floor = synced(&self.changes);
        let style = random.up_to(3);
        // How many of the changes the length has seen.
        let seen = match style {
            0 => floor,
            1 => n,
            _ => floor + random.up_to(n - floor),
        };
        let mut length = self.changes[..seen].iter().fold(self.base.len(), |l, c| c.length_after(l));
        // In style 2 the next write is torn: its first sectors are there, in order.
        let mut torn_at = 0;
        if style == 2
            && let Some(ChangeKind::Write(offset, bytes)) = self.changes.get(seen).map(|c| &c.kind)
            && !bytes.is_empty()
        {
            torn_at = (offset + random.up_to(bytes.len())) / SECTOR_BYTES * SECTOR_BYTES;
            let longest = length.max(offset + bytes.len());
            length = if random.up_to(1) == 0 { longest } else { length.max(torn_at.min(longest)) };
        }
        let garbage = style == 3 && random.up_to(7) == 0;
        let mut content = self.base.clone();
        content.resize(length.div_ceil(SECTOR_BYTES) * SECTOR_BYTES, 0);
        for (i, sector) in content.chunks_mut(SECTOR_BYTES).enumerate() {
            let (from, to) = (i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES);
            let touching: Vec<usize> = (0..n).filter(|&c| self.changes[c].touches(from, to)).collect();
            let version = match style {
                3 => {
                    // At least what is synced here, and the truncations that the length has seen.
                    let must = touching.iter().rposition(|&c| {
                        self.changes[c].state == State::Synced
                            || (c < seen && matches!(self.changes[c].kind, ChangeKind::SetLength(_)))
                    });
                    let must = must.map_or(0, |i| i + 1);
                    must + random.up_to(touching.len() - must)
                }
                _ => touching.iter().filter(|&&c| c < seen || (c == seen && from < torn_at)).count(),
            };
            if garbage && version == 0 && from >= self.base.len() && !touching.is_empty() {
                // Some file systems show old blocks where a file grew and the data did not follow.
                sector.fill_with(|| random.next() as u8);
            }
            for &c in &touching[..version] {
                self.changes[c].apply(sector, from);
            }
        }
        content.truncate(length);
        content
    }
}

fn apply_whole(content: &mut Vec<u8>, change: &Change) {
    content.resize(change.length_after(content.len()), 0);
    change.apply(content, 0);
}
