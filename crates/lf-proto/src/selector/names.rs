//! The names that were used last, for whoever uses the same ones again and again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::SelectorName;
use crate::ordinal;

/// The names that were used last, with their keys and, once needed, their alphabets: up to 256 KB each. Bounded; usable
/// from any thread. As secret as the names: what is dropped is wiped.
pub struct SelectorNames {
    /// The one used last is the last.
    names: Mutex<Vec<Arc<SelectorName>>>,
    count_max: usize,
}

impl SelectorNames {
    /// Keeps up to `count_max` names.
    pub fn new(count_max: usize) -> Self {
        Self { names: Mutex::default(), count_max }
    }

    /// The name's key pair and ordinals, derived if it is not among those kept.
    pub fn get(&self, name: &[u8]) -> Arc<SelectorName> {
        let hash = ordinal::name_hash(name);
        if let Some(kept) = self.kept(&hash) {
            return kept;
        }
        // Others go on meanwhile.
        let derived = Arc::new(SelectorName::with_hash(name, hash));
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if self.count_max > 0 && !names.iter().any(|n| n.name_hash == derived.name_hash) {
            if names.len() >= self.count_max {
                names.remove(0);
            }
            names.push(Arc::clone(&derived));
        }
        derived
    }

    fn kept(&self, hash: &[u8; 64]) -> Option<Arc<SelectorName>> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let place = names.iter().rposition(|n| *n.name_hash == *hash)?;
        let name = names.remove(place);
        names.push(Arc::clone(&name));
        Some(name)
    }
}

impl fmt::Debug for SelectorNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectorNames").field("count_max", &self.count_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_used_last_are_kept() {
        let names = SelectorNames::new(2);
        let a = names.get(b"a");
        assert_eq!((a.id(), a.key(7)), (SelectorName::new(b"a").id(), SelectorName::new(b"a").key(7)));
        let b = names.get(b"b");
        assert!(Arc::ptr_eq(&a, &names.get(b"a")) && !Arc::ptr_eq(&a, &b));
        // a was used after b, so b goes.
        names.get(b"c");
        assert!(Arc::ptr_eq(&a, &names.get(b"a")));
        assert!(!Arc::ptr_eq(&b, &names.get(b"b")));
        let none = SelectorNames::new(0);
        assert!(!Arc::ptr_eq(&none.get(b"a"), &none.get(b"a")));
    }
}
