//! What a pod demands of its node.

use crate::{
    placement::{
        Taint,
        interner::lookup,
        record::{Attributes, Interners},
    },
    pod::{Pod, Requirement, Term},
};

/// How many requirements are evaluated. A node affinity with more is taken as one that every node
/// meets; with more tolerations every taint is taken as tolerated; of a node selector only this
/// many are evaluated. A pod has room for tens of thousands, and comparing each with every node or
/// taint would delay the review. Findings on nodes that the pod can really land on are still made.
pub const MOST_REQUIREMENTS: usize = 1_000;

/// The label of a node's operating system, which its kubelet sets.
const OS: &str = "kubernetes.io/os";

/// What a pod demands, in interned numbers, so that it is worked out once for all nodes.
///
/// A node must pass the scheduler's plugins `NodeAffinity`, `TaintToleration` and
/// `NodeUnschedulable` (pkg/scheduler/framework/plugins in Kubernetes 1.37). Other plugins, about
/// resources, ports, volumes or other pods, are left out: their answers change from moment to
/// moment, and only ever leave fewer nodes.
///
/// The scheduler ignores `spec.os.name`. But the kubelet rejects a pod for another operating system
/// (`rejectPodAdmissionBasedOnOSField` in pkg/kubelet/lifecycle/predicate.go), so the pod never
/// runs there.
#[derive(Debug)]
pub(super) struct Demand<'a> {
    all: Vec<Test<'a>>,
    /// At least one of these terms must pass; `None` without a required node affinity.
    any: Option<Vec<Vec<Test<'a>>>>,
    /// For each taint that some node has, whether the pod tolerates it.
    tolerated: Vec<bool>,
    interners: &'a Interners,
}

#[derive(Debug)]
enum Test<'a> {
    /// For a label with one of these values the result is `among`, for one with another value its
    /// opposite, and without the label it is `absent`. The values are in rising order.
    Label { key: u32, values: Vec<u32>, among: bool, absent: bool },
    /// The label must be an integer on that side of the bound.
    Number { key: u32, is: fn(&i64, &i64) -> bool, bound: i64 },
    /// The name of the node must be equal, or must differ.
    Name { name: &'a str, is: bool },
}

// === impl Demand ===

impl<'a> Demand<'a> {
    pub(super) fn of(pod: &'a Pod<'_>, interners: &'a Interners) -> Self {
        // In an object from an API server keys are unique, so that hardly any node has this many.
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

    /// The same demand with every possible toleration.
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

/// The number of comparisons that these terms need.
fn count(terms: &[Term<'_>]) -> usize {
    terms.iter().map(|it| it.expressions().len() + it.fields().len()).sum()
}

/// The tests of one term. `None` if no node passes it: the term is empty, or the scheduler cannot
/// parse it (`newNodeSelectorTerm` in k8s.io/component-helpers/scheduling/corev1/nodeaffinity). The
/// API server checks that a term holds valid labels.
fn tests<'a>(term: &'a Term<'_>, interners: &Interners) -> Option<Vec<Test<'a>>> {
    let labels = term.expressions().iter().map(|it| Test::of_label(it, interners));
    let tests: Option<Vec<_>> = labels.chain(term.fields().iter().map(Test::of_field)).collect();
    tests.filter(|it| !it.is_empty())
}

// === impl Test ===

impl<'a> Test<'a> {
    /// As `Requirement.Matches` in k8s.io/apimachinery/pkg/labels.
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
            // Rust accepts the same texts for integers as Go's ParseInt with base ten.
            ("Gt", [bound]) => number(i64::gt, bound),
            ("Lt", [bound]) => number(i64::lt, bound),
            _ => None,
        }
    }

    /// As `nodeSelectorRequirementsAsFieldSelector`; the name is the only field that the API server
    /// accepts.
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
