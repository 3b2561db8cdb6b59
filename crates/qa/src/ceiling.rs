use labelloop_core::ClassSchema;
use serde::{Deserialize, Serialize};

use crate::agreement::same_images;
use crate::{AgreementParams, AgreementValidParams, GoldenImage, Result, match_boxes};

/// The score that nobody can beat against labels made like these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseCeiling {
    /// `2 TP / (reference objects + boxes of the round)`: symmetric in the two.
    pub f1: Option<f64>,
    /// Bootstrap interval of `f1` over images.
    pub f1_interval: Option<[f64; 2]>,
    /// Mean over the classes of the reference of precision times recall: the area under the one step that a detector
    /// without scores draws, comparable with mAP at the same IoU.
    pub map: Option<f64>,
    /// Bootstrap interval of `map` over images.
    pub map_interval: Option<[f64; 2]>,
    /// One row per class, in the order of the schema.
    pub classes: Vec<ClassCeiling>,
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
}

/// Estimates the best F1 and mAP that any detector can show against labels made like those of this round.
///
/// A detector that answers with the truth, measured against labels of this quality, scores what the truth scores against
/// them; the carefully made reference stands in for the truth. So an F1 of 0.93 between reference and round says: once a
/// detector shows 0.93 against everyday labels, its remaining failures may all be label noise. Two everyday rounds
/// against each other give a lower number, as both err.
///
/// A pair agrees when the boxes are matched by place ([`match_boxes`]) and of one class. Intervals are percentile
/// bootstraps over images.
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
/// assert_eq!((c.f1, c.map), (Some(0.8), Some(2.0 / 3.0)));
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
        let (a, b) = same_images(reference, round, schema)?;
        let images: Vec<Counts> = a
            .values()
            .zip(b.values())
            .map(|(x, y)| counts(x, y, self.0.iou_threshold, schema.n_classes()))
            .collect();
        let all = total(images.iter(), schema.n_classes());
        let (mut f1s, mut maps) = (Vec::new(), Vec::new());
        for draw in 0..self.0.n_bootstrap {
            let first = (draw * images.len()) as u64;
            let pick = |i: usize| &images[self.0.seed.below(first + i as u64, images.len())];
            let sample = total((0..images.len()).map(pick), schema.n_classes());
            f1s.extend(f1(&sample));
            maps.extend(map(&sample));
        }
        let class = |(i, name): (usize, &String)| ClassCeiling {
            name: name.clone(),
            n_reference: all[i][0],
            n_round: all[i][1],
            n_agreed: all[i][2],
            f1: f1(&[all[i]]),
        };
        Ok(NoiseCeiling {
            f1: f1(&all),
            f1_interval: percentiles(f1s, self.0.coverage),
            map: map(&all),
            map_interval: percentiles(maps, self.0.coverage),
            classes: schema.names().iter().enumerate().map(class).collect(),
        })
    }
}

/// By class: objects of the reference, boxes of the round, pairs that agree.
type Counts = Vec<[usize; 3]>;

fn counts(a: &GoldenImage<'_>, b: &GoldenImage<'_>, iou_threshold: f64, n_classes: usize) -> Counts {
    let m = match_boxes(a.boxes, b.boxes, iou_threshold);
    let mut counts = vec![[0; 3]; n_classes];
    for &(i, j, _) in &m.pairs {
        let (x, y) = (a.boxes[i].class.as_usize(), b.boxes[j].class.as_usize());
        counts[x][0] += 1;
        counts[y][1] += 1;
        counts[x][2] += usize::from(x == y);
    }
    for i in m.unmatched_reference {
        counts[a.boxes[i].class.as_usize()][0] += 1;
    }
    for j in m.unmatched_other {
        counts[b.boxes[j].class.as_usize()][1] += 1;
    }
    counts
}

fn total<'a>(images: impl Iterator<Item = &'a Counts>, n_classes: usize) -> Counts {
    let mut total = vec![[0; 3]; n_classes];
    for image in images {
        for (t, c) in total.iter_mut().zip(image) {
            t.iter_mut().zip(c).for_each(|(t, c)| *t += c);
        }
    }
    total
}

fn f1(classes: &[[usize; 3]]) -> Option<f64> {
    let sum = |k: usize| classes.iter().map(|c| c[k]).sum::<usize>();
    let both = sum(0) + sum(1);
    (0 < both).then(|| 2.0 * sum(2) as f64 / both as f64)
}

fn map(classes: &[[usize; 3]]) -> Option<f64> {
    let areas: Vec<f64> = classes
        .iter()
        .filter(|c| 0 < c[0])
        .map(|&[reference, round, agreed]| (agreed * agreed) as f64 / (reference * round.max(1)) as f64)
        .collect();
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

fn percentiles(mut values: Vec<f64>, coverage: f64) -> Option<[f64; 2]> {
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
        assert_eq!((c.f1, c.map, c.f1_interval), (Some(1.0), Some(1.0), Some([1.0, 1.0])));
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
        assert_eq!(ceiling(&[0, 1], &[0]).map, Some(0.5));
    }
}
