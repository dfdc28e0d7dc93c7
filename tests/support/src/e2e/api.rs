//! A client of the API server that returns what kubectl sees: status, warnings and body.

use std::path::Path;

use http::{Method, Request, header::CONTENT_TYPE};
use kube::{
    Client, Config,
    client::Body,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;

/// A connection to the API server, as some user.
#[derive(Clone)]
pub struct Api(Client);

/// The response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// The texts of the `Warning` headers.
    pub warnings: Vec<String>,
    pub body: Value,
}

impl Api {
    pub async fn connect(kubeconfig: &Path) -> Self {
        Self(Client::try_from(config(kubeconfig).await).expect("the kubeconfig is usable"))
    }

    /// The same, as another user: only an administrator may.
    pub async fn connect_as(kubeconfig: &Path, user: &str, groups: &[&str]) -> Self {
        let mut config = config(kubeconfig).await;
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups =
            Some(groups.iter().map(|it| (*it).to_owned()).collect());
        Self(Client::try_from(config).expect("the kubeconfig is usable"))
    }

    /// The same, with only this token.
    pub async fn connect_with(kubeconfig: &Path, token: &str) -> Self {
        let mut config = config(kubeconfig).await;
        config.auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        Self(Client::try_from(config).expect("the kubeconfig is usable"))
    }

    pub fn client(&self) -> Client {
        self.0.clone()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, "application/json", &Value::Null).await
    }

    pub async fn post(&self, path: &str, object: &Value) -> Reply {
        self.send(Method::POST, path, "application/json", object).await
    }

    /// The same, if the API server may not answer.
    pub async fn try_get(&self, path: &str) -> Result<Reply, String> {
        self.try_send(Method::GET, path, "application/json", String::new()).await
    }

    pub async fn try_post(&self, path: &str, object: &Value) -> Result<Reply, String> {
        self.try_send(Method::POST, path, "application/json", object.to_string()).await
    }

    pub async fn put(&self, path: &str, object: &Value) -> Reply {
        self.send(Method::PUT, path, "application/json", object).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, "application/json", &Value::Null).await
    }

    /// Server-side apply.
    pub async fn apply(&self, path: &str, object: &Value) -> Reply {
        let path = format!("{path}?fieldManager=suite&force=true");
        self.send(Method::PATCH, &path, "application/apply-patch+yaml", object).await
    }

    pub async fn merge(&self, path: &str, change: &Value) -> Reply {
        self.send(Method::PATCH, path, "application/merge-patch+json", change).await
    }

    /// The same, of a text that is too deep for a parser.
    pub async fn merge_text(&self, path: &str, change: String) -> Reply {
        self.send_text(Method::PATCH, path, "application/merge-patch+json", change).await
    }

    /// Like `kubectl create` with the text.
    pub async fn post_yaml(&self, path: &str, object: &str) -> Reply {
        self.send_text(Method::POST, path, "application/yaml", object.to_owned()).await
    }

    /// Like `kubectl apply --server-side` with the text.
    pub async fn apply_yaml(&self, path: &str, object: &str) -> Reply {
        let content_type = "application/apply-patch+yaml";
        self.send_text(Method::PATCH, path, content_type, object.to_owned()).await
    }

    pub async fn json_patch(&self, path: &str, change: &Value) -> Reply {
        self.send(Method::PATCH, path, "application/json-patch+json", change).await
    }

    pub async fn strategic(&self, path: &str, change: &Value) -> Reply {
        self.send(Method::PATCH, path, "application/strategic-merge-patch+json", change).await
    }

    async fn send(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Reply {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send_text(method, path, content_type, text).await
    }

    async fn send_text(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        text: String,
    ) -> Reply {
        let mut reply = self.try_send(method.clone(), path, content_type, text.clone()).await;
        // The API server closes a connection after 90 s without a request, and the client may be about to use it: then
        // the request has not been read.
        if reply.as_ref().is_err_and(|it| it.contains("IncompleteMessage")) {
            reply = self.try_send(method, path, content_type, text).await;
        }
        reply.unwrap_or_else(|error| panic!("the API server does not answer: {error}"))
    }

    async fn try_send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        text: String,
    ) -> Result<Reply, String> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, content_type)
            .body(Body::from(text.into_bytes()))
            .expect("paths of tests are right");
        let response = self.0.send(request).await.map_err(|it| format!("{it:?}"))?;
        let (head, body) = response.into_parts();
        let bytes = body.collect_bytes().await.map_err(|it| format!("half an answer: {it:?}"))?;
        let warnings = head.headers.get_all("warning").iter();
        Ok(Reply {
            status: head.status.as_u16(),
            warnings: warnings.map(|it| unquote(&String::from_utf8_lossy(it.as_bytes()))).collect(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }
}

impl Reply {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Why it was denied.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    pub fn expect_ok(self, what: &str) -> Value {
        assert!(self.is_ok(), "{what}: {} {}", self.status, self.message());
        self.body
    }
}

async fn config(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("there is a kubeconfig");
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("the kubeconfig is usable")
}

/// `299 - "text"`, in which quotes and backslashes are escaped (RFC 7234, 5.5).
fn unquote(header: &str) -> String {
    let text = header.split_once('"').map_or(header, |(_, rest)| rest);
    let text = text.strip_suffix('"').unwrap_or(text);
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(it) = characters.next() {
        plain.push(if it == '\\' { characters.next().unwrap_or(it) } else { it });
    }
    plain
}
