//! Where things lie in a project folder.

use std::path::{Path, PathBuf};

/// A project folder. Nothing here touches the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The project folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `labelloop.toml`
    pub fn config(&self) -> PathBuf {
        self.root.join("labelloop.toml")
    }

    /// The dataset folder.
    pub fn dataset(&self) -> PathBuf {
        self.root.join("dataset")
    }

    /// Where the loop stands.
    pub fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// Folder of vectors, keyed by content and descriptor.
    pub fn embeddings(&self) -> PathBuf {
        self.root.join("embeddings/pictures.vectors")
    }

    /// Numbers of all iterations.
    pub fn history(&self) -> PathBuf {
        self.root.join("metrics/history.json")
    }

    /// The same as a table.
    pub fn tracking_csv(&self) -> PathBuf {
        self.root.join("metrics/convergence_tracking.csv")
    }

    /// Folder of the plots.
    pub fn plots(&self) -> PathBuf {
        self.root.join("metrics/convergence_plots")
    }

    /// What the model proposed on a batch when it went out to people.
    pub fn proposals(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("proposals.json")
    }

    /// Report of an iteration.
    pub fn iteration_report(&self, iteration: u32) -> PathBuf {
        self.root.join(format!("metrics/iteration_reports/iteration_{iteration:02}_report.json"))
    }

    /// Golden QA of all iterations.
    pub fn golden_history(&self) -> PathBuf {
        self.root.join("metrics/golden_qa_history.json")
    }

    /// Control charts over the golden checks of the last round's version.
    pub fn golden_chart(&self) -> PathBuf {
        self.root.join("metrics/golden_chart.json")
    }

    /// Versions of the golden set.
    pub fn golden_versions(&self) -> PathBuf {
        self.root.join("metrics/golden_versions.json")
    }

    /// Folder of all iterations.
    pub fn iterations(&self) -> PathBuf {
        self.root.join("iterations")
    }

    /// Folder of one iteration.
    pub fn iteration(&self, iteration: u32) -> PathBuf {
        self.iterations().join(format!("iteration_{iteration}"))
    }

    /// The batch with a reason for every pick.
    pub fn batch(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("batch.json")
    }

    /// The batch as people get it.
    pub fn batch_export(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("batch_export")
    }

    /// Golden pictures that the batch shows; not part of what is handed out.
    pub fn honeypots(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("honeypots.json")
    }

    /// Golden labels of this round.
    pub fn golden_round(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("golden_round.json")
    }

    /// What golden QA said.
    pub fn qa(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("qa.json")
    }

    /// A recorded reason to go on in spite of golden QA.
    pub fn qa_override(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("qa_override.json")
    }

    /// Weights.
    pub fn weights(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("weights/best.bin")
    }

    /// What the model was made from.
    pub fn metadata(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("metadata.json")
    }

    /// Detections on val and on training pictures.
    pub fn predictions(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("predictions.json")
    }

    /// Weights of the detector of point clouds.
    pub fn cloud_weights(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("weights/clouds.bin")
    }

    /// What it found in the clouds of val.
    pub fn cloud_predictions(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("cloud_predictions.json")
    }

    /// Scores and failures on the clouds of val.
    pub fn cloud_evaluation(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("cloud_evaluation.json")
    }

    /// Golden cuboids of this round.
    pub fn golden_scans(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("golden_scans.json")
    }

    /// Scores and failures on val.
    pub fn evaluation(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("evaluation.json")
    }

    /// Folder of the error analysis.
    pub fn error_analysis(&self, iteration: u32) -> PathBuf {
        self.iteration(iteration).join("error_analysis")
    }

    /// How classes are described to annotators after an iteration.
    pub fn prompt_version(&self, iteration: u32) -> PathBuf {
        self.root.join(format!("prompt_versions/prompts_iteration_{iteration:02}.json"))
    }

    /// What that version changed against the one before it.
    pub fn prompt_changes(&self, iteration: u32) -> PathBuf {
        self.root.join(format!("prompt_versions/changes_iteration_{iteration:02}.json"))
    }

    /// Places of the pool and val in the plane, for the selection map.
    pub fn selection_map(&self) -> PathBuf {
        self.root.join("metrics/selection_map.json")
    }

    /// Curves of other policies at the same budget.
    pub fn baselines(&self) -> PathBuf {
        self.root.join("metrics/baselines.json")
    }

    /// The final look at the frozen test set.
    pub fn test_report(&self) -> PathBuf {
        self.root.join("metrics/test_report.json")
    }

    /// The page that opens offline.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }
}
