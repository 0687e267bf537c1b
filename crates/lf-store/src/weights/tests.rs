//! Weights against the naive walk, on thousands of small graphs with constants that promote and pop all the time.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/dag.rs"]
mod dag;

use std::collections::HashSet;

use self::dag::{ATTACKS, Attack, Dag, Naive, Random, Shape, generate, small};
use super::forest::{Adoption, Kind};
use super::policy::Policy;
use super::{CheckpointError, LINKS_MAX, NONE, Progress, Stats, Weights, WeightsError};

/// How many small graphs a property test takes; `LF_WEIGHTS_DAGS` for longer runs.
fn dags(default: usize) -> usize {
    std::env::var("LF_WEIGHTS_DAGS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Constants for graphs of a hundred records.
fn small_policy(random: &mut Random) -> Policy {
    Policy {
        roots_min: 1 + random.below(6),
        hits_min: random.below(4) as u8,
        age_min: random.below(20) as u32,
        age_per_lag: random.below(3) as u32,
        pops: !random.one_in(4),
        keep_percent: 20 + 20 * random.below(4) as u32,
    }
}

fn checkpoint(weights: &Weights) -> Vec<u8> {
    let mut bytes = Vec::new();
    weights.write_checkpoint(&mut bytes).unwrap();
    bytes
}

fn assert_weights(weights: &Weights, naive: &Naive, context: &dyn Fn() -> String) {
    assert_eq!(weights.len() as usize, naive.weights.len(), "{}", context());
    for (record, want) in naive.weights.iter().enumerate() {
        assert_eq!(weights.weight(record as u32), Some(*want), "record {record}, {}", context());
    }
    assert_eq!(weights.weight(weights.len()), None);
}

/// The property that makes everything exact: who hangs from a record is among its ancestors. And that what a
/// checkpoint is checked for really holds.
fn assert_forest(weights: &Weights) {
    let forest = &weights.forest;
    for (record, node) in forest.nodes.iter().enumerate() {
        let record = record as u32;
        assert_eq!(node.up == NONE, forest.live(node.up).is_none());
        if let Some((parent, _)) = forest.live(node.up) {
            let mut ancestors = HashSet::new();
            let mut open = forest.links(parent.record).to_vec();
            while let Some(ancestor) = open.pop() {
                if ancestors.insert(ancestor) {
                    open.extend_from_slice(forest.links(ancestor));
                }
            }
            assert!(
                ancestors.contains(&record),
                "{record} hangs from {}, which does not reach it",
                parent.record
            );
        }
        if node.kind == Kind::Promoted {
            let (slot, path) = forest.live(node.anchor_or_slot).unwrap();
            let top = forest.slots[*path.slots.last().unwrap() as usize].record;
            assert_eq!(slot.record, record);
            assert_eq!(path.up, forest.nodes[top as usize].up);
        }
    }
    let rests: usize = forest.slots.iter().map(|slot| slot.rest.len()).sum();
    assert_eq!(rests as u64, forest.rest_total);
    super::checkpoint::read(Policy::default(), &mut checkpoint(weights).as_slice()).unwrap();
}

/// Inserts step by step; until the record exists nothing may change that was there before.
fn insert_in_steps(
    weights: &mut Weights,
    dag: &Dag,
    record: usize,
    hint: bool,
    naive: &Naive,
    random: &mut Random,
) {
    let mut after = naive.clone();
    after.insert(dag.links(record), dag.score(record));
    if random.one_in(3) {
        // one that is given up before it has looked leaves no trace
        let mut abandoned = weights.begin_insert(dag.links(record), 999, hint).unwrap();
        let mut insert = weights.begin_insert(dag.links(record), dag.score(record), hint).unwrap();
        abandoned.look(weights);
        assert_eq!(weights.advance(&mut abandoned), Err(WeightsError::Abandoned));
        assert_eq!(weights.advance(&mut insert), Ok(Progress::More), "it has not looked");
        while weights.advance(&mut insert).unwrap() == Progress::More {
            insert.look(weights);
        }
        insert.look(weights);
        assert_eq!(weights.advance(&mut insert), Ok(Progress::Done(record as u32)), "asked once more");
        return;
    }
    let mut insert = weights.begin_insert(dag.links(record), dag.score(record), hint).unwrap();
    loop {
        let exists = weights.len() as usize > record;
        if !exists {
            assert_weights(weights, naive, &|| format!("while {record} is being inserted"));
            insert.look(weights);
            // Each weight may have the record's score already, if it is to have it; none may have anything else.
            for (other, (without, with)) in naive.weights.iter().zip(&after.weights).enumerate() {
                let weight = weights.weight(other as u32).unwrap();
                assert!(weight == *without || weight == *with, "{other} while {record} is being inserted");
            }
            assert_eq!(weights.begin_insert(&[], 1, true).err(), Some(WeightsError::Unfinished));
            assert!(weights.write_checkpoint(&mut Vec::new()).is_err());
        }
        insert.look(weights);
        let progress = weights.advance(&mut insert).unwrap();
        if exists {
            let own = weights.weight(record as u32);
            assert_eq!(own, Some(u128::from(dag.score(record))), "after {record} was applied");
        }
        if let Progress::Done(index) = progress {
            assert_eq!(index as usize, record);
            return;
        }
    }
}

#[test]
fn weights_equal_the_naive_walk() {
    let mut random = Random(1);
    let (mut compared, mut inserts, mut total) = (0usize, 0usize, Stats::default());
    let count = dags(3000);
    for case in 0..count {
        let mut dag = small(&mut random);
        if case % 2 == 0 {
            dag = dag.shuffled(&mut random).0;
        }
        let policy = small_policy(&mut random);
        let mut weights = Weights::with_policy(policy.clone());
        let mut naive = Naive::new();
        let random_hints = random.one_in(2);
        for record in 0..dag.len() {
            let hint = if random_hints { !random.one_in(3) } else { dag.eligible[record] };
            let index = weights.insert(dag.links(record), dag.score(record), hint).unwrap();
            assert_eq!(index as usize, record);
            assert_eq!(weights.links(index), Some(dag.links(record)));
            naive.insert(dag.links(record), dag.score(record));
            inserts += 1;
            if random.one_in(4) || record + 1 == dag.len() {
                assert_weights(&weights, &naive, &|| format!("graph {case}, after {record}, {policy:?}"));
                compared += record + 1;
            }
        }
        if case % 16 == 0 {
            assert_forest(&weights);
        }
        total.promotions += weights.stats().promotions;
        total.pops += weights.stats().pops;
    }
    println!("{count} graphs, {inserts} inserts, {compared} compared weights, {total:?}");
    assert!(total.promotions as usize > count, "{total:?}");
    assert!(total.pops as usize > count / 4, "{total:?}");
}

/// The cover of a record that exists, left in the walk.
fn walk(weights: &mut Weights, record: u32) {
    weights.walk.begin(&weights.forest, weights.forest.links(record));
    weights.walk.run(&weights.forest);
}

fn promote(weights: &mut Weights, leaf: u32, parent_eligible: bool, settled_before: u32) {
    walk(weights, leaf);
    weights.forest.promote(leaf, weights.walk.cover(), Adoption { parent_eligible, settled_before });
}

fn pop(weights: &mut Weights, record: u32) {
    walk(weights, record);
    let (slot, cover) = (weights.forest.nodes[record as usize].anchor_or_slot, weights.walk.cover().to_vec());
    weights.finish_pop(slot, &cover);
}

/// The policy hardly ever makes this state, so it is made by hand: expanding a popped record by its links would skip
/// a link that something else covers, whose own list counts on the popped record.
#[test]
fn popped_records_are_expanded_by_their_cover() {
    let mut weights = Weights::new();
    let z = weights.insert(&[], 1, false).unwrap();
    let w = weights.insert(&[z], 10, true).unwrap();
    let e = weights.insert(&[w], 100, false).unwrap();
    promote(&mut weights, e, false, 0); // takes z, not w
    let q = weights.insert(&[e], 1000, false).unwrap();
    promote(&mut weights, q, false, 0); // takes e
    let s = weights.insert(&[e], 10_000, true).unwrap();
    promote(&mut weights, s, true, 0); // takes w; e, with z below it, is in its rest
    pop(&mut weights, q);
    pop(&mut weights, e); // z hangs from nothing now, and s knows of it only through e
    let x = weights.insert(&[s], 100_000, true).unwrap();
    let got: Vec<u128> = [z, w, e, q, s, x].iter().map(|&record| weights.weight(record).unwrap()).collect();
    assert_eq!(got, [111_111, 111_110, 111_100, 1000, 110_000, 100_000]);
}

/// Exact for any forest: leaf roots promoted and forest roots popped at random, with any choice of children.
#[test]
fn any_promotions_and_pops_keep_weights_exact() {
    let mut random = Random(12);
    let mut changes = (0, 0);
    for case in 0..dags(1500) {
        let dag = small(&mut random);
        let mut weights = Weights::new();
        let mut naive = Naive::new();
        let often = 1 + random.below(4);
        for record in 0..dag.len() {
            weights.insert(dag.links(record), dag.score(record), !random.one_in(2)).unwrap();
            naive.insert(dag.links(record), dag.score(record));
            for _ in 0..random.below(3) {
                let any = random.below(record + 1) as u32;
                let node = &weights.forest.nodes[any as usize];
                if node.up != NONE || !random.one_in(often) {
                    continue;
                }
                match node.kind {
                    Kind::Leaf => {
                        promote(&mut weights, any, random.one_in(3), random.below(record + 1) as u32);
                        changes.0 += 1;
                    }
                    Kind::Promoted => {
                        pop(&mut weights, any);
                        changes.1 += 1;
                    }
                    Kind::Popped => {}
                }
            }
            if random.one_in(8) || record + 1 == dag.len() {
                assert_weights(&weights, &naive, &|| format!("graph {case}, after {record}"));
            }
        }
        if case % 16 == 0 {
            assert_forest(&weights);
        }
    }
    println!("{} promotions, {} pops", changes.0, changes.1);
    assert!(changes.0 > 10_000 && changes.1 > 1000, "{changes:?}");
}

#[test]
fn every_kind_of_graph_promotes_and_most_pop() {
    let mut random = Random(11);
    for attack in ATTACKS {
        for partitioned in [false, true] {
            let mut total = Stats::default();
            for case in 0..40 {
                let dag = generate(&Shape {
                    records: 150,
                    in_flight: case % 6,
                    links: 2 + case % 2,
                    attack,
                    attack_part: 0.3,
                    attackers_eligible: case % 3 == 0,
                    partitions: if partitioned { vec![(0.3, 0.6)] } else { Vec::new() },
                    burst: case % 4 == 0,
                    seed: random.next(),
                    ..Shape::default()
                });
                let policy = Policy { pops: true, roots_min: 3, ..small_policy(&mut random) };
                let mut weights = Weights::with_policy(policy);
                let mut naive = Naive::new();
                for record in 0..dag.len() {
                    weights.insert(dag.links(record), dag.score(record), dag.eligible[record]).unwrap();
                    naive.insert(dag.links(record), dag.score(record));
                }
                assert_weights(&weights, &naive, &|| format!("{attack:?}, case {case}"));
                total.promotions += weights.stats().promotions;
                total.pops += weights.stats().pops;
            }
            println!("{attack:?}, partitioned: {partitioned}: {total:?}");
            assert!(total.promotions > 0, "{attack:?}: no promotion");
            assert!(total.pops > 0 || attack == Attack::None, "{attack:?}: no pop");
        }
    }
}

#[test]
fn any_topological_order_gives_the_same_weights() {
    let mut random = Random(2);
    for case in 0..dags(300) {
        let dag = small(&mut random);
        let mut naive = Naive::new();
        (0..dag.len()).for_each(|record| naive.insert(dag.links(record), dag.score(record)));
        for _ in 0..3 {
            let (order, new_index) = dag.shuffled(&mut random);
            let mut weights = Weights::with_policy(small_policy(&mut random));
            for record in 0..order.len() {
                weights.insert(order.links(record), order.score(record), !random.one_in(5)).unwrap();
            }
            for (record, want) in naive.weights.iter().enumerate() {
                assert_eq!(weights.weight(new_index[record]), Some(*want), "graph {case}, record {record}");
            }
        }
    }
}

#[test]
fn steps_end_in_the_same_state_as_one_insert() {
    let mut random = Random(3);
    let mut total = Stats::default();
    for case in 0..dags(300) {
        let dag = small(&mut random);
        let policy = small_policy(&mut random);
        let mut whole = Weights::with_policy(policy.clone());
        let mut stepped = Weights::with_policy(policy);
        let mut naive = Naive::new();
        for record in 0..dag.len() {
            let hint = !random.one_in(4);
            whole.insert(dag.links(record), dag.score(record), hint).unwrap();
            insert_in_steps(&mut stepped, &dag, record, hint, &naive, &mut random);
            naive.insert(dag.links(record), dag.score(record));
        }
        assert_eq!(checkpoint(&whole), checkpoint(&stepped), "graph {case}");
        total.promotions += stepped.stats().promotions;
        total.pops += stepped.stats().pops;
    }
    assert!(total.promotions > 100 && total.pops > 50, "{total:?}");
}

#[test]
fn a_restored_checkpoint_goes_on_like_the_original() {
    let mut random = Random(4);
    let mut total = Stats::default();
    for case in 0..dags(500) {
        let dag = small(&mut random);
        let policy = small_policy(&mut random);
        let mut original = Weights::with_policy(policy.clone());
        let mut restored = original.clone();
        let mut naive = Naive::new();
        for record in 0..dag.len() {
            if random.one_in(10) {
                let mut bytes = checkpoint(&restored);
                bytes.extend_from_slice(b"what follows");
                let mut input = bytes.as_slice();
                restored = Weights::read_checkpoint_with(policy.clone(), &mut input).unwrap();
                assert_eq!(input, b"what follows");
                assert_weights(&restored, &naive, &|| format!("graph {case}, restored at {record}"));
            }
            let hint = !random.one_in(4);
            original.insert(dag.links(record), dag.score(record), hint).unwrap();
            restored.insert(dag.links(record), dag.score(record), hint).unwrap();
            naive.insert(dag.links(record), dag.score(record));
        }
        assert_weights(&restored, &naive, &|| format!("graph {case}"));
        assert_eq!(checkpoint(&original), checkpoint(&restored), "graph {case}");
        assert_eq!(original.stats().promotions, restored.stats().promotions);
        total.promotions += restored.stats().promotions;
        total.pops += restored.stats().pops;
    }
    assert!(total.promotions > 100 && total.pops > 50, "{total:?}");
}

/// A state with promoted and popped records, and some paths.
fn eventful(policy: &Policy, records: usize) -> (Weights, Dag) {
    let dag = generate(&Shape {
        records,
        in_flight: 3,
        attack: Attack::Comb15,
        attack_part: 0.3,
        partitions: vec![(0.2, 0.5)],
        seed: 5,
        ..Shape::default()
    });
    let mut weights = Weights::with_policy(policy.clone());
    for record in 0..dag.len() {
        weights.insert(dag.links(record), dag.score(record), true).unwrap();
    }
    let stats = weights.stats();
    assert!(stats.promotions > stats.pops && stats.pops > 0, "{stats:?}");
    (weights, dag)
}

const EVENTFUL: Policy =
    Policy { roots_min: 2, hits_min: 1, age_min: 4, age_per_lag: 1, pops: true, keep_percent: 60 };

#[test]
fn damaged_checkpoints_are_refused() {
    let (weights, _) = eventful(&EVENTFUL, 60);
    let good = checkpoint(&weights);
    assert!(Weights::read_checkpoint(&mut good.as_slice()).is_ok());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Weights::read_checkpoint(&mut bad.as_slice()).is_err(), "bit {bit}");
    }
    for len in 0..good.len() {
        let error = Weights::read_checkpoint(&mut &good[..len]).err();
        assert!(matches!(error, Some(CheckpointError::Truncated)), "cut at {len}: {error:?}");
    }
}

#[test]
fn the_kinds_of_errors() {
    let good = checkpoint(&eventful(&EVENTFUL, 60).0);
    let error = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Weights::read_checkpoint(&mut bytes.as_slice()).err().unwrap()
    };
    assert!(matches!(error(&|bytes| bytes[0] = b'x'), CheckpointError::NotACheckpoint));
    assert!(matches!(error(&|bytes| bytes[8] = 2), CheckpointError::Version(2)));
    assert!(matches!(error(&|bytes| bytes[20] ^= 1), CheckpointError::Checksum));
    assert!(matches!(error(&|bytes| *bytes.last_mut().unwrap() ^= 1), CheckpointError::Checksum));
}

/// Length of the header without its checksum: see the table in `checkpoint`.
const HEADER_LEN: usize = 8 + 4 + 7 * 8 + 5 * 8 + 4 + 33 * 4;

/// Makes both checksums right again.
fn forge(bytes: &mut [u8]) {
    for end in [HEADER_LEN, bytes.len() - 4] {
        let checksum = crc32fast::hash(&bytes[..end]);
        bytes[end..end + 4].copy_from_slice(&checksum.to_le_bytes());
    }
}

#[test]
fn forged_checkpoints_neither_panic_nor_loop() {
    let (weights, dag) = eventful(&EVENTFUL, 90);
    let good = checkpoint(&weights);
    let mut random = Random(6);
    let (mut accepted, mut refused) = (0, 0);
    for case in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(3) {
            // the header, half of the time not
            let from = if random.one_in(2) { 12 } else { HEADER_LEN + 4 };
            let place = from + random.below(bytes.len() - from - 4);
            bytes[place] = match random.below(3) {
                0 => random.next() as u8,
                1 => bytes[place].wrapping_add(1),
                _ => bytes[place].wrapping_sub(1),
            };
        }
        forge(&mut bytes);
        let Ok(mut forged) = Weights::read_checkpoint_with(EVENTFUL, &mut bytes.as_slice()) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        // go on like the network does, with links all over the place
        let len = forged.len();
        for record in 0..if case % 8 == 0 { 300 } else { 40 } {
            let mut links: Vec<u32> =
                (0..1 + random.below(4)).map(|_| forged.len() - 1 - random.below(9) as u32).collect();
            if random.one_in(4) {
                links.push(random.below(len as usize) as u32);
            }
            links.sort_unstable();
            links.dedup();
            forged.insert(&links, record, !random.one_in(3)).unwrap();
        }
        for record in 0..forged.len() {
            assert!(forged.weight(record).is_some());
        }
        // and what was accepted can be written again
        assert!(!checkpoint(&forged).is_empty());
    }
    println!("{accepted} forgeries accepted, {refused} refused, of {} records", dag.len());
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}

/// Counts what is read from it.
struct Endless(usize);

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0 += buffer.len();
        buffer.fill(0);
        Ok(buffer.len())
    }
}

#[test]
fn a_header_that_promises_too_much_allocates_nothing() {
    use std::io::Read;
    let mut header = checkpoint(&Weights::new());
    header.truncate(HEADER_LEN + 4);
    let mut claim = |place: usize, value: u64| {
        header[12 + place * 8..20 + place * 8].copy_from_slice(&value.to_le_bytes());
        let checksum = crc32fast::hash(&header[..HEADER_LEN]);
        header[HEADER_LEN..].copy_from_slice(&checksum.to_le_bytes());
        header.clone()
    };
    claim(0, u64::from(u32::MAX));
    claim(1, u64::from(u32::MAX));
    claim(2, u64::from(u32::MAX));
    let bytes = claim(3, u64::MAX);
    let error = Weights::read_checkpoint(&mut bytes.as_slice()).err();
    assert!(matches!(error, Some(CheckpointError::Truncated)), "{error:?}");
    for (place, value) in [(0, u64::MAX), (1, u64::MAX), (2, u64::MAX), (4, u64::MAX), (6, u64::MAX)] {
        let mut header = checkpoint(&Weights::new());
        header[12 + place * 8..20 + place * 8].copy_from_slice(&value.to_le_bytes());
        let checksum = crc32fast::hash(&header[..HEADER_LEN]);
        header[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&checksum.to_le_bytes());
        header.truncate(HEADER_LEN + 4);
        let mut rest = Endless(0);
        let error = Weights::read_checkpoint(&mut header.as_slice().chain(&mut rest)).err();
        assert!(matches!(error, Some(CheckpointError::Inconsistent(_))), "{place}: {error:?}");
        assert_eq!(rest.0, 0, "count {place}");
    }
}

#[test]
fn bad_inserts_change_nothing() {
    let mut weights = Weights::new();
    assert!(weights.is_empty());
    assert_eq!(weights.insert(&[0], 1, true), Err(WeightsError::UnknownLink { link: 0, records: 0 }));
    for record in 0..20 {
        assert_eq!(weights.insert(&[], 1, true), Ok(record));
    }
    let before = checkpoint(&weights);
    assert_eq!(weights.insert(&[3, 3], 1, true), Err(WeightsError::UnsortedLink { link: 3 }));
    assert_eq!(weights.insert(&[5, 4], 1, true), Err(WeightsError::UnsortedLink { link: 4 }));
    assert_eq!(weights.insert(&[1, 20], 1, true), Err(WeightsError::UnknownLink { link: 20, records: 20 }));
    assert_eq!(weights.insert(&[NONE], 1, true), Err(WeightsError::UnknownLink { link: NONE, records: 20 }));
    let sixteen: Vec<u32> = (0..16).collect();
    assert_eq!(weights.insert(&sixteen, 1, true), Err(WeightsError::TooManyLinks { count: 16 }));
    assert_eq!(checkpoint(&weights), before);
    assert_eq!(weights.insert(&sixteen[..LINKS_MAX], 1, true), Ok(20));
    assert_eq!((weights.links(21), weights.weight(21)), (None, None));
}

#[test]
fn the_default_policy_bounds_memory_and_covers() {
    let dag = generate(&Shape { records: 30_000, in_flight: 10, links: 3, ..Shape::default() });
    let mut weights = Weights::new();
    let mut cover_len_max = 0;
    for record in 0..dag.len() {
        weights.insert(dag.links(record), dag.score(record), true).unwrap();
        cover_len_max = cover_len_max.max(weights.stats().cover_len);
    }
    let per_record = weights.memory_bytes() as f64 / dag.len() as f64;
    println!("cover at most {cover_len_max}, {per_record:.1} bytes a record, {:?}", weights.stats());
    assert!(cover_len_max < 1000, "{cover_len_max}");
    assert!(per_record < 12.0 * 1.125 + 45.0, "{per_record}");
    // every 1000th weight, by marking all that reach it
    for record in (0..dag.len()).step_by(1000) {
        let mut reaches = vec![false; dag.len()];
        reaches[record] = true;
        let mut want = u128::from(dag.score(record));
        for later in record + 1..dag.len() {
            if dag.links(later).iter().any(|&link| reaches[link as usize]) {
                reaches[later] = true;
                want += u128::from(dag.score(later));
            }
        }
        assert_eq!(weights.weight(record as u32), Some(want), "record {record}");
    }
}

#[test]
fn with_room_made_beside_readers_no_insert_moves_the_long_arrays() {
    let dag = generate(&Shape { records: 5_000, in_flight: 10, links: 3, ..Shape::default() });
    let (mut roomy, mut plain, mut rooms) = (Weights::new(), Weights::new(), 0);
    for record in 0..dag.len() {
        if !roomy.has_room() {
            let mut room = roomy.room();
            roomy.take_room(&mut room);
            assert!(roomy.has_room());
            rooms += 1;
        }
        let capacities =
            |weights: &Weights| (weights.forest.nodes.capacity(), weights.forest.links.capacity());
        let before = capacities(&roomy);
        roomy.insert(dag.links(record), dag.score(record), true).unwrap();
        plain.insert(dag.links(record), dag.score(record), true).unwrap();
        assert_eq!(capacities(&roomy), before, "record {record}");
    }
    assert!((20..200).contains(&rooms), "{rooms}");
    assert_eq!(checkpoint(&roomy), checkpoint(&plain));
}
