use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::curve::{Curve, N_SLOTS, Recall, Sampler, ceiling};
use super::filter::{BoxFilter, Difficulty, FilterCounts, FilterReason};
use super::params::{KittiValidParams, Metric};
use super::record::{Reasons, Totals};
use super::warning::{Filtered, KittiWarning};
use super::{KittiParams, Partial};
use crate::Result;

/// KITTI's numbers. Printing gives a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KittiResult {
    /// What it was made with.
    pub params: KittiParams,
    /// Frames evaluated.
    pub n_frames: usize,
    /// By class, in the order of the parameters.
    pub classes: Vec<ClassResult>,
    /// What makes numbers mean less than they seem to.
    pub warnings: Vec<KittiWarning>,
}

/// The numbers of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassResult {
    /// Its name.
    pub name: String,
    /// Its labels, whether they count or not; none of its neighbours.
    pub n_labels: u64,
    /// Its detections, whether they count or not.
    pub n_detections: u64,
    /// By metric, as in [`Metric::ALL`], and difficulty. Nothing without a label to find or where detections lack what is
    /// measured.
    pub curves: [[Option<Curve>; 3]; 4],
    /// Labels that do not count, those of neighbours among them, by difficulty and reason.
    pub filtered_labels: [FilterCounts; 3],
    /// Detections of the class that do not count, by difficulty and reason.
    pub filtered_detections: [FilterCounts; 3],
}

impl KittiResult {
    /// Average precision in percent, or average orientation similarity. Nothing where it does not exist: see
    /// [`ClassResult::curves`].
    pub fn ap(&self, class: &str, metric: Metric, recall: Recall, difficulty: Difficulty) -> Option<f64> {
        Some(self.class(class)?.curve(metric, difficulty)?.ap(recall))
    }

    /// A class by its name, in upper or lower case.
    pub fn class(&self, name: &str) -> Option<&ClassResult> {
        self.classes.iter().find(|class| class.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn new(partial: &Partial, params: &KittiValidParams) -> Result<Self> {
        let numbers: Vec<usize> = (0..params.get().classes.len()).collect();
        let found: Vec<(ClassResult, Totals)> =
            numbers.into_par_iter().map(|class| ClassResult::new(partial, class, params)).collect();
        let warnings =
            found.iter().flat_map(|(class, totals)| class.warnings(totals, params.get().warn_share));
        Ok(Self {
            params: params.get().clone(),
            n_frames: partial.n_frames(),
            warnings: warnings.collect(),
            classes: found.into_iter().map(|(class, _)| class).collect(),
        })
    }
}

impl ClassResult {
    /// The curve of a metric at a difficulty.
    pub fn curve(&self, metric: Metric, difficulty: Difficulty) -> Option<&Curve> {
        self.curves[metric as usize][difficulty as usize].as_ref()
    }

    fn new(partial: &Partial, class: usize, params: &KittiValidParams) -> (Self, Totals) {
        let mut totals = Totals::default();
        let (mut labels, mut detections) = ([[0; N_REASONS]; 3], [[0; N_REASONS]; 3]);
        for record in partial.records().filter_map(|(_, record)| record.class(class)) {
            totals.add(&record.totals);
            for d in 0..3 {
                add(&mut labels[d], &record.filtered_labels[d]);
                add(&mut detections[d], &record.filtered_detections[d]);
            }
        }
        let cells: Vec<(usize, Difficulty)> =
            (0..3).flat_map(|overlap| Difficulty::ALL.map(|difficulty| (overlap, difficulty))).collect();
        let found: Vec<Option<(Curve, Curve)>> = cells
            .par_iter()
            .map(|(overlap, difficulty)| {
                Sampler::new(partial, class, *overlap, *difficulty, None).curves(&[1])
            })
            .collect();
        let mut curves: [[Option<Curve>; 3]; 4] = Default::default();
        for ((overlap, difficulty), found) in cells.into_iter().zip(found) {
            let Some((precision, similarity)) = found else { continue };
            let d = difficulty as usize;
            if overlap == 0 && is_measured(&totals, Metric::Aos, params.get().filter) {
                curves[Metric::Aos as usize][d] = Some(similarity);
            }
            if is_measured(&totals, Metric::ALL[overlap], params.get().filter) {
                curves[overlap][d] = Some(precision);
            }
        }
        let name = params.get().classes[class].name.clone();
        let (n_labels, n_detections) = (totals.n_labels, totals.n_detections);
        let [filtered_labels, filtered_detections] = [labels, detections].map(|all| all.map(named));
        (Self { name, n_labels, n_detections, curves, filtered_labels, filtered_detections }, totals)
    }

    fn warnings(&self, totals: &Totals, warn_share: f64) -> Vec<KittiWarning> {
        let name = || self.name.clone();
        let mut warnings = Vec::new();
        for (what, counts, of) in [
            (Filtered::Labels, &self.filtered_labels, self.n_labels),
            (Filtered::Detections, &self.filtered_detections, self.n_detections),
        ] {
            warnings.extend(removes_most(&self.name, what, counts, of, warn_share));
        }
        for difficulty in Difficulty::ALL {
            let n_valid = self.curve(Metric::Bbox, difficulty).or(self.curve(Metric::Cuboid, difficulty));
            let n_valid = n_valid.map_or(0, |curve| curve.n_valid);
            if 0 < n_valid && n_valid < N_SLOTS as u64 {
                let [most_r11, most_r40] = Recall::ALL.map(|recall| ceiling(n_valid, recall));
                warnings.push(KittiWarning::FewLabels {
                    class: name(),
                    difficulty,
                    n_valid,
                    most_r11,
                    most_r40,
                });
            }
        }
        let (n_labels, n_detections) = (totals.n_labels_without_alpha, totals.n_detections_without_alpha);
        let (all_labels, all) = (self.n_labels, self.n_detections);
        if 0 < n_labels + n_detections && n_labels + n_detections < all_labels + all && 0 < all {
            warnings.push(KittiWarning::NoOrientation { class: name(), n_labels, n_detections });
        }
        if 0 < all && totals.n_detections_with_cuboid == 0 {
            warnings.push(KittiWarning::NoCuboids { class: name(), n_detections: all });
        }
        warnings
    }
}

const N_REASONS: usize = FilterReason::ALL.len();

fn add(sums: &mut [u64; N_REASONS], counts: &Reasons) {
    sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += u64::from(*n));
}

fn named(counts: [u64; N_REASONS]) -> FilterCounts {
    FilterReason::ALL.into_iter().zip(counts).filter(|(_, n)| *n != 0).collect()
}

/// Whether detections have what the metric looks at and the filter asks for. Without a detection there is nothing that
/// lacks anything, and precision is 0.
fn is_measured(totals: &Totals, metric: Metric, filter: BoxFilter) -> bool {
    let has_none = |n: u64| 0 < totals.n_detections && n == 0;
    let no_bbox = has_none(totals.n_detections_with_bbox);
    if filter == BoxFilter::Official && no_bbox {
        return false;
    }
    match metric {
        Metric::Bbox => !no_bbox,
        Metric::Bev | Metric::Cuboid => !has_none(totals.n_detections_with_cuboid),
        Metric::Aos => {
            !no_bbox && totals.n_labels_without_alpha == 0 && totals.n_detections_without_alpha == 0
        }
    }
}

/// The hardest difficulty keeps whatever an easier one keeps, so it alone is looked at.
fn removes_most(
    class: &str,
    what: Filtered,
    counts: &[FilterCounts; 3],
    of: u64,
    warn_share: f64,
) -> Option<KittiWarning> {
    // Neighbours are no labels of the class, labels without a cuboid are no matter of the filter, and those outside a
    // slice were asked to be left out.
    let of_filter = |reason: &FilterReason| {
        !matches!(reason, FilterReason::Neighbour | FilterReason::NoCuboid | FilterReason::OutsideSlice)
    };
    let hard: Vec<(FilterReason, u64)> = counts[Difficulty::Hard as usize]
        .iter()
        .map(|(r, n)| (*r, *n))
        .filter(|(r, _)| of_filter(r))
        .collect();
    let removed: u64 = hard.iter().map(|(_, n)| n).sum();
    // The first of equally frequent reasons.
    let (reason, _) = hard.iter().rev().max_by_key(|(_, n)| *n)?;
    let is_most = warn_share * (of as f64) < removed as f64;
    let class = class.to_owned();
    is_most.then_some(KittiWarning::FilterRemovesMost { class, what, removed, of, reason: *reason })
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, Cuboid, CuboidFrame, SampleId};

    use super::*;
    use crate::kitti::{Detection, Frame, Label, evaluate};

    fn bbox() -> Option<BBox> {
        Some(BBox::new(0.0, 0.0, 60.0, 60.0).unwrap())
    }

    fn cuboid() -> Option<Cuboid> {
        Some(Cuboid::new([10.0, 0.0, 0.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar).unwrap())
    }

    /// Fifty frames with the same content.
    fn fifty(labels: &[Label], detections: &[Detection], params: &KittiParams) -> KittiResult {
        let ids: Vec<SampleId> = (0..50).map(|i| SampleId::new(format!("{i:02}")).unwrap()).collect();
        let frames: Vec<_> = ids.iter().map(|id| Frame { id, labels, detections }).collect();
        evaluate(&frames, params).unwrap()
    }

    fn easy(result: &KittiResult) -> [Option<f64>; 4] {
        Metric::ALL.map(|metric| result.ap("Car", metric, Recall::R40, Difficulty::Easy))
    }

    #[test]
    fn point_clouds_without_pictures_do_not_score_0_in_silence() {
        let labels = [Label::new("Car", None, cuboid())];
        let found = [Detection::new("Car", None, cuboid(), 0.5)];
        let official = fifty(&labels, &found, &KittiParams::default());
        assert_eq!(easy(&official), [None; 4]);
        let lost = |what| KittiWarning::FilterRemovesMost {
            class: "Car".to_owned(),
            what,
            removed: 50,
            of: 50,
            reason: FilterReason::NoBox2d,
        };
        assert_eq!(official.warnings, [lost(Filtered::Labels), lost(Filtered::Detections)]);
        let counts = FilterCounts::from([(FilterReason::NoBox2d, 50)]);
        assert_eq!(official.classes[0].filtered_labels, [counts.clone(), counts.clone(), counts.clone()]);
        assert_eq!(official.classes[0].filtered_detections[0], counts);

        let params = KittiParams { filter: BoxFilter::None, ..KittiParams::default() };
        let open = fifty(&labels, &found, &params);
        assert_eq!(easy(&open), [None, Some(100.0), Some(100.0), None]);
        assert!(open.warnings.is_empty(), "{:?}", open.warnings);
    }

    #[test]
    fn detections_without_boxes_against_labels_with_them_are_told() {
        let labels = [Label::new("Car", bbox(), cuboid())];
        let result = fifty(&labels, &[Detection::new("Car", None, cuboid(), 0.5)], &KittiParams::default());
        assert_eq!(easy(&result), [None; 4]);
        assert!(result.warnings.iter().any(|w| w.to_string()
            == "Car: 50 of 50 detections count at no difficulty, most of them without a 2D box"));
        let flat = fifty(&labels, &[Detection::new("Car", bbox(), None, 0.5)], &KittiParams::default());
        assert_eq!(easy(&flat), [Some(100.0), None, None, None]);
        assert_eq!(flat.warnings, [KittiWarning::NoCuboids { class: "Car".to_owned(), n_detections: 50 }]);
    }

    #[test]
    fn a_detector_that_finds_nothing_has_a_precision_of_0() {
        let label = Label { alpha: Some(0.0), ..Label::new("Car", bbox(), cuboid()) };
        assert_eq!(easy(&fifty(&[label], &[], &KittiParams::default())), [Some(0.0); 4]);
    }

    #[test]
    fn orientation_needs_every_angle() {
        let label = Label { alpha: Some(1.0), ..Label::new("Car", bbox(), cuboid()) };
        let found = Detection { alpha: Some(1.0), ..Detection::new("Car", bbox(), cuboid(), 0.5) };
        let backward = Detection { alpha: Some(1.0 + std::f64::consts::PI), ..found.clone() };
        let params = KittiParams::default();
        assert_eq!(
            easy(&fifty(std::slice::from_ref(&label), std::slice::from_ref(&found), &params)),
            [Some(100.0); 4]
        );
        let turned = fifty(std::slice::from_ref(&label), &[backward], &params);
        assert_eq!(easy(&turned), [Some(100.0), Some(100.0), Some(100.0), Some(0.0)]);
        let blind = fifty(&[label], &[Detection { alpha: None, ..found }], &params);
        assert_eq!(easy(&blind)[3], None);
        let expected = KittiWarning::NoOrientation { class: "Car".to_owned(), n_labels: 0, n_detections: 50 };
        assert_eq!(blind.warnings, [expected]);
    }

    #[test]
    fn few_labels_are_told() {
        let id = SampleId::new("a").unwrap();
        let labels = vec![Label::new("Car", bbox(), None); 2];
        let result =
            evaluate(&[Frame { id: &id, labels: &labels, detections: &[] }], &KittiParams::default())
                .unwrap();
        let said: Vec<String> = result.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "one for each difficulty");
        assert_eq!(
            said[0],
            "Car, easy: 2 labels to find, less than 41: no detector exceeds 2.50 (R40) or 9.09 (R11)"
        );
    }

    #[test]
    fn results_are_printed_and_stored() {
        let labels = [Label::new("Car", bbox(), cuboid())];
        let result = fifty(&labels, &[Detection::new("Car", bbox(), cuboid(), 0.5)], &KittiParams::default());
        let text = result.to_string();
        assert!(text.lines().nth(1).unwrap().starts_with("Car         bbox      100.0000"), "{text}");
        assert!(text.lines().nth(4).unwrap().trim_end().ends_with('-'), "{text}");
        let json = serde_json::to_string(&result).unwrap();
        assert_eq!(serde_json::from_str::<KittiResult>(&json).unwrap(), result);
        assert_eq!(result.ap("Tram", Metric::Bbox, Recall::R40, Difficulty::Easy), None);
        assert!(result.class("CAR").is_some());
    }

    #[test]
    fn no_frame_has_no_numbers() {
        let result = evaluate(&[], &KittiParams::default()).unwrap();
        assert_eq!((easy(&result), result.warnings.len(), result.n_frames), ([None; 4], 0, 0));
    }
}
