//! From labels to numbers: one record per object, and per image or scan the sums that the tests work on.

use super::Statistic;
use super::item::Mark;
use crate::Matching;

/// A value and the number of things it is spread over.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cell {
    pub(crate) value: f64,
    pub(crate) exposure: f64,
}

impl Cell {
    pub(crate) fn add(&mut self, other: Cell) {
        self.value += other.value;
        self.exposure += other.exposure;
    }

    pub(crate) fn rate(self) -> Option<f64> {
        (0.0 < self.exposure).then(|| self.value / self.exposure)
    }
}

/// What a matched label of some geometry is measured by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Measures {
    Box {
        log_size: f64,
        iou_loss: f64,
        shift: [f64; 2],
    },
    Cuboid {
        is_flipped: bool,
        log_size: f64,
        size_loss: f64,
        shift: [f64; 3],
        along: f64,
        across: f64,
        distance: f64,
        yaw: f64,
    },
}

impl Measures {
    /// What it is in one statistic; none for those of other geometries.
    pub(crate) fn value(&self, statistic: Statistic) -> Option<f64> {
        Some(match (self, statistic) {
            (Self::Box { log_size, .. } | Self::Cuboid { log_size, .. }, Statistic::LogSize) => *log_size,
            (Self::Box { iou_loss, .. }, Statistic::IouLoss) => *iou_loss,
            (Self::Box { shift, .. }, Statistic::ShiftX) => shift[0],
            (Self::Box { shift, .. }, Statistic::ShiftY) => shift[1],
            (Self::Cuboid { is_flipped, .. }, Statistic::Flipped) => f64::from(u8::from(*is_flipped)),
            (Self::Cuboid { size_loss, .. }, Statistic::SizeLoss) => *size_loss,
            (Self::Cuboid { shift, .. }, Statistic::ShiftX) => shift[0],
            (Self::Cuboid { shift, .. }, Statistic::ShiftY) => shift[1],
            (Self::Cuboid { shift, .. }, Statistic::ShiftZ) => shift[2],
            (Self::Cuboid { along, .. }, Statistic::ShiftAlong) => *along,
            (Self::Cuboid { across, .. }, Statistic::ShiftAcross) => *across,
            (Self::Cuboid { distance, .. }, Statistic::Distance) => *distance,
            (Self::Cuboid { yaw, .. }, Statistic::Yaw) => *yaw,
            (Self::Cuboid { yaw, .. }, Statistic::YawError) => yaw.abs(),
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    Matched {
        same_class: bool,
        measures: Measures,
    },
    Missed,
    Spurious,
    /// The sample as a whole: it has objects; did it come back without any?
    Sample {
        left_empty: bool,
    },
}

/// In which band of size or range an object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Band {
    Size { name: &'static str, is_small: bool },
    Range(&'static str),
}

/// What became of one object (or sample) in one round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record<'a> {
    pub(crate) outcome: Outcome,
    /// Class of the reference object, or of a spurious label; none for a sample.
    pub(crate) class: Option<usize>,
    /// Band of the reference object, or of a spurious label; none for a sample.
    pub(crate) band: Option<Band>,
    pub(crate) annotator: Option<&'a str>,
}

impl Record<'_> {
    /// What the record adds to a statistic.
    pub(crate) fn cell(&self, statistic: Statistic) -> Cell {
        let is_small = matches!(self.band, Some(Band::Size { is_small: true, .. }));
        let count = |hit: bool| Cell { value: f64::from(u8::from(hit)), exposure: 1.0 };
        match (statistic, self.outcome) {
            (Statistic::LeftEmpty, Outcome::Sample { left_empty }) => count(left_empty),
            (Statistic::LeftEmpty, _) | (_, Outcome::Sample { .. }) => Cell::default(),
            (Statistic::Spurious, Outcome::Spurious) => Cell { value: 1.0, exposure: 0.0 },
            (Statistic::Spurious, _) => count(false),
            (_, Outcome::Spurious) => Cell::default(),
            (Statistic::Missed, outcome) => count(outcome == Outcome::Missed),
            (Statistic::MissedSmall, outcome) => count(outcome == Outcome::Missed && is_small),
            (_, Outcome::Missed) => Cell::default(),
            (Statistic::WrongClass, Outcome::Matched { same_class, .. }) => count(!same_class),
            (_, Outcome::Matched { measures, .. }) => {
                measures.value(statistic).map_or(Cell::default(), |value| Cell { value, exposure: 1.0 })
            }
        }
    }
}

/// All records of one sample of one round, once its labels are matched.
///
/// `measure` compares a label with its reference, given the overlap or distance of the match.
pub(crate) fn records_of<'a, M: Mark>(
    reference: &'a [M],
    labelled: &'a [M],
    matching: &Matching,
    measure: impl Fn(&M, &M, f64) -> Measures,
    band: impl Fn(&M) -> Band,
) -> Vec<Record<'a>> {
    records_by(reference, labelled, matching, measure, band, main_annotator(labelled))
}

/// As [`records_of`], where it is known who answered for the sample.
pub(crate) fn records_by<'a, M: Mark>(
    reference: &'a [M],
    labelled: &'a [M],
    matching: &Matching,
    measure: impl Fn(&M, &M, f64) -> Measures,
    band: impl Fn(&M) -> Band,
    of_sample: Option<&'a str>,
) -> Vec<Record<'a>> {
    let mut records = Vec::with_capacity(reference.len() + matching.unmatched_other.len() + 1);
    let record = |mark: &M, outcome, annotator| Record {
        outcome,
        class: Some(mark.class().as_usize()),
        band: Some(band(mark)),
        annotator,
    };
    for &(r, o, closeness) in &matching.pairs {
        let (a, b) = (&reference[r], &labelled[o]);
        let outcome =
            Outcome::Matched { same_class: a.class() == b.class(), measures: measure(a, b, closeness) };
        records.push(record(a, outcome, b.annotator().or(of_sample)));
    }
    for &r in &matching.unmatched_reference {
        records.push(record(&reference[r], Outcome::Missed, of_sample));
    }
    for &o in &matching.unmatched_other {
        let mark = &labelled[o];
        records.push(record(mark, Outcome::Spurious, mark.annotator().or(of_sample)));
    }
    if reference.iter().any(|mark| !mark.is_crowd()) {
        let outcome = Outcome::Sample { left_empty: labelled.is_empty() };
        records.push(Record { outcome, class: None, band: None, annotator: of_sample });
    }
    records
}

/// Who drew most labels of a sample answers for what is not there; the first by name among equals.
pub(crate) fn main_annotator<M: Mark>(marks: &[M]) -> Option<&str> {
    let mut names: Vec<&str> = marks.iter().filter_map(Mark::annotator).collect();
    names.sort_unstable();
    let count = |name: &str| names.iter().filter(|n| **n == name).count();
    names.iter().copied().reduce(|best, name| if count(best) < count(name) { name } else { best })
}

/// Sums of a sample by statistic.
pub(crate) fn cells<const N: usize>(records: &[Record<'_>], list: &[Statistic; N]) -> [Cell; N] {
    let mut cells = [Cell::default(); N];
    for record in records {
        for (cell, statistic) in cells.iter_mut().zip(list) {
            cell.add(record.cell(*statistic));
        }
    }
    cells
}
