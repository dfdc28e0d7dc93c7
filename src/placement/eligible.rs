//! The nodes that one pod can land on, and what they report of a profile.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    MOST_NAMED,
    interner::{UNKNOWN_ID, lookup},
    record::{Interners, NodeRecord},
};
use crate::profile::{Digest, Doubt, File, Problem, ProfilePath};

/// The nodes that one pod can land on, to be queried for each of its profiles.
#[derive(Clone, Debug)]
pub struct Eligible<'a> {
    pub(super) interners: &'a Interners,
    /// In alphabetical order.
    pub(super) known: Vec<(&'a str, &'a NodeRecord)>,
    /// How many of them an agent has reported.
    pub(super) reported: usize,
    /// For how many of them the agent's list of files is cut.
    pub(super) cut: usize,
    /// How many further nodes there are that are not known, not even by name.
    pub(super) strange: usize,
}

/// What the nodes on which a pod can land report of one profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileDistribution<'a> {
    /// How many nodes the pod can land on.
    pub eligible: usize,
    /// On how many of them it is not known whether the file is there: no agent has reported, or its
    /// list is cut.
    pub unknown: usize,
    /// How many of them have reported that the file is missing.
    pub lacking: usize,
    /// The first of those that lack it, [`MOST_NAMED`] at most, in alphabetical order.
    pub lacking_names: Vec<&'a str>,
    /// What the other nodes have at that path, the most common content first; equally common ones
    /// in the order of the nodes.
    pub found: Vec<FileVersion<'a>>,
}

/// One content of a file, and how many of the nodes have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion<'a> {
    pub digest: Option<Digest>,
    pub problem: Option<Problem>,
    pub doubt: Option<Doubt>,
    pub nodes: usize,
    /// The first of these nodes, [`MOST_NAMED`] at most, in alphabetical order.
    pub names: Vec<&'a str>,
}

impl<'a> Eligible<'a> {
    /// The names of the known nodes, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.known.iter().map(|it| it.0)
    }

    /// What these nodes report of the profile at `path`. If no node of the cluster has such a file,
    /// the nodes are not searched: a pod may name thousands of profiles.
    ///
    /// Where a list is cut, a file that is not listed may still be there. The label of such a node
    /// shows whether its agent has installed the profile with the digest `current`.
    pub fn distribution(
        &self,
        path: &ProfilePath,
        current: Option<Digest>,
    ) -> ProfileDistribution<'a> {
        let label = path.node_label().zip(current).filter(|_| self.cut > 0);
        let label = label.map(|(key, digest)| {
            (self.interners.texts.find(&*key), self.interners.texts.find(&*digest.short()))
        });
        let path = self.interners.paths.find(path);
        let mut distribution = ProfileDistribution {
            eligible: self.known.len() + self.strange,
            unknown: self.known.len() + self.strange - self.reported,
            lacking: self.reported,
            ..ProfileDistribution::default()
        };
        let reported = self.known.iter().filter_map(|it| Some((it.0, it.1, it.1.reported()?)));
        if path == UNKNOWN_ID && self.cut == 0 {
            distribution.lacking_names = reported.map(|it| it.0).take(MOST_NAMED).collect();
            return distribution;
        }
        let mut positions = BTreeMap::new();
        let mut labelled = FileVersion::of(&File { digest: current, ..File::default() });
        for (name, record, files) in reported {
            let Some(number) = lookup(files, path) else {
                if record.is_cut {
                    distribution.lacking -= 1;
                    if label.is_some_and(|it| record.is_labelled(it)) {
                        labelled.add(name);
                    } else {
                        distribution.unknown += 1;
                    }
                } else if distribution.lacking_names.len() < MOST_NAMED {
                    distribution.lacking_names.push(name);
                }
                continue;
            };
            let position = *positions.entry(number).or_insert_with(|| {
                distribution.found.push(FileVersion::of(self.interners.files.value(number)));
                distribution.found.len() - 1
            });
            distribution.found[position].add(name);
            distribution.lacking -= 1;
        }
        if labelled.nodes > 0 {
            distribution.found.push(labelled);
        }
        distribution.found.sort_by_key(|it| Reverse(it.nodes));
        distribution
    }
}

impl<'a> FileVersion<'a> {
    fn of(file: &File) -> Self {
        let File { digest, problem, doubt } = *file;
        Self { digest, problem, doubt, nodes: 0, names: Vec::new() }
    }

    fn add(&mut self, name: &'a str) {
        self.nodes += 1;
        if self.names.len() < MOST_NAMED {
            self.names.push(name);
        }
    }
}
