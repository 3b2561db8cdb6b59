use std::path::Path;

use labelloop_core::{BBox, Cancelled, CoreError, Embeddings, Progress, SampleId};
use labelloop_media::{DecodeLimits, RgbImage, crop, decode_named};
use ndarray::Array2;
use rayon::prelude::*;

use crate::{
    CacheState, CropItem, CropObject, CropParams, CropRecord, CropValidParams, EmbedError, EmbedFailure,
    FailureKind, PictureEmbedder, Result, VectorStore,
};

/// Pictures between two looks at the store and the caller's wish to end.
const CHUNK: usize = 32;
/// Raised whenever the same picture, box and parameters would give another cut.
const VERSION: u32 = 1;

/// What [`embed_crops`] did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CropRun {
    /// One row for each object that could be cut out, in the order of `records`.
    pub embeddings: Embeddings,
    /// Where each row comes from, in the order of parents and, within one, of the objects as given.
    pub records: Vec<CropRecord>,
    /// BLAKE3 of the bytes of each row's picture.
    pub contents: Vec<[u8; 32]>,
    /// Objects without a row, in the same order; the ids are those that their rows would have.
    pub failures: Vec<EmbedFailure>,
    /// Vectors computed in this run.
    pub n_computed: usize,
    /// Vectors taken from the store.
    pub n_cached: usize,
    /// Pictures decoded.
    pub n_decoded: usize,
    /// What was found where the store was asked for.
    pub cache: CacheState,
}

/// One vector for each object of many pictures, on all cores: what does this label look like, and what looks like it?
///
/// Each picture is read and decoded once whatever the number of its objects, and not at all when the store holds the
/// vectors of all of them. A crop is known by the content of its picture, its box and the parameters: labels that did not
/// move are not embedded again, those that did are. Objects outside their picture, smaller than
/// [`CropParams::min_side_px`], or in a picture that cannot be read are recorded with the reason, and the run goes on.
///
/// Rows name their parent and their object ([`CropRecord`]), so that crops of val, golden and test samples can be kept
/// out of wherever their parents are. The result depends on neither the order of `items` nor the number of threads nor
/// what the store holds. Memory: a picture for each thread, and the vectors. Runs that are killed lose at most 32
/// pictures.
///
/// ```
/// use labelloop_core::{BBox, ImageSize, SampleId, Silent};
/// use labelloop_embed::{CropItem, CropObject, CropParams, Descriptor, embed_crops};
/// use labelloop_media::{RgbImage, save_png};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.png");
/// save_png(&RgbImage::filled(ImageSize::new(60, 40)?, [9, 99, 200]), &path)?;
/// let object = |name: &str, x: f64| {
///     CropObject { object: name.to_owned(), bbox: BBox::new(x, 5.0, 20.0, 20.0).unwrap(), class: None }
/// };
/// let objects = vec![object("1", 10.0), object("2", 500.0)];
/// let items = [CropItem { parent: SampleId::new("a")?, path, objects }];
///
/// let run = embed_crops(&items, &Descriptor::default(), &CropParams::default(), None, &Silent)?;
/// assert_eq!(run.records[0].id.as_str(), "a#1");
/// assert_eq!((run.embeddings.n_samples(), run.n_decoded), (1, 1));
/// assert!(run.failures[0].reason.contains("outside"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EmbedError::Params`], [`CoreError::DuplicateSample`] for a parent or object that comes twice, those of
/// [`VectorStore::open`], [`EmbedError::Io`] when the store cannot be written, [`EmbedError::Cancelled`].
pub fn embed_crops<E: PictureEmbedder + ?Sized>(
    items: &[CropItem],
    embedder: &E,
    params: &CropParams,
    store: Option<&Path>,
    progress: &dyn Progress,
) -> Result<CropRun> {
    params.check()?.embed_crops(items, embedder, store, progress)
}

impl CropValidParams {
    /// [`embed_crops`] with checked parameters.
    ///
    /// # Errors
    /// As there.
    pub fn embed_crops<E: PictureEmbedder + ?Sized>(
        &self,
        items: &[CropItem],
        embedder: &E,
        store: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<CropRun> {
        let items = sorted(items)?;
        if embedder.n_dims() == 0 {
            return Err(CoreError::NoColumns.into());
        }
        let mut store = store.map(|folder| VectorStore::open(folder, embedder)).transpose()?;
        let mut sum =
            Sum { cache: store.as_ref().map_or(CacheState::Off, |s| s.state().clone()), ..Sum::new() };
        let total = items.len() as u64;
        for (n_chunk, chunk) in items.chunks(CHUNK).enumerate() {
            let done = (n_chunk * CHUNK) as u64;
            progress.advance("crops", done, total);
            if progress.is_cancelled() {
                return Err(Cancelled { done, total }.into());
            }
            let kept = store.as_ref();
            let made: Vec<Cut> = chunk.par_iter().map(|item| self.cut(item, embedder, kept)).collect();
            for (item, cut) in chunk.iter().zip(made) {
                sum.take(item, cut?, store.as_mut())?;
            }
        }
        progress.advance("crops", total, total);
        if let Some(store) = &store {
            store.sync()?;
        }
        sum.finish(embedder.n_dims())
    }

    /// All objects of one picture.
    fn cut<E: PictureEmbedder + ?Sized>(
        &self,
        item: &CropItem,
        embedder: &E,
        store: Option<&VectorStore>,
    ) -> Cut {
        let bytes = match std::fs::read(&item.path) {
            Ok(bytes) => bytes,
            Err(e) => return Ok(Made::failed(item, FailureKind::Unreadable, &e.to_string())),
        };
        let content: [u8; 32] = blake3::hash(&bytes).into();
        let keys: Vec<[u8; 32]> = item.objects.iter().map(|o| self.key(&content, o.bbox)).collect();
        let mut stored = Vec::with_capacity(keys.len());
        for key in &keys {
            stored.push(store.map_or(Ok(None), |store| store.get(key))?);
        }
        let mut made = Made { content, is_decoded: false, objects: Vec::new() };
        if stored.iter().all(Option::is_some) {
            made.objects = stored.into_iter().flatten().map(Object::Stored).collect();
            return Ok(made);
        }
        let place = item.path.display().to_string();
        let picture = match decode_named(&bytes, DecodeLimits::default(), &place) {
            Ok(picture) => picture,
            Err(e) => {
                let words = e.to_string();
                let reason = words.strip_prefix(&format!("{place}: ")).unwrap_or(&words);
                let kind = if bytes.is_empty() { FailureKind::Empty } else { FailureKind::of(&e.into()) };
                return Ok(Made::failed(item, kind, reason));
            }
        };
        made.is_decoded = true;
        for ((object, key), stored) in item.objects.iter().zip(keys).zip(stored) {
            made.objects.push(match stored {
                Some(vector) => Object::Stored(vector),
                None => self.embed(&picture, object.bbox, embedder).map_or_else(
                    |(kind, reason)| Object::Failed(kind, reason),
                    |vector| Object::Computed(key, vector),
                ),
            });
        }
        Ok(made)
    }

    fn embed<E: PictureEmbedder + ?Sized>(
        &self,
        picture: &RgbImage,
        bbox: BBox,
        embedder: &E,
    ) -> Result<Vec<f32>, (FailureKind, String)> {
        let refused = |reason: String| (FailureKind::Refused, reason);
        let cut = self.window(picture, bbox).map_err(refused)?;
        let vector = embedder.embed_picture(&cut).map_err(|e| (FailureKind::of(&e), e.to_string()))?;
        let (found, expected) = (vector.len(), embedder.n_dims());
        if found != expected {
            return Err((
                FailureKind::BadVector,
                format!("a vector of {found} numbers: expected {expected}"),
            ));
        }
        match vector.iter().find(|v| !v.is_finite()) {
            Some(found) => {
                Err((FailureKind::BadVector, format!("{found} in the vector: expected finite numbers")))
            }
            None => Ok(vector),
        }
    }

    /// The pixels of a box and its margin, or why there are none.
    fn window(&self, picture: &RgbImage, bbox: BBox) -> Result<RgbImage, String> {
        let CropParams { margin, min_side_px } = self.0;
        let size = picture.size();
        let (width, height) = (size.width(), size.height());
        let Some(inside) = bbox.clipped(size) else {
            return Err(format!("the box is outside its picture of {width} x {height} pixels"));
        };
        if inside.width().min(inside.height()) < min_side_px {
            let (w, h) = (inside.width(), inside.height());
            return Err(format!(
                "{w:.1} x {h:.1} pixels to be seen: expected at least {min_side_px} on each side"
            ));
        }
        let by = margin * bbox.width().max(bbox.height());
        let [left, top, right, bottom] = bbox.to_corners();
        BBox::from_corners(left - by, top - by, right + by, bottom + by)
            .map_err(|e| e.to_string())
            .and_then(|wide| crop(picture, wide, 0).map_err(|e| e.to_string()))
    }

    fn key(&self, content: &[u8; 32], bbox: BBox) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"labelloop crop");
        hasher.update(&VERSION.to_le_bytes());
        hasher.update(content);
        for number in bbox.to_xywh().into_iter().chain([self.0.margin, self.0.min_side_px]) {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize().into()
    }
}

/// Items in the order of parents, all of whose objects have names of their own.
fn sorted(items: &[CropItem]) -> Result<Vec<&CropItem>> {
    let mut items: Vec<&CropItem> = items.iter().collect();
    items.sort_by(|a, b| a.parent.cmp(&b.parent));
    if let Some(pair) = items.windows(2).find(|pair| pair[0].parent == pair[1].parent) {
        return Err(CoreError::DuplicateSample { id: pair[0].parent.to_string() }.into());
    }
    Ok(items)
}

fn id_of(item: &CropItem, object: &CropObject) -> Result<SampleId> {
    Ok(SampleId::new(format!("{}#{}", item.parent, object.object))?)
}

/// What became of one picture; an error only where the store is at fault.
type Cut = Result<Made>;

struct Made {
    content: [u8; 32],
    is_decoded: bool,
    objects: Vec<Object>,
}

enum Object {
    Stored(Vec<f32>),
    Computed([u8; 32], Vec<f32>),
    Failed(FailureKind, String),
}

impl Made {
    fn failed(item: &CropItem, kind: FailureKind, reason: &str) -> Self {
        let objects = item.objects.iter().map(|_| Object::Failed(kind, reason.to_owned())).collect();
        Self { content: [0; 32], is_decoded: false, objects }
    }
}

/// The run so far.
struct Sum {
    numbers: Vec<f32>,
    records: Vec<CropRecord>,
    contents: Vec<[u8; 32]>,
    failures: Vec<EmbedFailure>,
    n_computed: usize,
    n_decoded: usize,
    cache: CacheState,
}

impl Sum {
    fn new() -> Self {
        let (numbers, records, contents, failures) = Default::default();
        Self { numbers, records, contents, failures, n_computed: 0, n_decoded: 0, cache: CacheState::Off }
    }

    fn take(&mut self, item: &CropItem, made: Made, mut store: Option<&mut VectorStore>) -> Result<()> {
        self.n_decoded += usize::from(made.is_decoded);
        for (object, what) in item.objects.iter().zip(made.objects) {
            let id = id_of(item, object)?;
            let vector = match what {
                Object::Failed(kind, reason) => {
                    let path = item.path.clone();
                    let reason = format!("{}, object {}: {reason}", path.display(), object.object);
                    self.failures.push(EmbedFailure { id, path, kind, reason });
                    continue;
                }
                Object::Stored(vector) => vector,
                Object::Computed(key, vector) => {
                    self.n_computed += 1;
                    if let Some(store) = store.as_deref_mut() {
                        store.insert(&key, &vector)?;
                    }
                    vector
                }
            };
            self.numbers.extend(vector);
            self.contents.push(made.content);
            let CropObject { object, bbox, class } = object.clone();
            self.records.push(CropRecord { id, parent: item.parent.clone(), object, bbox, class });
        }
        Ok(())
    }

    fn finish(self, n_dims: usize) -> Result<CropRun> {
        let Self { numbers, records, contents, failures, n_computed, n_decoded, cache } = self;
        let (n_rows, n_ids) = (numbers.len() / n_dims, records.len());
        let vectors = Array2::from_shape_vec((n_rows, n_dims), numbers)
            .map_err(|_| EmbedError::Core(CoreError::RowCount { n_rows, n_ids }))?;
        let embeddings = Embeddings::new(records.iter().map(|r| r.id.clone()).collect(), vectors)?;
        let n_cached = records.len() - n_computed;
        Ok(CropRun { embeddings, records, contents, failures, n_computed, n_cached, n_decoded, cache })
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ClassIdx, ImageSize, Seed, Silent};
    use labelloop_media::save_png;
    use proptest::prelude::*;

    use super::*;
    use crate::{Descriptor, DescriptorParams};

    fn small() -> Descriptor {
        DescriptorParams { side: 16, levels: 1, ..Default::default() }.check().unwrap()
    }

    fn noise(seed: u64) -> RgbImage {
        let bits = Seed::new(seed);
        let pixels = (0..3 * 60 * 40).map(|i| bits.bits(i).to_le_bytes()[0]).collect();
        RgbImage::new(ImageSize::new(60, 40).unwrap(), pixels).unwrap()
    }

    fn object(name: usize, x: f64, side: f64) -> CropObject {
        let bbox = BBox::new(x, 5.0, side, side).unwrap();
        CropObject { object: name.to_string(), bbox, class: Some(ClassIdx(1)) }
    }

    /// Pictures of noise with three objects each.
    fn items(folder: &Path, n: u64) -> Vec<CropItem> {
        let item = |i| {
            let path = folder.join(format!("{i:03}.png"));
            save_png(&noise(i), &path).unwrap();
            let objects = (0..3).map(|k| object(k, 15.0 * k as f64, 14.0)).collect();
            CropItem { parent: SampleId::new(format!("p{i:03}")).unwrap(), path, objects }
        };
        (0..n).map(item).collect()
    }

    fn run(items: &[CropItem], params: &CropParams, store: Option<&Path>) -> CropRun {
        embed_crops(items, &small(), params, store, &Silent).unwrap()
    }

    #[test]
    fn rows_are_the_vectors_of_the_cuts_and_name_their_parents() {
        let folder = tempfile::tempdir().unwrap();
        let mut items = items(folder.path(), 40);
        let params = CropParams { margin: 0.5, ..Default::default() };
        let found = run(&items, &params, None);
        assert_eq!((found.records.len(), found.n_decoded, found.n_computed), (120, 40, 120));
        let at = found.records.iter().position(|r| r.id.as_str() == "p007#1").unwrap();
        assert_eq!((found.records[at].parent.as_str(), found.records[at].object.as_str()), ("p007", "1"));
        assert_eq!(found.records[at].class, Some(ClassIdx(1)));
        let cut = crop(&noise(7), BBox::new(8.0, -2.0, 28.0, 28.0).unwrap(), 0).unwrap();
        let expected = small().embed(&cut).unwrap();
        assert_eq!(found.embeddings.row(&found.records[at].id).unwrap().to_vec(), expected);
        items.reverse();
        assert_eq!(run(&items, &params, None), found);
    }

    #[test]
    fn objects_without_pixels_are_recorded_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut items = items(folder.path(), 3);
        items[0].objects = vec![object(0, 100.0, 9.0), object(1, 58.0, 9.0), object(2, 5.0, 3.0)];
        std::fs::write(&items[1].path, b"no picture").unwrap();
        std::fs::remove_file(&items[2].path).unwrap();
        let found = run(&items, &CropParams::default(), None);
        assert_eq!((found.records.len(), found.failures.len()), (0, 9));
        let reasons: Vec<&str> = found.failures.iter().map(|f| f.reason.as_str()).collect();
        assert!(
            reasons[0].contains("000.png, object 0: the box is outside its picture of 60 x 40"),
            "{reasons:?}"
        );
        assert!(reasons[1].contains("2.0 x 9.0 pixels to be seen"), "{reasons:?}");
        assert!(reasons[2].contains("3.0 x 3.0 pixels"), "{reasons:?}");
        assert_eq!(found.failures[3].kind, FailureKind::OtherFormat);
        assert_eq!(found.failures[6].kind, FailureKind::Unreadable);
        assert_eq!(found.failures[6].id.as_str(), "p002#0");
    }

    #[test]
    fn the_store_saves_the_work_and_changes_no_number() {
        let folder = tempfile::tempdir().unwrap();
        let (mut items, store) = (items(folder.path(), 5), folder.path().join("store"));
        let first = run(&items, &CropParams::default(), Some(&store));
        assert_eq!((first.n_computed, first.n_cached, first.n_decoded), (15, 0, 5));
        let again = run(&items, &CropParams::default(), Some(&store));
        assert_eq!((again.n_computed, again.n_cached, again.n_decoded), (0, 15, 0));
        assert_eq!((&again.embeddings, &again.records), (&first.embeddings, &first.records));
        items[2].objects[1] = object(1, 16.0, 14.0);
        let moved = run(&items, &CropParams::default(), Some(&store));
        assert_eq!((moved.n_computed, moved.n_cached, moved.n_decoded), (1, 14, 1));
        let wider = run(&items, &CropParams { margin: 0.2, ..Default::default() }, Some(&store));
        assert_eq!(wider.n_computed, 15);
    }

    #[test]
    fn one_thread_and_four_give_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let items = items(folder.path(), 50);
        let found = [1, 4].map(|n| {
            let store = folder.path().join(format!("store{n}"));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            let found = pool.install(|| run(&items, &CropParams::default(), Some(&store)));
            let rows = std::fs::read(VectorStore::open(&store, &small()).unwrap().rows_path()).unwrap();
            (found, rows)
        });
        assert_eq!(found[0], found[1]);
    }

    #[test]
    fn a_parent_or_object_that_comes_twice_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut items = items(folder.path(), 2);
        items[1].parent = items[0].parent.clone();
        let refused = embed_crops(&items, &small(), &CropParams::default(), None, &Silent).unwrap_err();
        assert!(matches!(refused, EmbedError::Core(CoreError::DuplicateSample { .. })), "{refused}");
        items.pop();
        items[0].objects[1].object = "0".to_owned();
        let refused = embed_crops(&items, &small(), &CropParams::default(), None, &Silent).unwrap_err();
        assert!(matches!(refused, EmbedError::Core(CoreError::DuplicateSample { id }) if id == "p000#0"));
    }

    #[test]
    fn nothing_at_all_is_an_empty_matrix() {
        let found = run(&[], &CropParams::default(), None);
        assert_eq!(found.embeddings.vectors().dim(), (0, small().n_dims()));
    }

    #[test]
    fn a_wish_to_end_is_heard() {
        struct Stop;
        impl Progress for Stop {
            fn advance(&self, _: &str, _: u64, _: u64) {}
            fn is_cancelled(&self) -> bool {
                true
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let items = items(folder.path(), 2);
        let refused = embed_crops(&items, &small(), &CropParams::default(), None, &Stop).unwrap_err();
        assert!(matches!(refused, EmbedError::Cancelled(_)), "{refused}");
    }

    proptest! {
        #[test]
        fn any_box_gives_a_cut_or_a_reason(
            x in -200.0..200.0f64, y in -200.0..200.0f64, w in 0.0..300.0f64, h in 0.0..300.0f64, margin in 0.0..4.0f64,
        ) {
            let params = CropParams { margin, ..Default::default() }.check().unwrap();
            let picture = RgbImage::filled(ImageSize::new(60, 40).unwrap(), [7; 3]);
            let bbox = BBox::new(x, y, w, h).unwrap();
            let visible = bbox.clipped(picture.size());
            match params.window(&picture, bbox) {
                Ok(cut) => prop_assert!(4 <= cut.size().width().min(cut.size().height())),
                Err(reason) => {
                    prop_assert!(!reason.is_empty());
                    prop_assert!(visible.is_none_or(|v| v.width() < 4.0 || v.height() < 4.0));
                }
            }
        }
    }
}
