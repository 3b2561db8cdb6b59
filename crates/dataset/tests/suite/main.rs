//! Tests of the public interface, in one program: linking the table engine once is slow enough.

#[cfg(test)]
mod checkup;
#[cfg(test)]
mod common;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod import;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod near;
#[cfg(test)]
mod real_disks;
#[cfg(test)]
mod split;
