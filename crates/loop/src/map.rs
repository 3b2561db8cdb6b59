//! Where the picks lie among everything, in the plane.

use labelloop_core::{Members, Pool, Progress, SampleId};
use labelloop_embed::project_2d;
use serde::{Deserialize, Serialize};

use crate::project::Project;
use crate::{Result, files};

/// One picture of pool or val in the plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapPoint {
    /// The picture.
    pub id: SampleId,
    /// First principal component.
    pub x: f64,
    /// Second principal component.
    pub y: f64,
    /// `pool` or `val`.
    pub split: String,
    /// Batch it was picked for.
    pub batch: Option<u32>,
}

/// Projects the pool's and val's vectors with a PCA that is fitted on the pool alone, and keeps the result for the
/// report. Test and golden pictures take no part.
///
/// # Errors
/// Unreadable cache, fewer than three pictures.
pub fn selection_map(project: &Project, progress: &dyn Progress) -> Result<Vec<MapPoint>> {
    let dataset = project.dataset()?;
    let run = project.embed(&dataset, progress)?;
    let pool: Members<Pool> = dataset.members();
    let fit: Vec<&SampleId> = run.embeddings.ids().iter().filter(|id| pool.contains(id)).collect();
    let plane = project_2d(run.embeddings.gather(fit)?.view(), run.embeddings.vectors())?;
    let points: Vec<MapPoint> = run
        .embeddings
        .ids()
        .iter()
        .zip(plane.rows())
        .filter_map(|(id, at)| {
            let sample = dataset.samples().get(id)?;
            let split = sample.split?.as_str().to_owned();
            Some(MapPoint { id: id.clone(), x: at[0], y: at[1], split, batch: sample.batch })
        })
        .collect();
    files::write_json(&project.layout.selection_map(), &points)?;
    Ok(points)
}
