use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Rows by a value that can only fall: the row with the highest value comes first, the lowest row among equals.
///
/// A stored value may be out of date, but it is never too low, so only what comes up needs to be valued again (the lazy
/// evaluation of Minoux 1978). The order is exactly that of valuing every row every time.
pub(crate) struct FallingQueue {
    heap: BinaryHeap<Entry>,
}

struct Entry {
    value: f64,
    row: usize,
}

impl FallingQueue {
    pub(crate) fn new(entries: impl IntoIterator<Item = (usize, f64)>) -> Self {
        Self { heap: entries.into_iter().map(|(row, value)| Entry { value, row }).collect() }
    }

    /// Takes the best row out. `value` gives a row's value as of now, or nothing where it can never be taken any more.
    pub(crate) fn pop(&mut self, mut value: impl FnMut(usize) -> Option<f64>) -> Option<(usize, f64)> {
        while let Some(top) = self.heap.pop() {
            let Some(now) = value(top.row) else { continue };
            let entry = Entry { value: now, row: top.row };
            match self.heap.peek() {
                Some(next) if *next > entry => self.heap.push(entry),
                _ => return Some((entry.row, now)),
            }
        }
        None
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        // Adding 0 makes the two zeros equal.
        (self.value + 0.0).total_cmp(&(other.value + 0.0)).then(other.row.cmp(&self.row))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_values_come_in_row_order() {
        let mut queue = FallingQueue::new([(2, 1.0), (0, 1.0), (1, 1.0)]);
        let order: Vec<usize> = std::iter::from_fn(|| queue.pop(|_| Some(1.0))).map(|(row, _)| row).collect();
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn rows_that_cannot_be_taken_are_dropped() {
        let mut queue = FallingQueue::new([(0, 3.0), (1, 2.0)]);
        assert_eq!(queue.pop(|row| (row == 1).then_some(2.0)), Some((1, 2.0)));
        assert_eq!(queue.pop(|_| Some(9.0)), None);
    }

    proptest! {
        #[test]
        fn lazy_is_the_same_as_valuing_everything(
            start in prop::collection::vec((0u8..6, 0usize..3), 1..30),
        ) {
            // Each pick costs the rest of its group one point.
            let value = |row: usize, taken: &[usize]| {
                f64::from(start[row].0) - taken.iter().filter(|t| start[**t].1 == start[row].1).count() as f64
            };
            let mut queue = FallingQueue::new((0..start.len()).map(|row| (row, value(row, &[]))));
            let mut lazy = Vec::new();
            while let Some((row, _)) = queue.pop(|row| Some(value(row, &lazy))) {
                lazy.push(row);
            }
            let mut eager: Vec<usize> = Vec::new();
            while eager.len() < start.len() {
                let open = (0..start.len()).filter(|row| !eager.contains(row));
                let best = open.reduce(|a, b| if value(b, &eager) > value(a, &eager) { b } else { a });
                eager.extend(best);
            }
            prop_assert_eq!(lazy, eager);
        }
    }
}
