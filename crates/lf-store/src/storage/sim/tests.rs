#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;
use crate::storage::read_full_at;

fn fault(operation: Operation, after: u64, effect: FaultEffect) -> Fault {
    Fault { operation: Some(operation), after, times: 1, effect }
}

#[test]
fn what_is_synced_survives_every_crash() {
    for seed in 0..500 {
        let disk = SimStorage::new(seed);
        disk.create_directory("d").unwrap();
        disk.sync_directory("").unwrap();
        let file = disk.create("d/a").unwrap();
        file.write_all_at(&[1; 2000], 0).unwrap();
        file.sync().unwrap();
        disk.sync_directory("d").unwrap();
        file.write_all_at(&[2; 2000], 2000).unwrap();
        disk.create("d/b").unwrap();
        let after = disk.crash(seed);
        let content = after.content("d/a").unwrap();
        assert_eq!(content[..2000], [1; 2000]);
        assert!(content.len() <= 4000);
        assert!(file.length().is_err(), "the old disk is dead");
    }
}

#[test]
fn what_is_not_synced_is_there_whole_in_part_or_not_at_all() {
    let (mut lengths, mut torn, mut names, mut holes) = (BTreeSet::new(), false, BTreeSet::new(), false);
    for seed in 0..500 {
        let disk = SimStorage::new(seed);
        let file = disk.create("a").unwrap();
        disk.sync_directory("").unwrap();
        file.write_all_at(&[2; 5000], 0).unwrap();
        disk.rename("a", "b").unwrap();
        disk.create("c").unwrap();
        let after = disk.crash(seed);
        names.insert(after.list("").unwrap());
        let content = after.content("a").or_else(|| after.content("b")).unwrap();
        lengths.insert(content.len());
        torn |= !content.is_empty() && content.len() < 5000 && content.iter().all(|b| *b == 2);
        holes |= content.iter().position(|b| *b == 0) < content.iter().rposition(|b| *b == 2);
    }
    assert!(lengths.contains(&0) && lengths.contains(&5000) && torn && holes, "{lengths:?}");
    let all: BTreeSet<Vec<String>> = [vec!["a"], vec!["b"], vec!["a", "c"], vec!["b", "c"]]
        .map(|v| v.into_iter().map(str::to_owned).collect())
        .into();
    assert_eq!(names, all);
}

#[test]
fn a_failed_sync_is_not_made_good_by_a_later_one() {
    let mut lost = false;
    for seed in 0..100 {
        let disk = SimStorage::new(seed);
        let file = disk.create("a").unwrap();
        disk.sync_directory("").unwrap();
        file.write_all_at(&[1; 512], 0).unwrap();
        disk.inject(fault(Operation::Sync, 0, FaultEffect::Error(io::ErrorKind::Other)));
        assert!(file.sync().is_err());
        file.write_all_at(&[2; 512], 512).unwrap();
        file.sync().unwrap();
        let content = disk.crash(seed).content("a").unwrap();
        assert_eq!(content[512..], [2; 512], "the second sync holds");
        lost |= content[..512] != [1; 512];
    }
    assert!(lost);
}

#[test]
fn a_crash_keeps_a_synced_truncation() {
    for seed in 0..200 {
        let disk = SimStorage::new(seed);
        let file = disk.create("a").unwrap();
        disk.sync_directory("").unwrap();
        file.write_all_at(&[1; 3000], 0).unwrap();
        file.sync().unwrap();
        file.truncate(700).unwrap();
        if seed % 2 == 0 {
            file.sync().unwrap();
        }
        file.write_all_at(&[2; 3000], 700).unwrap();
        let content = disk.crash(seed).content("a").unwrap();
        assert_eq!(content[..700], [1; 700]);
        if seed % 2 == 0 {
            assert!(!content[700..].windows(8).any(|w| w == [1; 8]), "seed {seed}");
        }
    }
}

#[test]
fn the_disk_gets_full_and_free_again() {
    let disk = SimStorage::new(1);
    disk.set_capacity_bytes(Some(100));
    let file = disk.create("a").unwrap();
    file.write_all_at(&[1; 80], 0).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 20);
    assert_eq!(file.write_all_at(&[1; 50], 80).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.length().unwrap(), 100);
    file.truncate(80).unwrap();
    file.write_all_at(&[2; 40], 40).unwrap();
    assert_eq!(disk.used_bytes(), 80);
    disk.set_capacity_bytes(None);
    file.write_all_at(&[1; 50], 80).unwrap();
}

#[test]
fn faults_strike_where_ordered() {
    let disk = SimStorage::new(1);
    let file = disk.create("a").unwrap();
    disk.inject(fault(Operation::Write, 1, FaultEffect::Error(io::ErrorKind::Other)));
    file.write_all_at(&[1; 10], 0).unwrap();
    assert!(file.write_all_at(&[2; 10], 10).is_err());
    file.write_all_at(&[3; 2], 20).unwrap();
    assert_eq!(disk.content("a").unwrap(), [[1; 10].as_slice(), &[2; 5], &[0; 5], &[3; 2]].concat());
    assert_eq!(disk.operations(Some(Operation::Write)), 3);
    disk.inject(Fault { operation: None, after: 0, times: 1, effect: FaultEffect::PowerCut });
    assert!(disk.list("").is_err() && disk.is_dead() && disk.list("").is_err());
}

#[test]
fn short_reads_and_bad_sectors() {
    let disk = SimStorage::new(7);
    disk.set_content("a", (0..=255).collect());
    disk.set_short_reads(true);
    let file = disk.open("a").unwrap();
    let (mut buffer, mut short) = ([0u8; 256], false);
    for _ in 0..20 {
        short |= file.read_at(&mut buffer, 0).unwrap() < 256;
        assert_eq!(read_full_at(&*file, &mut buffer, 0).unwrap(), 256);
        assert!(buffer.iter().enumerate().all(|(i, b)| i == *b as usize));
    }
    assert!(short);
    disk.set_unreadable("a", 100..101);
    assert!(file.read_at(&mut buffer, 0).is_err());
    assert!(file.read_at(&mut buffer[..50], 0).is_ok());
    assert!(disk.flip_bit("a", 3, 0) && !disk.flip_bit("a", 256, 0));
    assert_eq!(disk.content("a").unwrap()[3], 2);
}
