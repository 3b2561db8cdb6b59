use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::Parser;

use crate::ledger::Setting;

/// What to compare, on what, how often.
#[derive(Debug, Clone, Parser)]
#[command(about = "Selection methods head to head with random selection")]
pub(crate) struct Args {
    /// A data set, as NAME=COCO.json,IMAGES; may be given several times.
    #[arg(long = "data")]
    data: Vec<String>,
    /// Sequences of generated long-tailed scenes; 0 for none.
    #[arg(long, default_value_t = 0)]
    scenes: usize,
    /// Vectors of a data set in place of the built-in descriptor's, as NAME=FILE.npy with a row for each line of
    /// `FOLDER/NAME.pictures.txt`; may be given several times.
    #[arg(long = "vectors")]
    vectors: Vec<String>,
    /// Folder for results, tables, vectors and scenes.
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// Budgets in percent of the pool.
    #[arg(long, value_delimiter = ',', default_values_t = [2.0, 5.0, 10.0, 20.0, 50.0])]
    pub(crate) budgets: Vec<f64>,
    /// Budgets at which a detector learns; all where none are given.
    #[arg(long, value_delimiter = ',')]
    pub(crate) learn_at: Vec<f64>,
    /// Number of seeds; tables leave those beyond out.
    #[arg(long, default_value_t = 10)]
    pub(crate) seeds: u64,
    /// Random selections per seed, whose mean every method is compared with.
    #[arg(long, default_value_t = 5)]
    pub(crate) random_draws: u32,
    /// Whether anything is labelled before: cold, given.
    #[arg(long, value_delimiter = ',', default_value = "cold")]
    pub(crate) settings: Vec<Setting>,
    /// Methods; all where none are given.
    #[arg(long, value_delimiter = ',')]
    pub(crate) methods: Vec<String>,
    /// Side of the detector's grid cells in pixels; from the sizes of all labels where it is not given.
    #[arg(long)]
    pub(crate) stride: Option<u32>,
    /// Random features of the detector.
    #[arg(long, default_value_t = 300)]
    pub(crate) features: usize,
    /// Most validation pictures per seed.
    #[arg(long, default_value_t = 80)]
    pub(crate) most_val: usize,
    /// Write the tables of what there is and run nothing.
    #[arg(long)]
    pub(crate) only_tables: bool,
}

/// Where pictures and labels come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Coco { name: String, labels: PathBuf, images: PathBuf },
    Scenes { n_groups: usize },
}

impl Source {
    pub(crate) fn name(&self) -> &str {
        match self {
            Source::Coco { name, .. } => name,
            Source::Scenes { .. } => "scenes",
        }
    }
}

impl FromStr for Source {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(',')?)));
        let (name, (labels, images)) =
            parts.with_context(|| format!("{text:?}: expected NAME=COCO.json,IMAGES"))?;
        Ok(Source::Coco { name: name.to_owned(), labels: labels.into(), images: images.into() })
    }
}

impl Args {
    pub(crate) fn sources(&self) -> anyhow::Result<Vec<Source>> {
        let scenes = Source::Scenes { n_groups: self.scenes };
        let given = self.data.iter().map(|text| text.parse());
        given.chain((0 < self.scenes).then_some(Ok(scenes))).collect()
    }

    /// The file of vectors for a data set, where one is given.
    pub(crate) fn vectors_of(&self, name: &str) -> anyhow::Result<Option<PathBuf>> {
        for text in &self.vectors {
            let (of, file) =
                text.split_once('=').with_context(|| format!("{text:?}: expected NAME=FILE.npy"))?;
            if of == name {
                return Ok(Some(file.into()));
            }
        }
        Ok(None)
    }

    /// Whether a detector learns at this budget.
    pub(crate) fn learns_at(&self, percent: f64) -> bool {
        self.learn_at.is_empty() || self.learn_at.contains(&percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_slips_refused() {
        let source: Source = "cells=a/b.json,a/images".parse().unwrap();
        assert_eq!(
            source,
            Source::Coco { name: "cells".into(), labels: "a/b.json".into(), images: "a/images".into() }
        );
        assert!("cells=a.json".parse::<Source>().is_err());
        assert!("a.json,images".parse::<Source>().is_err());
    }

    #[test]
    fn defaults_are_those_documented() {
        let args = Args::parse_from(["head_to_head", "--work", "w", "--scenes", "3"]);
        assert_eq!(args.budgets, [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!((args.seeds, args.random_draws, args.features, args.most_val), (10, 5, 300, 80));
        assert_eq!(args.sources().unwrap(), [Source::Scenes { n_groups: 3 }]);
        assert!(args.learns_at(2.0));
        assert_eq!(args.vectors_of("scenes").unwrap(), None);
        assert_eq!(args.settings, [Setting::Cold]);
    }
}
