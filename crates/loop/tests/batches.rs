//! Batches out to people and back, in every format.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::path::{Path, PathBuf};

use common::{config, project};
use labelloop_core::{
    AnnotationSet, BBox, ClassIdx, ClassSchema, Extra, LabelledBox, LabelledBy, SampleId, ScoredBox, Silent,
    SliceKind,
};
use labelloop_dataset::{GROUND_TRUTH, HUMAN_LABELS, Status};
use labelloop_formats::{Format, MediaMode, coco, cvat, fiftyone, kitti, label_studio, voc, yolo};
use labelloop_loop::state::Phase;
use labelloop_loop::{
    BatchOptions, Begin, Detections, LabelsBack, LoopError, Project, Run, export_batch, write_atomically,
};

/// What batches travel in.
const FORMATS: [Format; 7] = [
    Format::Coco,
    Format::Yolo,
    Format::Voc,
    Format::Kitti,
    Format::Cvat,
    Format::LabelStudio,
    Format::FiftyOne,
];

/// A project that waits for people's labels of batch 0.
fn waiting(folder: &Path) -> Project {
    let mut config = config();
    config.active_learning.require_human_review = true;
    config.annotator = None;
    let project = project(folder, &config);
    let phase = Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    assert_eq!(phase, Phase::AwaitingReview);
    project
}

/// The batch with the given labels, as somebody would return it who is always right.
fn right(project: &Project, number: u32) -> AnnotationSet {
    let dataset = project.dataset().unwrap();
    let of_batch =
        dataset.samples().values().filter(|s| s.batch == Some(number) && s.kind == SliceKind::Image);
    let samples = of_batch.map(|s| {
        let mut record = s.to_record();
        record.boxes = Some(dataset.boxes(GROUND_TRUTH, &s.id).unwrap().unwrap().to_vec());
        record
    });
    AnnotationSet { schema: dataset.schema().clone(), samples: samples.collect(), extra: Extra::new() }
}

/// Pictures that people get: those of the batch and the golden ones among them.
fn n_handed_out(project: &Project, number: u32) -> usize {
    let dataset = project.dataset().unwrap();
    let out = project.handed_out(&dataset, number).unwrap();
    out.iter().filter(|s| s.kind == SliceKind::Image).count()
}

fn write(set: &AnnotationSet, format: Format, folder: &Path, media: &Path) -> PathBuf {
    let out = folder.join(format!("back-{format}"));
    match format {
        Format::Coco => coco::write(&out, set, &coco::WriteOptions::default()).map(drop),
        Format::Yolo => {
            yolo::write(&out, set, &|_| Some(yolo::Part::Train), media, MediaMode::None).map(drop)
        }
        Format::Voc => voc::write(&out, set).map(drop),
        Format::Kitti => kitti::write(&out, set).map(drop),
        Format::Cvat => cvat::write(&out, set).map(drop),
        Format::LabelStudio => label_studio::write(&out, set, &Default::default()).map(drop),
        _ => fiftyone::write(&out, set).map(drop),
    }
    .unwrap();
    out
}

fn back(format: Format) -> LabelsBack {
    LabelsBack { format, ..LabelsBack::default() }
}

fn n_generations(project: &Project) -> usize {
    project.dir().generations().unwrap().len()
}

#[test]
fn every_format_brings_labels_back_and_the_second_time_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let set = right(&project, 0);
    for format in FORMATS {
        let file = write(&set, format, dir.path(), &project.media_root());
        let (came, _) = project.take_labels(0, &file, &back(format)).unwrap();
        assert_eq!((came.n_taken, came.untouched.len()), (set.samples.len(), 0), "{format}");
        let dataset = project.dataset().unwrap();
        for record in &set.samples {
            let (found, given) =
                (dataset.boxes(HUMAN_LABELS, &record.id).unwrap().unwrap(), record.boxes.as_ref().unwrap());
            assert_eq!(found.len(), given.len(), "{format} {}", record.id);
            for (a, b) in found.iter().zip(given) {
                assert_eq!(a.class, b.class, "{format} {}", record.id);
                assert!((a.bbox.x() - b.bbox.x()).abs() <= 1.0, "{format} {} {:?} {:?}", record.id, a, b);
            }
        }
        let before = n_generations(&project);
        let (again, _) = project.take_labels(0, &file, &back(format)).unwrap();
        assert!(again.is_known, "{format}");
        assert_eq!(n_generations(&project), before, "{format}: the same file again changes nothing");
    }
}

#[test]
fn who_labelled_and_when_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let mut set = right(&project, 0);
    let by = LabelledBy { annotator: Some("anna@lab".into()), at: Some("2026-03-01T09:30:00Z".into()) };
    for record in &mut set.samples {
        record.labelled_by = Some(by.clone());
        record.boxes.iter_mut().flatten().for_each(|b| b.annotator.clone_from(&by.annotator));
    }
    let file = write(&set, Format::LabelStudio, dir.path(), &project.media_root());
    let (came, _) = project.take_labels(0, &file, &back(Format::LabelStudio)).unwrap();
    assert_eq!(came.annotators, [("anna@lab".to_owned(), set.samples.len())].into());
    let dataset = project.dataset().unwrap();
    let id = &set.samples[0].id;
    assert_eq!(dataset.labelled_by(HUMAN_LABELS, id).unwrap(), Some(&by));

    let file = write(&right(&project, 0), Format::Coco, dir.path(), &project.media_root());
    let options = LabelsBack { annotator: "bob".into(), ..back(Format::Coco) };
    project.take_labels(0, &file, &options).unwrap();
    let dataset = project.dataset().unwrap();
    assert_eq!(dataset.labelled_by(HUMAN_LABELS, id).unwrap(), Some(&LabelledBy::person("bob")));
}

#[test]
fn two_annotators_of_one_task_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let mut set = right(&project, 0);
    let busy = set.samples.iter_mut().find(|s| 1 < s.boxes.as_ref().unwrap().len()).unwrap();
    for (b, who) in busy.boxes.iter_mut().flatten().zip(["anna", "bob"]) {
        b.annotator = Some(who.into());
    }
    busy.boxes.as_mut().unwrap().truncate(2);
    let id = busy.id.to_string();
    let file = write(&set, Format::LabelStudio, dir.path(), &project.media_root());
    let before = n_generations(&project);
    let refused = project.take_labels(0, &file, &back(Format::LabelStudio)).unwrap_err();
    let words = refused.to_string();
    assert!(matches!(refused, LoopError::SeveralAnnotators { .. }), "{words}");
    assert!(words.contains(&id) && words.contains("anna and bob"), "{words}");
    assert_eq!(n_generations(&project), before);
}

fn propose(project: &Project, number: u32, set: &AnnotationSet) -> Detections {
    let proposals: Detections = set
        .samples
        .iter()
        .filter(|s| !s.boxes.as_ref().unwrap().is_empty())
        .map(|s| {
            let guess = |b: &LabelledBox| {
                let moved = BBox::new(b.bbox.x() + 1.5, b.bbox.y(), b.bbox.width(), b.bbox.height()).unwrap();
                ScoredBox::new(b.class, moved, 0.75).unwrap()
            };
            (s.id.clone(), s.boxes.iter().flatten().map(guess).collect())
        })
        .collect();
    let bytes = serde_json::to_vec(&proposals).unwrap();
    write_atomically(&project.layout.proposals(number), &bytes).unwrap();
    proposals
}

/// The set with proposals for labels.
fn proposed(set: &AnnotationSet, proposals: &Detections) -> AnnotationSet {
    let mut set = set.clone();
    for record in &mut set.samples {
        let found = proposals.get(&record.id).into_iter().flatten();
        record.boxes = Some(found.map(|p| LabelledBox::new(p.class(), p.bbox())).collect());
    }
    set
}

#[test]
fn proposals_that_nobody_touched_are_no_labels() {
    for format in [Format::Coco, Format::Yolo, Format::Cvat, Format::Kitti, Format::FiftyOne] {
        let dir = tempfile::tempdir().unwrap();
        let project = waiting(dir.path());
        let set = right(&project, 0);
        let proposals = propose(&project, 0, &set);
        let mut returned = proposed(&set, &proposals);
        let file = write(&returned, format, dir.path(), &project.media_root());
        let (came, _) = project.take_labels(0, &file, &back(format)).unwrap();
        assert_eq!((came.n_taken, came.untouched.len()), (0, set.samples.len()), "{format}");
        let dataset = project.dataset().unwrap();
        assert!(set.samples.iter().all(|s| dataset.samples()[&s.id].status == Status::Pending), "{format}");

        // One box moved by hand: that picture was looked at.
        let touched = returned.samples.iter_mut().find(|s| !s.boxes.as_ref().unwrap().is_empty()).unwrap();
        touched.boxes.clone_from(&set.samples.iter().find(|s| s.id == touched.id).unwrap().boxes);
        let id = touched.id.clone();
        let there = dir.path().join("second");
        std::fs::create_dir(&there).unwrap();
        let file = write(&returned, format, &there, &project.media_root());
        let (came, _) = project.take_labels(0, &file, &back(format)).unwrap();
        assert_eq!((came.n_taken, came.untouched.contains(&id)), (1, false), "{format}");
        let all = LabelsBack { accept_untouched: true, ..back(format) };
        let (came, _) = project.take_labels(0, &file, &all).unwrap();
        assert_eq!((came.n_taken, came.untouched.len()), (set.samples.len(), 0), "{format}");
    }
}

#[test]
fn predictions_of_label_studio_are_no_annotations() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let set = right(&project, 0);
    let predictions = propose(&project, 0, &set);
    let mut blank = set.clone();
    blank.samples.iter_mut().for_each(|s| s.boxes = None);
    let file = dir.path().join("tasks.json");
    let options = label_studio::WriteOptions { predictions: Some(&predictions), ..Default::default() };
    label_studio::write(&file, &blank, &options).unwrap();
    let (came, _) = project.take_labels(0, &file, &back(Format::LabelStudio)).unwrap();
    assert_eq!((came.n_taken, came.report.n_annotated), (0, 0));
    // An annotation that says the same as the prediction is an annotation.
    let agreed = proposed(&set, &predictions);
    label_studio::write(&file, &agreed, &options).unwrap();
    let (came, _) = project.take_labels(0, &file, &back(Format::LabelStudio)).unwrap();
    assert_eq!(came.n_taken, set.samples.len());
}

#[test]
fn a_blank_file_of_a_format_that_cannot_say_answers_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let mut set = right(&project, 0);
    set.samples.iter_mut().for_each(|s| s.boxes = Some(vec![]));
    let file = write(&set, Format::Yolo, dir.path(), &project.media_root());
    let (came, _) = project.take_labels(0, &file, &back(Format::Yolo)).unwrap();
    assert_eq!((came.n_taken, came.untouched.len()), (0, set.samples.len()));
    // In COCO a picture that is listed without boxes was looked at.
    let file = write(&set, Format::Coco, dir.path(), &project.media_root());
    let (came, _) = project.take_labels(0, &file, &back(Format::Coco)).unwrap();
    assert_eq!(came.report.n_verified_empty, set.samples.len());
}

#[test]
fn an_unknown_class_is_refused_with_file_and_nearest_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let mut set = right(&project, 0);
    let slip = format!("{}s", set.schema.names()[0]);
    let mut names: Vec<String> = set.schema.names().to_vec();
    names[0].clone_from(&slip);
    set.schema = ClassSchema::new(names).unwrap();
    let file = write(&set, Format::Coco, dir.path(), &project.media_root());
    let before = n_generations(&project);
    let refused = project.take_labels(0, &file, &back(Format::Coco)).unwrap_err();
    let words = refused.to_string();
    assert!(matches!(refused, LoopError::UnknownClass { .. }), "{words}");
    let meant = format!("did you mean {:?}?", project.schema().names()[0]);
    for part in ["back-coco", slip.as_str(), meant.as_str()] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert_eq!(n_generations(&project), before);
    assert!(project.waiting(0).unwrap().len() >= set.samples.len());
}

#[test]
fn samples_of_no_batch_are_refused_by_name_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let mut set = right(&project, 0);
    let dataset = project.dataset().unwrap();
    let other = dataset.unlabeled_pool();
    let other = other.ids().iter().find(|id| dataset.samples()[*id].kind == SliceKind::Image).unwrap();
    let mut record = dataset.samples()[other].to_record();
    record.boxes = Some(vec![LabelledBox::new(ClassIdx(0), BBox::new(1.0, 1.0, 9.0, 9.0).unwrap())]);
    set.samples.push(record);
    let file = write(&set, Format::Coco, dir.path(), &project.media_root());
    let before = n_generations(&project);
    let refused = project.take_labels(0, &file, &back(Format::Coco)).unwrap_err().to_string();
    assert!(refused.contains(other.as_str()) && refused.contains("not in batch 0"), "{refused}");
    set.samples.last_mut().unwrap().id = SampleId::new("stranger").unwrap();
    set.samples.last_mut().unwrap().file_name = "stranger.png".into();
    let file = write(&set, Format::Coco, dir.path(), &project.media_root());
    let refused = project.take_labels(0, &file, &back(Format::Coco)).unwrap_err().to_string();
    assert!(refused.contains("stranger"), "{refused}");
    assert_eq!(n_generations(&project), before);
    assert!(project.take_labels(7, &file, &back(Format::Coco)).is_err(), "a batch that was never begun");
}

#[test]
fn pictures_go_along_as_copies_or_links() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let dataset = project.dataset().unwrap();
    let set = right(&project, 0);
    for (media, format) in [(MediaMode::Copy, Format::Cvat), (MediaMode::Link, Format::LabelStudio)] {
        let out = dir.path().join(format!("out-{format}"));
        for _ in 0..2 {
            let done = export_batch(&project, &dataset, 0, &out, &BatchOptions { format, media }).unwrap();
            assert_eq!((done.n_pictures, done.n_proposals), (n_handed_out(&project, 0), 0));
            assert!(set.samples.len() < done.n_pictures, "golden pictures go along");
            assert!(done.labels.exists());
        }
        for record in &set.samples {
            let placed = out.join("images").join(&record.file_name);
            assert_eq!(placed.symlink_metadata().unwrap().is_symlink(), media == MediaMode::Link);
            let original = std::fs::read(project.media_root().join(&record.file_name)).unwrap();
            assert_eq!(std::fs::read(&placed).unwrap(), original);
        }
        for config in ["cvat_labels.json", "label_studio_config.xml", "captures.json"] {
            assert!(out.join(config).exists(), "{config}");
        }
    }
    let tasks = std::fs::read_to_string(dir.path().join("out-label-studio/tasks.json")).unwrap();
    assert!(tasks.contains("/data/local-files/?d=images/"), "{tasks}");
}

#[test]
fn every_format_goes_out_and_a_folder_with_work_in_it_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let project = waiting(dir.path());
    let dataset = project.dataset().unwrap();
    for format in FORMATS {
        let out = dir.path().join("out");
        let options = BatchOptions { format, media: MediaMode::Copy };
        let done = export_batch(&project, &dataset, 0, &out, &options).unwrap();
        assert!(done.labels.exists(), "{format}");
        // What goes out blank and comes back blank answers for nothing.
        let (came, _) = project.take_labels(0, &done.labels, &back(format)).unwrap();
        assert_eq!(
            (came.n_taken, came.report.n_annotated, came.report.n_verified_empty),
            (0, 0, 0),
            "{format}"
        );
    }
    let options = BatchOptions { format: Format::Voc, media: MediaMode::None };
    let refused = export_batch(&project, &dataset, 0, &dir.path().join("out"), &options).unwrap_err();
    assert!(refused.to_string().contains("voc"), "{refused}");
}

#[test]
fn the_last_model_proposes_what_it_finds() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &config());
    Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    let dataset = project.dataset().unwrap();
    let out = dir.path().join("out");
    let options = BatchOptions { format: Format::LabelStudio, media: MediaMode::None };
    let done = export_batch(&project, &dataset, 1, &out, &options).unwrap();
    assert!(0 < done.n_proposals, "{done:?}");
    let kept: Detections =
        serde_json::from_slice(&std::fs::read(project.layout.proposals(1)).unwrap()).unwrap();
    assert_eq!(kept.values().map(Vec::len).sum::<usize>(), done.n_proposals);
    let tasks = std::fs::read_to_string(&done.labels).unwrap();
    assert!(tasks.contains("\"predictions\"") && tasks.contains("\"annotations\": []"), "{tasks}");
    let none = export_batch(&project, &dataset, 0, &out, &options).unwrap();
    assert_eq!(none.n_proposals, 0, "there was no model before the first batch");
}
