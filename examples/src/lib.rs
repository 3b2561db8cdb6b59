//! The examples of labelloop.
