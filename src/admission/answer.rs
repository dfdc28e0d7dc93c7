//! Words a verdict as an `AdmissionResponse` (2.3).

use std::{borrow::Cow, collections::BTreeMap};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, header::CONTENT_TYPE};
use serde::Serialize;

use crate::{
    policy::{self, Operation},
    profile::ProfilePath,
};

/// The answer to one review. The HTTP status is always 200: any other turns a denial into a
/// failed call, which a webhook with failure policy Ignore lets through (R3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: AdmissionResponse<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionResponse<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    /// Both or neither, and never on `/validate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    /// Base64 of the JSON array.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, Cow<'a, str>>,
}

/// More than most answers have, so that the buffer does not grow.
const USUAL_BYTES: usize = 512;

/// The API server replaces a code below 400 by 400, and kubectl prints only a status with a
/// reason (R2).
#[derive(Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

impl<'a> Answer<'a> {
    pub(super) fn allow(uid: &'a str) -> Self {
        let response = AdmissionResponse {
            uid,
            allowed: true,
            status: None,
            patch_type: None,
            patch: None,
            warnings: Vec::new(),
            audit_annotations: BTreeMap::new(),
        };
        Self { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response }
    }

    /// Turns it into a denial. Warnings are left out: the message says it all (R5).
    pub(super) fn deny(mut self, message: String) -> Self {
        self.response.allowed = false;
        self.response.warnings.clear();
        self.response.status = Some(Status { code: 403, reason: "Forbidden", message });
        self
    }

    /// The message of a denial; `None` if it allows.
    pub(super) fn denial(&self) -> Option<&str> {
        self.response.status.as_ref().map(|it| it.message.as_str())
    }

    /// Adds a warning; it must hold no control character, or the API server drops it (R5).
    pub(super) fn warn(mut self, warning: String) -> Self {
        self.response.warnings.push(warning);
        self
    }

    pub(super) fn warnings(mut self, warnings: Vec<String>) -> Self {
        self.response.warnings.extend(warnings);
        self
    }

    /// Adds an audit annotation. If the same webhook is called twice for an object and gives
    /// different values, the API server keeps the first.
    pub(super) fn audit_annotation(
        mut self,
        key: &'static str,
        value: impl Into<Cow<'a, str>>,
    ) -> Self {
        self.response.audit_annotations.insert(key, value.into());
        self
    }

    pub(super) fn audit_annotations(mut self, notes: Vec<(&'static str, String)>) -> Self {
        let notes = notes.into_iter().map(|(key, value)| (key, Cow::Owned(value)));
        self.response.audit_annotations.extend(notes);
        self
    }

    pub(super) fn patch(mut self, patch: &policy::Patch, policy: &str) -> Self {
        let policy::Patch { operations, injected, pinned, removed } = patch;
        if operations.is_empty() {
            return self;
        }
        if let Some(profile) = injected {
            self = self.audit_annotation("injected", profile.to_string());
        }
        if !pinned.is_empty() {
            let paths: Vec<_> = pinned.iter().map(ProfilePath::as_str).collect();
            self = self.audit_annotation("pinned", paths.join(","));
        }
        for key in removed {
            self = self.warn(format!(
                "policy {policy:?}: annotation {key:?} has no effect since Kubernetes 1.27 and \
                 contradicts the pod's profile, removed"
            ));
        }
        self.response.patch_type = Some("JSONPatch");
        self.response.patch = Some(encoded(operations));
        self
    }
}

fn encoded(operations: &[Operation]) -> String {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut json, operations).expect("operations are strings and structs");
    STANDARD.encode(json)
}

impl IntoResponse for Answer<'_> {
    fn into_response(self) -> Response {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut json, &self).expect("answers are strings, maps and numbers");
        let mut response = Response::new(Body::from(json));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
