use std::path::{Path, PathBuf};

use labelloop_embed::{Backend, DescriptorParams, OnnxParams, PictureEmbedder, Result};
use serde::{Deserialize, Serialize};

/// `[embedding]`: what makes the vectors that batches are chosen by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// An ONNX model, relative to the project folder, or absolute. Absent: the built-in descriptor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// The model's description. Absent: the file beside it with the ending `toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<PathBuf>,
    /// What computes the model: `auto`, `runtime` or `tract`.
    pub backend: Backend,
}

impl EmbeddingConfig {
    /// Loads what is asked for; paths are relative to `root`.
    ///
    /// # Errors
    /// [`EmbedError`](labelloop_embed::EmbedError) when the model cannot be used.
    pub fn load(&self, root: &Path) -> Result<Box<dyn PictureEmbedder>> {
        let Some(model) = &self.model else {
            return Ok(Box::new(DescriptorParams::default().check()?));
        };
        let params = OnnxParams {
            description: self.description.as_ref().map(|path| root.join(path)),
            backend: self.backend,
            ..OnnxParams::of(root.join(model))
        };
        Ok(Box::new(params.load()?))
    }
}

#[cfg(test)]
mod tests {
    use labelloop_embed::{Descriptor, EmbedError, Embedder};

    use super::*;
    use crate::LoopConfig;

    fn parsed(section: &str) -> std::result::Result<EmbeddingConfig, toml::de::Error> {
        let text = format!("[project]\nname = \"a\"\nmedia = \"pictures\"\n{section}");
        toml::from_str::<LoopConfig>(&text).map(|config| config.embedding)
    }

    #[test]
    fn without_a_model_the_built_in_descriptor_makes_the_vectors() {
        for section in ["", "[embedding]\n"] {
            let config = parsed(section).unwrap();
            assert_eq!(config, EmbeddingConfig::default());
            let embedder = config.load(Path::new("nowhere")).unwrap();
            assert_eq!(embedder.digest_bytes(), Descriptor::default().digest_bytes());
        }
    }

    #[test]
    fn a_model_is_looked_for_in_the_project_and_named_where_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = parsed("[embedding]\nmodel = \"models/clip.onnx\"\nbackend = \"runtime\"\n").unwrap();
        let Err(refused) = config.load(folder.path()) else { panic!("a model out of nothing") };
        assert!(matches!(refused, EmbedError::Onnx(_)), "{refused:?}");
        assert!(refused.to_string().contains("models/clip."), "{refused}");
    }

    #[test]
    fn unknown_keys_and_backends_are_refused() {
        for section in ["[embedding]\nmodle = \"a.onnx\"\n", "[embedding]\nbackend = \"cuda\"\n"] {
            assert!(parsed(section).is_err(), "{section}");
        }
    }
}
