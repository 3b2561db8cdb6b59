use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use labelloop::core::{
    AnnotationSet, BBox, ClassIdx, ClassSchema, GroupKey, LabelledBox, SampleId, Seed, Silent, SliceKind,
    Split,
};
use labelloop::dataset::{GroupSummary, SplitParams, assign_splits};
use labelloop::embed::{DescriptorParams, embed_all, read_npy};
use labelloop::formats::coco;
use labelloop_testkit::scenes::{SceneParams, generate};
use ndarray::Array2;
use rayon::prelude::*;

use crate::args::{Args, Source};

/// Share of all pairs of pictures that lie within the radius of the coverage measure.
const RADIUS_SHARE: f64 = 0.05;

/// A picture with all of its labels.
pub(crate) struct Sample {
    pub(crate) id: SampleId,
    pub(crate) path: PathBuf,
    pub(crate) group: GroupKey,
    pub(crate) boxes: Vec<LabelledBox>,
}

/// A completely labelled data set with a vector for each picture.
pub(crate) struct Data {
    pub(crate) name: String,
    pub(crate) schema: ClassSchema,
    /// By id.
    pub(crate) samples: Vec<Sample>,
    /// Samples x dimensions.
    pub(crate) vectors: Array2<f32>,
    /// Samples x samples, Euclidean.
    pub(crate) distances: Array2<f32>,
    /// What counts as near: a distance that one pair in twenty falls short of.
    pub(crate) radius: f32,
    /// The third of the classes that has the fewest labels, from the rarest on.
    pub(crate) rare: Vec<ClassIdx>,
}

/// Sample numbers of one seed's split.
pub(crate) struct Parts {
    pub(crate) pool: Vec<usize>,
    pub(crate) val: Vec<usize>,
}

impl Data {
    pub(crate) fn load(source: &Source, args: &Args) -> anyhow::Result<Self> {
        let (set, media) = match source {
            Source::Coco { labels, images, .. } => {
                (coco::read(labels, &coco::ReadOptions::default())?.set, images.clone())
            }
            Source::Scenes { n_groups } => {
                let folder = args.work.join("scenes");
                (generate(&long_tailed(*n_groups).check()?, &folder, &Silent)?, folder)
            }
        };
        let (schema, samples) = (set.schema.clone(), samples_of(set, &media));
        list_pictures(&samples, &args.work.join(format!("{}.pictures.txt", source.name())))?;
        let vectors = match args.vectors_of(source.name())? {
            Some(file) => read_vectors(&file, samples.len())?,
            None => embed(&samples, &args.work.join("pictures.vectors"))?,
        };
        let distances = distances(&vectors);
        let (radius, rare) = (radius(&distances), rarest(&samples, schema.n_classes()));
        Ok(Self { name: source.name().to_owned(), schema, samples, vectors, distances, radius, rare })
    }

    /// Three tenths of the groups are kept for validation, of which at most `most_val` pictures are used.
    pub(crate) fn split(&self, seed: u64, most_val: usize) -> anyhow::Result<Parts> {
        let salt = format!("head-to-head-{seed}");
        let params = SplitParams {
            test: 0.0,
            val: 0.3,
            golden: 0.0,
            pool: 0.7,
            salt,
            stratify: false,
            ..SplitParams::default()
        };
        let mut sizes: BTreeMap<&GroupKey, usize> = BTreeMap::new();
        self.samples.iter().for_each(|s| *sizes.entry(&s.group).or_default() += 1);
        let groups: Vec<GroupSummary> = sizes
            .into_iter()
            .map(|(key, n)| GroupSummary { key: key.clone(), n_samples: n, class_counts: BTreeMap::new() })
            .collect();
        let dealt = assign_splits(&groups, &BTreeMap::new(), &params)?.assignment;
        let of = |split| -> Vec<usize> {
            let is_in = |i: &usize| dealt.get(&self.samples[*i].group) == Some(&split);
            (0..self.samples.len()).filter(is_in).collect()
        };
        let (pool, all_val) = (of(Split::Pool), of(Split::Val));
        let order = Seed::new(seed).stream("val").permutation(all_val.len());
        let mut val: Vec<usize> = order.into_iter().take(most_val).map(|i| all_val[i]).collect();
        val.sort_unstable();
        Ok(Parts { pool, val })
    }

    /// Boxes of all samples, for the detector's grid.
    pub(crate) fn boxes(&self) -> impl Iterator<Item = BBox> {
        self.samples.iter().flat_map(|s| &s.boxes).filter(|l| !l.is_crowd).map(|l| l.bbox)
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_groups = self.samples.iter().map(|s| &s.group).collect::<BTreeSet<_>>().len();
        write!(f, "{}: {} pictures in {n_groups} groups; boxes:", self.name, self.samples.len())?;
        for (count, name) in counts(&self.samples, self.schema.n_classes()).iter().zip(self.schema.names()) {
            write!(f, " {name} {count}")?;
        }
        let rare: Vec<&str> = self.rare.iter().filter_map(|c| self.schema.name(*c)).collect();
        write!(f, "; rare: {}; radius {:.3}", rare.join(" "), self.radius)
    }
}

/// Half of the recordings are long and dull, and the country, where the rare classes are, is a tenth of the rest.
fn long_tailed(n_groups: usize) -> SceneParams {
    SceneParams { n_groups, dull_share: 0.25, rural_share: 0.12, ..SceneParams::default() }
}

/// The pictures of the set; of stereo captures the left ones.
fn samples_of(set: AnnotationSet, media: &Path) -> Vec<Sample> {
    let mut samples: Vec<Sample> = set
        .samples
        .into_iter()
        .filter(|s| s.kind == SliceKind::Image && s.slice != "right")
        .map(|s| Sample {
            id: s.id,
            path: media.join(&s.file_name),
            group: s.group,
            boxes: s.boxes.unwrap_or_default(),
        })
        .collect();
    samples.sort_by(|a, b| a.id.cmp(&b.id));
    samples
}

fn embed(samples: &[Sample], store: &Path) -> anyhow::Result<Array2<f32>> {
    let items: Vec<_> = samples.iter().map(|s| (s.id.clone(), s.path.clone())).collect();
    let run = embed_all(&items, &DescriptorParams::default().check()?, Some(store), &Silent)?;
    if let Some(failure) = run.failures.first() {
        bail!("{}: {}", failure.path.display(), failure.reason);
    }
    run.embeddings.gather(samples.iter().map(|s| &s.id)).context("vectors")
}

/// The pictures in the order of ids, for whoever makes vectors elsewhere.
fn list_pictures(samples: &[Sample], file: &Path) -> anyhow::Result<()> {
    let lines: String = samples.iter().map(|s| format!("{}\n", s.path.display())).collect();
    std::fs::write(file, lines).with_context(|| file.display().to_string())
}

fn read_vectors(file: &Path, n_samples: usize) -> anyhow::Result<Array2<f32>> {
    let vectors = read_npy(file)?;
    ensure!(
        vectors.nrows() == n_samples,
        "{}: {} rows, expected {n_samples}",
        file.display(),
        vectors.nrows()
    );
    Ok(vectors)
}

fn distances(vectors: &Array2<f32>) -> Array2<f32> {
    let n = vectors.nrows();
    let rows: Vec<f32> = (0..n * n)
        .into_par_iter()
        .map(|i| {
            let pair = vectors.row(i / n).into_iter().zip(vectors.row(i % n));
            pair.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt() as f32
        })
        .collect();
    Array2::from_shape_vec((n, n), rows).expect("there are n times n distances")
}

fn radius(distances: &Array2<f32>) -> f32 {
    let n = distances.nrows();
    let mut pairs: Vec<f32> =
        (0..n).flat_map(|i| distances.row(i).into_iter().skip(i + 1).copied().collect::<Vec<_>>()).collect();
    pairs.sort_unstable_by(f32::total_cmp);
    pairs.get((RADIUS_SHARE * pairs.len() as f64) as usize).copied().unwrap_or(0.0)
}

fn counts(samples: &[Sample], n_classes: usize) -> Vec<usize> {
    let mut counts = vec![0; n_classes];
    samples.iter().flat_map(|s| &s.boxes).for_each(|l| counts[l.class.as_usize()] += 1);
    counts
}

fn rarest(samples: &[Sample], n_classes: usize) -> Vec<ClassIdx> {
    let counts = counts(samples, n_classes);
    let mut order: Vec<usize> = (0..n_classes).filter(|c| 0 < counts[*c]).collect();
    order.sort_by_key(|c| (counts[*c], *c));
    order.truncate(order.len().div_ceil(3));
    order.into_iter().map(|c| ClassIdx(c as u32)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use ndarray::array;

    use super::*;

    /// `n` pictures at 0, 1, 4, 9 and so on along a line, three to a group; picture i holds a box of class i mod 4.
    pub(crate) fn row_of_pictures(n: usize) -> Data {
        let sample = |i: usize| Sample {
            id: SampleId::new(format!("{i:03}")).unwrap(),
            path: format!("{i}.png").into(),
            group: GroupKey::new(format!("g{}", i / 3)).unwrap(),
            boxes: vec![LabelledBox::new(ClassIdx((i % 4) as u32), BBox::new(0.0, 0.0, 1.0, 1.0).unwrap())],
        };
        let vectors = Array2::from_shape_fn((n, 2), |(i, j)| [1.0, (i * i) as f32][j]);
        Data {
            name: "row".into(),
            schema: ClassSchema::new(["a", "b", "c", "d"]).unwrap(),
            samples: (0..n).map(sample).collect(),
            distances: distances(&vectors),
            vectors,
            radius: 1.0,
            rare: vec![ClassIdx(2)],
        }
    }

    #[test]
    fn distances_are_euclidean_and_the_radius_is_a_quantile() {
        let d = distances(&array![[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]);
        assert_eq!((d[(0, 1)], d[(2, 0)], d[(1, 1)]), (5.0, 1.0, 0.0));
        assert_eq!(radius(&d), 1.0);
        assert_eq!(radius(&Array2::zeros((1, 1))), 0.0);
    }

    #[test]
    fn scenes_are_split_by_group_and_the_rare_are_found() {
        let work = tempfile::tempdir().unwrap();
        let text = ["x", "--work", work.path().to_str().unwrap(), "--scenes", "12"];
        let args = <Args as clap::Parser>::parse_from(text);
        let data = Data::load(&args.sources().unwrap()[0], &args).unwrap();
        let parts = data.split(3, 7).unwrap();
        assert!(parts.val.len() <= 7 && !parts.pool.is_empty());
        let groups = |part: &[usize]| part.iter().map(|i| &data.samples[*i].group).collect::<BTreeSet<_>>();
        assert!(groups(&parts.pool).is_disjoint(&groups(&parts.val)));
        assert!((1..=2).contains(&data.rare.len()), "{data}");
    }
}
