//! A profile as it is decoded, from a file or from a `SeccompProfile`.

use serde_json::Value;

use crate::{
    position::Position,
    profile::{
        Broken, Defect, Digest, Document, Doubt, Finding, Json, Managed, Target,
        decode::TypeMismatch, lints,
    },
    yaml,
};

/// A profile that is decoded once: admission, conditions, the catalog and agents read from it
/// whatever they need.
pub struct DecodedProfile {
    pub(crate) json: Json,
    pub(crate) document: Document,
    pub(crate) mismatches: Vec<TypeMismatch>,
}

impl DecodedProfile {
    pub fn of(json: Json) -> Self {
        let (document, mismatches) = Document::decode(&json);
        Self { json, document, mismatches }
    }

    /// Decodes a profile file.
    ///
    /// # Errors
    /// The file is not JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        Json::parse(bytes).map(Self::of).map_err(|malformed| {
            let Position { line, column } = Position::of(malformed.offset, bytes);
            Broken::NotJson(format!("{malformed} at line {line} column {column}"))
        })
    }

    /// Decodes the `spec` of a `SeccompProfile`.
    pub fn of_spec(spec: Value) -> Self {
        Self::of(Json::from(&as_file(spec)))
    }

    /// As [`of_spec`](Self::of_spec), for a whole object.
    pub fn of_object(object: &Value) -> Self {
        Self::of_spec(object["spec"].clone())
    }

    /// As [`of_object`](Self::of_object), of an object in YAML; its source locations are those of the
    /// YAML.
    pub(crate) fn of_yaml(document: &yaml::Document<'_>) -> Self {
        let Some(spec) = document.field(document.root(), "spec") else {
            return Self::of_spec(Value::Null);
        };
        let mut json = Json::of_yaml(document, spec.value);
        for key in NUMBERS {
            json.read_numbers(&["syscalls", "args", key]);
        }
        Self::of(json)
    }

    /// The findings of all lints, in the order of the document.
    pub fn findings(&self) -> Vec<Finding> {
        lints::findings(self, &Target::default())
    }

    /// As [`findings`](Self::findings), for some nodes.
    pub fn findings_for(&self, target: &Target) -> Vec<Finding> {
        lints::findings(self, target)
    }

    /// The most severe doubt about a profile that has no other defect.
    pub fn doubt(&self) -> Option<Doubt> {
        lints::doubt(self)
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

    /// The defect, or a doubt where there is no other defect.
    pub fn appraise(&self) -> Option<Defect> {
        self.defect().or_else(|| self.doubt().map(Defect::Doubtful))
    }

    /// What the catalog has of a `SeccompProfile`.
    pub fn managed(&self) -> Managed {
        let digest = self.document().ok().map(|it| Digest::of(it.canonical().as_bytes()));
        Managed { defect: self.appraise(), digest }
    }
}

/// The numbers of a condition that an object may hold as strings.
const NUMBERS: [&str; 2] = ["value", "valueTwo"];

/// Turns the `spec` of a `SeccompProfile` into the content of a profile file.
///
/// An object holds numbers from 2^63 on as strings, since the API server stores
/// integers as signed 64 bits; here they become numbers again.
pub fn as_file(mut spec: Value) -> Value {
    let syscalls = spec.get_mut("syscalls").and_then(Value::as_array_mut).into_iter().flatten();
    let args = syscalls.filter_map(|it| it.get_mut("args")?.as_array_mut()).flatten();
    for arg in args {
        for key in NUMBERS {
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
        let arg = |value: Value| json!({ "syscalls": [{ "args": [{ "value": value }] }] });
        let of = |value| as_file(arg(value))["syscalls"][0]["args"][0]["value"].clone();
        assert_eq!(of(json!("18446744073709551615")), json!(u64::MAX));
        assert_eq!(of(json!(7)), json!(7));
        assert_eq!(of(json!("many")), json!("many"));
        assert_eq!(as_file(Value::Null), Value::Null);
    }
}
