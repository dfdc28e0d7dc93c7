//! Counts the containers of a node by the seccomp mode of their processes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Containers, Extent, Mode, Place, Pods, Process, Unfiltered,
    cgroup::ids,
    pods::{Container, PodOnNode},
};

/// Remembers which processes were without a filter.
///
/// K2: a runtime puts a process into the cgroup of its container before it installs the filter. So a
/// process counts as being without one only if it was at the last look, too.
#[derive(Debug, Default)]
pub struct Witness {
    /// By process ID; `None` before the first look.
    suspects: Option<BTreeSet<u32>>,
}

/// The processes of one container.
#[derive(Debug, Default)]
struct Tally {
    none: usize,
    strict: usize,
    filter: usize,
    /// Without a filter for the first time.
    unsure: usize,
    /// Whether one of `none` may gain rights.
    gains: bool,
}

impl Witness {
    /// Looks at all processes: `cgroups` has the ID of each and the text of its cgroup file, `status`
    /// reads that of its status. `None` at the first look, which can only suspect.
    pub fn look(
        &mut self,
        pods: &Pods,
        cgroups: impl Iterator<Item = (u32, String)>,
        status: impl Fn(u32) -> Option<String>,
    ) -> Option<Containers> {
        let by_id = pods.by_id();
        let mut tallies = BTreeMap::<&str, Tally>::new();
        let mut suspects = BTreeSet::new();
        for (pid, cgroup) in cgroups {
            // The outermost one that is a container of this node.
            let known = ids(&cgroup).find_map(|it| by_id.get_key_value(it));
            let Some((id, _)) = known else { continue };
            let Some(process) = status(pid).and_then(|it| Process::read(&it)) else { continue };
            let is_confirmed = self.suspects.as_ref().is_some_and(|it| it.contains(&pid));
            tallies.entry(id).or_default().add(process, is_confirmed);
            if process.mode == Mode::None {
                suspects.insert(pid);
            }
        }
        self.suspects.replace(suspects)?;
        let mut containers = Containers::default();
        for (id, (pod, container)) in &by_id {
            if let Some(it) = tallies.get(id) {
                it.count(pod, container, &mut containers);
            } else if container.is_running {
                containers.unknown += 1;
            }
        }
        Some(containers.bounded())
    }
}

impl Tally {
    fn add(&mut self, process: Process, is_confirmed: bool) {
        match process.mode {
            Mode::None if is_confirmed => {
                self.none += 1;
                self.gains |= !process.no_new_privs;
            }
            Mode::None => self.unsure += 1,
            Mode::Strict => self.strict += 1,
            Mode::Filter => self.filter += 1,
        }
    }

    fn count(&self, pod: &PodOnNode, container: &Container, containers: &mut Containers) {
        let Self { none, strict, filter, unsure, gains } = *self;
        if none > 0 {
            containers.none += 1;
            let is_whole = strict + filter + unsure == 0;
            containers.unfiltered.push(Unfiltered {
                place: Place::of(pod, container),
                processes: if is_whole { Extent::All } else { Extent::Some },
                no_new_privs: !gains,
            });
        } else if filter > 0 {
            containers.filter += 1;
        } else if strict > 0 {
            containers.strict += 1;
        } else {
            containers.unknown += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::witness::{
        Declared, MOST_LISTED,
        fixture::{id, node},
    };

    /// Process IDs, each with the number of its container, its `Seccomp:` and its `NoNewPrivs:`.
    type Processes<'a> = &'a [(u32, usize, u32, u32)];

    fn look(witness: &mut Witness, pods: &Pods, processes: Processes<'_>) -> Option<Containers> {
        let cgroup = |number| format!("0::/kubepods/pod1/{}\n", id(number));
        let cgroups = processes.iter().map(|it| (it.0, cgroup(it.1)));
        let status = |pid| {
            let (.., seccomp, no_new_privs) = processes.iter().find(|it| it.0 == pid)?;
            Some(format!("State:\tS\nNoNewPrivs:\t{no_new_privs}\nSeccomp:\t{seccomp}\n"))
        };
        witness.look(pods, cgroups, status)
    }

    /// The report of the second look, at the same processes.
    fn seen(pods: &Pods, processes: Processes<'_>) -> Containers {
        let mut witness = Witness::default();
        assert_eq!(look(&mut witness, pods, processes), None, "the first look can only suspect");
        look(&mut witness, pods, processes).expect("the second one is sure")
    }

    fn counts(it: &Containers) -> [usize; 4] {
        [it.filter, it.none, it.strict, it.unknown]
    }

    #[test]
    fn a_container_is_as_its_weakest_process() {
        let pods = node(&vec![Declared::RuntimeDefault; 5]);
        let found = seen(
            &pods,
            &[
                (1, 0, 2, 0),
                (2, 0, 2, 0),
                (3, 1, 2, 0),
                (4, 1, 0, 0),
                (5, 2, 1, 0),
                (6, 3, 2, 0),
                (7, 3, 1, 0),
            ],
        );
        assert_eq!(counts(&found), [2, 1, 1, 1]);
        let names: Vec<_> =
            found.unfiltered.iter().map(|it| (&*it.place.pod, it.processes)).collect();
        assert_eq!(names, [("pod-001", Extent::Some)]);
    }

    #[test]
    fn what_runs_without_a_filter_is_reported_with_what_is_declared() {
        let declared = [
            Declared::Unset,
            Declared::Privileged,
            Declared::Localhost("callgate/web.json".to_owned()),
        ];
        let pods = node(&declared);
        let found = seen(&pods, &[(1, 0, 0, 0), (2, 1, 0, 0), (3, 2, 0, 1), (4, 2, 0, 1)]);
        let entry = |pod: &str, uid: &str, declared: &str, no_new_privs: bool| {
            json!({
                "namespace": "shop", "pod": pod, "uid": uid, "container": "app",
                "declared": declared, "processes": "All", "noNewPrivs": no_new_privs,
            })
        };
        let mut first = entry("pod-002", "uid-2", "Localhost", true);
        first["localhostProfile"] = "callgate/web.json".into();
        assert_eq!(
            serde_json::to_value(&found).unwrap(),
            json!({
                "filter": 0, "none": 3, "strict": 0, "unknown": 0,
                "unfiltered": [
                    first,
                    entry("pod-000", "uid-0", "Unset", false),
                    entry("pod-001", "uid-1", "Privileged", false),
                ],
            })
        );
        assert_eq!(
            found.contradictions().map(|it| &*it.place.pod).collect::<Vec<_>>(),
            ["pod-002"]
        );
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Containers>(&text).unwrap(), found);
    }

    #[test]
    fn a_process_that_gets_its_filter_a_moment_later_is_not_reported() {
        let pods = node(&[Declared::RuntimeDefault]);
        let mut witness = Witness::default();
        look(&mut witness, &pods, &[]);
        let starts = look(&mut witness, &pods, &[(1, 0, 0, 0)]).unwrap();
        assert_eq!(counts(&starts), [0, 0, 0, 1]);
        let runs = look(&mut witness, &pods, &[(1, 0, 2, 0)]).unwrap();
        assert_eq!(counts(&runs), [1, 0, 0, 0]);
        // A program that is executed in it comes into it in the same way.
        let executes = look(&mut witness, &pods, &[(1, 0, 2, 0), (2, 0, 0, 0)]).unwrap();
        assert_eq!(counts(&executes), [1, 0, 0, 0]);
        let stays = look(&mut witness, &pods, &[(1, 0, 2, 0), (2, 0, 0, 0)]).unwrap();
        assert_eq!(counts(&stays), [0, 1, 0, 0]);
    }

    #[test]
    fn processes_of_the_node_and_of_what_is_no_container_of_it_are_left_out() {
        let pods = node(&[Declared::Unset]);
        let found = seen(&pods, &[(1, 0, 2, 0), (2, 7, 0, 0)]);
        assert_eq!((counts(&found), found.unfiltered), ([1, 0, 0, 0], vec![]));
        let mut witness = Witness::default();
        for _ in 0..2 {
            let cgroups = [(1, "0::/system.slice/sshd.service\n".to_owned())].into_iter();
            let found = witness.look(&Pods::default(), cgroups, |_| panic!("it is not even read"));
            assert!(found.is_none_or(|it| it == Containers::default()));
        }
    }

    /// A process that may create cgroups can give them the names of other containers.
    #[test]
    fn the_outermost_container_of_a_process_counts() {
        let pods = node(&[Declared::Unset, Declared::RuntimeDefault]);
        let cgroup = format!("0::/kubepods/pod1/{}/pod2/{}\n", id(0), id(1));
        let status = |_| Some("State:\tS\nSeccomp:\t0\n".to_owned());
        let mut witness = Witness::default();
        let mut found = None;
        for _ in 0..2 {
            found = witness.look(&pods, [(1, cgroup.clone())].into_iter(), status);
        }
        let names: Vec<_> = found.unwrap().unfiltered.into_iter().map(|it| it.place.pod).collect();
        assert_eq!(names, ["pod-000"]);
    }

    #[test]
    fn a_report_is_bounded_and_contradictions_come_first() {
        let mut declared = vec![Declared::Unset; 250];
        declared[249] = Declared::RuntimeDefault;
        let processes: Vec<_> = (0..250).map(|it| (it, it as usize, 0, 0)).collect();
        let found = seen(&node(&declared), &processes);
        assert_eq!(found.unfiltered.len(), MOST_LISTED);
        assert_eq!((found.none, found.unlisted), (250, Some(150)));
        assert_eq!(
            (&*found.unfiltered[0].place.pod, &*found.unfiltered[1].place.pod),
            ("pod-249", "pod-000")
        );
    }

    #[test]
    fn a_container_that_has_ended_is_not_counted() {
        let mut pods = node(&[Declared::Unset]);
        let mut pod = pods.by_id().values().next().map(|it| it.0.clone()).unwrap();
        pod.containers[0].is_running = false;
        pods.put("shop/pod-000".to_owned(), pod);
        assert_eq!(seen(&pods, &[]), Containers::default());
        pods.remove("shop/pod-000");
        assert_eq!(seen(&pods, &[(1, 0, 0, 0)]), Containers::default());
    }
}
