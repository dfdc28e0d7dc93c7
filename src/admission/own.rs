//! Denies mistakes in callgate's own configuration when it is written: policies, profiles, and
//! labels of namespaces.

use crate::{
    admission::{
        Outcome,
        answer::Answer,
        request::Own,
        reviewer::{Judgement, Reviewer},
    },
    group::{MODE_LABEL, POLICY_LABEL},
    policy::{Labels, MOST_LINES, MOST_WARNINGS, cut},
    profile::{Finding, ObjectName, ProfilePath, Severity, errors},
};

/// The namespaces that all our webhook configurations leave out by name (tests/manifests
/// compares).
pub const LEFT_OUT: [&str; 2] = ["callgate-system", "kube-system"];

/// The namespaces that are left out besides where a policy governs those without a label
/// (manifests/components/everywhere; tests/manifests compares).
pub const LEFT_OUT_EVERYWHERE: [&str; 2] = ["kube-node-lease", "kube-public"];

impl<'a> Reviewer<'a> {
    pub(super) fn judge_own(&self, answer: Answer<'a>, own: &Own, name: &str) -> Judgement<'a> {
        let policies = &self.snapshot.policies;
        let (objection, warnings) = match own {
            Own::Labels { before, after } => {
                let objection = policies.validate_labels(before, after, &self.live.policy);
                let is_left_out = LEFT_OUT.contains(&name)
                    || policies.has_default() && LEFT_OUT_EVERYWHERE.contains(&name);
                let warnings =
                    if is_left_out { warn_of_labels(name, before, after) } else { Vec::new() };
                (objection, warnings)
            }
            Own::Policy(policy) => (policies.validate_policy(policy), Vec::new()),
            Own::PolicyDeleted => {
                (policies.validate_policy_deletion(name, self.live.obeying.as_deref()), Vec::new())
            }
            Own::Profile(findings) => return judge_profile(answer, findings, name),
            Own::ProfileDeleted => (None, self.warn_of_the_end_of(name)),
        };
        match objection {
            Some(why) => Judgement::of(answer.deny(why), Outcome::Denied),
            None => Judgement::of(answer.warnings(warnings), Outcome::Allowed),
        }
    }

    /// A profile may be deleted; warnings say what follows.
    fn warn_of_the_end_of(&self, profile: &str) -> Vec<String> {
        let Ok(path) = ProfilePath::of_object(profile) else { return Vec::new() };
        let setting = self.snapshot.policies.setting(&path).take(MOST_WARNINGS - 1);
        let policies = setting.map(|it| {
            format!(
                "policy {it:?} sets profile {profile:?}: its pods will be denied, change it first"
            )
        });
        let nodes = format!(
            "profile {profile:?} stays on the nodes for as long as their agents keep what is \
             released (24 hours by default), then pods that name {:?} no longer start",
            path.as_str()
        );
        policies.chain([nodes]).map(cut).collect()
    }
}

/// Warns of a new label that has no effect.
fn warn_of_labels(namespace: &str, before: &Labels, after: &Labels) -> Vec<String> {
    let is_new =
        |before: &Option<String>, after: &Option<String>| after.is_some() && after != before;
    let labels = [
        (POLICY_LABEL, is_new(&before.policy, &after.policy)),
        (MODE_LABEL, is_new(&before.mode, &after.mode)),
    ];
    let idle = labels.into_iter().filter(|(_, is_new)| *is_new);
    idle.map(|(key, _)| {
        format!(
            "{key} has no effect on namespace {namespace:?}: the webhook configurations leave it \
             out by its name"
        )
    })
    .collect()
}

/// Denies a profile with an error, and warns of one with warnings.
fn judge_profile<'a>(answer: Answer<'a>, findings: &[Finding], name: &str) -> Judgement<'a> {
    // A generated name is not set yet, and never too long.
    if let Err(why) = name.parse::<ObjectName>()
        && !name.is_empty()
    {
        return Judgement::of(answer.deny(why.to_string()), Outcome::Denied);
    }
    if let Some(lines) = errors(findings, MOST_LINES) {
        let message = format!("profile {name:?} is not one to run under:{lines}");
        return Judgement::of(answer.deny(message), Outcome::Denied);
    }
    let warnings = || findings.iter().filter(|it| it.lint.severity == Severity::Warning);
    let count = warnings().count();
    let shown = warnings().take(MOST_WARNINGS);
    let mut words: Vec<_> =
        shown.map(|it| cut(format!("profile {name:?}: {}", it.in_spec()))).collect();
    if count > MOST_WARNINGS {
        words.push(format!("profile {name:?}: and {} more findings", count - MOST_WARNINGS));
    }
    Judgement::of(answer.warnings(words), Outcome::Allowed)
}
