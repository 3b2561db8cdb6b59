use labelloop_core::{SampleId, Split};
use serde::{Deserialize, Serialize};

use crate::error::nearest_name;
use crate::{Dataset, DatasetError, Result, Sample, Status, Tag};

/// A named selection of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum View {
    /// A list that never changes: a batch, a test set.
    Frozen {
        /// The samples, in order and each once when saved.
        ids: Vec<SampleId>,
    },
    /// A question that is asked anew every time.
    Query(Query),
}

/// Which of the two a view is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewKind {
    /// A list that never changes.
    Frozen,
    /// A question that is asked anew every time.
    Query,
}

/// A question about samples.
///
/// ```
/// use labelloop_core::Split;
/// use labelloop_dataset::{Query, Status};
///
/// let open = Query::split(Split::Pool).and(Query::status(Status::Unlabeled)).and(!Query::batch(0));
/// let text = serde_json::to_string(&open)?;
/// assert_eq!(serde_json::from_str::<Query>(&text)?, open);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Query {
    /// Samples of a split.
    Split {
        /// The split.
        split: Split,
    },
    /// Samples with a status.
    Status {
        /// The status.
        status: Status,
    },
    /// Samples with a tag, stored or derived.
    Tag {
        /// The tag.
        tag: Tag,
    },
    /// Samples of a batch.
    Batch {
        /// Its number.
        number: u32,
    },
    /// Samples with at least one box or cuboid of a class. Never true of test samples, so that a view cannot be used
    /// to read their labels.
    Class {
        /// The label field.
        field: String,
        /// Name of the class.
        class: String,
    },
    /// Samples for which all of the questions hold; all samples where there is none.
    All {
        /// The questions.
        of: Vec<Query>,
    },
    /// Samples for which the question does not hold.
    Not {
        /// The question.
        of: Box<Query>,
    },
}

impl Query {
    /// Samples of a split.
    pub fn split(split: Split) -> Self {
        Self::Split { split }
    }

    /// Samples with a status.
    pub fn status(status: Status) -> Self {
        Self::Status { status }
    }

    /// Samples with a tag.
    pub fn tag(tag: Tag) -> Self {
        Self::Tag { tag }
    }

    /// Samples of a batch.
    pub fn batch(number: u32) -> Self {
        Self::Batch { number }
    }

    /// Samples with an object of a class.
    pub fn class(field: impl Into<String>, class: impl Into<String>) -> Self {
        Self::Class { field: field.into(), class: class.into() }
    }

    /// Samples for which both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All { mut of } => {
                of.push(other);
                Self::All { of }
            }
            first => Self::All { of: vec![first, other] },
        }
    }
}

impl std::ops::Not for Query {
    type Output = Query;

    fn not(self) -> Query {
        Query::Not { of: Box::new(self) }
    }
}

impl Dataset {
    /// Saves a view under a name. The same content again changes nothing.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// # let car = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 4.0, 20.0, 10.0).unwrap());
    /// dataset.save_view("open", View::Query(Query::status(Status::Unlabeled)))?;
    /// dataset.save_view("open", View::Query(Query::status(Status::Unlabeled)))?;
    /// let other = View::Query(Query::batch(0));
    /// assert!(matches!(dataset.save_view("open", other), Err(DatasetError::ViewExists { .. })));
    /// assert_eq!(dataset.view("open")?.len(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::ViewExists`] for other content under a taken name, [`DatasetError::UnknownSample`] in a frozen
    /// list, [`DatasetError::UnknownField`] or [`DatasetError::Core`] for a class question that cannot be answered,
    /// [`DatasetError::InvalidFieldName`] for an empty name.
    pub fn save_view(&mut self, name: &str, view: View) -> Result<()> {
        crate::fields::check_field_name(name)?;
        let view = match view {
            View::Frozen { mut ids } => {
                ids.sort_unstable();
                ids.dedup();
                self.check_known(&ids)?;
                View::Frozen { ids }
            }
            View::Query(query) => {
                self.check_query(&query)?;
                View::Query(query)
            }
        };
        match self.views.get(name) {
            Some(old) if *old == view => Ok(()),
            Some(_) => Err(DatasetError::ViewExists { name: name.to_owned() }),
            None => {
                self.views.insert(name.to_owned(), view);
                Ok(())
            }
        }
    }

    /// Samples of a view, in the order of their ids.
    ///
    /// # Errors
    /// [`DatasetError::ViewNotFound`] with the nearest name.
    pub fn view(&self, name: &str) -> Result<Vec<SampleId>> {
        match self.stored_view(name)? {
            View::Frozen { ids } => Ok(ids.clone()),
            View::Query(query) => self.select(query),
        }
    }

    /// Whether a view is a list or a question.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// dataset.save_view("golden_qa", View::Query(Query::split(Split::Golden)))?;
    /// assert_eq!(dataset.view_kind("golden_qa")?, ViewKind::Query);
    /// let slip = dataset.view_kind("golden-qa").unwrap_err();
    /// assert!(slip.to_string().ends_with("did you mean \"golden_qa\"?"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::ViewNotFound`] with the nearest name.
    pub fn view_kind(&self, name: &str) -> Result<ViewKind> {
        Ok(match self.stored_view(name)? {
            View::Frozen { .. } => ViewKind::Frozen,
            View::Query(_) => ViewKind::Query,
        })
    }

    /// Names of all saved views, in order.
    pub fn view_names(&self) -> Vec<&str> {
        self.views.keys().map(String::as_str).collect()
    }

    /// Samples for which a question holds, in the order of their ids; O(samples). A question about classes reads which
    /// classes the samples of a field have, and no objects.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// # let car = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 4.0, 20.0, 10.0).unwrap());
    /// let question = Query::split(Split::Pool).and(!Query::batch(0));
    /// assert_eq!(dataset.select(&question)?.len(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownField`] or [`DatasetError::Core`] for a class question that cannot be answered.
    pub fn select(&self, query: &Query) -> Result<Vec<SampleId>> {
        self.check_query(query)?;
        let question = self.prepared(query)?;
        let chosen = self.samples.values().enumerate().filter(|(row, sample)| question.holds(*row, sample));
        Ok(chosen.map(|(_, sample)| sample.id.clone()).collect())
    }

    fn stored_view(&self, name: &str) -> Result<&View> {
        self.views.get(name).ok_or_else(|| {
            let available: Vec<String> = self.views.keys().cloned().collect();
            let nearest = nearest_name(name, &available);
            DatasetError::ViewNotFound { found: name.to_owned(), available, nearest }
        })
    }

    fn check_query(&self, query: &Query) -> Result<()> {
        match query {
            Query::Class { field, class } => {
                self.check_field(field)?;
                self.schema.index(class)?;
                Ok(())
            }
            Query::All { of } => of.iter().try_for_each(|q| self.check_query(q)),
            Query::Not { of } => self.check_query(of),
            _ => Ok(()),
        }
    }

    /// Answers what is about classes for all samples at once.
    fn prepared<'a>(&self, query: &'a Query) -> Result<Question<'a>> {
        Ok(match query {
            Query::Split { split } => Question::Split(*split),
            Query::Status { status } => Question::Status(*status),
            Query::Tag { tag } => Question::Tag(tag),
            Query::Batch { number } => Question::Batch(*number),
            Query::Class { field, class } => Question::Class(self.class_mask(field, class)?),
            Query::All { of } => Question::All(of.iter().map(|q| self.prepared(q)).collect::<Result<_>>()?),
            Query::Not { of } => Question::Not(Box::new(self.prepared(of)?)),
        })
    }

    fn class_mask(&self, field: &str, class: &str) -> Result<Vec<bool>> {
        let class = self.schema.index(class)?;
        let boxes = self.boxes.get(field).map(|l| l.class_mask(class, self.samples.keys()));
        let cuboids = self.cuboids.get(field).map(|l| l.class_mask(class, self.samples.keys()));
        Ok(match (boxes.transpose()?, cuboids.transpose()?) {
            (Some(a), Some(b)) => a.iter().zip(b).map(|(a, b)| a | b).collect(),
            (a, b) => a.or(b).unwrap_or_else(|| vec![false; self.samples.len()]),
        })
    }
}

/// A query that can be put to one sample after the other.
enum Question<'a> {
    Split(Split),
    Status(Status),
    Tag(&'a Tag),
    Batch(u32),
    /// Of all samples in order, which have an object of the class.
    Class(Vec<bool>),
    All(Vec<Question<'a>>),
    Not(Box<Question<'a>>),
}

impl Question<'_> {
    /// `row`: place of the sample among all.
    fn holds(&self, row: usize, sample: &Sample) -> bool {
        match self {
            Self::Split(split) => sample.split == Some(*split),
            Self::Status(status) => sample.status == *status,
            Self::Tag(tag) => sample.has_tag(tag),
            Self::Batch(number) => sample.batch == Some(*number),
            Self::Class(mask) => mask[row] && sample.split != Some(Split::Test),
            Self::All(of) => of.iter().all(|question| question.holds(row, sample)),
            Self::Not(of) => !of.holds(row, sample),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{a_box, ids, pool_of, split_scene};
    use crate::{GROUND_TRUTH, HUMAN_LABELS};

    use super::*;

    #[test]
    fn a_frozen_view_stays_and_a_query_follows() {
        let mut d = pool_of(3);
        d.save_view("now", View::Frozen { ids: ids(&["s2", "s0", "s2"]) }).unwrap();
        d.save_view("open", View::Query(Query::status(Status::Unlabeled))).unwrap();
        d.begin_batch(0, &ids(&["s0"])).unwrap();
        assert_eq!(d.view("now").unwrap(), ids(&["s0", "s2"]));
        assert_eq!(d.view("open").unwrap(), ids(&["s1", "s2"]));
        assert_eq!(
            (d.view_kind("now").unwrap(), d.view_kind("open").unwrap()),
            (ViewKind::Frozen, ViewKind::Query)
        );
        assert_eq!(d.view_names(), ["batch/0", "now", "open"]);
    }

    #[test]
    fn a_taken_name_takes_the_same_content_only() {
        let mut d = pool_of(3);
        d.save_view("v", View::Frozen { ids: ids(&["s0", "s1"]) }).unwrap();
        d.save_view("v", View::Frozen { ids: ids(&["s1", "s0"]) }).unwrap();
        for other in [View::Frozen { ids: vec![] }, View::Query(Query::batch(0))] {
            assert!(matches!(d.save_view("v", other), Err(DatasetError::ViewExists { .. })));
        }
    }

    #[test]
    fn a_missing_view_names_the_nearest() {
        let mut d = pool_of(1);
        d.save_view("golden_qa", View::Query(Query::split(Split::Golden))).unwrap();
        let e = d.view("golden-qa").unwrap_err();
        assert!(e.to_string().ends_with("did you mean \"golden_qa\"?"), "{e}");
        assert!(d.view_kind("zzz").is_err());
    }

    #[test]
    fn questions_that_cannot_be_answered_are_refused() {
        let mut d = pool_of(1);
        let unknown_class = View::Query(!Query::class(GROUND_TRUTH, "zebra"));
        assert!(matches!(d.save_view("v", unknown_class), Err(DatasetError::Core(_))));
        assert!(d.select(&Query::batch(0).and(Query::class("nope", "car"))).is_err());
        assert!(d.save_view("v", View::Frozen { ids: ids(&["nope"]) }).is_err());
        assert!(d.save_view("", View::Query(Query::batch(0))).is_err());
    }

    #[test]
    fn class_questions_look_at_labels() {
        let mut d = pool_of(3);
        d.set_boxes(HUMAN_LABELS, &ids(&["s1"])[0], vec![a_box(1)]).unwrap();
        let class = d.schema().names()[1].clone();
        assert_eq!(d.select(&Query::class(HUMAN_LABELS, &class)).unwrap(), ids(&["s1"]));
        assert_eq!(d.select(&!Query::class(HUMAN_LABELS, &class)).unwrap(), ids(&["s0", "s2"]));
        let both = Query::split(Split::Pool).and(Query::tag(Tag::new("status:unlabeled").unwrap()));
        assert_eq!(d.select(&both).unwrap().len(), 3);
    }

    #[test]
    fn class_questions_say_nothing_about_the_test_set() {
        let d = split_scene(8);
        let class = d.schema().names()[0].clone();
        let found = d.select(&Query::class(GROUND_TRUTH, &class).and(Query::split(Split::Test))).unwrap();
        assert!(found.is_empty());
        assert!(!d.select(&Query::class(GROUND_TRUTH, &class)).unwrap().is_empty());
    }
}
