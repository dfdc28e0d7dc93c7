//! Splits the arguments of a call by what becomes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    classes::{Class, classes},
    condition::{Condition, largest},
};
use crate::profile::architecture::Width;

/// The most combinations of classes.
const MOST: usize = 4096;

/// The arguments on which an effect depends, each with its classes of values.
pub(in crate::profile) struct Space(Vec<(usize, Vec<Class>)>);

/// Values of arguments, such as `argument 0 is 40 and argument 1 is at least 2`.
///
/// It holds for an argument if one of its classes does, and for a region if that of every argument
/// does. Without arguments it holds always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(Vec<(usize, Values)>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Values {
    /// If true, these are the values that do not belong to the region.
    excluded: bool,
    classes: Vec<Class>,
}

/// One class for each argument of a space, by its number.
type Cell = Vec<usize>;

impl Space {
    /// `fixed` are arguments whose value is known. `None` if there are too many classes.
    pub(in crate::profile) fn of(
        conditions: &[Condition],
        fixed: &[Option<u64>; 6],
        width: Width,
    ) -> Option<Self> {
        let mut arguments = Vec::new();
        let mut size: usize = 1;
        for (index, value) in (0..).zip(fixed) {
            let own: Vec<_> = conditions.iter().filter(|it| it.index == index).copied().collect();
            let all = match value {
                Some(value) => vec![only(value & largest(width))],
                None if own.is_empty() => continue,
                None => classes(&own, largest(width)).ok()?,
            };
            size = size.checked_mul(all.len()).filter(|it| *it <= MOST)?;
            arguments.push((usize::try_from(index).ok()?, all));
        }
        Some(Self(arguments))
    }

    /// Groups all arguments by `key`; each group has its regions, and examples of its arguments.
    pub(in crate::profile) fn groups<K: Ord>(
        &self,
        key: impl Fn(&[u64; 6]) -> K,
    ) -> BTreeMap<K, Vec<Region>> {
        let mut groups: BTreeMap<K, BTreeSet<Cell>> = BTreeMap::new();
        for cell in self.cells() {
            groups.entry(key(&self.example(&cell))).or_default().insert(cell);
        }
        groups.into_iter().map(|(key, cells)| (key, self.regions(&cells))).collect()
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = vec![Vec::new()];
        for (_, classes) in &self.0 {
            let with = |cell: &Cell, class| cell.iter().copied().chain([class]).collect();
            cells = cells
                .iter()
                .flat_map(|cell| (0..classes.len()).map(move |class| with(cell, class)))
                .collect();
        }
        cells
    }

    fn example(&self, cell: &[usize]) -> [u64; 6] {
        let mut args = [0; 6];
        for ((index, classes), class) in self.0.iter().zip(cell) {
            args[*index] = classes[*class].example;
        }
        args
    }

    /// Joins cells that differ in one argument alone, one argument after the other.
    fn regions(&self, cells: &BTreeSet<Cell>) -> Vec<Region> {
        let one = |cell: &Cell| cell.iter().map(|it| BTreeSet::from([*it])).collect();
        let mut boxes: Vec<Vec<BTreeSet<usize>>> = cells.iter().map(one).collect();
        for at in 0..self.0.len() {
            let mut joined: BTreeMap<Vec<BTreeSet<usize>>, BTreeSet<usize>> = BTreeMap::new();
            for mut it in boxes {
                let own = std::mem::take(&mut it[at]);
                joined.entry(it).or_default().extend(own);
            }
            let back = |(mut it, own): (Vec<_>, _)| {
                it[at] = own;
                it
            };
            boxes = joined.into_iter().map(back).collect();
        }
        boxes.iter().map(|it| self.region(it)).collect()
    }

    fn region(&self, chosen: &[BTreeSet<usize>]) -> Region {
        let mut all = Vec::new();
        for ((index, classes), chosen) in self.0.iter().zip(chosen) {
            if chosen.len() == classes.len() {
                continue;
            }
            let of = |keep: bool| {
                let kept = classes.iter().enumerate().filter(|it| chosen.contains(&it.0) == keep);
                merged(kept.map(|it| it.1.clone()).collect())
            };
            let (own, others) = (of(true), of(false));
            let is_short = others.iter().all(|it| it.first == it.last && it.bits.is_empty())
                && !own.iter().all(|it| it.first == it.last);
            let values = if is_short {
                Values { excluded: true, classes: others }
            } else {
                Values { excluded: false, classes: own }
            };
            all.push((*index, values));
        }
        Region(all)
    }
}

fn only(value: u64) -> Class {
    Class { bits: Vec::new(), first: value, last: value, example: value }
}

/// Joins ranges that follow each other.
fn merged(mut classes: Vec<Class>) -> Vec<Class> {
    classes.sort();
    let mut merged: Vec<Class> = Vec::new();
    for it in classes {
        match merged.last_mut() {
            Some(last) if last.bits == it.bits && last.last.checked_add(1) == Some(it.first) => {
                last.last = it.last;
            }
            _ => merged.push(it),
        }
    }
    merged
}

impl Region {
    /// Whether it has all arguments.
    pub(crate) fn is_everything(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
impl Region {
    /// Whether it has these arguments.
    pub(crate) fn contains(&self, args: &[u64; 6]) -> bool {
        self.0.iter().all(|(index, Values { excluded, classes })| {
            classes.iter().any(|it| it.contains(args[*index])) != *excluded
        })
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("always");
        }
        let clauses: Vec<_> = self.0.iter().map(|(index, it)| clause(*index, it)).collect();
        f.write_str(&clauses.join(" and "))
    }
}

fn clause(index: usize, Values { excluded, classes }: &Values) -> String {
    let has_bits = classes.iter().any(|it| !it.bits.is_empty());
    if !has_bits {
        let ranges: Vec<_> = classes.iter().map(range).collect();
        return match (excluded, ranges.len()) {
            (true, 1) => format!("argument {index} is not {}", ranges[0]),
            (true, _) => format!("argument {index} is none of {}", ranges.join(", ")),
            (false, _) => format!("argument {index} is {}", ranges.join(" or ")),
        };
    }
    let one = |it: &Class| {
        let is_whole = it.first == 0 && (it.last == u64::MAX || it.last == u64::from(u32::MAX));
        let range = (!is_whole).then(|| format!("argument {index} is {}", range(it)));
        let bits = it.bits.iter().map(|it| {
            let verb = if it.equal { "is" } else { "is not" };
            format!("argument {index} & {:#x} {verb} {}", it.mask, number(it.value))
        });
        range.into_iter().chain(bits).collect::<Vec<_>>().join(" and ")
    };
    let all: Vec<_> = classes.iter().map(one).collect();
    if let [only] = all.as_slice() { only.clone() } else { format!("({})", all.join(" or ")) }
}

fn range(class: &Class) -> String {
    let Class { first, last, .. } = class;
    if first == last {
        number(*first)
    } else if *last == u64::MAX || *last == u64::from(u32::MAX) && *first > 0 {
        format!("at least {}", number(*first))
    } else {
        format!("{} to {}", number(*first), number(*last))
    }
}

/// Decimal where people count, hexadecimal where they see bits.
pub(crate) fn number(value: u64) -> String {
    if value < 1 << 16 { value.to_string() } else { format!("{value:#x}") }
}
