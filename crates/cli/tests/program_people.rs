//! `qa scorecards`, `qa agreement`, `qa check` and `qa suspects --by image` as people call them.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;
use std::process::{Command, Output};

use labelloop_core::Seed;
use serde_json::{Value, json};

const N_IMAGES: u64 = 80;
const PEOPLE: [&str; 4] = ["ada", "bob", "cyd", "eve"];

fn image(i: u64) -> Value {
    json!({ "id": i, "file_name": format!("g{i:02}.png"), "width": 640, "height": 480 })
}

/// Six objects of two classes in each picture; `is_missed` says which are left out, `jitter` by how much edges are off.
fn labels(seed: u64, jitter: f64, is_missed: impl Fn(u64) -> bool) -> Vec<Value> {
    let noise = Seed::new(seed);
    let annotation = |k: u64| {
        let off = |i: u64| jitter * noise.normal(4 * k + i);
        let bbox = [20.0 + 90.0 * (k % 6) as f64 + off(0), 100.0 + off(1), 60.0 + off(2), 50.0 + off(3)];
        json!({ "id": k + 1, "image_id": k / 6, "category_id": 1 + k % 2, "bbox": bbox, "iscrowd": 0 })
    };
    (0..6 * N_IMAGES).filter(|k| !is_missed(*k)).map(annotation).collect()
}

fn coco(images: &[Value], annotations: &[Value], classes: &[&str]) -> String {
    let categories: Vec<Value> =
        (1..).zip(classes).map(|(id, name)| json!({ "id": id, "name": name })).collect();
    json!({ "images": images, "annotations": annotations, "categories": categories }).to_string()
}

fn all_images() -> Vec<Value> {
    (0..N_IMAGES).map(image).collect()
}

/// `ref.json` and `round.json`: four people share the pictures, and Eve overlooks every fourth object.
fn golden(dir: &Path) {
    std::fs::write(dir.join("ref.json"), coco(&all_images(), &labels(0, 0.0, |_| false), &["car", "van"]))
        .unwrap();
    let of = |i: u64| PEOPLE[(i % 4) as usize];
    let images: Vec<Value> = (0..N_IMAGES)
        .map(|i| {
            let mut image = image(i);
            image["labelled_by"] = of(i).into();
            image
        })
        .collect();
    let missed = |k: u64| of(k / 6) == "eve" && k.is_multiple_of(4);
    std::fs::write(dir.join("round.json"), coco(&images, &labels(1, 1.5, missed), &["car", "van"])).unwrap();
}

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).current_dir(dir).arg("qa").args(args).output().unwrap()
}

fn json_of(dir: &Path, args: &[&str]) -> Value {
    let output = run(dir, &[args, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn words_of(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_careless_person_is_flagged_by_name() {
    let dir = tempfile::tempdir().unwrap();
    golden(dir.path());
    let args = ["scorecards", "--reference", "ref.json", "round.json"];
    let told = json_of(dir.path(), &args);
    let cards = told["cards"].as_array().unwrap();
    let names: Vec<&str> = cards.iter().map(|c| c["annotator"].as_str().unwrap()).collect();
    assert_eq!(names, PEOPLE);
    let is_flagged =
        |c: &Value| c["figures"].as_array().unwrap().iter().any(|f| f["is_flagged"] == json!(true));
    let flagged: Vec<bool> = cards.iter().map(is_flagged).collect();
    assert_eq!(flagged, [false, false, false, true]);
    let words = words_of(dir.path(), &args);
    assert!(words.contains("eve: missed ") && words.contains("worse than the rest, q = "), "{words}");
}

#[test]
fn files_without_names_can_be_people() {
    let dir = tempfile::tempdir().unwrap();
    golden(dir.path());
    for (seed, name) in (2..).zip(["ada", "bob"]) {
        let text = coco(
            &all_images(),
            &labels(seed, 1.5, |k| name == "bob" && k.is_multiple_of(5)),
            &["van", "car"],
        );
        std::fs::write(dir.path().join(format!("{name}.json")), text).unwrap();
    }
    let unnamed = run(dir.path(), &["scorecards", "--reference", "ref.json", "ada.json"]);
    assert_eq!(unnamed.status.code(), Some(2), "{unnamed:?}");
    let told =
        json_of(dir.path(), &["scorecards", "--reference", "ref.json", "ada.json", "bob.json", "--by-file"]);
    assert_eq!((&told["cards"][1]["annotator"], &told["n_shared"]), (&json!("bob"), &json!(N_IMAGES)));
    // The files list the classes the other way round, so that every class is wrong.
    assert_eq!(told["cards"][0]["figures"][2]["raw"], json!(1.0));
    assert_eq!(told["cards"][1]["figures"][0]["is_flagged"], json!(true));
}

#[test]
fn people_who_labelled_the_same_pictures_in_one_file_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    golden(dir.path());
    let mut together = Vec::new();
    for (seed, name) in (1..).zip(["ada", "bob", "cyd"]) {
        let own = labels(seed, 1.5, |k| name == "cyd" && k.is_multiple_of(5));
        together.extend(own.into_iter().map(|mut b| {
            b["annotator"] = name.into();
            b["id"] = (b["id"].as_u64().unwrap() + 10_000 * seed).into();
            b
        }));
    }
    std::fs::write(dir.path().join("all.json"), coco(&all_images(), &together, &["car", "van"])).unwrap();
    let args = ["scorecards", "--reference", "ref.json", "all.json"];
    let joint = run(dir.path(), &args);
    assert!(String::from_utf8_lossy(&joint.stderr).contains("80 pictures name several people"), "{joint:?}");
    let told = json_of(dir.path(), &[&args[..], &["--independent"]].concat());
    assert_eq!((&told["n_shared"], &told["cards"][0]["n_objects"]), (&json!(N_IMAGES), &json!(6 * N_IMAGES)));
    let missed: Vec<bool> =
        (0..3).map(|c| told["cards"][c]["figures"][0]["is_flagged"] == json!(true)).collect();
    assert_eq!(missed, [false, false, true]);
    assert_eq!(told["cards"][2]["figures"][1]["value"], json!(0.0), "nothing is spurious");
}

#[test]
fn people_of_files_and_people_of_one_file_agree_alike() {
    let dir = tempfile::tempdir().unwrap();
    let mut together = Vec::new();
    for (seed, name) in (1..).zip(PEOPLE) {
        let own = labels(seed, 2.0, |k| (k + seed).is_multiple_of(9));
        let text = coco(&all_images(), &own, &["car", "van"]);
        std::fs::write(dir.path().join(format!("{name}.json")), text).unwrap();
        together.extend(own.into_iter().map(|mut b| {
            b["annotator"] = name.into();
            b["id"] = (b["id"].as_u64().unwrap() + 10_000 * seed).into();
            b
        }));
    }
    std::fs::write(dir.path().join("all.json"), coco(&all_images(), &together, &["car", "van"])).unwrap();
    let files = json_of(dir.path(), &["agreement", "ada.json", "bob.json", "cyd.json", "eve.json"]);
    let one = json_of(dir.path(), &["agreement", "all.json"]);
    assert_eq!(files, one);
    assert_eq!(files["pairs"].as_array().unwrap().len(), 6);
    let alpha = files["alpha"].as_f64().unwrap();
    assert!(0.3 < alpha && alpha < 0.95, "{alpha}");
    assert!(words_of(dir.path(), &["agreement", "all.json"]).contains("Krippendorff's alpha 0."));
    let alone = run(dir.path(), &["agreement", "ada.json"]);
    assert_eq!(alone.status.code(), Some(2), "{alone:?}");
}

#[test]
fn what_is_plainly_wrong_is_listed_and_a_merge_is_weighed() {
    let dir = tempfile::tempdir().unwrap();
    golden(dir.path());
    let clean = words_of(dir.path(), &["check", "ref.json"]);
    assert!(clean.starts_with("nothing found in 80 pictures"), "{clean}");
    let wrong = [
        json!({ "id": 1, "image_id": 0, "category_id": 1, "bbox": [10, 10, 300, 1], "iscrowd": 0 }),
        json!({ "id": 2, "image_id": 0, "category_id": 2, "bbox": [600, 10, 90, 40], "iscrowd": 0 }),
        json!({ "id": 3, "image_id": 0, "category_id": 2, "bbox": [600, 10, 90, 40], "iscrowd": 0 }),
    ];
    std::fs::write(dir.path().join("new.json"), coco(&[image(0)], &wrong, &["car", "vam"])).unwrap();
    let told = json_of(dir.path(), &["check", "new.json", "--against", "ref.json"]);
    assert_eq!(told["counts"], json!({ "duplicate": 1, "out_of_image": 2, "sliver": 1 }));
    assert_eq!(told["unexpected_classes"], json!([{ "name": "vam", "count": 2, "nearest": "van" }]));
    assert_eq!(told["class_skew"]["classes"][2]["after"], json!(2));
    let words = words_of(dir.path(), &["check", "new.json", "--against", "ref.json", "--top", "1"]);
    assert!(words.contains("and 3 more (--top)"), "{words}");
    assert!(words.contains("class vam of 2 boxes is new, probably van"), "{words}");
    let unreadable = run(dir.path(), &["check", "new.json", "--format", "tape"]);
    assert_eq!(unreadable.status.code(), Some(2), "{unreadable:?}");
}

#[test]
fn pictures_are_ranked_by_their_labels() {
    let dir = tempfile::tempdir().unwrap();
    golden(dir.path());
    let found: Vec<Value> = labels(3, 1.0, |_| false)
        .into_iter()
        .map(|b| {
            let (image, category) = (b["image_id"].clone(), b["category_id"].clone());
            json!({ "image_id": image, "category_id": category, "bbox": b["bbox"], "score": 0.99 })
        })
        .collect();
    std::fs::write(dir.path().join("dt.json"), json!(found).to_string()).unwrap();
    let told = json_of(dir.path(), &["suspects", "round.json", "dt.json", "--by", "image", "--top", "20"]);
    let images = told["images"].as_array().unwrap();
    assert_eq!((images.len(), told["n_images"].as_u64()), (20, Some(N_IMAGES)));
    // Eve's pictures lack objects that were found, and come first.
    let number = |q: &Value| q["image"].as_str().unwrap()[1..].parse::<u64>().unwrap();
    assert!(images.iter().all(|q| number(q) % 4 == 3 && q["quality"].as_f64().unwrap() < 0.2), "{images:?}");
    let words = words_of(dir.path(), &["suspects", "round.json", "dt.json", "--by", "image", "--top", "1"]);
    assert!(words.contains("overlooked 0.0"), "{words}");
}
