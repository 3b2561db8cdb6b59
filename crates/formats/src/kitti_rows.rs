//! KITTI's label and result files as plain rows, for evaluation.
//!
//! [`crate::kitti`] reads a data set and keeps every word; this reads what a metric looks at, in the order of the file, and
//! has no patience: a line that is not understood is an error, since an evaluation without it would be another one.
//!
//! KITTI's words for unknown become `None`: an `alpha` of -10, four corners of -1 or 0, dimensions of -1 or 0, a location of
//! -1000. Truncation and occlusion keep theirs, -1. Lines of `DontCare` have a box and no cuboid.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labelloop_core::{BBox, CoreError, Cuboid, SampleId};
use rayon::prelude::*;

use crate::warning::invalid;
use crate::{FormatError, Result, Warning, WarningKind, files};

/// One line of a label or result file.
#[derive(Debug, Clone, PartialEq)]
pub struct KittiRow {
    /// The first word.
    pub class: String,
    /// Share outside the picture, or -1.
    pub truncation: f64,
    /// 0 fully visible, 1 partly, 2 largely occluded, 3 unknown, or -1.
    pub occlusion: i32,
    /// Angle at which the camera sees the object, in radians.
    pub alpha: Option<f64>,
    /// Box in the left colour picture.
    pub bbox: Option<BBox>,
    /// Box in the rectified camera's frame.
    pub cuboid: Option<Cuboid>,
    /// The sixteenth word; labels have none.
    pub score: Option<f64>,
    /// Line in the file, from 1.
    pub line: usize,
}

const N_NUMBERS: usize = 14;

/// Reads all `.txt` files of a folder, or of the `label_2` inside it, by their path below the folder without the ending.
///
/// ```
/// use labelloop_formats::kitti_rows::read_folder;
///
/// let dir = tempfile::tempdir()?;
/// let line = "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n";
/// std::fs::write(dir.path().join("000001.txt"), line)?;
/// std::fs::write(dir.path().join("000002.txt"), "")?;
/// let frames = read_folder(dir.path())?;
/// let car = &frames["000001"][0];
/// assert_eq!((car.class.as_str(), car.score), ("Car", None));
/// assert_eq!(car.cuboid.unwrap().size(), [3.64, 1.67, 1.65]);
/// assert!(frames["000002"].is_empty(), "a picture without objects");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`]; [`FormatError::Structure`] for a folder without a `.txt` file;
/// [`FormatError::Refused`] for a line that is not KITTI's, with file, line and what was found.
pub fn read_folder(dir: &Path) -> Result<BTreeMap<SampleId, Vec<KittiRow>>> {
    let inner = dir.join("label_2");
    let folder = if inner.is_dir() { inner } else { dir.to_owned() };
    let names: Vec<(SampleId, PathBuf)> = files::files_below(&folder)?
        .into_iter()
        .filter(|file| files::ending(file) == Some("txt") && file != "classes.txt")
        .map(|file| {
            let path = folder.join(&file);
            match SampleId::new(file.trim_end_matches(".txt")) {
                Ok(id) => Ok((id, path)),
                Err(reason) => {
                    Err(refused(&path, None, WarningKind::Refused { place: "file name".to_owned(), reason }))
                }
            }
        })
        .collect::<Result<_>>()?;
    if names.is_empty() {
        let expected = "at least one .txt file with a line for each object";
        return Err(FormatError::Structure { path: folder, place: "folder".to_owned(), expected });
    }
    let read: Vec<Result<Vec<KittiRow>>> = names.par_iter().map(|(_, path)| read_rows(path)).collect();
    // The first file that cannot be read is the error, however threads were scheduled.
    names.into_iter().zip(read).map(|((id, _), rows)| Ok((id, rows?))).collect()
}

/// Reads one file.
///
/// # Errors
/// As [`read_folder`].
pub fn read_rows(path: &Path) -> Result<Vec<KittiRow>> {
    rows_from_text(path, &files::read_text(path)?)
}

/// Reads the text of one file; the path is for messages.
///
/// ```
/// use std::path::Path;
///
/// let said = labelloop_formats::kitti_rows::rows_from_text(Path::new("000001.txt"), "\nCar 0 0 nan\n").unwrap_err();
/// assert_eq!((said.line(), said.path()), (Some(2), Some(Path::new("000001.txt"))));
/// assert!(said.to_string().contains("4 words: expected a type and 14 or 15 numbers"), "{said}");
/// ```
///
/// # Errors
/// [`FormatError::Refused`].
pub fn rows_from_text(path: &Path, text: &str) -> Result<Vec<KittiRow>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(i, line)| row(line, i + 1).map_err(|kind| refused(path, Some(i + 1), kind))).collect()
}

fn refused(path: &Path, line: Option<usize>, kind: WarningKind) -> FormatError {
    FormatError::Refused(Box::new(Warning { path: path.to_owned(), line, kind }))
}

fn row(text: &str, line: usize) -> Result<KittiRow, WarningKind> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if !matches!(words.len(), 15 | 16) {
        return Err(WarningKind::InvalidValue {
            place: "the line".to_owned(),
            expected: "a type and 14 or 15 numbers",
            found: format!("{} words", words.len()),
        });
    }
    let mut numbers = [0.0; N_NUMBERS + 1];
    for ((number, word), name) in numbers.iter_mut().zip(&words[1..]).zip(NAMES) {
        *number = word
            .parse()
            .ok()
            .filter(|n: &f64| n.is_finite())
            .ok_or_else(|| invalid(name, "a finite number", word))?;
    }
    let [truncation, occlusion, alpha, left, top, right, bottom, height, width, length, x, y, z, yaw, score] =
        numbers;
    if occlusion.fract() != 0.0 || !(-1.0..=3.0).contains(&occlusion) {
        return Err(invalid("occluded", "-1, 0, 1, 2 or 3", words[2]));
    }
    let class = words[0].to_owned();
    let has_cuboid = !class.eq_ignore_ascii_case("DontCare");
    Ok(KittiRow {
        truncation,
        occlusion: occlusion as i32,
        alpha: (alpha != -10.0).then_some(alpha),
        bbox: bbox([left, top, right, bottom]).map_err(of("bbox"))?,
        cuboid: if has_cuboid {
            cuboid([height, width, length], [x, y, z], yaw).map_err(of("cuboid"))?
        } else {
            None
        },
        score: (words.len() == 16).then_some(score),
        class,
        line,
    })
}

const NAMES: [&str; N_NUMBERS + 1] = [
    "truncated",
    "occluded",
    "alpha",
    "left",
    "top",
    "right",
    "bottom",
    "height",
    "width",
    "length",
    "x",
    "y",
    "z",
    "rotation_y",
    "score",
];

fn of(place: &'static str) -> impl Fn(CoreError) -> WarningKind {
    move |reason| WarningKind::Refused { place: place.to_owned(), reason }
}

fn bbox(corners: [f64; 4]) -> Result<Option<BBox>, CoreError> {
    if is_all(&corners, -1.0) || is_all(&corners, 0.0) {
        return Ok(None);
    }
    let [left, top, right, bottom] = corners;
    BBox::from_corners(left, top, right, bottom).map(Some)
}

fn cuboid(dimensions: [f64; 3], location: [f64; 3], yaw: f64) -> Result<Option<Cuboid>, CoreError> {
    if is_all(&dimensions, -1.0) || is_all(&dimensions, 0.0) || is_all(&location, -1000.0) {
        return Ok(None);
    }
    Cuboid::from_kitti(dimensions, location, yaw).map(Some)
}

fn is_all(numbers: &[f64], unknown: f64) -> bool {
    numbers.iter().all(|n| *n == unknown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59";

    fn rows(text: &str) -> Result<Vec<KittiRow>> {
        rows_from_text(Path::new("000001.txt"), text)
    }

    /// The line with word `i` replaced.
    fn with(i: usize, word: &str) -> String {
        let mut words: Vec<&str> = LINE.split(' ').collect();
        words[i] = word;
        words.join(" ")
    }

    #[test]
    fn labels_and_results_are_read_in_order() {
        let found = rows(&format!("{LINE}\r\n\n{LINE} -3.5\n")).unwrap();
        assert_eq!((found.len(), found[0].score, found[1].score), (2, None, Some(-3.5)));
        assert_eq!((found[0].line, found[1].line), (1, 3));
        let first = &found[0];
        assert_eq!((first.truncation, first.occlusion, first.alpha), (0.0, 0, Some(-1.58)));
        let [left, top, right, bottom] = first.bbox.unwrap().to_corners();
        assert!(
            (left, top) == (587.01, 173.33)
                && (right - 614.12).abs() < 1e-9
                && (bottom - 200.12).abs() < 1e-9
        );
        assert_eq!(first.cuboid.unwrap().to_kitti(), Some(([1.65, 1.67, 3.64], [-0.65, 1.71, 46.70], -1.59)));
        assert!(rows("").unwrap().is_empty());
    }

    #[test]
    fn words_for_unknown_become_nothing() {
        let flat = rows("Car -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10 0.5").unwrap();
        assert_eq!(
            (flat[0].alpha, flat[0].cuboid, flat[0].truncation, flat[0].occlusion),
            (None, None, -1.0, -1)
        );
        for none in ["-1 -1 -1 -1", "0 0 0 0", "0.00 0.0 0 0"] {
            let spatial = rows(&format!("Car -1 -1 -10 {none} 1.5 1.6 4 1 2 30 0 0.5")).unwrap();
            assert!(spatial[0].bbox.is_none() && spatial[0].cuboid.is_some());
        }
        let region = rows("DontCare -1 -1 -10 1 2 3 4 -1000 -1000 -1000 -10 -1 -1 -1").unwrap();
        assert!(region[0].bbox.is_some() && region[0].cuboid.is_none(), "some files swap size and place");
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_with_its_place() {
        for (text, said) in [
            ("Car 0 0".to_owned(), "line 1: the line is 3 words"),
            (format!("{LINE}\n{LINE} 1 2"), "line 2: the line is 17 words"),
            (with(4, "abc"), r#"line 1: left is "abc": expected a finite number"#),
            (with(14, "nan"), r#"line 1: rotation_y is "nan": expected a finite number"#),
            (format!("{LINE} inf"), r#"line 1: score is "inf": expected a finite number"#),
            (with(2, "0.5"), r#"line 1: occluded is "0.5": expected -1, 0, 1, 2 or 3"#),
            (with(2, "7"), "line 1: occluded"),
            (with(6, "500"), "line 1: bbox"),
            (with(8, "0"), "line 1: cuboid"),
            (with(9, "-1.6"), "line 1: cuboid"),
        ] {
            let found = rows(&text).unwrap_err().to_string();
            assert!(found.starts_with("000001.txt, ") && found.contains(said), "{found}");
        }
    }

    #[test]
    fn folders_are_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read_folder(dir.path()), Err(FormatError::Structure { .. })));
        assert!(matches!(read_folder(&dir.path().join("none")), Err(FormatError::Io { .. })));
        let inner = dir.path().join("label_2");
        std::fs::create_dir_all(inner.join("0001")).unwrap();
        std::fs::write(dir.path().join("classes.txt"), "Car").unwrap();
        std::fs::write(inner.join("000001.txt"), LINE).unwrap();
        std::fs::write(inner.join("0001/000002.txt"), LINE).unwrap();
        std::fs::write(inner.join("notes.md"), "no label").unwrap();
        let found = read_folder(dir.path()).unwrap();
        assert_eq!(found.keys().map(SampleId::as_str).collect::<Vec<_>>(), ["000001", "0001/000002"]);
        assert_eq!(found, read_folder(&inner).unwrap());
        std::fs::write(inner.join("000003.txt"), [0xff]).unwrap();
        assert!(matches!(read_folder(dir.path()), Err(FormatError::NotUtf8 { .. })));
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "[A-Za-z0-9 .eE\\-\n]{0,200}") {
            let _ = rows(&text);
        }

        #[test]
        fn any_numbers_get_an_answer(numbers in prop::collection::vec(prop_oneof![any::<f64>(), Just(-1.0), Just(0.0)], 15)) {
            let words: Vec<String> = numbers.iter().map(f64::to_string).collect();
            if let Ok(found) = rows(&format!("Car {}", words.join(" "))) {
                prop_assert_eq!(found[0].score, Some(numbers[14]));
            }
        }
    }
}
