//! Sets with everything in them, and what a set is without the things that warnings name.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{
    AnnotationSet, BBox, CaptureId, ClassIdx, ClassSchema, Cuboid, CuboidFrame, Extra, GroupKey, ImageSize,
    LabelledBox, LabelledBy, LabelledCuboid, SampleId, SampleRecord, SliceKind,
};
use labelloop_formats::{Lost, Warning, WarningKind};
use proptest::prelude::*;
use proptest::sample::select;

const CLASSES: [&str; 14] = [
    "car",
    "no",
    "Person sitting",
    "7",
    "<a&\"b'>",
    "DontCare",
    "#1",
    " padded ",
    "a:b",
    "\u{feff}mark",
    "日本 語",
    "line\u{2028}break",
    "\\n",
    "\u{ffff}",
];
const IDS: [&str; 14] = [
    "a",
    "a.png",
    "d/b c",
    "d/e.f",
    "ü",
    ".hidden",
    "train/images/x",
    "images/images/y",
    " lead",
    "x-1",
    "%41",
    "日本",
    "a#b?c",
    "labels",
];
const UNSAFE: [&str; 6] = ["../x", "/abs", "a//b", "x\\y", "a/./b", "C:\\x"];
const FIELDS: [&str; 38] = [
    "iq",
    "id",
    "label",
    "bbox",
    "area",
    "iscrowd",
    "group",
    "capture",
    "slice",
    "labelled",
    "labelled_by",
    "labelled_at",
    "labelloop_id",
    "score",
    "truncated",
    "occluded",
    "pose",
    "dimensions",
    "dont_care",
    "attributes",
    "tags",
    "source",
    "subset",
    "depth",
    "path",
    "metadata",
    "_media_type",
    "image",
    "value",
    "type",
    "task.project",
    "task.data",
    "annotation_fields",
    "annotator",
    "width",
    "file_name",
    "ground_truth",
    "split",
];
const VALUES: [&str; 20] = [
    "1",
    "2.5",
    "\"\"",
    "\"x\"",
    "\" x \"",
    "\"5\"",
    "true",
    "[1, 2]",
    "[1.5, 2.0, 3.0]",
    "[[1.0, 2.0, 3.0, 4.0]]",
    "{\"a\": \"b\"}",
    "{\"a\": 12345678901234567890123.50}",
    "\"ü\\n\\u0001\"",
    "[{\"lead_time\": 3}]",
    "\"val\"",
    "\"test\"",
    "{\"width\": 640, \"height\": 480, \"n\": 3}",
    "[\"t\"]",
    "\"image\"",
    "-1",
];

fn text() -> impl Strategy<Value = String> {
    "[^\\p{Cc}/\\\\\u{fffe}\u{ffff}]{1,6}"
}

fn extra() -> impl Strategy<Value = Extra> {
    proptest::collection::btree_map(
        select(&FIELDS[..]).prop_map(str::to_owned),
        select(&VALUES[..]).prop_map(str::to_owned),
        0..3,
    )
}

fn bbox() -> impl Strategy<Value = BBox> {
    (-20.0..650.0f64, -20.0..500.0f64, 0.0..60.0f64, 0.0..60.0f64)
        .prop_map(|(x, y, w, h)| BBox::new(x, y, w, h).unwrap())
}

fn label(n_classes: usize) -> impl Strategy<Value = LabelledBox> {
    let area = proptest::option::of(0.0..5000.0f64);
    let annotator = proptest::option::of(select(&["ann", "5", "", "b@c.d", "ü \"x\""][..]));
    (0..n_classes as u32, bbox(), area, proptest::bool::weighted(0.2), annotator, extra()).prop_map(
        |(class, bbox, area, is_crowd, annotator, extra)| LabelledBox {
            class: ClassIdx(class),
            bbox,
            area: area.filter(|a| *a != bbox.area()),
            is_crowd,
            annotator: annotator.map(str::to_owned),
            extra,
        },
    )
}

fn schema() -> impl Strategy<Value = ClassSchema> {
    let name = prop_oneof![4 => select(&CLASSES[..]).prop_map(str::to_owned), 1 => text()];
    proptest::collection::vec(name, 1..5)
        .prop_filter_map("names that cannot be told apart", |names| ClassSchema::new(names).ok())
}

fn labelled_by() -> impl Strategy<Value = Option<LabelledBy>> {
    let annotator = proptest::option::of(select(&["ann", "7", "ü"][..]));
    let at = proptest::option::of(select(&["2026-11-22T13:00:00Z", "2026-11-23T13:00:00.5+01:00"][..]));
    let by = (annotator, at).prop_map(|(annotator, at)| {
        let annotator = annotator.map(Into::into);
        (annotator.is_some() || at.is_some()).then(|| LabelledBy { annotator, at: at.map(Into::into) })
    });
    prop_oneof![by, Just(None)]
}

fn sample(n_classes: usize) -> impl Strategy<Value = SampleRecord> {
    let id = prop_oneof![
        20 => select(&IDS[..]).prop_map(str::to_owned),
        8 => text(),
        1 => select(&UNSAFE[..]).prop_map(str::to_owned),
    ];
    let other_file =
        proptest::option::weighted(0.2, select(&["o/p.jpg", "q", " r.png ", "s\\t.gif", "ü.PNG"][..]));
    let size = proptest::option::weighted(0.95, Just(ImageSize::new(640, 480).unwrap()));
    let boxes = proptest::option::weighted(0.75, proptest::collection::vec(label(n_classes), 0..4));
    let rig = (proptest::option::weighted(0.2, text()), proptest::option::weighted(0.2, text()));
    let is_cloud = proptest::bool::weighted(0.05);
    ((id, other_file, size, boxes), (rig, labelled_by(), extra(), is_cloud)).prop_map(
        |((id, file, size, boxes), ((group, capture), labelled_by, extra, is_cloud))| {
            let file_name = file.map_or_else(|| format!("{id}.png"), str::to_owned);
            let mut sample = SampleRecord::image(&id, file_name, ImageSize::new(1, 1).unwrap()).unwrap();
            (sample.size, sample.boxes, sample.labelled_by, sample.extra) = (size, boxes, labelled_by, extra);
            if let Some(group) = group {
                sample.group = GroupKey::new(group).unwrap();
            }
            if let Some(capture) = capture {
                (sample.capture, sample.slice) = (CaptureId::new(capture).unwrap(), "left".to_owned());
            }
            if is_cloud {
                let cuboid = Cuboid::new([0.0; 3], [1.0; 3], 0.0, CuboidFrame::Lidar).unwrap();
                (sample.kind, sample.size, sample.boxes) = (SliceKind::PointCloud, None, None);
                sample.cuboids = Some(vec![LabelledCuboid { class: ClassIdx(0), cuboid, annotator: None }]);
            }
            sample
        },
    )
}

/// Any set: awkward names, pictures that are empty, unlabelled or without a size, crowds, areas, people, fields of any
/// name, now and then a point cloud.
pub(crate) fn any_set() -> impl Strategy<Value = AnnotationSet> {
    schema().prop_flat_map(|schema| {
        let samples = proptest::collection::vec(sample(schema.n_classes()), 0..6);
        (Just(schema), samples, extra()).prop_map(|(schema, samples, extra)| {
            let mut seen = BTreeSet::new();
            let distinct = |s: &SampleRecord| seen.insert(s.id.clone());
            AnnotationSet { schema, samples: samples.into_iter().filter(distinct).collect(), extra }
        })
    })
}

/// The set without what the warnings name. What they count must be there as often as they say; names that a format
/// rewrites are taken from what was read back, and counted as well.
pub(crate) fn minus(mut set: AnnotationSet, warnings: &[Warning], back: &AnnotationSet) -> AnnotationSet {
    set.samples.sort_by(|a, b| a.id.cmp(&b.id));
    let read: BTreeMap<SampleId, SampleRecord> =
        back.samples.iter().map(|s| (s.id.clone(), s.clone())).collect();
    for warning in warnings {
        let WarningKind::NotCarried { what, count, names, .. } = &warning.kind else { panic!("{warning}") };
        if *what == Lost::Ids {
            // What a source numbered its images and labels with, which every writer may do anew.
            continue;
        }
        let n = match what {
            Lost::FileFields => drop_fields(&mut set.extra, names, &back.extra),
            Lost::ClassNames => {
                let n = set.schema.names().iter().zip(back.schema.names()).filter(|(a, b)| a != b).count();
                set.schema = back.schema.clone();
                n
            }
            Lost::PointClouds => dropped(&mut set.samples, |s| s.kind == SliceKind::PointCloud),
            Lost::UnlabelledSamples => dropped(&mut set.samples, |s| s.boxes.is_none()),
            what => set.samples.iter_mut().map(|s| without(s, *what, names, &read)).sum(),
        };
        assert_eq!(n, *count, "{warning}");
    }
    set
}

fn dropped(samples: &mut Vec<SampleRecord>, is_lost: impl Fn(&SampleRecord) -> bool) -> usize {
    let before = samples.len();
    samples.retain(|s| !is_lost(s));
    before - samples.len()
}

/// Takes out the named fields that were not read back.
fn drop_fields(extra: &mut Extra, names: &[String], back: &Extra) -> usize {
    let before = extra.len();
    extra.retain(|key, _| !names.contains(key) || back.contains_key(key));
    before - extra.len()
}

fn without(
    s: &mut SampleRecord,
    what: Lost,
    names: &[String],
    read: &BTreeMap<SampleId, SampleRecord>,
) -> usize {
    let own = s.id.to_string();
    let of_labels = |s: &mut SampleRecord, lose: &dyn Fn(usize, &mut LabelledBox) -> usize| {
        s.boxes.iter_mut().flatten().enumerate().map(|(i, l)| lose(i, l)).sum()
    };
    let back = read.get(&s.id);
    match what {
        Lost::UnlabelledMarks => usize::from(s.boxes.is_none() && s.boxes.replace(Vec::new()).is_none()),
        Lost::Cuboids => s.cuboids.take().map_or(0, |c| c.len()),
        Lost::Groups => {
            let other = s.group.as_str() != own;
            s.group = GroupKey::new(own).unwrap();
            usize::from(other)
        }
        Lost::Captures => {
            let other = s.capture.as_str() != own || s.slice != "main";
            (s.capture, s.slice) = (CaptureId::new(own).unwrap(), "main".to_owned());
            usize::from(other)
        }
        Lost::Areas => of_labels(s, &|_, l| usize::from(l.area.take().is_some())),
        Lost::CrowdMarks => of_labels(s, &|_, l| usize::from(std::mem::take(&mut l.is_crowd))),
        Lost::Annotators => of_labels(s, &|_, l| usize::from(l.annotator.take().is_some())),
        Lost::LabelledBy => usize::from(s.labelled_by.take().is_some()),
        Lost::SampleFields => drop_fields(&mut s.extra, names, &back.unwrap().extra),
        Lost::LabelFields => of_labels(s, &|i, l| {
            let theirs = &back.unwrap().boxes.as_ref().unwrap()[i];
            drop_fields(&mut l.extra, names, &theirs.extra)
        }),
        Lost::FileNames => {
            let theirs = back.unwrap().file_name.clone();
            usize::from(std::mem::replace(&mut s.file_name, theirs.clone()) != theirs)
        }
        other => panic!("{other} are lost by no format here"),
    }
}

/// JSON texts by what they mean: numbers by value, also where a format has only texts for them.
pub(crate) fn meant(mut set: AnnotationSet) -> AnnotationSet {
    let mean = |extra: &mut Extra| {
        for raw in extra.values_mut() {
            *raw = meaning(&serde_json::from_str(raw).unwrap()).to_string();
        }
    };
    mean(&mut set.extra);
    for sample in &mut set.samples {
        mean(&mut sample.extra);
        sample.boxes.iter_mut().flatten().for_each(|l| mean(&mut l.extra));
    }
    set
}

fn meaning(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Number(n) => Value::String(format!("{:?}", n.as_f64().unwrap())),
        Value::String(s) => Value::String(s.parse::<f64>().map_or_else(|_| s.clone(), |n| format!("{n:?}"))),
        Value::Array(all) => Value::Array(all.iter().map(meaning).collect()),
        Value::Object(all) => Value::Object(all.iter().map(|(k, v)| (k.clone(), meaning(v))).collect()),
        other => other.clone(),
    }
}
