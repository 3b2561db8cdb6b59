//! A simulated annotator: the given labels with human slips, so that a loop can run without people and QA has
//! something to find.

use labelloop_core::{BBox, ClassIdx, Cuboid, ImageSize, LabelledBox, LabelledCuboid, SampleId, Seed};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::config::within;

/// How often an annotator errs. All are shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorRates {
    /// Objects overlooked.
    pub miss: f64,
    /// Objects given another class.
    pub swap: f64,
    /// Boxes drawn where nothing is, per real object.
    pub spurious: f64,
    /// Standard deviation of each edge, as a share of the box's side.
    pub jitter: f64,
    /// Share by which both sides of every box are drawn too short.
    pub shrink: f64,
}

impl Default for ErrorRates {
    fn default() -> Self {
        Self { miss: 0.01, swap: 0.005, spurious: 0.005, jitter: 0.02, shrink: 0.0 }
    }
}

impl ErrorRates {
    /// An annotator who copies the given labels.
    pub const PERFECT: Self = Self { miss: 0.0, swap: 0.0, spurious: 0.0, jitter: 0.0, shrink: 0.0 };

    fn check(&self) -> Result<()> {
        within("annotator.miss", self.miss)?;
        within("annotator.swap", self.swap)?;
        within("annotator.spurious", self.spurious)?;
        within("annotator.jitter", self.jitter)?;
        within("annotator.shrink", self.shrink)
    }
}

/// `[annotator]`: the usual error rates, and those of a spell in which the team drifts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnotatorParams {
    /// Rates on a good day.
    pub rates: ErrorRates,
    /// A spell of bad labelling, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// A spell in which the team labels differently.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// First iteration of the spell.
    pub from_iteration: u32,
    /// First iteration after it.
    pub until_iteration: u32,
    /// Rates during the spell.
    pub rates: ErrorRates,
}

impl AnnotatorParams {
    /// # Errors
    /// [`crate::LoopError::Config`] naming the rate that is out of range.
    pub fn check(&self) -> Result<()> {
        self.rates.check()?;
        self.drift.map_or(Ok(()), |d| d.rates.check())
    }

    /// The rates in force in an iteration.
    pub fn rates_at(&self, iteration: u32) -> ErrorRates {
        match self.drift {
            Some(d) if (d.from_iteration..d.until_iteration).contains(&iteration) => d.rates,
            _ => self.rates,
        }
    }
}

/// Labels one picture: a function of the picture's name, its true labels, the rates and the seed.
///
/// Crowd regions are copied. Boxes are clipped to the picture; one that jitter leaves without area is kept as it was.
/// O(boxes).
pub fn label_picture(
    id: &SampleId,
    truth: &[LabelledBox],
    size: ImageSize,
    n_classes: usize,
    rates: ErrorRates,
    seed: Seed,
) -> Vec<LabelledBox> {
    let seed = seed.stream(id.as_str());
    let mut drawn = Vec::with_capacity(truth.len());
    for (i, object) in (0u64..).zip(truth) {
        let chance = seed.stream("object").stream(&i.to_string());
        if object.is_crowd {
            drawn.push(object.clone());
            continue;
        }
        if rates.spurious > chance.unit(0) {
            drawn.push(LabelledBox::new(object.class, stray(object.bbox, size, chance)));
        }
        let Some(class) = noticed(object.class, n_classes, rates, chance) else { continue };
        let bbox = redrawn(object.bbox, rates, chance).clipped(size).unwrap_or(object.bbox);
        drawn.push(LabelledBox { annotator: Some("simulated".to_owned()), ..LabelledBox::new(class, bbox) });
    }
    drawn
}

/// Labels one point cloud, as [`label_picture`]: the centre is off by `jitter` of the sides, each side by as much of
/// itself, the heading by `jitter` in radians; `shrink` shortens all three sides.
///
/// Cuboids are upright afterwards. O(cuboids).
pub fn label_scan(
    id: &SampleId,
    truth: &[LabelledCuboid],
    n_classes: usize,
    rates: ErrorRates,
    seed: Seed,
) -> Vec<LabelledCuboid> {
    let seed = seed.stream(id.as_str());
    let mut drawn = Vec::with_capacity(truth.len());
    for (i, object) in (0u64..).zip(truth) {
        let chance = seed.stream("object").stream(&i.to_string());
        if rates.spurious > chance.unit(0) {
            drawn.push(LabelledCuboid { cuboid: strayed(&object.cuboid, chance), ..object.clone() });
        }
        let Some(class) = noticed(object.class, n_classes, rates, chance) else { continue };
        let cuboid = remade(&object.cuboid, rates, chance);
        drawn.push(LabelledCuboid { class, cuboid, annotator: Some("simulated".to_owned()) });
    }
    drawn
}

fn remade(c: &Cuboid, rates: ErrorRates, chance: Seed) -> Cuboid {
    let off = |i: u64| chance.stream("cuboid").normal(i) * rates.jitter;
    let (centre, size) = (c.centre(), c.size());
    // No axis of a frame is known to be the length, so the mean side says how far off a hand is.
    let side = size.iter().sum::<f64>() / 3.0;
    let moved = [0, 1, 2].map(|i| centre[i] + off(i as u64) * side);
    let sized = [0, 1, 2].map(|i| size[i] * (1.0 - rates.shrink) * (1.0 + off(3 + i as u64)).max(0.1));
    Cuboid::new(moved, sized, c.yaw() + off(6), c.frame()).unwrap_or(*c)
}

/// A cuboid of the same size some metres away.
fn strayed(c: &Cuboid, chance: Seed) -> Cuboid {
    let place = chance.stream("stray");
    let [x, y, z] = c.centre();
    let away = [0, 1].map(|i| 20.0 * (place.unit(i) - 0.5));
    Cuboid::new([x + away[0], y + away[1], z], c.size(), c.yaw(), c.frame()).unwrap_or(*c)
}

/// The class that an object is given, if it is seen at all.
fn noticed(class: ClassIdx, n_classes: usize, rates: ErrorRates, chance: Seed) -> Option<ClassIdx> {
    if rates.miss > chance.unit(1) {
        return None;
    }
    Some(if rates.swap > chance.unit(2) { other_class(class, n_classes, chance) } else { class })
}

fn other_class(class: ClassIdx, n_classes: usize, chance: Seed) -> ClassIdx {
    if n_classes < 2 {
        return class;
    }
    let step = 1 + chance.below(3, n_classes - 1);
    ClassIdx(((class.as_usize() + step) % n_classes) as u32)
}

fn redrawn(b: BBox, rates: ErrorRates, chance: Seed) -> BBox {
    let edge = |i: u64, side: f64| chance.stream("edge").normal(i) * rates.jitter * side;
    let (dw, dh) = (b.width() * rates.shrink / 2.0, b.height() * rates.shrink / 2.0);
    let left = b.x() + dw + edge(0, b.width());
    let top = b.y() + dh + edge(1, b.height());
    let right = b.right() - dw + edge(2, b.width());
    let bottom = b.bottom() - dh + edge(3, b.height());
    BBox::from_corners(left, top, right, bottom).unwrap_or(b)
}

/// A box of the same size somewhere else in the picture.
fn stray(b: BBox, size: ImageSize, chance: Seed) -> BBox {
    let place = chance.stream("stray");
    let x = place.unit(0) * (f64::from(size.width()) - b.width()).max(0.0);
    let y = place.unit(1) * (f64::from(size.height()) - b.height()).max(0.0);
    BBox::new(x, y, b.width(), b.height()).ok().and_then(|b| b.clipped(size)).unwrap_or(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(n: usize) -> Vec<LabelledBox> {
        (0..n)
            .map(|i| {
                LabelledBox::new(
                    ClassIdx((i % 3) as u32),
                    BBox::new(i as f64 % 50.0, 10.0, 20.0, 30.0).unwrap(),
                )
            })
            .collect()
    }

    fn label(truth: &[LabelledBox], rates: ErrorRates, seed: u64) -> Vec<LabelledBox> {
        let size = ImageSize::new(100, 100).unwrap();
        label_picture(&SampleId::new("a").unwrap(), truth, size, 3, rates, Seed::new(seed))
    }

    #[test]
    fn a_perfect_annotator_copies_boxes_and_classes() {
        let truth = truth(10);
        let drawn = label(&truth, ErrorRates::PERFECT, 1);
        assert_eq!(drawn.len(), 10);
        assert!(drawn.iter().zip(&truth).all(|(d, t)| d.bbox == t.bbox && d.class == t.class));
    }

    #[test]
    fn rates_show_in_the_counts() {
        let truth = truth(4000);
        let rates = ErrorRates { miss: 0.1, swap: 0.2, ..ErrorRates::PERFECT };
        let drawn = label(&truth, rates, 1);
        assert!((drawn.len() as f64 / 4000.0 - 0.9).abs() < 0.02, "{}", drawn.len());
        let extra = label(&truth, ErrorRates { spurious: 0.1, ..ErrorRates::PERFECT }, 1);
        assert!((extra.len() as f64 / 4000.0 - 1.1).abs() < 0.02, "{}", extra.len());
        let swapped = label(&truth, ErrorRates { swap: 1.0, ..ErrorRates::PERFECT }, 1);
        assert!(swapped.iter().zip(&truth).all(|(d, t)| d.class != t.class));
    }

    #[test]
    fn shrinking_shortens_both_sides() {
        let drawn = label(&truth(1), ErrorRates { shrink: 0.1, ..ErrorRates::PERFECT }, 1);
        assert!((drawn[0].bbox.width() - 18.0).abs() < 1e-9 && (drawn[0].bbox.height() - 27.0).abs() < 1e-9);
    }

    #[test]
    fn the_same_picture_is_labelled_the_same_way() {
        let truth = truth(50);
        assert_eq!(label(&truth, ErrorRates::default(), 5), label(&truth, ErrorRates::default(), 5));
        assert_ne!(label(&truth, ErrorRates::default(), 5), label(&truth, ErrorRates::default(), 6));
    }

    #[test]
    fn scans_are_labelled_with_the_same_slips() {
        let cuboid = |x: f64| {
            Cuboid::new([x, 5.0, 0.0], [4.0, 2.0, 1.5], 0.3, labelloop_core::CuboidFrame::Lidar).unwrap()
        };
        let truth: Vec<LabelledCuboid> = (0..2000)
            .map(|i| LabelledCuboid { class: ClassIdx(0), cuboid: cuboid(f64::from(i)), annotator: None })
            .collect();
        let label = |rates| label_scan(&SampleId::new("a").unwrap(), &truth, 3, rates, Seed::new(1));
        let exact = label(ErrorRates::PERFECT);
        assert!(exact.iter().zip(&truth).all(|(d, t)| d.cuboid == t.cuboid && d.class == t.class));
        let sloppy = label(ErrorRates { miss: 0.1, spurious: 0.05, shrink: 0.1, ..ErrorRates::PERFECT });
        assert!((sloppy.len() as f64 / 2000.0 - 0.95).abs() < 0.03, "{}", sloppy.len());
        let lengths = sloppy.iter().filter(|d| (d.cuboid.size()[0] - 3.6).abs() < 1e-9).count();
        assert!((lengths as f64 / 2000.0 - 0.9).abs() < 0.03, "drawn cuboids are shorter: {lengths}");
        let jittered = label(ErrorRates { jitter: 0.02, ..ErrorRates::PERFECT });
        let mean_shift =
            jittered.iter().zip(&truth).map(|(d, t)| (d.cuboid.centre()[0] - t.cuboid.centre()[0]).abs());
        let mean_shift = mean_shift.sum::<f64>() / 2000.0;
        assert!((0.03..0.05).contains(&mean_shift), "0.8 of two hundredths of 2.5 m: {mean_shift}");
    }

    #[test]
    fn one_class_cannot_be_swapped() {
        assert_eq!(other_class(ClassIdx(0), 1, Seed::new(1)), ClassIdx(0));
    }

    #[test]
    fn a_spell_of_drift_ends() {
        let bad = ErrorRates { swap: 0.3, ..ErrorRates::default() };
        let p = AnnotatorParams {
            drift: Some(Drift { from_iteration: 1, until_iteration: 2, rates: bad }),
            ..AnnotatorParams::default()
        };
        assert_eq!([0, 1, 2].map(|i| p.rates_at(i) == bad), [false, true, false]);
        let wrong = AnnotatorParams { rates: ErrorRates { miss: f64::NAN, ..bad }, drift: None };
        assert!(wrong.check().is_err());
    }
}
