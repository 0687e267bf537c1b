//! Records that are signed as users' are: what verification is measured with.

use lf_proto::genesis::Genesis;
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};

use super::Synthetic;

/// Owners of signed records.
const OWNERS: u64 = 64;
/// Records made at once; they link to those made before.
const BATCH_RECORDS: u64 = 256;

/// Makes signed records of the network of [`Synthetic`]: P-224 owners, two selectors, three links, no work. The same ones
/// every time.
pub struct Signed {
    genesis: Genesis,
    owners: Vec<OwnerSecret>,
    previous: Vec<Hash>,
    names: u64,
    made: u64,
}

impl Default for Signed {
    fn default() -> Self {
        Self::with_names(1_000)
    }
}

impl Signed {
    /// With so many names, each with ordinals from 0 on.
    pub fn with_names(names: u64) -> Self {
        let genesis = Synthetic::new(0).genesis().clone();
        let owners = (0..OWNERS).map(|n| OwnerSecret::from_seed(OwnerType::P224, &n.to_be_bytes())).collect();
        let previous = vec![genesis.records()[0].hash()];
        Signed { genesis, owners, previous, names: names.max(1), made: 0 }
    }

    /// The network of the records.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The next records, some hundred, made on all cores, in a topological order.
    pub fn batch(&mut self) -> Vec<Record> {
        let numbers: Vec<u64> = (self.made..self.made + BATCH_RECORDS).collect();
        self.made += BATCH_RECORDS;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let records: Vec<Record> = std::thread::scope(|scope| {
            let this = &*self;
            let workers: Vec<_> = numbers
                .chunks(numbers.len().div_ceil(threads))
                .map(|part| {
                    scope.spawn(move || part.iter().filter_map(|n| this.record(*n)).collect::<Vec<_>>())
                })
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        self.previous = records.iter().map(Record::hash).collect();
        records
    }

    fn record(&self, n: u64) -> Option<Record> {
        let owner = self.owners.get((n % OWNERS) as usize)?;
        let count = self.previous.len() as u64;
        let mut links: Vec<Hash> =
            (0..3).filter_map(|i| self.previous.get(((n * 7 + i * 31) % count) as usize).copied()).collect();
        links.sort_unstable();
        links.dedup();
        let (name, group) = (format!("name {}", n % self.names), format!("group {}", n % OWNERS));
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value: format!("value {n}").as_bytes(),
            masking_key: None,
            selectors: &[(name.as_bytes(), n / self.names), (group.as_bytes(), n)],
            links: &links,
            timestamp: 1_700_000_000 + n,
            with_pulse_token: false,
        }
        .build(owner);
        Some(builder.ok()?.sign(owner, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_records_verify() {
        let mut signed = Signed::default();
        let first = signed.batch();
        let second = signed.batch();
        assert_eq!((first.len(), second.len()), (256, 256));
        let some: Vec<&Record> = first.iter().chain(&second).step_by(37).collect();
        assert!(lf_proto::record::verify_all(&some, true).iter().all(Result::is_ok));
        let hashes: Vec<Hash> = first.iter().map(Record::hash).collect();
        assert!(second.iter().all(|r| r.links().iter().all(|link| hashes.contains(link))));
    }
}
