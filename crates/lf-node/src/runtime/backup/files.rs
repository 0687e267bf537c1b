//! What a home has besides its store, and the copying of bytes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use lf_platform::{read_at, write_all_at};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_store::log::SourceSegment;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::{BackupError, failed};

/// A file of the home.
pub(super) struct HomeFile {
    pub(super) name: &'static str,
    pub(super) is_secret: bool,
}

/// The network; without the file it is the built-in one.
pub(super) const GENESIS: &str = "genesis.lf";
/// Who the node is.
pub(super) const IDENTITY: &str = "identity-secret.pem";
/// The owners' private keys, and whom commands ask.
pub(super) const CLIENT: &str = "client.json";

/// All that a backup has. Not the rest: `limbo.lf` and `bootstrap.lf` hold what nobody was told is kept, `acme/` what the
/// authority gives again, `node.log` what is for people.
pub(super) const ALL: &[HomeFile] = &[
    HomeFile { name: GENESIS, is_secret: false },
    HomeFile { name: IDENTITY, is_secret: true },
    HomeFile { name: "authtoken.secret", is_secret: true },
    HomeFile { name: CLIENT, is_secret: true },
    HomeFile { name: "peers.json", is_secret: false },
    HomeFile { name: "seeds", is_secret: false },
];

/// Larger files are not a home's.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 20;
/// Bytes read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Reads a file that may hold secrets; none if it is not there.
pub(super) fn read_whole(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, BackupError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("open", path)(e)),
    };
    let length = file.metadata().map_err(failed("read", path))?.len().min(FILE_BYTES_MAX);
    // All at once: a buffer that grows would leave parts of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed("read", path)(ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(bytes))
}

/// The network of genesis.lf's bytes, or the built-in one.
pub(super) fn genesis_of(bytes: Option<&[u8]>, directory: &Path) -> Result<GenesisParameters, BackupError> {
    let genesis = match bytes {
        None => crate::sol(),
        Some(bytes) => Genesis::parse(bytes)
            .map_err(|source| BackupError::Genesis { path: directory.join(GENESIS), source })?,
    };
    Ok(genesis.parameters().clone())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Goes through a segment, once.
pub(super) struct Copier<'a> {
    pub(super) segment: &'a SourceSegment,
    at: u64,
    hash: Sha256,
    progress: &'a mut dyn FnMut(u64),
    piece: Vec<u8>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(segment: &'a SourceSegment, progress: &'a mut dyn FnMut(u64)) -> Self {
        Copier { segment, at: 0, hash: Sha256::new(), progress, piece: Vec::new() }
    }

    /// The next piece, up to a byte of the file.
    fn next(&mut self, to: u64) -> Result<&[u8], BackupError> {
        let wanted = usize::try_from(to.saturating_sub(self.at)).unwrap_or(usize::MAX).min(PIECE_BYTES);
        self.piece.resize(wanted, 0);
        if self.segment.read_at(&mut self.piece, self.at)? < wanted {
            return Err(BackupError::Changed);
        }
        self.at += wanted as u64;
        (self.progress)(self.at);
        Ok(&self.piece)
    }

    /// Reads up to a byte of the file.
    pub(super) fn pass(&mut self, to: u64) -> Result<(), BackupError> {
        while self.at < to {
            self.next(to)?;
            self.hash.update(&self.piece);
        }
        Ok(())
    }

    /// Copies from here up to a byte of the file, to the same place in another.
    pub(super) fn copy(&mut self, to: u64, file: &File, path: &Path) -> Result<(), BackupError> {
        while self.at < to {
            let at = self.at;
            self.next(to)?;
            self.hash.update(&self.piece);
            write_all_at(file, &self.piece, at).map_err(failed("write", path))?;
        }
        Ok(())
    }

    /// The first byte below `to` in which a file differs, or ends.
    pub(super) fn differs(&mut self, path: &Path, to: u64) -> Result<Option<u64>, BackupError> {
        let file = File::open(path).map_err(failed("open", path))?;
        while self.at < to {
            let at = self.at;
            if self.segment.bytes < to {
                return Ok(Some(self.segment.bytes));
            }
            let ours = self.next(to)?;
            let mut theirs = vec![0; ours.len()];
            let got = read_full(&file, &mut theirs, at).map_err(failed("read", path))?;
            theirs.truncate(got);
            if ours != theirs {
                let same = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
                return Ok(Some(at + same as u64));
            }
        }
        Ok(None)
    }

    /// The digest of all that was gone through.
    pub(super) fn digest(&self) -> String {
        hex(&self.hash.clone().finalize())
    }
}

/// The digest of a file's first bytes; none if it has fewer. With a second file they are copied there.
pub(super) fn digest_of(
    path: &Path,
    bytes: u64,
    copy: Option<(&File, &Path)>,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<String>, BackupError> {
    let file = File::open(path).map_err(failed("open", path))?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < bytes {
        let wanted = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let piece = piece.get_mut(..wanted).unwrap_or_default();
        if read_full(&file, piece, at).map_err(failed("read", path))? < wanted {
            return Ok(None);
        }
        hash.update(&*piece);
        if let Some((to, to_path)) = copy {
            write_all_at(to, piece, at).map_err(failed("write", to_path))?;
        }
        at += wanted as u64;
        progress(wanted as u64);
    }
    Ok(Some(hex(&hash.finalize())))
}

fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        let rest = buffer.get_mut(done..).unwrap_or_default();
        match read_at(file, rest, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
