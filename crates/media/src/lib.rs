#![doc = include_str!("../README.md")]

mod bev;
mod contrast;
mod crop;
mod decode;
mod disk;
mod encode;
mod error;
mod jpeg;
mod points;
mod resize;
mod rgb;

pub use bev::{MAX_BEV_PIXELS, bev_image};
pub use contrast::contrast;
pub use crop::crop;
pub use decode::{DecodeLimits, decode, decode_named, decode_within, load, load_within, probe_size};
pub use disk::write_atomically;
pub use encode::{encode_jpeg, encode_png, save_jpeg, save_png};
pub use error::{MediaError, Result};
pub use points::{
    PointCloud, decode_kitti_bin, encode_kitti_bin, points_in_cuboid, read_kitti_bin, write_kitti_bin,
};
pub use resize::resize;
pub use rgb::RgbImage;
