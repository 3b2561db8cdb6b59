use std::collections::BTreeSet;

use labelloop_core::{LabelledCuboid, SampleId, SliceKind, Split};
use labelloop_dataset::{Dataset, HUMAN_LABELS};
use labelloop_qa::{
    AgreementParams, ChartSignal, CuboidGoldenParams, GoldenChart, GoldenImage, GoldenReport, HistoryEntry,
    MapCeiling, NoiseCeiling, Verdict, earlier_rounds, golden_check, golden_check_cuboids, label_digest,
    noise_ceiling,
};
use serde::{Deserialize, Serialize};

use super::annotate::{simulate, simulate_cuboids};
use super::golden::{
    FIRST_VERSION, GoldenLabels, GoldenScans, golden_history, images, labelled_reference, scans,
    whole_reference,
};
use super::{Context, Outcome, calibration, chart, clouds};
use crate::annotate::{ErrorRates, label_picture, label_scan};
use crate::config::OnFail;
use crate::event::Event;
use crate::{LoopError, Result, files};

/// What golden QA leaves on disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QaRecord {
    /// Iteration of the round.
    pub iteration: u32,
    /// The report of the round that was accepted; absent where no golden labels came back.
    pub report: Option<GoldenReport>,
    /// The report of the point clouds of the round, where golden clouds are labelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scans: Option<GoldenReport>,
    /// The last report that made the batch be labelled again, if one did.
    pub refused: Option<GoldenReport>,
    /// Best F1 that labels of this quality let anybody show, at the IoU of the evaluation.
    pub noise_ceiling: Option<f64>,
    /// COCO mAP at IoU .50:.95 of the truth against labels of this quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_ceiling: Option<MapCeiling>,
    /// The same at IoU .50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map50_ceiling: Option<MapCeiling>,
    /// The recorded reason to go on in spite of FAIL.
    pub override_reason: Option<String>,
    /// Iterations whose rounds, labelled by people, served as calibration; none where rounds are simulated.
    #[serde(default)]
    pub calibrated_by: Vec<u32>,
    /// Version of the golden set; absent in records from before versions were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden_version: Option<String>,
    /// Golden pictures that people were shown, where they were mixed into the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_shown: Option<usize>,
    /// Control charts over the rounds of the golden version up to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<GoldenChart>,
}

/// A reason to train in spite of FAIL, kept beside the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QaOverride {
    /// Why.
    pub reason: String,
}

/// Compares this round's golden labels with the reference and refuses to go on when they drifted.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let project = context.project;
    let dataset = project.dataset()?;
    super::label_checks::tell(context, &dataset)?;
    let golden = Golden::of(context, &dataset)?;
    let Some(round) = current_round(context, &dataset, &golden)? else {
        return nothing_came_back(context, &golden);
    };
    let scans = current_scans(context, &dataset)?;
    let checked = check(context, &dataset, &golden, &round, &scans)?;
    tell(context, &checked);
    if !checked.is_failed() {
        return accept(context, &dataset, &golden, &round, checked, None, None);
    }
    if let Some(reason) = override_reason(context)? {
        return accept(context, &dataset, &golden, &round, checked, None, Some(reason));
    }
    match project.config.qa.on_fail {
        OnFail::Stop => refuse(context, &golden, checked),
        OnFail::Relabel if project.config.active_learning.require_human_review => {
            refuse(context, &golden, checked)
        }
        OnFail::Relabel => relabel(context, &dataset, &golden, &checked),
    }
}

/// The golden set as this round has it.
struct Golden {
    /// The version in force; none where no golden sample has reference labels.
    version: Option<String>,
    /// The golden pictures that were mixed into the batch; none where its golden labels come beside it.
    shown: Option<BTreeSet<SampleId>>,
    /// Reference labels of all golden pictures.
    reference: GoldenLabels,
}

impl Golden {
    fn of(context: &Context<'_>, dataset: &Dataset) -> Result<Self> {
        let project = context.project;
        let version = project.golden_version(dataset, context.iteration)?.map(|v| v.version);
        let honeypots = project.honeypots(context.iteration)?;
        let shown = honeypots.map(|h| h.picks.into_iter().map(|p| p.id).collect());
        Ok(Self { version, shown, reference: labelled_reference(project, dataset)? })
    }

    /// Whether a golden picture is looked at in this round by the simulated annotator.
    fn is_shown(&self, id: &SampleId) -> bool {
        self.shown.as_ref().is_none_or(|shown| shown.contains(id))
    }

    /// What a record says of the golden set.
    fn record(&self, iteration: u32) -> QaRecord {
        QaRecord {
            iteration,
            golden_version: self.version.clone(),
            n_shown: self.shown.as_ref().map(BTreeSet::len),
            ..QaRecord::default()
        }
    }

    /// The part of a list of pictures' labels that this round answers for.
    fn part(labels: &GoldenLabels, round: &GoldenLabels) -> GoldenLabels {
        let answered = labels.iter().filter(|(id, _)| round.contains_key(*id));
        answered.map(|(id, boxes)| (id.clone(), boxes.clone())).collect()
    }
}

fn nothing_came_back(context: &Context<'_>, golden: &Golden) -> Result<Outcome> {
    let record = golden.record(context.iteration);
    files::write_json(&context.project.layout.qa(context.iteration), &record)?;
    let summary = match &golden.shown {
        Some(shown) => format!(
            "none of the {} golden pictures in the batch came back labelled: drift cannot be seen",
            shown.len()
        ),
        None => "no golden labels came back in this round: drift cannot be seen".to_owned(),
    };
    context.observer.event(&Event::Golden { verdict: "INCONCLUSIVE".to_owned(), p: None, summary });
    Ok(Outcome::Next)
}

/// A round's report and the iterations that calibrated it.
struct Checked {
    report: GoldenReport,
    scans: Option<GoldenReport>,
    calibrated_by: Vec<u32>,
    /// The round as the history keeps it.
    entry: HistoryEntry,
    chart: GoldenChart,
}

impl Checked {
    /// Pictures and point clouds are labelled by the same people: either that drifts stops the batch, and so does a drift
    /// that only several rounds together show.
    fn is_failed(&self) -> bool {
        self.failed().is_some() || self.drift().is_some()
    }

    /// Why the batch is stopped, in one line.
    fn reason(&self) -> String {
        match (self.failed(), self.drift()) {
            (None, Some(drift)) => drift.to_string(),
            _ => headline(self.decisive()),
        }
    }

    /// The slow drift that the charts show in this round.
    fn drift(&self) -> Option<&ChartSignal> {
        self.chart.drift_of(self.entry.iteration)
    }

    fn failed(&self) -> Option<&GoldenReport> {
        let reports = std::iter::once(&self.report).chain(&self.scans);
        reports.into_iter().find(|r| r.verdict == Verdict::Fail)
    }

    /// The report that failed, or that of the pictures.
    fn decisive(&self) -> &GoldenReport {
        self.failed().unwrap_or(&self.report)
    }
}

fn refuse(context: &Context<'_>, golden: &Golden, checked: Checked) -> Result<Outcome> {
    let error = LoopError::GoldenGate {
        iteration: context.iteration,
        verdict: Verdict::Fail.to_string(),
        reason: checked.reason(),
    };
    let record = QaRecord {
        report: Some(checked.report),
        scans: checked.scans,
        calibrated_by: checked.calibrated_by,
        chart: Some(checked.chart),
        ..golden.record(context.iteration)
    };
    files::write_json(&context.project.layout.qa(context.iteration), &record)?;
    Err(error)
}

/// The batch goes back to a corrected team: same pictures, base error rates, golden set labelled again as well.
fn relabel(context: &Context<'_>, dataset: &Dataset, golden: &Golden, refused: &Checked) -> Result<Outcome> {
    let (reason, refused) = (refused.reason(), refused.decisive().clone());
    let project = context.project;
    let rates = project.config.annotator.clone().unwrap_or_default().rates;
    project.commit_once(&context.key("relabel"), |d| {
        let labels = simulate(context, d, rates, "relabel")?;
        d.finish_batch(context.iteration, labels, HUMAN_LABELS, "simulated")?;
        let cuboids = simulate_cuboids(context, d, rates, "relabel")?;
        d.finish_batch_cuboids(context.iteration, cuboids, HUMAN_LABELS, "simulated")?;
        Ok(())
    })?;
    context.observer.event(&Event::Relabelled { reason });
    let round = simulated_round(context, dataset, golden, rates, &format!("{}/again", context.iteration));
    let scans = simulated_scans(context, dataset, rates, &format!("{}/again", context.iteration))?;
    let checked = check(context, dataset, golden, &round, &scans)?;
    tell(context, &checked);
    if checked.is_failed() {
        return refuse(context, golden, checked);
    }
    accept(context, dataset, golden, &round, checked, Some(refused), None)
}

fn accept(
    context: &Context<'_>,
    dataset: &Dataset,
    golden: &Golden,
    round: &GoldenLabels,
    checked: Checked,
    refused: Option<GoldenReport>,
    override_reason: Option<String>,
) -> Result<Outcome> {
    let Checked { report, scans, calibrated_by, entry, chart } = checked;
    let layout = &context.project.layout;
    // A round that failed says how bad these labels are, and nothing of how good a detector can look against sound ones.
    let ceiling = match override_reason {
        None => Some(ceiling(context, dataset, golden, round)?),
        Some(_) => None,
    };
    let refused = match refused {
        None => refused_before(context, &report)?,
        again => again,
    };
    let path = layout.golden_history();
    let mut history = golden_history(context.project)?;
    history.upsert(entry)?;
    files::write_json(&path, &history)?;
    files::write_json(&layout.golden_chart(), &chart)?;
    let record = QaRecord {
        report: Some(report),
        scans,
        refused,
        noise_ceiling: ceiling.as_ref().and_then(|c| c.f1),
        map_ceiling: ceiling.as_ref().and_then(|c| c.map),
        map50_ceiling: ceiling.as_ref().and_then(|c| c.map50),
        override_reason,
        calibrated_by,
        chart: Some(chart),
        ..golden.record(context.iteration)
    };
    files::write_json(&layout.qa(context.iteration), &record)?;
    Ok(Outcome::Next)
}

/// The score that nobody can beat against labels made like those of this round.
fn ceiling(
    context: &Context<'_>,
    dataset: &Dataset,
    golden: &Golden,
    round: &GoldenLabels,
) -> Result<NoiseCeiling> {
    let reference = Golden::part(&golden.reference, round);
    let params = AgreementParams {
        iou_threshold: context.project.config.evaluation.iou,
        ..AgreementParams::default()
    };
    let (reference, round) = (images(dataset, &reference), images(dataset, round));
    Ok(noise_ceiling(&reference, &round, dataset.schema(), &params)?)
}

/// The report of other labels of this iteration that were refused, from the record that this round's will replace.
fn refused_before(context: &Context<'_>, report: &GoldenReport) -> Result<Option<GoldenReport>> {
    let path = context.project.layout.qa(context.iteration);
    if !path.exists() {
        return Ok(None);
    }
    let record: QaRecord = files::read_json(&path)?;
    let is_refused =
        |r: &GoldenReport| r.verdict == Verdict::Fail && r.current_digest != report.current_digest;
    Ok(record.report.filter(is_refused).or(record.refused))
}

/// Compares the pictures that came back with their part of the reference and with their earlier labellings. Pictures that
/// cannot be compared, and pictures that were shown and did not come back, are named in the report.
fn check(
    context: &Context<'_>,
    dataset: &Dataset,
    golden: &Golden,
    round: &GoldenLabels,
    scan_round: &GoldenScans,
) -> Result<Checked> {
    let project = context.project;
    let n_rounds = project.config.qa.calibration_rounds as usize;
    let earlier = earlier(context, dataset, golden)?;
    // Beside the batch the golden set is labelled as a whole: a picture that is missing then is an error.
    let reference = match golden.shown {
        Some(_) => Golden::part(&golden.reference, round),
        None => whole_reference(project, dataset)?,
    };
    let (reference, current) = (images(dataset, &reference), images(dataset, round));
    let rounds: Vec<Vec<_>> = earlier.iter().map(|(_, r)| images(dataset, r)).collect();
    let calibration = earlier_rounds(&current, &rounds, n_rounds);
    let is_compared = |i: &GoldenImage<'_>| !calibration.is_left_out(i.id);
    let mut params = project.config.qa.golden.clone();
    params.seed = context.seed("golden");
    let [reference, current]: [Vec<_>; 2] =
        [reference, current].map(|round| round.into_iter().filter(is_compared).collect());
    let mut report = golden_check(&reference, &calibration.rounds, &current, dataset.schema(), &params)?;
    report.note_left_out(&calibration.left_out);
    if let Some(shown) = &golden.shown {
        let unanswered: Vec<SampleId> = shown.iter().filter(|id| !round.contains_key(*id)).cloned().collect();
        report.note_unanswered(shown.len(), &unanswered);
    }
    let calibrated_by = if project.config.active_learning.require_human_review {
        calibration::used(&earlier, calibration.rounds.len(), &current.iter().map(|i| i.id).collect())
    } else {
        Vec::new()
    };
    let version = golden.version.as_deref().unwrap_or(FIRST_VERSION);
    let entry = HistoryEntry::of(u64::from(context.iteration), version, &report).of_part(
        label_digest(&images(dataset, round)),
        label_digest(&images(dataset, &golden.reference)),
        golden.reference.len(),
    );
    let chart = chart::with_round(context, &entry)?;
    let scans = check_scans(context, dataset, scan_round)?;
    Ok(Checked { report, scans, calibrated_by, entry, chart })
}

/// Good labellings of golden pictures from before, the oldest first: people's, or simulated ones where nobody labels.
fn earlier(context: &Context<'_>, dataset: &Dataset, golden: &Golden) -> Result<Vec<(u32, GoldenLabels)>> {
    let project = context.project;
    if project.config.active_learning.require_human_review {
        return calibration::peoples_rounds(context, dataset, &project.golden_versions()?);
    }
    let rates = project.config.annotator.clone().unwrap_or_default().rates;
    let simulated =
        |k: u32| (k, simulated_round(context, dataset, golden, rates, &format!("calibration/{k}")));
    Ok((0..project.config.qa.calibration_rounds).map(simulated).collect())
}

/// The golden point clouds of this round beside their reference; nothing where there are none. People's earlier rounds of
/// clouds are not kept, so only simulated rounds calibrate.
fn check_scans(
    context: &Context<'_>,
    dataset: &Dataset,
    round: &GoldenScans,
) -> Result<Option<GoldenReport>> {
    if round.is_empty() {
        return Ok(None);
    }
    let project = context.project;
    let reference = shown_scans(context, dataset)?;
    let calibration = if project.config.active_learning.require_human_review {
        Vec::new()
    } else {
        let rates = project.config.annotator.clone().unwrap_or_default().rates;
        (0..project.config.qa.calibration_rounds)
            .map(|k| simulated_scans(context, dataset, rates, &format!("calibration/{k}")))
            .collect::<Result<Vec<_>>>()?
    };
    let calibration: Vec<_> = calibration.iter().map(scans).collect();
    let params = CuboidGoldenParams { seed: context.seed("golden scans"), ..CuboidGoldenParams::default() };
    let report =
        golden_check_cuboids(&scans(&reference), &calibration, &scans(round), dataset.schema(), &params)?;
    Ok(Some(report))
}

/// As [`current_round`], of point clouds; empty where nobody labelled any.
fn current_scans(context: &Context<'_>, dataset: &Dataset) -> Result<GoldenScans> {
    let project = context.project;
    let path = project.layout.golden_scans(context.iteration);
    if project.config.active_learning.require_human_review {
        return if path.exists() { files::read_json(&path) } else { Ok(GoldenScans::new()) };
    }
    let rates = project.config.annotator.clone().unwrap_or_default().rates_at(context.iteration);
    let round = simulated_scans(context, dataset, rates, &context.iteration.to_string())?;
    if !round.is_empty() {
        files::write_json(&path, &round)?;
    }
    Ok(round)
}

/// Golden clouds whose reference this round is compared with: where golden pictures are mixed into the batch, the clouds of
/// their captures.
fn shown_scans(context: &Context<'_>, dataset: &Dataset) -> Result<GoldenScans> {
    let mut reference = clouds::reference(dataset, Split::Golden)?;
    let captures = context.project.honeypot_captures(dataset, context.iteration)?;
    if !captures.is_empty() && !context.project.config.active_learning.require_human_review {
        reference.retain(|id, _| dataset.samples().get(id).is_some_and(|s| captures.contains(&s.capture)));
    }
    Ok(reference)
}

fn simulated_scans(
    context: &Context<'_>,
    dataset: &Dataset,
    rates: ErrorRates,
    name: &str,
) -> Result<GoldenScans> {
    let seed = context.project.seed().stream("golden scans").stream(name);
    let n_classes = dataset.schema().n_classes();
    let label = |(id, truth): (SampleId, Vec<LabelledCuboid>)| {
        let drawn = label_scan(&id, &truth, n_classes, rates, seed);
        (id, drawn)
    };
    Ok(shown_scans(context, dataset)?.into_iter().map(label).collect())
}

/// The round that people labelled, or that the simulated annotator labels with the rates now in force; none where nothing
/// came back.
fn current_round(context: &Context<'_>, dataset: &Dataset, golden: &Golden) -> Result<Option<GoldenLabels>> {
    let project = context.project;
    let path = project.layout.golden_round(context.iteration);
    if project.config.active_learning.require_human_review {
        return if path.exists() { files::read_json(&path).map(Some) } else { Ok(None) };
    }
    let rates = project.config.annotator.clone().unwrap_or_default().rates_at(context.iteration);
    let round = simulated_round(context, dataset, golden, rates, &context.iteration.to_string());
    files::write_json(&path, &round)?;
    Ok(Some(round))
}

fn simulated_round(
    context: &Context<'_>,
    dataset: &Dataset,
    golden: &Golden,
    rates: ErrorRates,
    name: &str,
) -> GoldenLabels {
    let seed = context.project.seed().stream("golden round").stream(name);
    let n_classes = dataset.schema().n_classes();
    let shown = golden.reference.iter().filter(|(id, _)| golden.is_shown(id));
    shown
        .filter_map(|(id, truth)| {
            let size = dataset.samples().get(id)?.size?;
            Some((id.clone(), label_picture(id, truth, size, n_classes, rates, seed)))
        })
        .collect()
}

fn override_reason(context: &Context<'_>) -> Result<Option<String>> {
    let path = context.project.layout.qa_override(context.iteration);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(files::read_json::<QaOverride>(&path)?.reason))
}

/// What the report found, in one line.
fn headline(report: &GoldenReport) -> String {
    let named = report.named().and_then(|s| report.statistic(s));
    let found = named.map(|r| {
        let effect = r.effect.map_or_else(|| "an unknown amount".to_owned(), |e| format!("{e:.3}"));
        format!("{} is off by {effect} (margin {:.3}, p = {:.3})", r.statistic.as_str(), r.margin, r.p_value)
    });
    let notes = || report.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let what = if report.kind == SliceKind::PointCloud { "point clouds" } else { "pictures" };
    let sizes = format!("on {} {what} with {} objects", report.n_images, report.n_objects);
    match found.unwrap_or_else(notes) {
        text if text.is_empty() => sizes,
        text => format!("{sizes}: {text}"),
    }
}

fn tell(context: &Context<'_>, checked: &Checked) {
    for report in std::iter::once(&checked.report).chain(&checked.scans) {
        context.observer.event(&Event::Golden {
            verdict: report.verdict.to_string(),
            p: report.p_value,
            summary: headline(report),
        });
    }
    chart::tell(context, &checked.chart);
}
