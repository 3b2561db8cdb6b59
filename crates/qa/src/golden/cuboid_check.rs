use std::f64::consts::{FRAC_PI_2, PI, TAU};

use labelloop_core::{ClassSchema, LabelledCuboid, SliceKind};

use super::engine::{Rounds, check_rounds};
use super::records::{Band, Measures, Record, records_of};
use super::{CuboidGoldenParams, CuboidGoldenValidParams, GoldenReport, GoldenScan, ScanRound};
use crate::{Result, match_cuboids};

/// [`golden_check`](crate::golden_check) for point clouds: compares the current round of the golden scans with its
/// reference and, where there are any, with earlier rounds that are known to be good.
///
/// Cuboids are matched to the reference by [`match_cuboids`], and every scan gets the [statistics of
/// cuboids](crate::Statistic::CUBOIDS); lengths are metres, angles radians, axes those of the cuboids' frame. The test,
/// the verdict and the notes are those of boxes: the same machine, fed with other numbers. Where there is no calibration
/// round, `uncalibrated_distance`, `uncalibrated_size_loss` and `uncalibrated_yaw_error` are the margins of what grows
/// with honest re-annotation.
///
/// O(scans x rounds x statistics x permutations) time; the result does not depend on threads nor on the order of scans.
///
/// ```
/// use labelloop_core::{ClassIdx, ClassSchema, Cuboid, CuboidFrame, LabelledCuboid, SampleId, Seed};
/// use labelloop_qa::{
///     CuboidGoldenParams, GoldenScan, ScanRound, Statistic, Verdict, golden_check_cuboids,
/// };
///
/// // 60 scans with 6 cars each, and rounds of people whose hands shake by 5 cm.
/// let ids: Vec<SampleId> = (0..60).map(|i| SampleId::new(format!("sweep-{i:02}"))).collect::<Result<_, _>>()?;
/// let schema = ClassSchema::new(["car", "van"])?;
/// let label = |round: &str, lift: f64| -> Vec<Vec<LabelledCuboid>> {
///     let noise = Seed::new(1).stream(round);
///     (0..360u32).map(|n| {
///         let shake = |k: u32| 0.05 * noise.normal(u64::from(8 * n + k));
///         let centre = [8.0 * f64::from(n % 6) + shake(0), 5.0 + shake(1), lift + shake(2)];
///         let size = [4.2 + shake(3), 1.8 + shake(4), 1.5 + shake(5)];
///         let cuboid = Cuboid::new(centre, size, f64::from(n) + shake(6), CuboidFrame::Lidar).unwrap();
///         LabelledCuboid { class: ClassIdx(n % 2), cuboid, annotator: None }
///     }).collect::<Vec<_>>().chunks(6).map(<[_]>::to_vec).collect()
/// };
/// let (reference, good) = (label("reference", 0.0), [label("r0", 0.0), label("r1", 0.0)]);
/// let calibration = [round(&ids, &good[0]), round(&ids, &good[1])];
///
/// let lifted = label("r2", 0.1);
/// let params = CuboidGoldenParams::default();
/// let report =
///     golden_check_cuboids(&round(&ids, &reference), &calibration, &round(&ids, &lifted), &schema, &params)?;
/// assert_eq!((report.verdict, report.named()), (Verdict::Fail, Some(Statistic::ShiftZ)));
///
/// fn round<'a>(ids: &'a [SampleId], cuboids: &'a [Vec<LabelledCuboid>]) -> ScanRound<'a> {
///     ids.iter().zip(cuboids).map(|(id, cuboids)| GoldenScan { id, cuboids }).collect()
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`QaError`](crate::QaError) for parameters out of range, rounds whose scans are not those of the reference, and classes
/// beyond the schema. All-empty and too small sets are no error but INCONCLUSIVE.
pub fn golden_check_cuboids(
    reference: &[GoldenScan<'_>],
    calibration: &[ScanRound<'_>],
    current: &[GoldenScan<'_>],
    schema: &ClassSchema,
    params: &CuboidGoldenParams,
) -> Result<GoldenReport> {
    params.check()?.golden_check_cuboids(reference, calibration, current, schema)
}

impl CuboidGoldenValidParams {
    /// [`golden_check_cuboids`] with checked parameters.
    ///
    /// # Errors
    /// As [`golden_check_cuboids`], but for the parameters.
    pub fn golden_check_cuboids<'a>(
        &self,
        reference: &[GoldenScan<'a>],
        calibration: &[ScanRound<'a>],
        current: &[GoldenScan<'a>],
        schema: &ClassSchema,
    ) -> Result<GoldenReport> {
        check_rounds(
            Rounds { kind: SliceKind::PointCloud, reference, calibration, current },
            schema,
            |is_calibrated| self.protocol(is_calibrated),
            |r, labelled| self.records(r, labelled),
        )
    }

    fn records<'a>(&self, reference: &GoldenScan<'a>, labelled: &GoldenScan<'a>) -> Vec<Record<'a>> {
        let p = self.get();
        let matching = match_cuboids(reference.cuboids, labelled.cuboids, p.match_distance);
        records_of(reference.cuboids, labelled.cuboids, &matching, measured, |c| {
            range_band(c, p.near_range, p.far_range)
        })
    }
}

/// A label against its reference; shifts in metres along the frame's axes and along those of the reference cuboid.
fn measured(a: &LabelledCuboid, b: &LabelledCuboid, distance: f64) -> Measures {
    let (a, b) = (&a.cuboid, &b.cuboid);
    let (from, to) = (a.centre(), b.centre());
    let shift = [0, 1, 2].map(|i| to[i] - from[i]);
    let (sin, cos) = a.yaw().sin_cos();
    let turn = wrapped(b.yaw() - a.yaw());
    Measures::Cuboid {
        is_flipped: FRAC_PI_2 < turn.abs(),
        // Logs of sides, as a volume may overflow where no side does.
        log_size: [0, 1, 2].map(|i| b.size()[i].ln() - a.size()[i].ln()).iter().sum::<f64>() / 3.0,
        size_loss: 1.0 - aligned_iou(a.size(), b.size()),
        shift,
        along: shift[0] * cos + shift[1] * sin,
        across: shift[1] * cos - shift[0] * sin,
        distance,
        yaw: turn - PI * (turn / PI + 0.5).floor(),
    }
}

/// IoU of two cuboids of one centre and heading, in `[0, 1]`, by shares of the larger sides.
fn aligned_iou(a: [f64; 3], b: [f64; 3]) -> f64 {
    let larger: [f64; 3] = [0, 1, 2].map(|i| a[i].max(b[i]));
    let share = |s: [f64; 3]| (0..3).map(|i| s[i] / larger[i]).product::<f64>();
    let shared = share([0, 1, 2].map(|i| a[i].min(b[i])));
    let union = share(a) + share(b) - shared;
    if 0.0 < union { (shared / union).clamp(0.0, 1.0) } else { 0.0 }
}

/// The same angle in `[-pi, pi)`.
fn wrapped(angle: f64) -> f64 {
    angle - TAU * (angle / TAU + 0.5).floor()
}

fn range_band(label: &LabelledCuboid, near: f64, far: f64) -> Band {
    let [x, y, _] = label.cuboid.centre();
    let range = x.hypot(y);
    Band::Range(if range < near {
        "near"
    } else if range < far {
        "middle"
    } else {
        "far"
    })
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ClassIdx, Cuboid, CuboidFrame};
    use proptest::prelude::*;

    use super::*;

    fn cuboid(centre: [f64; 3], size: [f64; 3], yaw: f64) -> LabelledCuboid {
        let cuboid = Cuboid::new(centre, size, yaw, CuboidFrame::Lidar).unwrap();
        LabelledCuboid { class: ClassIdx(0), cuboid, annotator: None }
    }

    #[test]
    fn measures_are_those_of_the_definition() {
        let a = cuboid([10.0, 0.0, 0.0], [4.0, 2.0, 1.0], FRAC_PI_2);
        let b = cuboid([10.0, 0.3, 0.1], [8.0, 2.0, 1.0], FRAC_PI_2 + 0.1);
        let Measures::Cuboid { is_flipped, log_size, size_loss, shift, along, across, yaw, .. } =
            measured(&a, &b, 0.3)
        else {
            panic!("cuboids are measured as cuboids");
        };
        assert!(!is_flipped);
        assert!((log_size - 2f64.ln() / 3.0).abs() < 1e-12);
        assert!((size_loss - 0.5).abs() < 1e-12, "8 of 16 cubic metres are shared");
        assert!((shift[1] - 0.3).abs() < 1e-12 && (shift[2] - 0.1).abs() < 1e-12);
        assert!((along - 0.3).abs() < 1e-12 && across.abs() < 1e-12, "it heads along y");
        assert!((yaw - 0.1).abs() < 1e-12);
    }

    #[test]
    fn left_of_the_heading_is_positive() {
        let a = cuboid([0.0; 3], [4.0, 2.0, 1.0], 0.0);
        let Measures::Cuboid { across, .. } = measured(&a, &cuboid([0.0, 0.5, 0.0], [1.0; 3], 0.0), 0.5)
        else {
            panic!("cuboids are measured as cuboids");
        };
        assert_eq!(across, 0.5);
    }

    #[test]
    fn who_heads_backwards_is_flipped_and_not_turned() {
        let a = cuboid([0.0; 3], [4.0, 2.0, 1.0], 0.0);
        let Measures::Cuboid { is_flipped, yaw, .. } =
            measured(&a, &cuboid([0.0; 3], [4.0, 2.0, 1.0], PI - 0.05), 0.0)
        else {
            panic!("cuboids are measured as cuboids");
        };
        assert!(is_flipped && (yaw + 0.05).abs() < 1e-12, "{yaw}");
    }

    #[test]
    fn bands_of_range_are_on_the_ground() {
        let at = |x: f64| range_band(&cuboid([x, 0.0, 90.0], [1.0; 3], 0.0), 20.0, 50.0);
        assert_eq!([at(19.0), at(20.0), at(50.0)], ["near", "middle", "far"].map(Band::Range));
    }

    proptest! {
        #[test]
        fn yaw_has_no_jump_and_full_turns_do_not_count(
            yaw in -10.0..10.0f64, turn in -1.5..1.5f64, n_turns in -3..4i32,
        ) {
            let a = cuboid([0.0; 3], [4.0, 2.0, 1.0], yaw);
            let b = cuboid([0.0; 3], [4.0, 2.0, 1.0], yaw + turn + TAU * f64::from(n_turns));
            let Measures::Cuboid { yaw: found, is_flipped, .. } = measured(&a, &b, 0.0) else {
                panic!("cuboids are measured as cuboids");
            };
            prop_assert!(!is_flipped && (found - turn).abs() < 1e-9, "{} {}", found, turn);
        }

        #[test]
        fn shift_along_and_across_are_the_shift_on_the_ground_turned(
            yaw in -4.0..4.0f64, dx in -1.0..1.0f64, dy in -1.0..1.0f64,
        ) {
            let a = cuboid([5.0, 6.0, 0.0], [4.0, 2.0, 1.0], yaw);
            let b = cuboid([5.0 + dx, 6.0 + dy, 0.0], [4.0, 2.0, 1.0], yaw);
            let Measures::Cuboid { along, across, .. } = measured(&a, &b, 0.0) else {
                panic!("cuboids are measured as cuboids");
            };
            prop_assert!((along.hypot(across) - dx.hypot(dy)).abs() < 1e-9);
            prop_assert!((along * yaw.cos() - across * yaw.sin() - dx).abs() < 1e-9);
        }

        #[test]
        fn aligned_iou_is_symmetric_bounded_and_one_for_equals(
            a in prop::array::uniform3(0.1..9.0f64), b in prop::array::uniform3(0.1..9.0f64),
        ) {
            prop_assert!((aligned_iou(a, b) - aligned_iou(b, a)).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&aligned_iou(a, b)));
            prop_assert!((aligned_iou(a, a) - 1.0).abs() < 1e-12);
        }
    }
}
