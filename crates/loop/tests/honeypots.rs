//! Golden pictures in batches: they go out like any other, and what comes back of them never becomes training data.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use common::{config, project};
use labelloop_core::{AnnotationSet, BBox, ClassIdx, LabelledBox, SampleId, Seed, Silent, SliceKind, Split};
use labelloop_dataset::{GROUND_TRUTH, HUMAN_LABELS, Status};
use labelloop_formats::coco;
use labelloop_loop::state::Phase;
use labelloop_loop::{Begin, GoldenLabels, LabelsBack, LoopConfig, LoopError, Project, QaRecord, Run};
use labelloop_qa::{GoldenVersions, Note, Statistic, Verdict};

/// People label, `n` golden pictures go along, and three tenths of the groups are golden.
fn with_people(n: Option<usize>) -> LoopConfig {
    let mut config = config();
    config.active_learning.require_human_review = true;
    config.active_learning.max_iterations = 5;
    config.annotator = None;
    config.qa.honeypots = n;
    // A round of a few pictures must be able to pass.
    config.qa.golden.pass_multiple = 1e6;
    (config.splits.golden, config.splits.pool) = (0.3, 0.4);
    config
}

fn go(project: &Project) -> Result<Phase, LoopError> {
    Run::begin(project, Begin::Resume, &Silent).unwrap().go()
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn round(project: &Project, iteration: u32) -> GoldenLabels {
    read(&project.layout.golden_round(iteration))
}

fn shown(project: &Project, iteration: u32) -> BTreeSet<SampleId> {
    project.honeypots(iteration).unwrap().unwrap().picks.into_iter().map(|p| p.id).collect()
}

/// What a person draws who sees a picture: the given labels, a little off, of the wrong class as often as said.
fn drawn(project: &Project, id: &SampleId, round: u32, swap: f64) -> Vec<LabelledBox> {
    let dataset = project.dataset().unwrap();
    let hand = Seed::new(u64::from(round)).stream(id.as_str());
    let n_classes = dataset.schema().n_classes() as u32;
    let mut boxes = dataset.boxes(GROUND_TRUTH, id).unwrap().unwrap().to_vec();
    for (i, b) in (0u64..).zip(&mut boxes) {
        let [x, y, width, height] = b.bbox.to_xywh();
        let off = |axis| 0.3 * hand.normal(2 * i + axis);
        b.bbox = BBox::new(x + off(0), y + off(1), width, height).unwrap();
        if hand.stream("swap").unit(i) < swap {
            b.class = ClassIdx((b.class.0 + 1) % n_classes);
        }
    }
    boxes
}

/// The exported batch of an iteration, labelled by a person of this name; pictures that `skips` names stay unlabelled.
fn labelled(
    project: &Project,
    iteration: u32,
    swap: f64,
    skips: &dyn Fn(&SampleId) -> bool,
) -> AnnotationSet {
    let out = project.layout.batch_export(iteration).join("batch.json");
    let (mut set, _) = project.read_coco(&out).unwrap();
    assert!(set.samples.iter().all(|s| s.boxes.is_none()), "a batch goes out unlabelled");
    let dataset = project.dataset().unwrap();
    for sample in &mut set.samples {
        let known = dataset.samples().values().find(|s| s.file_name == sample.file_name).unwrap();
        if !skips(&known.id) {
            sample.boxes = Some(drawn(project, &known.id, iteration, swap));
        }
    }
    set
}

fn write(project: &Project, set: &AnnotationSet) -> PathBuf {
    let path = project.layout.root().join("back.json");
    coco::write(&path, set, &coco::WriteOptions::default()).unwrap();
    path
}

fn take(project: &Project, iteration: u32, set: &AnnotationSet, by: &str) -> labelloop_loop::CameBack {
    let options = LabelsBack { annotator: by.to_owned(), ..LabelsBack::default() };
    project.take_labels(iteration, &write(project, set), &options).unwrap().0
}

fn assert_nothing_golden_is_trained_on(project: &Project) {
    let dataset = project.dataset().unwrap();
    assert!(dataset.doctor().is_empty());
    for (id, sample) in dataset.samples() {
        if sample.split == Some(Split::Golden) {
            assert!(dataset.boxes(HUMAN_LABELS, id).ok().flatten().is_none(), "{id}");
            assert_eq!((sample.batch, sample.status), (None, Status::Frozen), "{id}");
            assert!(!dataset.training_ids().ids().contains(id), "{id}");
            assert!(dataset.training_gate([id]).is_err(), "{id}");
        }
    }
}

#[test]
fn golden_pictures_go_out_with_the_batch_and_their_answers_come_to_golden_qa() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &with_people(None));
    assert_eq!(go(&project).unwrap(), Phase::AwaitingReview);
    let dataset = project.dataset().unwrap();
    let golden: BTreeSet<SampleId> =
        project.pictures_of(&dataset, Split::Golden).unwrap().into_keys().cloned().collect();
    assert_eq!(shown(&project, 0), golden, "all of the golden set where nothing else is said");
    let out = project.handed_out(&dataset, 0).unwrap();
    assert_eq!(project.waiting(0).unwrap().len(), out.len());
    let n_pictures = out.iter().filter(|s| s.kind == SliceKind::Image).count();

    let set = labelled(&project, 0, 0.0, &|_| false);
    assert_eq!(set.samples.len(), n_pictures);
    let came = take(&project, 0, &set, "anna");
    assert_eq!((came.n_taken, came.n_golden), (n_pictures, golden.len()));
    assert_eq!(came.annotators, [("anna".to_owned(), n_pictures)].into());
    let found = round(&project, 0);
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), golden);
    assert!(found.values().flatten().all(|b| b.annotator.as_deref() == Some("anna")));
    assert_nothing_golden_is_trained_on(&project);
    assert!(project.waiting(0).unwrap().is_empty());

    let (n_generations, bytes) = (project.dir().generations().unwrap().len(), found);
    assert!(take(&project, 0, &set, "anna").is_known);
    assert_eq!(
        project.dir().generations().unwrap().len(),
        n_generations,
        "the same file again changes nothing"
    );
    assert_eq!(round(&project, 0), bytes);

    assert_eq!(go(&project).unwrap(), Phase::AwaitingReview, "on to the next batch");
    let qa: QaRecord = read(&project.layout.qa(0));
    let report = qa.report.unwrap();
    assert_eq!((report.verdict, report.n_images), (Verdict::Pass, golden.len()), "{report}");
    assert_eq!((qa.golden_version.as_deref(), qa.n_shown), (Some("1"), Some(golden.len())));
    assert_nothing_golden_is_trained_on(&project);
}

#[test]
fn drift_in_the_batch_is_seen_on_its_honeypots_and_named_with_its_annotator() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &with_people(None));
    go(&project).unwrap();
    take(&project, 0, &labelled(&project, 0, 0.0, &|_| false), "anna");
    go(&project).unwrap();
    take(&project, 1, &labelled(&project, 1, 0.5, &|_| false), "bob");
    let refused = go(&project).unwrap_err();
    assert!(matches!(refused, LoopError::GoldenGate { .. }) && refused.is_gate(), "{refused}");
    assert!(!project.layout.weights(1).exists());
    let qa: QaRecord = read(&project.layout.qa(1));
    let report = qa.report.unwrap();
    assert_eq!((report.verdict, report.named()), (Verdict::Fail, Some(Statistic::WrongClass)), "{report}");
    assert_eq!(report.attribution.unwrap().annotators[0].name, "bob");
    assert_eq!(qa.calibrated_by, [0]);
    // Mended labels of the same batch let it go on.
    take(&project, 1, &labelled(&project, 1, 0.0, &|_| false), "bob");
    assert_eq!(go(&project).unwrap(), Phase::AwaitingReview);
    assert_nothing_golden_is_trained_on(&project);
}

#[test]
fn parts_take_turns_and_calibrate_by_picture() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = with_people(Some(15));
    config.active_learning.max_iterations = 4;
    let project = project(dir.path(), &config);
    let mut seen: BTreeMap<SampleId, usize> = BTreeMap::new();
    let n_golden = {
        let dataset = project.dataset().unwrap();
        project.pictures_of(&dataset, Split::Golden).unwrap().len()
    };
    assert!((16..=30).contains(&n_golden), "{n_golden}: the test wants a second turn");
    for iteration in 0..4 {
        assert_eq!(go(&project).unwrap(), Phase::AwaitingReview);
        let picks = project.honeypots(iteration).unwrap().unwrap();
        assert_eq!((picks.picks.len(), picks.n_golden), (15, n_golden));
        for id in shown(&project, iteration) {
            *seen.entry(id).or_default() += 1;
        }
        assert!(seen.len() == n_golden || seen.values().all(|n| *n == 1), "{seen:?}");
        take(&project, iteration, &labelled(&project, iteration, 0.0, &|_| false), "anna");
        assert_eq!(round(&project, iteration).len(), 15);
    }
    assert!(matches!(go(&project).unwrap(), Phase::Finished { .. }));
    let records: Vec<QaRecord> = (0..4).map(|i| read(&project.layout.qa(i))).collect();
    assert_eq!(records[0].report.as_ref().unwrap().n_calibration, 0);
    let calibrated = records.iter().filter(|r| !r.calibrated_by.is_empty()).count();
    assert!(0 < calibrated, "the second turn is compared with the first: {records:?}");
    // Each part is of one reference: nothing looks edited.
    let history: Vec<serde_json::Value> = read(&project.layout.golden_history());
    let references: BTreeSet<&str> =
        history.iter().map(|e| e["reference_digest"].as_str().unwrap()).collect();
    assert_eq!((history.len(), references.len()), (4, 1));
    assert!(history.iter().all(|e| e["n_golden"] == n_golden));
}

#[test]
fn who_does_not_answer_for_most_of_them_does_not_pass() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &with_people(None));
    go(&project).unwrap();
    let golden = shown(&project, 0);
    let answered: BTreeSet<SampleId> = golden.iter().take(2).cloned().collect();
    let skips = |id: &SampleId| golden.contains(id) && !answered.contains(id);
    let came = take(&project, 0, &labelled(&project, 0, 0.0, &skips), "anna");
    assert_eq!(came.n_golden, 2);
    go(&project).unwrap();
    let qa: QaRecord = read(&project.layout.qa(0));
    let report = qa.report.unwrap();
    assert_eq!((report.verdict, report.n_images), (Verdict::Inconclusive, 2), "{report}");
    let missing = report.notes.iter().find_map(|n| match n {
        Note::Unanswered { n_shown, samples } => Some((*n_shown, samples.len())),
        _ => None,
    });
    assert_eq!(missing, Some((golden.len(), golden.len() - 2)));

    // Nobody answered for any of them: the round is INCONCLUSIVE as well, and says so.
    let all = shown(&project, 1);
    take(&project, 1, &labelled(&project, 1, 0.0, &|id| all.contains(id)), "anna");
    go(&project).unwrap();
    let qa: QaRecord = read(&project.layout.qa(1));
    assert_eq!((qa.report, qa.n_shown), (None, Some(all.len())));
}

#[test]
fn labels_come_in_two_files_and_the_second_adds_to_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &with_people(Some(4)));
    go(&project).unwrap();
    let golden: Vec<SampleId> = shown(&project, 0).into_iter().collect();
    let all = labelled(&project, 0, 0.0, &|_| false);
    let part = |of: &dyn Fn(&str) -> bool| {
        let mut set = all.clone();
        set.samples.retain(|s| of(&s.file_name));
        set
    };
    let file_of = |id: &SampleId| project.dataset().unwrap().samples()[id].file_name.clone();
    let first: BTreeSet<String> = golden[..2].iter().map(file_of).collect();
    take(&project, 0, &part(&|f| first.contains(f)), "anna");
    assert_eq!(round(&project, 0).len(), 2);
    take(&project, 0, &part(&|f| !first.contains(f)), "bob");
    let found = round(&project, 0);
    let who = |id: &SampleId| found[id].first().and_then(|b| b.annotator.clone());
    assert_eq!(found.len(), 4);
    assert!(golden[..2].iter().all(|id| who(id).is_none_or(|w| w == "anna")));
    assert!(golden[2..].iter().all(|id| who(id).is_none_or(|w| w == "bob")));
}

#[test]
fn a_batch_without_honeypots_is_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &with_people(Some(0)));
    go(&project).unwrap();
    assert_eq!(project.honeypots(0).unwrap(), None);
    let dataset = project.dataset().unwrap();
    assert!(project.handed_out(&dataset, 0).unwrap().iter().all(|s| s.batch == Some(0)));
    // A golden picture that was not shown does not belong to the batch.
    let mut set = labelled(&project, 0, 0.0, &|_| false);
    let golden = project.pictures_of(&dataset, Split::Golden).unwrap();
    let stranger = golden.keys().next().copied().unwrap();
    let mut record = dataset.samples()[stranger].to_record();
    record.boxes = Some(vec![]);
    set.samples.push(record);
    let refused = project.take_labels(0, &write(&project, &set), &LabelsBack::default()).unwrap_err();
    assert!(refused.to_string().contains("not in batch 0"), "{refused}");
}

#[test]
fn the_simulated_annotator_labels_what_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.qa.honeypots = Some(3);
    (config.splits.golden, config.splits.pool) = (0.3, 0.4);
    let project = project(dir.path(), &config);
    assert!(matches!(go(&project).unwrap(), Phase::Finished { .. }));
    for iteration in [0, 1] {
        let found: BTreeSet<SampleId> = round(&project, iteration).into_keys().collect();
        assert_eq!((found.len(), &found), (3, &shown(&project, iteration)));
        let qa: QaRecord = read(&project.layout.qa(iteration));
        let report = qa.report.unwrap();
        assert_eq!((report.n_images, report.n_calibration), (3, 3), "{report}");
        assert_eq!(qa.scans.unwrap().n_images, 3, "the clouds of the same captures");
    }
    assert!(shown(&project, 0).is_disjoint(&shown(&project, 1)), "the others are next");
    assert_nothing_golden_is_trained_on(&project);
}

#[test]
fn an_edited_reference_halts_until_a_version_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &with_people(None));
    for iteration in 0..2 {
        go(&project).unwrap();
        take(&project, iteration, &labelled(&project, iteration, 0.0, &|_| false), "anna");
    }
    go(&project).unwrap();
    let edited = shown(&project, 0).into_iter().find(|id| !drawn(&project, id, 9, 0.0).is_empty()).unwrap();
    take(&project, 2, &labelled(&project, 2, 0.0, &|_| false), "anna");
    let correct = |set_boxes: Vec<LabelledBox>| {
        project.commit("a correction", |d| Ok(d.set_boxes(GROUND_TRUTH, &edited, set_boxes)?)).unwrap();
    };
    let before = project.dataset().unwrap().boxes(GROUND_TRUTH, &edited).unwrap().unwrap().to_vec();
    correct(before[1..].to_vec());
    let refused = go(&project).unwrap_err();
    let words = refused.to_string();
    assert!(matches!(refused, LoopError::GoldenEdited { .. }) && refused.is_gate(), "{words}");
    for part in ["version 1", "1 edited", edited.as_str(), "labelloop qa version --reason"] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert!(project.new_golden_version(" ", None).is_err());
    let made = project.new_golden_version("one box was a poster", None).unwrap();
    assert_eq!((made.version.as_str(), made.from_iteration), ("2", 2));
    assert_eq!(made.changes.edited, std::slice::from_ref(&edited));
    assert!(project.new_golden_version("once more", None).is_err(), "nothing differs");
    go(&project).unwrap();
    let qa: QaRecord = read(&project.layout.qa(2));
    let report = qa.report.unwrap();
    assert_eq!((qa.golden_version.as_deref(), qa.calibrated_by.as_slice()), (Some("2"), &[0, 1][..]));
    // Earlier labellings calibrate, but not those of the picture whose yardstick was wrong.
    let left_out = report.notes.iter().find_map(|n| match n {
        Note::LeftOut { samples } => Some(samples.clone()),
        _ => None,
    });
    assert_eq!((report.n_calibration, left_out), (2, Some(vec![edited])), "{report}");
    // A run that is taken back to before the correction has the version of then.
    Run::begin(&project, Begin::Iteration(1), &Silent).unwrap();
    let versions: GoldenVersions = read(&project.layout.golden_versions());
    assert_eq!(versions.list().len(), 1);
}

#[test]
fn corrected_labels_come_by_a_file_and_make_a_version_in_one_go() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &with_people(None));
    go(&project).unwrap();
    let dataset = project.dataset().unwrap();
    let set_of = |id: &SampleId| {
        let mut set = dataset.annotation_set(GROUND_TRUTH, [id]).unwrap();
        set.samples[0].boxes = Some(vec![]);
        set
    };
    let pool =
        dataset.unlabeled_pool().ids().iter().find(|id| dataset.samples()[*id].size.is_some()).cloned();
    let n_generations = project.dir().generations().unwrap().len();
    let refused = project.new_golden_version("a slip", Some(&set_of(&pool.unwrap()))).unwrap_err();
    assert!(matches!(refused, LoopError::NotGolden { .. }), "{refused}");
    assert_eq!(project.dir().generations().unwrap().len(), n_generations);
    let golden = shown(&project, 0).into_iter().find(|id| !drawn(&project, id, 9, 0.0).is_empty()).unwrap();
    let made = project.new_golden_version("nothing is there", Some(&set_of(&golden))).unwrap();
    assert_eq!((made.version.as_str(), &made.changes.edited), ("2", &vec![golden.clone()]));
    assert!(project.dataset().unwrap().boxes(GROUND_TRUTH, &golden).unwrap().unwrap().is_empty());
}

#[test]
fn a_project_without_reference_labels_selects_and_hands_out_without_honeypots() {
    let dir = tempfile::tempdir().unwrap();
    let config = with_people(None);
    let full = project(&dir.path().join("full"), &config);
    let dataset = full.dataset().unwrap();
    let readable = dataset.samples().values().filter(|s| s.split != Some(Split::Test));
    let mut set = dataset.annotation_set(GROUND_TRUTH, readable.map(|s| &s.id)).unwrap();
    for record in &mut set.samples {
        (record.boxes, record.cuboids) = (None, None);
    }
    let mut config = config;
    config.project.media = full.media_root();
    let bare = Project::init(&dir.path().join("bare"), &config, &set.schema).unwrap();
    bare.import(&set, Default::default()).unwrap();
    bare.split().unwrap();
    assert_eq!(go(&bare).unwrap(), Phase::AwaitingReview);
    assert_eq!(bare.honeypots(0).unwrap(), None);
    assert!(bare.golden_versions().unwrap().list().is_empty());
    assert!(bare.layout.batch_export(0).join("batch.json").exists());
}

#[test]
fn a_project_from_before_honeypots_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &with_people(None));
    // What an older version left: a batch without honeypots, a round beside it, a history, and no versions.
    let forget = |iteration: u32| {
        std::fs::remove_file(project.layout.honeypots(iteration)).unwrap();
        std::fs::remove_file(project.layout.golden_versions()).unwrap();
    };
    let beside = |iteration: u32| {
        let dataset = project.dataset().unwrap();
        let golden = project.pictures_of(&dataset, Split::Golden).unwrap();
        let mut set = dataset.annotation_set(GROUND_TRUTH, golden.into_keys()).unwrap();
        for sample in &mut set.samples {
            sample.boxes = Some(drawn(&project, &sample.id, iteration, 0.0));
        }
        project.import_golden(iteration, &set).unwrap()
    };
    go(&project).unwrap();
    let mut set = labelled(&project, 0, 0.0, &|_| false);
    let golden = shown(&project, 0);
    forget(0);
    let dataset = project.dataset().unwrap();
    set.samples.retain(|s| dataset.samples().get(&s.id).is_some_and(|s| s.batch == Some(0)));
    assert_eq!(take(&project, 0, &set, "anna").n_golden, 0);
    assert_eq!(beside(0), golden.len());
    go(&project).unwrap();
    let qa: QaRecord = read(&project.layout.qa(0));
    assert_eq!((qa.report.unwrap().verdict, qa.n_shown), (Verdict::Pass, None));
    // The next batch has honeypots, and the round from before calibrates them.
    assert_eq!(shown(&project, 1), golden);
    take(&project, 1, &labelled(&project, 1, 0.0, &|_| false), "anna");
    std::fs::remove_file(project.layout.golden_versions()).unwrap();
    go(&project).unwrap();
    let qa: QaRecord = read(&project.layout.qa(1));
    assert_eq!((qa.calibrated_by, qa.golden_version.as_deref()), (vec![0], Some("1")));
    // A reference that differs from the one in the history is an edit, also where no version lists its samples.
    std::fs::remove_file(project.layout.golden_versions()).unwrap();
    let edited = golden.iter().find(|id| !drawn(&project, id, 9, 0.0).is_empty()).unwrap();
    project.commit("an edit", |d| Ok(d.set_boxes(GROUND_TRUTH, edited, vec![])?)).unwrap();
    take(&project, 2, &labelled(&project, 2, 0.0, &|_| false), "anna");
    let refused = go(&project).unwrap_err();
    assert!(matches!(refused, LoopError::GoldenEdited { .. }), "{refused}");
    assert_eq!(project.new_golden_version("nothing is there", None).unwrap().version, "2");
    go(&project).unwrap();
}
