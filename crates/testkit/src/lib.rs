#![doc = include_str!("../README.md")]

pub mod conformance;
mod error;
pub mod scenes;
pub mod strategies;

pub use error::{Result, TestkitError};
