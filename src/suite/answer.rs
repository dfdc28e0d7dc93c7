//! What the API server answers to the object of a case.

use serde_json::Value;

use super::{Answer, Case, Suite};
use crate::{
    pod::{Kind, Subject},
    policy::{Facts, Level, Verdict},
};

impl Suite {
    /// The answer of both webhooks, one after the other; with `unmutated`, of the validating one to
    /// the object as it is written.
    ///
    /// # Errors
    /// Why the object cannot be read.
    pub fn answer(&self, case: &Case) -> Result<Answer, String> {
        let object = case.object();
        let first = self.verdict_on(case, &object)?;
        if case.unmutated.unwrap_or_default() || first.patch.is_empty() {
            return Ok(first);
        }
        let after = self.verdict_on(case, &changed(&object, &first.patch)?)?;
        Ok(Answer { patch: first.patch, ..after })
    }

    /// What `/validate` says of an object in place of the case's own, and what `/mutate` does to it.
    ///
    /// # Errors
    /// Why the object cannot be read.
    pub fn verdict_on(&self, case: &Case, object: &Value) -> Result<Answer, String> {
        let text = object.to_string();
        let kind = case.kind();
        let subject = kind.read(&mut serde_json::Deserializer::from_str(&text));
        let Some(Subject { pod, .. }) = subject.map_err(|it| in_words(&it))? else {
            return Err(match kind {
                Kind::Pod => "it is no pod".to_owned(),
                _ => "it has no pod template".to_owned(),
            });
        };
        let facts = Facts {
            policy: &self.policy_named(&case.policy)?,
            catalog: &self.catalog(case),
            nodes: &self.nodes(case),
            classes: &self.runtime_classes(),
            namespace: &case.namespace,
            today: self.around.today,
        };
        let scope = case.scope()?;
        let verdict = Verdict::of(kind, &pod, &scope, facts, case.mode());
        let denied = verdict.judged().iter().filter(|it| it.level == Level::Deny);
        let denied: Vec<_> = denied.map(|it| verdict.line(it)).collect();
        let warned = if denied.is_empty() { verdict.warnings() } else { Vec::new() };
        let patch = verdict.patch(&pod, &scope).operations;
        let patch = patch.iter().map(serde_json::to_value).collect::<Result<_, _>>();
        let patch = patch.map_err(|it| in_words(&it))?;
        Ok(Answer { denied, warned, patch })
    }
}

/// The object with the patch applied.
pub(super) fn changed(object: &Value, patch: &[Value]) -> Result<Value, String> {
    let mut object = object.clone();
    let patch: json_patch::Patch =
        serde_json::from_value(Value::Array(patch.to_vec())).map_err(|it| in_words(&it))?;
    json_patch::patch(&mut object, &patch).map_err(|it| it.to_string())?;
    Ok(object)
}

/// The position would be that in the JSON made of the document.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
