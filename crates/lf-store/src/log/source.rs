//! A log's files as another process sees them while its node goes on writing: what of them can be copied, and is then a log
//! of its own. Reads only.
//!
//! Only the last commits are in doubt: an entry that begins a commit says that all before it was durable, and of what
//! comes after the last such entry some may still be taken back (a full disk). So there are two ends: up to where a copy
//! is a good log, and up to where the log will be the same for ever.

use std::sync::Arc;

use super::entry::{Codec, EntryKind, MARK_COMMIT};
use super::error::{LogError, io_error};
use super::recover::{check_version, read_header};
use super::scan::{HeaderState, SegmentScan, Step, header_state};
use super::segment::{
    HeaderOf, IDENTITY_NAME, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_name, segment_start,
};
use crate::storage::{Storage, StorageFile, join, read_full_at};

/// The file with the log's id.
pub const LOG_ID_NAME: &str = IDENTITY_NAME;

/// A log that is read beside its writer.
#[derive(Debug)]
pub struct LogSource {
    log_id: [u8; 16],
    codec: Codec,
    segments: Vec<SourceSegment>,
}

/// One of its segments.
#[derive(Debug)]
pub struct SourceSegment {
    /// The file's name in the log's directory.
    pub name: String,
    /// The position of its first byte.
    pub start: u64,
    /// Bytes in the file when it was looked at, up to where the next segment begins.
    pub bytes: u64,
    segment: Segment,
    is_last: bool,
    header_damaged: bool,
}

/// What a part of a segment holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes from the file's beginning that belong to the log.
    pub bytes: u64,
    /// The position up to which the log will never be different; 0 if this part does not tell.
    pub certain: u64,
    /// Undamaged entries in the part.
    pub entries: u64,
    /// Those that are records.
    pub records: u64,
    /// Bytes that hold no usable entry.
    pub damaged_bytes: u64,
}

impl LogSource {
    /// Looks at the log in a directory as it is now.
    ///
    /// # Errors
    /// There is none, it cannot be read, or it is of a later version.
    pub fn open(storage: &dyn Storage, directory: &str) -> Result<LogSource, LogError> {
        let names = storage.list(directory).map_err(io_error("list", directory))?;
        let mut files = Vec::new();
        for (start, name) in names.into_iter().filter_map(|name| Some((segment_start(&name)?, name))) {
            let path = join(directory, &name);
            files.push((name, start, storage.open(&path).map_err(io_error("open", &path))?));
        }
        let path = join(directory, IDENTITY_NAME);
        let of_log = storage.open(&path).ok().and_then(|file| read_header(&*file, HeaderOf::Identity));
        let of_segment = || files.iter().find_map(|(_, _, file)| read_header(&**file, HeaderOf::Segment));
        let missing = || io_error("read", &path)(std::io::ErrorKind::NotFound.into());
        let header = of_log.or_else(of_segment).ok_or_else(missing)?;
        check_version(&path, &header)?;
        let mut source =
            LogSource { log_id: header.log_id, codec: Codec::new(&header.log_id), segments: Vec::new() };
        let starts: Vec<u64> = files.iter().map(|(_, start, _)| *start).collect();
        for (i, (name, start, file)) in files.into_iter().enumerate() {
            let path = join(directory, &name);
            let length = file.length().map_err(io_error("measure", &path))?;
            let next = starts.get(i + 1).copied();
            let bytes = next.map_or(length, |next| length.min(next.saturating_sub(start)));
            let segment = Segment { start, file, length: None };
            let state = header_state(&segment, &source.log_id);
            if let HeaderState::Foreign(header) = &state {
                check_version(&path, header)?;
            }
            let header_damaged = !matches!(state, HeaderState::Good);
            let found =
                SourceSegment { name, start, bytes, segment, is_last: next.is_none(), header_damaged };
            if found.is_last && header_damaged && source.examine(&found, 0).entries == 0 {
                // The node is making it, or never got that far.
                break;
            }
            source.segments.push(found);
        }
        if let Some(last) = source.segments.last_mut() {
            // Perhaps the last file was none of them.
            last.is_last = true;
        }
        Ok(source)
    }

    /// A log of no segments.
    pub fn none() -> LogSource {
        LogSource { log_id: [0; 16], codec: Codec::new(&[0; 16]), segments: Vec::new() }
    }

    /// The log's id.
    pub fn log_id(&self) -> [u8; 16] {
        self.log_id
    }

    /// The bytes of the file with the log's id.
    pub fn id_file(&self) -> Vec<u8> {
        SegmentHeader::new(self.log_id, 0).encode(HeaderOf::Identity).to_vec()
    }

    /// Its segments, in order.
    pub fn segments(&self) -> &[SourceSegment] {
        &self.segments
    }

    /// What a segment holds from a byte of its file on: 0, or where an entry begins or ended.
    pub fn examine(&self, segment: &SourceSegment, from: u64) -> Extent {
        let header_bytes = SEGMENT_HEADER_BYTES as u64;
        let first = from.max(header_bytes);
        let mut extent = Extent { bytes: segment.bytes.min(first), ..Extent::default() };
        if segment.header_damaged && from < header_bytes {
            extent.damaged_bytes = header_bytes.min(segment.bytes);
        }
        let mut scan = SegmentScan::new(self.codec.clone(), &segment.segment, first, segment.bytes);
        // Since the last entry that began a commit: the first gap, and what came before it.
        let mut in_doubt: Option<Extent> = None;
        while let Some(step) = scan.next() {
            match step {
                Step::Entry { position, header } => {
                    if header.marks & MARK_COMMIT != 0 {
                        // All before it was durable: a gap there is damage.
                        in_doubt = None;
                        extent.certain = segment.start.saturating_add(extent.bytes);
                        if extent.bytes <= header_bytes {
                            // The segment itself may go, if this commit does.
                            extent.certain = segment.start;
                        }
                    }
                    extent.bytes = (position - segment.start) + header.entry_bytes() as u64;
                    extent.entries += 1;
                    extent.records += u64::from(EntryKind::from(header.kind) == EntryKind::Record);
                }
                Step::Gap { from, to, .. } => {
                    if segment.is_last {
                        in_doubt.get_or_insert(extent);
                    }
                    extent.damaged_bytes += to - from;
                    extent.bytes = to - segment.start;
                }
            }
        }
        in_doubt.unwrap_or(extent)
    }
}

impl SourceSegment {
    /// Reads the file; fewer bytes than asked for only at its end.
    ///
    /// # Errors
    /// What the storage says.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, LogError> {
        read_full_at(&*self.segment.file, buffer, offset).map_err(io_error("read", &self.name))
    }

    /// The name a segment that begins at this position has.
    pub fn name_of(start: u64) -> String {
        segment_name(start)
    }
}

/// So many bytes of files elsewhere, under a log's names: what a backup holds, read as a log. Nothing can be changed.
#[derive(Debug)]
pub struct PinnedLog {
    directory: String,
    files: Vec<(String, Arc<dyn StorageFile>, u64)>,
}

impl PinnedLog {
    /// Of files with their names, in any order, and how many bytes of each count.
    pub fn new(directory: &str, mut files: Vec<(String, Arc<dyn StorageFile>, u64)>) -> PinnedLog {
        files.sort_by(|a, b| a.0.cmp(&b.0));
        PinnedLog { directory: directory.to_owned(), files }
    }
}

#[derive(Debug)]
struct PinnedFile(Arc<dyn StorageFile>, u64);

mod pinned {
    //! The storage's side of it.

    use std::io;
    use std::sync::Arc;

    use super::{PinnedFile, PinnedLog};
    use crate::storage::{Storage, StorageFile, join};

    fn fixed<T>() -> io::Result<T> {
        Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "a backup is only read"))
    }

    impl Storage for PinnedLog {
        fn create_directory(&self, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn list(&self, directory: &str) -> io::Result<Vec<String>> {
            let here = directory == self.directory;
            Ok(self.files.iter().filter(|_| here).map(|(name, ..)| name.clone()).collect())
        }

        fn create(&self, _: &str) -> io::Result<Arc<dyn StorageFile>> {
            fixed()
        }

        fn open(&self, path: &str) -> io::Result<Arc<dyn StorageFile>> {
            let found = self.files.iter().find(|(name, ..)| join(&self.directory, name) == path);
            let (_, file, bytes) = found.ok_or(io::ErrorKind::NotFound)?;
            Ok(Arc::new(PinnedFile(Arc::clone(file), *bytes)))
        }

        fn rename(&self, _: &str, _: &str) -> io::Result<()> {
            fixed()
        }

        fn remove(&self, _: &str) -> io::Result<()> {
            fixed()
        }

        fn sync_directory(&self, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn free_bytes(&self) -> io::Result<u64> {
            Ok(0)
        }
    }

    impl StorageFile for PinnedFile {
        fn length(&self) -> io::Result<u64> {
            Ok(self.0.length()?.min(self.1))
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let left = usize::try_from(self.1.saturating_sub(offset)).unwrap_or(usize::MAX);
            let wanted = buffer.len().min(left);
            match buffer.get_mut(..wanted) {
                Some(buffer) => self.0.read_at(buffer, offset),
                None => Ok(0),
            }
        }

        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            fixed()
        }

        fn truncate(&self, _: u64) -> io::Result<()> {
            fixed()
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::log::{Log, LogOptions};
    use crate::storage::SimStorage;

    fn log(segment_bytes_max: u64) -> (Arc<SimStorage>, Log) {
        let storage = Arc::new(SimStorage::new(1));
        let options = LogOptions { segment_bytes_max, ..LogOptions::new([7; 16]) };
        let (log, _) = Log::open(storage.clone(), options).unwrap();
        (storage, log)
    }

    fn whole(source: &LogSource) -> Vec<Extent> {
        source.segments().iter().map(|s| source.examine(s, 0)).collect()
    }

    #[test]
    fn all_that_was_written_counts_and_all_before_the_last_commit_is_certain() {
        let (storage, mut log) = log(200);
        let mut before = 0;
        for i in 0..20u8 {
            before = log.durable_end().0;
            log.append(EntryKind::Record, 0, &[i; 40]).unwrap();
            log.append(EntryKind::Pulse, 0, &[i; 5]).unwrap();
            log.commit().unwrap();
        }
        let source = LogSource::open(&*storage, "log").unwrap();
        let extents = whole(&source);
        assert!(extents.len() > 3);
        let (last, extent) = (source.segments().last().unwrap(), extents.last().unwrap());
        assert_eq!(last.start + extent.bytes, log.durable_end().0);
        assert_eq!(extents.iter().map(|e| e.certain).max().unwrap(), before);
        assert_eq!(
            extents.iter().map(|e| (e.entries, e.records)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
            (40, 20)
        );
        assert_eq!(source.id_file(), storage.content("log/log.id").unwrap());
    }

    #[test]
    fn a_torn_tail_is_left_out_and_damage_before_it_is_not() {
        let (storage, mut log) = log(1 << 20);
        let mut ends = Vec::new();
        for i in 0..4u8 {
            log.append(EntryKind::Record, 0, &[i; 40]).unwrap();
            ends.push(log.commit().unwrap().0);
        }
        let path = format!("log/{}", segment_name(0));
        let good = storage.content(&path).unwrap();
        for cut in ends[2]..ends[3] {
            storage.set_content(&path, good[..cut as usize].to_vec());
            let extent = whole(&LogSource::open(&*storage, "log").unwrap())[0];
            assert_eq!((extent.bytes, extent.certain, extent.records), (ends[2], ends[1], 3), "{cut}");
        }
        // In the middle: the entries behind it say that it was durable once.
        storage.set_content(&path, good);
        storage.flip_bit(&path, ends[0] + 20, 1);
        let extent = whole(&LogSource::open(&*storage, "log").unwrap())[0];
        assert_eq!((extent.bytes, extent.certain, extent.records), (ends[3], ends[2], 3));
        assert_eq!(extent.damaged_bytes, ends[1] - ends[0]);
        // In the last commit: nothing says so.
        storage.flip_bit(&path, ends[2] + 20, 1);
        let extent = whole(&LogSource::open(&*storage, "log").unwrap())[0];
        assert_eq!((extent.bytes, extent.certain), (ends[2], ends[1]));
    }

    #[test]
    fn a_segment_with_a_damaged_header_counts_if_it_has_entries() {
        let (storage, mut log) = log(1 << 20);
        log.append(EntryKind::Record, 0, b"a record").unwrap();
        let end = log.commit().unwrap().0;
        let path = format!("log/{}", segment_name(0));
        storage.flip_bit(&path, 9, 1);
        let source = LogSource::open(&*storage, "log").unwrap();
        let extent = whole(&source)[0];
        assert_eq!((extent.bytes, extent.records, extent.damaged_bytes), (end, 1, 48));
        storage.set_content(&path, vec![0; 48]);
        assert!(LogSource::open(&*storage, "log").unwrap().segments().is_empty(), "one that is being made");
    }

    #[test]
    fn a_later_version_is_refused() {
        let (storage, log) = log(1 << 20);
        drop(log);
        let header = SegmentHeader { version: 2, log_id: [7; 16], start: 0 };
        storage.set_content("log/log.id", header.encode(HeaderOf::Identity).to_vec());
        let error = LogSource::open(&*storage, "log").unwrap_err();
        assert!(matches!(error, LogError::UnsupportedVersion { version: 2, .. }), "{error}");
    }
}
