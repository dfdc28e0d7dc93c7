//! Applies the patch of `/mutate`, as the API server does before it calls `/validate`.

use serde_json::{Map, Value};

use crate::policy::{Operation, Patch};

/// The pod with the patch applied.
pub(super) fn patched(pod: &str, patch: &Patch) -> Option<String> {
    let mut pod: Value = serde_json::from_str(pod).ok()?;
    for operation in &patch.operations {
        match operation {
            Operation::Add { path, value } => {
                let (parent, key) = path.rsplit_once('/')?;
                let value = serde_json::to_value(value).ok()?;
                match pod.pointer_mut(parent)? {
                    Value::Object(fields) => _ = fields.insert(unescaped(key), value),
                    Value::Array(items) if key == "-" => items.push(value),
                    Value::Array(items) => {
                        let at = key.parse().ok().filter(|it| *it <= items.len())?;
                        items.insert(at, value);
                    }
                    _ => return None,
                }
            }
            Operation::Remove { path } => {
                let (parent, key) = path.rsplit_once('/')?;
                let fields: &mut Map<_, _> = pod.pointer_mut(parent)?.as_object_mut()?;
                fields.remove(&unescaped(key))?;
            }
        }
    }
    Some(pod.to_string())
}

/// RFC 6901, section 3 (S17).
fn unescaped(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}
