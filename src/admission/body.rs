//! The body of a request, or the status that says why there is none.

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// A request without a readable `uid`. Only then the answer is an HTTP error (R3): the API server
/// takes it for a failed call, for which the failure policy decides.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error("content type {0:?} is not application/json")]
    ContentType(String),
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive in full")]
    Incomplete,
    #[error("the body is not an AdmissionReview of admission.k8s.io/v1: {0}")]
    NotAReview(String),
}

pub(super) async fn read(request: Request<Body>, limit: usize) -> Result<Bytes, Rejection> {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !content_type.is_some_and(is_json) {
        let given = String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned();
        return Err(Rejection::ContentType(given));
    }
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Rejection::TooLarge(limit)),
        Err(_) => Err(Rejection::Incomplete),
    }
}

fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|it| *it == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let status = match self {
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete | Self::NotAReview(_) => StatusCode::BAD_REQUEST,
        };
        (status, format!("{self}\n")).into_response()
    }
}
