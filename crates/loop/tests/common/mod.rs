//! The small generated project that the loop's tests share.

use std::path::Path;

use labelloop_core::Silent;
use labelloop_dataset::BoxPolicy;
use labelloop_loop::annotate::AnnotatorParams;
use labelloop_loop::config::OnFail;
use labelloop_loop::{LoopConfig, Project};
use labelloop_testkit::scenes::{SceneParams, generate};

/// Two iterations with the simulated annotator and a small detector.
pub(crate) fn config() -> LoopConfig {
    let mut config = LoopConfig::new("small", ".");
    config.active_learning.require_human_review = false;
    config.active_learning.max_iterations = 2;
    config.annotator = Some(AnnotatorParams::default());
    config.qa.on_fail = OnFail::Relabel;
    config.qa.golden.n_permutations = 99;
    config.evaluation.n_bootstrap = 20;
    config.selection.first_batch = 6;
    config.selection.batch.min = 4;
    config.selection.policy.zcore.n_draws = 300;
    config.training.detector.stride = Some(8);
    config.training.detector.n_random_features = 48;
    config
}

/// Fourteen generated groups, imported and split.
pub(crate) fn project(folder: &Path, config: &LoopConfig) -> Project {
    let scenes = SceneParams { n_groups: 14, width: 96, height: 72, ..SceneParams::default() };
    let set = generate(&scenes.check().unwrap(), folder, &Silent).unwrap();
    let project = Project::init(folder, config, &set.schema).unwrap();
    project.import(&set, BoxPolicy::default()).unwrap();
    project.split().unwrap();
    project
}
