//! Decodes the objects of a request one by one: an error names the field.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    admission::{
        raw::{Before, RawRequest},
        request::{AdmissionRequest, Object, Own},
        target::ReviewTarget,
    },
    group::{MODE_LABEL, POLICY_LABEL},
    json::objects,
    pod::{Kind, Metadata, Scope, Str},
    policy::{Labels, Policy},
    profile::DecodedProfile,
};

/// The limit of the spec of a policy in bytes, as of a policy file.
const LARGEST_POLICY: usize = 1024 * 1024;

/// The limit of the spec of a profile in bytes: every agent keeps all profiles.
const LARGEST_PROFILE: usize = 256 * 1024;

objects! {
    struct Labelled<'a> {
        metadata("metadata"): Metadata<'a>,
    }

    struct Specified<'a> {
        spec("spec"): &'a RawValue,
    }
}

impl<'a> RawRequest<'a> {
    pub(super) fn assemble(self, uid: Str<'a>) -> AdmissionRequest<'a> {
        let object = match self.target() {
            None => Object::NotOurs,
            Some(target) => self.decode(target).unwrap_or_else(|why| {
                let name = self.name().map(|it| format!(" {it:?}")).unwrap_or_default();
                let why = format!("cannot read {}{name}: {why}", target.noun());
                Object::Unreadable { target: Some(target), why }
            }),
        };
        AdmissionRequest { uid, object, raw: self }
    }

    fn decode(&self, target: ReviewTarget) -> Result<Object<'a>, String> {
        let object = || self.object.ok_or("it has no object");
        match target {
            ReviewTarget::Whole(kind) => {
                let subject = by_path(object()?, |it| kind.read(it))?;
                Ok(Object::judge(kind, Scope::Whole, subject)?)
            }
            ReviewTarget::Added | ReviewTarget::ImagesChanged => {
                let old = self.old_object.ok_or("it has no oldObject")?;
                let before = by_path(old, |it| Before::deserialize(it));
                let before = before.map_err(|it| format!("oldObject: {it}"))?;
                let subject = by_path(object()?, |it| Kind::Pod.read(it))?;
                Ok(Object::judge(Kind::Pod, before.scope(target), subject)?)
            }
            ReviewTarget::Labels => {
                let labels =
                    |text| by_path(text, |it| Labelled::deserialize(it)).map(Labelled::ours);
                let before = self.old_object.map(labels).transpose()?.unwrap_or_default();
                Ok(Object::Own(Own::Labels { before, after: labels(object()?)? }))
            }
            ReviewTarget::Policy => {
                spec(object()?, LARGEST_POLICY)?;
                let policy = by_path(object()?, |it| Policy::read(it))?;
                Ok(Object::Own(Own::Policy(Box::new(policy))))
            }
            ReviewTarget::PolicyDeleted => Ok(Object::Own(Own::PolicyDeleted)),
            ReviewTarget::ProfileDeleted => Ok(Object::Own(Own::ProfileDeleted)),
            ReviewTarget::Profile => {
                let spec = spec(object()?, LARGEST_PROFILE)?.map(Value::deserialize);
                let spec = spec.transpose().map_err(|it| format!("spec: {it}"))?;
                let profile = DecodedProfile::of_spec(spec.unwrap_or_default());
                Ok(Object::Own(Own::Profile(profile.findings())))
            }
        }
    }
}

impl Labelled<'_> {
    fn ours(self) -> Labels {
        let label = |key| Some(self.metadata.as_ref()?.label(key)?.to_owned());
        Labels { policy: label(POLICY_LABEL), mode: label(MODE_LABEL) }
    }
}

/// The text of an object's spec, if it has one and its length is within the limit.
fn spec(object: &RawValue, most: usize) -> Result<Option<&RawValue>, String> {
    let Specified { spec } = by_path(object, |it| Specified::deserialize(it))?;
    match spec.map_or(0, |it| it.get().len()) {
        size if size > most => Err(format!("spec: it has {size} bytes, at most {most} are read")),
        _ => Ok(spec),
    }
}

/// Decodes a part of the document; errors begin with the path of the field.
fn by_path<'a, T>(
    text: &'a RawValue,
    read: impl FnOnce(
        serde_path_to_error::Deserializer<
            '_,
            '_,
            &mut serde_json::Deserializer<serde_json::de::StrRead<'a>>,
        >,
    ) -> Result<T, serde_json::Error>,
) -> Result<T, String> {
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_str(text.get());
    let deserializer = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    read(deserializer).map_err(|error| match track.path().to_string().as_str() {
        "." => error.to_string(),
        path => format!("{path}: {error}"),
    })
}
