//! Point files that other programs wrote, files that are broken, and frames of real sensors where they are at hand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may unwrap as tests do")]
#![allow(clippy::print_stderr, reason = "what a test leaves out should be seen")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use labelloop_core::{Cuboid, CuboidFrame};
use labelloop_media::{
    MediaError, PcdEncoding, PcdProblem, PointCloud, PointPlace, bev_image, count_points, decode_pcd,
    encode_pcd, points_in_cuboid, read_points, write_pcd,
};
use proptest::prelude::*;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/points").join(name)
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn files_of_other_programs_have_their_points() {
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(data("expected.json")).unwrap()).unwrap();
    let places = expected["xyz"].as_array().unwrap().iter().map(numbers).collect::<Vec<_>>();
    let (utm, intensity) = (numbers(&expected["utm"]), numbers(&expected["intensity"]));
    let pcd = ["ascii.pcd", "binary.pcd", "binary_compressed.pcd"].map(|name| (name, vec![0.0; 3], 1.0));
    let las =
        ["format1.las", "format3.laz", "format6.las", "format7.laz"].map(|name| (name, utm.clone(), 257.0));
    let cases = pcd.into_iter().chain(las).collect::<Vec<_>>();
    assert_eq!(cases.len(), 7, "the number of cases only rises");
    for (name, moved, times) in cases {
        let cloud = read_points(&data(name)).unwrap();
        assert_eq!(cloud.n_points(), places.len(), "{name}");
        for (row, place) in places.iter().enumerate() {
            let found = cloud.place(row).unwrap();
            let error = (0..3).map(|k| (found[k] - place[k] - moved[k]).abs()).fold(0.0, f64::max);
            assert!(error < 5.5e-4, "{name} {row}: {found:?}");
            assert_eq!(f64::from(cloud.points()[row][3]), intensity[row] * times, "{name}");
        }
    }
}

const HEADER: [&str; 10] = [
    "VERSION 0.7",
    "FIELDS x y z",
    "SIZE 4 4 4",
    "TYPE F F F",
    "COUNT 1 1 1",
    "WIDTH 2",
    "HEIGHT 1",
    "VIEWPOINT 0 0 0 1 0 0 0",
    "POINTS 2",
    "DATA ascii",
];

/// The header with one line exchanged, or left out where nothing is given, and a body.
fn with(line: &str, body: &str) -> Vec<u8> {
    let word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let mut text = String::new();
    for usual in HEADER {
        let said = if word(usual) == word(line) { line } else { usual };
        if said != word(said) {
            writeln!(text, "{said}").unwrap();
        }
    }
    (text + body).into_bytes()
}

const BODY: &str = "1 2 3\n4 5 6\n";

fn fault(bytes: &[u8]) -> (PointPlace, PcdProblem) {
    match decode_pcd(bytes) {
        Err(MediaError::Pcd { at, problem, .. }) => (at, *problem),
        other => panic!("expected a problem, found {other:?}"),
    }
}

#[test]
fn headers_may_leave_out_what_follows_from_the_rest() {
    for line in ["", "COUNT", "HEIGHT", "VIEWPOINT", "POINTS", "WIDTH"] {
        assert_eq!(decode_pcd(&with(line, BODY)).unwrap().n_points(), 2, "{line}");
    }
}

#[test]
fn headers_that_say_too_little_or_nonsense_are_refused_at_their_line() {
    let cases = [
        ("VERSION 0.8", 1, "VERSION \"0.8\": expected 0.5, 0.6 or 0.7"),
        ("FIELDS x y intensity", 2, "no field \"z\": expected x, y and z"),
        ("FIELDS x y z x", 3, "3 values of SIZE for 4 fields: expected one for each"),
        ("FIELDS x x y", 2, "field \"x\" comes twice: expected one"),
        ("SIZE 4 4", 3, "2 values of SIZE for 3 fields: expected one for each"),
        ("SIZE 4 4 3", 3, "field \"z\" is of type F and 3 bytes"),
        ("TYPE F F Q", 4, "TYPE \"Q\": expected I, U or F"),
        ("COUNT 1 1 -1", 5, "COUNT \"-1\": expected a whole number of at least 1"),
        ("COUNT 1 2 1", 2, "field \"y\" holds 2 numbers a point: expected 1"),
        ("WIDTH two", 6, "WIDTH \"two\": expected a whole number of at least 0"),
        ("WIDTH 3", 9, "POINTS 2 for WIDTH 3 and HEIGHT 1: expected their product"),
        ("HEIGHT 18446744073709551615", 9, "expected their product"),
        ("POINTS 7", 9, "POINTS 7 for WIDTH 2 and HEIGHT 1"),
        ("DATA text", 10, "DATA \"text\": expected ascii, binary or binary_compressed"),
        ("DATA", 11, "\"1\": expected a line of a PCD header"),
        ("FIELDS", 9, "no FIELDS in the header: expected one"),
        ("TYPE", 9, "no TYPE in the header: expected one"),
    ];
    for (line, at, expected) in cases {
        let (place, problem) = fault(&with(line, BODY));
        assert!(problem.to_string().contains(expected), "{line}: {problem}");
        let at = if line == "DATA" { 10 } else { at };
        assert_eq!(place, PointPlace::Line(at), "{line}: {problem}");
    }
}

#[test]
fn data_that_contradicts_the_header_is_refused_at_its_place() {
    let cases = [
        ("1 2 3\n4 5\n", 12, "2 columns: expected 3"),
        ("1 2 3\n4 5 6 7\n", 12, "4 columns: expected 3"),
        ("1 2 3\n4 five 6\n", 12, "column 2 is \"five\": expected a number"),
        ("1 2 3\n4 5 6\n7 8 9\n", 13, "3 lines of data: expected 2"),
        ("1.25 2.25 3.25\n", 11, "1 lines of data: expected 2"),
    ];
    for (body, at, expected) in cases {
        let (place, problem) = fault(&with("", body));
        assert!(problem.to_string().contains(expected), "{body}: {problem}");
        assert_eq!(place, PointPlace::Line(at), "{body}");
    }
}

#[test]
fn a_header_cannot_ask_for_more_than_the_file_holds() {
    let many = "HEIGHT 1000000";
    for kind in ["ascii", "binary", "binary_compressed"] {
        let text = String::from_utf8(with(many, "")).unwrap().replace("POINTS 2", "POINTS 2000000");
        let mut bytes = text.replace("DATA ascii", &format!("DATA {kind}")).into_bytes();
        // 24 million bytes packed into 12.
        bytes.extend([12u32.to_le_bytes(), 24_000_000u32.to_le_bytes()].concat());
        bytes.extend([0xFF; 12]);
        let (place, problem) = fault(&bytes);
        assert_eq!(matches!(place, PointPlace::Line(_)), kind == "ascii", "{problem}");
    }
    let text = String::from_utf8(with("WIDTH 18446744073709551615", BODY)).unwrap();
    let refused = decode_pcd(text.replace("POINTS 2", "POINTS 18446744073709551615").as_bytes());
    assert!(matches!(refused, Err(MediaError::TooManyPoints { n_points: u64::MAX, .. })));
}

#[test]
fn fields_of_every_type_are_read() {
    let header = "VERSION .7\nFIELDS a x b y z I\nSIZE 1 1 8 2 8 4\nTYPE U I F I F U\nCOUNT 3 1 1 1 1 1\nWIDTH 1\nDATA ";
    let ascii = format!("{header}ascii\n1 2 3 -4 0.5 -300 2.25 4000000000\n");
    let mut binary = format!("{header}binary\n").into_bytes();
    binary.extend([1, 2, 3, 0xFC]);
    binary.extend(0.5f64.to_le_bytes());
    binary.extend((-300i16).to_le_bytes());
    binary.extend(2.25f64.to_le_bytes());
    binary.extend(4_000_000_000u32.to_le_bytes());
    for bytes in [ascii.as_bytes(), &binary] {
        assert_eq!(decode_pcd(bytes).unwrap().points(), [[-4.0, -300.0, 2.25, 4e9]]);
    }
    let (_, problem) = fault(ascii.replace(" -4 ", " -129 ").as_bytes());
    assert!(
        problem.to_string().contains("column 4 is \"-129\": expected a whole number that its field"),
        "{problem}"
    );
}

#[test]
fn broken_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in
        [("a.pcd", "VERSION 0.7\nFIELDS x"), ("a.las", "LASF"), ("a.laz", "no"), ("a.bin", "123")]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let refused = read_points(&path).unwrap_err().to_string();
        assert!(refused.contains(name), "{refused}");
    }
}

#[test]
fn map_coordinates_survive_pcd() {
    let origin = [433_000.0, 5_412_000.0, 0.0];
    let cloud = PointCloud::with_origin(vec![[12.125, -0.25, 300.5, 7.0], [f32::NAN, 0.0, 0.0, 0.0]], origin)
        .unwrap();
    for encoding in [PcdEncoding::Ascii, PcdEncoding::Binary] {
        let back = decode_pcd(&encode_pcd(&cloud, encoding)).unwrap();
        assert_eq!(back.origin(), origin);
        assert_eq!(back.points()[0], cloud.points()[0]);
        assert_eq!((back.place(1), back.n_points()), (None, 2));
    }
}

proptest! {
    #[test]
    fn pcd_keeps_every_bit_of_a_cloud(
        rows in proptest::collection::vec([any::<f32>(), any::<f32>(), any::<f32>(), any::<f32>()], 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pcd");
        let bits = |cloud: &PointCloud| {
            cloud.points().iter().flatten().map(|v| if v.is_nan() { 1 } else { v.to_bits() }).collect::<Vec<_>>()
        };
        let cloud = PointCloud::new(rows);
        for encoding in [PcdEncoding::Ascii, PcdEncoding::Binary] {
            write_pcd(&cloud, &path, encoding).unwrap();
            prop_assert_eq!(bits(&read_points(&path).unwrap()), bits(&cloud));
        }
    }
}

/// The folder of measured data, where there is one.
fn shared(what: &str) -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("LABELLOOP_SHARED").map_or(usual, PathBuf::from).join(what);
    if !folder.is_dir() {
        eprintln!("left out: no folder {}", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn counts_of_sustech_frames_are_those_of_their_tool() {
    let Some(folder) = shared("data/sustech3d") else { return };
    let lines = std::fs::read_to_string(folder.join("frames.jsonl")).unwrap();
    let (mut n_boxes, mut n_equal, mut differences) = (0, 0, Vec::new());
    for line in lines.lines() {
        let frame: serde_json::Value = serde_json::from_str(line).unwrap();
        let cloud = read_points(&folder.join(frame["points"].as_str().unwrap())).unwrap();
        let (mut cuboids, mut stated) = (Vec::new(), Vec::new());
        for label in frame["boxes"].as_array().unwrap() {
            let [centre, size] =
                ["center", "size"].map(|key| <[f64; 3]>::try_from(numbers(&label[key])).unwrap());
            cuboids
                .push(Cuboid::new(centre, size, label["yaw"].as_f64().unwrap(), CuboidFrame::Lidar).unwrap());
            stated.push(label["n_points"].as_i64().unwrap());
        }
        let counts = count_points(&cloud, &cuboids);
        for (cuboid, (count, stated)) in cuboids.iter().zip(counts.iter().zip(stated)) {
            assert_eq!(*count as usize, points_in_cuboid(&cloud, cuboid));
            n_boxes += 1;
            n_equal += usize::from(i64::from(*count) == stated);
            differences.push(i64::from(*count) - stated);
        }
    }
    let most = differences.iter().map(|d| d.abs()).max().unwrap_or(0);
    eprintln!("sustech3d: {n_equal} of {n_boxes} counts agree exactly, the others differ by at most {most}");
    differences.retain(|d| *d != 0);
    eprintln!("differences: {differences:?}");
    assert_eq!((n_boxes, n_equal), (87, 87));
}

/// Numbers after a name in a KITTI calibration file.
fn calibration(text: &str, name: &str) -> Vec<f64> {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().skip(1).map(|v| v.parse().unwrap()).collect()
}

/// A label's box in the lidar's frame: `R0_rect · Tr_velo_to_cam` undone.
fn in_lidar(label: &str, calib: &str) -> Option<(String, Cuboid)> {
    let words = label.split_whitespace().collect::<Vec<_>>();
    let number = |i: usize| words[i].parse::<f64>().unwrap();
    if words[0] == "DontCare" {
        return None;
    }
    let (rect, tr) = (calibration(calib, "R0_rect:"), calibration(calib, "Tr_velo_to_cam:"));
    let [h, w, l] = [8, 9, 10].map(number);
    let camera = [number(11), number(12) - h / 2.0, number(13)];
    // Rotations are undone by their transposes.
    let unrect = [0, 1, 2].map(|i| (0..3).map(|j| rect[3 * j + i] * camera[j]).sum::<f64>());
    let moved = [0, 1, 2].map(|i| unrect[i] - tr[4 * i + 3]);
    let centre = [0, 1, 2].map(|i| (0..3).map(|j| tr[4 * j + i] * moved[j]).sum::<f64>());
    let yaw = -number(14) - std::f64::consts::FRAC_PI_2;
    Some((words[0].to_owned(), Cuboid::new(centre, [l, w, h], yaw, CuboidFrame::Lidar).unwrap()))
}

#[test]
fn cuboids_of_kitti_frames_hold_points_of_their_objects() {
    let Some(folder) = shared("data/kitti_frames") else { return };
    for frame in ["000000", "000001", "000002"] {
        let cloud = read_points(&folder.join(format!("velodyne/{frame}.bin"))).unwrap();
        let [calib, labels] = ["calib", "label_2"]
            .map(|name| std::fs::read_to_string(folder.join(format!("{name}/{frame}.txt"))).unwrap());
        let found = labels.lines().filter_map(|label| in_lidar(label, &calib)).collect::<Vec<_>>();
        let cuboids = found.iter().map(|(_, cuboid)| *cuboid).collect::<Vec<_>>();
        let counts = count_points(&cloud, &cuboids);
        for ((class, cuboid), count) in found.iter().zip(&counts) {
            let [x, y, _] = cuboid.centre();
            let distance = x.hypot(y);
            eprintln!("{frame} {class} at {distance:.1} m: {count} points");
            // A lidar of 64 lines sees hundreds of points of a near object, and few of a far one.
            let expected = if distance < 15.0 { 200..20_000 } else { 1..1_000 };
            assert!(expected.contains(count), "{frame} {class} at {distance:.1} m: {count}");
        }
        bev_image(&cloud, &cuboids, 50.0, 800).unwrap();
    }
}
