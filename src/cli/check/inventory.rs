//! The nodes of a cluster, as kubectl exports them.

use std::{collections::BTreeMap, path::Path};

use anyhow::anyhow;

use super::files;
use crate::{
    check, cli::file::shown, cluster::exported, placement::Nodes, policy::RuntimeClasses,
    profile::Catalog,
};

/// The nodes, what is on them, and the handlers of runtime classes.
#[derive(Debug, Default)]
pub(in crate::cli) struct Inventories {
    pub(in crate::cli) nodes: Nodes,
    pub(in crate::cli) classes: BTreeMap<String, String>,
}

impl Inventories {
    pub(in crate::cli) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut all = Self::default();
        all.add(&files::text(path)?)
            .map_err(|why| anyhow!("cannot read the nodes in {:?}: {why}", shown(path)))?;
        Ok(all)
    }

    /// Takes what is in a text; other objects are skipped.
    pub(in crate::cli) fn add(&mut self, text: &str) -> Result<(), String> {
        check::each_object(text, |kind, json| {
            match kind {
                "Node" => {
                    let (name, node) = exported::node(json)?;
                    self.nodes.put(&name, node);
                }
                "SeccompNode" => {
                    let (name, inventory) = exported::seccomp_node(json)?;
                    self.nodes.report(&name, inventory);
                }
                "RuntimeClass" => {
                    let (name, handler) = exported::runtime_class(json)?;
                    self.classes.insert(name, handler);
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// The runtime classes, if it is known that there are any.
    pub(in crate::cli) fn runtime_classes(&self) -> RuntimeClasses {
        if self.classes.is_empty() {
            RuntimeClasses::default()
        } else {
            RuntimeClasses::of_cluster(self.classes.clone())
        }
    }

    /// The profiles that are somewhere on the nodes without a problem, and `others`.
    pub(in crate::cli) fn catalog(&self, others: &Catalog) -> Catalog {
        let sound = self.nodes.paths().into_iter().filter(|(_, is_sound)| *is_sound);
        let on_nodes = sound.map(|(path, _)| (path.clone(), None));
        let others = others.iter().map(|(path, defect)| (path.clone(), defect.cloned()));
        on_nodes.chain(others).collect()
    }
}
