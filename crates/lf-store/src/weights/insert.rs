//! One insert as a sequence of steps, so that a record with a large cover (an attacker's: milliseconds) never keeps
//! queries waiting.
//!
//! First the cover of the new record is computed, and its score is added to most of it; then to the rest, and the record
//! exists. What may follow are the walks of a promotion and of pops, each read-only until it is applied in one go.
//! [`Insert::look`], nearly all of the time, only borrows the weights: whoever reads one meanwhile gets it exactly, with
//! the new record or without. [`Weights::advance`] has them for itself.

use std::sync::atomic::Ordering;

use super::cover::Walk;
use super::policy::Survey;
use super::{LINKS_MAX, NONE, Weights, WeightsError};

/// An insert in progress, see [`Weights::begin_insert`].
#[derive(Debug)]
#[must_use = "nothing is inserted until its steps are done"]
pub struct Insert {
    ticket: u64,
    index: u32,
    links: [u32; LINKS_MAX],
    links_len: u8,
    score: u32,
    eligible: bool,
    survey: Survey,
    contested: Option<(u32, u32)>,
    stage: Stage,
    /// Lent by the weights until all is done.
    walk: Walk,
}

impl Insert {
    /// Does what others may read weights beside, until it is [`Weights::advance`]'s turn. Takes 10 to 50 ns for each element
    /// of a cover. From the first time on the record counts here and there: the insert must be brought to its end.
    ///
    /// The weights must be those that this insert was begun with.
    pub fn look(&mut self, weights: &Weights) {
        // One that was abandoned, or has looked, or whose walk is back with the weights, has nothing to look for.
        if weights.ticket != self.ticket || self.walk.is_complete() || matches!(self.stage, Stage::Done) {
            return;
        }
        self.walk.run(&weights.forest);
        if matches!(self.stage, Stage::Cover) {
            weights.counting.store(true, Ordering::Relaxed);
            self.survey = weights.chooser.survey(&weights.forest, &self.walk, self.score, self.eligible);
        }
    }
}

/// Whose cover is being computed.
#[derive(Debug)]
enum Stage {
    /// The new record's.
    Cover,
    /// That of a leaf that is to be promoted.
    Promote(u32),
    /// That of the last of these slots, which are to be popped.
    Pop(Vec<u32>),
    /// None any more.
    Done,
}

/// How far an insert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Call [`Insert::look`] and [`Weights::advance`] again. The record may or may not exist yet: [`Weights::len`] tells.
    More,
    /// The record has this index, and all is done.
    Done(u32),
}

impl Weights {
    /// Begins to insert the next record; see [`insert`](Self::insert) for the arguments. There can be one insert at a
    /// time: beginning another one abandons this one.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and [`WeightsError::Unfinished`] if there is one that has looked: its record counts in
    /// some weights and not in others.
    pub fn begin_insert(
        &mut self,
        links: &[u32],
        score: u32,
        eligible: bool,
    ) -> Result<Insert, WeightsError> {
        if self.counting.load(Ordering::Relaxed) {
            return Err(WeightsError::Unfinished);
        }
        let index = self.len();
        if links.len() > LINKS_MAX {
            return Err(WeightsError::TooManyLinks { count: links.len() });
        }
        if let Some(pair) = links.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(WeightsError::UnsortedLink { link: pair[1] });
        }
        if let Some(&link) = links.last().filter(|&&link| link >= index) {
            return Err(WeightsError::UnknownLink { link, records: index });
        }
        if index == NONE || self.forest.links.len() + links.len() > u32::MAX as usize {
            return Err(WeightsError::Full);
        }
        self.ticket += 1;
        let mut walk = std::mem::take(&mut self.walk);
        walk.begin(&self.forest, links);
        let mut kept = [0; LINKS_MAX];
        kept[..links.len()].copy_from_slice(links);
        Ok(Insert {
            ticket: self.ticket,
            index,
            links: kept,
            links_len: links.len() as u8,
            score,
            eligible,
            survey: Survey::default(),
            contested: None,
            stage: Stage::Cover,
            walk,
        })
    }

    /// Applies what an insert has found (nothing, if it has not looked), and begins its next walk, if there is one. From the
    /// call that makes [`len`](Self::len) grow the record counts everywhere. Takes nanoseconds for each promoted element of
    /// its cover; for each element of all, if there is a promotion or a pop.
    ///
    /// # Errors
    /// [`WeightsError::Abandoned`] if another insert was begun since.
    pub fn advance(&mut self, insert: &mut Insert) -> Result<Progress, WeightsError> {
        if insert.ticket != self.ticket {
            return Err(WeightsError::Abandoned);
        }
        if !matches!(insert.stage, Stage::Done) && insert.walk.is_complete() {
            self.apply(insert);
            if matches!(insert.stage, Stage::Done) {
                self.walk = std::mem::take(&mut insert.walk);
            }
        }
        Ok(if matches!(insert.stage, Stage::Done) { Progress::Done(insert.index) } else { Progress::More })
    }

    /// Applies the walk that is complete, and begins the next one.
    fn apply(&mut self, insert: &mut Insert) {
        match std::mem::replace(&mut insert.stage, Stage::Done) {
            Stage::Cover => {
                let links = &insert.links[..insert.links_len as usize];
                let (survey, walk) = (std::mem::take(&mut insert.survey), &insert.walk);
                let (forest, score) = (&mut self.forest, insert.score);
                let plan = self.chooser.apply(forest, survey, walk, links, score, insert.eligible);
                self.counting.store(false, Ordering::Relaxed);
                insert.contested = plan.contested;
                match plan.promote {
                    Some(leaf) => {
                        self.begin_walk(&mut insert.walk, leaf);
                        insert.stage = Stage::Promote(leaf);
                    }
                    None => insert.stage = self.begin_pops(insert),
                }
            }
            Stage::Promote(leaf) => {
                self.chooser.promote(&mut self.forest, leaf, insert.walk.cover());
                insert.stage = self.begin_pops(insert);
            }
            Stage::Pop(mut slots) => {
                if let Some(slot) = slots.pop() {
                    self.finish_pop(slot, insert.walk.cover());
                }
                insert.stage = self.next_pop(&mut insert.walk, slots);
            }
            Stage::Done => {}
        }
    }

    /// The pops that the new record's cover asks for.
    fn begin_pops(&mut self, insert: &mut Insert) -> Stage {
        let slots = insert.contested.and_then(|contested| self.chooser.to_pop(&mut self.forest, contested));
        self.next_pop(&mut insert.walk, slots.unwrap_or_default())
    }

    fn next_pop(&self, walk: &mut Walk, slots: Vec<u32>) -> Stage {
        match slots.last() {
            Some(&slot) => {
                self.begin_walk(walk, self.forest.slots[slot as usize].record);
                Stage::Pop(slots)
            }
            None => Stage::Done,
        }
    }

    /// Begins to compute the cover of a record that exists.
    ///
    /// By its links also if it is promoted: nothing among its ancestors reaches back to it, so nothing skipped
    /// relies on its own list.
    fn begin_walk(&self, walk: &mut Walk, record: u32) {
        walk.begin(&self.forest, self.forest.links(record));
    }
}
