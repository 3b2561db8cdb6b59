//! What a batch is, in its schema's metadata.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{METADATA_KEY, VERSION, unreadable};
use crate::Result;
use crate::partial::PartialError;

#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    version: String,
    header: Value,
}

pub(super) fn metadata<T: Serialize>(kind: &'static str, header: &T) -> Result<HashMap<String, String>> {
    let text = || {
        let header = serde_json::to_value(header)?;
        serde_json::to_string(&Header { kind: kind.to_owned(), version: VERSION.to_owned(), header })
    };
    let text = text().map_err(|e: serde_json::Error| unreadable(kind, e))?;
    Ok(HashMap::from([(METADATA_KEY.to_owned(), text)]))
}

pub(super) fn read<T: DeserializeOwned>(kind: &'static str, batch: &RecordBatch) -> Result<T> {
    let header = parse(kind, batch)?;
    if header.kind != kind {
        return Err(unreadable(kind, format!("it is one of {}", header.kind)).into());
    }
    if header.version != VERSION {
        return Err(PartialError::Version { kind, found: header.version, expected: VERSION }.into());
    }
    Ok(serde_json::from_value(header.header).map_err(|e| unreadable(kind, e))?)
}

pub(super) fn kind_of(batch: &RecordBatch) -> Result<String> {
    Ok(parse("any kind", batch)?.kind)
}

fn parse(kind: &'static str, batch: &RecordBatch) -> Result<Header, PartialError> {
    let text = batch.schema_ref().metadata().get(METADATA_KEY);
    let text = text.ok_or_else(|| unreadable(kind, format!("its schema has no {METADATA_KEY}")))?;
    serde_json::from_str(text).map_err(|e| unreadable(kind, e))
}
