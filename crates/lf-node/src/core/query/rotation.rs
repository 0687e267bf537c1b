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
    /// The owners who come after each, in order.
    known: HashMap<OwnerPublic, Vec<OwnerPublic>>,
}

impl<'a> Lineages<'a> {
    pub(super) fn new(plan: &Plan, view: &'a View, rules: &'a Rules<'a>) -> Self {
        // Which of two statements came first is this node's own experience.
        let none = plan.order == SortOrder::Deterministic;
        Lineages { view, rules, all: plan.follow_rotations, none, known: HashMap::new() }
    }

    /// The last owner of the line, and how many steps away it is: itself and 0 for most.
    pub(super) fn last(&mut self, owner: &OwnerPublic) -> Result<(OwnerPublic, usize), IndexError> {
        let after = self.after(owner)?;
        Ok((*after.last().unwrap_or(owner), after.len()))
    }

    /// Whether `later` goes on for `owner`.
    pub(super) fn leads_to(&mut self, owner: &OwnerPublic, later: &OwnerPublic) -> Result<bool, IndexError> {
        Ok(self.after(owner)?.contains(later))
    }

    fn after(&mut self, owner: &OwnerPublic) -> Result<&[OwnerPublic], IndexError> {
        if !self.known.contains_key(owner) {
            let line = self.walk(owner)?;
            self.known.insert(*owner, line);
        }
        Ok(self.known.get(owner).map_or(&[], Vec::as_slice))
    }

    fn walk(&self, owner: &OwnerPublic) -> Result<Vec<OwnerPublic>, IndexError> {
        let mut after: Vec<OwnerPublic> = Vec::new();
        if self.none {
            return Ok(after);
        }
        while after.len() < STEPS_MAX
            && let Some(next) = self.next(after.last().unwrap_or(owner))?
        {
            if next == *owner || after.contains(&next) {
                // A circle has no last one: nobody in it is followed.
                return Ok(Vec::new());
            }
            after.push(next);
        }
        Ok(after)
    }

    fn next(&self, owner: &OwnerPublic) -> Result<Option<OwnerPublic>, IndexError> {
        let Some(successor) = self.view.successor(owner)? else { return Ok(None) };
        let certificates = self.rules.certificates;
        let follows =
            self.all || certificates.follows(owner, &successor.owner, successor.timestamp, successor.index);
        Ok(follows.then_some(successor.owner))
    }
}
