//! Which of its states a table is in, told without looking into the file.
//!
//! All that changes a table goes through the one writer. It turns the page
//! before a transaction can be seen and again after, so whoever finds the same
//! even number twice knows that between the two nothing has become visible. In
//! between no number is told: one reader may see the new state there and the
//! next, slower one, the old.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// How often a table has changed, twice over; odd while it's changing.
#[derive(Debug, Default)]
pub(super) struct Edition(AtomicU64);

impl Edition {
    /// The edition, unless the table is changing.
    pub fn now(&self) -> Option<u64> {
        Some(self.0.load(SeqCst)).filter(|number| number % 2 == 0)
    }
}

/// Some tables are changing, until this is dropped.
pub(super) struct Turning<'t>(Vec<&'t Edition>);

impl<'t> Turning<'t> {
    /// These tables are changing, some of them named several times.
    pub fn begin(tables: impl Iterator<Item = &'t Edition>) -> Self {
        let mut turning: Vec<&Edition> = tables.collect();
        turning.sort_unstable_by_key(|edition| std::ptr::from_ref(*edition));
        turning.dedup_by_key(|edition| std::ptr::from_ref(*edition));
        for edition in &turning {
            edition.0.fetch_add(1, SeqCst);
        }
        Self(turning)
    }
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        for edition in &self.0 {
            edition.0.fetch_add(1, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_changing_has_no_edition_and_then_another_one() {
        let (changed, same) = (Edition::default(), Edition::default());
        let before = changed.now();
        let turning = Turning::begin([&changed, &changed].into_iter());
        assert_eq!(changed.now(), None);
        assert_eq!(same.now(), Some(0));
        drop(turning);
        assert!(changed.now() > before);
        assert_eq!(same.now(), Some(0));
    }
}
