//! What a pod demands of the node that it is to land on.

use crate::{
    placement::{
        Taint,
        interner::lookup,
        record::{Attributes, Interners},
    },
    pod::{Pod, Requirement, Term},
};

/// With more requirements than this a node affinity is no longer worked out, and
/// taken for one that every node meets; of as many tolerations every taint is
/// taken for tolerated, and of a node selector no more than these are looked at. A pod has room for tens of thousands, each of which would
/// be compared with every node or taint while somebody waits. What is wrong on a
/// node that the pod can really land on is found all the same.
pub const MOST_REQUIREMENTS: usize = 1_000;

/// The label of a node's operating system, which its kubelet sees to.
const OS: &str = "kubernetes.io/os";

/// What a pod demands, in the numbers of the nodes, so that it is worked out
/// once for all of them.
///
/// A node has to pass what the scheduler's plugins `NodeAffinity`,
/// `TaintToleration` and `NodeUnschedulable` ask
/// (pkg/scheduler/framework/plugins in Kubernetes 1.37). Others, about
/// resources, ports, volumes or other pods, are left out: they change from
/// moment to moment, and leave fewer nodes, never others.
///
/// `spec.os.name` is no matter to the scheduler. But the kubelet turns down a
/// pod for another system than its own (`rejectPodAdmissionBasedOnOSField` in
/// pkg/kubelet/lifecycle/predicate.go), so it never runs there.
#[derive(Debug)]
pub(super) struct Demand<'a> {
    all: Vec<Test<'a>>,
    /// One of these; `None` where there is no required node affinity.
    any: Option<Vec<Vec<Test<'a>>>>,
    /// Of every taint that some node has, whether it is tolerated.
    tolerated: Vec<bool>,
    interners: &'a Interners,
}

#[derive(Debug)]
enum Test<'a> {
    /// A label with one of these values passes or not, one with another does the
    /// opposite, and a node without it passes or not. The values are in rising order.
    Label { key: u32, values: Vec<u32>, among: bool, absent: bool },
    /// The label is an integer on that side of the bound.
    Number { key: u32, is: fn(&i64, &i64) -> bool, bound: i64 },
    /// That is the name of the node, or it is not.
    Name { name: &'a str, is: bool },
}

// === impl Demand ===

impl<'a> Demand<'a> {
    pub(super) fn of(pod: &'a Pod<'_>, interners: &'a Interners) -> Self {
        // From an API server its keys are unique, and soon no node has them all.
        let selector = pod
            .node_selector()
            .take(MOST_REQUIREMENTS)
            .map(|(key, value)| Test::label(key, [value], true, false, interners));
        let os = pod.os().map(|it| Test::label(OS, [it], true, true, interners));
        let terms = pod.required_terms().filter(|it| count(it) <= MOST_REQUIREMENTS);
        let tolerations = pod.tolerations();
        let tolerates = |taint: &Taint| {
            tolerations.len() > MOST_REQUIREMENTS
                || tolerations.iter().any(|it| taint.is_tolerated(it))
        };
        Self {
            all: selector.chain(os).collect(),
            any: terms.map(|it| it.iter().filter_map(|it| tests(it, interners)).collect()),
            tolerated: interners.taints.values().iter().map(|it| tolerates(it)).collect(),
            interners,
        }
    }

    /// The same with every toleration there can be.
    pub(super) fn tolerating_all(mut self) -> Self {
        self.tolerated.fill(true);
        self
    }

    pub(super) fn is_met(&self, name: &str, node: &Attributes) -> bool {
        let passed =
            |tests: &[Test<'_>]| tests.iter().all(|it| it.passes(name, node, self.interners));
        node.taints.iter().all(|it| self.tolerated.get(*it as usize) == Some(&true))
            && passed(&self.all)
            && self.any.as_ref().is_none_or(|it| it.iter().any(|it| passed(it)))
    }
}

/// How much there is to compare.
fn count(terms: &[Term<'_>]) -> usize {
    terms.iter().map(|it| it.expressions().len() + it.fields().len()).sum()
}

/// The tests of one term. `None` where no node passes it: an empty one, or one
/// that the scheduler cannot parse (`newNodeSelectorTerm` in
/// k8s.io/component-helpers/scheduling/corev1/nodeaffinity). That what stands in
/// it is no label the API server sees to.
fn tests<'a>(term: &'a Term<'_>, interners: &Interners) -> Option<Vec<Test<'a>>> {
    let labels = term.expressions().iter().map(|it| Test::of_label(it, interners));
    let tests: Option<Vec<_>> = labels.chain(term.fields().iter().map(Test::of_field)).collect();
    tests.filter(|it| !it.is_empty())
}

// === impl Test ===

impl<'a> Test<'a> {
    /// `Requirement.Matches` in k8s.io/apimachinery/pkg/labels.
    fn of_label(requirement: &Requirement<'_>, interners: &Interners) -> Option<Self> {
        let (key, values) = (requirement.key(), requirement.values());
        let label = |among, absent| {
            Some(Self::label(key, values.iter().map(|it| &**it), among, absent, interners))
        };
        let number = |is, bound: &str| {
            let bound = bound.parse().ok()?;
            Some(Self::Number { key: interners.texts.find(key), is, bound })
        };
        match (requirement.operator(), values) {
            ("In", [_, ..]) => label(true, false),
            ("NotIn", [_, ..]) => label(false, true),
            ("Exists", []) => label(false, false),
            ("DoesNotExist", []) => label(true, true),
            // Rust takes the same texts for integers as Go's ParseInt to the base of ten.
            ("Gt", [bound]) => number(i64::gt, bound),
            ("Lt", [bound]) => number(i64::lt, bound),
            _ => None,
        }
    }

    /// `nodeSelectorRequirementsAsFieldSelector`; the API server knows no other
    /// field than the name.
    fn of_field(requirement: &'a Requirement<'_>) -> Option<Self> {
        match (requirement.key(), requirement.operator(), requirement.values()) {
            ("metadata.name", "In", [name]) => Some(Self::Name { name, is: true }),
            ("metadata.name", "NotIn", [name]) => Some(Self::Name { name, is: false }),
            _ => None,
        }
    }

    fn label<'t>(
        key: &str,
        values: impl IntoIterator<Item = &'t str>,
        among: bool,
        absent: bool,
        interners: &Interners,
    ) -> Self {
        let mut values: Vec<_> = values.into_iter().map(|it| interners.texts.find(it)).collect();
        values.sort_unstable();
        Self::Label { key: interners.texts.find(key), values, among, absent }
    }

    fn passes(&self, name: &str, node: &Attributes, interners: &Interners) -> bool {
        let value = |key| lookup(&node.labels, key);
        match self {
            Self::Label { key, values, among, absent } => {
                value(*key).map_or(*absent, |it| values.binary_search(&it).is_ok() == *among)
            }
            Self::Number { key, is, bound } => {
                let number = value(*key).and_then(|it| interners.texts.value(it).parse().ok());
                number.is_some_and(|it| is(&it, bound))
            }
            Self::Name { name: wanted, is } => (name == *wanted) == *is,
        }
    }
}
