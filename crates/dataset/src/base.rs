use std::sync::atomic::{AtomicU64, Ordering};

/// The generation that a snapshot stands on. It is where the snapshot came from and no part of its content, so it
/// compares equal to any other and a commit may move it forward behind a shared reference.
#[derive(Debug)]
pub(crate) struct Base(AtomicU64);

const UNREAD: u64 = u64::MAX;

impl Base {
    pub(crate) fn unread() -> Self {
        Self(AtomicU64::new(UNREAD))
    }

    pub(crate) fn at(number: u64) -> Self {
        Self(AtomicU64::new(number))
    }

    pub(crate) fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|n| *n != UNREAD)
    }

    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Ordering::SeqCst);
    }
}

impl Clone for Base {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::SeqCst)))
    }
}

impl PartialEq for Base {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_stands_on_its_own() {
        let a = Base::at(3);
        let b = a.clone();
        a.set(4);
        assert_eq!((a.get(), b.get(), Base::unread().get()), (Some(4), Some(3), None));
    }
}
