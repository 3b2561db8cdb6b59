use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{CoreError, Result, SampleId};

/// The part of the data that a sample belongs to; exactly one, decided by its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Frozen: final numbers only.
    Test,
    /// Decides between iterations; never trained on.
    Val,
    /// Labelled again every round to notice drift; never trained on.
    Golden,
    /// Where all new labels come from.
    Pool,
}

impl Split {
    /// All splits, in the order of reports.
    pub const ALL: [Split; 4] = [Split::Test, Split::Val, Split::Golden, Split::Pool];

    /// Name in files and tags.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Test => "test",
            Split::Val => "val",
            Split::Golden => "golden",
            Split::Pool => "pool",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Split {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| CoreError::UnknownSplit { found: text.to_owned() })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A split as a type, so that handing the wrong samples to a function does not compile.
pub trait SplitRole: sealed::Sealed {
    /// The split that this type stands for.
    const SPLIT: Split;
}

macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl sealed::Sealed for $name {}
    };
}

role!(
    /// Type of samples that may be selected and trained on.
    Pool
);
role!(
    /// Type of samples that decide between iterations.
    Val
);
role!(
    /// Type of samples that watch the annotators.
    Golden
);
role!(
    /// Type of samples that nothing but the final evaluation may see.
    FrozenTest
);

impl SplitRole for Pool {
    const SPLIT: Split = Split::Pool;
}
impl SplitRole for Val {
    const SPLIT: Split = Split::Val;
}
impl SplitRole for Golden {
    const SPLIT: Split = Split::Golden;
}
impl SplitRole for FrozenTest {
    const SPLIT: Split = Split::Test;
}

/// Distinct samples of one split, in the order of their ids.
///
/// A function that selects or trains takes `Members<Pool>`; members of the frozen test set are another type:
///
/// ```compile_fail,E0308
/// use labelloop_core::{FrozenTest, Members, Pool};
///
/// fn select(from: &Members<Pool>) {}
/// fn leak(test: &Members<FrozenTest>) {
///     select(test);
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members<R> {
    ids: Vec<SampleId>,
    role: PhantomData<R>,
}

impl<R: SplitRole> Members<R> {
    /// Takes the samples of a dataset that belong to this split and leaves the others out.
    pub fn of<'a>(assigned: impl IntoIterator<Item = (&'a SampleId, Split)>) -> Self {
        let mut ids: Vec<SampleId> =
            assigned.into_iter().filter(|(_, split)| *split == R::SPLIT).map(|(id, _)| id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        Self { ids, role: PhantomData }
    }

    /// Takes samples that must all belong to this split.
    ///
    /// # Errors
    /// [`CoreError::WrongSplit`] naming the first that does not.
    pub fn all_of<'a>(assigned: impl IntoIterator<Item = (&'a SampleId, Split)>) -> Result<Self> {
        let assigned: Vec<(&SampleId, Split)> = assigned.into_iter().collect();
        match assigned.iter().find(|(_, split)| *split != R::SPLIT) {
            Some((id, split)) => Err(CoreError::WrongSplit {
                id: id.to_string(),
                found: split.as_str(),
                expected: R::SPLIT.as_str(),
            }),
            None => Ok(Self::of(assigned)),
        }
    }

    /// Samples in the order of their ids.
    pub fn ids(&self) -> &[SampleId] {
        &self.ids
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether the sample is one of them; O(log n).
    pub fn contains(&self, id: &SampleId) -> bool {
        self.ids.binary_search(id).is_ok()
    }

    /// Those members that the test keeps.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&SampleId) -> bool) -> Self {
        Self { ids: self.ids.iter().filter(|id| keep(id)).cloned().collect(), role: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_distinct_and_of_one_split() {
        let [a, b, c] = ["a", "b", "c"].map(|t| SampleId::new(t).unwrap());
        let rows = [(&c, Split::Pool), (&a, Split::Pool), (&b, Split::Val), (&a, Split::Pool)];
        let pool = Members::<Pool>::of(rows);
        assert_eq!(pool.ids(), [a.clone(), c.clone()]);
        assert!(pool.contains(&c) && !pool.contains(&b));
        assert_eq!(
            Members::<Pool>::all_of(rows).unwrap_err().to_string(),
            "sample b belongs to split val: expected pool"
        );
        assert_eq!(pool.filtered(|id| *id != a).ids(), [c]);
    }

    #[test]
    fn names_round_trip() {
        for split in Split::ALL {
            assert_eq!(split.as_str().parse::<Split>().unwrap(), split);
        }
        assert!("train".parse::<Split>().is_err());
    }
}
