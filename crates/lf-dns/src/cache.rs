//! What the node said of names, bounded in number. An entry is fresh for a short time, in which the node is not asked again, and
//! then kept for the time that the node may be away.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::query::Known;
use crate::{DomainName, NameRecords};

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// So long nobody asks again.
    pub fresh: Duration,
    /// So long something is better than nothing.
    pub stale: Duration,
}

struct Entry {
    records: Arc<NameRecords>,
    /// When it was heard, and a number that makes that unique.
    heard: (Duration, u64),
}

/// The cache. Times are since any moment that stays the same.
pub struct Cache {
    lifetimes: Lifetimes,
    names_max: usize,
    entries: HashMap<DomainName, Entry>,
    /// Who was heard when: the first goes if there is no more room.
    by_age: BTreeMap<(Duration, u64), DomainName>,
    count: u64,
}

impl Cache {
    /// An empty cache for so many names.
    pub fn new(lifetimes: Lifetimes, names_max: usize) -> Self {
        Cache { lifetimes, names_max, entries: HashMap::new(), by_age: BTreeMap::new(), count: 0 }
    }

    /// What was heard of a name, if it is not too old to be of use at all.
    pub fn get(&self, name: &DomainName, now: Duration) -> Option<Known> {
        let entry = self.entries.get(name)?;
        let age = now.saturating_sub(entry.heard.0);
        if age <= self.lifetimes.fresh {
            Some(Known::Fresh(entry.records.clone()))
        } else if age <= self.lifetimes.stale {
            Some(Known::Stale(entry.records.clone()))
        } else {
            None
        }
    }

    /// Remembers what was heard of a name.
    pub fn put(&mut self, name: DomainName, records: Arc<NameRecords>, now: Duration) {
        self.count += 1;
        let heard = (now, self.count);
        if let Some(old) = self.entries.insert(name.clone(), Entry { records, heard }) {
            self.by_age.remove(&old.heard);
        }
        self.by_age.insert(heard, name);
        while self.entries.len() > self.names_max {
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn name(n: usize) -> DomainName {
        format!("n{n}.lf").parse().unwrap()
    }

    #[test]
    fn fresh_then_stale_then_gone() {
        let mut cache = Cache::new(Lifetimes { fresh: 5 * SECOND, stale: 100 * SECOND }, 10);
        cache.put(name(1), Arc::default(), SECOND);
        assert!(matches!(cache.get(&name(1), 6 * SECOND), Some(Known::Fresh(_))));
        assert!(matches!(cache.get(&name(1), 7 * SECOND), Some(Known::Stale(_))));
        assert!(cache.get(&name(1), 102 * SECOND).is_none());
        assert!(cache.get(&name(2), SECOND).is_none());
    }

    #[test]
    fn the_oldest_goes() {
        let mut cache = Cache::new(Lifetimes { fresh: SECOND, stale: 1000 * SECOND }, 3);
        for n in 0..3 {
            cache.put(name(n), Arc::default(), SECOND);
        }
        cache.put(name(0), Arc::default(), 2 * SECOND);
        cache.put(name(3), Arc::default(), 2 * SECOND);
        let there: Vec<_> = (0..4).filter(|n| cache.get(&name(*n), 2 * SECOND).is_some()).collect();
        assert_eq!(there, [0, 2, 3]);
        assert_eq!((cache.entries.len(), cache.by_age.len()), (3, 3));
    }
}
