//! Log lines as text.

use std::{
    error::Error,
    fmt::{self, Debug, Write},
};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::{RecordFields, VisitOutput},
    fmt::{
        FormatFields,
        format::{DefaultVisitor, Writer},
    },
};

use super::bounded::Budget;
use crate::causes::chain;

/// Writes fields as `tracing-subscriber` does, but with a maximum length and without line breaks.
pub(in crate::telemetry) struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let inner = DefaultVisitor::new(writer, true);
        let mut visitor = Bounded { inner, budget: Budget::for_an_event() };
        fields.record(&mut visitor);
        visitor.inner.finish()
    }
}

struct Bounded<'w> {
    inner: DefaultVisitor<'w>,
    budget: Budget,
}

impl Visit for Bounded<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.inner.record_str(field, &self.budget.text(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.inner.record_debug(field, &InOneLine(&self.budget.text(&chain(value))));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.inner.record_f64(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.inner.record_i64(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.inner.record_u64(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.inner.record_i128(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.inner.record_u128(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.inner.record_bool(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.inner.record_debug(field, &InOneLine(&self.budget.debug(value)));
    }
}

/// A text without quotes whose control characters are escaped, so that none ends the line or moves
/// the cursor of a terminal.
struct InOneLine<'a>(&'a str);

impl Debug for InOneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            let control = part.chars().next_back().filter(|it| it.is_control());
            f.write_str(&part[..part.len() - control.map_or(0, char::len_utf8)])?;
            control.into_iter().flat_map(char::escape_debug).try_for_each(|it| f.write_char(it))?;
        }
        Ok(())
    }
}
