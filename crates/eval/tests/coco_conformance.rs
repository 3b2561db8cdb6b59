//! COCO's protocol against values that pycocotools 2.0.11 computed: every bit must agree.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod common;

use std::collections::BTreeMap;

use common::{Picture, cases, shared};
use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
use labelloop_eval::coco::{self, CocoParams, CocoResult, ImageOrder};
use serde_json::Value;

fn by_number() -> CocoParams {
    CocoParams { image_order: ImageOrder::Number, ..CocoParams::default() }
}

fn assert_same_bits(found: &[f64], expected: &[f64], what: &str) {
    let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(found), bits(expected), "{what}: found {found:?}, expected {expected:?}");
}

/// FNV-1a over the bytes of an array, as the script that made the golden values does it.
fn fold(array: &[f64]) -> String {
    let bytes = array.iter().flat_map(|v| v.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

type GoldenLabel = (usize, u32, [f64; 4], f64, u8);
type GoldenDetection = (usize, u32, [f64; 4], f64);

#[derive(serde::Deserialize)]
struct Golden {
    n_images: usize,
    n_classes: usize,
    labels: Vec<GoldenLabel>,
    detections: Vec<GoldenDetection>,
    stats: Vec<f64>,
    fnv: [String; 3],
}

impl Golden {
    fn pictures(&self) -> Vec<Picture> {
        let mut pictures: Vec<Picture> = (1..=self.n_images).map(|i| Picture::new(&i.to_string())).collect();
        for (image, class, bbox, area, crowd) in &self.labels {
            let mut label = LabelledBox::new(ClassIdx(*class), BBox::try_from(*bbox).unwrap());
            label.area = Some(*area);
            label.is_crowd = *crowd == 1;
            pictures[*image].labels.push(label);
        }
        for (image, class, bbox, score) in &self.detections {
            pictures[*image] = pictures[*image].clone().detection(*class, *bbox, *score);
        }
        pictures
    }
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("golden/coco_random.json")).unwrap()
}

#[test]
fn random_problems_agree_with_pycocotools_in_every_bit() {
    let problems = golden();
    assert!(300 <= problems.len(), "the number of golden cases only rises");
    for (i, problem) in problems.iter().enumerate() {
        let pictures = problem.pictures();
        let result = coco::evaluate(&cases(&pictures), problem.n_classes, &by_number()).unwrap();
        assert_same_bits(&result.stats, &problem.stats, &format!("statistics of case {i}"));
        let found = [&result.precision, &result.recall, &result.scores].map(|a| fold(a));
        assert_eq!(found, problem.fnv, "arrays of case {i}");
    }
}

#[test]
fn shards_in_any_order_through_json_give_the_same_bits() {
    for problem in golden().iter().step_by(7) {
        let pictures = problem.pictures();
        let mut merged: Option<coco::Partial> = None;
        for picture in pictures.iter().rev() {
            let shard = coco::observe(&picture.case(), problem.n_classes, &by_number()).unwrap();
            let json = serde_json::to_string(&shard).unwrap();
            let shard: coco::Partial = serde_json::from_str(&json).unwrap();
            match &mut merged {
                None => merged = Some(shard),
                Some(merged) => merged.merge(shard).unwrap(),
            }
        }
        assert_same_bits(&merged.unwrap().finish().unwrap().stats, &problem.stats, "merged");
    }
}

/// A COCO file pair as pictures; an error where a number is none that the vocabulary takes.
fn read(gt: &Value, detections: &Value) -> Result<(Vec<Picture>, usize), String> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let number = |v: &Value| match v.as_str() {
        Some("$nan") => Ok(f64::NAN),
        Some("$inf") => Ok(f64::INFINITY),
        _ => v.as_f64().ok_or_else(|| format!("{v} is no number")),
    };
    let bbox = |v: &Value| -> Result<BBox, String> {
        let sides = v.as_array().ok_or("no box")?;
        let sides: Vec<f64> = sides.iter().map(number).collect::<Result<_, _>>()?;
        BBox::try_from(<[f64; 4]>::try_from(sides).map_err(|_| "no four numbers")?).map_err(|e| e.to_string())
    };
    let mut categories: Vec<i64> =
        gt["categories"].as_array().unwrap().iter().map(|c| c["id"].as_i64().unwrap()).collect();
    categories.sort_unstable();
    let classes: BTreeMap<i64, u32> = categories.into_iter().zip(0..).collect();
    let class = |v: &Value| v.as_i64().and_then(|id| classes.get(&id)).map(|k| ClassIdx(*k));
    let mut pictures: BTreeMap<String, Picture> = gt["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (text(&i["id"]), Picture::new(&text(&i["id"]))))
        .collect();
    for a in gt["annotations"].as_array().unwrap() {
        let (Some(class), Some(picture)) =
            (class(&a["category_id"]), pictures.get_mut(&text(&a["image_id"])))
        else {
            continue;
        };
        let mut label = LabelledBox::new(class, bbox(&a["bbox"])?);
        label.area = a.get("area").map(number).transpose()?;
        label.is_crowd = a.get("iscrowd").is_some_and(|c| c == 1);
        picture.labels.push(label);
    }
    for d in detections.as_array().unwrap() {
        let picture = pictures
            .get_mut(&text(&d["image_id"]))
            .ok_or_else(|| format!("unknown image {}", d["image_id"]))?;
        let Some(class) = class(&d["category_id"]) else { continue };
        let scored = ScoredBox::new(class, bbox(&d["bbox"])?, number(&d["score"])?);
        picture.detections.push(scored.map_err(|e| e.to_string())?);
    }
    Ok((pictures.into_values().collect(), classes.len()))
}

fn evaluate(gt: &Value, detections: &Value) -> Result<CocoResult, String> {
    let (pictures, n_classes) = read(gt, detections)?;
    coco::evaluate(&cases(&pictures), n_classes, &by_number()).map_err(|e| e.to_string())
}

/// Cases in which we decide otherwise than pycocotools: a crash or a silent misreading there. `None`: refused here.
const DECIDED_OTHERWISE: [(&str, Option<f64>); 15] = [
    ("empty_dt_list", Some(0.0)),
    ("dt_unknown_image", None),
    ("ann_id_0", Some(0.9999999999999998)),
    ("ann_id_0_and_1", Some(1.0)),
    ("iscrowd_missing", Some(0.9999999999999998)),
    ("area_missing", Some(0.9999999999999998)),
    ("dup_ann_ids", Some(1.0)),
    ("neg_w_dt", None),
    ("nan_score", None),
    ("nan_score_fp_tp", None),
    ("inf_score", None),
    ("neg_score", None),
    ("nan_bbox_dt", None),
    ("score_missing", None),
    ("dt_has_segm_only_bbox_eval", None),
];

#[test]
fn edge_cases_agree_except_those_decided_otherwise() {
    let Some(path) = shared("conformance/eval2d/edge_cases.json") else { return };
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let problems = file["cases"].as_array().unwrap();
    let mut n_agreeing = 0;
    for problem in problems {
        let name = problem["name"].as_str().unwrap();
        let found = evaluate(problem, &problem["detections"]);
        if let Some((_, decision)) = DECIDED_OTHERWISE.iter().find(|(n, _)| *n == name) {
            assert_eq!(found.ok().and_then(|r| r.map()), *decision, "{name}");
            continue;
        }
        let expected: Vec<f64> = serde_json::from_value(problem["pycocotools"].clone()).unwrap();
        assert_same_bits(&found.unwrap().stats, &expected, name);
        n_agreeing += 1;
    }
    assert_eq!((problems.len(), n_agreeing), (46, 46 - DECIDED_OTHERWISE.len()));
}

#[test]
fn a_hundred_pictures_of_coco_agree() {
    let Some(folder) = shared("conformance/eval2d/coco100") else { return };
    let read = |name| serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    let result = evaluate(&read("gt.json"), &read("dt.json")).unwrap();
    assert_same_bits(
        &result.stats[..3],
        &[0.5045806987249628, 0.6969727247299577, 0.5729816669904824],
        "AP, AP50, AP75",
    );
}

#[test]
fn ranked_pictures_are_those_ordered_by_number() {
    for problem in golden().iter().step_by(11) {
        // Names that sort the other way round than the numbers.
        let n = problem.n_images;
        let named: Vec<Picture> = problem
            .pictures()
            .into_iter()
            .enumerate()
            .map(|(i, p)| Picture { id: SampleId::new(format!("{:03}.jpg", n - i)).unwrap(), ..p })
            .collect();
        let ranks = named.iter().zip(1..).map(|(p, i)| (p.id.clone(), i)).collect();
        let params = CocoParams { image_order: ImageOrder::Ranked(ranks), ..CocoParams::default() };
        let result = coco::evaluate(&cases(&named), problem.n_classes, &params).unwrap();
        assert_same_bits(&result.stats, &problem.stats, "ranked");
    }
}
