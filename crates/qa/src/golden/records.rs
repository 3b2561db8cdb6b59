//! From boxes to numbers: one record per object, and per image the sums that the tests work on.

use labelloop_core::LabelledBox;

use super::statistic::N_STATISTICS;
use super::{GoldenImage, Statistic};
use crate::match_boxes;

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

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    Matched {
        same_class: bool,
        log_size: f64,
        iou_loss: f64,
        shift: [f64; 2],
    },
    Missed,
    Spurious,
    /// The image as a whole: it has objects; did it come back without any?
    Image {
        left_empty: bool,
    },
}

/// What became of one object (or image) in one round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record<'a> {
    pub(crate) outcome: Outcome,
    /// Class of the reference object, or of a spurious box; none for an image.
    pub(crate) class: Option<usize>,
    /// Area of the reference object, or of a spurious box; none for an image.
    pub(crate) area: Option<f64>,
    pub(crate) annotator: Option<&'a str>,
}

impl Record<'_> {
    /// What the record adds to a statistic.
    pub(crate) fn cell(&self, statistic: Statistic, small_area: f64) -> Cell {
        let is_small = self.area.is_some_and(|a| a < small_area);
        let count = |hit: bool| Cell { value: f64::from(u8::from(hit)), exposure: 1.0 };
        let measure = |value: f64| Cell { value, exposure: 1.0 };
        match (statistic, self.outcome) {
            (Statistic::LeftEmpty, Outcome::Image { left_empty }) => count(left_empty),
            (Statistic::LeftEmpty, _) | (_, Outcome::Image { .. }) => Cell::default(),
            (Statistic::Spurious, Outcome::Spurious) => Cell { value: 1.0, exposure: 0.0 },
            (Statistic::Spurious, _) => count(false),
            (_, Outcome::Spurious) => Cell::default(),
            (Statistic::Missed, outcome) => count(outcome == Outcome::Missed),
            (Statistic::MissedSmall, outcome) => count(outcome == Outcome::Missed && is_small),
            (_, Outcome::Missed) => Cell::default(),
            (Statistic::WrongClass, Outcome::Matched { same_class, .. }) => count(!same_class),
            (Statistic::LogSize, Outcome::Matched { log_size, .. }) => measure(log_size),
            (Statistic::IouLoss, Outcome::Matched { iou_loss, .. }) => measure(iou_loss),
            (Statistic::ShiftX, Outcome::Matched { shift, .. }) => measure(shift[0]),
            (Statistic::ShiftY, Outcome::Matched { shift, .. }) => measure(shift[1]),
        }
    }
}

/// All records of one image of one round.
pub(crate) fn image_records<'a>(
    reference: &GoldenImage<'a>,
    labelled: &GoldenImage<'a>,
    iou_threshold: f64,
) -> Vec<Record<'a>> {
    let matching = match_boxes(reference.boxes, labelled.boxes, iou_threshold);
    let of_image = image_annotator(labelled.boxes);
    let mut records = Vec::with_capacity(reference.boxes.len() + matching.unmatched_other.len() + 1);
    let record = |b: &LabelledBox, outcome, annotator| Record {
        outcome,
        class: Some(b.class.as_usize()),
        area: Some(b.effective_area()),
        annotator,
    };
    for (r, o, iou) in matching.pairs {
        let (a, b) = (&reference.boxes[r], &labelled.boxes[o]);
        records.push(record(a, matched(a, b, iou), b.annotator.as_deref().or(of_image)));
    }
    for r in matching.unmatched_reference {
        records.push(record(&reference.boxes[r], Outcome::Missed, of_image));
    }
    for o in matching.unmatched_other {
        let b = &labelled.boxes[o];
        records.push(record(b, Outcome::Spurious, b.annotator.as_deref().or(of_image)));
    }
    if reference.boxes.iter().any(|b| !b.is_crowd) {
        let outcome = Outcome::Image { left_empty: labelled.boxes.is_empty() };
        records.push(Record { outcome, class: None, area: None, annotator: of_image });
    }
    records
}

/// Both boxes have area, or they would not overlap.
fn matched(a: &LabelledBox, b: &LabelledBox, iou: f64) -> Outcome {
    let ((ax, ay), (bx, by)) = (a.bbox.centre(), b.bbox.centre());
    Outcome::Matched {
        same_class: a.class == b.class,
        log_size: 0.5 * (b.bbox.area() / a.bbox.area()).ln(),
        iou_loss: 1.0 - iou,
        shift: [(bx - ax) / a.bbox.width(), (by - ay) / a.bbox.height()],
    }
}

/// Who drew most boxes of an image answers for what is not there; the first by name among equals.
fn image_annotator(boxes: &[LabelledBox]) -> Option<&str> {
    let mut names: Vec<&str> = boxes.iter().filter_map(|b| b.annotator.as_deref()).collect();
    names.sort_unstable();
    let count = |name: &str| names.iter().filter(|n| **n == name).count();
    names.iter().copied().reduce(|best, name| if count(best) < count(name) { name } else { best })
}

/// Sums of an image by statistic.
pub(crate) fn image_cells(records: &[Record<'_>], small_area: f64) -> [Cell; N_STATISTICS] {
    let mut cells = [Cell::default(); N_STATISTICS];
    for record in records {
        for s in Statistic::ALL {
            cells[s as usize].add(record.cell(s, small_area));
        }
    }
    cells
}
