use labelloop_embed::DescriptorParams;

use super::AnyEmbedder;
use crate::args::EmbedArgs;

/// The built-in descriptor, or the model asked for.
pub(super) fn embedder(args: &EmbedArgs) -> anyhow::Result<AnyEmbedder> {
    match &args.model {
        None => Ok(Box::new(DescriptorParams::default().check()?)),
        Some(model) => onnx(args, model),
    }
}

#[cfg(feature = "onnx")]
fn onnx(args: &EmbedArgs, model: &std::path::Path) -> anyhow::Result<AnyEmbedder> {
    use labelloop_embed::{Backend, OnnxParams};

    use crate::args::BackendArg;

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

#[cfg(not(feature = "onnx"))]
fn onnx(_: &EmbedArgs, model: &std::path::Path) -> anyhow::Result<AnyEmbedder> {
    let words = format!(
        "--model {}: this program was built without models: expected one built with `--features onnx`, as \
         `cargo install labelloop-cli` does by default",
        model.display()
    );
    Err(crate::output::UsageError(words).into())
}
