//! The benches of labelloop: what each speed claim was measured with.
//!
//! | program | what it does |
//! |---|---|
//! | `coco_inputs` | writes a pair of COCO files like those of val2017, of any size, the same bytes for the same seed |
//! | `coco_eval` | two COCO files to the full arrays and twelve statistics: the program that is measured |
//! | `kitti_eval` | KITTI evaluation of generated frames as many as its usual validation set has |
//! | `coco_cases` | many small problems in one process, for the differential test against pycocotools |
//! | `nuscenes_eval` | nuScenes' protocol on a generated set as large as its validation set |
//! | `overlap3`, `overlap3_peers.py` | overlaps of cuboids, nanoseconds a pair; the same pairs by shapely and OpenCV |
//! | `descriptor_knn`, `digits.py`, `label_errors_peers.py` | how often neighbours name classes, and find labels swapped on purpose; cleanlab on the same |
//! | `object_errors_peers.py` | label errors that the example `label_suspects` of qa plants, found by cleanlab's ObjectLab |
//! | `golden_power`, `drift_peers.py` | false alarms and power of the golden check on rounds of simulated people; evidently, deepchecks, class counts and an accuracy rule on the same rounds |
//! | `embed_speed`, `embed_peers.py` | vectors of pictures by an ONNX model, beside the ceiling of its parts and loops in Python |
//! | `hnsw`, `hnsw_peers.py` | neighbours along a graph and by scanning; recall and queries a CPU second beside hnswlib, usearch and faiss |
//! | `zcore_speed`, `zcore_peers.py` | ZCore's draws and whole runs; the reference in numpy on the same array and draws |
//! | `neighbours`, `neighbours_peers.py` | exact neighbours, CPU seconds of a search beside faiss and scikit-learn |
//! | `peers.py` | runs the other evaluators and ours in turn on the same files and prints the table |
//!
//! `docs/benchmarks.md` holds what they said.

pub mod arrays;
pub mod cpu;
pub mod inputs;
pub mod problem;
