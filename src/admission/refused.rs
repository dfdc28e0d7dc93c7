//! Pods that are denied, or would be in mode enforce, and whose they are.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    admission::{request::AdmissionRequest, target::ReviewTarget},
    pod::Kind,
    policy::{Refusal, Verdict},
    scan::{Owner, Part, part},
};

/// A pod that the rules deny, or would deny in mode enforce.
#[derive(Debug)]
pub struct RefusedPod<'a> {
    pub policy: &'a str,
    /// The workload at the top, as far as names tell it.
    pub owner: Owner,
    /// The first of them; never empty.
    pub findings: Vec<Refusal<'a>>,
}

#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

impl<'a> RefusedPod<'a> {
    /// `None` for what is allowed in every mode, templates and dry runs.
    ///
    /// The body is read once more for the owner: only such pods pay for it.
    pub(super) fn of(
        body: &[u8],
        request: &AdmissionRequest<'_>,
        verdict: Option<&Verdict<'a>>,
    ) -> Option<Self> {
        let verdict = verdict.filter(|it| !it.refusals().is_empty())?;
        let is_pod = request.raw.target().and_then(ReviewTarget::kind) == Some(Kind::Pod);
        if request.is_dry_run() || !is_pod {
            return None;
        }
        let name = request.name().unwrap_or_default();
        Some(Self {
            policy: verdict.policy(),
            owner: owner(body, name).unwrap_or_else(|| Owner::of_kind(Kind::Pod, name)),
            findings: verdict.refusals().to_vec(),
        })
    }
}

fn owner(body: &[u8], name: &str) -> Option<Owner> {
    let review: Review<'_> = serde_json::from_slice(body).ok()?;
    let Part { owner, .. } = part(Kind::Pod, name, review.request.object.get()).ok()??;
    Some(owner)
}
