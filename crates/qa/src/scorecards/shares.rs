//! From reviews to numbers: what each person did in each picture, the unit that everything is compared by.

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{ClassSchema, SampleId};

use super::Review;
use crate::golden::{Band, Cell, check_same_items, main_annotator, measured, records_by, sorted_round};
use crate::{QaError, Result, Statistic, match_boxes};

/// What a scorecard shows, in this order.
pub(super) const LIST: [Statistic; 7] = [
    Statistic::Missed,
    Statistic::Spurious,
    Statistic::WrongClass,
    Statistic::LogSize,
    Statistic::IouLoss,
    Statistic::ShiftX,
    Statistic::ShiftY,
];
pub(super) const N: usize = LIST.len();

/// What one person answers for in one picture of one round.
pub(super) struct Share<'a> {
    pub(super) image: &'a SampleId,
    pub(super) annotator: &'a str,
    pub(super) cells: [Cell; N],
}

impl Share<'_> {
    /// Reference objects that the person answers for.
    pub(super) fn n_objects(&self) -> usize {
        self.cells[0].exposure as usize
    }
}

/// The shares in the order of picture, round and person, and how many reviews nobody answers for.
pub(super) fn shares<'a>(
    reviews: &[Review<'a>],
    schema: &ClassSchema,
    iou_threshold: f64,
) -> Result<(Vec<Share<'a>>, usize)> {
    let mut order: Vec<&Review<'a>> = reviews.iter().collect();
    order.sort_by(|a, b| a.key().cmp(&b.key()));
    let mut known = BTreeSet::new();
    let (mut shares, mut n_unsigned) = (Vec::new(), 0);
    for review in order {
        check(review, schema)?;
        if !known.insert(review.key()) {
            let (round, id) = (review.round.to_owned(), review.reference.id.clone());
            return Err(QaError::DuplicateImage { round, id });
        }
        let Some(of_picture) = review.annotator.or_else(|| main_annotator(review.labelled.boxes)) else {
            n_unsigned += 1;
            continue;
        };
        shares.extend(split(review, of_picture, iou_threshold));
    }
    Ok((shares, n_unsigned))
}

impl<'a> Review<'a> {
    fn key(&self) -> (&'a SampleId, &'a str, Option<&'a str>) {
        (self.reference.id, self.round, self.annotator)
    }
}

fn check(review: &Review<'_>, schema: &ClassSchema) -> Result<()> {
    let round = format!("round {}", review.round);
    let reference = sorted_round("the reference", std::slice::from_ref(&review.reference), schema)?;
    let labelled = sorted_round(&round, std::slice::from_ref(&review.labelled), schema)?;
    check_same_items(&round, &labelled, &reference)
}

/// One share for each person who drew in the picture or answers for it.
fn split<'a>(review: &Review<'a>, of_picture: &'a str, iou_threshold: f64) -> Vec<Share<'a>> {
    let (reference, labelled) = (review.reference.boxes, review.labelled.boxes);
    let matching = match_boxes(reference, labelled, iou_threshold);
    let records =
        records_by(reference, labelled, &matching, measured, |_| Band::Range("any"), Some(of_picture));
    let mut by_person: BTreeMap<&'a str, [Cell; N]> = BTreeMap::new();
    by_person.entry(of_picture).or_default();
    for record in records {
        let cells = by_person.entry(record.annotator.unwrap_or(of_picture)).or_default();
        for (cell, statistic) in cells.iter_mut().zip(LIST) {
            cell.add(record.cell(statistic));
        }
    }
    let share = |(annotator, cells)| Share { image: review.reference.id, annotator, cells };
    by_person.into_iter().map(share).collect()
}
