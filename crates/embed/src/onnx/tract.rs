//! The backend in Rust, by tract.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use super::model_file::ModelFile;
use super::session::{Opened, Port, Session, Take};
use super::{Backend, OnnxError};

/// Numbers that one layer may give: half a gigabyte of them.
const MAX_VOLUME: usize = 1 << 27;

/// A model as its file has it, with lengths left open where the file leaves them open.
pub(super) struct TractModel {
    model: InferenceModel,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    path: PathBuf,
}

/// Reads a model.
pub(super) fn open(file: &ModelFile) -> Result<TractModel, OnnxError> {
    // The lengths of outputs follow from those of the input, which may be settled to others than the file's.
    let read = || {
        let model = tract_onnx::onnx().with_ignore_output_shapes(true).model_for_path(&file.path)?;
        let inputs =
            model.input_outlets()?.iter().map(|outlet| port(&model, *outlet)).collect::<TractResult<_>>()?;
        let outputs =
            model.output_outlets()?.iter().map(|outlet| port(&model, *outlet)).collect::<TractResult<_>>()?;
        Ok(TractModel { model, inputs, outputs, path: file.path.clone() })
    };
    caught(read).map_err(|reason| OnnxError::Load {
        path: file.path.clone(),
        backend: Backend::Tract,
        reason,
    })
}

/// What tract answers, also where it panics: damaged models make it.
fn caught<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(answer) => answer.map_err(|error| chain(&error)),
        Err(panic) => Err(format!("panicked: {}", words(panic.as_ref()))),
    }
}

/// An error and its causes in one line.
fn chain(error: &TractError) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn port(model: &InferenceModel, outlet: OutletId) -> TractResult<Port> {
    let fact = model.outlet_fact(outlet)?;
    let name = model.outlet_label(outlet).unwrap_or(&model.node(outlet.node).name).to_owned();
    let element =
        fact.datum_type.concretize().map_or("?".to_owned(), |kind| format!("{kind:?}").to_lowercase());
    let rank = fact.shape.rank().concretize();
    let side = |i: i64| fact.shape.dim(usize::try_from(i).ok()?)?.concretize()?.to_usize().ok();
    Ok(Port { name, element, shape: rank.map(|rank| (0..rank).map(side).collect()) })
}

impl Opened for TractModel {
    fn inputs(&self) -> Vec<Port> {
        self.inputs.clone()
    }

    fn outputs(&self) -> Vec<Port> {
        self.outputs.clone()
    }

    fn sessions(
        self: Box<Self>,
        shape: [usize; 4],
        output: &str,
        n_sessions: usize,
    ) -> Result<Vec<Box<dyn Session>>, OnnxError> {
        let Self { mut model, path, .. } = *self;
        let plan = caught(move || {
            model.set_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))?;
            model.select_outputs_by_name([output])?;
            let typed = model.into_typed()?;
            check_volumes(&typed)?;
            typed.into_optimized()?.into_runnable()
        });
        let plan = plan.map_err(|reason| OnnxError::Load { path, backend: Backend::Tract, reason })?;
        Ok((0..n_sessions)
            .map(|_| Box::new(TractSession { plan: Arc::clone(&plan), shape }) as Box<dyn Session>)
            .collect())
    }
}

/// Refuses layers whose outputs nobody has memory for: a damaged number is enough to ask for that, and a program that is
/// out of memory ends.
fn check_volumes(model: &TypedModel) -> TractResult<()> {
    for node in model.nodes() {
        for output in &node.outputs {
            let sides = output.fact.shape.iter().map(|side| side.to_usize().unwrap_or(1));
            let volume = sides.fold(1usize, usize::saturating_mul);
            if MAX_VOLUME < volume {
                let found = format!("layer {} gives {volume} numbers", node.name);
                return Err(TractError::msg(format!("{found}: expected at most {MAX_VOLUME}")));
            }
        }
    }
    Ok(())
}

/// All sessions of a model share its weights.
struct TractSession {
    plan: Arc<TypedRunnableModel>,
    shape: [usize; 4],
}

impl Session for TractSession {
    fn run(&mut self, input: &[f32], take: Take<'_>) -> Result<Vec<f32>, OnnxError> {
        let stopped = |reason| OnnxError::Run { backend: Backend::Tract, reason };
        let outputs = caught(|| self.plan.run(tvec![Tensor::from_shape(&self.shape, input)?.into_tvalue()]));
        let outputs = outputs.map_err(stopped)?;
        let output = outputs.first().ok_or_else(|| stopped("no output".to_owned()))?;
        let numbers = output.try_as_plain_ram().map_err(|e| stopped(chain(&e)))?;
        take(output.shape(), numbers.as_slice::<f32>().map_err(|e| stopped(chain(&e)))?)
    }
}
