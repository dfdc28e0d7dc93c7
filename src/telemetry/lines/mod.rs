//! The format of log lines. Every field and every line has a maximum length.

mod bounded;
mod json;
mod text;

pub(super) use self::{json::JsonLine, text::TextFields};

/// The maximum length of a line: container runtimes split a longer one in two.
pub(super) const LONGEST: usize = 16 * 1024;

/// The beginning of a text that is printed outside of an event, such as the last error of a
/// command.
pub(super) fn bounded(text: &str) -> std::borrow::Cow<'_, str> {
    bounded::Budget::for_one_text().text(text)
}

#[cfg(test)]
mod tests {
    use std::{
        fmt::{self, Write},
        io,
        sync::{Arc, Mutex},
    };

    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};
    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// The two formats of one event, without the time at its beginning.
    fn lines(emit: impl Fn()) -> (String, Value) {
        let (text, json) = (Written::default(), Written::default());
        let lines = || tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        let as_text = lines().without_time().with_ansi(false).fmt_fields(TextFields);
        with_default(as_text.with_writer(text.clone()).finish(), &emit);
        with_default(lines().event_format(JsonLine).with_writer(json.clone()).finish(), &emit);
        let [text, json] = [text, json].map(|it| {
            let line = String::from_utf8(it.0.lock().unwrap().clone()).unwrap();
            assert!(line.len() <= LONGEST, "{} bytes", line.len());
            assert_eq!(line.find('\n'), Some(line.len() - 1), "one line: {line:?}");
            line
        });
        let mut json: Value = serde_json::from_str(&json).unwrap();
        let time = json.as_object_mut().unwrap().remove("timestamp").unwrap();
        time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        (text.trim_end().to_owned(), json)
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the file")]
    struct Unreadable(#[source] io::Error);

    #[test]
    fn both_formats_say_the_same() {
        let error: &(dyn std::error::Error + 'static) =
            &Unreadable(io::ErrorKind::PermissionDenied.into());
        let (text, json) = lines(|| {
            tracing::warn!(
                uid = "a \"b\"",
                path = ?"c\nd",
                shown = %"e\nf",
                error,
                count = -1_i64,
                share = 0.5,
                is_dry = true,
                "reviewed"
            );
        });
        assert_eq!(
            text,
            " WARN callgate::telemetry::lines::tests: reviewed uid=\"a \\\"b\\\"\" path=\"c\\nd\" \
             shown=e\\nf error=cannot read the file: permission denied count=-1 share=0.5 \
             is_dry=true"
        );
        assert_eq!(
            json,
            json!({
                "level": "WARN", "target": "callgate::telemetry::lines::tests",
                "message": "reviewed", "uid": "a \"b\"", "path": "\"c\\nd\"", "shown": "e\nf",
                "error": "cannot read the file: permission denied", "count": -1, "share": 0.5,
                "is_dry": true,
            })
        );
    }

    /// A value whose text would not fit into memory.
    struct Endless(usize);

    impl fmt::Debug for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (0..self.0).try_for_each(|_| f.write_char('x'))
        }
    }

    #[test]
    fn what_is_cut_says_so_and_how_long_it_was() {
        let long = "é".repeat(1000);
        let (_, json) = lines(|| tracing::info!(text = long, shown = ?Endless(5_000_000)));
        assert_eq!(json["text"], format!("{}… (2000 bytes, cut)", "é".repeat(512)));
        assert_eq!(json["shown"], format!("{}… (5000000 bytes, cut)", "x".repeat(1024)));
    }

    #[test]
    fn many_long_fields_share_what_there_is() {
        let long = "\"".repeat(10_000);
        let (_, json) = lines(|| {
            tracing::info!(
                a = long,
                b = long,
                c = long,
                d = long,
                e = long,
                f = long,
                g = long,
                h = long,
                i = long,
                last = "not cut"
            );
        });
        for field in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            assert_eq!(json[field], format!("{}… (10000 bytes, cut)", "\"".repeat(512)));
        }
        assert_eq!(json["i"], "… (10000 bytes, cut)");
        assert_eq!(json["last"], "… (7 bytes, cut)");
    }

    #[rstest]
    #[case::in_the_library_of_others("it's\u{1b}[31m red", "it's\\u{1b}[31m red")]
    #[case::of_two_lines("one\r\ntwo", "one\\r\\ntwo")]
    #[case::beyond_ascii("bell\u{7} and \u{85}é", "bell\\u{7} and \\u{85}é")]
    fn control_characters_are_escaped_in_text_logs(#[case] value: &str, #[case] expected: &str) {
        let (text, _) = lines(|| tracing::info!(error = %value));
        assert_eq!(text, format!(" INFO callgate::telemetry::lines::tests: error={expected}"));
    }

    #[test]
    fn an_event_of_the_older_kind_has_its_own_target() {
        let record = || {
            let record = tracing_log::log::Record::builder()
                .level(tracing_log::log::Level::Warn)
                .target("rustls::conn")
                .args(format_args!("no such extension"))
                .build();
            tracing_log::format_trace(&record).unwrap();
        };
        let (_, json) = lines(record);
        let expected = json!({
            "level": "WARN", "message": "no such extension", "target": "rustls::conn",
        });
        assert_eq!(json, expected);
    }

    proptest! {
        #[test]
        fn no_line_exceeds_the_maximum_length(
            texts in prop::collection::vec((".{0,40}", 0_usize..2000), 8),
        ) {
            let long: Vec<_> = texts.iter().map(|(text, times)| text.repeat(*times)).collect();
            lines(|| {
                tracing::error!(
                    a = long[0], b = %long[1], c = ?long[2], d = long[3], e = %long[4],
                    f = ?long[5], g = long[6], h = %long[7], "{}", long[0]
                );
            });
        }
    }
}
