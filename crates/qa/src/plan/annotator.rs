use labelloop_core::{BBox, ClassIdx, LabelledBox, Seed};
use serde::{Deserialize, Serialize};

use crate::golden::require;
use crate::{GoldenImage, Result};

/// How people err who label boxes, before it is checked. The default is a team that works well.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId, Seed};
/// use labelloop_qa::{AnnotatorModel, GoldenImage};
///
/// let (id, size) = (SampleId::new("a")?, ImageSize::new(640, 480)?);
/// let truth = vec![LabelledBox::new(ClassIdx(0), BBox::new(100.0, 100.0, 80.0, 60.0)?)];
/// let image = GoldenImage { id: &id, size, boxes: &truth };
/// let careful = AnnotatorModel { miss: 0.0, spurious: 0.0, ..AnnotatorModel::default() }.check()?;
/// let drawn = careful.annotate(&image, 2, Seed::new(1));
/// assert!(0.6 < drawn[0].bbox.iou(truth[0].bbox) && drawn[0].bbox != truth[0].bbox);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnotatorModel {
    /// Share of medium and large objects missed.
    pub miss: f64,
    /// Share of small objects missed.
    pub miss_small: f64,
    /// Boxes without an object, per object.
    pub spurious: f64,
    /// Share of objects given another class.
    pub swap: f64,
    /// Share of images left empty.
    pub empty: f64,
    /// Factor on both sides of every box.
    pub scale: f64,
    /// Shift of every centre to the right and downwards, in sides of the box.
    pub shift: f64,
    /// Standard deviation of each edge, in sides of the box.
    pub jitter: f64,
    /// Standard deviation that is added to each edge, in pixels: small objects are harder to draw.
    pub jitter_px: f64,
    /// How unlike objects are: standard deviation of the log of a factor on the chance that an object is missed or
    /// confused. The factor belongs to the object and is the same in every round; its mean is 1.
    pub difficulty: f64,
    /// Objects below this area (square pixels) are small.
    pub small_area: f64,
}

impl Default for AnnotatorModel {
    fn default() -> Self {
        Self {
            miss: 0.01,
            miss_small: 0.04,
            spurious: 0.02,
            swap: 0.01,
            empty: 0.0,
            scale: 1.0,
            shift: 0.0,
            jitter: 0.03,
            jitter_px: 0.4,
            difficulty: 0.0,
            small_area: 1024.0,
        }
    }
}

/// A model within its ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnnotatorValidModel(AnnotatorModel);

impl AnnotatorModel {
    /// # Errors
    /// [`QaError::InvalidParam`](crate::QaError::InvalidParam) with the rate, its value and its range.
    pub fn check(&self) -> Result<AnnotatorValidModel> {
        for (name, share) in [
            ("miss", self.miss),
            ("miss_small", self.miss_small),
            ("spurious", self.spurious),
            ("swap", self.swap),
            ("empty", self.empty),
        ] {
            require((0.0..=1.0).contains(&share), name, share, "a number from 0 to 1")?;
        }
        require(0.0 < self.scale && self.scale.is_finite(), "scale", self.scale, "a finite number above 0")?;
        require(self.shift.is_finite(), "shift", self.shift, "a finite number")?;
        for (name, spread) in [
            ("jitter", self.jitter),
            ("jitter_px", self.jitter_px),
            ("difficulty", self.difficulty),
            ("small_area", self.small_area),
        ] {
            require(0.0 <= spread && spread.is_finite(), name, spread, "a finite number of at least 0")?;
        }
        Ok(AnnotatorValidModel(*self))
    }
}

impl AnnotatorValidModel {
    /// The numbers.
    pub fn get(&self) -> &AnnotatorModel {
        &self.0
    }

    /// Draws the boxes of one image: a function of the image's name, its true boxes, the model and the seed of the round.
    ///
    /// Crowd regions are copied. A box is never narrower or lower than one pixel; boxes may stick out of the image, as
    /// people's do. Confused objects get any other class of the `n_classes` with equal chances; with one class nothing is
    /// confused. O(boxes).
    pub fn annotate(&self, image: &GoldenImage<'_>, n_classes: usize, round: Seed) -> Vec<LabelledBox> {
        let m = &self.0;
        let seed = round.stream(image.id.as_str());
        if seed.unit(0) < m.empty {
            return Vec::new();
        }
        // Not of the round: what is hard for one is hard for all.
        let difficulty = Seed::new(0).stream("difficulty").stream(image.id.as_str());
        let mut drawn = Vec::with_capacity(image.boxes.len() + 1);
        for (n, object) in (0u64..).zip(image.boxes) {
            let s = seed.stream("object").stream(&n.to_string());
            if object.is_crowd {
                drawn.push(object.clone());
                continue;
            }
            // The mean of the factor is 1: exp(sd z - sd^2 / 2).
            let hard = (m.difficulty * difficulty.normal(n) - 0.5 * m.difficulty * m.difficulty).exp();
            let miss = if object.bbox.area() < m.small_area { m.miss_small } else { m.miss };
            if miss * hard <= s.unit(0) {
                let class = if s.unit(2) < m.swap * hard {
                    another(object.class, n_classes, s)
                } else {
                    object.class
                };
                drawn.push(LabelledBox::new(class, self.redrawn(object.bbox, s)));
            }
            if s.unit(1) < m.spurious {
                drawn.push(spurious(image, n_classes, s.stream("spurious")));
            }
        }
        drawn
    }

    fn redrawn(&self, b: BBox, s: Seed) -> BBox {
        let m = &self.0;
        let edge = |k: u64, side: f64| (m.jitter * side).hypot(m.jitter_px) * s.normal(10 + k);
        let (cx, cy) = b.centre();
        let (cx, cy) = (cx + m.shift * b.width(), cy + m.shift * b.height());
        let (half_w, half_h) = (b.width() * m.scale / 2.0, b.height() * m.scale / 2.0);
        let left = cx - half_w + edge(0, b.width());
        let top = cy - half_h + edge(1, b.height());
        let right = (cx + half_w + edge(2, b.width())).max(left + 1.0);
        let bottom = (cy + half_h + edge(3, b.height())).max(top + 1.0);
        BBox::from_corners(left, top, right, bottom).unwrap_or(b)
    }
}

fn another(class: ClassIdx, n_classes: usize, s: Seed) -> ClassIdx {
    if n_classes < 2 {
        return class;
    }
    let step = 1 + s.below(3, n_classes - 1);
    ClassIdx(((class.as_usize() + step) % n_classes) as u32)
}

/// A box of a fiftieth to a tenth of the image's shorter side, anywhere in it.
fn spurious(image: &GoldenImage<'_>, n_classes: usize, s: Seed) -> LabelledBox {
    let (width, height) = (f64::from(image.size.width()), f64::from(image.size.height()));
    let side = width.min(height) * (0.02 + 0.08 * s.unit(0));
    let place = BBox::new((width - side) * s.unit(1), (height - side) * s.unit(2), side, side);
    LabelledBox::new(
        ClassIdx(s.below(3, n_classes.max(1)) as u32),
        place.expect("a part of an image is a finite box"),
    )
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ImageSize, SampleId};

    use super::*;
    use crate::{QaError, match_boxes};

    fn refused(model: AnnotatorModel) -> &'static str {
        match model.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn every_rate_is_checked() {
        let m = AnnotatorModel::default();
        assert_eq!(refused(AnnotatorModel { miss: f64::NAN, ..m }), "miss");
        assert_eq!(refused(AnnotatorModel { miss_small: 1.1, ..m }), "miss_small");
        assert_eq!(refused(AnnotatorModel { spurious: -0.1, ..m }), "spurious");
        assert_eq!(refused(AnnotatorModel { swap: 2.0, ..m }), "swap");
        assert_eq!(refused(AnnotatorModel { empty: f64::INFINITY, ..m }), "empty");
        assert_eq!(refused(AnnotatorModel { scale: 0.0, ..m }), "scale");
        assert_eq!(refused(AnnotatorModel { shift: f64::NAN, ..m }), "shift");
        assert_eq!(refused(AnnotatorModel { jitter: -1.0, ..m }), "jitter");
        assert_eq!(refused(AnnotatorModel { jitter_px: f64::NAN, ..m }), "jitter_px");
        assert_eq!(refused(AnnotatorModel { difficulty: -1.0, ..m }), "difficulty");
        assert_eq!(refused(AnnotatorModel { small_area: f64::NAN, ..m }), "small_area");
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let m = AnnotatorModel::default();
        assert_eq!((m.miss, m.miss_small, m.spurious, m.swap, m.empty), (0.01, 0.04, 0.02, 0.01, 0.0));
        assert_eq!((m.scale, m.shift, m.jitter, m.jitter_px), (1.0, 0.0, 0.03, 0.4));
        assert_eq!((m.difficulty, m.small_area), (0.0, 1024.0));
    }

    /// 5,000 objects, half of them small, far from each other.
    fn truth() -> (Vec<SampleId>, Vec<Vec<LabelledBox>>) {
        let object = |k: u32| {
            let side = if k.is_multiple_of(2) { 20.0 } else { 80.0 };
            let (x, y) = (f64::from(k % 5) * 250.0, f64::from(k / 5) * 400.0);
            LabelledBox::new(ClassIdx(k % 3), BBox::new(x + 50.0, y + 50.0, side, side).unwrap())
        };
        let ids = (0..500).map(|i| SampleId::new(format!("i{i}")).unwrap()).collect();
        (ids, vec![(0..10).map(object).collect(); 500])
    }

    /// Per object: missed, missed among the small, spurious, confused; then the mean log of sides and the mean shift.
    fn measured(model: AnnotatorModel) -> [f64; 6] {
        let (ids, truth) = truth();
        let model = model.check().unwrap();
        let size = ImageSize::new(1280, 960).unwrap();
        let (mut sums, mut n_matched) = ([0.0; 6], 0.0);
        for (id, boxes) in ids.iter().zip(&truth) {
            let drawn = model.annotate(&GoldenImage { id, size, boxes }, 3, Seed::new(4));
            let m = match_boxes(boxes, &drawn, 0.3);
            sums[0] += m.unmatched_reference.len() as f64;
            sums[1] += m.unmatched_reference.iter().filter(|i| i.is_multiple_of(2)).count() as f64;
            sums[2] += m.unmatched_other.len() as f64;
            for (i, j, _) in m.pairs {
                let (a, b) = (&boxes[i], &drawn[j]);
                n_matched += 1.0;
                sums[3] += f64::from(u8::from(a.class != b.class));
                sums[4] += 0.5 * (b.bbox.area() / a.bbox.area()).ln();
                sums[5] += (b.bbox.centre().0 - a.bbox.centre().0) / a.bbox.width();
            }
        }
        [0, 1, 2, 3, 4, 5].map(|k| sums[k] / [5000.0, 2500.0, 5000.0, n_matched, n_matched, n_matched][k])
    }

    #[test]
    fn people_err_as_often_as_the_model_says() {
        let found = measured(AnnotatorModel {
            miss: 0.05,
            miss_small: 0.15,
            spurious: 0.08,
            swap: 0.1,
            scale: 0.95,
            shift: 0.04,
            ..AnnotatorModel::default()
        });
        for (found, expected, tolerance) in [
            (found[0], 0.10, 0.017),
            (found[1], 0.15, 0.029),
            (found[2], 0.08, 0.016),
            (found[3], 0.10, 0.018),
            (found[4], 0.95f64.ln(), 0.003),
            (found[5], 0.04, 0.003),
        ] {
            assert!((found - expected).abs() < tolerance, "{found} for {expected}");
        }
    }

    #[test]
    fn hard_objects_are_missed_again_and_again_and_as_many_in_all() {
        let (ids, truth) = truth();
        let size = ImageSize::new(1280, 960).unwrap();
        let hard = AnnotatorModel {
            miss: 0.1,
            miss_small: 0.1,
            spurious: 0.0,
            difficulty: 1.0,
            ..AnnotatorModel::default()
        };
        let missed = |model: AnnotatorModel, round: u64| -> Vec<bool> {
            let model = model.check().unwrap();
            let of_image = |(id, boxes): (&SampleId, &Vec<LabelledBox>)| {
                let drawn = model.annotate(&GoldenImage { id, size, boxes }, 3, Seed::new(round));
                let m = match_boxes(boxes, &drawn, 0.3);
                (0..boxes.len()).map(|i| m.unmatched_reference.contains(&i)).collect::<Vec<_>>()
            };
            ids.iter().zip(&truth).flat_map(of_image).collect()
        };
        let (a, b) = (missed(hard, 1), missed(hard, 2));
        let rate = |v: &[bool]| v.iter().filter(|x| **x).count() as f64 / v.len() as f64;
        let again = a.iter().zip(&b).filter(|(x, y)| **x && **y).count() as f64 / 5000.0 / rate(&a);
        assert!((rate(&a) - 0.1).abs() < 0.025, "{}", rate(&a));
        assert!(0.17 < again, "{again}: independent misses would give {}", rate(&b));
    }

    #[test]
    fn rounds_differ_and_repeat_by_seed_and_the_empty_stay_empty() {
        let (ids, truth) = truth();
        let image = GoldenImage { id: &ids[0], size: ImageSize::new(1280, 960).unwrap(), boxes: &truth[0] };
        let model = AnnotatorModel::default().check().unwrap();
        assert_eq!(model.annotate(&image, 3, Seed::new(1)), model.annotate(&image, 3, Seed::new(1)));
        assert_ne!(model.annotate(&image, 3, Seed::new(1)), model.annotate(&image, 3, Seed::new(2)));
        let idle = AnnotatorModel { empty: 1.0, ..AnnotatorModel::default() }.check().unwrap();
        assert!(idle.annotate(&image, 3, Seed::new(1)).is_empty());
        assert!(model.annotate(&GoldenImage { boxes: &[], ..image }, 3, Seed::new(1)).is_empty());
    }

    #[test]
    fn one_class_is_never_confused() {
        let (ids, truth) = truth();
        let image = GoldenImage { id: &ids[0], size: ImageSize::new(1280, 960).unwrap(), boxes: &truth[0] };
        let model = AnnotatorModel { swap: 1.0, ..AnnotatorModel::default() }.check().unwrap();
        let classes =
            |n| -> Vec<u32> { model.annotate(&image, n, Seed::new(1)).iter().map(|b| b.class.0).collect() };
        assert!(classes(1).iter().zip(&truth[0]).all(|(c, t)| *c == t.class.0 || *c == 0));
        assert!(classes(3).iter().all(|c| *c < 3));
    }
}
