//! Numbers for values that thousands of nodes have in common.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, sync::Arc};

/// The number of a value that is not interned.
pub(super) const UNKNOWN_ID: u32 = u32::MAX;

/// Pairs of numbers, sorted by the first, which is unique.
pub(super) type Row = Arc<[(u32, u32)]>;

/// Distinct values, each with a number. A text is kept once however many nodes have it, and two are
/// compared as numbers.
#[derive(Clone, Debug)]
pub(super) struct Interner<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

/// The second of the pair that begins with `first`.
pub(super) fn lookup(row: &[(u32, u32)], first: u32) -> Option<u32> {
    let at = row.binary_search_by_key(&first, |it| it.0).ok()?;
    Some(row[at].1)
}

pub(super) fn row(pairs: impl Iterator<Item = (u32, u32)>) -> Row {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    pairs.into()
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    /// The value of a number that this interner returned, as all numbers in a row are.
    pub(super) fn value(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    /// The number of a value; [`UNKNOWN_ID`] if it is not interned.
    pub(super) fn find<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> u32
    where
        T: Borrow<Q>,
    {
        self.numbers.get(value).copied().unwrap_or(UNKNOWN_ID)
    }

    /// The number of a value, which is interned if it is new. Only then is an interner copied that
    /// is shared with another snapshot.
    pub(super) fn number<Q: Eq + Hash + ?Sized>(
        interner: &mut Arc<Self>,
        value: &Q,
        own: impl FnOnce(&Q) -> T,
    ) -> u32
    where
        T: Borrow<Q>,
    {
        let known = interner.find(value);
        if known == UNKNOWN_ID { Arc::make_mut(interner).push(own(value)) } else { known }
    }

    /// The values that are used, and the new number of each old one. Their order is kept, so that
    /// rows stay sorted.
    pub(super) fn keeping(&self, used: &[bool]) -> (Self, Vec<u32>) {
        let mut kept = Self::default();
        let mut moved = vec![UNKNOWN_ID; self.values.len()];
        for ((value, new), _) in self.values.iter().zip(&mut moved).zip(used).filter(|it| *it.1) {
            *new = kept.push(value.clone());
        }
        (kept, moved)
    }

    fn push(&mut self, value: T) -> u32 {
        let number = u32::try_from(self.values.len()).expect("memory ends before the numbers do");
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }
}
