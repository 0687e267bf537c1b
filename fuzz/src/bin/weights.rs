//! Weights: a graph drawn from the input against the plain walk, with a checkpoint in the middle; and junk checkpoints.
#![no_main]

use lf_store::weights::Weights;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Weights::read_checkpoint(&mut &data[..]);
    let mut weights = Weights::new();
    let mut graph: Vec<(Vec<u32>, u32)> = Vec::new();
    for (i, node) in data.chunks_exact(4).take(300).enumerate() {
        let count = graph.len() as u32;
        let mut links: Vec<u32> = node[..3].iter().filter(|_| count > 0).map(|b| count - 1 - u32::from(*b) % count).collect();
        links.sort_unstable();
        links.dedup();
        let score = u32::from(node[3]) << (node[0] % 25);
        weights.insert(&links, score, node[1] & 3 != 0).unwrap();
        graph.push((links, score));
        if i % 97 == 96 {
            let mut bytes = Vec::new();
            weights.write_checkpoint(&mut bytes).unwrap();
            weights = Weights::read_checkpoint(&mut &bytes[..]).unwrap();
        }
    }
    let mut expected = vec![0u128; graph.len()];
    for (from, (_, score)) in graph.iter().enumerate() {
        let (mut seen, mut stack) = (vec![false; graph.len()], vec![from as u32]);
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut seen[at as usize], true) {
                expected[at as usize] += u128::from(*score);
                stack.extend(&graph[at as usize].0);
            }
        }
    }
    for (index, weight) in expected.iter().enumerate() {
        assert_eq!(weights.weight(index as u32), Some(*weight));
    }
});
