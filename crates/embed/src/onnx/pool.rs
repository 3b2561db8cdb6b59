use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A fixed number of things that one thread at a time may use; who finds none free waits.
#[derive(Debug)]
pub(super) struct Pool<T> {
    free: Mutex<Vec<T>>,
    returned: Condvar,
}

impl<T> Pool<T> {
    pub(super) fn new(all: Vec<T>) -> Self {
        Self { free: Mutex::new(all), returned: Condvar::new() }
    }

    /// Lends one to the function. It comes back also when the function panics.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut free = self.free();
        let taken = loop {
            match free.pop() {
                Some(taken) => break taken,
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let mut lent = Lent { pool: self, item: Some(taken) };
        work(lent.item.as_mut().expect("taken a line above, given back on drop"))
    }

    /// A list of things is never left half changed, so a panic elsewhere is no reason to stop.
    fn free(&self) -> MutexGuard<'_, Vec<T>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lent<'a, T> {
    pool: &'a Pool<T>,
    item: Option<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            self.pool.free().push(item);
            self.pool.returned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_at_a_time_than_there_are_and_all_are_served() {
        let (pool, now, most) = (Pool::new(vec![0; 3]), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.with(|count| {
                            most.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                            *count += 1;
                            std::thread::yield_now();
                            now.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert_eq!(pool.free().iter().sum::<i32>(), 400);
    }

    #[test]
    fn a_panic_gives_the_thing_back() {
        let pool = Pool::new(vec![1]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.with(|_| std::panic::resume_unwind(Box::new("a fault in the work")));
        }));
        assert!(panicked.is_err());
        assert_eq!(pool.with(|one| *one), 1);
    }
}
