use std::path::Path;

use labelloop_media::{DecodeLimits, PointFormat, PointLimits, RgbImage, decode_named, decode_points};

use serde::Serialize;

use crate::{BevDescriptor, Descriptor, EmbedError, PointDescriptor, Result};

/// What makes vectors of files: of pictures, or of point clouds.
///
/// [`embed_all`](crate::embed_all) takes any of them. Slices of a group are embedded one by one, each with the embedder
/// for its kind and with the same store: vectors are kept by digest, so that they do not get mixed.
///
/// ```
/// use labelloop_core::{ImageSize, SampleId, Silent};
/// use labelloop_embed::{Descriptor, PointDescriptor, embed_all};
/// use labelloop_media::{PointCloud, RgbImage, save_png, write_kitti_bin};
///
/// let folder = tempfile::tempdir()?;
/// let [left, pcd, store] = ["left.png", "pcd.bin", "kept.vectors"].map(|name| folder.path().join(name));
/// save_png(&RgbImage::filled(ImageSize::new(40, 30)?, [9, 99, 200]), &left)?;
/// write_kitti_bin(&PointCloud::new(vec![[10.0, 2.0, -1.5, 0.3]]), &pcd)?;
///
/// let lefts = embed_all(&[(SampleId::new("0_left")?, left)], &Descriptor::default(), Some(&store), &Silent)?;
/// let pcds = embed_all(&[(SampleId::new("0_pcd")?, pcd)], &PointDescriptor::default(), Some(&store), &Silent)?;
/// assert_eq!((lefts.embeddings.n_samples(), pcds.embeddings.n_samples()), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Embedder: Sync {
    /// Length of every vector.
    fn n_dims(&self) -> usize;

    /// Which numbers these are: a digest of name, version and parameters. Vectors of different digests must not be
    /// compared.
    fn digest_bytes(&self) -> [u8; 32];

    /// The vector of a file, from its bytes; the same bytes under names with the same ending give the same bits.
    ///
    /// # Errors
    /// Why there is none.
    fn embed_bytes(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>>;

    /// What the digest stands for, in words for people: name, version, parameters. It is kept beside the vectors.
    fn description(&self) -> String {
        String::new()
    }

    /// What decides beside a file's bytes how they are read, such as the format that its name tells; nothing where the
    /// bytes say it all. The same bytes read in two ways are kept as two contents.
    fn reading_of(&self, _path: &Path) -> String {
        String::new()
    }
}

/// An [`Embedder`] that describes pictures which are already decoded: crops, frames, pictures made in memory.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_embed::{Descriptor, PictureEmbedder};
/// use labelloop_media::RgbImage;
///
/// let anything: &dyn PictureEmbedder = &Descriptor::default();
/// let vector = anything.embed_picture(&RgbImage::filled(ImageSize::new(24, 18)?, [9, 99, 200]))?;
/// assert_eq!(vector.len(), anything.n_dims());
/// # Ok::<(), labelloop_embed::EmbedError>(())
/// ```
pub trait PictureEmbedder: Embedder {
    /// The vector of a picture; the same pixels give the same bits.
    ///
    /// # Errors
    /// Why there is none.
    fn embed_picture(&self, picture: &RgbImage) -> Result<Vec<f32>>;
}

impl PictureEmbedder for Descriptor {
    fn embed_picture(&self, picture: &RgbImage) -> Result<Vec<f32>> {
        self.embed(picture)
    }
}

impl Embedder for Descriptor {
    fn n_dims(&self) -> usize {
        self.n_dims()
    }

    fn digest_bytes(&self) -> [u8; 32] {
        self.digest_hash().into()
    }

    fn embed_bytes(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>> {
        self.embed(&decode_named(bytes, DecodeLimits::default(), &path.display().to_string())?)
    }

    fn description(&self) -> String {
        Descriptor::description(self)
    }
}

impl Embedder for PointDescriptor {
    fn n_dims(&self) -> usize {
        self.n_dims()
    }

    fn digest_bytes(&self) -> [u8; 32] {
        self.digest_hash().into()
    }

    fn embed_bytes(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>> {
        self.embed(&cloud(bytes, path)?)
    }

    fn description(&self) -> String {
        PointDescriptor::description(self)
    }

    fn reading_of(&self, path: &Path) -> String {
        PointFormat::of(path).map(|format| format!("{format:?}")).unwrap_or_default()
    }
}

impl Embedder for BevDescriptor {
    fn n_dims(&self) -> usize {
        self.n_dims()
    }

    fn digest_bytes(&self) -> [u8; 32] {
        self.digest_hash().into()
    }

    fn embed_bytes(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>> {
        self.embed(&cloud(bytes, path)?)
    }

    fn description(&self) -> String {
        BevDescriptor::description(self)
    }

    fn reading_of(&self, path: &Path) -> String {
        PointFormat::of(path).map(|format| format!("{format:?}")).unwrap_or_default()
    }
}

fn cloud(bytes: &[u8], path: &Path) -> Result<labelloop_media::PointCloud> {
    let unknown = || labelloop_media::MediaError::UnknownPointFormat { path: path.to_owned() };
    let format = PointFormat::of(path).ok_or_else(unknown).map_err(EmbedError::from)?;
    Ok(decode_points(bytes, format, PointLimits::default(), &path.display().to_string())?)
}

/// A description of a built-in embedder.
pub(crate) fn words<P: Serialize>(name: &str, version: u32, params: &P) -> String {
    // Checked parameters are numbers that JSON can hold; were they not, the name would still be true.
    format!("{name}, version {version}, {}", serde_json::to_string(params).unwrap_or_default())
}
