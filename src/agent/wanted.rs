//! What the profiles of the cluster are to be on a node. Pure.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{name::Name, native};
use crate::profile::{Digest, Document, Problem, Severity, lint, spec_of};

/// Every profile of the cluster, by name. A clone is cheap.
pub type Wanted = BTreeMap<Name, Want>;

/// What is to become of one profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    Install(Arc<Text>),
    /// It is no profile, or one that nothing could run under: it got past the
    /// webhook, which was away, or is of another version. What is on the node
    /// under its name stays as it is.
    Refused(String),
}

/// What a file is to hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    pub digest: Digest,
    pub problem: Option<Problem>,
}

/// Reads a `SeccompProfile`, by the same parser and linter that admit it.
pub fn want(object: &Value) -> Want {
    let spec = spec_of(object).to_string();
    let errors = lint(spec.as_bytes()).into_iter();
    let mut errors = errors.filter(|it| it.lint.severity == Severity::Error);
    if let Some(error) = errors.next() {
        return Want::Refused(error.to_string());
    }
    match Document::parse(spec.as_bytes()) {
        Ok(document) => {
            let problem = native::defect(&document).as_ref().and_then(Problem::of);
            Want::Install(Arc::new(Text { problem, ..Text::sound(document.canonical()) }))
        }
        Err(broken) => Want::Refused(broken.to_string()),
    }
}

impl Text {
    /// A text with nothing wrong with it.
    pub fn sound(text: String) -> Self {
        Self { digest: Digest::of(text.as_bytes()), problem: None, text }
    }
}

impl Want {
    /// What the file is to hold; none, where it is left as it is.
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::Install(it) => Some(it),
            Self::Refused(_) => None,
        }
    }

    /// The digest of what the file is to hold.
    pub fn digest(&self) -> Option<Digest> {
        self.text().map(|it| it.digest)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_profile_is_installed_as_we_write_it() {
        let spec = json!({ "syscalls": [{
            "action": "SCMP_ACT_ERRNO", "names": ["mkdir"],
            "args": [{ "index": 0, "value": "18446744073709551615", "op": "SCMP_CMP_EQ" }],
        }], "defaultAction": "SCMP_ACT_ALLOW" });
        let Want::Install(it) = want(&json!({ "spec": spec })) else { panic!("refused") };
        assert!(it.text.starts_with("{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\",\n"));
        assert!(it.text.contains("\"value\": 18446744073709551615,"), "{}", it.text);
        assert_eq!(it.digest, Digest::of(it.text.as_bytes()));
        assert_eq!(it.problem, None);
    }

    /// A warning to whoever writes it, and a word in the report.
    #[test]
    fn a_profile_that_filters_nothing_is_installed_and_known_for_it() {
        let hollow = want(&json!({ "spec": { "defaultAction": "SCMP_ACT_ALLOW" } }));
        assert_eq!(hollow.text().unwrap().problem, Some(Problem::Hollow));
    }

    #[test]
    fn what_the_linter_refuses_is_not_installed() {
        let refused = |spec: Value| match want(&json!({ "spec": spec })) {
            Want::Refused(why) => why,
            Want::Install(_) => "installed".to_owned(),
        };
        let all = json!({ "defaultAction": "SCMP_ACT_ERRNO" });
        assert_eq!(
            refused(all),
            "defaultAction: denies execve, by which the runtime starts the program, so no container starts [no-execve]"
        );
        assert_ne!(refused(json!({})), "installed");
        assert_ne!(refused(json!({ "defaultAction": "SCMP_ACT_NOTIFY" })), "installed");
        assert_ne!(refused(Value::Null), "installed");
    }
}
