//! The store in a real directory, with the disk engine: a damaged, deleted or half-deleted index, and a disk that
//! really fills up.
#![allow(clippy::unwrap_used)]

#[path = "support/model.rs"]
mod model;
#[path = "support/pool.rs"]
mod pool;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lf_store::storage::DiskStorage;
use lf_store::{IndexPlace, Store, StoreError, StoreOptions, tools};
use model::Model;
use pool::{Pool, Random, pool};

fn options(root: &Path, pool: &Pool) -> StoreOptions {
    let storage = Arc::new(DiskStorage::open(root).unwrap());
    let index = IndexPlace::Disk(root.join("index"));
    let mut options = StoreOptions::new(storage, index, pool.genesis.clone(), [5; 16]);
    options.free_bytes_min = 0;
    options
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, target).unwrap();
    }
}

/// Every file of the index in turn: deleted, emptied, cut, filled with garbage, one bit flipped.
#[test]
fn damaged_index_files() {
    let pool = pool(5, 40);
    let source = tempfile::tempdir().unwrap();
    let mut model = Model::new(&pool.genesis);
    let options_of = |root: &Path| options(root, &pool);
    let (mut store, _) = Store::open(options_of(source.path())).unwrap();
    for batch in pool.puts.chunks(9) {
        store.apply(batch, &[]).unwrap();
        batch.iter().for_each(|put| {
            model.put(put);
        });
    }
    store.close().unwrap();
    // Some of it in tables, some in the journal.
    let (before, after) = tools::compact(&options_of(source.path())).unwrap();
    assert!(before > 0 && after > 0);
    let report = tools::check(&options_of(source.path())).unwrap();
    assert!(report.is_sound() && report.compared, "{report:?}");
    let stats = tools::stats(&options_of(source.path())).unwrap();
    assert_eq!((stats.linked, stats.pending, stats.behind_bytes), (42, 0, 0));
    assert!(stats.checkpoint_bytes > 0 && stats.index_bytes > 0);

    let index_files: Vec<PathBuf> = files(&source.path().join("index"))
        .iter()
        .map(|f| f.strip_prefix(source.path()).unwrap().to_owned())
        .collect();
    let mut cases = 0;
    let random = &mut Random(3);
    for file in &index_files {
        for damage in ["deleted", "empty", "cut", "garbage", "bit", "bit", "bit"] {
            let directory = tempfile::tempdir().unwrap();
            copy(source.path(), directory.path());
            let path = directory.path().join(file);
            let mut content = std::fs::read(&path).unwrap();
            // Journals are made longer than what is in them.
            let used = content.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
            match damage {
                "deleted" => std::fs::remove_file(&path).unwrap(),
                "empty" => std::fs::write(&path, b"").unwrap(),
                "cut" => std::fs::write(&path, &content[..used / 2]).unwrap(),
                "garbage" => std::fs::write(&path, vec![0xa5; used.max(64)]).unwrap(),
                _ if used == 0 => continue,
                _ => {
                    content[random.below(used)] ^= 1 << random.below(8);
                    std::fs::write(&path, &content).unwrap();
                }
            }
            let name = format!("{} {damage}", file.display());
            let (mut store, _) = Store::open(options_of(directory.path()))
                .unwrap_or_else(|e| panic!("{name}: does not open: {e}"));
            // A damaged block is found when it is read; the writer then makes the index again.
            for put in &pool.puts {
                let view = store.reader().view();
                let _ = view.row_of(&put.record.hash()).map(|row| row.map(|row| view.reputation(&row)));
            }
            let _ = store.apply(&pool.puts[..1], &[]);
            store.mend().unwrap_or_else(|e| panic!("{name}: {e}"));
            model.check(&store.reader(), &name);
            cases += 1;
        }
    }
    // The whole directory: deleted, or a file in its place.
    for file in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        copy(source.path(), directory.path());
        std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        if file {
            std::fs::write(directory.path().join("index"), b"not a directory").unwrap();
        }
        let (store, report) = Store::open(options_of(directory.path())).unwrap();
        assert!(report.notes.iter().any(|n| n.contains("applied to the index again")), "{:?}", report.notes);
        model.check(&store.reader(), "no index");
        drop(store);
        let mut last = (0, 0);
        tools::rebuild(&options_of(directory.path()), &mut |done, all| last = (done, all)).unwrap();
        assert!(last.0 > 0 && last.0 == last.1);
        model.check(&Store::open(options_of(directory.path())).unwrap().0.reader(), "rebuilt");
    }
    println!("damaged index files: {cases} cases over {} files", index_files.len());
}

/// A mounted file system that is unmounted in the end.
#[cfg(target_os = "linux")]
struct Mounted(PathBuf);

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Needs root; without it the simulated disk of `crash.rs` has to do.
#[cfg(target_os = "linux")]
#[test]
fn disk_that_really_fills_up() {
    let directory = tempfile::tempdir().unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
        .arg(directory.path())
        .output();
    if !mount.is_ok_and(|m| m.status.success()) {
        println!("skipped: mounting a small file system needs root");
        return;
    }
    let mounted = Mounted(directory.path().to_owned());
    let pool = pool::plain(2, 3000);
    let options = options(&directory.path().join("store"), &pool);
    let filler = directory.path().join("filler");
    let (mut store, _) = Store::open(options.clone()).unwrap();
    let (mut acknowledged, mut refusals, mut fills) = (0, 0, 0);
    let random = &mut Random(1);
    while acknowledged < pool.puts.len() {
        if random.one_in(8) {
            // Fills the disk to the last bytes.
            let mut file = std::fs::File::create(&filler).unwrap();
            let keep = random.below(60_000) as u64;
            let free = lf_store::storage::Storage::free_bytes(options.storage.as_ref()).unwrap();
            let zeros = vec![1u8; 4096];
            for _ in 0..free.saturating_sub(keep) / 4096 {
                if std::io::Write::write_all(&mut file, &zeros).is_err() {
                    break;
                }
            }
            fills += 1;
        }
        let count = (1 + random.below(40)).min(pool.puts.len() - acknowledged);
        let batch = &pool.puts[acknowledged..acknowledged + count];
        match store.apply(batch, &[]) {
            Ok(_) => acknowledged += count,
            Err(e) => {
                refusals += 1;
                // The log says so itself; an index that stopped may say that instead.
                assert!(
                    matches!(e, StoreError::DiskFull { .. } | StoreError::Index(_)),
                    "a full disk is a clear error: {e:?}"
                );
                if random.one_in(2) {
                    let _ = std::fs::remove_file(&filler);
                    // With space again it goes on without being opened again.
                    store.apply(batch, &[]).unwrap_or_else(|e| panic!("after freeing: {e}"));
                    acknowledged += count;
                }
            }
        }
        if refusals > 0 && random.one_in(4) {
            let _ = std::fs::remove_file(&filler);
        }
    }
    assert!(refusals > 5, "{refusals} refusals");
    drop(store);
    let _ = std::fs::remove_file(&filler);
    let (store, _) = Store::open(options).unwrap();
    let totals = store.reader().view().totals().unwrap();
    assert_eq!((totals.linked as usize, totals.pending), (pool.puts.len() + 2, 0));
    drop(store);
    drop(mounted);
    println!("full disk: filled {fills} times, {refusals} batches refused, nothing lost");
}
