//! Tests of the public interface, in one program: linking the table engine once is slow enough.

mod common;
mod disk;
mod import;
mod kill;
mod scale;
mod split;
