/// Bytes taken one by one; zeros when they have run out.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    /// A small number mostly, so that equal ones meet; any bits of a float now and then.
    pub(crate) fn number(&mut self) -> f64 {
        match self.byte() {
            n @ 0..=199 => f64::from(n) * 0.5,
            n @ 200..=239 => EDGES[usize::from(n - 200) % EDGES.len()],
            _ => f64::from_le_bytes([(); 8].map(|()| self.byte())),
        }
    }
}

const EDGES: [f64; 12] = [
    1024.0,
    9216.0,
    1e5,
    1e10,
    1e154,
    1e155,
    f64::MAX,
    f64::MIN_POSITIVE,
    5e-324,
    -0.0,
    32.0,
    0.333_333_333_333_333_3,
];
