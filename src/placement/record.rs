//! What is kept of each node, as interned numbers.

use std::{collections::BTreeMap, hash::Hash, sync::Arc};

use crate::{
    placement::{
        Node, Taint,
        interner::{Interner, Row, lookup, row},
        toleration::cordon,
    },
    profile::{File, Inventory, ProfilePath},
};

/// A node, the report of its agent, or both: the two are watched separately.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeRecord {
    pub(super) node: Option<Attributes>,
    /// The numbers of path and content of each file; `None` if no agent has reported.
    pub(super) files: Option<Row>,
    /// Whether there are further files that are not listed.
    pub(super) is_cut: bool,
    /// Whether the agent has been silent for so long that its report no longer counts.
    pub(super) is_silent: bool,
}

/// The fields of a node that the scheduler decides by.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    /// The numbers of key and value of each label.
    pub(super) labels: Row,
    pub(super) taints: Arc<[u32]>,
}

/// The values of all numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Interners {
    /// The keys and values of labels.
    pub(super) texts: Arc<Interner<Arc<str>>>,
    pub(super) taints: Arc<Interner<Arc<Taint>>>,
    pub(super) paths: Arc<Interner<Arc<ProfilePath>>>,
    pub(super) files: Arc<Interner<File>>,
}

/// The interner that a number belongs to.
#[derive(Clone, Copy)]
enum Space {
    Text,
    Taint,
    Path,
    File,
}

impl Interners {
    pub(super) fn attributes(&mut self, node: Node) -> Attributes {
        let Node { labels, mut taints, unschedulable } = node;
        let mut text = |it: &String| Interner::number(&mut self.texts, &**it, |it| it.into());
        let labels = row(labels.iter().map(|(key, value)| (text(key), text(value))));
        taints.extend(unschedulable.then(cordon));
        taints.retain(Taint::is_hard);
        let number = |it: &Taint| Interner::number(&mut self.taints, it, |it| Arc::new(it.clone()));
        Attributes { labels, taints: taints.iter().map(number).collect() }
    }

    pub(super) fn files(&mut self, inventory: &Inventory) -> Row {
        row(inventory.files.iter().map(|(path, file)| {
            let path = Interner::number(&mut self.paths, path, |it| Arc::new(it.clone()));
            (path, Interner::number(&mut self.files, file, |it| *it))
        }))
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len() + self.taints.len() + self.paths.len() + self.files.len()
    }

    /// Removes values that no node has any more.
    pub(super) fn sweep(&mut self, nodes: &mut BTreeMap<Arc<str>, Arc<NodeRecord>>) {
        let lengths = [self.texts.len(), self.taints.len(), self.paths.len(), self.files.len()];
        let mut used = lengths.map(|it| vec![false; it]);
        for known in nodes.values() {
            known.renumbered(|word, number| {
                used[word as usize][number as usize] = true;
                number
            });
        }
        let [texts, taints, paths, files] = used;
        let moved = [
            keep(&mut self.texts, &texts),
            keep(&mut self.taints, &taints),
            keep(&mut self.paths, &paths),
            keep(&mut self.files, &files),
        ];
        for known in nodes.values_mut() {
            let new = known.renumbered(|word, number| moved[word as usize][number as usize]);
            *known = Arc::new(new);
        }
    }
}

fn keep<T: Clone + Eq + Hash>(interner: &mut Arc<Interner<T>>, used: &[bool]) -> Vec<u32> {
    let (kept, moved) = interner.keeping(used);
    *interner = Arc::new(kept);
    moved
}

impl NodeRecord {
    pub(super) fn is_nothing(&self) -> bool {
        self.node.is_none() && self.files.is_none()
    }

    /// The same record with new numbers, in the same order.
    fn renumbered(&self, mut new: impl FnMut(Space, u32) -> u32) -> Self {
        let mut row = |row: &Row, first, second| -> Row {
            row.iter().map(|it| (new(first, it.0), new(second, it.1))).collect()
        };
        let files = self.files.as_ref().map(|it| row(it, Space::Path, Space::File));
        let labels = self.node.as_ref().map(|it| row(&it.labels, Space::Text, Space::Text));
        let node = self.node.as_ref().zip(labels).map(|(it, labels)| Attributes {
            labels,
            taints: it.taints.iter().map(|it| new(Space::Taint, *it)).collect(),
        });
        Self { node, files, is_cut: self.is_cut, is_silent: self.is_silent }
    }

    /// The files, if the report of the agent counts.
    pub(super) fn reported(&self) -> Option<&Row> {
        self.files.as_ref().filter(|_| !self.is_silent)
    }

    /// Whether the node has that label with that value.
    pub(super) fn is_labelled(&self, (key, value): (u32, u32)) -> bool {
        self.node.as_ref().is_some_and(|it| lookup(&it.labels, key) == Some(value))
    }
}
