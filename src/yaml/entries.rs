//! The fields of a map as kubectl has them: maps are merged where `<<` stands, and of equal keys
//! the last one counts.

use std::{borrow::Cow, collections::HashMap};

use super::{Document, Kind, NodeId, scalar::Scalar};

/// A field of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: Cow<'a, str>,
    pub key_node: NodeId,
    pub value: NodeId,
    /// The key of an earlier field of the same map that this one replaces.
    pub replaced: Option<NodeId>,
}

/// Maps with more fields than these are searched by a table.
const FEW: usize = 16;

impl Document<'_> {
    pub fn entries(&self, id: NodeId) -> Vec<Entry<'_>> {
        if let Some(plain) = self.plain_entries(id) {
            return plain.collect();
        }
        let mut all = Vec::new();
        let mut known = HashMap::new();
        self.collect(id, false, &mut all, &mut known);
        all
    }

    /// Whether the keys of a map are few words, each there once, and none merges.
    pub(super) fn are_plain(&self, pairs: &[(NodeId, NodeId)]) -> bool {
        let word = |pair: &(NodeId, NodeId)| self.word(pair.0);
        pairs.len() <= FEW
            && pairs.iter().enumerate().all(|(at, pair)| {
                word(pair).is_some_and(|it| pairs[..at].iter().all(|other| word(other) != Some(it)))
            })
    }

    /// The fields of such a map, as they are written; `None` for another one.
    pub(super) fn plain_entries(&self, id: NodeId) -> Option<impl Iterator<Item = Entry<'_>>> {
        let node = self.node(self.target(id));
        let Kind::Map(pairs) = &node.kind else { return None };
        node.is_plain.then(|| {
            pairs.iter().filter_map(|(key_node, value)| {
                let key = Cow::Borrowed(self.word(*key_node)?);
                Some(Entry { key, key_node: *key_node, value: *value, replaced: None })
            })
        })
    }

    /// A key that is text.
    fn word(&self, key: NodeId) -> Option<&str> {
        match &self.node(self.target(key)).kind {
            Kind::Scalar(Scalar::Text(text)) => Some(text),
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) | Kind::Alias(_) => None,
        }
    }

    fn collect<'b>(
        &'b self,
        id: NodeId,
        is_merged: bool,
        all: &mut Vec<Entry<'b>>,
        known: &mut HashMap<Cow<'b, str>, usize>,
    ) {
        let Kind::Map(pairs) = &self.node(self.target(id)).kind else { return };
        for (key_node, value) in pairs {
            if self.is_merge(*key_node) {
                match &self.node(*value).kind {
                    // The first map of a list wins, so it comes last.
                    Kind::List(maps) => {
                        maps.iter().rev().for_each(|it| self.collect(*it, true, all, known));
                    }
                    Kind::Scalar(_) | Kind::Map(_) | Kind::Alias(_) => {
                        self.collect(*value, true, all, known);
                    }
                }
                continue;
            }
            let Some(key) = self.key(*key_node) else { continue };
            let mut entry = Entry { key, key_node: *key_node, value: *value, replaced: None };
            let at = if all.len() < FEW {
                all.iter().position(|it| it.key == entry.key)
            } else {
                if known.is_empty() {
                    known.extend(all.iter().enumerate().map(|(at, it)| (it.key.clone(), at)));
                }
                known.get(&entry.key).copied()
            };
            if let Some(at) = at {
                entry.replaced = (!is_merged).then_some(all[at].key_node);
                all[at] = entry;
            } else {
                if !known.is_empty() {
                    known.insert(entry.key.clone(), all.len());
                }
                all.push(entry);
            }
        }
    }

    fn key(&self, id: NodeId) -> Option<Cow<'_, str>> {
        match &self.node(self.target(id)).kind {
            Kind::Scalar(it) => it.key(),
            Kind::List(_) | Kind::Map(_) | Kind::Alias(_) => None,
        }
    }
}
