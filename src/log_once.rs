//! Failures that are logged once, however often they repeat.

use std::collections::BTreeMap;

/// The failures that were logged last, by what failed.
///
/// The key is what failed, such as a type of objects that is watched; the value is the cause,
/// mostly a text.
#[derive(Debug)]
pub(crate) struct LogOnce<K = (), V = String>(BTreeMap<K, V>);

impl<K: Ord, V: PartialEq> LogOnce<K, V> {
    /// Records a failure; returns whether it differs from the last one of this key and has to be
    /// logged.
    pub(crate) fn is_new(&mut self, key: K, why: V) -> bool {
        if self.0.get(&key) == Some(&why) {
            return false;
        }
        self.0.insert(key, why);
        true
    }

    /// Records a success; returns whether there was a failure before.
    pub(crate) fn is_over(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }

    /// Replaces all failures by the current ones; returns those that have to be logged.
    pub(crate) fn replace(
        &mut self,
        now: impl IntoIterator<Item = (K, V)>,
    ) -> impl Iterator<Item = (&K, &V)> {
        let before = std::mem::replace(&mut self.0, now.into_iter().collect());
        self.0.iter().filter(move |(key, why)| before.get(key) != Some(why))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K, V> Default for LogOnce<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_new_until_it_repeats_and_after_a_success() {
        let mut log = LogOnce::default();
        assert!(log.is_new("read", "no answer"));
        assert!(!log.is_new("read", "no answer"));
        assert!(log.is_new("write", "no answer"));
        assert!(log.is_new("read", "denied"));
        assert!(log.is_over(&"read") && !log.is_over(&"read"));
        assert!(log.is_new("read", "denied"));
    }

    #[test]
    fn of_all_failures_those_are_new_that_differ() {
        let mut log = LogOnce::default();
        let all = |it: &[(&'static str, u8)]| it.to_vec();
        assert_eq!(log.replace(all(&[("a", 1), ("b", 1)])).count(), 2);
        let new: Vec<_> = log.replace(all(&[("a", 1), ("b", 2), ("c", 1)])).collect();
        assert_eq!(new, [(&"b", &2), (&"c", &1)]);
        assert_eq!(log.replace(all(&[("c", 1)])).count(), 0);
        assert_eq!(log.replace(all(&[("a", 1), ("c", 1)])).count(), 1);
    }
}
