//! Nothing that people get tells golden pictures from the others.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use common::{config, files, project};
use labelloop_core::{AnnotationSet, Extra, SampleId, Silent, SliceKind, Split};
use labelloop_dataset::{Dataset, GROUND_TRUTH, SplitParams};
use labelloop_formats::{Format, MediaMode};
use labelloop_loop::state::Phase;
use labelloop_loop::{BatchOptions, Begin, Honeypots, Project, Run, export_batch};
use labelloop_qa::{HoneypotPick, HoneypotReason};

/// The samples of the project in a dataset that was split otherwise, and whose source says of every picture where it is.
fn split_otherwise(project: &Project, salt: &str) -> Dataset {
    let dataset = project.dataset().unwrap();
    let readable = dataset.samples().values().filter(|s| s.split != Some(Split::Test));
    let mut set = dataset.annotation_set(GROUND_TRUTH, readable.map(|s| &s.id)).unwrap();
    let params =
        SplitParams { golden: 0.3, pool: 0.4, salt: salt.to_owned(), ..project.config.splits.clone() };
    let mut other = Dataset::new("other", dataset.schema().clone());
    other.import(&set, GROUND_TRUTH, Default::default()).unwrap();
    other.split(&params).unwrap();
    for record in &mut set.samples {
        let split = other.samples()[&record.id].split.unwrap();
        record.extra.insert("split".to_owned(), format!("\"{split}\""));
        record
            .extra
            .insert("id".to_owned(), if split == Split::Golden { "987654321" } else { "7" }.to_owned());
    }
    let mut other = Dataset::new("other", dataset.schema().clone());
    other.import(&AnnotationSet { extra: Extra::new(), ..set }, GROUND_TRUTH, Default::default()).unwrap();
    other.split(&params).unwrap();
    other
}

/// Exports are a function of which pictures there are: with the roles of batch and honeypots exchanged, every byte of every
/// file in every format stays. So nothing in them can tell one from the other: no order, number, group, field or proposal.
#[test]
fn exports_do_not_know_which_pictures_are_golden() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.active_learning.max_iterations = 1;
    let project = project(dir.path(), &config);
    let phase = Run::begin(&project, Begin::Fresh, &Silent).unwrap().go().unwrap();
    assert!(matches!(phase, Phase::Finished { .. }), "{phase:?}");
    let first = split_otherwise(&project, "0");
    let slice = project.slice(&first).unwrap();
    let of = |second: &Dataset, a: Split, b: Split| -> Vec<SampleId> {
        let is = |d: &Dataset, id: &SampleId, split| d.samples()[id].split == Some(split);
        let pictures = first.samples().values().filter(|s| s.slice == slice).map(|s| s.id.clone());
        pictures.filter(|id| is(&first, id, a) && is(second, id, b)).collect()
    };
    // A split that has golden pictures where the first has pool pictures, and the other way round.
    let (second, batch, golden) = (1..40)
        .map(|salt| split_otherwise(&project, &salt.to_string()))
        .map(|d| {
            let (a, b) = (of(&d, Split::Pool, Split::Golden), of(&d, Split::Golden, Split::Pool));
            (d, a, b)
        })
        .find(|(_, a, b)| 1 < a.len() && 1 < b.len())
        .unwrap();
    let mut n_proposals = 0;
    for iteration in [0, 1] {
        let mut made: Vec<BTreeMap<PathBuf, Vec<u8>>> = Vec::new();
        for (dataset, batch, golden) in [(&first, &batch, &golden), (&second, &golden, &batch)] {
            let mut dataset = dataset.clone();
            dataset.begin_batch(iteration, batch).unwrap();
            let pick = |id: &SampleId| HoneypotPick {
                id: id.clone(),
                reason: HoneypotReason::Rotation,
                weight: 1.0,
            };
            let picks = golden.iter().map(pick).collect();
            let record = Honeypots { iteration, golden_version: "1".into(), n_golden: golden.len(), picks };
            let bytes = serde_json::to_vec(&record).unwrap();
            labelloop_loop::write_atomically(&project.layout.honeypots(iteration), &bytes).unwrap();
            let out = dir.path().join(format!("out-{iteration}-{}", made.len()));
            for name in ["coco", "yolo", "voc", "kitti", "cvat", "label-studio", "fiftyone"] {
                let format: Format = name.parse().unwrap();
                let folder = out.join(name);
                let options = BatchOptions { format, media: MediaMode::Copy };
                let done = export_batch(&project, &dataset, iteration, &folder, &options).unwrap();
                let captures: BTreeSet<_> =
                    batch.iter().chain(golden).map(|id| &dataset.samples()[id].capture).collect();
                let n = dataset.samples().values();
                let n = n.filter(|s| s.kind == SliceKind::Image && captures.contains(&s.capture)).count();
                assert_eq!(done.n_pictures, n, "{format}: all picture slices of the captures");
                n_proposals += done.n_proposals;
            }
            let listed: serde_json::Value =
                serde_json::from_slice(&std::fs::read(out.join("coco/batch.json")).unwrap()).unwrap();
            let names = listed["images"].as_array().unwrap().iter().map(|i| i["file_name"].as_str().unwrap());
            assert!(!names.is_sorted(), "{listed}");
            made.push(files(&out));
        }
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&made[0]), names(&made[1]));
        for (name, bytes) in &made[0] {
            let (a, b) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&made[1][name]));
            // The name of the export's own folder differs between the two.
            let same =
                |text: &str| text.replace(&format!("out-{iteration}-1"), &format!("out-{iteration}-0"));
            assert_eq!(same(&a), same(&b), "{}", name.display());
            assert!(!a.to_lowercase().contains("golden") && !a.contains("987654321"), "{}", name.display());
        }
    }
    assert!(0 < n_proposals, "the model of iteration 0 proposes boxes on both");
}
