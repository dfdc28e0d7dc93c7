//! Reads an `AdmissionReview` in one pass, without copying; a review that cannot be read so is
//! read again, object by object, for the path of the field that is wrong.
//!
//! The second reader alone would do, and costs too much: with it in place of the first, a review
//! of 8 KB took 31.7 µs instead of 9.7, and one of 60 KB 188.7 instead of 41.8
//! (`cargo bench --bench reviews`, in process, `/mutate`, best).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    admission::{
        body::Rejection,
        raw::{Before, RawRequest},
        request::{AdmissionRequest, Object},
        target::ReviewTarget,
    },
    json::{self, objects},
    pod::{Kind, Scope, Str, Subject},
};

objects! {
    struct Review<'a> {
        api_version("apiVersion"): Str<'a>,
        kind("kind"): Str<'a>,
        request("request"): AdmissionRequest<'a>,
    }

    /// A review whose request is still text.
    struct RawReview<'a> {
        api_version("apiVersion"): Str<'a>,
        kind("kind"): Str<'a>,
        request("request"): &'a RawValue,
    }

    struct UidAlone<'a> {
        uid("uid"): Str<'a>,
    }
}

/// Reads the request out of a review.
///
/// # Errors
/// A review without a `uid`. Everything else can be answered, if only by naming the field that
/// cannot be read.
pub(super) fn read(body: &[u8]) -> Result<AdmissionRequest<'_>, Rejection> {
    match json::read(body) {
        Some(Review { api_version, kind, request }) => opened(api_version, kind, request),
        None => salvage(body),
    }
}

fn opened<R>(
    version: Option<Str<'_>>,
    kind: Option<Str<'_>>,
    request: Option<R>,
) -> Result<R, Rejection> {
    let (version, kind) = (version.unwrap_or_default(), kind.unwrap_or_default());
    if (&*version, &*kind) != ("admission.k8s.io/v1", "AdmissionReview") {
        return Err(Rejection::NotAReview(format!("it is {:?} of {:?}", &*kind, &*version)));
    }
    request.ok_or_else(|| Rejection::NotAReview("it has no request".to_owned()))
}

/// Reads once more, more slowly: the object apart from the rest, with the path of the field
/// that cannot be read.
fn salvage(body: &[u8]) -> Result<AdmissionRequest<'_>, Rejection> {
    let RawReview { api_version, kind, request } =
        serde_json::from_slice(body).map_err(|it| Rejection::NotAReview(it.to_string()))?;
    let request = opened(api_version, kind, request)?;
    let UidAlone { uid } = serde_json::from_str(request.get())
        .map_err(|it| Rejection::NotAReview(format!("request.uid cannot be read: {it}")))?;
    let Some(uid) = uid.filter(|it| !it.is_empty()) else {
        return Err(Rejection::NotAReview("the request has no uid".to_owned()));
    };
    match serde_json::from_str::<RawRequest<'_>>(request.get()) {
        Ok(raw) => Ok(raw.assemble(uid)),
        Err(error) => {
            let why = format!("cannot read the request: {error}");
            let object = Object::Unreadable { target: None, why };
            Ok(AdmissionRequest { uid, object, raw: RawRequest::default() })
        }
    }
}

/// The API server writes the fields that identify the object before the object, which is then
/// read at once. Any other order is an error here, and is read by [`salvage`].
impl<'de: 'a, 'a> Deserialize<'de> for AdmissionRequest<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RequestVisitor;

        impl<'de> Visitor<'de> for RequestVisitor {
            type Value = AdmissionRequest<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an AdmissionRequest")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                read_in_order(map)
            }
        }

        deserializer.deserialize_map(RequestVisitor)
    }
}

fn read_in_order<'de, A: MapAccess<'de>>(mut map: A) -> Result<AdmissionRequest<'de>, A::Error> {
    let mut raw = RawRequest::default();
    let mut subject = None;
    let mut before = None;
    while let Some(key) = map.next_key::<Str<'de>>()? {
        match &*key {
            "resource" | "subResource" | "operation" if subject.is_some() => {
                return Err(de::Error::custom("the object comes too early"));
            }
            "uid" => raw.uid = map.next_value()?,
            "resource" => raw.resource = map.next_value()?,
            "subResource" => raw.sub_resource = map.next_value()?,
            "operation" => raw.operation = map.next_value()?,
            "name" => raw.name = map.next_value()?,
            "namespace" => raw.namespace = map.next_value()?,
            "userInfo" => raw.user = map.next_value()?,
            "dryRun" => raw.dry_run = map.next_value()?,
            "object" => {
                let target = raw.target();
                subject = Some(match (target, target.and_then(ReviewTarget::kind)) {
                    (_, Some(kind)) => map.next_value_seed(OfKind(kind))?,
                    (None, _) => map.next_value::<IgnoredAny>().map(|_| None)?,
                    // Rare and small: read with the path of the field.
                    (Some(_), None) => return Err(de::Error::custom("not a pod")),
                });
            }
            "oldObject"
                if matches!(
                    raw.target(),
                    Some(ReviewTarget::Added | ReviewTarget::ImagesChanged)
                ) =>
            {
                before = map.next_value::<Option<Before<'de>>>()?;
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    let Some(uid) = raw.uid.take().filter(|it| !it.is_empty()) else {
        return Err(de::Error::custom("the request has no uid"));
    };
    let object = match (raw.target(), subject, before) {
        (None, ..) => Ok(Object::NotOurs),
        (Some(ReviewTarget::Whole(kind)), Some(subject), _) => {
            Object::judge(kind, Scope::Whole, subject)
        }
        (
            Some(target @ (ReviewTarget::Added | ReviewTarget::ImagesChanged)),
            Some(subject),
            Some(before),
        ) => Object::judge(Kind::Pod, before.scope(target), subject),
        _ => Err("the request lacks an object"),
    };
    let object = object.map_err(de::Error::custom)?;
    Ok(AdmissionRequest { uid, object, raw })
}

/// Reads an object of a known kind.
struct OfKind(Kind);

impl<'de> DeserializeSeed<'de> for OfKind {
    type Value = Option<Subject<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.read(deserializer)
    }
}
