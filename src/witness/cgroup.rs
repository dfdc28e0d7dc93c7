//! The container of a process, by its cgroups.

/// The length of the IDs that containerd, CRI-O and Docker give to containers.
const ID: usize = 64;

/// What may be the IDs of containers in the text of `/proc/PID/cgroup`, the outermost first.
///
/// K3: cgroup drivers and runtimes write the path in many ways, and a cgroup namespace cuts it, but the
/// ID of the container is always in it. Others may precede it, as that of a node that is a container
/// itself, and follow it, as that of a container inside the container.
pub(crate) fn ids(text: &str) -> impl Iterator<Item = &str> {
    let paths = text.lines().filter_map(|it| it.splitn(3, ':').nth(2));
    // The monitor of CRI-O has the ID of its container, and is a process of the node.
    let names = paths.flat_map(|it| it.split('/')).filter(|it| !it.contains("conmon"));
    names.flat_map(|it| it.split(|it: char| !it.is_ascii_alphanumeric())).filter(|it| is_id(it))
}

fn is_id(word: &str) -> bool {
    word.len() == ID && word.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ID: &str = "3f1c5a9e0b7d42c8a6e1f09d8b7c6a5e4d3c2b1a0f9e8d7c6b5a493827160f5e";
    const NODE: &str = "9b2d4f6a8c0e1b3d5f7a9c1e3b5d7f9a1c3e5b7d9f1a3c5e7b9d1f3a5c7e9b1d";
    const INNER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
    const POD: &str = "8c9f7a52_3b1d_4e5f_9a6b_7c8d9e0f1a2b";
    const UID: &str = "8c9f7a52-3b1d-4e5f-9a6b-7c8d9e0f1a2b";

    /// Lines as kernels write them, with these values.
    fn written(text: &str) -> String {
        let values =
            [("{ID}", ID), ("{NODE}", NODE), ("{IN}", INNER), ("{POD}", POD), ("{UID}", UID)];
        values.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value))
    }

    #[rstest]
    #[case::v2_systemd_containerd(
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD}.slice/cri-containerd-{ID}.scope\n"
    )]
    #[case::v2_systemd_containerd_guaranteed(
        "0::/kubepods.slice/kubepods-pod{POD}.slice/cri-containerd-{ID}.scope\n"
    )]
    #[case::v2_systemd_crio(
        "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{POD}.slice/crio-{ID}.scope\n"
    )]
    #[case::v2_systemd_crio_with_a_cgroup_for_the_container(
        "0::/kubepods.slice/kubepods-pod{POD}.slice/crio-{ID}.scope/container\n"
    )]
    #[case::v2_cgroupfs("0::/kubepods/burstable/pod{UID}/{ID}\n")]
    #[case::v2_cgroupfs_crio("0::/kubepods/besteffort/pod{UID}/crio-{ID}\n")]
    #[case::v2_systemd_docker("0::/kubepods.slice/kubepods-pod{POD}.slice/docker-{ID}.scope\n")]
    #[case::a_static_pod(
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod4c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f.slice/cri-containerd-{ID}.scope\n"
    )]
    #[case::containerd_and_kubelet_with_different_drivers(
        "0::/system.slice/containerd.service/kubepods-burstable-pod{POD}.slice:cri-containerd:{ID}\n"
    )]
    #[case::seen_from_another_cgroup_namespace(
        "0::/../../../kubepods-besteffort.slice/kubepods-besteffort-pod{POD}.slice/cri-containerd-{ID}.scope\n"
    )]
    #[case::of_the_same_pod_as_the_reader("0::/../cri-containerd-{ID}.scope\n")]
    #[case::v1_cgroupfs(
        "12:hugetlb:/kubepods/burstable/pod{UID}/{ID}\n11:memory:/kubepods/burstable/pod{UID}/{ID}\n\
         3:cpu,cpuacct:/kubepods/burstable/pod{UID}/{ID}\n1:name=systemd:/kubepods/burstable/pod{UID}/{ID}\n"
    )]
    #[case::v1_systemd_with_an_empty_v2(
        "4:pids:/kubepods.slice/kubepods-pod{POD}.slice/cri-containerd-{ID}.scope\n\
         1:name=systemd:/kubepods.slice/kubepods-pod{POD}.slice/cri-containerd-{ID}.scope\n0::/\n"
    )]
    #[case::v1_below_another_root(
        "8:pids:/cluster-1234/node-a/kubepods/besteffort/pod{UID}/{ID}\n0::/\n"
    )]
    #[case::systemd_inside_the_container(
        "0::/kubepods.slice/kubepods-pod{POD}.slice/cri-containerd-{ID}.scope/system.slice/cron.service\n"
    )]
    fn has_the_id_of_the_container(#[case] text: &str) {
        let text = written(text);
        let mut found: Vec<_> = ids(&text).collect();
        found.dedup();
        assert_eq!(found, [ID]);
    }

    #[rstest]
    #[case::a_node_of_kind(
        "0::/system.slice/docker-{NODE}.scope/kubelet.slice/kubelet-kubepods.slice/\
         kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{POD}.slice/\
         cri-containerd-{ID}.scope\n",
        &[NODE, ID]
    )]
    #[case::a_node_of_kind_on_v1(
        "9:pids:/docker/{NODE}/kubelet/kubepods/besteffort/pod{UID}/{ID}\n",
        &[NODE, ID]
    )]
    #[case::a_container_inside_the_container(
        "0::/kubepods.slice/kubepods-pod{POD}.slice/cri-containerd-{ID}.scope/docker/{IN}\n",
        &[ID, INNER]
    )]
    fn has_further_ids_in_their_order(#[case] text: &str, #[case] expected: &[&str]) {
        let text = written(text);
        assert_eq!(ids(&text).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case::nothing("")]
    #[case::the_root("0::/\n")]
    #[case::a_service("0::/system.slice/containerd.service\n")]
    #[case::a_session("0::/user.slice/user-1000.slice/session-3.scope\n")]
    #[case::the_pod_itself("0::/kubepods.slice/kubepods-pod{POD}.slice\n")]
    #[case::the_monitor_of_crio(
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD}.slice/crio-conmon-{ID}.scope\n"
    )]
    #[case::the_monitor_of_crio_by_cgroupfs("0::/kubepods/pod{UID}/crio-conmon-{ID}\n")]
    #[case::a_longer_word("0::/kubepods/pod{UID}/a{ID}\n")]
    #[case::upper_case(
        "0::/kubepods/pod/3F1C5A9E0B7D42C8A6E1F09D8B7C6A5E4D3C2B1A0F9E8D7C6B5A493827160F5E\n"
    )]
    #[case::no_line_of_this_file("kubepods {ID}\n")]
    fn has_no_id(#[case] text: &str) {
        let text = written(text);
        assert_eq!(ids(&text).next(), None);
    }
}
