//! docs/api.md, from the definitions of the objects that a cluster stores.

use serde_json::Value;

use crate::{assert_current, cell, row};

const HEAD: &str = "\
# API reference

The objects of `callgate.dev/v1alpha1`, field by field, as `kubectl explain` shows them.
This page is generated: change `src/api`, then run `cargo run -- crds >manifests/crds/crds.yaml` and `UPDATE=1 cargo test --test docs`.

*Required* is meant within the object that the field is in.
The API server denies an object that is beyond a limit; a limit in quotes is its message.
[policy.md](policy.md) and [profiles.md](profiles.md) describe what the fields lead to, with examples.
";

#[test]
fn docs_api_is_generated_from_the_schemas() {
    let mut page = HEAD.to_owned();
    for definition in callgate::api::definitions() {
        page += &section(&definition);
    }
    assert_current("docs/api.md", &page);
}

/// `kubectl explain` shows only this about a field.
#[test]
fn every_field_has_a_description() {
    for definition in callgate::api::definitions() {
        let mut fields = Vec::new();
        walk("", schema(&definition), &mut fields);
        for Field { path, schema, .. } in fields {
            assert!(schema["description"].is_string(), "{path} has no description");
        }
    }
}

fn section(definition: &Value) -> String {
    let names = &definition["spec"]["names"];
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let schema = schema(definition);
    let mut section = format!("\n## {}\n\n", text(&names["kind"]));
    section += &format!("{}\n\n", cell(&text(&schema["description"])));
    section += &format!(
        "`kubectl get {}`, in short `{}`; scope: {}.\n",
        text(&names["plural"]),
        text(&names["shortNames"][0]),
        text(&definition["spec"]["scope"]).to_lowercase()
    );
    let demands = validations(schema);
    if !demands.is_empty() {
        section += &format!("Limits of `metadata.name`: {}.\n", demands.join("; "));
    }
    section += "\n| field | type | required | default | limits | |\n";
    section += "| --- | --- | --- | --- | --- | --- |\n";
    let mut fields = Vec::new();
    walk("", schema, &mut fields);
    for Field { path, schema, required } in fields {
        let default = &schema["default"];
        section += &row(&[
            format!("`{path}`"),
            format!("`{}`", kind(schema)),
            if required { "yes" } else { "" }.to_owned(),
            if default.is_null() { String::new() } else { format!("`{}`", plain(default)) },
            cell(&limits(schema).join("; ")),
            description(&path, schema),
        ]);
    }
    section
}

fn schema(definition: &Value) -> &Value {
    let versions = definition["spec"]["versions"].as_array().expect("there are versions");
    let [version] = &versions[..] else { panic!("the page has no room for two versions") };
    &version["schema"]["openAPIV3Schema"]
}

struct Field<'a> {
    path: String,
    schema: &'a Value,
    required: bool,
}

/// Every field below an object, with the objects in its lists and maps.
fn walk<'a>(path: &str, object: &'a Value, found: &mut Vec<Field<'a>>) {
    let required = object["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (key, schema) in object["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{key}");
        let required = required.iter().any(|it| it == key.as_str());
        found.push(Field { path: path.clone(), schema, required });
        walk(&format!("{path}."), schema, found);
        walk(&format!("{path}[]."), &schema["items"], found);
        walk(&format!("{path}.*."), &schema["additionalProperties"], found);
    }
}

fn kind(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", kind(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", kind(&schema["additionalProperties"]))
        }
        Some(other) => {
            schema["format"].as_str().filter(|_| other == "string").unwrap_or(other).into()
        }
        None => panic!("a field without a type: {schema}"),
    }
}

/// What an API server checks, in words.
fn limits(schema: &Value) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().map(|it| format!("`{}`", plain(it)));
        limits.push(values.collect::<Vec<_>>().join(", "));
    }
    limits.extend(range(schema, ["minimum", "maximum"], ""));
    limits.extend(range(schema, ["minLength", "maxLength"], " characters"));
    limits.extend(range(schema, ["minItems", "maxItems"], " items"));
    limits.extend(range(schema, ["minProperties", "maxProperties"], " keys"));
    if let Some(pattern) = schema["pattern"].as_str() {
        limits.push(format!("`{pattern}`"));
    }
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => limits.push("no item twice".to_owned()),
        Some("map") => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
            let keys: Vec<_> = keys.map(|it| format!("`{}`", plain(it))).collect();
            limits.push(format!("no {} twice", keys.join(" and ")));
        }
        _ => {}
    }
    limits.extend(validations(schema));
    for inner in [&schema["items"], &schema["additionalProperties"]] {
        if inner["properties"].is_null() {
            limits.extend(self::inner(inner));
        } else {
            limits.extend(validations(inner));
        }
    }
    limits
}

fn inner(schema: &Value) -> Option<String> {
    let limits = if schema.is_object() { limits(schema) } else { Vec::new() };
    (!limits.is_empty()).then(|| format!("each: {}", limits.join("; ")))
}

fn range(schema: &Value, [least, most]: [&str; 2], unit: &str) -> Option<String> {
    let number = |key: &str| schema[key].as_f64().map(|it| it.to_string());
    match (number(least), number(most)) {
        (None, None) => None,
        (Some(least), None) => Some(format!("at least {least}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
    }
}

/// The message of each rule in CEL, whose expression is harder to read.
fn validations(schema: &Value) -> Vec<String> {
    let all = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    all.map(|it| format!("{:?}", plain(&it["message"]))).collect()
}

/// Kubernetes describes its own types at length, and elsewhere too.
fn description(path: &str, schema: &Value) -> String {
    let text = cell(schema["description"].as_str().unwrap_or_default());
    let theirs = ["podSelector", "conditions[]"].iter().any(|it| path.contains(it));
    match text.split_once(". ") {
        Some((first, _)) if theirs && !path.ends_with("podSelector") => format!("{first}."),
        _ => text,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
