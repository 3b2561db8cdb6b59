use labelloop_core::ClassSchema;

use super::attribution::attribute;
use super::effects::{Effect, Sums};
use super::permute::{MaxT, one_sided};
use super::records::{Record, image_cells, image_records};
use super::round::{Sorted, check_same_images, is_copy, sorted_round};
use super::statistic::N_STATISTICS;
use super::{
    Design, Finding, GoldenImage, GoldenParams, GoldenReport, GoldenValidParams, Note, Round, Statistic,
    StatisticResult, Verdict, label_digest,
};
use crate::{LabelTotals, Result};

/// Compares the current round of the golden set with its reference and, where there are any, with earlier rounds that
/// are known to be good.
///
/// The boxes of every round are matched to the reference by place ([`match_boxes`](crate::match_boxes)), and every
/// image gets its [`Statistic`]s.
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
/// `pass_multiple` margins with probability `power`, or another [`Note`] takes the PASS away: then INCONCLUSIVE. (At
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
    pub fn golden_check(
        &self,
        reference: &[GoldenImage<'_>],
        calibration: &[Round<'_>],
        current: &[GoldenImage<'_>],
        schema: &ClassSchema,
    ) -> Result<GoldenReport> {
        let sorted = sorted_round("the reference", reference, schema)?;
        let mut rounds = vec![checked("the current round", current, &sorted, schema)?];
        for (k, round) in calibration.iter().enumerate() {
            rounds.push(checked(&format!("calibration round {k}"), round, &sorted, schema)?);
        }
        let mut notes = Vec::new();
        leave_out_copies(&sorted, &mut rounds, &mut notes);
        if schema.n_classes() == 1 {
            notes.push(Note::OneClass);
        }
        let mut report = GoldenReport {
            verdict: Verdict::Inconclusive,
            notes,
            p_value: None,
            design: if rounds.len() == 1 { Design::SignFlip } else { Design::Exchange },
            level: self.get().level,
            n_permutations: self.get().n_permutations,
            n_images: reference.len(),
            n_objects: reference.iter().flat_map(|i| i.boxes).filter(|b| !b.is_crowd).count(),
            n_calibration: rounds.len() - 1,
            statistics: Vec::new(),
            attribution: None,
            reference: LabelTotals::of(reference, schema),
            current: LabelTotals::of(current, schema),
            reference_digest: label_digest(reference),
            current_digest: label_digest(current),
        };
        if report.n_objects == 0 {
            report.notes.push(Note::NoReferenceObjects);
        } else {
            self.test(&mut report, &sorted, &rounds, schema);
        }
        Ok(report)
    }

    fn test(
        &self,
        report: &mut GoldenReport,
        reference: &Sorted<'_, '_>,
        rounds: &[Sorted<'_, '_>],
        schema: &ClassSchema,
    ) {
        let p = self.get();
        let by_image: Vec<Vec<Vec<Record<'_>>>> = rounds
            .iter()
            .map(|round| {
                let pairs = reference.values().zip(round.values());
                pairs.map(|(r, labelled)| image_records(r, labelled, p.iou_threshold)).collect()
            })
            .collect();
        let cells =
            |round: &Vec<Vec<Record<'_>>>| round.iter().map(|r| image_cells(r, p.small_area)).collect();
        let sums = Sums { rounds: by_image.iter().map(cells).collect() };
        let choices = sums.choices(self);
        let sd = choices.standard_deviations();
        let effects = Statistic::ALL.map(|s| sums.effect(s, sd[s as usize], self));
        let max_t = choices.max_t(&effects.map(|e| e.shrink()), p.level, p.n_permutations, p.seed);
        report.statistics = self.results(&effects, &max_t, rounds.len() > 1);
        report.p_value = report.statistics.iter().map(|r| r.p_value).reduce(f64::min);
        self.note_what_is_not_seen(report, &effects, max_t.critical);
        report.verdict = verdict(report);
        report.attribution = name_first(&report.statistics).map(|s| {
            let flat: Vec<Vec<Record<'_>>> =
                by_image.into_iter().map(|r| r.into_iter().flatten().collect()).collect();
            attribute(s, &flat, schema, self)
        });
    }

    fn results(
        &self,
        effects: &[Effect; N_STATISTICS],
        max_t: &MaxT,
        is_calibrated: bool,
    ) -> Vec<StatisticResult> {
        let p = self.get();
        let result = |statistic: Statistic| {
            let s = statistic as usize;
            let e = &effects[s];
            let margin = self.margin(statistic, is_calibrated);
            let is_beyond =
                e.effect.is_some_and(|x| margin < if statistic.is_signed() { x.abs() } else { x });
            StatisticResult {
                statistic,
                current: e.current,
                baseline: e.baseline,
                effect: e.effect,
                interval: e.interval(p.level),
                margin,
                z: max_t.z[s],
                p_value: max_t.p[s],
                min_detectable: e.min_detectable(max_t.critical, p.power),
                finding: match (max_t.p[s], is_beyond) {
                    (x, true) if x <= p.level => Finding::Drift,
                    (x, false) if x <= p.level => Finding::Small,
                    (x, true) if x <= p.warn_level => Finding::Suspect,
                    _ => Finding::Quiet,
                },
            }
        };
        Statistic::ALL.into_iter().map(result).collect()
    }

    /// Notes the statistic that is known least relative to its margin, where that is not well enough for a PASS.
    fn note_what_is_not_seen(
        &self,
        report: &mut GoldenReport,
        effects: &[Effect; N_STATISTICS],
        critical: f64,
    ) {
        let p = self.get();
        if report.n_calibration == 1 {
            report.notes.push(Note::OneCalibrationRound);
        }
        let one_class = report.current.classes.len() == 1;
        let mut worst: Option<(f64, Note)> = None;
        for (row, e) in report.statistics.iter().zip(effects) {
            if one_class && row.statistic == Statistic::WrongClass {
                continue;
            }
            if row.effect.is_none() {
                report.notes.push(Note::NotMeasured { statistic: row.statistic });
                continue;
            }
            let wanted = p.pass_multiple * row.margin;
            let ratio = row.min_detectable / wanted;
            if 1.0 < ratio && worst.as_ref().is_none_or(|(w, _)| *w < ratio) {
                let images_needed = e.images_needed(wanted, critical, p.power, report.n_images);
                let (statistic, min_detectable) = (row.statistic, row.min_detectable);
                worst =
                    Some((ratio, Note::TooFewImages { statistic, min_detectable, wanted, images_needed }));
            }
        }
        report.notes.extend(worst.map(|(_, note)| note));
    }
}

fn checked<'r, 'a>(
    name: &str,
    images: &'r [GoldenImage<'a>],
    reference: &Sorted<'_, '_>,
    schema: &ClassSchema,
) -> Result<Sorted<'r, 'a>> {
    let round = sorted_round(name, images, schema)?;
    check_same_images(name, &round, reference)?;
    Ok(round)
}

/// Copies carry no information about people; as calibration they would make any honest round look drifted.
fn leave_out_copies(reference: &Sorted<'_, '_>, rounds: &mut Vec<Sorted<'_, '_>>, notes: &mut Vec<Note>) {
    if is_copy(&rounds[0], reference) {
        notes.push(Note::CopyOfReference);
    }
    let mut kept: Vec<Sorted<'_, '_>> = Vec::with_capacity(rounds.len());
    for (k, round) in std::mem::take(rounds).into_iter().enumerate() {
        let Some(calibration_idx) = k.checked_sub(1) else {
            kept.push(round);
            continue;
        };
        if is_copy(&round, reference) || kept[1..].iter().any(|earlier| is_copy(&round, earlier)) {
            notes.push(Note::CalibrationLeftOut { calibration_idx });
            continue;
        }
        if is_copy(&round, &kept[0]) {
            notes.push(Note::CopyOfCalibration { calibration_idx });
        }
        kept.push(round);
    }
    *rounds = kept;
}

fn verdict(report: &GoldenReport) -> Verdict {
    let found = |f: Finding| report.statistics.iter().any(|r| r.finding == f);
    if found(Finding::Drift) {
        Verdict::Fail
    } else if found(Finding::Small) || found(Finding::Suspect) {
        Verdict::Warn
    } else if report.notes.iter().any(Note::refuses_pass) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

/// The statistic that names the drift: of the strongest findings the one furthest out, a consequence after its cause.
///
/// Boxes of another size or place lose IoU, images left empty miss objects, and small objects missed are objects missed.
fn name_first(rows: &[StatisticResult]) -> Option<Statistic> {
    let strongest = [Finding::Drift, Finding::Suspect, Finding::Small]
        .into_iter()
        .find(|f| rows.iter().any(|r| r.finding == *f))?;
    let found: Vec<&StatisticResult> = rows.iter().filter(|r| r.finding == strongest).collect();
    let has = |s: Statistic| found.iter().any(|r| r.statistic == s);
    let effect = |s: Statistic| rows.iter().find(|r| r.statistic == s).and_then(|r| r.effect).unwrap_or(0.0);
    let margin = rows.iter().find(|r| r.statistic == Statistic::Missed).map_or(0.0, |r| r.margin);
    let only_small = effect(Statistic::Missed) - effect(Statistic::MissedSmall) <= margin;
    let is_consequence = |s: Statistic| match s {
        Statistic::IouLoss => [Statistic::LogSize, Statistic::ShiftX, Statistic::ShiftY].into_iter().any(has),
        Statistic::Missed => has(Statistic::LeftEmpty) || (only_small && has(Statistic::MissedSmall)),
        Statistic::MissedSmall => has(Statistic::LeftEmpty) || (!only_small && has(Statistic::Missed)),
        _ => false,
    };
    let out = |r: &StatisticResult| {
        let mut z = [0.0; N_STATISTICS];
        z[r.statistic as usize] = r.z;
        one_sided(&z)[r.statistic as usize]
    };
    found
        .iter()
        .min_by(|a, b| {
            is_consequence(a.statistic)
                .cmp(&is_consequence(b.statistic))
                .then(out(b).total_cmp(&out(a)))
                .then(a.statistic.cmp(&b.statistic))
        })
        .map(|r| r.statistic)
}
