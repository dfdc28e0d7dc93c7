//! Writes a value as JSON, for the code that reads objects of an API server.

use super::{Document, Kind, NodeId, scalar::Scalar};

impl Document<'_> {
    /// The value as JSON text: aliases written out, maps merged.
    pub fn json(&self, id: NodeId) -> String {
        let mut text = Vec::new();
        self.write(id, &mut text);
        // serde_json writes text.
        String::from_utf8(text).unwrap_or_default()
    }

    fn write(&self, id: NodeId, text: &mut Vec<u8>) {
        match &self.node(self.target(id)).kind {
            Kind::Scalar(it) => write_scalar(it, text),
            Kind::List(items) => {
                text.push(b'[');
                for (at, it) in items.iter().enumerate() {
                    if at > 0 {
                        text.push(b',');
                    }
                    self.write(*it, text);
                }
                text.push(b']');
            }
            Kind::Map(_) | Kind::Alias(_) => {
                text.push(b'{');
                match self.plain_entries(id) {
                    Some(plain) => self.write_fields(plain, text),
                    None => self.write_fields(self.entries(id).into_iter(), text),
                }
                text.push(b'}');
            }
        }
    }

    fn write_fields<'b>(
        &self,
        entries: impl Iterator<Item = super::Entry<'b>>,
        text: &mut Vec<u8>,
    ) {
        for (at, it) in entries.enumerate() {
            if at > 0 {
                text.push(b',');
            }
            write_json(&it.key, text);
            text.push(b':');
            self.write(it.value, text);
        }
    }
}

fn write_scalar(scalar: &Scalar<'_>, text: &mut Vec<u8>) {
    match scalar {
        Scalar::Null => text.extend_from_slice(b"null"),
        Scalar::Bool(it) => write_json(it, text),
        Scalar::Int(it) => write_json(it, text),
        Scalar::Uint(it) => write_json(it, text),
        Scalar::Float(it) => write_json(it, text),
        Scalar::Text(it) => write_json(it, text),
        Scalar::Merge => write_json("<<", text),
    }
}

fn write_json<T: serde::Serialize + ?Sized>(value: &T, text: &mut Vec<u8>) {
    serde_json::to_writer(text, value).expect("a vector takes everything");
}
