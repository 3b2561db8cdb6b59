use fearless_simd::{Level, dispatch};

use super::{HammingCode, hamming_distance};

/// Counts differing bits by the instructions of the machine; what is counted does not depend on them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    level: Level,
}

impl Counter {
    pub(super) fn new() -> Self {
        Self { level: Level::new() }
    }

    /// Places of codes within the radius, ascending, with their distances.
    pub(super) fn scan<const W: usize>(
        self,
        query: &HammingCode<W>,
        codes: &[HammingCode<W>],
        radius: u32,
        found: &mut Vec<(u32, u32)>,
    ) {
        dispatch!(self.level, _ => {
            for (place, code) in codes.iter().enumerate() {
                let distance = hamming_distance(query, code);
                if distance <= radius {
                    found.push((place as u32, distance));
                }
            }
        });
    }

    /// As [`scan`](Self::scan), of some places.
    pub(super) fn pick<const W: usize>(
        self,
        query: &HammingCode<W>,
        codes: &[HammingCode<W>],
        places: &[u32],
        radius: u32,
        found: &mut Vec<(u32, u32)>,
    ) {
        dispatch!(self.level, _ => {
            for place in places {
                let distance = hamming_distance(query, &codes[*place as usize]);
                if distance <= radius {
                    found.push((*place, distance));
                }
            }
        });
    }

    /// Distances of the query to all codes of a block.
    pub(super) fn distances<const W: usize>(
        self,
        query: &HammingCode<W>,
        codes: &[HammingCode<W>],
        distances: &mut [u32],
    ) {
        dispatch!(self.level, _ => {
            for (distance, code) in distances.iter_mut().zip(codes) {
                *distance = hamming_distance(query, code);
            }
        });
    }
}
