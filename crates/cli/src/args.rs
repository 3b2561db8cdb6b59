//! The command line.

mod duplicates;
mod embed;
mod history;
mod layout;
mod people;
mod qa_chart;
mod qa_check;
mod qa_neighbours;
mod qa_people;
mod qa_plan;
mod qa_version;
mod split;
mod zcore;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::duplicates::{BitsArg, DuplicatesArgs};
pub(crate) use self::embed::{BackendArg, EmbedArgs};
pub(crate) use self::history::{HistoryArgs, HistoryCommand};
pub(crate) use self::layout::{ColourKind, LayoutArgs, LayoutMethod};
pub(crate) use self::people::{ExportArgs, ImportArgs, MediaArg, NoBoxesArg};
pub(crate) use self::qa_chart::QaChartArgs;
pub(crate) use self::qa_check::QaCheckArgs;
pub(crate) use self::qa_neighbours::QaNeighboursArgs;
pub(crate) use self::qa_people::{QaAgreementArgs, QaScorecardsArgs};
pub(crate) use self::qa_plan::{PeopleArgs, QaPlanArgs};
pub(crate) use self::qa_version::QaVersionArgs;
pub(crate) use self::split::{LeaksArgs, LookArgs, NearArg, SplitArgs};
pub(crate) use self::zcore::{ZcoreArgs, ZcoreCommand, ZcoreMergeArgs, ZcoreParamsArgs};

/// What to label next, did it help, can we trust the labels, when do we stop.
#[derive(Debug, Parser)]
#[command(name = "labelloop", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print one JSON document on standard output and nothing else there.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no progress and no messages.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// Threads to use; 0 means all cores. Results do not depend on it.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub(crate) threads: usize,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Score detections: COCO files, two detectors, or the project's current model.
    Eval(EvalArgs),
    /// Overlaps of pairs of upright cuboids.
    Iou3d(Iou3dArgs),
    /// Coverage scores of embeddings (ZCore).
    Zcore(ZcoreArgs),
    /// Choose rows of embeddings by a coreset method, or the project's next batch.
    Select(SelectArgs),
    /// Nearest neighbours of embeddings.
    Neighbors(NeighborsArgs),
    /// Pictures that look alike, by perceptual hashes.
    Duplicates(DuplicatesArgs),
    /// Vectors of pictures.
    Embed(EmbedArgs),
    /// Embeddings in the plane: a picture coloured by split, class, score or batch, or coordinates.
    Project(LayoutArgs),
    /// Turn one annotation format into another, and say what could not be carried over.
    Convert(ConvertArgs),
    /// Leak-free splits by group: of a COCO file, or of the project.
    Split(SplitArgs),
    /// Is anything on two sides of a split? Audit of a split that anybody made, in COCO files or in the project.
    Leaks(LeaksArgs),
    /// Has labelling drifted? Compare a golden round with its reference, or do the project's QA step.
    Qa(QaArgs),
    /// Start a project folder.
    Init(InitArgs),
    /// Take samples and labels into the project.
    Import(ImportArgs),
    /// Write a batch out for the people who label it.
    Export(ExportArgs),
    /// Do the project's training step.
    Train(ProjectArgs),
    /// Do whatever step is next.
    Next(ProjectArgs),
    /// Where the project stands and what to do next.
    Status(ProjectArgs),
    /// Look for damage and contradictions in the project, and say what to do about them.
    Doctor(ProjectArgs),
    /// Generations of the dataset: list them, compare two, go back to one.
    History(HistoryArgs),
    /// Draw the plots and write the HTML page.
    Report(ProjectArgs),
    /// Run the loop until a rule stops it or people must label.
    Run(RunArgs),
    /// Run the loop on generated scenes; needs no files.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    /// Project folder.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) project: PathBuf,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct EvalArgs {
    #[command(subcommand)]
    pub(crate) what: Option<EvalCommand>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    /// Open the frozen test set for the best model. The look is recorded and counts against the budget.
    #[arg(long, requires = "reason")]
    pub(crate) test: bool,
    /// Why the test set is opened.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// COCO bbox evaluation, as pycocotools computes it.
    Coco(EvalCocoArgs),
    /// Paired difference of two detectors.
    Compare(EvalCompareArgs),
    /// KITTI's object evaluation: boxes, bird's-eye views, cuboids and orientation.
    Kitti(EvalKittiArgs),
    /// nuScenes detection evaluation of plain box files, as its devkit computes it.
    Nuscenes(EvalNuscenesArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EvalCocoArgs {
    /// COCO file with the labels.
    pub(crate) gt: PathBuf,
    /// COCO results with the detections.
    pub(crate) dt: PathBuf,
    /// Also give counts by picture.
    #[arg(long)]
    pub(crate) per_image: bool,
    /// Also give intervals from N resamples of the pictures.
    #[arg(long, value_name = "N")]
    pub(crate) bootstrap: Option<usize>,
    /// Write precision, recall and scores arrays.
    #[arg(long, value_name = "OUT.npz")]
    pub(crate) arrays: Option<PathBuf>,
    /// Write one record per wrong object with its reason.
    #[arg(long, value_name = "OUT.json")]
    pub(crate) failures: Option<PathBuf>,
    /// Also say what each kind of error costs in average precision (TIDE).
    #[arg(long)]
    pub(crate) tide: bool,
    /// Also compare scores with precision.
    #[arg(long)]
    pub(crate) calibration: bool,
    /// Also give the confusion matrix.
    #[arg(long)]
    pub(crate) confusion: bool,
    /// Write precision, recall and F1 at every score, class by class.
    #[arg(long, value_name = "OUT.json")]
    pub(crate) curves: Option<PathBuf>,
    /// IoU at which objects are counted.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) iou: f64,
    /// Score from which detections are counted. Default: that of the best F1.
    #[arg(long)]
    pub(crate) min_score: Option<f64>,
    /// Seed of the resampling.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) data: EvalDataArgs,
}

/// How the pictures of an evaluation belong together.
#[derive(Debug, Args)]
pub(crate) struct EvalDataArgs {
    /// Also score slices: by size, position, crowding, overlap and aspect of objects.
    #[arg(long)]
    pub(crate) slices: bool,
    /// Also score slices by a field of images or annotations; may be given more than once.
    #[arg(long, value_name = "FIELD")]
    pub(crate) slice_by: Vec<String>,
    /// Field of images that names what resampling keeps together, such as a drive; images without it stand alone.
    #[arg(long, default_value = "group", value_name = "KEY")]
    pub(crate) group: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CorrectionArg {
    /// Holm: not even one false alarm.
    Holm,
    /// Benjamini-Hochberg: few false alarms among the alarms.
    Bh,
}

#[derive(Debug, Args)]
pub(crate) struct EvalNuscenesArgs {
    /// Labels, in the shape of nuScenes' detection results.
    pub(crate) gt: PathBuf,
    /// Detections, in nuScenes' submission format.
    pub(crate) dt: PathBuf,
    /// Leave out boxes that cannot be understood, and detections beyond 500 in a sample, with a warning.
    #[arg(long)]
    pub(crate) lenient: bool,
    /// Keep boxes however far away they are; their distance from the vehicle need not be known then.
    #[arg(long)]
    pub(crate) no_range_filter: bool,
    /// Take means over the classes that have a label instead of counting the others as failures.
    #[arg(long)]
    pub(crate) present_classes: bool,
    /// Also give intervals of mAP and NDS from N resamples of the scenes, or of the samples where no scenes are named.
    #[arg(long, value_name = "N")]
    pub(crate) bootstrap: Option<usize>,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Write what became of every box and why.
    #[arg(long, value_name = "OUT.json")]
    pub(crate) objects: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalCompareArgs {
    /// COCO file with the labels.
    pub(crate) gt: PathBuf,
    /// COCO results of the first detector.
    pub(crate) a: PathBuf,
    /// COCO results of the second detector.
    pub(crate) b: PathBuf,
    /// Resamples.
    #[arg(long, default_value_t = 2000, value_name = "N")]
    pub(crate) bootstrap: usize,
    /// How p-values are corrected for the number of classes and slices.
    #[arg(long, value_enum, default_value = "holm")]
    pub(crate) correction: CorrectionArg,
    /// Seed of the resampling.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) data: EvalDataArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvalKittiArgs {
    /// Folder of label files, or one with `label_2` in it.
    pub(crate) labels: PathBuf,
    /// Folder of result files of the same names; a frame without one counts as nothing found.
    pub(crate) predictions: PathBuf,
    /// The lower overlaps: cars .7, .5, .5 for boxes, bird's-eye views and cuboids, others .5, .25, .25.
    #[arg(long)]
    pub(crate) loose: bool,
    /// Count every label and detection, whatever its height, occlusion and truncation: for point clouds without pictures.
    #[arg(long)]
    pub(crate) no_filter: bool,
    /// Only frames whose names begin with one of these.
    #[arg(long, value_name = "PREFIX", value_delimiter = ',', num_args = 1..)]
    pub(crate) sequences: Vec<String>,
    /// Also score by distance and by occlusion.
    #[arg(long)]
    pub(crate) slices: bool,
    /// Also give intervals from N resamples of the recordings.
    #[arg(long, value_name = "N")]
    pub(crate) bootstrap: Option<usize>,
    /// How many characters of a frame's name name its recording. Absent: every frame is drawn by itself.
    #[arg(long, value_name = "N", requires = "bootstrap")]
    pub(crate) sequence_digits: Option<usize>,
    /// Seed of the resampling.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum InitialArg {
    /// Scores start at 0.
    Zero,
    /// Scores start at uniform noise, as the reference has it.
    Uniform,
}

#[derive(Debug, Args)]
pub(crate) struct Iou3dArgs {
    /// Rows of ax ay az al aw ah ayaw bx by bz bl bw bh byaw: centres, sizes in metres, yaw in radians.
    pub(crate) pairs: PathBuf,
    /// Where rows of inter_bev, iou_bev, inter_vol, iou_3d go.
    #[arg(long, value_name = "OUT.npy")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SelectArgs {
    /// Method, by its name; an unknown name is answered with all there are. Absent: the project's selection step.
    #[arg(requires = "embeddings")]
    pub(crate) method: Option<String>,
    /// Embeddings, one row per sample: .npy, or a .parquet table.
    pub(crate) embeddings: Option<PathBuf>,
    /// How many rows to choose.
    #[arg(short, long, value_name = "K")]
    pub(crate) k: Option<usize>,
    /// Where the rows go, best first.
    #[arg(long, value_name = "IDS.npy")]
    pub(crate) out: Option<PathBuf>,
    /// Rows that are labelled already: not chosen again, and their surroundings count as covered.
    #[arg(long, value_name = "IDS.npy")]
    pub(crate) labeled: Option<PathBuf>,
    /// The group of each row, a number each.
    #[arg(long, value_name = "GROUPS.npy", requires = "per_group")]
    pub(crate) groups: Option<PathBuf>,
    /// Most rows of one group, labelled ones counted.
    #[arg(long, value_name = "N", requires = "groups")]
    pub(crate) per_group: Option<usize>,
    /// Least distance of a row to all other chosen and labelled ones.
    #[arg(long, value_name = "D")]
    pub(crate) min_distance: Option<f64>,
    /// How much each row matters.
    #[arg(long, value_name = "WEIGHTS.npy")]
    pub(crate) weights: Option<PathBuf>,
    /// What distance is: Euclidean, or 1 - cosine with rows scaled to unit length.
    #[arg(long, value_enum, default_value = "l2")]
    pub(crate) metric: DistanceArg,
    /// A parameter of the method, as JSON or a word: neighbours=64, radius=budget. As often as wanted.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) param: Vec<String>,
    /// Another objective beside the method, and how much it counts; negative to avoid it. As often as wanted.
    #[arg(long, value_name = "METHOD=STRENGTH")]
    pub(crate) objective: Vec<String>,
    /// How much the method itself counts beside other objectives.
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true, value_name = "S")]
    pub(crate) strength: f64,
    /// Look at a random sample of rows in each step, large enough to miss at most so much of the best on average.
    #[arg(long, value_name = "EPSILON")]
    pub(crate) stochastic: Option<f64>,
    /// Seed where chance plays a part.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DistanceArg {
    /// Euclidean distance.
    L2,
    /// 1 - cosine of the angle.
    Cosine,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum NeighborMethod {
    /// Whatever is faster, the building of a graph included.
    Auto,
    /// The exact scan.
    Exact,
    /// Along a graph: approximate.
    Hnsw,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MetricArg {
    /// Cosine of the angle.
    Cosine,
    /// Inner product.
    Dot,
    /// Euclidean distance.
    L2,
}

#[derive(Debug, Args)]
pub(crate) struct NeighborsArgs {
    /// Rows to ask with: .npy, or a .parquet table.
    pub(crate) query: PathBuf,
    /// Rows to search: .npy, or a .parquet table.
    pub(crate) pool: PathBuf,
    /// Neighbours per query.
    #[arg(short, long, value_name = "K")]
    pub(crate) k: usize,
    /// Where the row numbers go, queries x K.
    #[arg(long, value_name = "IDS.npy")]
    pub(crate) out: PathBuf,
    /// Where the similarities go; distances under l2.
    #[arg(long, value_name = "S.npy")]
    pub(crate) scores: Option<PathBuf>,
    /// How to search.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) method: NeighborMethod,
    /// How closeness is measured.
    #[arg(long, value_enum, default_value = "cosine")]
    pub(crate) metric: MetricArg,
    /// The graph of the pool: read where the file exists, else built and written there.
    #[arg(long, value_name = "FILE")]
    pub(crate) index: Option<PathBuf>,
    /// Candidates that a walk along the graph keeps: more find more and take longer.
    #[arg(long, value_name = "N")]
    pub(crate) beam: Option<usize>,
    /// Rows of the pool that may come back.
    #[arg(long, value_name = "IDS.npy")]
    pub(crate) allowed: Option<PathBuf>,
    /// Ask so many queries exactly as well, and say what share of the true neighbours was found.
    #[arg(long, value_name = "N")]
    pub(crate) audit: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// File or folder to read.
    pub(crate) input: PathBuf,
    /// File or folder to write.
    pub(crate) output: PathBuf,
    /// Format of the input: coco, yolo, voc, kitti, cvat, label-studio, fiftyone.
    #[arg(long)]
    pub(crate) from: String,
    /// Format of the output.
    #[arg(long)]
    pub(crate) to: String,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct QaArgs {
    #[command(subcommand)]
    pub(crate) what: Option<QaCommand>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QaCommand {
    /// Compare a round of golden labels with its reference.
    Golden(QaGoldenArgs),
    /// Rank the labels that may be wrong, by what a detector found that was not trained on them.
    Suspects(QaSuspectsArgs),
    /// Rank the labels that the objects which look like theirs speak against, or list what looks like an object.
    Neighbours(QaNeighboursArgs),
    /// What each person who labels misses, invents, swaps and draws off, and who is worse than the rest.
    Scorecards(QaScorecardsArgs),
    /// How far people agree who labelled the same pictures.
    Agreement(QaAgreementArgs),
    /// What is plainly wrong: slivers, duplicates, boxes outside, near-miss names, and what a merge does to the classes.
    Check(QaCheckArgs),
    /// How large a golden set has to be: power of the golden check for every drift and size, by simulation.
    Plan(QaPlanArgs),
    /// Control charts over the rounds of the golden set: sudden and slow drifts, with a stated false-alarm rate.
    Chart(QaChartArgs),
    /// List the versions of the golden set, or make one of reference labels that were corrected.
    Version(QaVersionArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SuspectsOf {
    Object,
    Image,
}

#[derive(Debug, Args)]
pub(crate) struct QaSuspectsArgs {
    /// COCO file with the labels.
    pub(crate) gt: PathBuf,
    /// COCO results with the detections.
    pub(crate) dt: PathBuf,
    /// Rank single objects, or whole pictures by ObjectLab's scores.
    #[arg(long, value_enum, default_value_t = SuspectsOf::Object)]
    pub(crate) by: SuspectsOf,
    /// The most suspects to list.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) top: usize,
    /// Detections below this score are not believed; of objects.
    #[arg(long, default_value_t = 0.3)]
    pub(crate) min_score: f64,
    /// IoU from which a label and a detection are about the same object; of objects.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) iou: f64,
}

#[derive(Debug, Args)]
pub(crate) struct QaGoldenArgs {
    /// The reference labels.
    #[arg(long, value_name = "R.json")]
    pub(crate) reference: PathBuf,
    /// Earlier rounds that are known to be good.
    #[arg(long, value_name = "A.json", num_args = 1..)]
    pub(crate) calibration: Vec<PathBuf>,
    /// The round to judge.
    #[arg(long, value_name = "C.json")]
    pub(crate) current: PathBuf,
    /// Format of all of them: coco, cvat, label-studio, fiftyone, yolo, voc, parquet, or kitti (with calibration or
    /// point clouds its cuboids are compared too).
    #[arg(long, default_value = "coco", value_name = "FORMAT")]
    pub(crate) format: String,
    /// Permutations.
    #[arg(long, default_value_t = 999)]
    pub(crate) permutations: usize,
    /// Error level.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) level: f64,
    /// Seed of the permutations.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Project folder; made where it does not exist.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// COCO file whose classes become the schema and whose pictures `run` imports.
    #[arg(long, value_name = "COCO.json", conflicts_with = "classes", required_unless_present = "classes")]
    pub(crate) coco: Option<PathBuf>,
    /// Classes in order, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub(crate) classes: Vec<String>,
    /// Folder that the file names of pictures are relative to; absent: `images` beside the COCO file.
    #[arg(long, value_name = "DIR")]
    pub(crate) media: Option<PathBuf>,
    /// Name of the project; absent: the folder's name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Image field that names the leak-free group.
    #[arg(long, default_value = "group", value_name = "KEY")]
    pub(crate) group: String,
    /// Let the given labels stand in for people: a simulated annotator copies them with its usual slips.
    #[arg(long)]
    pub(crate) simulate: bool,
    /// Where all chance comes from.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Configuration; its folder is the project.
    #[arg(long, default_value = "labelloop.toml", value_name = "labelloop.toml")]
    pub(crate) config: PathBuf,
    /// Go on with the step that was interrupted.
    #[arg(long, conflicts_with = "start_iteration")]
    pub(crate) resume: bool,
    /// Forget iteration N and all after it, and begin there.
    #[arg(long, value_name = "N")]
    pub(crate) start_iteration: Option<u32>,
    /// Print the plan and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Never wait for people; refused where the configuration requires them.
    #[arg(long)]
    pub(crate) auto: bool,
    /// Train in spite of a failed golden QA, for this recorded reason.
    #[arg(long, value_name = "REASON")]
    pub(crate) override_qa: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder to write to; made where it does not exist.
    #[arg(default_value = "labelloop-demo")]
    pub(crate) dir: PathBuf,
    /// Recorded sequences to generate.
    #[arg(long, default_value_t = 80)]
    pub(crate) groups: usize,
    /// Where all chance comes from.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
}
