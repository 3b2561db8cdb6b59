//! Runs foreign reference cases against our code and holds on to how many of them agree.
//!
//! Reference data is not part of the project. It lies in a folder beside it, or where the variable
//! [`SHARED_VARIABLE`] says; where there is none, a test says so loudly with [`left_out`] and passes.

use std::path::{Path, PathBuf};

/// Environment variable that names the folder of shared data.
pub const SHARED_VARIABLE: &str = "LABELLOOP_SHARED";

/// The folder of shared data: what [`SHARED_VARIABLE`] names, else `shared` beside the workspace. `None` where that
/// is not a folder.
///
/// ```
/// use labelloop_testkit::conformance;
///
/// match conformance::shared_dir() {
///     Some(dir) => assert!(dir.is_dir()),
///     None => conformance::left_out("the reference cases"),
/// }
/// ```
pub fn shared_dir() -> Option<PathBuf> {
    resolve(std::env::var_os(SHARED_VARIABLE).map(PathBuf::from))
}

/// A file or folder of the shared data, or nothing and a loud word that the test of it is left out.
///
/// ```
/// use labelloop_testkit::conformance::shared_path;
///
/// assert_eq!(shared_path("no/such/cases.json"), None);
/// ```
pub fn shared_path(relative: &str) -> Option<PathBuf> {
    let found = shared_dir().map(|dir| dir.join(relative)).filter(|path| path.exists());
    if found.is_none() {
        left_out(relative);
    }
    found
}

/// Says on the error stream that something is not tested here, because its data is not there.
#[expect(clippy::print_stderr, reason = "a test that passes without having looked must say so")]
pub fn left_out(what: &str) {
    eprintln!("LEFT OUT: {what} (no such shared data; set {SHARED_VARIABLE} to its folder)");
}

fn resolve(named: Option<PathBuf>) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    named.unwrap_or_else(beside).canonicalize().ok().filter(|dir| dir.is_dir())
}

/// How many cases of a reference suite we decide as the reference does.
///
/// A suite may hold cases that we decide otherwise, on purpose or not yet. The number of cases that agree is committed
/// with the test and may only rise.
///
/// ```
/// use labelloop_testkit::conformance::Tally;
///
/// let mut tally = Tally::new("rounding");
/// for (case, ours, theirs) in [("half", 0.5f64.round(), 1.0), ("minus half", (-0.5f64).round(), 0.0)] {
///     tally.case(case, ours == theirs, || format!("{ours} instead of {theirs}"));
/// }
/// assert_eq!((tally.n_agreed(), tally.n_otherwise()), (1, 1));
/// tally.holds_at_least(1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    suite: String,
    n_agreed: usize,
    otherwise: Vec<String>,
}

impl Tally {
    /// Starts to count the cases of a suite.
    pub fn new(suite: &str) -> Self {
        Self { suite: suite.to_owned(), n_agreed: 0, otherwise: Vec::new() }
    }

    /// Counts a case; `why` tells what we decided where that is not what the reference did.
    pub fn case(&mut self, name: &str, agrees: bool, why: impl FnOnce() -> String) {
        if agrees {
            self.n_agreed += 1;
        } else {
            self.otherwise.push(format!("{name}: {}", why()));
        }
    }

    /// Counts a case of numbers that agree when each is within `tolerance`, absolute, of the reference's. NaN agrees
    /// with NaN.
    ///
    /// ```
    /// use labelloop_testkit::conformance::Tally;
    ///
    /// let mut tally = Tally::new("sums");
    /// tally.numbers("thirds", &[0.333, 0.667], &[1.0 / 3.0, 2.0 / 3.0], 1e-3);
    /// assert_eq!(tally.n_agreed(), 1);
    /// ```
    pub fn numbers(&mut self, name: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
        let is_near =
            |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance || (a.is_nan() && b.is_nan()) || a == b;
        let agrees = ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_near);
        self.case(name, agrees, || format!("{ours:?} instead of {theirs:?} within {tolerance}"));
    }

    /// Cases that agree.
    pub fn n_agreed(&self) -> usize {
        self.n_agreed
    }

    /// Cases that we decide otherwise.
    pub fn n_otherwise(&self) -> usize {
        self.otherwise.len()
    }

    /// What we decide otherwise, as `case: why`, in the order of the cases.
    pub fn otherwise(&self) -> &[String] {
        &self.otherwise
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let n = self.n_agreed + self.otherwise.len();
        format!("{}: {} of {n} cases agree", self.suite, self.n_agreed)
    }

    /// Prints the summary, and what was decided otherwise, and insists on the committed number.
    ///
    /// # Panics
    /// When fewer cases agree than `committed`.
    #[expect(clippy::print_stderr, reason = "the count is what a reader of the test's output looks for")]
    pub fn holds_at_least(&self, committed: usize) {
        eprintln!("{}", self.summary());
        for line in &self.otherwise {
            eprintln!("  otherwise: {line}");
        }
        assert!(committed <= self.n_agreed, "{}; {committed} agreed before", self.summary());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_folder_comes_first_and_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(resolve(Some(dir.path().to_owned())), Some(dir.path().canonicalize().unwrap()));
        assert_eq!(resolve(Some(dir.path().join("missing"))), None);
    }

    #[test]
    fn a_file_is_not_a_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(resolve(Some(file.path().to_owned())), None);
    }

    #[test]
    fn missing_data_is_none() {
        assert_eq!(shared_path("no such file, we hope"), None);
    }

    #[test]
    fn numbers_of_another_length_are_otherwise() {
        let mut t = Tally::new("s");
        t.numbers("short", &[1.0], &[1.0, 2.0], 1.0);
        t.numbers("nan", &[f64::NAN], &[f64::NAN], 0.0);
        t.numbers("infinite", &[f64::INFINITY], &[f64::INFINITY], 0.0);
        t.numbers("nan and not", &[f64::NAN], &[1.0], 1.0);
        assert_eq!((t.n_agreed(), t.n_otherwise()), (2, 2));
        assert!(t.otherwise()[0].starts_with("short: [1.0] instead of"));
        assert_eq!(t.summary(), "s: 2 of 4 cases agree");
    }

    #[test]
    fn the_count_may_rise() {
        let mut t = Tally::new("s");
        t.case("a", true, String::new);
        t.holds_at_least(0);
        t.holds_at_least(1);
    }

    #[test]
    #[should_panic(expected = "s: 0 of 1 cases agree; 1 agreed before")]
    fn the_count_may_not_fall() {
        let mut t = Tally::new("s");
        t.case("a", false, || "wrong".to_owned());
        t.holds_at_least(1);
    }
}
