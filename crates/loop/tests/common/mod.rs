//! The small generated project that the loop's tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// All files below a folder, by their names.
#[allow(dead_code, reason = "every file of tests takes what it needs")]
pub(crate) fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}
