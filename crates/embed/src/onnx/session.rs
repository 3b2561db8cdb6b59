use std::fmt;

use super::OnnxError;

/// An input or output, as the model's file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: String,
    /// `f32`, `u8`, ...; in the backend's words where it is none of the usual.
    pub(super) element: String,
    /// Lengths, none where any is taken or given; none at all where the number of dimensions is left open.
    pub(super) shape: Option<Vec<Option<usize>>>,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |side: &Option<usize>| side.map_or("?".to_owned(), |side| side.to_string());
        match &self.shape {
            Some(shape) => {
                write!(f, "{} [{}]", self.element, shape.iter().map(side).collect::<Vec<_>>().join(", "))
            }
            None => write!(f, "{} of any shape", self.element),
        }
    }
}

/// What is made of an output: its shape and its numbers come in, a vector goes out.
pub(super) type Take<'a> = &'a dyn Fn(&[usize], &[f32]) -> Result<Vec<f32>, OnnxError>;

/// A model in memory that answers one picture at a time.
pub(super) trait Session: Send {
    /// Runs the model on one picture of the shape it was loaded for.
    fn run(&mut self, input: &[f32], take: Take<'_>) -> Result<Vec<f32>, OnnxError>;
}

/// A model that a backend has read, before a picture's shape is settled.
pub(super) trait Opened {
    fn inputs(&self) -> Vec<Port>;

    fn outputs(&self) -> Vec<Port>;

    /// Sessions for one picture of this shape at a time, which give the output of this name.
    fn sessions(
        self: Box<Self>,
        shape: [usize; 4],
        output: &str,
        n_sessions: usize,
    ) -> Result<Vec<Box<dyn Session>>, OnnxError>;
}
