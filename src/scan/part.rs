//! The pod in an object that stands alone, and whose it is as far as the object says.

use super::{
    Owner,
    read::{self, Named},
};
use crate::pod::Kind;

/// A pod or the template of one, and its owner.
pub struct Part<'a> {
    pub owner: Owner,
    pub text: &'a str,
}

/// The pod in an object of that kind; `name` is that of the object, if it has none itself. `None` if
/// there is no pod in it, or if it is what the controller of another template makes of that.
///
/// # Errors
/// Why it cannot be read.
pub fn part<'a>(kind: Kind, name: &str, object: &'a str) -> Result<Option<Part<'a>>, String> {
    let named: Named<'_> = serde_json::from_str(object).map_err(|it| it.to_string())?;
    let metadata = named.metadata.unwrap_or_default();
    let own = Owner::of_kind(kind, metadata.any_name().unwrap_or(name));
    let controller = metadata.controller().map(Owner::of);
    if kind == Kind::Pod {
        let owner = controller.map_or(own, |it| it.guessed(metadata.template_hash()));
        return Ok(Some(Part { owner, text: object }));
    }
    let is_between = matches!(kind, Kind::ReplicaSet | Kind::Job);
    let owner = match controller {
        Some(it) if is_between && it.is_read() => return Ok(None),
        Some(it) if is_between => it,
        _ => own,
    };
    Ok(read::template(kind, object)?.map(|text| Part { owner, text }))
}

impl Owner {
    /// The workload at the top, by the names that the controllers of Deployments and `CronJobs`
    /// give to what they make.
    fn guessed(self, template_hash: Option<&str>) -> Self {
        let stem = |suffix: &str| self.name.strip_suffix(suffix)?.strip_suffix('-');
        match (self.group(), self.kind.as_str()) {
            ("apps", "ReplicaSet") => match template_hash.and_then(stem) {
                Some(name) => Self::of_kind(Kind::Deployment, name),
                None => self,
            },
            ("batch", "Job") => match self.name.rsplit_once('-') {
                Some((name, it)) if is_minute(it) => Self::of_kind(Kind::CronJob, name),
                _ => self,
            },
            _ => self,
        }
    }
}

/// Whether a text is a time between 2019 and 2084 in minutes since 1970, by which the jobs of a
/// `CronJob` are named; a day such as 20261124 is none.
fn is_minute(text: &str) -> bool {
    let minutes = text.parse::<u32>();
    text.len() == 8 && minutes.is_ok_and(|it| (26_000_000..60_000_000).contains(&it))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::a_deployment("apps/v1", "ReplicaSet", "web-5d", Some("5d"), "deployment \"web\"")]
    #[case::a_rollout("apps/v1", "ReplicaSet", "web-5d", None, "replicaset \"web-5d\"")]
    #[case::a_cron_job("batch/v1", "Job", "tidy-29400000", None, "cronjob \"tidy\"")]
    #[case::a_job_with_a_date("batch/v1", "Job", "tidy-20261124", None, "job \"tidy-20261124\"")]
    #[case::another_group("example.com/v1", "Job", "tidy-29400000", None, "job \"tidy-29400000\"")]
    fn the_owner_of_a_pod_is_told_by_names(
        #[case] api_version: &str,
        #[case] kind: &str,
        #[case] name: &str,
        #[case] hash: Option<&str>,
        #[case] expected: &str,
    ) {
        let labels = hash.map_or(Value::Null, |it| json!({ "pod-template-hash": it }));
        let controller =
            json!({ "apiVersion": api_version, "kind": kind, "name": name, "controller": true });
        let pod = json!({ "metadata": { "labels": labels, "ownerReferences": [controller] } });
        let text = pod.to_string();
        let part = part(Kind::Pod, "", &text).unwrap().unwrap();
        assert_eq!(part.owner.title(), expected);
    }
}
