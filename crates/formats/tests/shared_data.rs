//! Public data sets, where they are at hand.

#![allow(clippy::print_stderr)]

use std::path::PathBuf;

use labelloop_formats::{Strictness, coco};

fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("LABELLOOP_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = folder.join("data").join(name);
    if !path.exists() {
        eprintln!("left out: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn public_coco_files_read_strictly_and_write_back_the_same() {
    for (name, n_images, n_boxes) in [("bccd", 253, 3408), ("deeppcb", 1045, 6871), ("cards", 253, 468)] {
        let Some(path) = shared(&format!("{name}/instances.json")) else { continue };
        let options = coco::ReadOptions { strictness: Strictness::Strict, ..Default::default() };
        let first = coco::read(&path, &options).unwrap();
        assert_eq!((first.set.samples.len(), first.set.n_boxes()), (n_images, n_boxes), "{name}");
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.json");
        assert_eq!(coco::write(&copy, &first.set, &coco::WriteOptions::default()).unwrap(), []);
        let again = coco::read(&copy, &options).unwrap();
        assert_eq!((again.set, again.image_ids), (first.set, first.image_ids), "{name}");
    }
}
