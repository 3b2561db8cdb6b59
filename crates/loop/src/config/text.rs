//! The configuration as the text of `labelloop.toml`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::LoopConfig;
use crate::{LoopError, Result};

/// Sections of parameters that carry a seed of their own. The loop gives them streams of `project.seed`, so in the file
/// a seed there would be a number without effect: it is neither written nor taken.
const SEEDED_SECTIONS: [&str; 4] =
    ["selection.policy", "selection.policy.zcore", "qa.golden", "training.detector"];

impl LoopConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`LoopError::Io`], [`LoopError::ConfigSyntax`] with the line, or what [`LoopConfig::check`] refuses.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(LoopError::io(path))?;
        let config = Self::parse(&text).map_err(|(line, reason)| LoopError::ConfigSyntax {
            path: path.to_owned(),
            line,
            reason,
        })?;
        config.check()?;
        Ok(config)
    }

    fn parse(text: &str) -> std::result::Result<Self, (usize, String)> {
        let at = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
        let told = |e: toml::de::Error| (at(e.span().map_or(0, |s| s.start)), e.message().replace('\n', " "));
        let config = toml::from_str(text).map_err(told)?;
        let seeds: Seeds = toml::from_str(text).map_err(told)?;
        match seeds.first() {
            Some((section, offset)) => {
                let reason = format!("{section}.seed is no key: all chance comes from project.seed");
                Err((at(offset), reason))
            }
            None => Ok(config),
        }
    }

    /// The file's text. Seeds of sections are left out, since the loop uses none of them.
    ///
    /// # Errors
    /// [`LoopError::Record`] when a value has no TOML form.
    pub fn to_toml(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(|e| LoopError::Record {
            path: PathBuf::from("labelloop.toml"),
            reason: e.to_string(),
        })?;
        let mut section = "";
        let mut kept = String::with_capacity(text.len());
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = name;
            }
            if !(line.starts_with("seed = ") && SEEDED_SECTIONS.contains(&section)) {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        Ok(kept)
    }
}

/// Where a file gives seeds that are no keys.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Seeds {
    selection: PolicySection,
    qa: GoldenSection,
    training: DetectorSection,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PolicySection {
    policy: Policy,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Policy {
    seed: Option<Spanned<IgnoredAny>>,
    zcore: Seeded,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GoldenSection {
    golden: Seeded,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DetectorSection {
    detector: Seeded,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Seeded {
    seed: Option<Spanned<IgnoredAny>>,
}

impl Seeds {
    /// The section of the first one, and where it is.
    fn first(&self) -> Option<(&'static str, usize)> {
        let found = [
            &self.selection.policy.seed,
            &self.selection.policy.zcore.seed,
            &self.qa.golden.seed,
            &self.training.detector.seed,
        ];
        let places = SEEDED_SECTIONS.into_iter().zip(found);
        places
            .filter_map(|(section, seed)| Some((section, seed.as_ref()?.span().start)))
            .min_by_key(|(_, offset)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotate::AnnotatorParams;

    #[test]
    fn the_reference_keys_are_read_under_their_names() {
        let text = "
[project]
name = 'plans'
media = '.'
[active_learning]
max_samples_per_iteration = 15
require_human_review = true
target_f1 = 0.97
plateau_threshold = 0.002
plateau_iterations = 5
max_iterations = 8
[training]
base_lr = 0.002
epochs_base = 120
epochs_increment = 80
imgsz = 2048
batch = 1
";
        let c = LoopConfig::parse(text).unwrap();
        assert_eq!(c.active_learning.stopping().plateau_iterations, 5);
        assert_eq!((c.training.epochs(0), c.training.epochs(1)), (120, 80));
        c.check().unwrap();
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let (line, reason) =
            LoopConfig::parse("[project]\nname='a'\nmedia='m'\n[active_learning]\ntarget_f2 = 1\n")
                .unwrap_err();
        assert_eq!(line, 5);
        assert!(reason.contains("target_f2") && reason.contains("target_f1"), "{reason}");
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_line() {
        let (line, _) =
            LoopConfig::parse("[project]\nname='a'\nmedia='m'\n[training]\nbatch = 'two'\n").unwrap_err();
        assert_eq!(line, 5);
    }

    #[test]
    fn it_survives_its_own_text() {
        let c = LoopConfig { annotator: Some(AnnotatorParams::default()), ..LoopConfig::new("p", "media") };
        assert_eq!(LoopConfig::parse(&c.to_toml().unwrap()).unwrap(), c);
    }

    #[test]
    fn the_file_shows_one_seed() {
        let mut c = LoopConfig::new("p", "media");
        c.project.seed = 9;
        c.selection.policy.coverage_floor_override = Some("seed = 3".to_owned());
        let text = c.to_toml().unwrap();
        assert_eq!(text.lines().filter(|l| l.starts_with("seed")).collect::<Vec<_>>(), ["seed = 9"]);
        assert_eq!(LoopConfig::parse(&text).unwrap(), c);
        for section in SEEDED_SECTIONS {
            assert!(text.contains(&format!("[{section}]\n")), "{section} is written as a table: {text}");
        }
    }

    #[test]
    fn a_seed_without_effect_is_refused_with_its_line() {
        for section in SEEDED_SECTIONS {
            let text = format!("[project]\nname = 'p'\nmedia = 'm'\n\n[{section}]\nseed = 42\n");
            let (line, reason) = LoopConfig::parse(&text).unwrap_err();
            assert_eq!(line, 6, "{text}");
            assert_eq!(reason, format!("{section}.seed is no key: all chance comes from project.seed"));
        }
        let inline = "[project]\nname = 'p'\nmedia = 'm'\n[qa]\ngolden = { seed = 1 }\n";
        assert_eq!(LoopConfig::parse(inline).unwrap_err().0, 5);
    }
}
