use labelloop_core::SampleId;
use serde::{Deserialize, Serialize};

use crate::ImageCounts;

/// The pictures a detector did worst on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RankedImages {
    /// Pictures with the most missed labels, the worst first, each with at least one.
    pub high_fn: Vec<SampleId>,
    /// Pictures with the most wrong detections, the worst first, each with at least one.
    pub high_fp: Vec<SampleId>,
}

/// The `n` pictures with the most missed labels and the `n` with the most wrong detections; of equals the lower id.
/// A picture without a failure of the kind is never listed.
///
/// ```
/// use labelloop_core::SampleId;
/// use labelloop_eval::ImageCounts;
/// use labelloop_eval::failures::rank_images;
///
/// let image = |id: &str, fp, fn_| ImageCounts { id: SampleId::new(id).unwrap(), tp: 0, fp, fn_ };
/// let ranked = rank_images(&[image("b", 1, 2), image("a", 1, 0), image("c", 0, 2)], 10);
/// let names = |ids: &[SampleId]| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>();
/// assert_eq!(names(&ranked.high_fn), ["b", "c"]);
/// assert_eq!(names(&ranked.high_fp), ["a", "b"]);
/// ```
pub fn rank_images(images: &[ImageCounts], n: usize) -> RankedImages {
    RankedImages { high_fn: worst(images, n, |i| i.fn_), high_fp: worst(images, n, |i| i.fp) }
}

fn worst(images: &[ImageCounts], n: usize, count: impl Fn(&ImageCounts) -> usize) -> Vec<SampleId> {
    let mut ranked: Vec<&ImageCounts> = images.iter().filter(|image| 0 < count(image)).collect();
    ranked.sort_by(|a, b| count(b).cmp(&count(a)).then_with(|| a.id.cmp(&b.id)));
    ranked.into_iter().take(n).map(|image| image.id.clone()).collect()
}
