//! A line of an audit log: an `Event` of `audit.k8s.io`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::pod::Kind;

/// What of an event decides about its meaning.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    stage: Cow<'a, str>,
    #[serde(borrow, default, rename = "requestURI")]
    uri: Cow<'a, str>,
    #[serde(borrow, default)]
    verb: Cow<'a, str>,
    #[serde(borrow, default)]
    object_ref: Option<ObjectRef<'a>>,
    #[serde(default)]
    response_status: Option<ResponseStatus>,
    #[serde(borrow, default)]
    request_object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request_received_timestamp: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef<'a> {
    #[serde(borrow, default)]
    resource: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    api_group: Cow<'a, str>,
    #[serde(borrow, default)]
    subresource: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// It is about something else.
    Skipped,
    /// The API server rejected the request, or stored nothing.
    NotStored,
    /// A pod or a template was written.
    Written(Written<'a>),
    /// A pod was updated. What its containers were before is not in the log.
    PodUpdated,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written<'a> {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    /// Empty if the API server generates it.
    pub(super) name: String,
    pub(super) at: String,
    /// The whole object; `None` if it is not in the log.
    pub(super) object: Option<&'a str>,
}

/// What the API server writes first, in this order; the rest is not looked at if the verb is of no
/// interest.
const OPENING: [&[u8]; 5] = [
    b"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"",
    b",\"auditID\":\"",
    b",\"stage\":\"",
    b",\"requestURI\":\"",
    b",\"verb\":\"",
];

/// Whether the beginning of a line says that it is about something else. It is read field by
/// field, since a text such as `"verb":"get"` may stand anywhere in an object.
pub(super) fn is_skipped(line: &[u8]) -> bool {
    let mut rest = line;
    let mut value: &[u8] = b"";
    for it in OPENING {
        let Some(after) = rest.strip_prefix(it) else { return false };
        let Some(end) = after.iter().position(|it| matches!(it, b'"' | b'\\')) else {
            return false;
        };
        if after[end] == b'\\' {
            return false;
        }
        value = &after[..end];
        rest = &after[end + 1..];
    }
    matches!(value, b"get" | b"list" | b"watch" | b"delete" | b"deletecollection")
}

impl<'a> Event<'a> {
    pub(super) fn read(line: &'a [u8]) -> Result<Self, String> {
        let event: Self = serde_json::from_slice(line).map_err(|it| it.to_string())?;
        if event.kind != "Event" {
            return Err(format!("it is no Event of an audit log, its kind is {:?}", event.kind));
        }
        Ok(event)
    }

    pub(super) fn meaning(self) -> Meaning<'a> {
        let Some(place) = &self.object_ref else { return Meaning::Skipped };
        // A request has several stages; its end says whether it was carried out.
        let is_write = matches!(&*self.verb, "create" | "update" | "patch");
        let Some(kind) = Kind::of_resource(&place.api_group, &place.resource) else {
            return Meaning::Skipped;
        };
        if !is_write || self.stage != "ResponseComplete" {
            return Meaning::Skipped;
        }
        let is_debug = kind == Kind::Pod && place.subresource == "ephemeralcontainers";
        if !place.subresource.is_empty() && !is_debug {
            return Meaning::Skipped;
        }
        let code = self.response_status.as_ref().map_or(200, |it| it.code);
        if code >= 400 || self.is_dry_run() {
            return Meaning::NotStored;
        }
        if kind == Kind::Pod && self.verb != "create" && !is_debug {
            return Meaning::PodUpdated;
        }
        // The response has what other webhooks have changed; the request of a patch is the patch.
        let request = self.request_object.filter(|_| self.verb != "patch");
        let object = self.response_object.or(request).filter(|_| !is_debug);
        Meaning::Written(Written {
            kind,
            namespace: place.namespace.clone().into_owned(),
            name: place.name.clone().into_owned(),
            at: self.request_received_timestamp.clone().into_owned(),
            object: object.map(RawValue::get),
        })
    }

    fn is_dry_run(&self) -> bool {
        let query = self.uri.split_once('?').map_or("", |(_, it)| it);
        query.split('&').any(|it| it.starts_with("dryRun="))
    }
}
