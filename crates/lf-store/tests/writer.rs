//! Group commit with the graph on a thread of its own: whoever is answered, reads what was stored.
#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use lf_store::selftest::{Synthetic, options};
use lf_store::{Put, PutOutcome, Store, Stored, WriterThread};

const RECORDS: usize = 3_000;

fn records() -> Vec<Put> {
    let mut synthetic = Synthetic::new(7);
    let mut records = Vec::new();
    while records.len() < RECORDS {
        records.extend(synthetic.batch(RECORDS - records.len()));
    }
    records
}

#[test]
fn whoever_is_answered_reads_what_was_stored() {
    let directory = tempfile::tempdir().unwrap();
    let synthetic = Synthetic::new(7);
    let (store, _) = Store::open(options(directory.path(), synthetic.genesis()).unwrap()).unwrap();
    let (reader, first) = (store.reader(), store.reader().view().linked());
    let told: Arc<Mutex<Vec<Range<u32>>>> = Arc::default();
    let thread = WriterThread::start(store, {
        let told = Arc::clone(&told);
        move |range| told.lock().unwrap().push(range)
    })
    .unwrap();
    let (sender, answers) = channel();
    for part in records().chunks(17) {
        let (reader, sender) = (reader.clone(), sender.clone());
        let puts = part.to_vec();
        thread.writer().submit(part.to_vec(), Vec::new(), move |answer| {
            let view = reader.view();
            let seen = puts.iter().zip(answer.unwrap().records).all(|(put, outcome)| {
                let PutOutcome::Stored(Stored::Linked(index)) = outcome else { return false };
                view.standing(&put.record.hash()).unwrap() == Some(Stored::Linked(index))
                    && view.weight(index) >= u128::from(put.record.score())
            });
            sender.send(seen).unwrap();
        });
    }
    drop(sender);
    let answers: Vec<bool> = answers.iter().collect();
    assert_eq!(answers, vec![true; RECORDS.div_ceil(17)]);
    thread.stop().unwrap();
    let told = told.lock().unwrap();
    assert!(told.windows(2).all(|pair| pair[0].end == pair[1].start), "in order, each once");
    assert_eq!(told.first().unwrap().start..told.last().unwrap().end, first..first + RECORDS as u32);

    // The same weights as without threads.
    let other = tempfile::tempdir().unwrap();
    let (mut plain, _) = Store::open(options(other.path(), synthetic.genesis()).unwrap()).unwrap();
    plain.apply(&records(), &[]).unwrap();
    let (threaded, plain) = (reader.view(), plain.reader().view());
    assert_eq!(threaded.linked(), plain.linked());
    assert!((0..plain.linked()).all(|index| threaded.weight(index) == plain.weight(index)));
}
