//! Nodes that tests write.

use super::{Container, Declared, PodOnNode, Pods};

/// The ID of a container, of that number.
pub(crate) fn id(number: usize) -> String {
    format!("{number:064x}")
}

/// A node with a pod for each, which has one running container, with the ID of its number.
pub(crate) fn node(declared: &[Declared]) -> Pods {
    let mut pods = Pods::default();
    for (number, declared) in declared.iter().enumerate() {
        let name = format!("pod-{number:03}");
        let container = Container {
            id: id(number),
            name: "app".to_owned(),
            is_running: true,
            declared: declared.clone(),
        };
        let pod = PodOnNode {
            namespace: "shop".to_owned(),
            name: name.clone(),
            uid: format!("uid-{number}"),
            controller: None,
            containers: vec![container],
        };
        pods.put(format!("shop/{name}"), pod);
    }
    pods
}
