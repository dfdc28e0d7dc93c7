//! What rules know besides the field that they check.

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
};

use jiff::civil::Date;

use crate::{
    placement::{Eligible, Nodes},
    pod::{Pod, Scope, Seccomp},
    policy::{Finding, Policy, Profile, RuntimeClasses, landing::Landing, pin},
    profile::{Catalog, ProfilePath},
};

/// All that a verdict depends on besides the pod, at one moment.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub policy: &'a Policy,
    pub catalog: &'a Catalog,
    /// Empty where there is no cluster.
    pub nodes: &'a Nodes,
    pub classes: &'a RuntimeClasses,
    /// The namespace of the request; the object need not name it.
    pub namespace: &'a str,
    /// The current day in UTC, by which exemptions expire.
    pub today: Date,
}

/// The facts, and what follows from them for the pod at hand.
///
/// Its cells are caches: what they hold is a function of the facts and the pod.
pub(super) struct Context<'a> {
    pub(super) facts: Facts<'a>,
    pub(super) pod: &'a Pod<'a>,
    /// Whether the pod is being created.
    pub(super) is_new: bool,
    /// Whether a patch that pins the pod would stay within the limit of its length.
    pub(super) is_pinnable: bool,
    /// The profile that the policy injects into this pod where none is set.
    pub(super) injected: Option<&'a Profile>,
    /// The nodes that the pod can land on, and what they report of each profile:
    /// a large cluster has thousands of nodes.
    pub(super) eligible: OnceCell<Eligible<'a>>,
    pub(super) reachable: OnceCell<Eligible<'a>>,
    pub(super) landings: RefCell<BTreeMap<ProfilePath, Landing<'a>>>,
    /// The finding of each rule in the profile at a path.
    found: RefCell<BTreeMap<String, BTreeMap<&'static str, Option<Finding>>>>,
}

impl<'a> Context<'a> {
    pub(super) fn of(pod: &'a Pod<'_>, scope: &Scope, facts: Facts<'a>) -> Self {
        Self {
            facts,
            pod,
            is_new: *scope == Scope::Whole,
            is_pinnable: pin::within_patch_limit(pod),
            injected: facts.policy.profile_for(pod),
            eligible: OnceCell::new(),
            reachable: OnceCell::new(),
            landings: RefCell::default(),
            found: RefCell::default(),
        }
    }

    /// The finding of a rule in a declared profile. Thousands of containers may
    /// declare the same one: a rule checks each path once.
    pub(super) fn once(
        &self,
        rule: &'static str,
        declared: Seccomp<'_>,
        check: impl FnOnce() -> Option<Finding>,
    ) -> Option<Finding> {
        let Seccomp::Localhost(Some(path)) = declared else {
            return check();
        };
        let known = self.found.borrow().get(path).and_then(|it| it.get(rule).cloned());
        known.unwrap_or_else(|| {
            let finding = check();
            let mut found = self.found.borrow_mut();
            found.entry(path.to_owned()).or_default().insert(rule, finding.clone());
            finding
        })
    }
}
