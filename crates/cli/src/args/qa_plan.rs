use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct QaPlanArgs {
    /// Numbers of golden images to try, ascending, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "25,50,100,200,400", value_name = "N,N,..")]
    pub(crate) sizes: Vec<usize>,
    /// COCO file with one's own reference labels: its images are drawn from, in place of made-up ones.
    #[arg(long, value_name = "R.json")]
    pub(crate) reference: Option<PathBuf>,
    /// COCO files of rounds of the reference that are known to be good: how often people err is taken from them.
    #[arg(long, value_name = "A.json", num_args = 1.., requires = "reference")]
    pub(crate) calibration: Vec<PathBuf>,
    /// Calibration rounds there will be; absent: as many as are given, or 3.
    #[arg(long, value_name = "K")]
    pub(crate) calibration_rounds: Option<usize>,
    /// A drift to find, such as missed=0.05; absent: seven strong ones. Of swapped, shrunk, spurious, shifted, missed,
    /// missed_small, left_empty.
    #[arg(long, value_name = "KIND=SHARE")]
    pub(crate) drift: Vec<String>,
    /// Rounds simulated for every drift and size.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) runs: usize,
    /// Share of drifted rounds that are to be found.
    #[arg(long, default_value_t = 0.8, value_name = "SHARE")]
    pub(crate) power: f64,
    /// Error level of the checks.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) level: f64,
    /// Permutations of every check.
    #[arg(long, default_value_t = 199, value_name = "N")]
    pub(crate) permutations: usize,
    /// Seed of images and rounds.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) people: PeopleArgs,
}

/// How people err where nothing changed; what is not given comes from the calibration rounds, or is the usual.
#[derive(Debug, Args)]
pub(crate) struct PeopleArgs {
    /// Share of medium and large objects that people miss anyway.
    #[arg(long, value_name = "SHARE")]
    pub(crate) miss: Option<f64>,
    /// Share of small objects that they miss anyway.
    #[arg(long, value_name = "SHARE")]
    pub(crate) miss_small: Option<f64>,
    /// Boxes without an object that they draw anyway, per object.
    #[arg(long, value_name = "SHARE")]
    pub(crate) spurious: Option<f64>,
    /// Share of objects whose class they confuse anyway.
    #[arg(long, value_name = "SHARE")]
    pub(crate) swap: Option<f64>,
    /// By how much their edges are off, in sides of the box.
    #[arg(long, value_name = "SHARE")]
    pub(crate) jitter: Option<f64>,
}
