//! A proxy between a replica and the API server that can stop answering some requests.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::json;
use support::e2e::api::Api;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::AbortHandle};

/// How a request is handled, by its method and URI.
type Fate = Arc<dyn Fn(&Method, &str) -> Way + Send + Sync>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Through,
    /// No answer, or one that stops, for as long as this holds.
    Silent,
    /// 404.
    Refused,
}

/// Serves the API server's answers over plain HTTP, as an administrator. It ends when dropped.
pub(crate) struct Front {
    directory: TempDir,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    client: Client,
    fate: watch::Sender<Fate>,
    /// Answers that began before this one never go on.
    frozen: watch::Sender<u64>,
    /// The requests, in this order.
    asked: Mutex<Vec<String>>,
    /// The answered requests, with their status.
    answered: Mutex<Vec<(String, StatusCode)>>,
}

/// An answer that has begun.
struct Answer {
    shared: Arc<Shared>,
    method: Method,
    uri: String,
    began: u64,
    body: kube::client::Body,
}

impl Front {
    pub(crate) async fn of(api: &Api) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let address = listener.local_addr().expect("it is bound");
        let through: Fate = Arc::new(|_, _| Way::Through);
        let shared = Arc::new(Shared {
            client: api.client(),
            fate: watch::Sender::new(through),
            frozen: watch::Sender::new(0),
            asked: Mutex::default(),
            answered: Mutex::default(),
        });
        let router = Router::new().fallback(relay).with_state(Arc::clone(&shared));
        let serve = async move { axum::serve(listener, router).await.expect("it serves") };
        let task = tokio::spawn(serve).abort_handle();
        let directory = tempfile::tempdir().expect("there is room for temporary files");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "front",
            "clusters": [{ "name": "front", "cluster": { "server": format!("http://{address}") } }],
            "users": [{ "name": "front", "user": {} }],
            "contexts": [{ "name": "front", "context": { "cluster": "front", "user": "front" } }],
        });
        std::fs::write(directory.path().join("kubeconfig"), kubeconfig.to_string())
            .expect("the directory is ours");
        Self { directory, shared, task }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        Path::new(self.directory.path()).join("kubeconfig")
    }

    /// Sets how requests are handled from now on, and answers that have begun.
    pub(crate) fn decide(&self, fate: impl Fn(&Method, &str) -> Way + Send + Sync + 'static) {
        self.shared.fate.send_replace(Arc::new(fate));
    }

    /// Stops every answer that has begun for ever; new requests are answered.
    pub(crate) fn freeze(&self) {
        self.shared.frozen.send_modify(|it| *it += 1);
    }

    /// How many requests have been made whose URI is one of these.
    pub(crate) fn asked(&self, is: impl Fn(&str) -> bool) -> usize {
        let asked = self.shared.asked.lock().expect("no thread panics with it");
        asked.iter().filter(|it| is(it)).count()
    }

    /// How many requests were answered with that status whose URI is one of these.
    pub(crate) fn answered(&self, status: StatusCode, is: impl Fn(&str) -> bool) -> usize {
        let answered = self.shared.answered.lock().expect("no thread panics with it");
        answered.iter().filter(|it| it.1 == status && is(&it.0)).count()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Waits until an answer that began then may continue.
    async fn way(&self, method: &Method, uri: &str, began: u64) -> Way {
        let (mut fate, mut frozen) = (self.fate.subscribe(), self.frozen.subscribe());
        loop {
            let way = fate.borrow_and_update().clone()(method, uri);
            let is_frozen = *frozen.borrow_and_update() > began;
            if way != Way::Silent && !is_frozen {
                return way;
            }
            tokio::select! {
                _ = fate.changed() => {}
                _ = frozen.changed() => {}
            }
        }
    }
}

async fn relay(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let began = *shared.frozen.borrow();
    let (head, body) = request.into_parts();
    let uri = head.uri.to_string();
    shared.asked.lock().expect("no thread panics with it").push(uri.clone());
    if shared.way(&head.method, &uri, began).await == Way::Refused {
        return StatusCode::NOT_FOUND.into_response();
    }
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut forward = Request::builder().method(head.method.clone()).uri(&uri);
    for name in [header::ACCEPT, header::CONTENT_TYPE] {
        if let Some(value) = head.headers.get(&name) {
            forward = forward.header(name, value);
        }
    }
    let forward = forward.body(kube::client::Body::from(body.to_vec())).expect("it is one");
    let Ok(response) = shared.client.send(forward).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (answer, body) = response.into_parts();
    shared.answered.lock().expect("no thread panics with it").push((uri.clone(), answer.status));
    let state = Answer { shared, method: head.method, uri, began, body };
    let frames = unfold(state, |mut it| async move {
        let frame = it.body.frame().await;
        it.shared.way(&it.method, &it.uri, it.began).await;
        let frame = frame?.map(|it| it.into_data().unwrap_or_default());
        Some((frame, it))
    });
    let mut response = Response::new(Body::from_stream(frames));
    *response.status_mut() = answer.status;
    if let Some(it) = answer.headers.get(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, it.clone());
    }
    response
}
