//! The fields of a map as kubectl has them: maps are merged where `<<` stands, and of equal keys
//! the last one counts.

use std::{borrow::Cow, collections::HashMap};

use super::{Document, Kind, NodeId};

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
        let mut all = Vec::new();
        let mut known = HashMap::new();
        self.collect(id, false, &mut all, &mut known);
        all
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
