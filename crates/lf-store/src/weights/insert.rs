//! One insert as a sequence of bounded steps, so that a record with a huge cover (an attacker's: milliseconds) never
//! keeps queries waiting: the caller gives up its lock between steps.
//!
//! First the cover of the new record is computed, which changes nothing; then its score is added to the cover in one
//! go (nanoseconds an element), and the record exists. What may follow are the walks of a promotion and of pops,
//! each again read-only until it is applied in one go. So weights are exact between any two steps.

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
    contested: Option<(u32, u32)>,
    stage: Stage,
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
    /// Call [`Weights::insert_step`] again. The record may or may not exist yet: [`Weights::len`] tells.
    More,
    /// The record has this index, and all is done.
    Done(u32),
}

impl Weights {
    /// Begins to insert the next record; see [`insert`](Self::insert) for the arguments. There can be one insert at a
    /// time: beginning another one abandons this one, which leaves no trace if its record did not exist yet.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn begin_insert(
        &mut self,
        links: &[u32],
        score: u32,
        eligible: bool,
    ) -> Result<Insert, WeightsError> {
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
        self.walk.begin(index, links);
        let mut kept = [0; LINKS_MAX];
        kept[..links.len()].copy_from_slice(links);
        Ok(Insert {
            ticket: self.ticket,
            index,
            links: kept,
            links_len: links.len() as u8,
            score,
            eligible,
            contested: None,
            stage: Stage::Cover,
        })
    }

    /// Goes on with an insert, for about `work_max` queue operations (roughly 10 to 50 ns each). Until the step that
    /// makes [`len`](Self::len) grow, all weights are as before; from then on the record counts.
    ///
    /// One step may exceed `work_max` by one list of the forest and by applying one cover.
    ///
    /// # Errors
    /// [`WeightsError::Abandoned`] if another insert was begun since.
    pub fn insert_step(&mut self, insert: &mut Insert, work_max: u64) -> Result<Progress, WeightsError> {
        if insert.ticket != self.ticket {
            return Err(WeightsError::Abandoned);
        }
        let mut work = work_max.max(1);
        loop {
            if matches!(insert.stage, Stage::Done) {
                return Ok(Progress::Done(insert.index));
            }
            if !self.walk.run(&mut self.forest, &mut work) {
                return Ok(Progress::More);
            }
            self.advance(insert);
        }
    }

    /// Applies the walk that is complete, and begins the next one.
    fn advance(&mut self, insert: &mut Insert) {
        match std::mem::replace(&mut insert.stage, Stage::Done) {
            Stage::Cover => {
                let links = &insert.links[..insert.links_len as usize];
                let cover = self.walk.cover();
                let plan = self.chooser.apply(&mut self.forest, cover, links, insert.score, insert.eligible);
                insert.contested = plan.contested;
                match plan.promote {
                    Some(leaf) => {
                        self.begin_walk(leaf);
                        insert.stage = Stage::Promote(leaf);
                    }
                    None => insert.stage = self.begin_pops(insert),
                }
            }
            Stage::Promote(leaf) => {
                self.finish_promotion(leaf);
                insert.stage = self.begin_pops(insert);
            }
            Stage::Pop(mut slots) => {
                if let Some(slot) = slots.pop() {
                    self.finish_pop(slot);
                }
                insert.stage = self.next_pop(slots);
            }
            Stage::Done => {}
        }
    }

    /// The pops that the new record's cover asks for.
    fn begin_pops(&mut self, insert: &Insert) -> Stage {
        let slots = insert.contested.and_then(|contested| self.chooser.to_pop(&mut self.forest, contested));
        self.next_pop(slots.unwrap_or_default())
    }

    fn next_pop(&mut self, slots: Vec<u32>) -> Stage {
        match slots.last() {
            Some(&slot) => {
                self.begin_walk(self.forest.slots[slot as usize].record);
                Stage::Pop(slots)
            }
            None => Stage::Done,
        }
    }

    /// Begins to compute the cover of a record that exists.
    ///
    /// By its links also if it is promoted: nothing among its ancestors reaches back to it, so nothing skipped
    /// relies on its own list.
    fn begin_walk(&mut self, record: u32) {
        self.walk.begin(self.forest.len(), self.forest.links(record));
    }
}
