//! The loop on small generated scenes: what a user may rely on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod common;

use common::{config, project};
use labelloop_acquire::{BatchPlan, Bucket};
use labelloop_core::{Silent, Split};
use labelloop_dataset::{BoxPolicy, HUMAN_LABELS};
use labelloop_loop::annotate::{AnnotatorParams, ErrorRates};
use labelloop_loop::clouds::CloudEvaluation;
use labelloop_loop::config::OnFail;
use labelloop_loop::history::History;
use labelloop_loop::state::Phase;
use labelloop_loop::{Begin, LoopError, Project, PromptChanges, PromptVersion, QaRecord, Run, final_test};
use labelloop_qa::Verdict;

#[test]
fn a_run_ends_with_a_reason_and_trains_on_the_pool_alone() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &config());
    let phase = Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    assert!(matches!(phase, Phase::Finished { .. }), "{phase:?}");
    let dataset = project.dataset().unwrap();
    assert!(dataset.doctor().is_empty());
    for (id, sample) in dataset.samples() {
        let is_labelled = dataset.boxes(HUMAN_LABELS, id).ok().flatten().is_some();
        assert!(!is_labelled || sample.split == Some(Split::Pool), "{id}");
    }
    // A capture is labelled as a whole: left, right and point cloud share their batch.
    for slices in dataset.captures().values() {
        let batches: std::collections::BTreeSet<_> =
            slices.iter().map(|id| dataset.samples()[*id].batch).collect();
        assert_eq!(batches.len(), 1);
    }
    let again = Run::begin(&project, Begin::Fresh, &Silent).err().unwrap();
    assert!(matches!(again, LoopError::RunExists { .. }));
}

#[test]
fn point_clouds_are_labelled_gated_trained_on_and_scored_beside_the_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &config());
    Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    let dataset = project.dataset().unwrap();
    let found: CloudEvaluation = read(&project.layout.cloud_evaluation(0));
    let labelled = dataset.samples().values().filter(|s| s.batch == Some(0) && s.slice == "pcd").count();
    assert_eq!(found.n_train_scans, labelled, "the captures of the first batch");
    assert!(0 < found.tp && found.tp + found.fn_ == found.n_cuboids, "{found}");
    let missed = found.failures.iter().filter(|f| f.score.is_none()).count();
    assert_eq!((missed, found.failures.len() - missed), (found.fn_, found.fp));
    let last = History::load(&project.layout.history()).unwrap().records().len() as u32 - 1;
    let last: CloudEvaluation = read(&project.layout.cloud_evaluation(last));
    let tagged = |s: &&labelloop_dataset::Sample| s.tags.iter().any(|t| t.as_str() == "failure:cloud_fn");
    let tagged: Vec<_> = dataset.samples().values().filter(tagged).collect();
    assert_eq!(tagged.is_empty(), last.fn_ == 0);
    assert!(tagged.iter().all(|s| s.slice == "pcd" && s.split == Some(Split::Val)));
    let qa: QaRecord = read(&project.layout.qa(0));
    assert_eq!(qa.scans.map(|r| r.kind), Some(labelloop_core::SliceKind::PointCloud));
}

#[test]
fn crops_name_their_parents_and_do_not_come_back_as_samples() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &config());
    Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    let folder = project.layout.error_analysis(0).join("fn_crops");
    let crops: Vec<serde_json::Value> = read(&folder.join("crops.json"));
    let pictures = std::fs::read_dir(&folder).unwrap().count() - 1;
    assert!(!crops.is_empty() && crops.len() == pictures);
    let dataset = project.dataset().unwrap();
    for crop in &crops {
        let parent = labelloop_core::SampleId::new(crop["parent"].as_str().unwrap()).unwrap();
        assert_eq!(dataset.sample(&parent).unwrap().split, Some(Split::Val));
    }
    let copy = |name: &str, bytes: Vec<u8>| {
        std::fs::write(project.media_root().join(name), bytes).unwrap();
        let size = labelloop_core::ImageSize::new(9, 9).unwrap();
        let sample = labelloop_core::SampleRecord::image(name, name, size).unwrap();
        labelloop_core::AnnotationSet {
            schema: dataset.schema().clone(),
            samples: vec![sample],
            extra: labelloop_core::Extra::new(),
        }
    };
    let mut bytes = std::fs::read(folder.join(crops[0]["file"].as_str().unwrap())).unwrap();
    let e = project.import(&copy("more.png", bytes.clone()), BoxPolicy::default()).unwrap_err();
    assert!(e.is_gate() && matches!(e, LoopError::CropOfFrozen { .. }), "{e}");
    assert!(
        e.to_string().contains("more.png") && e.to_string().contains(crops[0]["parent"].as_str().unwrap())
    );
    *bytes.last_mut().unwrap() ^= 1;
    project.import(&copy("another.png", bytes), BoxPolicy::default()).unwrap();
}

#[test]
fn starting_again_at_an_iteration_gives_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &config());
    Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    let first = History::load(&project.layout.history()).unwrap();
    Run::begin(&project, Begin::Iteration(1), &Silent).unwrap().go().unwrap();
    assert_eq!(History::load(&project.layout.history()).unwrap(), first);
    let beyond = Run::begin(&project, Begin::Iteration(9), &Silent).err().unwrap();
    assert!(matches!(beyond, LoopError::StartIteration { found: 9, .. }));
}

#[test]
fn drifted_labels_are_not_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.qa.on_fail = OnFail::Stop;
    // One golden group may be two pictures, in which no drift can be told from chance.
    (config.splits.golden, config.splits.pool) = (0.3, 0.4);
    let drifted = ErrorRates { swap: 0.4, miss: 0.3, ..ErrorRates::default() };
    config.annotator = Some(AnnotatorParams {
        drift: Some(labelloop_loop::annotate::Drift {
            from_iteration: 0,
            until_iteration: 1,
            rates: drifted,
        }),
        ..AnnotatorParams::default()
    });
    let project = project(dir.path(), &config);
    let refused = Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap_err();
    assert!(refused.is_gate(), "{refused}");
    assert!(!project.layout.weights(0).exists());
    // A recorded reason lets it go on.
    std::fs::write(project.layout.qa_override(0), r#"{"reason": "a rehearsal"}"#).unwrap();
    Run::begin(&project, Begin::Resume, &Silent).unwrap().go().unwrap();
    let record: QaRecord = read(&project.layout.qa(0));
    assert_eq!(record.override_reason.as_deref(), Some("a rehearsal"));
    assert_eq!(record.report.unwrap().verdict, Verdict::Fail);
    // Regression: such a ceiling would stop the loop, as if a detector could not do better than labels that failed.
    assert_eq!((record.noise_ceiling, record.map_ceiling), (None, None));
}

#[test]
fn people_are_waited_for_and_their_labels_taken() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.active_learning.require_human_review = true;
    config.active_learning.max_iterations = 1;
    config.annotator = None;
    let project = project(dir.path(), &config);
    let phase = Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    assert_eq!(phase, Phase::AwaitingReview);
    let (mut set, _) = project.read_coco(&project.layout.batch_export(0).join("batch.json")).unwrap();
    assert!(set.samples.iter().all(|s| s.boxes.is_none()), "a batch goes out unlabelled");
    let captures: std::collections::BTreeMap<String, Vec<serde_json::Value>> =
        read(&project.layout.batch_export(0).join("captures.json"));
    assert!(!captures.is_empty());
    for slices in captures.values() {
        let names: Vec<_> = slices.iter().filter_map(|s| s["slice"].as_str()).collect();
        assert_eq!(names, ["left", "pcd", "right"], "a capture goes out as a whole");
    }
    label_in_another_class_order(&project, &mut set);
    let waiting = Run::begin(&project, Begin::Resume, &Silent).unwrap().go().unwrap();
    assert_eq!(waiting, Phase::AwaitingReview, "nothing came back yet");
    project.import_batch(0, &set, "anna").unwrap();
    let dataset = project.dataset().unwrap();
    for (id, sample) in dataset.samples().iter().filter(|(_, s)| s.batch == Some(0) && s.size.is_some()) {
        let classes = |field| {
            let boxes = dataset.boxes(field, id).unwrap().unwrap();
            boxes.iter().map(|b| b.class).collect::<Vec<_>>()
        };
        assert_eq!(classes(HUMAN_LABELS), classes(labelloop_dataset::GROUND_TRUTH), "{}", sample.file_name);
    }
    let phase = Run::begin(&project, Begin::Resume, &Silent).unwrap().go().unwrap();
    assert!(matches!(phase, Phase::Finished { .. }), "{phase:?}");
}

#[test]
fn what_people_labelled_before_calibrates_golden_qa() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.active_learning.require_human_review = true;
    config.annotator = None;
    // Fourteen groups leave few golden pictures; the round must be able to pass.
    config.qa.golden.pass_multiple = 1e6;
    let project = project(dir.path(), &config);
    for iteration in [0, 1] {
        let phase = Run::begin(&project, Begin::Resume, &Silent).unwrap().go().unwrap();
        assert_eq!(phase, Phase::AwaitingReview);
        let (mut set, _) =
            project.read_coco(&project.layout.batch_export(iteration).join("batch.json")).unwrap();
        label_in_another_class_order(&project, &mut set);
        project.import_batch(iteration, &set, "anna").unwrap();
        project.import_golden(iteration, &golden_drawn_again(&project, iteration)).unwrap();
    }
    let phase = Run::begin(&project, Begin::Resume, &Silent).unwrap().go().unwrap();
    assert!(matches!(phase, Phase::Finished { .. }), "{phase:?}");
    let [first, second]: [QaRecord; 2] = [0, 1].map(|i| read(&project.layout.qa(i)));
    let report = first.report.unwrap();
    assert_eq!((report.verdict, report.n_calibration), (Verdict::Pass, 0), "{report}");
    assert_eq!(first.calibrated_by, [0; 0]);
    assert_eq!((second.calibrated_by, second.report.unwrap().n_calibration), (vec![0], 1));
}

#[test]
fn coverage_gain_and_descriptions_are_kept_by_iteration() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &config());
    Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    for iteration in [0, 1] {
        let dataset = project.dataset().unwrap();
        let name = format!("zcore@{iteration}");
        let scores = dataset.scores(&name).unwrap();
        let plan: BatchPlan = read(&project.layout.batch(iteration));
        let mut covering = plan.of(Bucket::Coverage).peekable();
        assert!(covering.peek().is_some());
        assert!(covering.all(|p| scores[&p.id] == p.score), "a pick's score is its sample's");
        assert!(plan.len() < scores.len(), "those that were not picked have a score as well");
        let made_with = dataset.scores_made_with(&name).unwrap().unwrap();
        assert_eq!(
            (&made_with["params"]["n_draws"], &made_with["params"]["seed"]),
            (&300.into(), &plan.picks[0].seed.into())
        );
    }
    let records = History::load(&project.layout.history()).unwrap().records();
    assert_eq!(records[0].gain, None);
    let gain = records[1].gain.unwrap();
    let by_hand = (records[1].f1.unwrap() - records[0].f1.unwrap()) * 100.0
        / (records[1].n_boxes as f64 - records[0].n_boxes as f64);
    assert!((gain.per_100_boxes - by_hand).abs() < 1e-9, "{gain}: {by_hand}");
    let changes: PromptChanges = read(&project.layout.prompt_changes(1));
    assert_eq!(changes.previous, Some(0));
    let described: PromptVersion = read(&project.layout.prompt_version(1));
    assert_eq!(described.classes.len(), project.schema().n_classes());
    // Starting again forgets what came later, and leaves the same again.
    let mut again = Run::begin(&project, Begin::Iteration(1), &Silent).unwrap();
    assert!(!project.layout.prompt_version(1).exists() && !project.layout.prompt_changes(1).exists());
    assert!(project.dataset().unwrap().scores("zcore@1").is_err());
    again.go().unwrap();
    assert_eq!(read::<PromptChanges>(&project.layout.prompt_changes(1)), changes);
}

fn read<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_test_set_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &config());
    Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    let report = final_test(&project, "release").unwrap();
    assert_eq!(final_test(&project, "release").unwrap(), report, "the same look again is the same look");
    let second = final_test(&project, "another look").unwrap_err();
    assert!(second.is_gate(), "{second}");
    assert!(final_test(&project, " ").is_err());
}

#[test]
fn an_outside_trainer_is_fed_and_heard() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.active_learning.max_iterations = 1;
    config.training.kind = labelloop_loop::config::TrainerKind::Command;
    // This trainer finds nothing; it proves the road there and back.
    let script =
        "test -s {data_yaml} && find {train_dir} -name '*.txt' | grep -q txt && printf '[]' > {output}";
    config.training.command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let project = project(dir.path(), &config);
    Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    let records = History::load(&project.layout.history()).unwrap().records();
    assert_eq!((records[0].tp, records[0].f1), (0, Some(0.0)));
}

#[test]
fn an_outside_trainer_that_fails_halts_the_run_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.active_learning.max_iterations = 1;
    config.training.kind = labelloop_loop::config::TrainerKind::Command;
    config.training.command = ["sh", "-c", "echo no memory >&2; exit 7"].map(str::to_owned).to_vec();
    let project = project(dir.path(), &config);
    let failed = Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap_err().to_string();
    assert!(failed.contains('7') && failed.contains("no memory"), "{failed}");
    let resumed = Run::begin(&project, Begin::Resume, &Silent).unwrap();
    assert_eq!(resumed.state().step, labelloop_loop::state::Step::Train);
}

/// Labels a batch as a tool would give it back: pictures named by file, classes in an order of its own.
fn label_in_another_class_order(project: &Project, set: &mut labelloop_core::AnnotationSet) {
    let dataset = project.dataset().unwrap();
    let names = dataset.schema().names();
    let last = names.len() as u32 - 1;
    set.schema = labelloop_core::ClassSchema::new(names.iter().rev().cloned()).unwrap();
    for sample in &mut set.samples {
        let known = dataset.samples().values().find(|s| s.file_name == sample.file_name).unwrap();
        let mut boxes = dataset.boxes(labelloop_dataset::GROUND_TRUTH, &known.id).unwrap().unwrap().to_vec();
        for b in &mut boxes {
            b.class = labelloop_core::ClassIdx(last - b.class.0);
        }
        sample.boxes = Some(boxes);
    }
}

/// The golden set as careful people draw it again: every box a third of a pixel off, to any side.
fn golden_drawn_again(project: &Project, round: u32) -> labelloop_core::AnnotationSet {
    let dataset = project.dataset().unwrap();
    let golden = project.pictures_of(&dataset, Split::Golden).unwrap();
    let mut set = dataset.annotation_set(labelloop_dataset::GROUND_TRUTH, golden.into_keys()).unwrap();
    let hand = labelloop_core::Seed::new(u64::from(round));
    for (i, b) in (0u64..).zip(set.samples.iter_mut().filter_map(|s| s.boxes.as_mut()).flatten()) {
        let [x, y, width, height] = b.bbox.to_xywh();
        let off = |axis| 0.3 * hand.normal(2 * i + axis);
        b.bbox = labelloop_core::BBox::new(x + off(0), y + off(1), width, height).unwrap();
    }
    set
}

#[test]
fn a_drift_that_only_rounds_together_show_stops_the_batch() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.active_learning.require_human_review = true;
    config.annotator = None;
    // The check by itself is to find nothing in the few golden pictures.
    (config.qa.golden.level, config.qa.golden.pass_multiple) = (0.002, 1e6);
    config.qa.golden.n_permutations = 999;
    let project = project(dir.path(), &config);
    for iteration in [0, 1] {
        Run::begin(&project, Begin::Resume, &Silent).unwrap().go().unwrap();
        let (mut set, _) =
            project.read_coco(&project.layout.batch_export(iteration).join("batch.json")).unwrap();
        label_in_another_class_order(&project, &mut set);
        project.import_batch(iteration, &set, "anna").unwrap();
        let mut golden = golden_drawn_again(&project, iteration);
        if iteration == 1 {
            plant_rounds(&project);
            move_right(&mut golden, 0.1);
        }
        project.import_golden(iteration, &golden).unwrap();
    }
    let refused = Run::begin(&project, Begin::Resume, &Silent).unwrap().go().unwrap_err();
    let words = refused.to_string();
    assert!(refused.is_gate() && words.contains("CUSUM: shift_x up"), "{words}");
    let record: QaRecord = read(&project.layout.qa(1));
    assert_ne!(record.report.unwrap().verdict, Verdict::Fail);
    assert!(record.chart.unwrap().drift_of(1).is_some());
    // A recorded reason lets it go on, as for any FAIL.
    std::fs::write(project.layout.qa_override(1), r#"{"reason": "a rehearsal"}"#).unwrap();
    Run::begin(&project, Begin::Resume, &Silent).unwrap().go().unwrap();
    let chart: labelloop_qa::GoldenChart = read(&project.layout.golden_chart());
    assert_eq!(chart.points.last().map(|p| p.iteration), Some(1));
}

/// Puts a good round before the first one and one drawn too far right after it into the history of golden checks.
fn plant_rounds(project: &Project) {
    let path = project.layout.golden_history();
    let mut entries: Vec<labelloop_qa::HistoryEntry> = read(&path);
    for (digest, shift) in [("! good", 0.0), ("~ to the right", 0.1)] {
        let mut planted = entries[0].clone();
        planted.label_digest = digest.to_owned();
        planted.calibration_digests = ["a", "b", "c"].map(str::to_owned).to_vec();
        (planted.totals.n_images, planted.n_golden) = (100, None);
        for row in &mut planted.statistics {
            let is_shift = row.statistic == labelloop_qa::Statistic::ShiftX;
            (row.baseline, row.sd_round) = (row.current, 0.002);
            row.current = row.current.map(|x| if is_shift { x + shift } else { x });
        }
        entries.push(planted);
    }
    std::fs::write(&path, serde_json::to_vec(&entries).unwrap()).unwrap();
}

/// Moves every box by a share of its width.
fn move_right(set: &mut labelloop_core::AnnotationSet, by: f64) {
    for b in set.samples.iter_mut().filter_map(|s| s.boxes.as_mut()).flatten() {
        let [x, y, width, height] = b.bbox.to_xywh();
        b.bbox = labelloop_core::BBox::new(x + by * width, y, width, height).unwrap();
    }
}
