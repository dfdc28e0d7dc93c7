//! The nodes of a cluster, as kubectl exports them.

use std::{collections::BTreeMap, path::Path};

use anyhow::anyhow;

use super::files;
use crate::{
    check, cli::file::shown, cluster::exported, placement::Nodes, policy::RuntimeClasses,
    profile::Catalog,
};

/// The nodes, what is on them, and the runtime classes, if there are any.
#[derive(Debug, Default)]
pub(super) struct Inventories {
    pub(super) nodes: Nodes,
    pub(super) classes: RuntimeClasses,
}

impl Inventories {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = files::text(path)?;
        let mut nodes = Nodes::default();
        let mut classes = BTreeMap::new();
        check::each_object(&text, |kind, json| {
            match kind {
                "Node" => {
                    let (name, node) = exported::node(json)?;
                    nodes.put(&name, node);
                }
                "SeccompNode" => {
                    let (name, inventory) = exported::seccomp_node(json)?;
                    nodes.report(&name, inventory);
                }
                "RuntimeClass" => {
                    let (name, handler) = exported::runtime_class(json)?;
                    classes.insert(name, handler);
                }
                _ => {}
            }
            Ok(())
        })
        .map_err(|why| anyhow!("cannot read the nodes in {:?}: {why}", shown(path)))?;
        let classes = if classes.is_empty() {
            RuntimeClasses::default()
        } else {
            RuntimeClasses::of_cluster(classes)
        };
        Ok(Self { nodes, classes })
    }

    /// The profiles that are somewhere on the nodes without a problem, and `others`.
    pub(super) fn catalog(&self, others: &Catalog) -> Catalog {
        let sound = self.nodes.paths().into_iter().filter(|(_, is_sound)| *is_sound);
        let on_nodes = sound.map(|(path, _)| (path.clone(), None));
        let others = others.iter().map(|(path, defect)| (path.clone(), defect.cloned()));
        on_nodes.chain(others).collect()
    }
}
