//! Lists of bounded length.

use std::{fmt, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// More entries than these no list or map has that is kept, those of lists
/// inside of it included: a body has room for millions, each of which takes many
/// times its own size.
pub(crate) const MOST_ENTRIES: usize = 4096;

/// A list of at most [`MOST_ENTRIES`] entries. Of a longer one the rest is not
/// read, and it is an error.
#[derive(Debug)]
pub(crate) struct Bounded<T>(Vec<T>);

/// What can be in such a list.
pub(crate) trait Entry {
    /// For how many entries it counts.
    fn entries(&self) -> usize {
        1
    }
}

/// Says that there are too many, if so.
pub(crate) fn within_bounds<E: Error>(entries: usize) -> Result<(), E> {
    if entries > MOST_ENTRIES {
        return Err(E::custom(format_args!("it has more than {MOST_ENTRIES} entries")));
    }
    Ok(())
}

impl<T> Bounded<T> {
    pub(crate) fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> Deref for Bounded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de> + Entry> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Entry> Visitor<'de> for ListVisitor<T> {
            type Value = Bounded<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (mut all, mut entries) = (Vec::new(), 0);
                while let Some(entry) = list.next_element::<T>()? {
                    entries += entry.entries();
                    within_bounds(entries)?;
                    all.push(entry);
                }
                Ok(Bounded(all))
            }
        }

        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}
