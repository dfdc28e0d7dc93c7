//! When fields of an object were changed last, by its `managedFields`.
//!
//! The API server writes them: an entry has the time at which its manager last changed a field that
//! it owns. So no field was changed later than the latest time of the entries that own it, but maybe
//! earlier.

use jiff::Timestamp;
use serde_json::Value;

use crate::watch::ManagedField;

/// When one of these labels was changed last, at the latest; `None` if the entries do not say.
pub(crate) fn last_change<'a>(
    entries: &[ManagedField],
    labels: impl IntoIterator<Item = &'a str>,
) -> Option<Timestamp> {
    let changes = labels.into_iter().map(|label| {
        let key = format!("f:{label}");
        last(entries, |fields| !fields["f:metadata"]["f:labels"][&key].is_null())
    });
    // A label of which no entry tells makes the whole unknown.
    changes.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The same for the whole spec.
pub(crate) fn last_change_of_spec(entries: &[ManagedField]) -> Option<Timestamp> {
    last(entries, |fields| !fields["f:spec"].is_null())
}

fn last(entries: &[ManagedField], owns: impl Fn(&Value) -> bool) -> Option<Timestamp> {
    let owning = entries.iter().filter(|it| it.fields.as_ref().is_none_or(&owns));
    owning.map(|it| it.time).collect::<Option<Vec<_>>>()?.into_iter().max()
}
