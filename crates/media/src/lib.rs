#![doc = include_str!("../README.md")]

mod bev;
mod cloud;
mod contrast;
mod crop;
mod decode;
mod disk;
mod encode;
mod error;
mod inside;
mod jpeg;
mod kitti_bin;
mod las;
mod pcd;
mod point_error;
mod read_points;
mod resize;
mod rgb;

pub use bev::{MAX_BEV_PIXELS, bev_image};
pub use cloud::PointCloud;
pub use contrast::contrast;
pub use crop::crop;
pub use decode::{DecodeLimits, decode, decode_named, decode_within, load, load_within, probe_size};
pub use disk::write_atomically;
pub use encode::{encode_jpeg, encode_png, save_jpeg, save_png};
pub use error::{MediaError, Result};
pub use inside::{count_points, points_in_cuboid};
pub use kitti_bin::{decode_kitti_bin, encode_kitti_bin, read_kitti_bin, write_kitti_bin};
pub use las::read_las;
pub use pcd::{PcdEncoding, decode_pcd, encode_pcd, read_pcd, write_pcd};
pub use point_error::{LasProblem, PcdProblem, PointPlace};
pub use read_points::{PointFormat, PointLimits, decode_points, read_points, read_points_within};
pub use resize::resize;
pub use rgb::RgbImage;
