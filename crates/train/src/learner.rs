use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{LabelledBox, SampleId};
use labelloop_media::RgbImage;
use rayon::prelude::*;

use crate::features::{FeatureTag, Projection};
use crate::partial::{Sums, refuse_alien_classes};
use crate::solve::solve;
use crate::{GridDetector, GridFeatures, GridPartial, GridValidParams, Result, TrainError, stride_for};

/// Pictures whose partials are held at once while adding in parallel; bounds the memory.
const BATCH: usize = 16;
/// More classes than this would need sums of gigabytes.
pub(crate) const MOST_CLASSES: usize = 10_000;

/// Learns the built-in detector from labelled pictures.
///
/// Each picture costs its own work once, whenever it is added; [`GridLearner::fit`] then solves one linear system. The
/// result does not depend on the order of adding, to the bit, nor on the number of threads.
///
/// With [`crate::GridParams::stride`] given, pictures are digested when added and not kept. Without, the learner keeps
/// them until it is dropped: the stride follows from the sizes of all labels, and should later labels change it,
/// everything is digested again. A caller with many pictures settles the stride first, by [`stride_for`].
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId};
/// use labelloop_media::RgbImage;
/// use labelloop_train::{GridLearner, GridParams};
///
/// // A bright square on a dark ground.
/// let size = ImageSize::new(64, 64)?;
/// let inside = |i: usize| (20..44).contains(&(i % 64)) && (20..44).contains(&(i / 64));
/// let pixels = (0..64 * 64).flat_map(|i| [if inside(i) { 220 } else { 30 }; 3]).collect();
/// let image = RgbImage::new(size, pixels)?;
/// let label = LabelledBox::new(ClassIdx(0), BBox::new(20.0, 20.0, 24.0, 24.0)?);
///
/// let params = GridParams { n_random_features: 64, lambda: 1.0, ..GridParams::default() }.check()?;
/// let mut learner = GridLearner::new(&params, 1);
/// learner.add(&SampleId::new("square")?, &image, &[label.clone()])?;
/// let found = learner.fit()?.detect(&image)?;
/// assert!(0.8 < found[0].bbox().iou(label.bbox));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct GridLearner {
    params: GridValidParams,
    n_classes: usize,
    /// Pictures kept because the stride is not settled.
    kept: BTreeMap<SampleId, (RgbImage, Vec<LabelledBox>)>,
    digest: Option<Digest>,
}

/// What is known at one stride.
#[derive(Debug, Clone)]
struct Digest {
    projection: Projection,
    added: BTreeSet<SampleId>,
    sums: Sums,
}

impl GridLearner {
    /// A learner that knows nothing yet, for classes `0..n_classes`, 1 to 10 000 of them (which adding checks).
    pub fn new(params: &GridValidParams, n_classes: usize) -> Self {
        let mut out = Self { params: params.clone(), n_classes, kept: BTreeMap::new(), digest: None };
        if n_classes <= MOST_CLASSES {
            out.digest = params.get().stride.map(|stride| out.fresh(stride));
        }
        out
    }

    /// Adds a picture with its labels. An empty slice says that someone looked and there is nothing. Crowds and boxes
    /// without area are places that teach nothing.
    ///
    /// # Errors
    /// [`TrainError::DuplicateSample`], [`TrainError::ClassOutOfRange`] or [`TrainError::ClassCount`].
    pub fn add(&mut self, id: &SampleId, image: &RgbImage, labels: &[LabelledBox]) -> Result<()> {
        self.refuse(id, labels)?;
        match &mut self.digest {
            Some(digest) if self.params.get().stride.is_some() => {
                let part = digest.partial(id, image, labels, &self.params, self.n_classes)?;
                digest.add(id, &part);
            }
            _ => drop(self.kept.insert(id.clone(), (image.clone(), labels.to_vec()))),
        }
        Ok(())
    }

    /// Adds many pictures in parallel, each loaded when its turn comes.
    ///
    /// # Errors
    /// As [`GridLearner::add`], and those of `load`; then nothing was added.
    pub fn add_all<E: From<TrainError> + Send>(
        &mut self,
        samples: &[(SampleId, Vec<LabelledBox>)],
        load: impl Fn(&SampleId) -> Result<RgbImage, E> + Sync,
    ) -> Result<(), E> {
        let mut seen = BTreeSet::new();
        for (id, labels) in samples {
            self.refuse(id, labels)?;
            if !seen.insert(id) {
                return Err(TrainError::DuplicateSample { id: id.to_string() }.into());
            }
        }
        if self.params.get().stride.is_none() {
            let loaded: Vec<_> = samples
                .par_iter()
                .map(|(id, labels)| Ok((id.clone(), (load(id)?, labels.clone()))))
                .collect::<Result<_, E>>()?;
            self.kept.extend(loaded);
        } else if let Some(digest) = &mut self.digest {
            let (params, n_classes) = (&self.params, self.n_classes);
            digest.add_all(samples, |digest, (id, labels)| -> Result<_, E> {
                Ok((id.clone(), digest.partial(id, &load(id)?, labels, params, n_classes)?))
            })?;
        }
        Ok(())
    }

    /// Number of pictures added.
    pub fn n_images(&self) -> usize {
        let digested = self.digest.as_ref().map_or(0, |d| d.added.len());
        if self.params.get().stride.is_some() { digested } else { self.kept.len() }
    }

    /// Number of classes that it was made for.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Whether a picture was added.
    pub fn contains(&self, id: &SampleId) -> bool {
        let digested = || self.digest.as_ref().is_some_and(|d| d.added.contains(id));
        self.kept.contains_key(id) || (self.params.get().stride.is_some() && digested())
    }

    /// Random features of a picture, to be kept and used many times: [`GridLearner::add_features`] of any learner and
    /// [`GridDetector::detect_features`] of any detector with the same stride, seed and number of features.
    ///
    /// # Errors
    /// [`TrainError::StrideNotSettled`] without a stride in the parameters.
    pub fn features(&self, image: &RgbImage) -> Result<GridFeatures> {
        Ok(self.settled()?.projection.features(image))
    }

    /// Adds a picture by its features; the same as [`GridLearner::add`] to the bit.
    ///
    /// # Errors
    /// As [`GridLearner::add`] and [`GridLearner::add_partial`].
    pub fn add_features(
        &mut self,
        id: &SampleId,
        features: &GridFeatures,
        labels: &[LabelledBox],
    ) -> Result<()> {
        let part = self.partial(id, features, labels)?;
        self.add_partial(id, &part)
    }

    /// What a picture adds to any learner with the same parameters and number of classes.
    ///
    /// # Errors
    /// [`TrainError::ClassOutOfRange`], [`TrainError::StrideNotSettled`] or [`TrainError::Incompatible`].
    pub fn partial(
        &self,
        id: &SampleId,
        features: &GridFeatures,
        labels: &[LabelledBox],
    ) -> Result<GridPartial> {
        self.same_tag("features", features.tag)?;
        GridPartial::of(features, id, labels, &self.params, self.n_classes)
    }

    /// Adds what [`GridLearner::partial`] made. The partial's other parameters (penalty, weights) are taken on trust.
    ///
    /// # Errors
    /// [`TrainError::DuplicateSample`], [`TrainError::StrideNotSettled`] or [`TrainError::Incompatible`].
    pub fn add_partial(&mut self, id: &SampleId, part: &GridPartial) -> Result<()> {
        self.refuse(id, &[])?;
        self.fits(part)?;
        if let Some(digest) = &mut self.digest {
            digest.add(id, part);
        }
        Ok(())
    }

    /// Takes a picture out again, given what it added; what remains is the same, to the bit, as if it had never been
    /// in.
    ///
    /// # Errors
    /// [`TrainError::UnknownSample`], [`TrainError::StrideNotSettled`] or [`TrainError::Incompatible`].
    pub fn remove_partial(&mut self, id: &SampleId, part: &GridPartial) -> Result<()> {
        self.fits(part)?;
        if let Some(digest) = &mut self.digest
            && digest.added.remove(id)
        {
            digest.sums.subtract(part);
            return Ok(());
        }
        Err(TrainError::UnknownSample { id: id.to_string() })
    }

    /// Solves for the detector. More pictures may be added afterwards, for the next fit.
    ///
    /// # Errors
    /// [`TrainError::NothingAdded`], [`TrainError::NoPositiveLabel`] or [`TrainError::NotPositiveDefinite`].
    pub fn fit(&mut self) -> Result<GridDetector> {
        if self.n_images() == 0 {
            return Err(TrainError::NothingAdded);
        }
        if self.params.get().stride.is_none() {
            self.settle()?;
        }
        let digest = self.digest.as_ref().ok_or(TrainError::NothingAdded)?;
        if digest.sums.n_objects == 0 {
            return Err(TrainError::NoPositiveLabel { n_images: self.n_images() });
        }
        let solution = solve(&digest.sums, self.n_classes, self.params.get().lambda)?;
        Ok(GridDetector::new(&self.params, digest.projection.clone(), solution))
    }

    /// Chooses the stride from all labels and digests what is not digested at it.
    fn settle(&mut self) -> Result<()> {
        let labels = self.kept.values().flat_map(|(_, labels)| labels);
        let stride = stride_for(labels.filter(|l| !l.is_crowd).map(|l| l.bbox));
        let mut digest = match self.digest.take() {
            Some(digest) if digest.projection.tag.stride == stride => digest,
            _ => self.fresh(stride),
        };
        let new: Vec<_> = self.kept.iter().filter(|(id, _)| !digest.added.contains(*id)).collect();
        let added = digest.add_all(&new, |digest, (id, (image, labels))| -> Result<_> {
            Ok(((*id).clone(), digest.partial(id, image, labels, &self.params, self.n_classes)?))
        });
        self.digest = Some(digest);
        added
    }

    fn fresh(&self, stride: u32) -> Digest {
        let projection = Projection::new(&self.params, stride);
        let sums = Sums::zero(self.params.get().n_random_features + 1, self.n_classes);
        Digest { projection, added: BTreeSet::new(), sums }
    }

    fn refuse(&self, id: &SampleId, labels: &[LabelledBox]) -> Result<()> {
        if self.n_classes == 0 || MOST_CLASSES < self.n_classes {
            return Err(TrainError::ClassCount { found: self.n_classes, most: MOST_CLASSES });
        }
        if self.contains(id) {
            return Err(TrainError::DuplicateSample { id: id.to_string() });
        }
        refuse_alien_classes(id, labels, self.n_classes)
    }

    fn settled(&self) -> Result<&Digest> {
        let digest = self.digest.as_ref().filter(|_| self.params.get().stride.is_some());
        digest.ok_or(TrainError::StrideNotSettled)
    }

    fn same_tag(&self, what: &'static str, tag: FeatureTag) -> Result<()> {
        if self.settled()?.projection.tag == tag { Ok(()) } else { Err(TrainError::Incompatible { what }) }
    }

    fn fits(&self, part: &GridPartial) -> Result<()> {
        if part.n_classes != self.n_classes {
            return Err(TrainError::Incompatible { what: "partial" });
        }
        self.same_tag("partial", part.tag)
    }
}

impl Digest {
    fn add(&mut self, id: &SampleId, part: &GridPartial) {
        self.added.insert(id.clone());
        self.sums.add(part);
    }

    fn partial(
        &self,
        id: &SampleId,
        image: &RgbImage,
        labels: &[LabelledBox],
        params: &GridValidParams,
        n_classes: usize,
    ) -> Result<GridPartial> {
        GridPartial::of(&self.projection.features(image), id, labels, params, n_classes)
    }

    /// Adds all or, after an error, none.
    fn add_all<T: Sync, E: Send>(
        &mut self,
        items: &[T],
        digest: impl Fn(&Self, &T) -> Result<(SampleId, GridPartial), E> + Sync,
    ) -> Result<(), E> {
        let mut ids = Vec::with_capacity(items.len());
        let mut sums = self.sums.clone();
        for batch in items.chunks(BATCH) {
            let parts: Vec<_> = batch.par_iter().map(|item| digest(self, item)).collect::<Result<_, E>>()?;
            for (id, part) in parts {
                sums.add(&part);
                ids.push(id);
            }
        }
        self.sums = sums;
        self.added.extend(ids);
        Ok(())
    }
}
