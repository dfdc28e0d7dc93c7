//! Splits the values of an argument into classes that meet the same conditions.

use std::collections::BTreeSet;

use super::condition::Condition;

/// The most classes of one argument.
const MOST: usize = 128;

/// The most steps in the search for a value of a class.
const MOST_STEPS: usize = 4096;

/// Values of one argument that meet the same conditions: those of a range that also agree about
/// some bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    pub(super) bits: Vec<Bits>,
    pub(super) first: u64,
    pub(super) last: u64,
    /// One of the values.
    pub(super) example: u64,
}

/// Whether the bits of a mask have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bits {
    pub(super) mask: u64,
    pub(super) value: u64,
    pub(super) equal: bool,
}

impl Bits {
    fn hold(self, value: u64) -> bool {
        (value & self.mask == self.value) == self.equal
    }
}

#[cfg(test)]
impl Class {
    pub(super) fn contains(&self, value: u64) -> bool {
        (self.first..=self.last).contains(&value) && self.bits.iter().all(|it| it.hold(value))
    }
}

/// There are more classes, or they are harder to find, than is worth it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// The classes of an argument with values up to `largest`.
pub(super) fn classes(conditions: &[Condition], largest: u64) -> Result<Vec<Class>, TooMany> {
    let (mut starts, mut masks) = (BTreeSet::from([0]), BTreeSet::new());
    for condition in conditions {
        match condition.bounds(largest) {
            Some(bounds) => starts.extend(bounds.into_iter().filter(|it| *it <= largest)),
            None => {
                masks.insert(condition.masked());
            }
        }
    }
    let masks: Vec<_> = masks.into_iter().collect();
    let starts: Vec<_> = starts.into_iter().collect();
    let mut classes = Vec::new();
    for (at, first) in starts.iter().enumerate() {
        let last = starts.get(at + 1).map_or(largest, |next| next - 1);
        let mut search = Search { first: *first, last, steps: 0 };
        search.split(&masks, &mut Vec::new(), &mut classes)?;
    }
    Ok(classes)
}

/// The search for classes in a range.
struct Search {
    first: u64,
    last: u64,
    steps: usize,
}

impl Search {
    /// Adds every class of the range that has a value.
    fn split(
        &mut self,
        masks: &[(u64, u64)],
        bits: &mut Vec<Bits>,
        found: &mut Vec<Class>,
    ) -> Result<(), TooMany> {
        let Some(example) = self.example(bits)? else {
            return Ok(());
        };
        let Some(((mask, value), rest)) = masks.split_first() else {
            let (first, last) = (self.first, self.last);
            found.push(Class { bits: bits.clone(), first, last, example });
            return if found.len() <= MOST { Ok(()) } else { Err(TooMany) };
        };
        for equal in [true, false] {
            bits.push(Bits { mask: *mask, value: *value, equal });
            self.split(rest, bits, found)?;
            bits.pop();
        }
        Ok(())
    }

    /// A value of the range with these bits, if there is one.
    fn example(&mut self, bits: &[Bits]) -> Result<Option<u64>, TooMany> {
        let (mut mask, mut value) = (0, 0);
        for it in bits.iter().filter(|it| it.equal) {
            if (value ^ it.value) & mask & it.mask != 0 {
                return Ok(None);
            }
            mask |= it.mask;
            value |= it.value;
        }
        self.with(mask, value, bits)
    }

    /// As [`example`](Self::example), if the bits of `mask` have this value.
    fn with(&mut self, mask: u64, value: u64, bits: &[Bits]) -> Result<Option<u64>, TooMany> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(TooMany);
        }
        let Some(found) = next(self.first, mask, value).filter(|it| *it <= self.last) else {
            return Ok(None);
        };
        let Some(broken) = bits.iter().find(|it| !it.hold(found)) else {
            return Ok(Some(found));
        };
        // One of the bits that must not all be equal has to differ.
        for bit in (0..64).map(|it| 1 << it).filter(|bit| broken.mask & !mask & bit != 0) {
            let other = value | (!broken.value & bit);
            if let Some(found) = self.with(mask | bit, other, bits)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The least value from `first` on whose bits of `mask` are `value`.
fn next(first: u64, mask: u64, value: u64) -> Option<u64> {
    if first & mask == value {
        return Some(first);
    }
    // The least larger value has a one where `first` has a zero, and the same bits above.
    (0..64).find_map(|position| {
        let bit = 1_u64 << position;
        let above = !(bit | (bit - 1));
        let fits = first & bit == 0
            && (mask & bit == 0 || value & bit != 0)
            && (first ^ value) & mask & above == 0;
        fits.then_some((first & above) | bit | (value & (bit - 1)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::{
        action::Operator,
        architecture::Width,
        document::{Arg, Spanned},
    };

    fn condition(operator: Operator, value: u64, two: u64) -> Option<Condition> {
        let spanned = |it| Spanned { it, ..Spanned::default() };
        let (value, value_two) = (spanned(value), spanned(two));
        Condition::of(&Arg { value, value_two, ..Arg::default() }, operator, Width::Bits64)
    }

    fn conditions() -> impl Strategy<Value = Vec<Condition>> {
        use Operator::{Eq, Ge, Gt, Le, Lt, MaskedEq, Ne};
        let operator = proptest::sample::select(vec![Ne, Lt, Le, Eq, Ge, Gt, MaskedEq, MaskedEq]);
        let value = prop_oneof![0..40_u64, Just(1 << 32), Just(u64::MAX)];
        let one =
            (operator, value.clone(), value).prop_map(|(it, one, two)| condition(it, one, two));
        proptest::collection::vec(one, 0..5).prop_map(|all| all.into_iter().flatten().collect())
    }

    proptest! {
        #[test]
        fn every_value_is_in_one_class_and_meets_what_its_example_meets(
            conditions in conditions(),
            values in proptest::collection::vec(prop_oneof![0..80_u64, any::<u64>()], 40),
        ) {
            let classes = classes(&conditions, u64::MAX).unwrap();
            let met = |value: u64| {
                let holds = |it: &Condition| it.holds(&[value; 6]);
                conditions.iter().map(holds).collect::<Vec<_>>()
            };
            for class in &classes {
                prop_assert!(class.contains(class.example), "{class:?}");
            }
            for value in values {
                let of: Vec<_> = classes.iter().filter(|it| it.contains(value)).collect();
                prop_assert_eq!(of.len(), 1, "{} is in {:?}", value, of);
                prop_assert_eq!(met(value), met(of[0].example), "{} is in {:?}", value, of);
            }
        }
    }
}
