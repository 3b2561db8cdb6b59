//! The one machine behind the golden checks, whatever is labelled.

use labelloop_core::{ClassSchema, SliceKind};

use super::attribution::attribute;
use super::effects::{Effect, Sums};
use super::item::{Item, Mark, Sorted, check_same_items, digest, is_copy, sorted_digest, sorted_round};
use super::permute::MaxT;
use super::protocol::Protocol;
use super::records::{Record, cells};
use super::{Design, Finding, GoldenReport, Note, Statistic, StatisticResult, Verdict};
use crate::{LabelTotals, Result};

/// What is compared with what.
#[derive(Clone, Copy)]
pub(crate) struct Rounds<'r, I> {
    pub(crate) kind: SliceKind,
    pub(crate) reference: &'r [I],
    pub(crate) calibration: &'r [Vec<I>],
    pub(crate) current: &'r [I],
}

/// Checks the rounds against each other, tests, and concludes.
///
/// `protocol` gives margins with or without calibration rounds; `records` compares an item with its reference.
pub(crate) fn check_rounds<'a, I: Item<'a>, const N: usize>(
    rounds: Rounds<'_, I>,
    schema: &ClassSchema,
    protocol: impl Fn(bool) -> Protocol<N>,
    records: impl Fn(&I, &I) -> Vec<Record<'a>>,
) -> Result<GoldenReport> {
    let reference = sorted_round("the reference", rounds.reference, schema)?;
    let mut kept = vec![checked("the current round", rounds.current, &reference, schema)?];
    for (k, round) in rounds.calibration.iter().enumerate() {
        kept.push(checked(&format!("calibration round {k}"), round, &reference, schema)?);
    }
    let mut notes = Vec::new();
    leave_out_copies(&reference, &mut kept, &mut notes);
    if schema.n_classes() == 1 {
        notes.push(Note::OneClass);
    }
    let protocol = protocol(1 < kept.len());
    let mut report = untested(&rounds, schema, &protocol);
    report.design = if kept.len() == 1 { Design::SignFlip } else { Design::Exchange };
    report.n_calibration = kept.len() - 1;
    report.calibration_digests = kept[1..].iter().map(sorted_digest).collect();
    report.notes = notes;
    if report.n_objects == 0 {
        report.notes.push(Note::NoReferenceObjects);
        return Ok(report);
    }
    let by_item: Vec<Vec<Vec<Record<'a>>>> = kept
        .iter()
        .map(|round| reference.values().zip(round.values()).map(|(r, l)| records(r, l)).collect())
        .collect();
    protocol.test(&mut report, by_item, schema);
    Ok(report)
}

fn untested<'a, I: Item<'a>, const N: usize>(
    rounds: &Rounds<'_, I>,
    schema: &ClassSchema,
    protocol: &Protocol<N>,
) -> GoldenReport {
    GoldenReport {
        kind: rounds.kind,
        verdict: Verdict::Inconclusive,
        notes: Vec::new(),
        p_value: None,
        design: Design::SignFlip,
        level: protocol.test.level,
        n_permutations: protocol.test.n_permutations,
        n_images: rounds.reference.len(),
        n_objects: rounds.reference.iter().flat_map(Item::marks).filter(|m| !m.is_crowd()).count(),
        n_calibration: 0,
        statistics: Vec::new(),
        attribution: None,
        reference: LabelTotals::of_items(rounds.reference, schema),
        current: LabelTotals::of_items(rounds.current, schema),
        reference_digest: digest(rounds.reference),
        current_digest: digest(rounds.current),
        calibration_digests: Vec::new(),
    }
}

impl<const N: usize> Protocol<N> {
    /// Tests the records by round (the current one first), item and object.
    fn test(&self, report: &mut GoldenReport, by_item: Vec<Vec<Vec<Record<'_>>>>, schema: &ClassSchema) {
        let sums = Sums {
            rounds: by_item
                .iter()
                .map(|round| round.iter().map(|records| cells(records, &self.list)).collect())
                .collect(),
        };
        let choices = sums.choices(self);
        let sd = choices.standard_deviations();
        let effects: [Effect; N] = std::array::from_fn(|s| sums.effect(s, sd[s], self));
        let t = &self.test;
        let max_t = choices.max_t(&effects.map(|e| e.shrink()), t.level, t.n_permutations, t.seed);
        report.statistics = self.results(&effects, &max_t);
        report.p_value = report.statistics.iter().map(|r| r.p_value).reduce(f64::min);
        self.note_what_is_not_seen(report, &effects, max_t.critical);
        report.verdict = verdict(report);
        report.attribution = name_first(&report.statistics).map(|s| {
            let flat: Vec<Vec<Record<'_>>> =
                by_item.into_iter().map(|r| r.into_iter().flatten().collect()).collect();
            attribute(s, &flat, schema)
        });
    }

    fn results(&self, effects: &[Effect; N], max_t: &MaxT<N>) -> Vec<StatisticResult> {
        let t = &self.test;
        let result = |(s, statistic): (usize, Statistic)| {
            let (e, margin) = (&effects[s], self.margins[s]);
            let is_beyond =
                e.effect.is_some_and(|x| margin < if statistic.is_signed() { x.abs() } else { x });
            StatisticResult {
                statistic,
                current: e.current,
                baseline: e.baseline,
                effect: e.effect,
                interval: e.interval(t.level),
                margin,
                z: max_t.z[s],
                p_value: max_t.p[s],
                min_detectable: e.min_detectable(max_t.critical, t.power),
                sd_round: e.sd_round,
                finding: match (max_t.p[s], is_beyond) {
                    (x, true) if x <= t.level => Finding::Drift,
                    (x, false) if x <= t.level => Finding::Small,
                    (x, true) if x <= t.warn_level => Finding::Suspect,
                    _ => Finding::Quiet,
                },
            }
        };
        self.list.into_iter().enumerate().map(result).collect()
    }

    /// Notes the statistic that is known least relative to its margin, where that is not well enough for a PASS.
    fn note_what_is_not_seen(&self, report: &mut GoldenReport, effects: &[Effect; N], critical: f64) {
        let t = &self.test;
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
            let wanted = t.pass_multiple * row.margin;
            let ratio = row.min_detectable / wanted;
            if 1.0 < ratio && worst.as_ref().is_none_or(|(w, _)| *w < ratio) {
                let images_needed = e.images_needed(wanted, critical, t.power, report.n_images);
                let (statistic, min_detectable) = (row.statistic, row.min_detectable);
                worst =
                    Some((ratio, Note::TooFewImages { statistic, min_detectable, wanted, images_needed }));
            }
        }
        // A set that has seen a drift was large enough.
        if !report.statistics.iter().any(|row| row.finding == Finding::Drift) {
            report.notes.extend(worst.map(|(_, note)| note));
        }
    }
}

fn checked<'r, 'a, I: Item<'a>>(
    name: &str,
    items: &'r [I],
    reference: &Sorted<'_, 'a, I>,
    schema: &ClassSchema,
) -> Result<Sorted<'r, 'a, I>> {
    let round = sorted_round(name, items, schema)?;
    check_same_items(name, &round, reference)?;
    Ok(round)
}

/// Copies carry no information about people; as calibration they would make any honest round look drifted.
fn leave_out_copies<'r, 'a, I: Item<'a>>(
    reference: &Sorted<'_, 'a, I>,
    rounds: &mut Vec<Sorted<'r, 'a, I>>,
    notes: &mut Vec<Note>,
) {
    if is_copy(&rounds[0], reference) {
        notes.push(Note::CopyOfReference);
    }
    let mut kept: Vec<Sorted<'r, 'a, I>> = Vec::with_capacity(rounds.len());
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
/// Labels of another size or place lose IoU, shifted ones are further off, samples left empty miss objects, and small
/// objects missed are objects missed.
fn name_first(rows: &[StatisticResult]) -> Option<Statistic> {
    let strongest = [Finding::Drift, Finding::Suspect, Finding::Small]
        .into_iter()
        .find(|f| rows.iter().any(|r| r.finding == *f))?;
    let found: Vec<&StatisticResult> = rows.iter().filter(|r| r.finding == strongest).collect();
    let has = |s: Statistic| found.iter().any(|r| r.statistic == s);
    let effect = |s: Statistic| rows.iter().find(|r| r.statistic == s).and_then(|r| r.effect).unwrap_or(0.0);
    let margin = rows.iter().find(|r| r.statistic == Statistic::Missed).map_or(0.0, |r| r.margin);
    let only_small = effect(Statistic::Missed) - effect(Statistic::MissedSmall) <= margin;
    let is_shifted = found.iter().any(|r| r.statistic.is_shift());
    let is_consequence = |s: Statistic| match s {
        Statistic::IouLoss => has(Statistic::LogSize) || is_shifted,
        Statistic::SizeLoss => has(Statistic::LogSize),
        Statistic::Distance => is_shifted,
        Statistic::YawError => has(Statistic::Yaw),
        Statistic::Missed => has(Statistic::LeftEmpty) || (only_small && has(Statistic::MissedSmall)),
        Statistic::MissedSmall => has(Statistic::LeftEmpty) || (!only_small && has(Statistic::Missed)),
        _ => false,
    };
    let out = |r: &StatisticResult| if r.statistic.is_signed() { r.z.abs() } else { r.z };
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
