use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use labelloop_media::{DecodeLimits, RgbImage, decode_named, decode_reduced};

use super::model_file::ModelFile;
use super::pool::Pool;
use super::preprocess::Preprocess;
use super::session::{Opened, Port, Session};
use super::{Backend, ModelDescription, OnnxError, OnnxParams, pooling, runtime};
use crate::{Embedder, PictureEmbedder, Result};

/// Raised whenever the same model, description and picture would give other numbers.
const VERSION: u32 = 1;

/// An image model, loaded and checked against its description; an [`Embedder`] and [`PictureEmbedder`].
///
/// It may be called from many threads at once: each call takes one of its sessions, and waits where all are taken. A
/// picture is run alone, so that its vector does not depend on what was beside it.
///
/// The same model file, description, backend and picture give the same bits on the same machine; other versions of
/// the runtime library and other processors round differently in the last places.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_embed::{Embedder, OnnxParams, PictureEmbedder};
/// use labelloop_media::RgbImage;
///
/// // Beside the model lies nchw.toml, which says that its pictures have 8 x 8 pixels.
/// let model = match OnnxParams::of("tests/data/onnx/nchw.onnx").load() {
///     Ok(model) => model,
///     // Neither a library nor the backend in Rust is at hand: the error says where it was looked for.
///     Err(refused) => return Ok(assert!(refused.to_string().contains("no ONNX runtime library"))),
/// };
/// let picture = RgbImage::filled(ImageSize::new(640, 480)?, [40, 120, 220]);
/// assert_eq!(model.embed_picture(&picture)?.len(), model.n_dims());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OnnxModel {
    description: ModelDescription,
    preprocess: Preprocess,
    sessions: Pool<Box<dyn Session>>,
    n_sessions: usize,
    inputs: Mutex<Vec<Vec<f32>>>,
    backend: Backend,
    library: Option<PathBuf>,
    path: PathBuf,
    output: String,
    n_dims: usize,
    digest: blake3::Hash,
}

impl std::fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnnxModel")
            .field("path", &self.path)
            .field("backend", &self.backend)
            .field("n_dims", &self.n_dims)
            .field("n_sessions", &self.n_sessions)
            .finish_non_exhaustive()
    }
}

impl OnnxModel {
    /// What computes the network: [`Backend::Runtime`] or [`Backend::Tract`].
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The runtime library's file, where the backend is one.
    pub fn library(&self) -> Option<&Path> {
        self.library.as_deref()
    }

    /// The description it was loaded with.
    pub fn description(&self) -> &ModelDescription {
        &self.description
    }

    /// Name of the output that vectors are made of.
    pub fn output(&self) -> &str {
        &self.output
    }

    /// Pictures at a time.
    pub fn n_sessions(&self) -> usize {
        self.n_sessions
    }

    /// Which numbers its vectors are: 64 hexadecimal digits of the model's weights, the description and the backend.
    pub fn digest(&self) -> String {
        self.digest.to_hex().to_string()
    }

    /// What the network is given for a file: the numbers of its input of one picture, in the description's layout.
    ///
    /// For comparing with another program's preprocessing, and for measuring its share of the time.
    ///
    /// # Errors
    /// Bytes that are no picture within the default limits.
    pub fn prepare(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>> {
        let mut input = vec![0.0; self.preprocess.n_numbers()];
        self.preprocess.fill(&self.decode(bytes, path)?, &mut input)?;
        Ok(input)
    }

    /// The vector of an input as [`prepare`](Self::prepare) makes it.
    ///
    /// # Errors
    /// [`OnnxError`] for an input of another length, and for what the network refuses.
    pub fn embed_prepared(&self, input: &[f32]) -> Result<Vec<f32>> {
        Ok(self.run(input)?)
    }

    fn decode(&self, bytes: &[u8], path: &Path) -> Result<RgbImage> {
        let (limits, place) = (DecodeLimits::default(), path.display().to_string());
        Ok(if self.description.reduced_decode {
            decode_reduced(bytes, limits, &place, self.preprocess.at_least())?
        } else {
            decode_named(bytes, limits, &place)?
        })
    }

    pub(super) fn load(params: &OnnxParams, description: &ModelDescription) -> Result<Self, OnnxError> {
        let file = ModelFile::read(&params.model)?;
        let (opened, backend, library) = open(params, &file)?;
        let preprocess = Preprocess::new(description);
        check_input(&file.path, &opened.inputs(), preprocess.shape())?;
        let output = chosen_output(&file.path, &opened.outputs(), description)?;
        let n_sessions = params.n_sessions.unwrap_or_else(|| one_for_each_core(params.n_threads_per_session));
        let mut sessions = opened.sessions(preprocess.shape(), &output, n_sessions)?;
        let n_dims = n_dims(&file.path, &output, description, &preprocess, &mut sessions)?;
        Ok(Self {
            digest: digest(&file, description, backend),
            description: description.clone(),
            preprocess,
            sessions: Pool::new(sessions),
            n_sessions,
            inputs: Mutex::default(),
            backend,
            library,
            path: file.path,
            output,
            n_dims,
        })
    }

    fn run(&self, input: &[f32]) -> Result<Vec<f32>, OnnxError> {
        let take = |shape: &[usize], numbers: &[f32]| {
            let vector = pooling::pool(&self.description, shape, numbers).filter(|v| v.len() == self.n_dims);
            let other = || other_output(&self.path, &self.output, shape, &self.description);
            pooling::finish(&self.description, vector.ok_or_else(other)?)
        };
        self.sessions.with(|session| session.run(input, &take))
    }

    /// Memory for an input, from a picture before this one where there was one.
    fn with_input<R>(&self, work: impl FnOnce(&mut [f32]) -> R) -> R {
        let taken = self.inputs.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut input = taken.unwrap_or_else(|| vec![0.0; self.preprocess.n_numbers()]);
        let result = work(&mut input);
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).push(input);
        result
    }
}

impl PictureEmbedder for OnnxModel {
    fn embed_picture(&self, picture: &RgbImage) -> Result<Vec<f32>> {
        self.with_input(|input| {
            self.preprocess.fill(picture, input)?;
            Ok(self.run(input)?)
        })
    }
}

impl Embedder for OnnxModel {
    fn n_dims(&self) -> usize {
        self.n_dims
    }

    fn digest_bytes(&self) -> [u8; 32] {
        self.digest.into()
    }

    fn embed_bytes(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>> {
        self.embed_picture(&self.decode(bytes, path)?)
    }

    fn description(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        // What cannot be said in JSON is still told apart by the digest.
        let prepared = serde_json::to_string(&self.description.to_params()).unwrap_or_default();
        format!("{name}, output {}, by {}, {prepared}", self.output, self.backend)
    }
}

type OpenedModel = (Box<dyn Opened>, Backend, Option<PathBuf>);

fn open(params: &OnnxParams, file: &ModelFile) -> Result<OpenedModel, OnnxError> {
    match params.backend {
        Backend::Tract => open_tract(file),
        Backend::Runtime => open_runtime(params, file),
        Backend::Auto => match open_runtime(params, file) {
            Err(OnnxError::NoRuntime { .. }) if cfg!(feature = "onnx-tract") => open_tract(file),
            opened => opened,
        },
    }
}

fn open_runtime(params: &OnnxParams, file: &ModelFile) -> Result<OpenedModel, OnnxError> {
    let model = runtime::open(file, params.n_threads_per_session)?;
    let library = model.library();
    Ok((Box::new(model), Backend::Runtime, Some(library)))
}

#[cfg(feature = "onnx-tract")]
fn open_tract(file: &ModelFile) -> Result<OpenedModel, OnnxError> {
    Ok((Box::new(super::tract::open(file)?), Backend::Tract, None))
}

#[cfg(not(feature = "onnx-tract"))]
fn open_tract(_: &ModelFile) -> Result<OpenedModel, OnnxError> {
    Err(OnnxError::NotCompiledIn { backend: Backend::Tract, feature: "onnx-tract" })
}

fn one_for_each_core(n_threads: usize) -> usize {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    (n_cores / n_threads).max(1)
}

/// Whether the model takes what the description makes.
fn check_input(path: &Path, inputs: &[Port], shape: [usize; 4]) -> Result<(), OnnxError> {
    let path = path.to_owned();
    let [input] = inputs else {
        return Err(OnnxError::Inputs { path, found: inputs.iter().map(|port| port.name.clone()).collect() });
    };
    let fits = |sides: &Vec<Option<usize>>| {
        let same = |(found, expected): (&Option<usize>, &usize)| found.is_none_or(|found| found == *expected);
        sides.len() == shape.len() && sides.iter().zip(&shape).all(same)
    };
    if input.element != "f32" || !input.shape.as_ref().is_none_or(fits) {
        let expected = format!("f32 {shape:?}");
        return Err(OnnxError::Input { path, name: input.name.clone(), found: input.to_string(), expected });
    }
    Ok(())
}

fn chosen_output(path: &Path, outputs: &[Port], description: &ModelDescription) -> Result<String, OnnxError> {
    let wanted = description.output.as_deref();
    let chosen = outputs.iter().find(|port| wanted.is_none_or(|name| port.name == name));
    let names = || outputs.iter().map(|port| port.name.clone()).collect();
    let missing = || OnnxError::NoOutput {
        path: path.to_owned(),
        found: names(),
        expected: wanted.unwrap_or_default().to_owned(),
    };
    let chosen = chosen.ok_or_else(missing)?;
    if !["f32", "?"].contains(&chosen.element.as_str()) {
        return Err(OnnxError::Output {
            path: path.to_owned(),
            name: chosen.name.clone(),
            found: chosen.to_string(),
            expected: pooling::expected(description).to_owned(),
        });
    }
    Ok(chosen.name.clone())
}

/// Length of the vectors, from a trial run: what a file declares may be open or wrong.
fn n_dims(
    path: &Path,
    output: &str,
    description: &ModelDescription,
    preprocess: &Preprocess,
    sessions: &mut [Box<dyn Session>],
) -> Result<usize, OnnxError> {
    let input = vec![0.0; preprocess.n_numbers()];
    let take = |shape: &[usize], numbers: &[f32]| {
        let other = || other_output(path, output, shape, description);
        pooling::pool(description, shape, numbers).ok_or_else(other)
    };
    let mut n_dims = 0;
    for session in sessions.iter_mut().take(1) {
        n_dims = session.run(&input, &take)?.len();
    }
    Ok(n_dims)
}

fn other_output(path: &Path, name: &str, shape: &[usize], description: &ModelDescription) -> OnnxError {
    OnnxError::Output {
        path: path.to_owned(),
        name: name.to_owned(),
        found: format!("f32 {shape:?}"),
        expected: pooling::expected(description).to_owned(),
    }
}

fn digest(file: &ModelFile, description: &ModelDescription, backend: Backend) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"labelloop image model in ONNX");
    hasher.update(&VERSION.to_le_bytes());
    hasher.update(file.digest.as_bytes());
    hasher.update(backend.to_string().as_bytes());
    hasher.update(&description.digest_bytes());
    hasher.finalize()
}
