//! Answering what peers ask: pure functions of the question and what is stored. Nothing is remembered between questions,
//! so whoever asks pays for its own progress.

use std::collections::HashSet;

use lf_proto::hash::Hash;
use lf_store::{IndexError, View};

use super::ranges::{Bound, Ranges, Salt, ShortId, Span, Summary, short_id};
use super::wire::{Answer, Content, Difference, Part, Question, RecordsBuilder, Wanted};

/// A range with so many records or fewer is fetched, not cut further.
pub(super) const FETCH_RECORDS: u64 = 8;
/// Records in a part of a range that is cut, at least.
const PART_RECORDS_MIN: u64 = 4;
/// Ranges that the answer to a comparison describes, about.
const ANSWER_RANGES: u64 = 4_096;
/// Parts that a range is cut into, at most.
const PARTS_MAX: u64 = 64;
/// Records in the pieces that a large range is fetched in, about.
pub(super) const PIECE_RECORDS: u64 = 2_048;
/// Records that the answer to one question looks at, at most.
const ROWS_MAX: u64 = 20_000;

/// An answer's bytes, and what finding it cost: about one for each record looked at.
pub(super) struct Served {
    pub(super) bytes: Vec<u8>,
    pub(super) cost: u64,
}

/// Answers a question.
pub(super) fn serve(question: &Question, ranges: &Ranges, view: &View) -> Result<Served, IndexError> {
    match question {
        Question::Compare { salt, lower, parts } => compare(salt, *lower, parts, ranges, view),
        Question::Fetch { salt, ranges: wanted } => fetch(salt, wanted, ranges, view),
        Question::Records { hashes } => records(hashes, view),
        Question::Hint => Ok(Served { bytes: Answer::Noted.encode(), cost: 1 }),
    }
}

/// What a range's contents look like in a message.
pub(super) fn content(summary: &Summary, salt: &Salt) -> Content {
    let fingerprint = if summary.count == 0 { [0; 4] } else { summary.fingerprint(salt) };
    Content { count: summary.count, fingerprint }
}

fn compare(
    salt: &Salt,
    lower: Bound,
    parts: &[Part],
    ranges: &Ranges,
    view: &View,
) -> Result<Served, IndexError> {
    let bounds: Vec<Bound> = std::iter::once(lower).chain(parts.iter().map(|part| part.upper)).collect();
    let summaries = ranges.summaries(&bounds, view)?;
    let mut differing: Vec<(usize, Span, u64, u64)> = Vec::new();
    for (at, ((part, summary), lower)) in parts.iter().zip(&summaries).zip(&bounds).enumerate() {
        if let Some(theirs) = &part.content
            && content(summary, salt) != *theirs
        {
            differing.push((at, Span { lower: *lower, upper: part.upper }, summary.count, theirs.count));
        }
    }
    let parts_max = (ANSWER_RANGES / (differing.len() as u64).max(1)).clamp(PART_RECORDS_MIN, PARTS_MAX);
    let mut cost = 16 * parts.len() as u64;
    let mut answer = Vec::with_capacity(differing.len());
    let mut described = 0;
    for (at, span, ours, theirs) in differing {
        // A small part, and one that the asker has (nearly) nothing of.
        let fetch = ours <= FETCH_RECORDS || theirs <= FETCH_RECORDS && theirs < ours / 8;
        let pieces = if fetch { ours / PIECE_RECORDS } else { parts_max.min(ours / PART_RECORDS_MIN) };
        let cuts = cut(&span, ours, pieces.min(ANSWER_RANGES), ranges, view)?;
        described += cuts.len() as u64 + 1;
        if described > 2 * ANSWER_RANGES {
            break; // What is not said to differ now, the next comparison finds.
        }
        cost += 16 * (cuts.len() as u64 + 1);
        let difference = if fetch {
            Difference::Fetch { count: ours, marks: cuts }
        } else {
            Difference::Split(describe(&span, cuts, salt, ranges, view)?)
        };
        answer.push((at, difference));
    }
    let answer = Answer::Compared { total: ranges.count(), differing: answer };
    Ok(Served { bytes: answer.encode(), cost })
}

/// Cuts a range that has `count` records into about `parts` of equal size.
pub(super) fn cut(
    span: &Span,
    count: u64,
    parts: u64,
    ranges: &Ranges,
    view: &View,
) -> Result<Vec<Bound>, IndexError> {
    if parts < 2 {
        return Ok(Vec::new());
    }
    let first = ranges.rank(&span.lower, view)?;
    let mut cuts = ranges.split(first, first + count, parts, view)?;
    cuts.retain(|bound| span.lower < *bound && *bound < span.upper);
    Ok(cuts)
}

/// The parts of a range between cuts, as a message describes them.
pub(super) fn describe(
    span: &Span,
    cuts: Vec<Bound>,
    salt: &Salt,
    ranges: &Ranges,
    view: &View,
) -> Result<Vec<Part>, IndexError> {
    let mut bounds = vec![span.lower];
    bounds.extend(cuts);
    bounds.push(span.upper);
    let summaries = ranges.summaries(&bounds, view)?;
    let parts = summaries.iter().zip(&bounds[1..]);
    Ok(parts.map(|(s, upper)| Part { upper: *upper, content: Some(content(s, salt)) }).collect())
}

fn fetch(salt: &Salt, wanted: &[Wanted], ranges: &Ranges, view: &View) -> Result<Served, IndexError> {
    let mut records = RecordsBuilder::default();
    let (mut cost, mut lacking, mut complete, mut rest) = (0, 0, 0, None);
    'ranges: for range in wanted {
        let mut have: HashSet<&ShortId> = range.have.iter().collect();
        cost += 1;
        for index in ranges.indexes(&range.span, view)? {
            cost += 1;
            let Some(row) = view.row(index)? else { continue };
            let place = Bound::of(row.timestamp, &row.hash);
            if cost > ROWS_MAX {
                rest = Some(place);
                break 'ranges;
            }
            if have.remove(&short_id(salt, &row.hash)) {
                continue;
            }
            // One that is damaged on disk cannot be given; others have it.
            if let Some(bytes) = view.record_bytes(&row)
                && !records.push(&bytes)
            {
                rest = Some(place);
                break 'ranges;
            }
        }
        lacking += have.len() as u64;
        complete += 1;
    }
    Ok(Served { bytes: records.fetched(complete, rest.as_ref(), lacking), cost })
}

fn records(hashes: &[Hash], view: &View) -> Result<Served, IndexError> {
    let mut records = RecordsBuilder::default();
    for hash in hashes {
        if let Some(row) = view.row_of(hash)?
            && let Some(bytes) = view.record_bytes(&row)
            && !records.push(&bytes)
        {
            break;
        }
    }
    Ok(Served { bytes: records.records(), cost: hashes.len() as u64 })
}
