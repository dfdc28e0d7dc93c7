//! Which container a process belongs to, while it runs and shortly after.

use std::collections::BTreeMap;

use crate::witness::container_ids;

/// The most processes that are remembered.
const MOST: usize = 32_768;

/// The most containers around a process of which the IDs are kept, the outermost first.
const DEEPEST: usize = 4;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// In clock ticks since the machine started. A process that has the ID of an earlier one started
    /// at another time.
    start: u64,
    /// What may be the IDs of its containers.
    containers: Vec<String>,
}

/// Processes that were seen. A process may have ended when the record of its call is read.
#[derive(Debug, Default)]
pub struct Processes(BTreeMap<u32, Kept>);

#[derive(Debug)]
struct Kept {
    process: Process,
    /// Whether it was seen since the look before the last.
    is_recent: bool,
}

impl Process {
    /// Reads the texts of `/proc/PID/stat` and `/proc/PID/cgroup`.
    pub fn read(stat: &str, cgroups: &str) -> Option<Self> {
        // The name may have spaces and parentheses; the start is the field 22, the state 3.
        let began = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
        let mut containers: Vec<_> = container_ids(cgroups).map(str::to_owned).collect();
        // Version 1 of cgroups has a line for each controller.
        containers.dedup();
        containers.truncate(DEEPEST);
        Some(Self { start: began, containers })
    }
}

impl Processes {
    /// What may be the IDs of the containers of a process that made a call just now, the outermost
    /// first; none for a process of the node itself. `now` is the process that has the ID at present.
    ///
    /// `None` if it has ended and was never seen, or if another process has its ID by now and is not
    /// in the same container: the call may be that of either.
    pub fn containers_of(&mut self, pid: u32, now: Option<Process>) -> Option<Vec<String>> {
        let before = self.0.get(&pid).map(|it| &it.process);
        let Some(now) = now else { return before.map(|it| it.containers.clone()) };
        let is_certain =
            before.is_none_or(|it| it.start == now.start || it.containers == now.containers);
        let containers = is_certain.then(|| now.containers.clone());
        self.put(pid, now);
        containers
    }

    /// Takes a look at all processes. What has ended is remembered until the next look: by then its
    /// records have arrived, and its ID is not yet that of another process, except where processes
    /// start by the ten thousand.
    pub fn look(&mut self, all: impl Iterator<Item = (u32, Process)>) {
        self.0.retain(|_, it| std::mem::take(&mut it.is_recent));
        for (pid, process) in all {
            // A record may have shown a later process meanwhile.
            if self.0.get(&pid).is_none_or(|it| it.process.start <= process.start) {
                self.put(pid, process);
            }
        }
    }

    fn put(&mut self, pid: u32, process: Process) {
        if self.0.len() < MOST || self.0.contains_key(&pid) {
            self.0.insert(pid, Kept { process, is_recent: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3f1c5a9e0b7d42c8a6e1f09d8b7c6a5e4d3c2b1a0f9e8d7c6b5a493827160f5e";
    const B: &str = "9b2d4f6a8c0e1b3d5f7a9c1e3b5d7f9a1c3e5b7d9f1a3c5e7b9d1f3a5c7e9b1d";

    fn stat(start: u64) -> String {
        format!(
            "4711 (a) b) S 4690 4711 4711 0 -1 4194560 1018 0 0 0 1 0 0 0 20 0 1 0 {start} 12345678 900 \
             18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        )
    }

    fn process(start: u64, container: &str) -> Process {
        let cgroup = format!("0::/kubepods.slice/cri-containerd-{container}.scope\n");
        Process::read(&stat(start), &cgroup).unwrap()
    }

    fn host(start: u64) -> Process {
        Process::read(&stat(start), "0::/system.slice/ssh.service\n").unwrap()
    }

    fn of(id: &str) -> Vec<String> {
        vec![id.to_owned()]
    }

    #[test]
    fn texts_of_the_kernel_are_read() {
        assert_eq!(process(77, A), Process { start: 77, containers: vec![A.to_owned()] });
        assert_eq!(host(77), Process { start: 77, containers: vec![] });
        let nested = format!("0::/docker-{B}.scope/kubepods/pod1/{A}\n");
        let nested = Process::read(&stat(1), &nested).unwrap();
        assert_eq!(nested.containers, [B, A]);
        let v1 = format!("2:pids:/kubepods/pod1/{A}\n1:memory:/kubepods/pod1/{A}\n");
        assert_eq!(Process::read(&stat(1), &v1).unwrap().containers, [A]);
        assert_eq!(Process::read("", "0::/\n"), None);
        assert_eq!(Process::read("4711 (a) S 1 2", "0::/\n"), None);
    }

    #[test]
    fn a_process_that_has_ended_is_the_one_that_was_seen() {
        let mut all = Processes::default();
        assert_eq!(all.containers_of(1, None), None);
        assert_eq!(all.containers_of(1, Some(process(5, A))), Some(of(A)));
        assert_eq!(all.containers_of(1, None), Some(of(A)));
        all.look([(2, process(6, B)), (3, host(7))].into_iter());
        assert_eq!(all.containers_of(2, None), Some(of(B)));
        assert_eq!(all.containers_of(3, None), Some(vec![]), "a process of the node");
    }

    #[test]
    fn what_has_ended_is_forgotten_before_its_id_is_used_again() {
        let mut all = Processes::default();
        all.look([(1, process(5, A))].into_iter());
        all.look(std::iter::empty());
        assert_eq!(all.containers_of(1, None), Some(of(A)), "it may just have ended");
        all.look(std::iter::empty());
        assert_eq!(all.containers_of(1, None), None);
    }

    #[test]
    fn a_process_is_not_taken_for_the_one_that_had_its_id() {
        let mut all = Processes::default();
        all.look([(1, process(5, A))].into_iter());
        assert_eq!(all.containers_of(1, Some(process(9, B))), None, "of which of the two?");
        assert_eq!(all.containers_of(1, Some(process(9, B))), Some(of(B)));
        assert_eq!(all.containers_of(1, Some(process(12, B))), Some(of(B)), "of B in any case");
        // A look that began before that process did.
        all.look([(1, process(5, A))].into_iter());
        assert_eq!(all.containers_of(1, None), Some(of(B)));
        // A process that joins the cgroup of a container, as a runtime does.
        assert_eq!(all.containers_of(2, Some(host(20))), Some(vec![]));
        assert_eq!(all.containers_of(2, Some(process(20, A))), Some(of(A)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut all = Processes::default();
        all.look((0..40_000).map(|it| (it, host(1))));
        assert_eq!(all.0.len(), MOST);
        assert_eq!(all.containers_of(39_999, Some(process(2, A))), Some(of(A)));
        assert_eq!(all.0.len(), MOST);
    }
}
