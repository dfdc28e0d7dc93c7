//! A policy with exemptions that let through what runs today, to start from.

use std::fmt::Write as _;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::{Grade, Overview, overview::FindingOverview};
use crate::{
    group::{API_VERSION, POLICY},
    policy::Builtin,
};

/// The schema of policies allows no more.
const MOST: usize = 256;

/// The policy with its exemptions, as an object; and what no exemption can let through.
///
/// # Errors
/// Why none can be written.
pub fn exempting(
    overview: &Overview,
    base: &Builtin,
    until: Date,
) -> Result<(Value, Vec<String>), String> {
    let mut object: Value = serde_saphyr::from_str(base.yaml).map_err(|it| it.to_string())?;
    object["apiVersion"] = json!(API_VERSION);
    object["kind"] = json!(POLICY.kind);
    object["metadata"]["name"] = json!(format!("{}-with-exemptions", base.name));
    let (mut exemptions, mut left) = (Vec::new(), Vec::new());
    for namespace in &overview.namespaces {
        for owner in &namespace.owners {
            let title = format!("{} of namespace {:?}", owner.owner.title(), namespace.name);
            if owner.unreadable.is_some() || owner.more > 0 {
                left.push(format!("{title}: not all of its findings are known"));
            }
            let denied = owner.findings.iter().filter(|it| it.grade == Grade::Denied);
            for (number, it) in denied.enumerate() {
                let of = format!(
                    "{}/{}/{}",
                    namespace.name,
                    owner.owner.kind.to_lowercase(),
                    owner.owner.name
                );
                exemptions.push(exemption(&namespace.name, (&of, number), it, until));
            }
        }
    }
    if exemptions.len() > MOST {
        left.push(format!(
            "{} further exemptions do not fit into one policy",
            exemptions.len() - MOST
        ));
        exemptions.truncate(MOST);
    }
    object["spec"]["exemptions"] = json!(exemptions);
    Ok((object, left))
}

fn exemption(
    namespace: &str,
    (of, number): (&str, usize),
    it: &FindingOverview,
    until: Date,
) -> Value {
    let mut name = of.to_owned();
    write!(name, "/{}", number + 1).expect("a string takes everything");
    let mut scope = json!({
        "namespaces": [namespace], "serviceAccounts": [&*it.service_account],
    });
    if let Some(container) = &it.container {
        scope["containers"] = json!([&**container]);
    }
    json!({
        "name": name.chars().take(253).collect::<String>(), "reason": "found by scan",
        "owner": of.chars().take(253).collect::<String>(), "expires": until.to_string(),
        "rules": [it.rule], "match": scope,
    })
}
