//! Builds a document of the parser's events, and rejects what JSON cannot hold.

use std::{collections::BTreeMap, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle, options};

use super::{
    Comment, Document, Kind, Mistake, Node, NodeId, Type,
    refuse::{known_collection, scalar_of},
    scalar::Scalar,
};

/// The most values that a document has with its aliases written out, beside those that are
/// written. A few lines with aliases can stand for billions of values.
pub(super) const MOST_ALIASED: usize = 400_000;
/// The deepest value.
pub(super) const DEEPEST: usize = 100;

type Result<T> = std::result::Result<T, Mistake>;

/// Reads one part of a text; `None` if there is no document in it.
pub(super) fn document(text: &str, range: Range<usize>) -> Result<Option<Document<'_>>> {
    let part = &text[range.clone()];
    let mut builder = Builder {
        text,
        document: Document { nodes: Vec::new(), root: NodeId(0), comments: Vec::new(), range },
        open: Vec::new(),
        anchors: BTreeMap::new(),
        root: None,
        quoted: Vec::new(),
        has_strange_breaks: !part.is_ascii() && part.contains(STRANGE_BREAKS),
    };
    let options = options! {
        max_buffered_comment_events: 1_000_000,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
        emit_anchor_events: true,
        // The length of a key in flow style, as in JSON.
        simple_key_max_lookahead: 16_384,
    };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(part, options) {
        let (event, span) = event.map_err(|it| builder.not_yaml(&it))?;
        let bytes = builder.bytes(span);
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    let message =
                        "kubectl reads nothing after \"...\": begin a document by \"---\"";
                    return Err(Mistake { span: bytes, message: message.to_owned() });
                }
            }
            Event::Comment(text, _) => {
                builder.document.comments.push(Comment { span: bytes, text });
            }
            event => builder.take(event, bytes, &span)?,
        }
    }
    builder.check_breaks(part)?;
    let Some(root) = builder.root else { return Ok(None) };
    let mut document = builder.document;
    document.root = root;
    document.check_number(root)?;
    Ok((document.type_of(root) != Type::Null).then_some(document))
}

/// What YAML 1.1 takes for a line break, and YAML 1.2 for a character like any other.
const STRANGE_BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

struct Builder<'a> {
    text: &'a str,
    document: Document<'a>,
    open: Vec<Open>,
    /// The values with anchors; `None` while they are not complete.
    anchors: BTreeMap<usize, Option<NodeId>>,
    root: Option<NodeId>,
    /// The bytes of quoted scalars, if there are strange line breaks.
    quoted: Vec<Range<usize>>,
    has_strange_breaks: bool,
}

/// A collection whose end has not been read.
struct Open {
    start: usize,
    is_map: bool,
    is_flow: bool,
    anchor: usize,
    children: Vec<NodeId>,
}

impl<'a> Builder<'a> {
    fn bytes(&self, span: Span) -> Range<usize> {
        let base = self.document.range.start;
        let range = span.byte_range().unwrap_or_default();
        base + range.start..base + range.end.max(range.start)
    }

    fn not_yaml(&self, error: &ScanError) -> Mistake {
        let at = self.document.range.start + error.marker().byte_offset().unwrap_or_default();
        Mistake { span: at..at, message: format!("it is not YAML: {}", error.info()) }
    }

    fn take(&mut self, event: Event<'a>, bytes: Range<usize>, span: &Span) -> Result<()> {
        let start = span.tag_start().and_then(|it| it.byte_offset());
        let start = start.map_or(bytes.start, |it| self.document.range.start + it);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_quoted = [ScalarStyle::SingleQuoted, ScalarStyle::DoubleQuoted];
                if self.has_strange_breaks && is_quoted.contains(&style) {
                    self.quoted.push(bytes.clone());
                }
                let scalar = match tag {
                    None if style == ScalarStyle::Plain => Scalar::plain(text),
                    None => Scalar::Text(text),
                    Some(tag) => scalar_of(text, &tag, start..bytes.end)?,
                };
                self.add(node(Kind::Scalar(scalar), bytes, 1, 1), anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                known_collection(tag.as_deref(), "seq", start)?;
                self.begin(bytes.start, false, style, anchor)
            }
            Event::MappingStart(style, anchor, tag) => {
                known_collection(tag.as_deref(), "map", start)?;
                self.begin(bytes.start, true, style, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(bytes.end),
            // Aliases have the same names.
            Event::Anchor(_, name) => {
                let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
                if name.chars().all(is_plain) {
                    return Ok(());
                }
                let message = "the name of an anchor has only letters, digits, \"_\" and \"-\" for \
                     kubectl";
                Err(Mistake { span: bytes, message: message.to_owned() })
            }
            Event::Alias(anchor) => {
                let Some(Some(target)) = self.anchors.get(&anchor).copied() else {
                    let message = "the alias stands for a value that contains it".to_owned();
                    return Err(Mistake { span: bytes, message });
                };
                let Node { size, depth, .. } = *self.document.node(target);
                self.add(node(Kind::Alias(target), bytes, size, depth), 0)
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            _ => Err(Mistake { span: bytes, message: "callgate cannot read this".to_owned() }),
        }
    }

    fn begin(
        &mut self,
        start: usize,
        is_map: bool,
        style: StructureStyle,
        anchor: usize,
    ) -> Result<()> {
        if self.open.len() >= DEEPEST {
            return Err(too_deep(start..start));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        let is_flow = style == StructureStyle::Flow;
        self.open.push(Open { start, is_map, is_flow, anchor, children: Vec::new() });
        Ok(())
    }

    fn end(&mut self, end: usize) -> Result<()> {
        let Some(Open { start, is_map, is_flow, anchor, children }) = self.open.pop() else {
            return Ok(());
        };
        let document = &self.document;
        let nodes = children.iter().map(|it| document.node(*it));
        // In block style the end is noticed at what follows.
        let end =
            if is_flow { end } else { nodes.clone().next_back().map_or(start, |it| it.span.end) };
        let size = nodes.clone().fold(1_usize, |sum, it| sum.saturating_add(it.size));
        let depth = nodes.map(|it| it.depth).max().unwrap_or_default() + 1;
        let span = start..end.max(start);
        if depth > DEEPEST {
            return Err(too_deep(span));
        }
        let kind = if is_map {
            let pairs: Vec<_> = children.chunks_exact(2).map(|it| (it[0], it[1])).collect();
            for (key, value) in &pairs {
                self.document.check_pair(*key, *value)?;
                self.check_colon(is_flow, *key)?;
            }
            Kind::Map(pairs)
        } else {
            for it in &children {
                self.document.check_number(*it)?;
            }
            Kind::List(children)
        };
        let is_plain = match &kind {
            Kind::Map(pairs) => self.document.are_plain(pairs),
            Kind::Scalar(_) | Kind::List(_) | Kind::Alias(_) => false,
        };
        self.add(Node { is_plain, ..node(kind, span, size, depth) }, anchor)
    }

    /// Before a bracket or a comma, a colon is part of the word for kubectl.
    fn check_colon(&self, is_flow: bool, key: NodeId) -> Result<()> {
        let Range { start, end } = self.document.node(key).span;
        let is_quoted = self.text[start..end].ends_with(['"', '\'']);
        let behind = self.text.as_bytes().get(end..end + 2);
        if is_flow && !is_quoted && matches!(behind, Some([b':', b',' | b'[' | b']' | b'{' | b'}']))
        {
            let message = "kubectl needs a space after this colon".to_owned();
            return Err(Mistake { span: end..end + 1, message });
        }
        Ok(())
    }

    fn add(&mut self, node: Node<'a>, anchor: usize) -> Result<()> {
        let written = self.document.nodes.len();
        if node.size > written + 1 + MOST_ALIASED {
            let message = format!("its aliases stand for more than {MOST_ALIASED} values");
            return Err(Mistake { span: node.span, message });
        }
        let id = NodeId(u32::try_from(written).map_err(|_| Mistake {
            span: node.span.clone(),
            message: "the document has too many values".to_owned(),
        })?);
        self.document.nodes.push(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Some(id));
        }
        match self.open.last_mut() {
            Some(open) => open.children.push(id),
            None => self.root = Some(id),
        }
        Ok(())
    }

    /// A field must not hide behind a character that ends a line for kubectl alone.
    fn check_breaks(&self, part: &str) -> Result<()> {
        if !self.has_strange_breaks {
            return Ok(());
        }
        let base = self.document.range.start;
        for (at, text) in part.match_indices(STRANGE_BREAKS) {
            let span = base + at..base + at + text.len();
            if !self.quoted.iter().any(|it| it.start < span.start && span.end < it.end) {
                let escaped = text.escape_unicode();
                let message =
                    format!("kubectl ends the line at the character {escaped}: write it in quotes");
                return Err(Mistake { span, message });
            }
        }
        Ok(())
    }
}

fn node(kind: Kind<'_>, span: Range<usize>, size: usize, depth: usize) -> Node<'_> {
    Node { kind, span, size, depth, is_plain: false }
}

fn too_deep(span: Range<usize>) -> Mistake {
    Mistake { span, message: format!("it is deeper than {DEEPEST} levels") }
}
