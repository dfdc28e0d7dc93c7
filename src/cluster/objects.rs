//! The objects of one type, kept up to date by the changes that a watch reports.

use std::collections::BTreeMap;

use crate::watch::Change;

/// The objects of one type, by name.
#[derive(Debug)]
pub(super) struct Objects<T> {
    pub(super) known: BTreeMap<String, T>,
    listing: BTreeMap<String, T>,
    pub(super) is_complete: bool,
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listing: BTreeMap::new(), is_complete: false }
    }
}

impl<T: PartialEq> Objects<T> {
    /// Applies a change; returns whether anything that is read from the objects differs now.
    pub(super) fn take(&mut self, change: Change<T>) -> bool {
        match change {
            Change::Begin => self.listing.clear(),
            Change::Listed(name, object) => {
                self.listing.insert(name, object);
            }
            Change::End => {
                let listed = std::mem::take(&mut self.listing);
                let is_new = !self.is_complete || listed != self.known;
                self.known = listed;
                self.is_complete = true;
                return is_new;
            }
            // Most changes of an object do not affect what is read from it.
            Change::Put(name, object) if self.known.get(&name) == Some(&object) => {}
            Change::Put(name, object) => {
                self.known.insert(name, object);
                return self.is_complete;
            }
            Change::Gone(name) => return self.known.remove(&name).is_some() && self.is_complete,
        }
        false
    }
}

/// Turns an object that is not known into one that does not exist.
pub(super) fn known<T>(change: Change<Option<T>>) -> Change<T> {
    match change {
        Change::Begin => Change::Begin,
        Change::End => Change::End,
        Change::Listed(name, Some(it)) => Change::Listed(name, it),
        // The end of a list removes what was not listed; removing it twice changes nothing.
        Change::Listed(name, None) | Change::Put(name, None) | Change::Gone(name) => {
            Change::Gone(name)
        }
        Change::Put(name, Some(it)) => Change::Put(name, it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_replaces_what_was_known_when_it_ends() {
        let mut objects = Objects::default();
        assert!(!objects.take(Change::Put("early".into(), 0)), "nothing is complete yet");
        objects.take(Change::Begin);
        objects.take(Change::Listed("a".into(), 1));
        assert!(objects.known.contains_key("early"), "until it ends nothing changes");
        assert!(objects.take(Change::End));
        assert_eq!(objects.known, BTreeMap::from([("a".into(), 1)]));
        assert!(objects.take(Change::Put("b".into(), 2)));
        assert!(objects.take(Change::Gone("a".into())));
        assert!(!objects.take(Change::Gone("a".into())), "it was gone already");
        assert_eq!(objects.known, BTreeMap::from([("b".into(), 2)]));
    }
}
