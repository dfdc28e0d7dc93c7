//! Kubernetes label selectors.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::pod::Pod;

/// Selects pods by their labels: all requirements must hold, and an empty
/// selector selects every pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub match_expressions: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawRequirement")]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequirement {
    key: String,
    operator: OperatorName,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum OperatorName {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

#[derive(Debug, thiserror::Error)]
enum InvalidRequirement {
    #[error("operator {0:?} needs values")]
    NoValues(OperatorName),
    #[error("operator {0:?} takes no values")]
    Values(OperatorName),
}

impl Selector {
    pub fn selects(&self, pod: &Pod<'_>) -> bool {
        let label = |key: &str| pod.label(key);
        self.match_labels.iter().all(|(key, value)| label(key) == Some(value))
            && self.match_expressions.iter().all(|it| it.holds(label(&it.key)))
    }
}

impl Requirement {
    /// `NotIn` holds for an absent label, as everywhere in Kubernetes.
    fn holds(&self, label: Option<&str>) -> bool {
        let among = |values: &[String]| label.is_some_and(|it| values.iter().any(|one| one == it));
        match &self.operator {
            Operator::In(values) => among(values),
            Operator::NotIn(values) => !among(values),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
        }
    }
}

impl TryFrom<RawRequirement> for Requirement {
    type Error = InvalidRequirement;

    fn try_from(
        RawRequirement { key, operator, values }: RawRequirement,
    ) -> Result<Self, InvalidRequirement> {
        let operator = match (operator, values.is_empty()) {
            (OperatorName::In, false) => Operator::In(values),
            (OperatorName::NotIn, false) => Operator::NotIn(values),
            (OperatorName::Exists, true) => Operator::Exists,
            (OperatorName::DoesNotExist, true) => Operator::DoesNotExist,
            (it @ (OperatorName::In | OperatorName::NotIn), true) => {
                return Err(InvalidRequirement::NoValues(it));
            }
            (it, false) => return Err(InvalidRequirement::Values(it)),
        };
        Ok(Self { key, operator })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty("{}", true)]
    #[case::equal(r#"{"matchLabels": {"app": "web"}}"#, true)]
    #[case::other_value(r#"{"matchLabels": {"app": "db"}}"#, false)]
    #[case::absent(r#"{"matchLabels": {"team": "x"}}"#, false)]
    #[case::all_must_hold(r#"{"matchLabels": {"app": "web", "team": "x"}}"#, false)]
    #[case(
        r#"{"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}"#,
        true
    )]
    #[case(r#"{"matchExpressions": [{"key": "team", "operator": "In", "values": ["x"]}]}"#, false)]
    #[case(
        r#"{"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}"#,
        false
    )]
    #[case(
        r#"{"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["x"]}]}"#,
        true
    )]
    #[case(r#"{"matchExpressions": [{"key": "app", "operator": "Exists"}]}"#, true)]
    #[case(r#"{"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}"#, false)]
    #[case(r#"{"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}"#, true)]
    fn selects(#[case] selector: &str, #[case] expected: bool) {
        let pod: Pod<'_> =
            serde_json::from_str(r#"{"metadata": {"labels": {"app": "web", "tier": ""}}}"#)
                .unwrap();
        assert_eq!(serde_json::from_str::<Selector>(selector).unwrap().selects(&pod), expected);
    }

    #[rstest]
    #[case(
        r#"{"matchExpressions": [{"key": "app", "operator": "In"}]}"#,
        "operator In needs values"
    )]
    #[case(
        r#"{"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}"#,
        "operator Exists takes no values"
    )]
    fn refuses(#[case] selector: &str, #[case] why: &str) {
        let error = serde_json::from_str::<Selector>(selector).unwrap_err().to_string();
        assert!(error.starts_with(why), "{error}");
    }
}
