use labelloop_core::ClassSchema;
use serde::{Deserialize, Serialize};

use super::manifest::bad_json;
use super::stored::Committed;
use super::{DatasetDir, tables};
use crate::base::Base;
use crate::{Dataset, Result};

/// What never changes from one generation to the next.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) schema: ClassSchema,
}

impl DatasetDir {
    pub(super) fn read_identity(&self) -> Result<Identity> {
        let number = self.current()?;
        let catalog = Committed::of(&self.generation_dir(number), tables::CATALOG, &self.manifest(number)?)?;
        serde_json::from_slice(&catalog.bytes()?).map_err(|e| bad_json(&catalog.path, &e))
    }

    pub(super) fn read_number(&self, number: u64) -> Result<Dataset> {
        let mut dataset = tables::read(&self.generation_dir(number), &self.manifest(number)?)?;
        dataset.base = Base::at(number);
        Ok(dataset)
    }
}
