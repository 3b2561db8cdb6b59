#![doc = include_str!("../README.md")]

mod bytes;
mod clusterings;
mod evaluation;
mod exact_neighbours;
mod files;
mod kitti_rows;
mod model_description;
pub mod mutation;
mod neighbours;
mod nuscenes;
mod partials;
mod pictures;
mod points;
mod rows;
mod selection;

pub use clusterings::clusterings;
pub use evaluation::{coco_pair, evaluate};
pub use exact_neighbours::exact_neighbours;
pub use files::{coco_round_trip, cvat, fiftyone, kitti, kitti_captures, label_studio, tables, voc, yolo};
pub use kitti_rows::kitti_rows;
pub use model_description::model_description;
pub use neighbours::neighbour_graph;
pub use nuscenes::nuscenes;
pub use partials::partials;
pub use pictures::{decode, decode_reduced, phash};
pub use points::{point_bin, point_las, point_pcd};
pub use rows::{coco_detections, coco_labels};
pub use selection::select;

/// A function that must stand any bytes.
pub type Body = fn(&[u8]);

/// Every body with the name of its folder in the corpus.
pub const BODIES: [(&str, Body); 27] = [
    ("coco_labels", coco_labels),
    ("coco_detections", coco_detections),
    ("coco_pair", coco_pair),
    ("coco_round_trip", coco_round_trip),
    ("evaluate", evaluate),
    ("yolo", yolo),
    ("voc", voc),
    ("kitti", kitti),
    ("kitti_rows", kitti_rows),
    ("kitti_captures", kitti_captures),
    ("cvat", cvat),
    ("label_studio", label_studio),
    ("fiftyone", fiftyone),
    ("tables", tables),
    ("nuscenes", nuscenes),
    ("partials", partials),
    ("clusterings", clusterings),
    ("decode", decode),
    ("decode_reduced", decode_reduced),
    ("phash", phash),
    ("point_bin", point_bin),
    ("point_pcd", point_pcd),
    ("point_las", point_las),
    ("select", select),
    ("neighbour_graph", neighbour_graph),
    ("exact_neighbours", exact_neighbours),
    ("model_description", model_description),
];
