//! `embed`: vectors of a folder of pictures, or of the project's.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::SampleId;
use labelloop_embed::{DescriptorParams, EmbedRun, embed_all};
use labelloop_loop::Project;
use serde_json::json;

use crate::args::EmbedArgs;
use crate::output::{Output, UsageError};
use crate::progress::Teller;

pub(super) fn embed(args: &EmbedArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let teller = Teller::new(output);
    let run = match (&args.images, &args.out) {
        (Some(folder), Some(out)) => of_folder(folder, out, &teller)?,
        (Some(_), None) => {
            return Err(UsageError("embed IMAGES: expected --out EMB.npy with it".to_owned()).into());
        }
        (None, _) => {
            let project = Project::open(&args.project.project)?;
            project.embed(&project.dataset()?, &teller)?
        }
    };
    let failures: Vec<_> = run
        .failures
        .iter()
        .map(|f| json!({ "id": f.id, "path": f.path, "reason": f.reason.to_string() }))
        .collect();
    let mut words = format!(
        "{} pictures x {} numbers: {} computed, {} from the cache, {} could not be read",
        run.embeddings.n_samples(),
        run.embeddings.n_dims(),
        run.n_computed,
        run.n_cached,
        failures.len()
    );
    for failure in &run.failures {
        words.push_str(&format!("\n  {}: {}", failure.path.display(), failure.reason));
    }
    let document = json!({
        "n_samples": run.embeddings.n_samples(),
        "n_dims": run.embeddings.n_dims(),
        "n_computed": run.n_computed,
        "n_cached": run.n_cached,
        "failures": failures,
    });
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}

/// Embeds every JPEG and PNG below a folder; a cache beside the output makes it resumable.
fn of_folder(folder: &Path, out: &Path, teller: &Teller<'_>) -> anyhow::Result<EmbedRun> {
    let mut items: Vec<(SampleId, PathBuf)> = Vec::new();
    collect(folder, folder, &mut items)?;
    items.sort();
    let descriptor = DescriptorParams::default().check()?;
    let run = embed_all(&items, &descriptor, Some(&out.with_extension("cache")), teller)?;
    labelloop_embed::write_npy(out, run.embeddings.vectors())?;
    let ids = serde_json::to_vec_pretty(run.embeddings.ids())?;
    let beside = out.with_extension("json");
    std::fs::write(&beside, ids).with_context(|| format!("{}: cannot be written", beside.display()))?;
    Ok(run)
}

fn collect(root: &Path, folder: &Path, items: &mut Vec<(SampleId, PathBuf)>) -> anyhow::Result<()> {
    let place = || format!("{}: cannot be read", folder.display());
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(place)?);
        // Links are passed over: one that points upwards would have no end.
        if kind.is_dir() {
            collect(root, &path, items)?;
        } else if kind.is_file() && is_picture(&path) {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            items.push((SampleId::new(name)?, path));
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|e| ["jpg", "jpeg", "png"].contains(&e.as_str()))
}
