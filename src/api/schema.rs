//! The JSON Schema of an object, for editors and for tools that check manifests.

use serde_json::{Map, Value, json};

/// The JSON Schema (draft 7) of the objects that a `CustomResourceDefinition` defines, at its first version.
///
/// It is stricter than the API server, which drops unknown fields: here they are errors, since in a file they are mistakes.
/// `None` if the value is not a definition with a structural schema.
///
/// Source: the extensions of `OpenAPI` v3 that structural schemas may have,
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>.
pub fn json_schema(definition: &Value) -> Option<Value> {
    let spec = &definition["spec"];
    let version = spec["versions"].get(0)?;
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    convert(&mut schema);
    let schema = schema.as_object_mut()?;
    let kind = spec["names"]["kind"].as_str()?;
    let api_version = format!("{}/{}", spec["group"].as_str()?, version["name"].as_str()?);
    let properties = schema.entry("properties").or_insert_with(|| json!({})).as_object_mut()?;
    properties.insert("apiVersion".into(), json!({ "const": api_version }));
    properties.insert("kind".into(), json!({ "const": kind }));
    properties.insert("metadata".into(), json!({ "type": "object" }));
    let required = schema.entry("required").or_insert_with(|| json!([])).as_array_mut()?;
    for it in ["apiVersion", "kind", "metadata"] {
        if !required.iter().any(|there| there == it) {
            required.push(it.into());
        }
    }
    let mut whole = Map::new();
    whole.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    whole.insert("title".into(), kind.into());
    whole.append(schema);
    Some(whole.into())
}

/// Rewrites what `OpenAPI` v3 says in another way than JSON Schema, here and in all schemas below.
fn convert(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(convert);
    }
    for key in ["additionalProperties", "items"] {
        schema.get_mut(key).into_iter().for_each(convert);
    }
    if is_true(schema, "x-kubernetes-int-or-string") {
        schema.insert("type".into(), json!(["integer", "string"]));
    }
    let is_open = is_true(schema, "x-kubernetes-preserve-unknown-fields");
    if schema.contains_key("properties") && !schema.contains_key("additionalProperties") && !is_open
    {
        schema.insert("additionalProperties".into(), false.into());
    }
    if schema.remove("nullable") == Some(true.into()) {
        allow_null(schema);
    }
    // Ranges are stated beside the formats of numbers, which JSON Schema does not define.
    if schema.get("format").is_some_and(|it| it == "int64" || it == "int32") {
        schema.remove("format");
    }
    schema.retain(|key, _| !key.starts_with("x-kubernetes-"));
}

fn is_true(schema: &Map<String, Value>, key: &str) -> bool {
    schema.get(key) == Some(&true.into())
}

fn allow_null(schema: &mut Map<String, Value>) {
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.push("null".into()),
        Some(one) => *one = json!([one.take(), "null"]),
        None => {}
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut)
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}
