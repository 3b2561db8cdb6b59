//! The folder: round trips, equal bytes, conflicts, damage, leftovers and the test ledger.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{a_box, id, image, labelled, schema, set_of};
use labelloop_core::{
    BBox, ClassIdx, ClassSchema, Cuboid, CuboidFrame, FrozenTest, LabelledCuboid, SampleRecord, ScoredBox,
    Seed,
};
use labelloop_dataset::{
    BoxPolicy, ConflictReason, Dataset, DatasetDir, DatasetError, GROUND_TRUTH, HUMAN_LABELS, Query,
    SplitParams, Status, Tag, View,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn fresh() -> (TempDir, DatasetDir) {
    let folder = tempfile::tempdir().unwrap();
    let dir = DatasetDir::init(folder.path(), "demo", &schema()).unwrap();
    (folder, dir)
}

/// A dataset with something in every table.
fn full() -> Dataset {
    let mut d = crate::common::dataset(40);
    let mut odd = labelled("odd \"name\"/ü", vec![a_box(0, [0.1, 0.2, 0.3, 1e-9])]);
    odd.extra.insert("license".into(), "{\"id\":3}".into());
    let b = &mut odd.boxes.as_mut().unwrap()[0];
    (b.area, b.is_crowd, b.annotator) = (Some(1.0 / 3.0), true, Some("ann".into()));
    b.extra.insert("attributes".into(), "[]".into());
    let cloud = SampleRecord { size: None, kind: labelloop_core::SliceKind::PointCloud, ..image("cloud") };
    d.import(&set_of(vec![odd, cloud]), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    d.split(&SplitParams::default()).unwrap();
    let picks = d.unlabeled_pool().ids()[..3].to_vec();
    d.begin_batch(0, &picks).unwrap();
    let labels = BTreeMap::from([
        (picks[0].clone(), Some(vec![a_box(1, [1.0, 1.0, 2.0, 2.0]), a_box(0, [0.0, 0.0, 9.0, 9.0])])),
        (picks[1].clone(), Some(vec![])),
    ]);
    d.finish_batch(0, labels, HUMAN_LABELS, "ann").unwrap();
    let cuboid = Cuboid::new([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], 0.1, CuboidFrame::Lidar).unwrap();
    let val = d.members::<labelloop_core::Val>().ids()[0].clone();
    let kitti = Cuboid::from_kitti([1.5, 1.6, 4.1], [2.0, 1.7, 10.0], -1.6).unwrap();
    let tilted =
        Cuboid::from_nuscenes([9.0, 8.0, 1.0], [1.9, 4.6, 1.7], [0.5; 4], CuboidFrame::Global).unwrap();
    let labelled = |cuboid| LabelledCuboid { class: ClassIdx(1), cuboid, annotator: None };
    d.set_cuboids("cuboids@r1", &val, [cuboid, kitti, tilted].map(labelled).to_vec()).unwrap();
    let scored = ScoredBox::new(ClassIdx(0), BBox::new(0.0, 1.0, 2.0, 3.0).unwrap(), 0.875).unwrap();
    d.set_predictions("predictions@abc", &val, vec![scored]).unwrap();
    d.set_predictions("predictions@abc", &picks[0], vec![]).unwrap();
    d.set_scores("zcore@v0", picks.iter().map(|p| (p.clone(), 0.1)).collect()).unwrap();
    d.add_tag(&picks, &Tag::new("failure:confusion:stop sign>car").unwrap()).unwrap();
    d.add_tag(&picks[..1], &Tag::new("source:coverage").unwrap()).unwrap();
    d.save_view("open", View::Query(!Query::status(Status::Frozen).and(Query::batch(0)))).unwrap();
    d.set_info("from_elsewhere", serde_json::json!({"z": 1, "a": [null, 0.1]}));
    d
}

fn bytes_of(dir: &DatasetDir, number: u64) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = generation(dir, number);
    let paths = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    paths.map(|p| (p.strip_prefix(&folder).unwrap().to_owned(), fs::read(&p).unwrap())).collect()
}

fn generation(dir: &DatasetDir, number: u64) -> PathBuf {
    dir.path().join(format!("generations/{number:06}"))
}

#[test]
fn everything_survives_a_round_trip() {
    let (_folder, dir) = fresh();
    let d = full();
    dir.writer().unwrap().commit(&d, "full").unwrap();
    let back = DatasetDir::open(dir.path()).unwrap().read().unwrap();
    assert_eq!(back, d);
    assert_eq!(back.generation(), Some(1));
    assert!(back.doctor().is_empty(), "{:?}", back.doctor());
    dir.verify().unwrap();
}

#[test]
fn the_same_content_is_the_same_bytes() {
    let ((_a, first), (_b, second)) = (fresh(), fresh());
    first.writer().unwrap().commit(&full(), "full").unwrap();
    let back = first.read().unwrap();
    let fresh_base = { second.writer().unwrap().commit(&full(), "full").unwrap() };
    assert_eq!(bytes_of(&first, 1), bytes_of(&second, 1));
    assert_eq!(first.generations().unwrap()[1], fresh_base);
    // What was read is written as it was, in whatever order the info keys came.
    first.writer().unwrap().commit(&back, "again").unwrap();
    let generations = first.generations().unwrap();
    assert_eq!(generations[1].digest, generations[2].digest);
}

#[test]
fn committing_twice_is_one_generation() {
    let (_folder, dir) = fresh();
    let mut writer = dir.writer().unwrap();
    let mut d = writer.read().unwrap();
    d.set_info("a", 1.into());
    let one = writer.commit(&d, "step").unwrap();
    assert_eq!(writer.commit(&d, "step").unwrap(), one);
    assert_eq!(dir.read().unwrap(), d);
    assert_eq!(writer.commit(&d, "next step").unwrap().number, 2);
    d.set_info("a", 2.into());
    assert_eq!(writer.commit(&d, "next step").unwrap().number, 3, "the snapshot moved along");
    let keys: Vec<String> = dir.generations().unwrap().into_iter().map(|g| g.key).collect();
    assert_eq!(keys, ["init", "step", "next step", "next step"]);
}

#[test]
fn earlier_generations_can_be_read_and_restored() {
    let (_folder, dir) = fresh();
    let mut writer = dir.writer().unwrap();
    let mut d = writer.read().unwrap();
    for i in 1..4 {
        d.set_info("i", i.into());
        writer.commit(&d, &format!("step {i}")).unwrap();
    }
    assert_eq!(dir.read_generation(2).unwrap().info()["i"], 2);
    let e = dir.read_generation(9).unwrap_err();
    assert_eq!(e.to_string(), "generation 9 does not exist: expected 0 to 3");
    let restored = writer.restore(2, "restore 2").unwrap();
    assert_eq!((restored.number, dir.read().unwrap().info()["i"].clone()), (4, 2.into()));
}

#[test]
fn init_is_idempotent_and_refuses_another_dataset() {
    let (_folder, dir) = fresh();
    assert_eq!(DatasetDir::init(dir.path(), "demo", &schema()).unwrap(), dir);
    assert_eq!(dir.generations().unwrap().len(), 1);
    let e = DatasetDir::init(dir.path(), "other", &schema()).unwrap_err();
    assert!(matches!(e, DatasetError::OtherDataset { what: "name", .. }), "{e}");
    let classes = ClassSchema::new(["car"]).unwrap();
    let e = DatasetDir::init(dir.path(), "demo", &classes).unwrap_err();
    assert!(e.to_string().contains("\"car, van\""), "{e}");
    let e = dir.writer().unwrap().commit(&Dataset::new("demo", classes), "x").unwrap_err();
    assert!(matches!(e, DatasetError::OtherDataset { what: "classes", .. }), "{e}");
}

#[test]
fn what_is_no_dataset_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(DatasetDir::open(folder.path()), Err(DatasetError::NotADataset { .. })));
    assert!(matches!(DatasetDir::open(folder.path().join("gone")), Err(DatasetError::NotADataset { .. })));
}

#[test]
fn a_second_writer_gets_a_conflict() {
    let (_folder, dir) = fresh();
    let first = dir.writer().unwrap();
    let e = dir.writer().unwrap_err();
    assert!(matches!(e, DatasetError::Conflict { reason: ConflictReason::Locked, .. }) && e.is_conflict());
    drop(first);
    dir.writer().unwrap();
}

#[test]
fn a_stale_snapshot_gets_a_conflict() {
    let (_folder, dir) = fresh();
    let (mut mine, mut theirs) = (dir.read().unwrap(), dir.read().unwrap());
    theirs.set_info("who", "they".into());
    dir.writer().unwrap().commit(&theirs, "theirs").unwrap();
    mine.set_info("who", "me".into());
    let e = dir.writer().unwrap().commit(&mine, "mine").unwrap_err();
    assert!(matches!(
        e,
        DatasetError::Conflict { reason: ConflictReason::Moved { read: 0, current: 1 }, .. }
    ));
    let unread = Dataset::new("demo", schema());
    let e = dir.writer().unwrap().commit(&unread, "unread").unwrap_err();
    assert!(matches!(e, DatasetError::Conflict { reason: ConflictReason::NotRead { current: 1 }, .. }));
    assert_eq!(dir.read().unwrap().info()["who"], "they");
    assert_eq!(fs::read_dir(dir.path().join("generations")).unwrap().count(), 2, "no leftovers");
}

#[test]
fn leftovers_are_removed_by_the_next_writer() {
    let (_folder, dir) = fresh();
    let generations = dir.path().join("generations");
    fs::create_dir(generations.join(".tmp-000001")).unwrap();
    fs::write(generations.join(".tmp-000001/boxes.parquet"), b"half").unwrap();
    fs::create_dir(generations.join("000001")).unwrap();
    assert_eq!(dir.generations().unwrap().len(), 1, "what was never made current is not listed");
    dir.writer().unwrap();
    let left: Vec<_> = fs::read_dir(&generations).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["000000"]);
}

#[test]
fn damage_is_noticed_and_the_file_named() {
    let (_folder, dir) = fresh();
    dir.writer().unwrap().commit(&full(), "full").unwrap();
    let whole = bytes_of(&dir, 1);
    // Manifest, catalog, views, info and samples; two tables each for four fields with labels; one score.
    assert_eq!(whole.len(), 14);
    for (name, bytes) in &whole {
        let path = generation(&dir, 1).join(name);
        let mut flipped = bytes.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for damaged in [&flipped[..], &bytes[..middle], &[]] {
            fs::write(&path, damaged).unwrap();
            let e = dir.read().unwrap_err();
            assert!(matches!(e, DatasetError::Corrupt { .. }), "{}: {e}", name.display());
            assert!(e.to_string().contains(&*name.to_string_lossy()), "{e}");
            assert!(dir.verify().is_err());
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(dir.read().unwrap_err(), DatasetError::Io { path: p, .. } if p == path));
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(dir.read().unwrap(), full());
}

#[test]
fn a_damaged_pointer_is_no_pointer() {
    let (_folder, dir) = fresh();
    for text in ["", "0", "x\n", "-1\n", "99999999999999999999999\n"] {
        fs::write(dir.path().join("CURRENT"), text).unwrap();
        assert!(matches!(dir.read(), Err(DatasetError::Corrupt { .. })), "{text:?}");
    }
    fs::write(dir.path().join("CURRENT"), "7\n").unwrap();
    assert!(matches!(dir.read(), Err(DatasetError::Io { .. })));
}

#[test]
fn a_read_only_folder_is_an_error_and_loses_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, dir) = fresh();
    let set_mode = |mode| {
        for path in [dir.path().join("generations"), dir.path().to_owned()] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set_mode(0o555);
    if fs::write(dir.path().join("probe"), b"").is_ok() {
        set_mode(0o755);
        eprintln!("left out: this user may write to read-only folders (root), so nothing can be refused");
        return;
    }
    let mut d = dir.read().unwrap();
    d.set_info("a", 1.into());
    let result = dir.writer().and_then(|mut w| w.commit(&d, "x"));
    set_mode(0o755);
    assert!(matches!(result, Err(DatasetError::ReadOnly { .. })), "{result:?}");
    assert_eq!(dir.read().unwrap().generation(), Some(0));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() { copy(&entry, &target) } else { assert!(fs::copy(&entry, &target).is_ok()) }
    }
}

#[test]
fn a_folder_of_layout_1_opens_and_goes_on_in_the_newest_layout() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layout1");
    copy(&golden, folder.path());
    let dir = DatasetDir::open(folder.path()).unwrap();
    dir.verify().unwrap();
    let mut d = dir.read().unwrap();
    assert!(dir.read_generation(0).unwrap().samples().is_empty());
    // Layout 1 did not say who answered.
    let ann = labelloop_core::LabelledBy::person("ann");
    let batch = d.view("batch/0").unwrap();
    assert!(batch.iter().all(|id| d.labelled_by(HUMAN_LABELS, id).unwrap().is_none()));
    for id in &batch {
        d.set_labelled_by(HUMAN_LABELS, id, &ann).unwrap();
    }
    assert_eq!(d, full());
    dir.writer().unwrap().commit(&d, "newer").unwrap();
    assert_eq!(dir.read().unwrap(), full());
    assert!(generation(&dir, 1).join("boxes.parquet").exists());
    assert!(generation(&dir, 2).join("boxes.human_labels.samples.parquet").exists());
    assert_eq!(dir.read_generation(1).unwrap().samples(), d.samples());
}

#[test]
fn what_did_not_change_is_the_same_file() {
    use std::os::unix::fs::MetadataExt;
    let (_folder, dir) = fresh();
    dir.writer().unwrap().commit(&full(), "full").unwrap();
    let mut d = dir.read().unwrap();
    let (val, car) = (d.members::<labelloop_core::Val>().ids()[0].clone(), a_box(0, [0.0, 0.0, 5.0, 5.0]));
    d.set_boxes("review", &val, vec![car]).unwrap();
    d.import(&set_of(vec![image("a new one, before all others")]), GROUND_TRUTH, BoxPolicy::default())
        .unwrap();
    dir.writer().unwrap().commit(&d, "review").unwrap();
    let inode = |n, name: &str| fs::metadata(generation(&dir, n).join(name)).unwrap().ino();
    for name in
        ["boxes.ground_truth.parquet", "boxes.ground_truth.samples.parquet", "scores.zcore@v0.parquet"]
    {
        assert_eq!(inode(1, name), inode(2, name), "{name}");
    }
    assert_ne!(inode(1, "samples.parquet"), inode(2, "samples.parquet"));
    assert_eq!((dir.read().unwrap(), dir.read_generation(1).unwrap()), (d, full()));
    fs::remove_dir_all(generation(&dir, 1)).unwrap();
    assert!(dir.read().unwrap().boxes("review", &val).unwrap().is_some(), "each generation stands alone");
}

#[test]
fn damage_does_not_spread_to_the_next_generation() {
    let (_folder, dir) = fresh();
    dir.writer().unwrap().commit(&full(), "full").unwrap();
    let mut d = dir.read().unwrap();
    d.set_info("a", 1.into());
    let path = generation(&dir, 1).join("boxes.ground_truth.parquet");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let e = dir.writer().unwrap().commit(&d, "next").unwrap_err();
    assert!(matches!(&e, DatasetError::Corrupt { path: p, .. } if *p == path), "{e}");
    let val = d.members::<labelloop_core::Val>().ids()[0].clone();
    assert!(matches!(d.boxes(GROUND_TRUTH, &val), Err(DatasetError::Corrupt { .. })), "nor into memory");
    assert!(d.doctor().iter().any(|f| f.kind == labelloop_dataset::FindingKind::UnreadableField));
}

/// What a question about a class comes to, from its definition.
fn with_class(d: &Dataset, field: &str, class: u32) -> Vec<labelloop_core::SampleId> {
    let has = |id: &labelloop_core::SampleId| {
        let boxes = d.boxes(field, id).ok().flatten().unwrap_or_default();
        let cuboids = d.cuboids(field, id).ok().flatten().unwrap_or_default();
        boxes.iter().any(|b| b.class.0 == class) || cuboids.iter().any(|c| c.class.0 == class)
    };
    d.samples().keys().filter(|id| has(id)).cloned().collect()
}

#[test]
fn questions_about_classes_see_what_is_stored_and_what_changed_since() {
    let (_folder, dir) = fresh();
    dir.writer().unwrap().commit(&full(), "full").unwrap();
    let check = |d: &Dataset, when: &str| {
        for field in [GROUND_TRUTH, HUMAN_LABELS] {
            for (class, name) in [(0, "car"), (1, "van")] {
                let found = d.select(&Query::class(field, name)).unwrap();
                assert_eq!(found, with_class(d, field, class), "{when}, {field}, {name}");
            }
        }
    };
    check(&full(), "in memory");
    let mut d = dir.read().unwrap();
    check(&d, "stored");
    let pool = d.unlabeled_pool().ids().to_vec();
    d.set_boxes(GROUND_TRUTH, &pool[0], vec![]).unwrap();
    d.set_boxes(GROUND_TRUTH, &pool[1], vec![a_box(1, [0.0, 0.0, 2.0, 2.0])]).unwrap();
    d.set_boxes(HUMAN_LABELS, &pool[2], vec![a_box(0, [0.0, 0.0, 2.0, 2.0])]).unwrap();
    check(&d, "stored and changed");
    let first = labelled("a new one, before all others", vec![a_box(0, [1.0, 1.0, 2.0, 2.0])]);
    let last = labelled("~", vec![a_box(1, [1.0, 1.0, 2.0, 2.0])]);
    d.import(&set_of(vec![first, last]), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    d.set_boxes(GROUND_TRUTH, &pool[3], vec![a_box(1, [0.0, 0.0, 2.0, 2.0])]).unwrap();
    check(&d, "stored, changed and grown");
    dir.writer().unwrap().commit(&d, "grown").unwrap();
    check(&dir.read().unwrap(), "stored again");
}

fn with_test_set() -> (TempDir, DatasetDir) {
    let (folder, dir) = fresh();
    dir.writer().unwrap().commit(&full(), "full").unwrap();
    (folder, dir)
}

#[test]
fn a_look_is_recorded_before_anything_is_handed_out() {
    let (_folder, dir) = with_test_set();
    let access = dir.open_test("final", "model-1", 1).unwrap();
    assert_eq!(dir.test_ledger().unwrap(), [access.entry().clone()]);
    let members = access.members();
    assert_eq!(access.entry().n_samples, members.len());
    assert!(access.boxes(GROUND_TRUTH, &members.ids()[0]).unwrap().is_some());
    assert!(access.cuboids(GROUND_TRUTH, &members.ids()[0]).unwrap().is_none());
    let pool = dir.read().unwrap().members::<labelloop_core::Pool>();
    assert!(matches!(access.boxes(GROUND_TRUTH, &pool.ids()[0]), Err(DatasetError::Core(_))));
    assert!(access.boxes("nope", &members.ids()[0]).is_err());
}

#[test]
fn the_budget_is_kept_and_a_resumed_run_spends_nothing() {
    let (_folder, dir) = with_test_set();
    dir.open_test("final", "model-1", 1).unwrap();
    dir.open_test("final", "model-1", 1).unwrap();
    let e = dir.open_test("final", "model-2", 1).unwrap_err();
    assert!(matches!(e, DatasetError::TestBudgetSpent { used: 1, budget: 1, .. }) && e.is_refusal());
    assert_eq!(dir.open_test("final", "model-2", 2).unwrap().entry().look, 2);
    assert_eq!(dir.test_ledger().unwrap().len(), 2);
    assert!(matches!(dir.open_test("x", "y", 0), Err(DatasetError::TestBudgetSpent { .. })));
}

#[test]
fn a_look_needs_a_reason_and_a_key() {
    let (_folder, dir) = with_test_set();
    for (reason, key) in [("", "m"), ("  ", "m"), ("final", "")] {
        assert!(matches!(dir.open_test(reason, key, 1), Err(DatasetError::NoReason { .. })));
    }
    assert!(dir.test_ledger().unwrap().is_empty());
}

#[test]
fn a_ledger_line_that_was_cut_off_is_no_look_and_a_broken_one_is_an_error() {
    let (_folder, dir) = with_test_set();
    let path = dir.path().join("test_ledger.jsonl");
    fs::write(&path, r#"{"look":1,"reason":"fin"#).unwrap();
    assert!(dir.test_ledger().unwrap().is_empty());
    dir.open_test("final", "model-1", 1).unwrap();
    assert_eq!(dir.test_ledger().unwrap().len(), 1);
    fs::write(&path, "not json\n").unwrap();
    let e = dir.open_test("final", "model-1", 1).unwrap_err();
    assert!(e.to_string().contains("test_ledger.jsonl") && e.to_string().contains("line 1"), "{e}");
}

#[test]
fn test_labels_stay_shut_after_reading() {
    let (_folder, dir) = with_test_set();
    let d = dir.read().unwrap();
    let test = d.members::<FrozenTest>();
    assert!(matches!(d.boxes(GROUND_TRUTH, &test.ids()[0]), Err(DatasetError::FrozenTest { .. })));
}

fn some_dataset() -> impl Strategy<Value = Dataset> {
    let bbox = (0.0..60.0f64, 0.0..40.0f64, 0.01..30.0f64, 0.01..30.0f64, 0u32..2)
        .prop_map(|(x, y, w, h, class)| a_box(class, [x, y, w, h]));
    let labels = prop::option::of(prop::collection::vec(bbox, 0..4));
    let samples = prop::collection::btree_map("[a-zA-Z0-9 ü/\"]{1,8}", (labels, "[a-z]{0,3}"), 0..25);
    (samples, any::<u64>()).prop_map(|(samples, seed)| {
        let mut d = Dataset::new("demo", schema());
        let mut records: Vec<SampleRecord> = samples
            .into_iter()
            .map(|(name, (boxes, extra))| {
                let mut record = SampleRecord { boxes, ..image(&name) };
                if !extra.is_empty() {
                    record.extra.insert(extra, "1".into());
                }
                record
            })
            .collect();
        let order = Seed::new(seed).permutation(records.len());
        records = order.into_iter().map(|i| records[i].clone()).collect();
        d.import(&set_of(records), GROUND_TRUTH, BoxPolicy::default()).unwrap();
        let _ = d.split(&SplitParams::default());
        d
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_dataset_survives_a_round_trip(d in some_dataset()) {
        let (_folder, dir) = fresh();
        dir.writer().unwrap().commit(&d, "any").unwrap();
        prop_assert_eq!(dir.read().unwrap(), d);
    }
}

#[test]
fn the_lock_is_per_folder() {
    let ((_a, first), (_b, second)) = (fresh(), fresh());
    let _one = first.writer().unwrap();
    let _two = second.writer().unwrap();
    assert!(Path::new(first.path()).join(".lock").exists());
    assert!(id("a") < id("b"));
}
