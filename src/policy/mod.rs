//! Decides. Knows pods, profiles and rules; knows no HTTP, no cluster, no clock.

// Where the default is to find nothing, a new kind of thing must not become one by itself.
#![deny(clippy::wildcard_enum_match_arm)]

mod builtin;
mod document;
mod evaluate;
mod exemption;
mod field_path;
mod index;
mod judged;
mod landing;
mod level;
mod parse_error;
mod patch;
mod pin;
mod rules;
mod runtime;
mod selector;
mod stored;
mod verdict;

pub use builtin::{BUILTIN, Builtin};
pub use document::{Policy, Profile, Templates};
pub use exemption::Exemption;
pub use field_path::FieldPath;
pub use index::{Governed, Labels, MODE_LABEL, POLICY_LABEL, PolicyIndex, Presence};
pub use judged::{Judged, cut};
pub use landing::Placement;
pub use level::{Level, Mode};
pub use parse_error::PolicyError;
pub use patch::{Operation, Patch};
pub use rules::RULES;
pub use runtime::RuntimeClasses;
pub use stored::Stored;
pub use verdict::{Counts, MOST_LINES, MOST_WARNINGS, Verdict};

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
};

use jiff::civil::Date;
use landing::Landing;

use crate::{
    placement::{Eligible, Nodes},
    pod::{Annotation, Container, Pod, Scope, Seccomp},
    profile::{Catalog, ProfilePath},
};

/// One thing the policy can object to.
///
/// A rule is a value: a name, a level, a page and a pure function. Adding one
/// is a new file in `rules/`, a line in [`RULES`], a table and a page.
pub struct Rule {
    /// Stable name: key in policies, metric label, audit annotation, file
    /// stem of its code, its page and its table of cases. It never changes.
    pub id: &'static str,
    /// What a finding leads to where a policy does not say otherwise.
    pub level: Level,
    /// Why the rule exists and what to do, in Markdown.
    pub page: &'static str,
    check: Check,
}

/// What a rule looks at; walking over pods and naming places is not its business.
enum Check {
    /// Every container that is up for judgement.
    Container(fn(&Container<'_>, &Context<'_>) -> Option<Finding>),
    /// Every profile that is declared, once, where it is declared.
    Profile(fn(Seccomp<'_>, &Context<'_>) -> Option<Finding>),
    /// Every legacy annotation.
    Annotation(fn(&Annotation<'_>, &Context<'_>) -> Option<Finding>),
    /// The runtime class, where one is named.
    RuntimeClass(fn(&str, &Context<'_>) -> Option<Finding>),
}

/// All that may be known besides the pod, at one moment.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub policy: &'a Policy,
    pub catalog: &'a Catalog,
    /// None at all where there is no cluster.
    pub nodes: &'a Nodes,
    pub classes: &'a RuntimeClasses,
    /// The namespace that the request names; the object need not name it.
    pub namespace: &'a str,
    /// Exemptions end with their day, in UTC.
    pub today: Date,
}

/// The facts, and what they mean for the pod at hand.
struct Context<'a> {
    facts: Facts<'a>,
    pod: &'a Pod<'a>,
    /// Whether it is yet to be made.
    is_new: bool,
    /// Whether no patch would be unbearably long that kept it to nodes.
    is_pinnable: bool,
    /// What the policy injects into this pod where nothing is set.
    injected: Option<&'a Profile>,
    /// The nodes that the pod can land on, and what they said of each profile:
    /// to ask all of them takes its time.
    eligible: OnceCell<Eligible<'a>>,
    reachable: OnceCell<Eligible<'a>>,
    landings: RefCell<BTreeMap<ProfilePath, Landing<'a>>>,
    /// What was found in the profile at a path, by the rule.
    found: RefCell<BTreeMap<String, BTreeMap<&'static str, Option<Finding>>>>,
    /// For how many profiles others were searched that may have been meant.
    searches: Cell<usize>,
}

/// What one rule says of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub message: String,
    /// The way out, where there is a particular one.
    pub hint: Option<String>,
    pub fix: Option<Fix>,
}

/// A change that makes a finding go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Set the profile that the policy names for this pod.
    Inject,
    /// Remove the annotation.
    RemoveAnnotation,
    /// Keep the pod to nodes that have this profile.
    Pin(ProfilePath),
}

/// A finding, who found it, and where.
pub struct Found<'a> {
    pub rule: &'static Rule,
    pub field: FieldPath<'a>,
    pub finding: Finding,
}

// === impl Context ===

impl<'a> Context<'a> {
    fn of(pod: &'a Pod<'_>, scope: &Scope, facts: Facts<'a>) -> Self {
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
            searches: Cell::default(),
        }
    }

    /// What a rule finds in a profile. It may be declared by thousands of
    /// containers: where it is one on a node, the rule is asked once.
    fn once(
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

    /// Whether to search for a profile that may have been meant, which takes
    /// its time: of more findings than these nobody is told anyway.
    fn may_search(&self) -> bool {
        let searches = self.searches.get() + 1;
        self.searches.set(searches);
        searches <= MOST_LINES
    }
}

// === impl Finding ===

impl Finding {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, fix: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }
}
