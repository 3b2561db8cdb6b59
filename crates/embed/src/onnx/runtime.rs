//! The backend by the ONNX runtime library.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::builder::SessionBuilder;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session as OrtSession};
use ort::value::{Outlet, TensorRef, ValueType};

use super::find_runtime::places;
use super::model_file::ModelFile;
use super::session::{Opened, Port, Session, Take};
use super::{Backend, OnnxError, Tried};

/// The library that was loaded; a process holds one, and keeps it.
static LIBRARY: Mutex<Option<Library>> = Mutex::new(None);

#[derive(Debug, Clone)]
struct Library {
    path: PathBuf,
    environment: Environment,
}

/// A model in the library's memory.
pub(super) struct RuntimeModel {
    builder: SessionBuilder,
    first: OrtSession,
    path: PathBuf,
    library: PathBuf,
}

/// Reads a model with the library, which is looked for when this is called first.
pub(super) fn open(file: &ModelFile, n_threads: usize) -> Result<RuntimeModel, OnnxError> {
    let library = library()?;
    let refused = |reason| OnnxError::Load { path: file.path.clone(), backend: Backend::Runtime, reason };
    let mut builder = builder(&library.environment, n_threads).map_err(refused)?;
    let first = builder.commit_from_file(&file.path).map_err(|e| refused(e.message().to_owned()))?;
    Ok(RuntimeModel { builder, first, path: file.path.clone(), library: library.path })
}

fn builder(environment: &Environment, n_threads: usize) -> Result<SessionBuilder, String> {
    let builder = OrtSession::builder(environment).map_err(|e| e.message().to_owned())?;
    let builder = builder.with_intra_threads(n_threads).map_err(|e| e.message().to_owned())?;
    builder.with_inter_threads(1).map_err(|e| e.message().to_owned())
}

/// The library of this process; the first call looks for it.
fn library() -> Result<Library, OnnxError> {
    let mut loaded = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = &*loaded {
        return Ok(library.clone());
    }
    let found = find(&mut Vec::new())?;
    *loaded = Some(found.clone());
    Ok(found)
}

fn find(tried: &mut Vec<Tried>) -> Result<Library, OnnxError> {
    for place in places(&|name| std::env::var_os(name)) {
        match place.libraries() {
            Err(reason) => tried.push(reason),
            Ok(paths) => {
                for path in paths {
                    match load(&path) {
                        Ok(environment) => return Ok(Library { path, environment }),
                        Err(reason) => tried.push(Tried { place: path.display().to_string(), reason }),
                    }
                }
            }
        }
    }
    Err(OnnxError::NoRuntime { tried: std::mem::take(tried) })
}

/// Loads a library. One that is no ONNX runtime may answer in a way that the binding panics at.
fn load(path: &std::path::Path) -> Result<Environment, String> {
    let environment = || {
        let builder = ort::init_from(path).map_err(|e| e.to_string())?;
        // Errors come back as such; what else the library would print belongs to nobody's output.
        let quiet =
            builder.with_name("labelloop").with_telemetry(false).with_logger(Arc::new(|_, _, _, _, _| {}));
        quiet.build().map_err(|e| e.message().to_owned())
    };
    catch_unwind(AssertUnwindSafe(environment)).unwrap_or_else(|_| Err("not an ONNX runtime".to_owned()))
}

impl RuntimeModel {
    /// Where the library is.
    pub(super) fn library(&self) -> PathBuf {
        self.library.clone()
    }
}

impl Opened for RuntimeModel {
    fn inputs(&self) -> Vec<Port> {
        self.first.inputs().iter().map(port).collect()
    }

    fn outputs(&self) -> Vec<Port> {
        self.first.outputs().iter().map(port).collect()
    }

    fn sessions(
        mut self: Box<Self>,
        shape: [usize; 4],
        output: &str,
        n_sessions: usize,
    ) -> Result<Vec<Box<dyn Session>>, OnnxError> {
        let refused = |e: ort::Error| OnnxError::Load {
            path: self.path.clone(),
            backend: Backend::Runtime,
            reason: e.message().to_owned(),
        };
        let mut opened = vec![self.first];
        for _ in 1..n_sessions {
            opened.push(self.builder.commit_from_file(&self.path).map_err(refused)?);
        }
        let mut sessions: Vec<Box<dyn Session>> = Vec::with_capacity(n_sessions);
        for session in opened {
            let selected = OutputSelector::no_default().with(output);
            let options = RunOptions::new().map_err(refused)?.with_outputs(selected);
            sessions.push(Box::new(RuntimeSession { session, options, shape }));
        }
        Ok(sessions)
    }
}

fn port(outlet: &Outlet) -> Port {
    let (element, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let sides: Vec<_> = shape.iter().map(|side| usize::try_from(*side).ok()).collect();
            // The library has no dimensions both for a single number and for a shape that is left open.
            (ty.to_string(), (!sides.is_empty()).then_some(sides))
        }
        other => (other.to_string(), None),
    };
    Port { name: outlet.name().to_owned(), element, shape }
}

struct RuntimeSession {
    session: OrtSession,
    options: RunOptions<HasSelectedOutputs>,
    shape: [usize; 4],
}

impl Session for RuntimeSession {
    fn run(&mut self, input: &[f32], take: Take<'_>) -> Result<Vec<f32>, OnnxError> {
        let stopped =
            |e: ort::Error| OnnxError::Run { backend: Backend::Runtime, reason: e.message().to_owned() };
        let input = TensorRef::from_array_view((self.shape, input)).map_err(stopped)?;
        let outputs = self.session.run_with_options(ort::inputs![input], &self.options).map_err(stopped)?;
        let nothing = || OnnxError::Run { backend: Backend::Runtime, reason: "no output".to_owned() };
        let output = outputs.values().next().ok_or_else(nothing)?;
        let (shape, numbers) = output.try_extract_tensor::<f32>().map_err(stopped)?;
        let shape: Vec<_> = shape.iter().map(|side| usize::try_from(*side).unwrap_or(0)).collect();
        take(&shape, numbers)
    }
}
