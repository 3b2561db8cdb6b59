use labelloop_core::{ClassSchema, LabelledBox};
use serde::{Deserialize, Serialize};

use crate::agreement::same_images;
use crate::{AgreementParams, AgreementValidParams, GoldenImage, QaError, Result, Round, match_boxes};

/// IoU thresholds of COCO's mAP: .5, .55, ... .95.
const N_IOUS: usize = 10;

/// The scores that nobody can beat against labels made like these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseCeiling {
    /// `2 TP / (reference objects + boxes of the round)`: symmetric in the two.
    pub f1: Option<f64>,
    /// Bootstrap interval of `f1` over images.
    pub f1_interval: Option<[f64; 2]>,
    /// COCO mAP at IoU .50:.95.
    pub map: Option<MapCeiling>,
    /// COCO mAP at IoU .50.
    pub map50: Option<MapCeiling>,
    /// One row per class, in the order of the schema.
    pub classes: Vec<ClassCeiling>,
}

/// The average precision of a detector that answers with the truth, against labels that err.
///
/// It finds what is there, where it is; but which of its objects the labels lack it cannot know, and by how much it ranks
/// those behind the others decides its average precision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MapCeiling {
    /// Contested objects come first: precision times recall at each IoU.
    pub unranked: f64,
    /// Contested objects come last: recall at each IoU. No detector shows more.
    pub ranked: f64,
    /// From the lower bound of `unranked` to the upper bound of `ranked`, by bootstrap over images.
    pub interval: Option<[f64; 2]>,
}

/// The ceiling of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassCeiling {
    /// Name of the class.
    pub name: String,
    /// Objects of the reference.
    pub n_reference: usize,
    /// Boxes of the round.
    pub n_round: usize,
    /// Pairs at the same place and of this class on both sides.
    pub n_agreed: usize,
    /// `2 TP / (reference + round)`.
    pub f1: Option<f64>,
    /// AP at IoU .50:.95; without an interval.
    pub ap: Option<MapCeiling>,
    /// AP at IoU .50; without an interval.
    pub ap50: Option<MapCeiling>,
}

/// Estimates the best F1 and mAP that any detector can show against labels made like those of this round.
///
/// A detector that answers with the truth, measured against labels of this quality, scores what the truth scores against
/// them; the carefully made reference stands in for the truth. So an F1 of 0.93 between reference and round says: once a
/// detector shows 0.93 against everyday labels, its remaining failures may all be label noise. Two everyday rounds
/// against each other give a lower number, as both err.
///
/// For **F1** a pair agrees when the boxes are matched by place ([`match_boxes`]) at `iou_threshold` and of one class. For
/// **mAP** the reference's boxes are detections and the round's are labels, matched within each class by descending IoU;
/// precision and recall at IoU .50, .55, ... .95 give the average precision over COCO's 101 recalls of the worst and of the best
/// ranking. A detector that orders its objects by how well the labels will fit them is the best one at every IoU, and COCO's
/// evaluation of it gives `ranked`. Tschirschwitz and Rodehorst (2024, "Label Convergence") ask the same of several
/// annotators. Intervals are percentile bootstraps over images.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{AgreementParams, GoldenImage, noise_ceiling};
///
/// let (id, size) = (SampleId::new("a")?, ImageSize::new(64, 64)?);
/// let b = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 0.0, 10.0, 10.0).unwrap());
/// let (truth, round) = (vec![b(0.0), b(20.0), b(40.0)], vec![b(0.0), b(20.0)]);
/// let image = |boxes| GoldenImage { id: &id, size, boxes };
/// let c = noise_ceiling(
///     &[image(&truth)],
///     &[image(&round)],
///     &ClassSchema::new(["car"])?,
///     &AgreementParams::default(),
/// )?;
/// assert_eq!(c.f1, Some(0.8));
/// let map50 = c.map50.expect("there are labels");
/// assert_eq!((map50.unranked, map50.ranked), (2.0 / 3.0, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`QaError`](crate::QaError) for parameters out of range and for rounds of different images.
pub fn noise_ceiling(
    reference: &[GoldenImage<'_>],
    round: &[GoldenImage<'_>],
    schema: &ClassSchema,
    params: &AgreementParams,
) -> Result<NoiseCeiling> {
    params.check()?.noise_ceiling(reference, round, schema)
}

/// As [`noise_ceiling`], from several rounds of one team: their labels are pooled, and images are resampled with all of
/// their rounds.
///
/// # Errors
/// As [`noise_ceiling`]; [`QaError::NoImages`](crate::QaError::NoImages) without any round.
pub fn noise_ceiling_over(
    reference: &[GoldenImage<'_>],
    rounds: &[Round<'_>],
    schema: &ClassSchema,
    params: &AgreementParams,
) -> Result<NoiseCeiling> {
    params.check()?.noise_ceiling_over(reference, rounds, schema)
}

impl AgreementValidParams {
    /// [`noise_ceiling`] with checked parameters.
    ///
    /// # Errors
    /// As [`noise_ceiling`], but for the parameters.
    pub fn noise_ceiling(
        &self,
        reference: &[GoldenImage<'_>],
        round: &[GoldenImage<'_>],
        schema: &ClassSchema,
    ) -> Result<NoiseCeiling> {
        self.ceiling(reference, &[round], schema)
    }

    /// [`noise_ceiling_over`] with checked parameters.
    ///
    /// # Errors
    /// As [`noise_ceiling_over`], but for the parameters.
    pub fn noise_ceiling_over(
        &self,
        reference: &[GoldenImage<'_>],
        rounds: &[Round<'_>],
        schema: &ClassSchema,
    ) -> Result<NoiseCeiling> {
        if rounds.is_empty() {
            return Err(QaError::NoImages { round: "the list of rounds".to_owned() });
        }
        self.ceiling(reference, &rounds.iter().map(Vec::as_slice).collect::<Vec<_>>(), schema)
    }

    fn ceiling(
        &self,
        reference: &[GoldenImage<'_>],
        rounds: &[&[GoldenImage<'_>]],
        schema: &ClassSchema,
    ) -> Result<NoiseCeiling> {
        let n_classes = schema.n_classes();
        let mut images: Vec<Counts> = Vec::new();
        for round in rounds {
            let (a, b) = same_images(reference, round, schema)?;
            images.resize(a.len(), vec![Count::default(); n_classes]);
            for (image, (x, y)) in images.iter_mut().zip(a.values().zip(b.values())) {
                add(image, &counts(x, y, self.0.iou_threshold, n_classes));
            }
        }
        let all = total(images.iter(), n_classes);
        let (mut f1s, mut bounds) = (Vec::new(), [const { Vec::new() }; 4]);
        for draw in 0..self.0.n_bootstrap {
            let first = (draw * images.len()) as u64;
            let pick = |i: usize| &images[self.0.seed.below(first + i as u64, images.len())];
            let sample = total((0..images.len()).map(pick), n_classes);
            f1s.extend(f1(&sample));
            for (kept, m) in bounds.chunks_exact_mut(2).zip([map(&sample, N_IOUS), map(&sample, 1)]) {
                kept[0].extend(m.map(|m| m.unranked));
                kept[1].extend(m.map(|m| m.ranked));
            }
        }
        let [low, high, low50, high50] = bounds.map(|b| percentiles(b, self.0.coverage));
        let spanned = |m: Option<MapCeiling>, low: Option<[f64; 2]>, high: Option<[f64; 2]>| {
            m.map(|m| MapCeiling { interval: low.zip(high).map(|(a, b)| [a[0], b[1]]), ..m })
        };
        Ok(NoiseCeiling {
            f1: f1(&all),
            f1_interval: percentiles(f1s, self.0.coverage),
            map: spanned(map(&all, N_IOUS), low, high),
            map50: spanned(map(&all, 1), low50, high50),
            classes: schema.names().iter().zip(&all).map(|(name, c)| of_class(name, *c)).collect(),
        })
    }
}

fn of_class(name: &str, count: Count) -> ClassCeiling {
    ClassCeiling {
        name: name.to_owned(),
        n_reference: count.n_reference,
        n_round: count.n_round,
        n_agreed: count.n_agreed,
        f1: f1(&[count]),
        ap: map(&[count], N_IOUS),
        ap50: map(&[count], 1),
    }
}

/// Counts of one class.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    n_reference: usize,
    n_round: usize,
    n_agreed: usize,
    /// Reference boxes as detections, but for those in crowds of the round.
    n_detections: usize,
    /// Boxes of the round as labels.
    n_labels: usize,
    /// Labels found at each IoU.
    n_found: [usize; N_IOUS],
}

/// One for each class.
type Counts = Vec<Count>;

fn counts(a: &GoldenImage<'_>, b: &GoldenImage<'_>, iou_threshold: f64, n_classes: usize) -> Counts {
    let m = match_boxes(a.boxes, b.boxes, iou_threshold);
    let mut counts = vec![Count::default(); n_classes];
    for &(i, j, _) in &m.pairs {
        let (x, y) = (a.boxes[i].class.as_usize(), b.boxes[j].class.as_usize());
        counts[x].n_reference += 1;
        counts[y].n_round += 1;
        counts[x].n_agreed += usize::from(x == y);
    }
    for i in m.unmatched_reference {
        counts[a.boxes[i].class.as_usize()].n_reference += 1;
    }
    for j in m.unmatched_other {
        counts[b.boxes[j].class.as_usize()].n_round += 1;
    }
    for (class, count) in counts.iter_mut().enumerate() {
        as_detections(a, b, class, count);
    }
    counts
}

/// Adds the reference's boxes of a class as detections of the round's. Pairs taken by descending IoU are those of every
/// higher threshold as well.
fn as_detections(a: &GoldenImage<'_>, b: &GoldenImage<'_>, class: usize, count: &mut Count) {
    let of = |boxes: &[LabelledBox]| -> Vec<LabelledBox> {
        boxes.iter().filter(|b| b.class.as_usize() == class).cloned().collect()
    };
    let (detections, labels) = (of(a.boxes), of(b.boxes));
    let m = match_boxes(&labels, &detections, iou_of(0));
    count.n_labels += m.pairs.len() + m.unmatched_reference.len();
    count.n_detections += m.pairs.len() + m.unmatched_other.len();
    for (k, n) in count.n_found.iter_mut().enumerate() {
        *n += m.pairs.iter().filter(|p| iou_of(k) <= p.2).count();
    }
}

/// Threshold `k`, as pycocotools has it.
fn iou_of(k: usize) -> f64 {
    0.5 + (0.95 - 0.5) / 9.0 * k as f64
}

fn add(to: &mut Counts, counts: &Counts) {
    for (t, c) in to.iter_mut().zip(counts) {
        t.n_reference += c.n_reference;
        t.n_round += c.n_round;
        t.n_agreed += c.n_agreed;
        t.n_detections += c.n_detections;
        t.n_labels += c.n_labels;
        t.n_found.iter_mut().zip(c.n_found).for_each(|(t, c)| *t += c);
    }
}

fn total<'a>(images: impl Iterator<Item = &'a Counts>, n_classes: usize) -> Counts {
    let mut total = vec![Count::default(); n_classes];
    images.for_each(|image| add(&mut total, image));
    total
}

fn f1(classes: &[Count]) -> Option<f64> {
    let sum = |of: fn(&Count) -> usize| classes.iter().map(of).sum::<usize>();
    let both = sum(|c| c.n_reference) + sum(|c| c.n_round);
    (0 < both).then(|| 2.0 * sum(|c| c.n_agreed) as f64 / both as f64)
}

/// Mean over the classes that the round has, and over the first `n_ious` thresholds.
fn map(classes: &[Count], n_ious: usize) -> Option<MapCeiling> {
    let (mut unranked, mut ranked, mut n) = (0.0, 0.0, 0.0);
    for class in classes.iter().filter(|c| 0 < c.n_labels) {
        for &found in &class.n_found[..n_ious] {
            let reached = recalls(found as f64 / class.n_labels as f64);
            unranked += reached * found as f64 / class.n_detections.max(1) as f64;
            ranked += reached;
            n += 1.0;
        }
    }
    (0.0 < n).then(|| MapCeiling { unranked: unranked / n, ranked: ranked / n, interval: None })
}

/// The share of COCO's recalls 0, .01, ... 1 (to the last bit those of numpy's `linspace`) that are reached; none where nothing
/// was found.
fn recalls(recall: f64) -> f64 {
    if recall == 0.0 {
        return 0.0;
    }
    (0..=100).filter(|k| f64::from(*k) * 0.01 <= recall).count() as f64 / 101.0
}

pub(crate) fn percentiles(mut values: Vec<f64>, coverage: f64) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| values[(share * last as f64).round() as usize];
    Some([at((1.0 - coverage) / 2.0), at((1.0 + coverage) / 2.0)])
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId};

    use super::*;

    fn boxes(classes: &[u32]) -> Vec<LabelledBox> {
        let place = |(i, c): (usize, &u32)| {
            LabelledBox::new(ClassIdx(*c), BBox::new(i as f64 * 20.0, 0.0, 10.0, 10.0).unwrap())
        };
        classes.iter().enumerate().map(place).collect()
    }

    fn ceiling(reference: &[u32], round: &[u32]) -> NoiseCeiling {
        let (id, size) = (SampleId::new("a").unwrap(), ImageSize::new(900, 90).unwrap());
        let schema = ClassSchema::new(["car", "van"]).unwrap();
        let (a, b) = (boxes(reference), boxes(round));
        let image = |boxes| [GoldenImage { id: &id, size, boxes }];
        noise_ceiling(&image(&a), &image(&b), &schema, &AgreementParams::default()).unwrap()
    }

    #[test]
    fn perfect_labels_have_no_ceiling_below_one() {
        let c = ceiling(&[0, 1, 0], &[0, 1, 0]);
        assert_eq!((c.f1, c.f1_interval), (Some(1.0), Some([1.0, 1.0])));
        let perfect = MapCeiling { unranked: 1.0, ranked: 1.0, interval: Some([1.0, 1.0]) };
        assert_eq!((c.map, c.map50), (Some(perfect), Some(perfect)));
    }

    #[test]
    fn f1_is_symmetric() {
        assert_eq!(ceiling(&[0, 1, 0, 1], &[0, 0, 0]).f1, ceiling(&[0, 0, 0], &[0, 1, 0, 1]).f1);
    }

    #[test]
    fn nothing_against_nothing_has_no_number() {
        let c = ceiling(&[], &[]);
        assert_eq!((c.f1, c.map, c.f1_interval), (None, None, None));
    }

    #[test]
    fn a_class_nobody_found_counts_as_zero() {
        let map50 = ceiling(&[0, 1], &[0, 0]).map50.unwrap();
        assert_eq!((map50.unranked, map50.ranked), (51.0 / 101.0, 51.0 / 101.0));
        assert_eq!(ceiling(&[1], &[0]).map50.unwrap().ranked, 0.0);
    }

    #[test]
    fn contested_objects_cost_precision_unless_they_come_last() {
        let map50 = ceiling(&[0, 0, 0, 0], &[0, 0, 0]).map50.unwrap();
        assert_eq!((map50.unranked, map50.ranked), (0.75, 1.0));
    }

    #[test]
    fn several_rounds_are_pooled_and_none_is_refused() {
        let (id, size) = (SampleId::new("a").unwrap(), ImageSize::new(900, 90).unwrap());
        let schema = ClassSchema::new(["car", "van"]).unwrap();
        let (truth, one, two) = (boxes(&[0, 1]), boxes(&[0, 1]), boxes(&[0]));
        let image = |boxes| vec![GoldenImage { id: &id, size, boxes }];
        let params = AgreementParams::default();
        let c = noise_ceiling_over(&image(&truth), &[image(&one), image(&two)], &schema, &params).unwrap();
        assert_eq!(c.f1, Some(6.0 / 7.0));
        assert_eq!((c.classes[1].n_round, c.classes[1].ap50.unwrap().unranked), (1, 0.5));
        let none = noise_ceiling_over(&image(&truth), &[], &schema, &params);
        assert!(matches!(none, Err(QaError::NoImages { .. })));
    }
}
