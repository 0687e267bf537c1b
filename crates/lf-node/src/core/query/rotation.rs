//! Who goes on as whom: owners who named a successor (`lf owner rotate`), and whether a query follows them.

use std::collections::HashMap;

use lf_proto::owner::OwnerPublic;
use lf_store::{IndexError, View};

use super::{Plan, Rules, SortOrder};

/// Steps that are followed from one owner to the next.
const STEPS_MAX: usize = 16;

/// Lines of owners, as one query follows them.
pub(super) struct Lineages<'a> {
    view: &'a View,
    rules: &'a Rules<'a>,
    /// Whether the client follows every statement; else only those among owners certified by one authority.
    all: bool,
    none: bool,
    known: HashMap<OwnerPublic, (OwnerPublic, usize)>,
}

impl<'a> Lineages<'a> {
    pub(super) fn new(plan: &Plan, view: &'a View, rules: &'a Rules<'a>) -> Self {
        // Which of two statements came first is this node's own experience.
        let none = plan.order == SortOrder::Deterministic;
        Lineages { view, rules, all: plan.follow_rotations, none, known: HashMap::new() }
    }

    /// The last owner of the line, and how many steps away it is: itself and 0 for most.
    pub(super) fn last(&mut self, owner: &OwnerPublic) -> Result<(OwnerPublic, usize), IndexError> {
        if self.none {
            return Ok((*owner, 0));
        }
        if let Some(known) = self.known.get(owner) {
            return Ok(*known);
        }
        let mut line = vec![*owner];
        while line.len() <= STEPS_MAX
            && let Some(next) = self.next(&line[line.len() - 1])?
        {
            if line.contains(&next) {
                // A circle has no last one: nobody in it is followed.
                line.truncate(1);
                break;
            }
            line.push(next);
        }
        let last = (line[line.len() - 1], line.len() - 1);
        self.known.insert(*owner, last);
        Ok(last)
    }

    fn next(&self, owner: &OwnerPublic) -> Result<Option<OwnerPublic>, IndexError> {
        let Some(successor) = self.view.successor(owner)? else { return Ok(None) };
        let certificates = self.rules.certificates;
        let follows =
            self.all || certificates.follows(owner, &successor.owner, successor.timestamp, successor.index);
        Ok(follows.then_some(successor.owner))
    }
}
