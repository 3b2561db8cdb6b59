use std::path::Path;

use labelloop_embed::{Backend, DescriptorParams, OnnxParams};

use super::AnyEmbedder;
use crate::args::{BackendArg, EmbedArgs};

/// The built-in descriptor, or the model asked for.
pub(super) fn embedder(args: &EmbedArgs) -> anyhow::Result<AnyEmbedder> {
    match &args.model {
        None => Ok(Box::new(DescriptorParams::default().check()?)),
        Some(model) => onnx(args, model),
    }
}

fn onnx(args: &EmbedArgs, model: &Path) -> anyhow::Result<AnyEmbedder> {
    let backend = match args.backend {
        BackendArg::Auto => Backend::Auto,
        BackendArg::Runtime => Backend::Runtime,
        BackendArg::Tract => Backend::Tract,
    };
    let params = OnnxParams {
        description: args.description.clone(),
        backend,
        n_sessions: Some(rayon::current_num_threads()),
        ..OnnxParams::of(model)
    };
    Ok(Box::new(params.check()?.load()?))
}
