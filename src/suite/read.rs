//! Reads a file of tests, and says at which place what is wrong with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::{Around, At, Case, Manifest, Mistake, Suite, days, facts::Governing};
use crate::{
    check::{
        self,
        locate::{self, Step},
    },
    pod::Kind,
    position::Position,
    profile::ProfilePath,
    spelling,
    yaml::{Document, documents},
};

impl Suite {
    /// Reads the text of a file; `today` is the day if the file names none.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(text: &str, today: Date) -> Result<Self, Mistake> {
        let at = |offset: usize| Some(Position::of(offset, text.as_bytes()));
        let mut all = documents(text);
        let document = match all.next() {
            Some(Ok(document)) => document,
            Some(Err(it)) => {
                return Err(Mistake { position: at(it.span.start), message: it.message });
            }
            None => return Err(Mistake { position: None, message: "it is empty".to_owned() }),
        };
        if let Some(Ok(more)) = all.next() {
            let message = "a file of tests has one document".to_owned();
            return Err(Mistake { position: at(more.range.start), message });
        }
        let mistake = |path: &[Step], message: String| {
            let span = locate::span(&document, document.root(), path);
            Mistake { position: at(span.start), message }
        };
        let json = document.json(document.root());
        let mut value: Value = serde_json::from_str(&json)
            .map_err(|it| Mistake { position: None, message: it.to_string() })?;
        let today = match value.get("day").and_then(Value::as_str) {
            None => today,
            Some(day) => day.parse().map_err(|_| {
                let message = format!("{day:?} is no date such as 2027-03-01");
                mistake(&locate::keys(&["day"]), message)
            })?,
        };
        days::name(&mut value, today);
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
        let mut suite = Self::deserialize(tracked)
            .map_err(|why| mistake(&steps(&track.path()), in_words(&why.to_string())))?;
        suite.around.today = today;
        for name in suite.managed.keys() {
            ProfilePath::of_object(name)
                .map_err(|why| mistake(&locate::keys(&["managed", name]), why.to_string()))?;
        }
        for (at, case) in suite.cases.iter_mut().enumerate() {
            case.at = places(&document, at);
        }
        suite.check().map_err(|(path, message)| mistake(&path, message))?;
        Ok(suite)
    }

    /// What the format alone does not say.
    fn check(&self) -> Result<(), (Vec<Step>, String)> {
        if self.cases.is_empty() {
            return Err((locate::keys(&["cases"]), "there are no cases".to_owned()));
        }
        let mut names = BTreeSet::new();
        for (at, case) in self.cases.iter().enumerate() {
            let path = |key: &str| {
                vec![Step::Key("cases".to_owned()), Step::Index(at), Step::Key(key.to_owned())]
            };
            if !names.insert(&case.name) {
                return Err((path("name"), format!("there are two cases {:?}", case.name)));
            }
            let objects =
                usize::from(!case.object.is_null()) + usize::from(case.manifest.is_some());
            if objects != 1 {
                let message = "a case has one of \"object\" and \"manifest\"".to_owned();
                return Err((path("name"), message));
            }
            if case.mutated.is_some() && !case.patch.is_empty() {
                let message = "a case has one of \"patch\" and \"mutated\"".to_owned();
                return Err((path("mutated"), message));
            }
        }
        Ok(())
    }

    /// Takes in what the file refers to: `manifests` has the texts of the files that hold objects.
    ///
    /// # Errors
    /// What is missing, or cannot be used.
    pub fn complete(
        mut self,
        text: &str,
        around: Around,
        manifests: &BTreeMap<String, String>,
    ) -> Result<Self, Mistake> {
        let at = |span: Range<usize>| Some(Position::of(span.start, text.as_bytes()));
        let today = self.around.today;
        self.around = Around { today, ..around };
        if let Some((name, why)) = self.around.collected.unreadable.iter().next() {
            let message = format!("the policy {name:?} of a file cannot be read: {why}");
            return Err(Mistake { position: None, message });
        }
        for name in self.policies.keys() {
            self.policy_named(name).map_err(|why| {
                let path = locate::keys(&["policies", name]);
                let document = documents(text).next().and_then(Result::ok);
                let span = document.map(|it| locate::span(&it, it.root(), &path));
                let message = format!("the policy {name:?} cannot be read: {why}");
                Mistake { position: span.and_then(at), message }
            })?;
        }
        let governing = self.governing().map_err(|message| Mistake { position: None, message })?;
        let mut cases = std::mem::take(&mut self.cases);
        for case in &mut cases {
            self.resolve(case, &governing, manifests)
                .map_err(|message| Mistake { position: at(case.at.case.clone()), message })?;
        }
        self.cases = cases;
        Ok(self)
    }

    /// Fills in what the case leaves to the file.
    fn resolve(
        &self,
        case: &mut Case,
        governing: &Governing,
        texts: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        if let Some(manifest) = &case.manifest {
            let text = texts.get(&manifest.file).map_or("", String::as_str);
            case.object = object_of(manifest, text)?;
        }
        let said =
            |path: &str| case.object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        if case.namespace.is_empty() {
            let own = Some(said("/metadata/namespace")).filter(|it| !it.is_empty());
            let own = own.or(self.namespace.as_deref()).unwrap_or("default");
            case.namespace = own.to_owned();
        }
        if case.kind.is_empty() {
            let own = said("/kind");
            case.kind = if own.is_empty() { "Pod" } else { own }.to_owned();
        }
        if case.kind_that_holds_a_pod().is_none() {
            let nouns = Kind::ALL.map(Kind::noun);
            let near = spelling::nearest(&case.kind, nouns);
            let hint = near.map(|it| format!(", did you mean {it:?}?")).unwrap_or_default();
            return Err(format!("{:?} is not a kind that holds pods{hint}", case.kind));
        }
        governing.govern(case)?;
        self.check_nodes(case)?;
        case.unmutated.get_or_insert(self.unmutated);
        case.scope()
            .map_err(|why| format!("the object before the update cannot be read: {why}"))?;
        Ok(())
    }
}

/// The object of a manifest.
fn object_of(manifest: &Manifest, text: &str) -> Result<Value, String> {
    let Manifest { file, kind, name } = manifest;
    let mut found = Vec::new();
    check::each_object(text, |its_kind, json| {
        let holds_pods = Kind::ALL.iter().any(|it| it.noun() == its_kind.to_lowercase());
        let is_of_kind = kind.as_ref().map_or(holds_pods, |it| it == its_kind);
        let mut object: Value = serde_json::from_str(json).map_err(|it| it.to_string())?;
        let own = object.pointer("/metadata/name").and_then(Value::as_str);
        if is_of_kind && name.as_deref().is_none_or(|it| Some(it) == own) {
            object["kind"] = its_kind.into();
            found.push(object);
        }
        Ok(())
    })
    .map_err(|why| format!("cannot read {file:?}: {why}"))?;
    let what = kind.as_deref().unwrap_or("object with pods");
    let named = name.as_ref().map(|it| format!(" {it:?}")).unwrap_or_default();
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(format!("{file:?} has no {what}{named}")),
        many => Err(format!("{file:?} has {many} objects: say which by \"kind\" and \"name\"")),
    }
}

fn places(document: &Document<'_>, at: usize) -> At {
    let cases = document.at(document.root(), &["cases"]);
    let Some(case) = cases.and_then(|it| document.items(it).get(at).copied()) else {
        return At::default();
    };
    let of = |key: &str| {
        let field = document.field(case, key)?;
        Some(document.span(field.key_node))
    };
    At {
        case: locate::span(document, case, &locate::keys(&["name"])),
        denied: of("denied"),
        warned: of("warned"),
        patch: of("patch"),
        mutated: of("mutated"),
    }
}

fn steps(path: &serde_path_to_error::Path) -> Vec<Step> {
    let step = |it: &Segment| match it {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// The words of the reader, for those who write such files.
fn in_words(why: &str) -> String {
    let unknown = [("unknown field ", "there is no key"), ("unknown variant ", "there is no")];
    for (start, words) in unknown {
        let Some(rest) = why.strip_prefix(start) else { continue };
        let mut quoted = rest.split('`').skip(1).step_by(2);
        let Some(word) = quoted.next() else { continue };
        let known: Vec<_> = quoted.collect();
        return match spelling::nearest(word, known.iter().copied()) {
            Some(near) => format!("{words} {word:?}, did you mean {near:?}?"),
            None => format!("{words} {word:?}, expected {}", known.join(", ")),
        };
    }
    match why.strip_prefix("missing field ") {
        Some(field) => format!("the key {:?} is missing", field.trim_matches('`')),
        None => why.to_owned(),
    }
}
