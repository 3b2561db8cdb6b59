//! `embed`: vectors of pictures by name, or of the project's.

mod crops;
mod model;
pub(super) mod pictures;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use labelloop_embed::{EmbedError, PictureEmbedder, embed_to_store};
use labelloop_loop::Project;

pub(super) use self::crops::name as crop_name;
use self::pictures::Pictures;
use self::summary::Summary;
use crate::args::EmbedArgs;
use crate::output::{Output, UsageError};
use crate::progress::Teller;

pub(super) fn embed(args: &EmbedArgs, output: &Output) -> anyhow::Result<ExitCode> {
    if let (Some(labels), Some(out)) = (&args.crops, &args.out) {
        crops::crops(args, labels, out, output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let teller = Teller::new(output);
    let mut summary = match &args.out {
        Some(out) => of_pictures(args, out, output, &teller)?,
        None if args.images.is_empty() => {
            let project = Project::open(&args.project.project)?;
            Summary::of_run(&project.embed(&project.dataset()?, &teller)?)
        }
        None => {
            return Err(
                UsageError("embed IMAGES: expected --out EMB.parquet or EMB.npy with it".to_owned()).into()
            );
        }
    };
    if let Some(out) = &args.out {
        summary.write_failures(&out.with_extension("failures.json"))?;
    }
    output.result(&summary.document(), &summary.words())?;
    if args.strict && summary.n_failed() != 0 {
        bail!("{} files have no vector: expected none under --strict", summary.n_failed());
    }
    Ok(ExitCode::SUCCESS)
}

/// Embeds pictures into the store beside the output, and then lays the table out from there: neither pictures nor
/// vectors are ever all in memory.
fn of_pictures(
    args: &EmbedArgs,
    out: &Path,
    output: &Output,
    teller: &Teller<'_>,
) -> anyhow::Result<Summary> {
    let format = Format::of(out)?;
    let embedder = model::embedder(args)?;
    let pictures = Pictures::find(&args.images)?;
    if pictures.items.is_empty() {
        bail!(
            "{}: no pictures: expected files that end in .jpg, .jpeg or .png",
            pictures::named(&args.images)
        );
    }
    let store = args.store.clone().unwrap_or_else(|| out.with_extension("vectors"));
    let run = embed_to_store(&pictures.items, embedder.as_ref(), &store, teller).inspect_err(|e| {
        if matches!(e, EmbedError::Cancelled(_)) {
            output.say(&format!(
                "what was done is kept in {}: the same command goes on from there",
                store.display()
            ));
        }
    })?;
    let summary = Summary::of_stored(&run, &pictures.skipped, out);
    if !args.strict || run.failures.is_empty() {
        match format {
            Format::Parquet => run.write_parquet(out)?,
            Format::Npy => run.write_npy(out)?,
        }
    }
    Ok(summary)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Parquet,
    Npy,
}

impl Format {
    fn of(out: &Path) -> Result<Self, UsageError> {
        let ending = out.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        match ending.as_str() {
            "parquet" => Ok(Self::Parquet),
            "npy" => Ok(Self::Npy),
            _ => Err(UsageError(format!(
                "--out {}: expected a name that ends in .parquet or .npy",
                out.display()
            ))),
        }
    }
}

/// An embedder of whatever kind the command line asks for.
type AnyEmbedder = Box<dyn PictureEmbedder>;
/// A sample and its file.
type Item = (labelloop_core::SampleId, PathBuf);
