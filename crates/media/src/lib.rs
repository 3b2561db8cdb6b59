#![doc = include_str!("../README.md")]

mod error;
mod rgb;

pub use error::{MediaError, Result};
pub use rgb::{RgbImage, decode, load};
