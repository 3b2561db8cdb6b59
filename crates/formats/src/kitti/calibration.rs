use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use labelloop_core::{Camera, CoreError, RigidTransform};

use crate::{FormatError, Result, Warning, WarningKind, files};

/// A row-major matrix of 3 x 4.
type Projection = [[f64; 4]; 3];

/// Keys of the object benchmark, and what the tracking benchmark calls the same.
const KEYS: [(&str, &str, usize); 7] = [
    ("P0", "P0", 12),
    ("P1", "P1", 12),
    ("P2", "P2", 12),
    ("P3", "P3", 12),
    ("R0_rect", "R_rect", 9),
    ("Tr_velo_to_cam", "Tr_velo_cam", 12),
    ("Tr_imu_to_velo", "Tr_imu_velo", 12),
];
const NUMBERS: &str = "12 finite numbers (9 for R0_rect)";

/// The calibration of one capture: `calib/000008.txt` (KITTI object development kit, readme).
///
/// A point `x` of the lidar is at `P2 · R0_rect · Tr_velo_to_cam · x` in the left colour picture.
///
/// ```
/// use std::path::Path;
/// use labelloop_formats::kitti::Calibration;
///
/// let text = "P2: 700 0 600 45 0 700 180 0 0 0 1 0.005\n\
///     R0_rect: 1 0 0 0 1 0 0 0 1\n\
///     Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n";
/// let calibration = Calibration::parse(Path::new("calib/000008.txt"), text)?;
/// let left = calibration.camera(2).expect("P2 is always there");
/// let [column, row] = left.project([10.27, 0.0, -0.08]).expect("it is ahead");
/// assert!((column - (10.0 * 600.0 + 45.0) / 10.005).abs() < 1e-9 && (row - 10.0 * 180.0 / 10.005).abs() < 1e-9);
/// assert!(calibration.camera(3).is_none(), "the file has no P3");
///
/// let said = Calibration::parse(Path::new("calib/000008.txt"), "P2: 700 0\n").unwrap_err();
/// assert_eq!(said.line(), Some(1));
/// # Ok::<(), labelloop_formats::FormatError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    projections: [Option<Projection>; 4],
    camera_from_reference: RigidTransform,
    reference_from_lidar: RigidTransform,
    lidar_from_imu: Option<RigidTransform>,
}

impl Calibration {
    /// Reads a calibration file. `P2`, `R0_rect` and `Tr_velo_to_cam` must be there; the tracking benchmark's names and
    /// lines without a colon are taken as well. Lines with other keys are left alone.
    ///
    /// # Errors
    /// [`FormatError::Io`], [`FormatError::NotUtf8`], and [`FormatError::Refused`] with file and line for a key that is
    /// missing or comes twice, a wrong number of numbers, and matrices that are no rotation or no projection.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &files::read_text(path)?)
    }

    /// As [`Calibration::read`], of a text; the path is for messages.
    ///
    /// # Errors
    /// [`FormatError::Refused`].
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        Lines::of(path, text)?.calibration()
    }

    /// A calibration from its parts: projections of cameras 0 to 3, the rotation that rectifies, and the way from the
    /// lidar to camera 0.
    ///
    /// # Errors
    /// [`CoreError::InvalidTransform`] for projections that are none.
    pub fn new(
        projections: [Option<Projection>; 4],
        camera_from_reference: RigidTransform,
        reference_from_lidar: RigidTransform,
    ) -> Result<Self, CoreError> {
        for projection in projections.into_iter().flatten() {
            Camera::new(projection, RigidTransform::IDENTITY)?;
        }
        Ok(Self { projections, camera_from_reference, reference_from_lidar, lidar_from_imu: None })
    }

    /// The camera of a pair's pictures: 2 is the left colour camera (`image_2`), 3 the right one, 0 and 1 the grey pair.
    /// `None` for a camera whose projection is not known.
    ///
    /// The rigid part is `R0_rect · Tr_velo_to_cam`; the fourth column of the projection keeps the camera's shift.
    pub fn camera(&self, number: usize) -> Option<Camera> {
        let projection = (*self.projections.get(number)?)?;
        Camera::new(projection, self.camera_from_lidar()).ok()
    }

    /// The way from the lidar to the rectified camera that labels are in.
    pub fn camera_from_lidar(&self) -> RigidTransform {
        self.camera_from_reference.after(&self.reference_from_lidar)
    }

    /// The way from the inertial sensor to the lidar, where the file tells it.
    pub fn lidar_from_imu(&self) -> Option<&RigidTransform> {
        self.lidar_from_imu.as_ref()
    }

    /// The text of a file. What was read from KITTI's files is written as it stands there; other numbers get as many digits
    /// as they need.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut add = |key: &str, numbers: &[f64]| {
            let words: Vec<String> = numbers.iter().map(|n| word(*n)).collect();
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{key}: {}", words.join(" "));
        };
        for ((key, ..), projection) in KEYS.iter().zip(&self.projections) {
            if let Some(projection) = projection {
                add(key, &projection.concat());
            }
        }
        add(KEYS[4].0, &self.camera_from_reference.rotation().concat());
        add(KEYS[5].0, &rows_of(&self.reference_from_lidar).concat());
        if let Some(lidar_from_imu) = &self.lidar_from_imu {
            add(KEYS[6].0, &rows_of(lidar_from_imu).concat());
        }
        text
    }

    /// Writes a file, whole or not at all; [`Calibration::read`] gives the same calibration.
    ///
    /// # Errors
    /// [`FormatError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_atomic(path, &self.to_text())
    }
}

fn rows_of(transform: &RigidTransform) -> Projection {
    let (rotation, shift) = (transform.rotation(), transform.translation());
    std::array::from_fn(|i| [rotation[i][0], rotation[i][1], rotation[i][2], shift[i]])
}

/// As C's `%.12e` where that says all, as KITTI's files do, else with all digits.
fn word(number: f64) -> String {
    let short = format!("{number:.12e}");
    let text = if short.parse() == Ok(number) { short } else { format!("{number:e}") };
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, power) = exponent.strip_prefix('-').map_or(('+', exponent), |p| ('-', p));
    format!("{digits}e{sign}{power:0>2}")
}

/// The numbers of a file by key, with their lines.
struct Lines<'a> {
    path: &'a Path,
    numbers: BTreeMap<&'static str, (usize, Vec<f64>)>,
}

impl<'a> Lines<'a> {
    fn of(path: &'a Path, text: &str) -> Result<Self> {
        let mut numbers = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let Some(first) = line.split_whitespace().next() else { continue };
            let name = first.split(':').next().unwrap_or(first);
            let Some((key, _, count)) = KEYS.iter().find(|(key, other, _)| *key == name || *other == name)
            else {
                continue;
            };
            let refuse = |kind| Err(refused(path, Some(i + 1), kind));
            let rest = line.trim_start()[name.len()..].trim_start_matches(':');
            let Some(found) = parsed(rest, *count) else {
                return refuse(crate::warning::invalid(*key, NUMBERS, rest.trim()));
            };
            if numbers.insert(*key, (i + 1, found)).is_some() {
                return refuse(crate::warning::invalid(*key, "one line for each key", "a second one"));
            }
        }
        Ok(Self { path, numbers })
    }

    fn calibration(&self) -> Result<Calibration> {
        let mut projections = [None; 4];
        for ((key, ..), projection) in KEYS.iter().zip(&mut projections) {
            *projection = self.projection(key)?;
        }
        if projections[2].is_none() {
            return Err(self.missing("P2"));
        }
        let (line, r) = self.numbers.get("R0_rect").ok_or_else(|| self.missing("R0_rect"))?;
        let rotation = std::array::from_fn(|i| [r[3 * i], r[3 * i + 1], r[3 * i + 2]]);
        let camera_from_reference = RigidTransform::new(rotation, [0.0; 3])
            .map_err(|reason| self.no_matrix("R0_rect", *line, reason))?;
        let reference_from_lidar =
            self.transform("Tr_velo_to_cam")?.ok_or_else(|| self.missing("Tr_velo_to_cam"))?;
        let lidar_from_imu = self.transform("Tr_imu_to_velo")?;
        Ok(Calibration { projections, camera_from_reference, reference_from_lidar, lidar_from_imu })
    }

    fn projection(&self, key: &'static str) -> Result<Option<Projection>> {
        let Some((line, numbers)) = self.numbers.get(key) else { return Ok(None) };
        let rows = rows(numbers);
        Camera::new(rows, RigidTransform::IDENTITY).map_err(|reason| self.no_matrix(key, *line, reason))?;
        Ok(Some(rows))
    }

    fn transform(&self, key: &'static str) -> Result<Option<RigidTransform>> {
        let Some((line, numbers)) = self.numbers.get(key) else { return Ok(None) };
        let rows = rows(numbers);
        let transform = RigidTransform::new(rows.map(|r| [r[0], r[1], r[2]]), rows.map(|r| r[3]));
        transform.map(Some).map_err(|reason| self.no_matrix(key, *line, reason))
    }

    fn missing(&self, field: &'static str) -> FormatError {
        refused(self.path, None, WarningKind::MissingField { place: "calibration".to_owned(), field })
    }

    fn no_matrix(&self, key: &str, line: usize, reason: CoreError) -> FormatError {
        refused(self.path, Some(line), WarningKind::Refused { place: key.to_owned(), reason })
    }
}

fn parsed(text: &str, count: usize) -> Option<Vec<f64>> {
    let numbers: Option<Vec<f64>> =
        text.split_whitespace().map(|w| w.parse().ok().filter(|n: &f64| n.is_finite())).collect();
    numbers.filter(|n| n.len() == count)
}

fn rows(numbers: &[f64]) -> Projection {
    std::array::from_fn(|i| std::array::from_fn(|j| numbers.get(4 * i + j).copied().unwrap_or(f64::NAN)))
}

fn refused(path: &Path, line: Option<usize>, kind: WarningKind) -> FormatError {
    FormatError::Refused(Box::new(Warning { path: path.to_owned(), line, kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "P0: 7.205000000000e+02 0.000000000000e+00 6.102500000000e+02 0.000000000000e+00 \
        0.000000000000e+00 7.205000000000e+02 1.747500000000e+02 0.000000000000e+00 0.000000000000e+00 \
        0.000000000000e+00 1.000000000000e+00 0.000000000000e+00\n\
        P2: 7.205000000000e+02 0.000000000000e+00 6.102500000000e+02 4.450000000000e+01 \
        0.000000000000e+00 7.205000000000e+02 1.747500000000e+02 2.100000000000e-01 0.000000000000e+00 \
        0.000000000000e+00 1.000000000000e+00 2.700000000000e-03\n\
        R0_rect: 9.999500000000e-01 -8.017878000000e-03 -5.975745000000e-03 7.999771000000e-03 \
        9.999634000000e-01 -3.047898000000e-03 5.999964000000e-03 2.999942000000e-03 9.999775000000e-01\n\
        Tr_velo_to_cam: -4.999969000000e-03 -9.999795000000e-01 -4.009939000000e-03 -1.230000000000e-02 \
        1.999999000000e-03 3.999981000000e-03 -9.999900000000e-01 -7.110000000000e-02 \
        9.999855000000e-01 -5.007939000000e-03 1.979958000000e-03 -2.905000000000e-01\n\
        Tr_imu_to_velo: 1.000000000000e+00 0.000000000000e+00 0.000000000000e+00 -8.100000000000e-01 \
        0.000000000000e+00 1.000000000000e+00 0.000000000000e+00 3.200000000000e-01 0.000000000000e+00 \
        0.000000000000e+00 1.000000000000e+00 -8.000000000000e-01\n";

    fn parse(text: &str) -> Result<Calibration> {
        Calibration::parse(Path::new("calib/000000.txt"), text)
    }

    fn without(key: &str) -> String {
        TEXT.lines().filter(|l| !l.starts_with(key)).map(|l| format!("{l}\n")).collect()
    }

    #[test]
    fn files_come_back_word_for_word() {
        assert_eq!(parse(TEXT).unwrap().to_text(), TEXT);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("000000.txt");
        parse(TEXT).unwrap().write(&path).unwrap();
        assert_eq!(Calibration::read(&path).unwrap(), parse(TEXT).unwrap());
    }

    #[test]
    fn numbers_that_need_more_digits_get_them() {
        for number in [0.1 + 0.2, 1e-300, -std::f64::consts::PI, 5e300, 0.0, -0.0] {
            assert_eq!(
                word(number).parse::<f64>().unwrap().to_bits(),
                f64::to_bits(number),
                "{}",
                word(number)
            );
        }
        assert_eq!(
            (word(-0.5), word(1e-10)),
            ("-5.000000000000e-01".to_owned(), "1.000000000000e-10".to_owned())
        );
    }

    #[test]
    fn keys_that_must_be_there_are_missed_by_name() {
        for key in ["P2", "R0_rect", "Tr_velo_to_cam"] {
            let said = parse(&without(key)).unwrap_err().to_string();
            assert!(said.starts_with("calib/000000.txt: calibration") && said.contains(key), "{said}");
        }
        for key in ["P0", "Tr_imu_to_velo"] {
            assert!(parse(&without(key)).is_ok());
        }
    }

    #[test]
    fn wrong_counts_and_words_are_told_with_their_line() {
        for (from, to) in
            [("9.999775000000e-01\n", "\n"), ("9.999775000000e-01\n", "NaN\n"), ("2.999942", "x")]
        {
            let refused = parse(&TEXT.replacen(from, to, 1)).unwrap_err();
            assert_eq!(refused.line(), Some(3), "{refused}");
            assert!(refused.to_string().contains("R0_rect"));
        }
        let twice = parse(&format!("{TEXT}{TEXT}")).unwrap_err();
        assert_eq!(twice.line(), Some(6), "{twice}");
    }

    #[test]
    fn matrices_that_are_no_rotation_are_told_with_their_line() {
        let said = parse(&TEXT.replace("9.999500000000e-01", "1.9")).unwrap_err();
        assert_eq!(said.line(), Some(3), "{said}");
        let said = parse(&TEXT.replace("9.999855000000e-01", "-9.999855000000e-01")).unwrap_err();
        assert_eq!(said.line(), Some(4), "{said}");
        let said = parse(&TEXT.replace("P2: 7.205000000000e+02", "P2: 0.0")).unwrap_err();
        assert_eq!(said.line(), Some(2), "{said}");
    }

    #[test]
    fn names_of_the_tracking_benchmark_are_known() {
        let other = TEXT
            .replace("R0_rect:", "R_rect")
            .replace("Tr_velo_to_cam:", "Tr_velo_cam")
            .replace("Tr_imu_to_velo:", "Tr_imu_velo");
        assert_eq!(parse(&format!("# comment\n\nS_rect_00: 1 2\n{other}")).unwrap(), parse(TEXT).unwrap());
    }

    #[test]
    fn cameras_keep_their_shift() {
        let calibration = parse(TEXT).unwrap();
        let (left, grey) = (calibration.camera(2).unwrap(), calibration.camera(0).unwrap());
        assert_eq!(left.image_from_camera()[0][3], 44.5);
        assert_eq!(left.camera_from_lidar(), grey.camera_from_lidar());
        assert_eq!((calibration.camera(1), calibration.camera(9)), (None, None));
        let there = calibration.camera_from_lidar();
        let point = [10.0, -3.0, 0.5];
        let slow = calibration.camera_from_reference.apply(calibration.reference_from_lidar.apply(point));
        for (a, b) in there.apply(point).iter().zip(slow) {
            assert!((a - b).abs() < 1e-12);
        }
        assert!(calibration.lidar_from_imu().is_some());
    }
}
