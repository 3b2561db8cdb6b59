use super::AnnotatorModel;
use crate::golden::{check_same_items, measured, sorted_round};
use crate::{GoldenImage, GoldenParams, QaError, Result, Round, Statistic, match_boxes};
use labelloop_core::{ClassSchema, LabelledBox};

/// How people label, from rounds that are known to be good: shares missed, spurious, confused and left empty, the mean of
/// sizes and shifts, and how far edges are off.
///
/// Boxes are matched as [`golden_check`](crate::golden_check) does it. Objects of images left empty are not missed one by one
/// and do not count as such. The squared deviation of an edge, less what all edges of its
/// kind do alike, is taken as `jitter^2 side^2 + jitter_px^2`, fitted by least
/// squares after division by `side^2`, neither below 0. `difficulty` stays 0: from few rounds it cannot be told.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{GoldenImage, GoldenParams, estimate_annotator};
///
/// let (id, size, schema) = (SampleId::new("a")?, ImageSize::new(640, 480)?, ClassSchema::new(["car"])?);
/// let at = |x: f64| LabelledBox::new(ClassIdx(0), BBox::new(x, 9.0, 80.0, 80.0).unwrap());
/// let (truth, drawn) = ([at(0.0), at(200.0), at(400.0), at(500.0)], [at(0.0), at(200.0), at(400.0)]);
/// let image = |boxes| GoldenImage { id: &id, size, boxes };
/// let people = estimate_annotator(&[image(&truth)], &[vec![image(&drawn)]], &schema, &GoldenParams::default())?;
/// assert_eq!((people.miss, people.spurious, people.scale), (0.25, 0.0, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`QaError`] for parameters out of range, no rounds or ones whose images are not the reference's, and rounds in which nothing
/// matches the reference.
pub fn estimate_annotator(
    reference: &[GoldenImage<'_>],
    rounds: &[Round<'_>],
    schema: &ClassSchema,
    params: &GoldenParams,
) -> Result<AnnotatorModel> {
    let params = params.check()?;
    let p = params.get();
    let truth = sorted_round("the reference", reference, schema)?;
    if rounds.is_empty() {
        return Err(QaError::NoImages { round: "the list of calibration rounds".to_owned() });
    }
    let mut sums = Sums::default();
    for (k, round) in rounds.iter().enumerate() {
        let name = format!("calibration round {k}");
        let drawn = sorted_round(&name, round, schema)?;
        check_same_items(&name, &drawn, &truth)?;
        for (image, drawn) in truth.values().zip(drawn.values()) {
            sums.add(image.boxes, drawn.boxes, p);
        }
    }
    if sums.n_matched == 0.0 {
        return Err(QaError::NoObjects { round: "what calibration rounds and reference share".to_owned() });
    }
    Ok(sums.model(p.small_area))
}

#[derive(Default)]
struct Sums {
    n_images: f64,
    n_empty: f64,
    /// Of medium and large objects, and of small ones.
    n_objects: [f64; 2],
    n_missed: [f64; 2],
    n_spurious: f64,
    n_matched: f64,
    n_confused: f64,
    log_size: f64,
    shift: [f64; 2],
    edges: Edges,
}

impl Sums {
    fn add(&mut self, truth: &[LabelledBox], drawn: &[LabelledBox], p: &GoldenParams) {
        let n_true = truth.iter().filter(|b| !b.is_crowd).count();
        if n_true == 0 {
            self.n_spurious += match_boxes(truth, drawn, p.iou_threshold).unmatched_other.len() as f64;
            return;
        }
        self.n_images += 1.0;
        if drawn.is_empty() {
            self.n_empty += 1.0;
            return;
        }
        let is_small = |b: &LabelledBox| usize::from(b.effective_area() < p.small_area);
        let m = match_boxes(truth, drawn, p.iou_threshold);
        for b in truth.iter().filter(|b| !b.is_crowd) {
            self.n_objects[is_small(b)] += 1.0;
        }
        for &i in &m.unmatched_reference {
            self.n_missed[is_small(&truth[i])] += 1.0;
        }
        self.n_spurious += m.unmatched_other.len() as f64;
        for &(i, j, iou) in &m.pairs {
            let (a, b) = (&truth[i], &drawn[j]);
            self.n_matched += 1.0;
            self.n_confused += f64::from(u8::from(a.class != b.class));
            let measures = measured(a, b, iou);
            let value = |s| measures.value(s).unwrap_or_default();
            self.log_size += value(Statistic::LogSize);
            self.shift[0] += value(Statistic::ShiftX);
            self.shift[1] += value(Statistic::ShiftY);
            self.edges.add(0, b.bbox.x() - a.bbox.x(), a.bbox.width());
            self.edges.add(1, b.bbox.right() - a.bbox.right(), a.bbox.width());
            self.edges.add(2, b.bbox.y() - a.bbox.y(), a.bbox.height());
            self.edges.add(3, b.bbox.bottom() - a.bbox.bottom(), a.bbox.height());
        }
    }

    fn model(&self, small_area: f64) -> AnnotatorModel {
        let share = |hits: f64, of: f64| if 0.0 < of { (hits / of).min(1.0) } else { 0.0 };
        let [jitter, jitter_px] = self.edges.fit();
        AnnotatorModel {
            miss: share(self.n_missed[0], self.n_objects[0]),
            miss_small: share(self.n_missed[1], self.n_objects[1]),
            spurious: share(self.n_spurious, self.n_objects[0] + self.n_objects[1]),
            swap: share(self.n_confused, self.n_matched),
            empty: share(self.n_empty, self.n_images),
            scale: (self.log_size / self.n_matched).exp(),
            shift: (self.shift[0] + self.shift[1]) / (2.0 * self.n_matched),
            jitter,
            jitter_px,
            difficulty: 0.0,
            small_area,
        }
    }
}

/// Sums of a regression of `(deviation / side)^2` on `1 / side^2`.
#[derive(Default)]
struct Edges {
    n: f64,
    /// Of `deviation / side`, by edge.
    mean: [f64; 4],
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    squares: f64,
}

impl Edges {
    fn add(&mut self, edge: usize, deviation: f64, side: f64) {
        let (x, y) = ((side * side).recip(), (deviation / side).powi(2));
        self.n += 1.0;
        self.mean[edge] += deviation / side;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
        self.squares += deviation * deviation;
    }

    /// The deviation in sides and in pixels.
    fn fit(&self) -> [f64; 2] {
        let spread = self.n * self.xx - self.x * self.x;
        // Objects of one size tell the sum only; it is taken as one of sides.
        let is_flat = !(1e-9 * self.n * self.xx < spread);
        let slope = if is_flat { 0.0 } else { (self.n * self.xy - self.x * self.y) / spread };
        // What all edges of a kind do alike is scale and shift, not shaking hands; every object adds one of each kind.
        let alike = self.mean.iter().map(|sum| (4.0 * sum / self.n).powi(2)).sum::<f64>() / 4.0;
        let intercept = (self.y - slope * self.x) / self.n - alike;
        if slope <= 0.0 {
            [(self.y / self.n - alike).max(0.0).sqrt(), 0.0]
        } else if intercept < 0.0 {
            [0.0, (self.squares / self.n).sqrt()]
        } else {
            [intercept.sqrt(), slope.sqrt()]
        }
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ImageSize, SampleId, Seed};

    use super::*;
    use crate::PlanSource;

    #[test]
    fn what_people_do_is_found_again() {
        let source = PlanSource::Generated;
        let (schema, golden) = (source.schema(), source.golden(1000, Seed::new(1)));
        let people = AnnotatorModel {
            miss: 0.03,
            miss_small: 0.10,
            spurious: 0.05,
            swap: 0.04,
            empty: 0.02,
            scale: 0.98,
            shift: 0.01,
            jitter: 0.02,
            jitter_px: 0.8,
            ..AnnotatorModel::default()
        };
        let model = people.check().unwrap();
        let label = |k: u64| -> Vec<Vec<LabelledBox>> {
            golden.reference().iter().map(|i| model.annotate(i, 4, Seed::new(k))).collect()
        };
        let rounds = [label(1), label(2)];
        let rounds: Vec<_> = rounds.iter().map(|l| golden.round(l)).collect();
        let params = GoldenParams::default();
        let found = estimate_annotator(&golden.reference(), &rounds, &schema, &params).unwrap();
        for (name, found, expected, tolerance) in [
            ("miss", found.miss, 0.03, 0.007),
            ("miss_small", found.miss_small, 0.10, 0.015),
            ("spurious", found.spurious, 0.05, 0.008),
            ("swap", found.swap, 0.04, 0.007),
            ("empty", found.empty, 0.02, 0.01),
            ("scale", found.scale, 0.98, 0.003),
            ("shift", found.shift, 0.01, 0.002),
            ("jitter", found.jitter, 0.02, 0.004),
            ("jitter_px", found.jitter_px, 0.8, 0.08),
        ] {
            assert!((found - expected).abs() < tolerance, "{name}: {found} for {expected}");
        }
        assert!(found.check().is_ok());
    }

    #[test]
    fn objects_of_one_size_give_a_deviation_in_sides() {
        let mut edges = Edges::default();
        for deviation in [3.0, -3.0, 3.0, -3.0] {
            (0..4).for_each(|edge| edges.add(edge, deviation, 100.0));
        }
        let [jitter, px] = edges.fit();
        assert!((jitter - 0.03).abs() < 1e-12 && px == 0.0);
    }

    #[test]
    fn rounds_without_anything_in_common_are_refused() {
        let (id, size) = (SampleId::new("a").unwrap(), ImageSize::new(64, 64).unwrap());
        let schema = ClassSchema::new(["car"]).unwrap();
        let image = GoldenImage { id: &id, size, boxes: &[] };
        let params = GoldenParams::default();
        let found = estimate_annotator(&[image], &[vec![image]], &schema, &params);
        assert!(matches!(found, Err(QaError::NoObjects { .. })));
        let found = estimate_annotator(&[image], &[], &schema, &params);
        assert!(matches!(found, Err(QaError::NoImages { .. })));
        let other = SampleId::new("b").unwrap();
        let found =
            estimate_annotator(&[image], &[vec![GoldenImage { id: &other, ..image }]], &schema, &params);
        assert!(matches!(found, Err(QaError::MissingImages { .. })));
    }
}
