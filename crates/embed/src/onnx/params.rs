use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{DescriptionParams, ModelDescription, OnnxError, OnnxModel};
use crate::{ParamError, Result};

/// More sessions or threads than any machine has cores are a typing error.
const MAX_COUNT: usize = 1024;

/// What computes the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Backend {
    /// The library where one is found, else the one in Rust where it is compiled in.
    #[default]
    Auto,
    /// The ONNX runtime library.
    Runtime,
    /// The runtime in Rust, tract; needs the feature `onnx-tract`.
    Tract,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Runtime => "runtime",
            Self::Tract => "tract",
        })
    }
}

/// Which model to load, and how to run it; [`check`](OnnxParams::check) makes [`OnnxValidParams`] of it.
///
/// ```
/// use labelloop_embed::{Backend, OnnxParams};
///
/// let params = OnnxParams { model: "clip.onnx".into(), backend: Backend::Runtime, ..Default::default() }.check()?;
/// assert_eq!(params.description_path(), std::path::Path::new("clip.toml"));
/// # Ok::<(), labelloop_embed::ParamError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnnxParams {
    /// The model's file.
    pub model: PathBuf,
    /// Its description. Default: the file beside the model with the ending `toml`.
    pub description: Option<PathBuf>,
    /// What computes it. Default: [`Backend::Auto`].
    pub backend: Backend,
    /// Pictures at a time. Each session of the runtime library holds the weights; those of tract share them.
    /// Default: none, which is one for each core, divided by the threads of each.
    pub n_sessions: Option<usize>,
    /// Threads that work on one picture. More than one pays only where pictures come one at a time; tract takes no
    /// more than one. Default: 1.
    pub n_threads_per_session: usize,
}

impl Default for OnnxParams {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            description: None,
            backend: Backend::Auto,
            n_sessions: None,
            n_threads_per_session: 1,
        }
    }
}

impl OnnxParams {
    /// Those of this model, the rest as by default.
    pub fn of(model: impl Into<PathBuf>) -> Self {
        Self { model: model.into(), ..Self::default() }
    }

    /// # Errors
    /// [`ParamError`] naming the first parameter out of range.
    pub fn check(self) -> Result<OnnxValidParams, ParamError> {
        if self.model.as_os_str().is_empty() {
            return Err(ParamError::NoModel);
        }
        let counts = [("sessions", self.n_sessions.unwrap_or(1)), ("threads", self.n_threads_per_session)];
        for (name, found) in counts {
            if !(1..=MAX_COUNT).contains(&found) {
                return Err(ParamError::Count { name, found, max: MAX_COUNT });
            }
        }
        if self.backend == Backend::Tract && self.n_threads_per_session != 1 {
            return Err(ParamError::Count { name: "threads", found: self.n_threads_per_session, max: 1 });
        }
        let description = self.description.clone().unwrap_or_else(|| self.model.with_extension("toml"));
        Ok(OnnxValidParams { params: self, description })
    }

    /// [`check`](Self::check) and [`OnnxValidParams::load`].
    ///
    /// # Errors
    /// As both.
    pub fn load(self) -> Result<OnnxModel> {
        self.check()?.load()
    }
}

/// Checked parameters; see [`OnnxParams`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxValidParams {
    params: OnnxParams,
    description: PathBuf,
}

impl OnnxValidParams {
    /// The parameters.
    pub fn params(&self) -> &OnnxParams {
        &self.params
    }

    /// Where the description is read from.
    pub fn description_path(&self) -> &Path {
        &self.description
    }

    /// Reads the description, and the model with it.
    ///
    /// # Errors
    /// [`OnnxError`] for a description or model that is missing, damaged or does not go with the other, and where no
    /// backend can run it.
    pub fn load(&self) -> Result<OnnxModel> {
        let described = self.read_description()?;
        self.load_described(&described)
    }

    /// Reads the model, with a description that is in no file.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_described(&self, description: &ModelDescription) -> Result<OnnxModel> {
        OnnxModel::load(&self.params, description).map_err(Into::into)
    }

    fn read_description(&self) -> Result<ModelDescription, OnnxError> {
        let path = &self.description;
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => OnnxError::NoDescription { path: path.clone() },
            _ => OnnxError::Io { path: path.clone(), source },
        })?;
        DescriptionParams::from_toml(&text)
            .and_then(|params| params.check())
            .map_err(|problem| OnnxError::Description { path: path.clone(), problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_documented_ones() {
        let params = OnnxParams::default();
        assert_eq!((params.description.clone(), params.backend), (None, Backend::Auto));
        assert_eq!((params.n_sessions, params.n_threads_per_session), (None, 1));
        assert_eq!(params.check(), Err(ParamError::NoModel));
        assert_eq!(OnnxParams::of("a.onnx").check().unwrap().params().model, Path::new("a.onnx"));
    }

    #[test]
    fn counts_out_of_range_are_refused() {
        for found in [0, 1025] {
            let params = OnnxParams { n_sessions: Some(found), ..OnnxParams::of("a") };
            assert_eq!(params.check(), Err(ParamError::Count { name: "sessions", found, max: 1024 }));
            let params = OnnxParams { n_threads_per_session: found, ..OnnxParams::of("a") };
            assert_eq!(params.check(), Err(ParamError::Count { name: "threads", found, max: 1024 }));
        }
        let params = OnnxParams { n_threads_per_session: 2, backend: Backend::Tract, ..OnnxParams::of("a") };
        assert_eq!(params.check().unwrap_err().to_string(), "2 threads: expected 1 to 1");
    }

    #[test]
    fn a_description_elsewhere_is_taken_from_there() {
        let params = OnnxParams { description: Some("b/c.toml".into()), ..OnnxParams::of("a.onnx") };
        assert_eq!(params.check().unwrap().description_path(), Path::new("b/c.toml"));
    }

    #[test]
    fn a_config_file_cannot_misspell_a_name() {
        let params: OnnxParams = serde_json::from_str(r#"{"model": "m.onnx", "backend": "tract"}"#).unwrap();
        assert_eq!(params, OnnxParams { backend: Backend::Tract, ..OnnxParams::of("m.onnx") });
        assert!(serde_json::from_str::<OnnxParams>(r#"{"modell": "m.onnx"}"#).is_err());
        let back = serde_json::to_string(&params).unwrap();
        assert_eq!(serde_json::from_str::<OnnxParams>(&back).unwrap(), params);
    }
}
