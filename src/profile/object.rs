//! A profile as a `SeccompProfile` holds it.

use serde_json::Value;

use crate::profile::{
    Broken, Defect, Digest, Document, Finding, Json, Managed,
    decode::TypeMismatch,
    lints::{doubt_about, lint_document},
};

/// The profile of a `SeccompProfile`, decoded once: what admission, conditions,
/// the catalog and agents make of an object, they make of this.
pub struct StoredProfile {
    json: Json,
    document: Document,
    mismatches: Vec<TypeMismatch>,
}

impl StoredProfile {
    /// Decodes the `spec` of a `SeccompProfile`.
    pub fn of_spec(spec: Value) -> Self {
        let json = Json::from(&as_file(spec));
        let (document, mismatches) = Document::decode(&json);
        Self { json, document, mismatches }
    }

    /// As [`of_spec`](Self::of_spec), for a whole object.
    pub fn of_object(object: &Value) -> Self {
        Self::of_spec(object["spec"].clone())
    }

    /// The findings of all lints, in the order of the document.
    pub fn findings(&self) -> Vec<Finding> {
        lint_document(&self.json, &self.document, &self.mismatches)
    }

    /// The profile, which agents write as its [canonical](Document::canonical) text.
    ///
    /// # Errors
    /// A field has the wrong type, so no runtime can decode it.
    pub fn document(&self) -> Result<&Document, Broken> {
        match self.mismatches.first() {
            None => Ok(&self.document),
            Some(first) => Err(first.broken(&self.json)),
        }
    }

    /// The defect on any node, if there is one.
    pub fn defect(&self) -> Option<Defect> {
        match self.document() {
            Err(broken) => Some(broken.into()),
            Ok(document) => document.defect(),
        }
    }

    /// What the catalog has of it: a doubt counts where there is no other defect.
    pub fn managed(&self) -> Managed {
        let doubt = || doubt_about(&self.json, &self.document, &self.mismatches);
        let digest = self.document().ok().map(|it| Digest::of(it.canonical().as_bytes()));
        Managed { defect: self.defect().or_else(|| doubt().map(Defect::Doubtful)), digest }
    }
}

/// Returns the `spec` of a `SeccompProfile` in the form of a profile file.
///
/// An object holds numbers from 2^63 on as strings, since the API server stores
/// integers as signed 64 bits; here they become numbers again.
pub fn spec_of(object: &Value) -> Value {
    as_file(object["spec"].clone())
}

fn as_file(mut spec: Value) -> Value {
    let syscalls = spec.get_mut("syscalls").and_then(Value::as_array_mut).into_iter().flatten();
    let args = syscalls.filter_map(|it| it.get_mut("args")?.as_array_mut()).flatten();
    for arg in args {
        for key in ["value", "valueTwo"] {
            let number = arg.get(key).and_then(Value::as_str).and_then(|it| it.parse::<u64>().ok());
            if let Some(number) = number {
                arg[key] = number.into();
            }
        }
    }
    spec
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_are_strings_become_numbers_and_nothing_else_does() {
        let arg =
            |value: Value| json!({ "spec": { "syscalls": [{ "args": [{ "value": value }] }] } });
        let of = |value| spec_of(&arg(value))["syscalls"][0]["args"][0]["value"].clone();
        assert_eq!(of(json!("18446744073709551615")), json!(u64::MAX));
        assert_eq!(of(json!(7)), json!(7));
        assert_eq!(of(json!("many")), json!("many"));
        assert_eq!(spec_of(&json!({})), Value::Null);
    }
}
