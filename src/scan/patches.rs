//! What the team of each owner would have to apply: patches for kubectl.

use serde_json::{Value, json};

use super::{
    Grade, Overview,
    overview::{FindingOverview, OwnerOverview},
};
use crate::{
    pod::Kind,
    profile::{is_label, is_subdomain},
};

/// A patch, and the place of its file below a folder.
#[derive(Debug, PartialEq, Eq)]
pub struct PatchFile {
    pub folder: String,
    pub name: String,
    pub text: String,
}

/// The patches of all owners; and the owners that cannot be patched, and why.
pub fn patches(overview: &Overview) -> (Vec<PatchFile>, Vec<String>) {
    let (mut files, mut left) = (Vec::new(), Vec::new());
    for namespace in &overview.namespaces {
        for it in &namespace.owners {
            let is_wanted =
                it.change.is_some() || it.findings.iter().any(|it| it.grade > Grade::Recorded);
            if !is_wanted {
                continue;
            }
            match file(&namespace.name, it) {
                Ok(file) => files.push(file),
                Err(why) => {
                    let title = it.owner.title();
                    left.push(format!("{title} in namespace {:?}: {why}", namespace.name));
                }
            }
        }
    }
    (files, left)
}

fn file(namespace: &str, it: &OwnerOverview) -> Result<PatchFile, &'static str> {
    let owner = &it.owner;
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.name() == owner.kind && kind.group() == owner.group());
    let kind = match kind {
        Some(Kind::Pod | Kind::Job) => return Err("it cannot be changed: create it anew"),
        Some(kind) if it.has_template => kind,
        _ => return Err("its template was not read"),
    };
    // Names of files: an owner reference may hold any text.
    if !is_label(namespace) || !is_subdomain(&owner.name) {
        return Err("it has a name that the API server does not permit");
    }
    let noun = kind.noun();
    let name = format!("{noun}-{}.yaml", owner.name);
    let mut text = format!(
        "# kubectl patch {noun} {} --namespace {namespace} --patch-file {namespace}/{name}\n",
        owner.name
    );
    let mut note = |it: String| {
        let it: String = it.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        text.push_str("# ");
        text.push_str(&it);
        text.push('\n');
    };
    if let Some(made_by) = &it.made_by {
        note(format!("made by {}, which may undo it: change it there", made_by.title()));
    }
    let mut template = json!({});
    if let Some(change) = &it.change {
        note(format!("callgate would {change}"));
        if change.contains("set RuntimeDefault") {
            template["spec"]["securityContext"] = runtime_default();
        }
    }
    for it in it.findings.iter().filter(|it| it.grade > Grade::Recorded) {
        let is_done = it.in_template && repair(it, &mut template);
        let fix = it.fix.as_deref().map(|it| format!("; {it}")).unwrap_or_default();
        let by_hand = if is_done { "" } else { " (by hand)" };
        note(format!("{}: {}{fix} [{}]{by_hand}", it.field, it.message, it.rule));
    }
    let mut patch = template;
    for key in kind.prefix().split_terminator('.').rev() {
        patch = json!({ key: patch });
    }
    let yaml = serde_saphyr::to_string(&patch).map_err(|_| "it cannot be written")?;
    Ok(PatchFile { folder: namespace.to_owned(), name, text: text + &yaml })
}

fn runtime_default() -> Value {
    json!({ "seccompProfile": { "type": "RuntimeDefault", "localhostProfile": null } })
}

/// Adds to the patch of a template what makes a finding go away; whether there is something.
fn repair(it: &FindingOverview, template: &mut Value) -> bool {
    let context = match it.rule {
        "privileged" => json!({ "privileged": false }),
        "unconfined" | "unset" => runtime_default(),
        _ => return false,
    };
    let Some((list, name)) = it.list.zip(it.container.as_deref()) else {
        merge(&mut template["spec"]["securityContext"], context);
        return true;
    };
    let containers = &mut template["spec"][list];
    if containers.is_null() {
        *containers = json!([]);
    }
    let Some(all) = containers.as_array_mut() else { return false };
    let at = all.iter().position(|it| it["name"] == name).unwrap_or_else(|| {
        all.push(json!({ "name": name }));
        all.len() - 1
    });
    merge(&mut all[at]["securityContext"], context);
    true
}

fn merge(into: &mut Value, other: Value) {
    if into.is_null() {
        *into = json!({});
    }
    if let (Some(into), Value::Object(other)) = (into.as_object_mut(), other) {
        into.extend(other);
    }
}
