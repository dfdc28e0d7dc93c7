//! A profile as a `SeccompProfile` holds it.

use serde_json::Value;

/// Returns the `spec` of a `SeccompProfile` in the form of a profile file.
///
/// An object holds numbers from 2^63 on as strings, since the API server stores
/// integers as signed 64 bits; here they become numbers again.
pub fn spec_of(object: &Value) -> Value {
    let mut spec = object["spec"].clone();
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
