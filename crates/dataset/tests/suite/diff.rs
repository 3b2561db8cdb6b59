//! Differences of two snapshots: by hand, by their laws, and against a slow comparison by the public interface.

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{
    BBox, ClassIdx, Cuboid, CuboidFrame, FrozenTest, LabelledBy, LabelledCuboid, Pool, SampleId, ScoredBox,
    Split, Val,
};
use labelloop_dataset::{
    AnswersDiff, BoxPolicy, Dataset, DatasetDiff, DatasetDir, GROUND_TRUTH, HUMAN_LABELS, ObjectCounts,
    Presence, SampleField, SplitParams, Status, Tag, View,
};
use proptest::prelude::*;

use crate::common::{a_box, dataset, id, labelled, schema, set_of};

fn split(n: usize) -> Dataset {
    let mut d = dataset(n);
    d.split(&SplitParams::default()).unwrap();
    d
}

#[test]
fn a_round_of_labelling_is_told() {
    let before = split(20);
    let mut after = before.clone();
    let picks = after.unlabeled_pool().ids()[..3].to_vec();
    after.begin_batch(0, &picks).unwrap();
    let labels = BTreeMap::from([
        (picks[0].clone(), Some(vec![a_box(0, [0.0, 0.0, 4.0, 4.0]); 2])),
        (picks[1].clone(), Some(vec![])),
    ]);
    after.finish_batch(0, labels, HUMAN_LABELS, "ann").unwrap();
    let diff = before.diff(&after).unwrap();
    let human = &diff.boxes[HUMAN_LABELS];
    assert_eq!(human.added, BTreeMap::from([(picks[0].clone(), 2), (picks[1].clone(), 0)]));
    assert_eq!(human.n_objects(), ObjectCounts { before: 0, after: 2 });
    assert_eq!(diff.boxes.len(), 1, "fields without a change are left out");
    let moves: Vec<_> = diff.statuses.iter().map(|m| (m.from, m.to, m.ids.len())).collect();
    assert_eq!(
        moves,
        [
            (Status::Unlabeled, Status::Pending, 1),
            (Status::Unlabeled, Status::Annotated, 1),
            (Status::Unlabeled, Status::VerifiedEmpty, 1)
        ]
    );
    assert_eq!(diff.samples_changed[&picks[0]], BTreeSet::from([SampleField::Batch, SampleField::Status]));
    assert_eq!(diff.views.added, ["batch/0"]);
    assert!(diff.splits.is_empty() && diff.samples_added.is_empty() && diff.tags.is_empty());
    let words = diff.to_string();
    assert!(
        words.contains("boxes human_labels: samples 2 added, 0 removed, 0 changed; objects there 0 to 2"),
        "{words}"
    );
    assert!(
        words.contains("status unlabeled to annotated: 1 (") && words.contains("view added: batch/0"),
        "{words}"
    );
}

#[test]
fn splits_tags_scores_views_and_info_are_told() {
    let before = dataset(12);
    let mut after = before.clone();
    after.split(&SplitParams::default()).unwrap();
    let pool = after.members::<Pool>();
    let tag = Tag::new("failure:high_fn").unwrap();
    after.add_tag(&pool.ids()[..2], &tag).unwrap();
    after.set_scores("zcore", pool.ids().iter().map(|p| (p.clone(), 0.5)).collect()).unwrap();
    after.save_view("mine", View::Frozen { ids: pool.ids().to_vec() }).unwrap();
    let diff = before.diff(&after).unwrap();
    assert_eq!(diff.splits.iter().map(|m| m.ids.len()).sum::<usize>(), 12);
    assert!(
        diff.splits.iter().all(|m| m.from.is_none()) && diff.splits.iter().any(|m| m.to == Some(Split::Test))
    );
    assert_eq!(diff.tags[&tag].added, pool.ids()[..2]);
    assert_eq!((diff.scores["zcore"].field, diff.scores["zcore"].added.len()), (Presence::Added, pool.len()));
    assert_eq!(
        (&diff.views.added[..], &diff.info.added[..]),
        (&["mine".to_owned()][..], &["split".to_owned()][..])
    );
    let mut later = after.clone();
    later.set_info("split", 1.into());
    assert_eq!(after.diff(&later).unwrap().info.changed, ["split"]);
}

#[test]
fn a_diff_says_how_many_test_labels_changed_and_not_which() {
    let (test, val) = (split(40).members::<FrozenTest>(), split(40).members::<Val>());
    // Labels of the test set can come before the split alone.
    let with = |ids: &[SampleId], n: usize| {
        let mut d = dataset(40);
        let record = |i: &SampleId| labelled(i.as_str(), vec![a_box(1, [7.0, 7.0, 5.0, 5.0]); n]);
        d.import(&set_of(ids.iter().map(record).collect()), "second", BoxPolicy::default()).unwrap();
        d.split(&SplitParams::default()).unwrap();
        assert_eq!(d.members::<FrozenTest>(), test);
        d
    };
    let before = with(&test.ids()[..1], 1);
    let after = with(&[test.ids(), val.ids()].concat(), 2);
    let diff = before.diff(&after).unwrap();
    let second = &diff.boxes["second"];
    assert_eq!(second.added.keys().cloned().collect::<Vec<_>>(), val.ids());
    assert_eq!((second.test.n_added, second.test.n_changed, second.test.n_removed), (test.len() - 1, 1, 0));
    assert_eq!(second.test.objects, Some(ObjectCounts { before: 1, after: 2 * test.len() }));
    let document = serde_json::to_string(&diff).unwrap() + &diff.to_string();
    for id in test.ids() {
        assert!(!document.contains(id.as_str()), "{id} in {document}");
    }
    assert!(document.contains("in the frozen test set, not named"));
}

#[test]
fn another_signature_is_a_change_without_objects() {
    let before = split(8);
    let mut after = before.clone();
    let pool = after.members::<Pool>().ids()[0].clone();
    let by = LabelledBy { annotator: Some("ann".into()), at: None };
    after.set_labelled_by(GROUND_TRUTH, &pool, &by).unwrap();
    let diff = before.diff(&after).unwrap();
    assert_eq!(
        diff.boxes[GROUND_TRUTH].changed,
        BTreeMap::from([(pool, ObjectCounts { before: 1, after: 1 })])
    );
}

#[test]
fn generations_on_disk_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DatasetDir::init(folder.path(), "demo", &schema()).unwrap();
    let mut writer = dir.writer().unwrap();
    let mut d = split(20);
    writer.commit(&d, "split").unwrap();
    let added = set_of(vec![labelled("zz", vec![])]);
    d.import(&added, GROUND_TRUTH, BoxPolicy::default()).unwrap();
    d.set_info("a", 1.into());
    writer.commit(&d, "more").unwrap();
    let [one, two] = [1, 2].map(|n| dir.read_generation(n).unwrap());
    let diff = one.diff(&two).unwrap();
    assert_eq!((&diff.samples_added[..], &diff.info.added[..]), (&[id("zz")][..], &["a".to_owned()][..]));
    assert_eq!(diff.boxes[GROUND_TRUTH].added, BTreeMap::from([(id("zz"), 0)]));
    assert!(dir.read_generation(1).unwrap().diff(&one).unwrap().is_empty());
    let back: DatasetDiff = serde_json::from_str(&serde_json::to_string(&diff).unwrap()).unwrap();
    assert_eq!(back, diff);
}

/// A change that someone may make.
#[derive(Debug, Clone)]
enum Edit {
    Boxes(usize, usize),
    NewField(usize, usize),
    Cuboids(usize, usize),
    Predictions(usize, usize),
    Score(usize, f64),
    Tag(usize, bool),
    Info(u8, i64),
    View(u8),
    Sample(usize, usize),
    Batch(usize),
    Sign(usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (0..30usize, 0..4usize).prop_map(|(i, n)| Edit::Boxes(i, n)),
        (0..30usize, 0..4usize).prop_map(|(i, n)| Edit::NewField(i, n)),
        (0..30usize, 0..3usize).prop_map(|(i, n)| Edit::Cuboids(i, n)),
        (0..30usize, 0..3usize).prop_map(|(i, n)| Edit::Predictions(i, n)),
        (0..30usize, 0.0..1.0f64).prop_map(|(i, v)| Edit::Score(i, v)),
        (0..30usize, any::<bool>()).prop_map(|(i, on)| Edit::Tag(i, on)),
        (0..3u8, 0..3i64).prop_map(|(k, v)| Edit::Info(k, v)),
        (0..3u8).prop_map(Edit::View),
        (20..40usize, 0..3usize).prop_map(|(i, n)| Edit::Sample(i, n)),
        (0..4usize).prop_map(Edit::Batch),
        (0..30usize).prop_map(Edit::Sign),
    ];
    prop::collection::vec(edit, 0..12)
}

/// Does what is possible of some edits; what is refused, for test samples say, changes nothing.
fn edited(mut d: Dataset, edits: &[Edit]) -> Dataset {
    let ids: Vec<SampleId> = d.samples().keys().cloned().collect();
    let at = |i: usize| &ids[i % ids.len()];
    let boxes = |n: usize| vec![a_box(0, [1.0, 2.0, 3.0, 4.0]); n];
    for edit in edits {
        let _ = match edit {
            Edit::Boxes(i, n) => d.set_boxes(HUMAN_LABELS, at(*i), boxes(*n)),
            Edit::NewField(i, n) => d.set_boxes("other", at(*i), boxes(*n)),
            Edit::Cuboids(i, n) => {
                let cuboid = Cuboid::new([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], 0.1, CuboidFrame::Lidar).unwrap();
                let one = LabelledCuboid { class: ClassIdx(1), cuboid, annotator: None };
                d.set_cuboids(HUMAN_LABELS, at(*i), vec![one; *n])
            }
            Edit::Predictions(i, n) => {
                let one = ScoredBox::new(ClassIdx(0), BBox::new(0.0, 1.0, 2.0, 3.0).unwrap(), 0.5).unwrap();
                d.set_predictions("predictions@m", at(*i), vec![one; *n])
            }
            Edit::Score(i, v) => d.set_scores("s", BTreeMap::from([(at(*i).clone(), *v)])),
            Edit::Tag(i, true) => d.add_tag([at(*i)], &Tag::new("source:mine").unwrap()),
            Edit::Tag(i, false) => d.remove_tag([at(*i)], &Tag::new("source:mine").unwrap()),
            Edit::Info(k, v) => {
                d.set_info(format!("k{k}"), (*v).into());
                Ok(())
            }
            Edit::View(k) => {
                d.save_view(&format!("v{k}"), View::Frozen { ids: ids[..usize::from(*k)].to_vec() })
            }
            Edit::Sample(i, n) => d
                .import(
                    &set_of(vec![labelled(&format!("s{i:06}"), boxes(*n))]),
                    GROUND_TRUTH,
                    BoxPolicy::default(),
                )
                .map(drop),
            Edit::Batch(n) => {
                let pool = d.unlabeled_pool();
                d.begin_batch(1, &pool.ids()[..(*n).min(pool.len())]).map(drop)
            }
            Edit::Sign(i) => {
                let by = LabelledBy { annotator: Some("ann".into()), at: None };
                d.set_labelled_by(GROUND_TRUTH, at(*i), &by)
            }
        };
    }
    d
}

/// Objects that one side of a field has, of samples that anyone may ask about.
fn open_answers(d: &Dataset, field: &str) -> BTreeMap<SampleId, (Vec<String>, Option<LabelledBy>)> {
    let answer = |id: &SampleId| {
        let boxes = d.boxes(field, id).ok()??;
        Some((boxes.iter().map(|b| format!("{b:?}")).collect(), d.labelled_by(field, id).ok()?.cloned()))
    };
    d.samples().keys().filter_map(|id| Some((id.clone(), answer(id)?))).collect()
}

fn n_objects(d: &Dataset, field: &str, ids: &BTreeSet<SampleId>) -> usize {
    ids.iter().filter_map(|id| d.boxes(field, id).ok()??.len().into()).sum()
}

/// Compares a field of boxes the slow way: asks both sides about every sample.
fn check_boxes(a: &Dataset, b: &Dataset, field: &str, diff: &AnswersDiff) {
    let test: BTreeSet<SampleId> =
        [a, b].iter().flat_map(|d| d.members::<FrozenTest>().ids().to_vec()).collect();
    let [old, new] = [a, b].map(|d| open_answers(d, field));
    let all: BTreeSet<&SampleId> = old.keys().chain(new.keys()).filter(|id| !test.contains(*id)).collect();
    for id in all {
        let counts = (old.get(id).map(|x| x.0.len()), new.get(id).map(|x| x.0.len()));
        let expected = match counts {
            (Some(_), Some(_)) if old[id] == new[id] => (None, None, None),
            (Some(before), Some(after)) => (None, None, Some(ObjectCounts { before, after })),
            (before, after) => (after, before, None),
        };
        let found =
            (diff.added.get(id).copied(), diff.removed.get(id).copied(), diff.changed.get(id).copied());
        assert_eq!(found, expected, "{field}, {id}");
    }
    // Objects before, less those removed, with those added, are the objects after.
    let open = |d: &Dataset| -> BTreeSet<SampleId> {
        d.samples().keys().filter(|id| !test.contains(*id)).cloned().collect()
    };
    let (before, after) = (n_objects(a, field, &open(a)), n_objects(b, field, &open(b)));
    let removed: usize =
        diff.removed.values().sum::<usize>() + diff.changed.values().map(|c| c.before).sum::<usize>();
    let added: usize =
        diff.added.values().sum::<usize>() + diff.changed.values().map(|c| c.after).sum::<usize>();
    assert_eq!(before + added, after + removed, "{field}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_diff_keeps_its_laws(one in edits(), two in edits(), is_split in any::<bool>()) {
        let start = if is_split { split(24) } else { dataset(24) };
        let (a, b) = (edited(start.clone(), &one), edited(start, &two));
        prop_assert!(a.diff(&a).unwrap().is_empty());
        let diff = a.diff(&b).unwrap();
        prop_assert_eq!(diff.is_empty(), a == b, "{}", diff);
        prop_assert_eq!(diff.clone().reversed(), b.diff(&a).unwrap());
        prop_assert_eq!(diff.clone().reversed().reversed(), diff.clone());
        let [old, new] = [&a, &b].map(|d| d.samples().keys().cloned().collect::<BTreeSet<_>>());
        prop_assert_eq!(&diff.samples_added, &new.difference(&old).cloned().collect::<Vec<_>>());
        prop_assert_eq!(&diff.samples_removed, &old.difference(&new).cloned().collect::<Vec<_>>());
        let differs = |id: &&SampleId| a.samples()[*id] != b.samples()[*id];
        let changed: Vec<_> = old.intersection(&new).filter(differs).cloned().collect();
        prop_assert_eq!(diff.samples_changed.keys().cloned().collect::<Vec<_>>(), changed);
        for moved in &diff.statuses {
            let holds = |id: &SampleId| (a.samples()[id].status, b.samples()[id].status) == (moved.from, moved.to);
            prop_assert!(moved.from != moved.to && moved.ids.iter().all(holds));
        }
        for field in [GROUND_TRUTH, HUMAN_LABELS, "other"] {
            check_boxes(&a, &b, field, &diff.boxes.get(field).cloned().unwrap_or_default());
        }
    }
}
