use fearless_simd::{Level, dispatch};

use super::project::{N_COORDS, Point};

/// Points of one leaf.
pub(super) const LEAF: usize = 64;

/// The points of a leaf, one coordinate after the other.
pub(super) type Lanes = [[f32; LEAF]; N_COORDS];

/// Coordinates after which a look is taken whether any point is still near enough.
const FIRST: usize = 6;

/// A box around points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) low: Point,
    pub(super) high: Point,
}

impl Bounds {
    /// The squared distance of two boxes, 0 where they meet.
    pub(super) fn gap(&self, other: &Bounds) -> f32 {
        let mut sum = 0.0;
        for c in 0..N_COORDS {
            let gap = (self.low[c] - other.high[c]).max(other.low[c] - self.high[c]).max(0.0);
            sum += gap * gap;
        }
        sum
    }
}

/// Which points of a leaf have a squared distance of at most `limit` to the point: bit `i` for point `i`.
pub(super) fn near_point(level: Level, point: &Point, lanes: &Lanes, limit: f32) -> u64 {
    let points = NearPoint { point, lanes, limit };
    dispatch!(level, _simd => points.bits())
}

/// Which points of a leaf have a squared distance of at most `limit` to the box.
pub(super) fn near_box(level: Level, bounds: &Bounds, lanes: &Lanes, limit: f32) -> u64 {
    let points = NearBox { bounds, lanes, limit };
    dispatch!(level, _simd => points.bits())
}

struct NearPoint<'a> {
    point: &'a Point,
    lanes: &'a Lanes,
    limit: f32,
}

impl NearPoint<'_> {
    #[inline(always)]
    fn bits(self) -> u64 {
        let mut sums = [0.0f32; LEAF];
        for (at, lane) in self.point.iter().zip(self.lanes).take(FIRST) {
            add_squares(&mut sums, *at, lane);
        }
        if none_within(&sums, self.limit) {
            return 0;
        }
        for (at, lane) in self.point.iter().zip(self.lanes).skip(FIRST) {
            add_squares(&mut sums, *at, lane);
        }
        bits_within(&sums, self.limit)
    }
}

struct NearBox<'a> {
    bounds: &'a Bounds,
    lanes: &'a Lanes,
    limit: f32,
}

impl NearBox<'_> {
    #[inline(always)]
    fn bits(self) -> u64 {
        let mut sums = [0.0f32; LEAF];
        for ((low, high), lane) in self.bounds.low.iter().zip(&self.bounds.high).zip(self.lanes) {
            for (sum, value) in sums.iter_mut().zip(lane) {
                let (below, above) = (low - value, value - high);
                let outside = if below > above { below } else { above };
                let outside = if outside > 0.0 { outside } else { 0.0 };
                *sum += outside * outside;
            }
        }
        bits_within(&sums, self.limit)
    }
}

#[inline(always)]
fn add_squares(sums: &mut [f32; LEAF], at: f32, lane: &[f32; LEAF]) {
    for (sum, value) in sums.iter_mut().zip(lane) {
        let apart = value - at;
        *sum += apart * apart;
    }
}

/// Whether all sums exceed the limit; the least of eight lanes at a time, as the compiler turns this into vectors.
#[inline(always)]
fn none_within(sums: &[f32; LEAF], limit: f32) -> bool {
    let mut least = [f32::INFINITY; 8];
    for eight in sums.chunks_exact(8) {
        for (least, sum) in least.iter_mut().zip(eight) {
            *least = if *sum < *least { *sum } else { *least };
        }
    }
    !least.iter().any(|sum| *sum <= limit)
}

#[inline(always)]
fn bits_within(sums: &[f32; LEAF], limit: f32) -> u64 {
    let mut bytes = [0u8; 8];
    for (byte, eight) in bytes.iter_mut().zip(sums.chunks_exact(8)) {
        for (i, sum) in eight.iter().enumerate() {
            *byte |= u8::from(*sum <= limit) << i;
        }
    }
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use proptest::prelude::*;

    use super::*;

    fn lanes(chance: Seed) -> Lanes {
        let mut lanes = [[0.0; LEAF]; N_COORDS];
        for (c, lane) in lanes.iter_mut().enumerate() {
            for (i, value) in lane.iter_mut().enumerate() {
                *value = chance.unit((LEAF * c + i) as u64) as f32;
            }
        }
        lanes
    }

    #[test]
    fn boxes_that_meet_have_no_gap() {
        let of = |low, high| Bounds { low: [low; N_COORDS], high: [high; N_COORDS] };
        assert_eq!(of(0.0, 1.0).gap(&of(1.0, 2.0)), 0.0);
        assert_eq!(of(0.0, 1.0).gap(&of(3.0, 4.0)), 4.0 * N_COORDS as f32);
        assert_eq!(of(3.0, 4.0).gap(&of(0.0, 1.0)), 4.0 * N_COORDS as f32);
    }

    proptest! {
        #[test]
        fn kernels_agree_with_plain_loops_on_every_instruction_set(seed: u64, limit in 0.0f32..4.0) {
            let (chance, other) = (Seed::new(seed), Seed::new(seed).stream("other"));
            let lanes = lanes(chance);
            let point: Point = std::array::from_fn(|c| other.unit(c as u64) as f32);
            let high: Point = std::array::from_fn(|c| point[c] + 0.2);
            let bounds = Bounds { low: point, high };
            for level in [Level::new(), Level::baseline()] {
                let (near, boxed) = (near_point(level, &point, &lanes, limit), near_box(level, &bounds, &lanes, limit));
                for i in 0..LEAF {
                    let (mut sum, mut gap) = (0.0f32, 0.0f32);
                    for (lane, (low, high)) in lanes.iter().zip(point.iter().zip(&high)) {
                        sum += (lane[i] - low).powi(2);
                        gap += (low - lane[i]).max(lane[i] - high).max(0.0).powi(2);
                    }
                    prop_assert_eq!(near >> i & 1 == 1, sum <= limit);
                    prop_assert_eq!(boxed >> i & 1 == 1, gap <= limit);
                }
            }
        }
    }
}
