//! One comparison with one peer, by us: it finds the ranges that differ, cuts them down, and lists what to fetch.
//!
//! A session only learns what is missing here. What the peer lacks it finds by its own session, which a hint can hasten.

use std::collections::{BTreeSet, VecDeque};

use lf_proto::hash::Hash;
use lf_store::{IndexError, View};

use super::ranges::{Bound, Ranges, Salt, Span, short_id};
use super::serve::{FETCH_RECORDS, content, cut};
use super::wire::{Difference, HAVE_MAX, Part, Question, RANGES_MAX, Wanted};

/// Ranges of the first question: the newest records in small ranges, older ones in ranges twice as large each.
const FIRST_RANGES: u32 = 16;
/// Records in the newest range of the first question, about.
const NEWEST_RECORDS: u64 = 64;
/// Parts that the ranges of a question are cut into, in all, about.
const QUESTION_RANGES: u64 = 8_192;
/// Parts that one range is cut into, at most.
const PARTS_MAX: u64 = 64;
/// Questions after which a comparison is given up: honest ones need five, however many records there are.
const ROUNDS_MAX: u32 = 12;
/// A range of which we have so many records or fewer is fetched, with a list of those.
const HAVE_FEW: u64 = 16;
/// Ranges in one question to fetch, at most.
const FETCH_RANGES_MAX: usize = 2_048;
/// Records that one question to fetch expects, about.
const FETCH_EXPECTED: u64 = 2_048;
/// Beyond so many missing records others help to fetch, and other comparisons wait.
pub(super) const BULK_RECORDS: u64 = 8_192;

/// In this time so many records must be new, or the comparison is given up: nobody may hold others up.
const PROGRESS_MS: u64 = 30_000;
const PROGRESS_RECORDS: u64 = 100;

/// What a peer did that no honest one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offence(pub(super) &'static str);

/// A range to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) span: Span,
    /// Records that the peer has in it.
    pub(super) expected: u64,
    /// Nobody else had them.
    pub(super) only_here: bool,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) salt: Salt,
    /// Ranges that differ and are to be cut.
    to_compare: Vec<Span>,
    /// The parts of the question that is out, with the number of records we had in each.
    asked: Option<Vec<(Span, Option<u64>)>>,
    pub(super) pieces: VecDeque<Piece>,
    /// Questions to fetch that are out, to whomever.
    pub(super) fetching: usize,
    /// Fetched records that are being checked.
    pub(super) checking: usize,
    rounds: u32,
    /// Records that pieces promised.
    pub(super) expected: u64,
    /// Of them, those that must be missing here, as the peer says it has more than we do.
    pub(super) promised: u64,
    /// Records that came, and those that were new.
    pub(super) fetched: u64,
    pub(super) new: u64,
    /// Those that are refused, for now at least.
    pub(super) refused: u64,
    /// The peer lacks something that we have.
    pub(super) lacking: bool,
    /// Something could not be fetched or stored.
    pub(super) failed: bool,
    /// When progress was looked at last, and how many records were new then.
    progress: (u64, u64),
}

impl Session {
    pub(super) fn new(salt: Salt, now_ms: u64) -> Self {
        Session {
            salt,
            to_compare: Vec::new(),
            asked: None,
            pieces: VecDeque::new(),
            fetching: 0,
            checking: 0,
            rounds: 0,
            expected: 0,
            fetched: 0,
            promised: 0,
            new: 0,
            refused: 0,
            lacking: false,
            failed: false,
            progress: (now_ms, 0),
        }
    }

    /// Whether too little came for too long. Comparing itself takes a few questions only.
    pub(super) fn is_stuck(&mut self, now_ms: u64) -> bool {
        let (since_ms, new) = self.progress;
        if now_ms.saturating_sub(since_ms) < PROGRESS_MS {
            return false;
        }
        let stuck = self.new < new + PROGRESS_RECORDS;
        self.progress = (now_ms, self.new);
        stuck
    }

    /// Records still to come, as far as the peer says.
    pub(super) fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.fetched)
    }

    pub(super) fn is_bulk(&self) -> bool {
        self.expected > BULK_RECORDS
    }

    /// Whether nothing is left to do.
    pub(super) fn is_done(&self) -> bool {
        self.rounds > 0
            && self.asked.is_none()
            && self.to_compare.is_empty()
            && self.pieces.is_empty()
            && self.fetching == 0
            && self.checking == 0
    }

    /// The next question to compare, if one is due. `jitter`: a random number, so that nobody can foresee bounds.
    pub(super) fn next_compare(
        &mut self,
        jitter: u64,
        ranges: &Ranges,
        view: &View,
    ) -> Result<Option<Question>, IndexError> {
        if self.asked.is_some() || (self.rounds > 0 && self.to_compare.is_empty()) {
            return Ok(None);
        }
        if self.rounds >= ROUNDS_MAX {
            self.to_compare.clear();
            self.failed = true;
            return Ok(None);
        }
        let bounds =
            if self.rounds == 0 { first_bounds(jitter, ranges, view)? } else { self.cut_all(ranges, view)? };
        self.rounds += 1;
        let places: Vec<Bound> = bounds.iter().map(|(bound, _)| *bound).collect();
        let summaries = ranges.summaries(&places, view)?;
        let (mut parts, mut asked) = (Vec::new(), Vec::new());
        for ((pair, summary), (_, compared)) in places.windows(2).zip(&summaries).zip(bounds.iter().skip(1)) {
            parts.push(Part { upper: pair[1], content: compared.then(|| content(summary, &self.salt)) });
            asked.push((Span { lower: pair[0], upper: pair[1] }, compared.then_some(summary.count)));
        }
        self.asked = Some(asked);
        let lower = places.first().copied().unwrap_or(Bound::START);
        Ok(Some(Question::Compare { salt: self.salt, lower, parts }))
    }

    /// The bounds of all parts of the ranges to compare; each with whether the part that it ends is to be compared.
    fn cut_all(&mut self, ranges: &Ranges, view: &View) -> Result<Vec<(Bound, bool)>, IndexError> {
        let mut spans = std::mem::take(&mut self.to_compare);
        spans.sort_unstable_by_key(|span| span.lower);
        let mut bounds: Vec<(Bound, bool)> = Vec::new();
        let parts_max = (QUESTION_RANGES / spans.len().max(1) as u64).clamp(2, PARTS_MAX);
        for span in &spans {
            if bounds.len() + 2 * PARTS_MAX as usize + 2 > RANGES_MAX {
                self.to_compare.push(*span); // Its turn comes with the next question.
                continue;
            }
            if bounds.last().is_none_or(|(last, _)| *last != span.lower) {
                bounds.push((span.lower, false));
            }
            let count = ranges.rank(&span.upper, view)?.saturating_sub(ranges.rank(&span.lower, view)?);
            let parts = parts_max.min(count / 4);
            bounds.extend(cut(span, count, parts, ranges, view)?.into_iter().map(|bound| (bound, true)));
            bounds.push((span.upper, true));
        }
        Ok(bounds)
    }

    /// Takes the answer to the question that is out.
    pub(super) fn compared(
        &mut self,
        differing: Vec<(usize, Difference)>,
        ranges: &Ranges,
        view: &View,
    ) -> Result<Result<(), Offence>, IndexError> {
        let Some(asked) = self.asked.take() else { return Ok(Ok(())) };
        for (at, difference) in differing {
            let Some((span, Some(ours))) = asked.get(at) else {
                return Ok(Err(Offence("it said that a range differs that it was not asked about")));
            };
            match difference {
                Difference::Split(parts) => {
                    let inside = parts.first().is_some_and(|part| part.upper > span.lower)
                        && parts.last().is_some_and(|part| part.upper == span.upper);
                    if !inside {
                        return Ok(Err(Offence("it cut a range into parts that are not the range")));
                    }
                    self.split(span, &parts, ranges, view)?;
                }
                Difference::Fetch { count: 0, .. } => self.lacking |= *ours > 0,
                Difference::Fetch { count, marks } => {
                    let inside = marks.first().is_none_or(|mark| *mark > span.lower)
                        && marks.last().is_none_or(|mark| *mark < span.upper);
                    if !inside || marks.len() as u64 >= count {
                        return Ok(Err(Offence("it marked pieces that are not of the range")));
                    }
                    if *ours > HAVE_MAX as u64 {
                        self.to_compare.push(*span);
                    } else {
                        self.lacking |= *ours > count;
                        self.promised = self.promised.saturating_add(count.saturating_sub(*ours));
                        self.add_pieces(span, count, &marks);
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    fn split(&mut self, span: &Span, parts: &[Part], ranges: &Ranges, view: &View) -> Result<(), IndexError> {
        let bounds: Vec<Bound> =
            std::iter::once(span.lower).chain(parts.iter().map(|part| part.upper)).collect();
        let summaries = ranges.summaries(&bounds, view)?;
        for ((part, summary), lower) in parts.iter().zip(&summaries).zip(&bounds) {
            let Some(theirs) = &part.content else { continue };
            if content(summary, &self.salt) == *theirs {
                continue;
            }
            let span = Span { lower: *lower, upper: part.upper };
            self.lacking |= summary.count > theirs.count;
            let have_few = summary.count <= HAVE_FEW
                || (summary.count <= HAVE_MAX as u64 && theirs.count <= FETCH_RECORDS);
            match (theirs.count, have_few) {
                (0, _) => {}
                (count, true) => {
                    self.promised = self.promised.saturating_add(count.saturating_sub(summary.count));
                    self.add_pieces(&span, count, &[]);
                }
                (_, false) => self.to_compare.push(span),
            }
        }
        Ok(())
    }

    fn add_pieces(&mut self, span: &Span, count: u64, marks: &[Bound]) {
        self.expected = self.expected.saturating_add(count);
        let each = count / (marks.len() as u64 + 1);
        let mut lower = span.lower;
        for upper in marks.iter().chain([&span.upper]) {
            let piece =
                Piece { span: Span { lower, upper: *upper }, expected: each.max(1), only_here: false };
            self.pieces.push_back(piece);
            lower = *upper;
        }
    }

    /// Puts pieces back that were not fetched whole.
    pub(super) fn return_pieces(&mut self, pieces: Vec<Piece>) {
        pieces.into_iter().rev().for_each(|piece| self.pieces.push_front(piece));
    }

    /// Takes the next pieces for one question. Only with what others may have, if `for_other`.
    pub(super) fn take_pieces(&mut self, for_other: bool) -> Vec<Piece> {
        if self.pieces.iter().zip(self.pieces.iter().skip(1)).any(|(a, b)| a.span.lower > b.span.lower) {
            self.pieces.make_contiguous().sort_by_key(|piece| piece.span.lower);
        }
        let (mut taken, mut expected): (Vec<Piece>, u64) = (Vec::new(), 0);
        while taken.len() < FETCH_RANGES_MAX
            && let Some(next) = self.pieces.front()
            && (taken.is_empty() || expected.saturating_add(next.expected) <= FETCH_EXPECTED)
            && !(for_other && next.only_here)
        {
            expected = expected.saturating_add(next.expected);
            taken.extend(self.pieces.pop_front());
        }
        taken
    }
}

/// The question that fetches pieces, and how many records it leaves out because they are in `limbo`.
pub(super) fn fetch_question(
    pieces: &[Piece],
    salt: &Salt,
    ranges: &Ranges,
    limbo: &BTreeSet<Bound>,
    view: &View,
) -> Result<(Question, u64), IndexError> {
    let mut wanted = Vec::with_capacity(pieces.len());
    let mut left_out = 0;
    for piece in pieces {
        let mut have = Vec::new();
        // More than it was when the piece was found only if they came meanwhile: those come twice.
        for index in ranges.indexes(&piece.span, view)?.take(HAVE_MAX) {
            have.push(short_id(salt, &view.linked_hash(index)?));
        }
        let waiting = limbo.range(piece.span.lower..).take_while(|place| piece.span.contains(place));
        for place in waiting.take(HAVE_MAX - have.len()) {
            have.push(short_id(salt, &Hash(place.hash)));
            left_out += 1;
        }
        wanted.push(Wanted { span: piece.span, have });
    }
    Ok((Question::Fetch { salt: *salt, ranges: wanted }, left_out))
}

/// The bounds of the first question, with whether the part that each ends is to be compared.
fn first_bounds(jitter: u64, ranges: &Ranges, view: &View) -> Result<Vec<(Bound, bool)>, IndexError> {
    let mut bounds = vec![(Bound::END, true)];
    let mut left = ranges.count();
    // Of a size that nobody can foresee, by up to a half.
    let mut size = NEWEST_RECORDS + jitter % (NEWEST_RECORDS / 2);
    for _ in 1..FIRST_RANGES {
        left = left.saturating_sub(size);
        if left == 0 {
            break;
        }
        size = size.saturating_mul(2);
        let at = ranges.place(left, view)?;
        if let Some(at) = at.filter(|at| bounds.last().is_some_and(|(last, _)| at < last)) {
            bounds.push((at, true));
        }
    }
    bounds.push((Bound::START, false));
    bounds.reverse();
    Ok(bounds)
}
