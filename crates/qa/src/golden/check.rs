use labelloop_core::{ClassSchema, LabelledBox, SliceKind};

use super::engine::{Rounds, check_rounds};
use super::records::{Band, Measures, Record, records_of};
use super::{GoldenImage, GoldenParams, GoldenReport, GoldenValidParams, Round};
use crate::{Result, match_boxes};

/// Compares the current round of the golden set with its reference and, where there are any, with earlier rounds that
/// are known to be good.
///
/// The boxes of every round are matched to the reference by place ([`match_boxes`](crate::match_boxes)), and every
/// image gets its [`crate::Statistic`]s.
///
/// **With calibration rounds** the hypothesis is that nothing changed: within an image, the rounds could have come in
/// any order. Images pick which of their rounds is "current" at random, each on its own; what is compared is the
/// difference between the current round and the mean of the others, over its standard deviation under that hypothesis.
/// The largest over all statistics gives the family-wise p-values (max-T, step-down: Westfall and Young 1993). Where
/// the calibration rounds as wholes differ more than their images explain, that variance is added.
///
/// **Without calibration rounds** the reference stands for a perfect round. Signed statistics (size, shift) are tested
/// against zero, the others against their margin, by flipping the sign of each image's value; this assumes those values
/// to be symmetric within an image, which is conservative for rare events. What honest re-annotation costs in IoU is
/// not known then, and `uncalibrated_iou_loss` is the margin.
///
/// **Verdict.** FAIL: a statistic is significant and its effect beyond its margin. WARN: significant within the margin,
/// or beyond it with a p-value up to `warn_level`. Otherwise PASS, unless the set could not have shown a drift of
/// `pass_multiple` margins with probability `power`, or another [`crate::Note`] takes the PASS away: then INCONCLUSIVE. (At
/// the margin itself no set has power above one half, since the estimate falls short of it half of the time; hence a
/// multiple.)
///
/// O(images x rounds x statistics x permutations) time; the result does not depend on threads nor on the order of images.
///
/// # Errors
/// [`QaError`](crate::QaError) for parameters out of range, rounds whose images are not those of the reference, classes
/// beyond the schema and areas that are none. All-empty and too small sets are no error but INCONCLUSIVE.
pub fn golden_check(
    reference: &[GoldenImage<'_>],
    calibration: &[Round<'_>],
    current: &[GoldenImage<'_>],
    schema: &ClassSchema,
    params: &GoldenParams,
) -> Result<GoldenReport> {
    params.check()?.golden_check(reference, calibration, current, schema)
}

impl GoldenValidParams {
    /// [`golden_check`] with checked parameters.
    ///
    /// # Errors
    /// As [`golden_check`], but for the parameters.
    pub fn golden_check<'a>(
        &self,
        reference: &[GoldenImage<'a>],
        calibration: &[Round<'a>],
        current: &[GoldenImage<'a>],
        schema: &ClassSchema,
    ) -> Result<GoldenReport> {
        check_rounds(
            Rounds { kind: SliceKind::Image, reference, calibration, current },
            schema,
            |is_calibrated| self.protocol(is_calibrated),
            |r, labelled| self.records(r, labelled),
        )
    }

    fn records<'a>(&self, reference: &GoldenImage<'a>, labelled: &GoldenImage<'a>) -> Vec<Record<'a>> {
        let p = self.get();
        let matching = match_boxes(reference.boxes, labelled.boxes, p.iou_threshold);
        records_of(reference.boxes, labelled.boxes, &matching, measured, |b| {
            size_band(b.effective_area(), p.small_area, p.large_area)
        })
    }
}

/// Both boxes have area, or they would not overlap.
pub(crate) fn measured(a: &LabelledBox, b: &LabelledBox, iou: f64) -> Measures {
    let ((ax, ay), (bx, by)) = (a.bbox.centre(), b.bbox.centre());
    Measures::Box {
        log_size: 0.5 * (b.bbox.area() / a.bbox.area()).ln(),
        iou_loss: 1.0 - iou,
        shift: [(bx - ax) / a.bbox.width(), (by - ay) / a.bbox.height()],
    }
}

fn size_band(area: f64, small: f64, large: f64) -> Band {
    let is_small = area < small;
    let name = if is_small {
        "small"
    } else if area < large {
        "medium"
    } else {
        "large"
    };
    Band::Size { name, is_small }
}
