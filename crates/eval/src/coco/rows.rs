use labelloop_core::{DetectionRow, LabelRow};
use rayon::prelude::*;

use super::accumulate::{ClassBits, accumulate};
use super::kernel::{Bits, Matcher};
use super::line::Line;
use super::order::falling;
use super::{CocoParams, CocoResult, CocoValidParams};
use crate::{EvalError, Result};

/// Labels and detections of all pictures as two long tables, in any order of rows.
///
/// Pictures are numbered in the order in which detections of equal score are lined up (ids from small to large, for
/// pycocotools' numbers). Within a picture the order of rows decides between exact ties, as in [`crate::ImageCase`].
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Number of pictures, with or without rows.
    pub n_images: usize,
    /// Number of classes, numbered from 0.
    pub n_classes: usize,
    /// What people marked.
    pub labels: &'a [LabelRow],
    /// What the detector proposes.
    pub detections: &'a [DetectionRow],
}

/// [`super::evaluate`] on long tables: the shortest way from two files to COCO's arrays.
///
/// O(n log n) in rows, and O(detections x labels) within a picture and class. Beside the result it needs about 100
/// bytes for each row.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, DetectionRow, LabelRow};
/// use labelloop_eval::coco::{CocoParams, Rows, evaluate_rows};
///
/// let bbox = BBox::new(0.0, 0.0, 40.0, 40.0)?;
/// let labels = [LabelRow::new(0, ClassIdx(0), bbox), LabelRow::new(1, ClassIdx(0), bbox)];
/// let detections = [DetectionRow::new(1, ClassIdx(0), bbox, 0.9)?];
/// let rows = Rows { n_images: 2, n_classes: 1, labels: &labels, detections: &detections };
/// let result = evaluate_rows(&rows, &CocoParams::default())?;
/// assert_eq!(result.recall_at([0, 0, 0, 2]), Some(0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`CocoParams::check`]; [`EvalError::RowOutOfRange`] for a picture or class beyond the numbers given,
/// [`EvalError::TooManyRows`] for more than 2^32 rows.
pub fn evaluate_rows(rows: &Rows<'_>, params: &CocoParams) -> Result<CocoResult> {
    evaluate_valid(rows, &params.clone().check()?)
}

/// [`evaluate_rows`] after the check of the parameters.
pub(super) fn evaluate_valid(rows: &Rows<'_>, params: &CocoValidParams) -> Result<CocoResult> {
    rows.check()?;
    Ok(accumulate(classes(rows, params), params))
}

impl Rows<'_> {
    fn check(&self) -> Result<()> {
        for n in [self.labels.len(), self.detections.len(), self.n_images] {
            u32::try_from(n).map_err(|_| EvalError::TooManyRows { found: n })?;
        }
        let labels = || self.check_table("label", self.labels, |l| (l.image, l.class.0));
        let detections = || self.check_table("detection", self.detections, |d| (d.image, d.class.0));
        let (labels, detections) = rayon::join(labels, detections);
        labels.and(detections)
    }

    fn check_table<R>(
        &self,
        what: &'static str,
        rows: &[R],
        places: impl Fn(&R) -> (u32, u32),
    ) -> Result<()> {
        for (index, row) in rows.iter().enumerate() {
            let (image, class) = places(row);
            for (field, found, end) in [("image", image, self.n_images), ("class", class, self.n_classes)] {
                if end <= found as usize {
                    return Err(EvalError::RowOutOfRange { what, index, field, found, end });
                }
            }
        }
        Ok(())
    }
}

/// All classes, matched.
fn classes(rows: &Rows<'_>, params: &CocoValidParams) -> Vec<ClassBits> {
    let of_label = |i: usize| (rows.labels[i].image, rows.labels[i].class.0);
    let of_detection = |i: usize| (rows.detections[i].image, rows.detections[i].class.0);
    let (labels, detections) = rayon::join(
        || Sorted::new(rows, rows.labels.len(), of_label),
        || Sorted::new(rows, rows.detections.len(), of_detection),
    );
    let bits = Bits::new(params);
    let units: Vec<Vec<Unit<'_>>> = (0..rows.n_classes)
        .map(|class| Unit { rows, labels: labels.class(class), detections: detections.class(class) }.split())
        .collect();
    units
        .into_par_iter()
        .map(|units| {
            let parts: Vec<Line> =
                units.par_iter().map(|unit| unit.matched(&bits, params.most_detections())).collect();
            ClassBits::new(Line::joined(&parts, params.get().areas.len()), params)
        })
        .collect()
}

/// Rows by class, picture and place in their table.
struct Sorted {
    order: Vec<u32>,
    /// Where each class begins; one entry more than classes.
    starts: Vec<usize>,
}

impl Sorted {
    fn new(rows: &Rows<'_>, n: usize, image_and_class: impl Fn(usize) -> (u32, u32)) -> Self {
        let mut order: Vec<u32> = (0..n as u32).collect();
        let image = |i: u32| image_and_class(i as usize).0;
        if !order.is_sorted_by_key(|i| image(*i)) {
            order = counting_sort(&order, rows.n_images, image).0;
        }
        let (order, starts) = counting_sort(&order, rows.n_classes, |i| image_and_class(i as usize).1);
        Self { order, starts }
    }

    fn class(&self, class: usize) -> &[u32] {
        &self.order[self.starts[class]..self.starts[class + 1]]
    }
}

/// Stable; also gives where each key begins, and the end.
fn counting_sort(order: &[u32], n_keys: usize, key: impl Fn(u32) -> u32) -> (Vec<u32>, Vec<usize>) {
    let mut starts = vec![0; n_keys + 1];
    order.iter().for_each(|i| starts[key(*i) as usize + 1] += 1);
    for k in 1..=n_keys {
        starts[k] += starts[k - 1];
    }
    let (mut next, mut sorted) = (starts.clone(), vec![0; order.len()]);
    for i in order {
        let at = &mut next[key(*i) as usize];
        sorted[*at] = *i;
        *at += 1;
    }
    (sorted, starts)
}

/// Detections that are worth a unit of their own.
const UNIT: usize = 1 << 13;

/// Rows of one class in some pictures, sorted by picture.
#[derive(Clone, Copy)]
struct Unit<'a> {
    rows: &'a Rows<'a>,
    labels: &'a [u32],
    detections: &'a [u32],
}

/// A detection before its turn.
#[derive(Clone, Copy)]
struct Queued {
    /// Ascends where scores descend.
    key: u64,
    image: u32,
    row: u32,
}

impl<'a> Unit<'a> {
    /// Parts of about [`UNIT`] detections, each of whole pictures; every label is in one of them.
    fn split(mut self) -> Vec<Self> {
        let image_of = |i: &u32| self.rows.detections[*i as usize].image;
        let mut units = Vec::new();
        while let Some(last) = self.detections.get(UNIT) {
            let image = image_of(last);
            let (before, behind) =
                self.detections.split_at(self.detections.partition_point(|i| image_of(i) <= image));
            let is_before = |i: &u32| self.rows.labels[*i as usize].image <= image;
            let (labels_before, labels_behind) = self.labels.split_at(self.labels.partition_point(is_before));
            units.push(Self { labels: labels_before, detections: before, ..self });
            (self.labels, self.detections) = (labels_behind, behind);
        }
        units.push(self);
        units
    }

    /// Its detections with their flags, by picture and best score first within one.
    ///
    /// Rows lie far apart in their tables, so they are fetched in loops that do nothing else: then the waiting times
    /// overlap.
    fn matched(&self, bits: &Bits, most_detections: usize) -> Line {
        let labels: Vec<LabelRow> = self.labels.iter().map(|i| self.rows.labels[*i as usize]).collect();
        let mut queue: Vec<Queued> = self.detections.iter().map(|i| self.queued(*i)).collect();
        let mut matcher = Matcher::new(bits, labels.len());
        labels.iter().for_each(|label| matcher.push(label.bbox, label.area(), label.is_crowd));
        let mut line = Line { n_labels: matcher.n_counted(), ..Line::default() };
        let mut first = 0;
        for of_image in queue.chunk_by_mut(|a, b| a.image == b.image) {
            // Stable, so rows of a picture stay in their order among equals.
            of_image.sort_by_key(|queued| queued.key);
            let image = of_image[0].image;
            first += labels[first..].iter().take_while(|label| label.image < image).count();
            let n_labels = labels[first..].iter().take_while(|label| label.image == image).count();
            for (place, queued) in (0..).zip(of_image.iter().take(most_detections)) {
                let row = &self.rows.detections[queued.row as usize];
                matcher.assign(row.bbox, first..first + n_labels, &mut line.tp, &mut line.fp);
                line.push(row.score(), place, image);
            }
            first += n_labels;
        }
        line
    }

    fn queued(&self, row: u32) -> Queued {
        let detection = &self.rows.detections[row as usize];
        Queued { key: falling(detection.score()), image: detection.image, row }
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx};

    use super::*;

    fn label(image: u32, class: u32) -> LabelRow {
        LabelRow::new(image, ClassIdx(class), BBox::new(0.0, 0.0, 10.0, 10.0).unwrap())
    }

    fn detection(image: u32, score: f64) -> DetectionRow {
        let bbox = BBox::new(0.0, 0.0, 10.0, 10.0).unwrap();
        DetectionRow::new(image, ClassIdx(0), bbox, score).unwrap()
    }

    fn refused(labels: &[LabelRow], detections: &[DetectionRow]) -> String {
        let rows = Rows { n_images: 2, n_classes: 1, labels, detections };
        evaluate_rows(&rows, &CocoParams::default()).unwrap_err().to_string()
    }

    #[test]
    fn pictures_and_classes_beyond_the_numbers_are_refused() {
        let found = refused(&[label(1, 0), label(2, 0)], &[]);
        assert_eq!(found, "label 1: image 2, expected a number below 2");
        assert_eq!(refused(&[label(0, 1)], &[]), "label 0: class 1, expected a number below 1");
        assert_eq!(refused(&[], &[detection(7, 0.5)]), "detection 0: image 7, expected a number below 2");
    }

    #[test]
    fn no_rows_give_no_numbers() {
        for n_classes in [0, 2] {
            let rows = Rows { n_images: 0, n_classes, labels: &[], detections: &[] };
            let result = evaluate_rows(&rows, &CocoParams::default()).unwrap();
            assert_eq!(result.stats, [-1.0; 12]);
            assert_eq!(result.precision.len(), 10 * 101 * n_classes * 12);
            assert!(result.precision.iter().all(|p| *p == -1.0));
        }
    }

    #[test]
    fn the_order_of_pictures_in_a_table_is_of_no_matter() {
        let labels = [label(0, 0), label(1, 0), label(2, 0)];
        let detections = [detection(0, 0.5), detection(1, 0.75), detection(1, 0.5), detection(2, 0.0)];
        let of = |labels: &[LabelRow], detections: &[DetectionRow]| {
            let rows = Rows { n_images: 3, n_classes: 1, labels, detections };
            evaluate_rows(&rows, &CocoParams::default()).unwrap()
        };
        let (mut mixed_labels, mut mixed) = (labels, detections);
        mixed_labels.reverse();
        mixed.rotate_left(1);
        assert_eq!(of(&labels, &detections), of(&mixed_labels, &mixed));
    }

    #[test]
    fn a_negative_zero_score_ties_with_zero() {
        let with = |scores: [f64; 2]| {
            let detections = [detection(0, scores[0]), detection(1, scores[1])];
            let rows = Rows { n_images: 2, n_classes: 1, labels: &[label(1, 0)], detections: &detections };
            evaluate_rows(&rows, &CocoParams::default()).unwrap().precision
        };
        assert_eq!(with([0.0, 0.0]), with([-0.0, 0.0]));
        assert_eq!(with([0.0, 0.0]), with([0.0, -0.0]));
    }

    #[test]
    fn units_are_whole_pictures_and_hold_every_label() {
        let labels: Vec<LabelRow> = (0..90).map(|i| label(i, 0)).collect();
        // Pictures of 1000 detections, and some without any.
        let detections: Vec<DetectionRow> = (0..40_000).map(|i| detection(10 + i / 1000, 0.5)).collect();
        let rows = Rows { n_images: 90, n_classes: 1, labels: &labels, detections: &detections };
        let all = |n: usize| (0..n as u32).collect::<Vec<u32>>();
        let (all_labels, all_detections) = (all(90), all(40_000));
        let units = Unit { rows: &rows, labels: &all_labels, detections: &all_detections }.split();
        assert_eq!(
            units.iter().map(|u| u.detections.len()).collect::<Vec<_>>(),
            [9000, 9000, 9000, 9000, 4000]
        );
        assert_eq!(units.iter().map(|u| u.labels.len()).collect::<Vec<_>>(), [19, 9, 9, 9, 44]);
        // Matched by parts or at once, the numbers are the same.
        let params = CocoParams { max_dets: vec![1, 10, 900], ..CocoParams::default() }.check().unwrap();
        let bits = Bits::new(&params);
        let parts: Vec<Line> = units.iter().map(|unit| unit.matched(&bits, 900)).collect();
        let whole =
            Unit { rows: &rows, labels: &all_labels, detections: &all_detections }.matched(&bits, 900);
        let n_areas = params.get().areas.len();
        assert_eq!(Line::joined(&parts, n_areas), Line::joined(&[whole], n_areas));
    }

    #[test]
    fn limits_and_thresholds_of_ones_own_give_numbers() {
        let labels = [label(0, 0), label(1, 0)];
        let detections = [detection(0, 0.5), detection(1, 0.75), detection(1, 0.25)];
        let rows = Rows { n_images: 2, n_classes: 1, labels: &labels, detections: &detections };
        for max_dets in [vec![1], vec![50], vec![1, 2], vec![1, 2, 3, 400]] {
            let n_limits = max_dets.len();
            let params = CocoParams { max_dets, iou_thresholds: vec![0.3, 0.62], ..CocoParams::default() };
            let result = evaluate_rows(&rows, &params).unwrap();
            let known = [0, 3, 6, 7, 8, 9].map(|i| result.stats[i]);
            assert!(known.iter().all(|stat| 0.99 < *stat), "{known:?}");
            for limit in 0..n_limits {
                assert_eq!(result.ap_within(limit, Some(0.62), "all", None), result.map());
            }
            assert_eq!(result.ap_within(n_limits, None, "all", None), None);
        }
    }

    #[test]
    fn the_number_of_threads_is_of_no_matter() {
        let labels: Vec<LabelRow> = (0..200).map(|i| label(i % 31, i % 7)).collect();
        let detections: Vec<DetectionRow> =
            (0..400).map(|i| detection(i % 31, f64::from(i % 13) / 13.0)).collect();
        let rows = Rows { n_images: 31, n_classes: 7, labels: &labels, detections: &detections };
        let with = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| evaluate_rows(&rows, &CocoParams::default()).unwrap())
        };
        assert_eq!(with(1), with(3));
    }
}
