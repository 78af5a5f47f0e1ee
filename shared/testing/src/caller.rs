//! Someone who calls.

use std::{
    borrow::{Borrow, Cow},
    net::{IpAddr, SocketAddr},
};

use axum::{body::Body, extract::ConnectInfo};
use contracts::{Language, identity::Role};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::BodyExt;
use runtime::{Host, Incoming, Origin, Reply, Sender, Trace, Trigger};
use serde_json::Value;
use tower::ServiceExt;

use crate::{Answer, App};

/// Someone who calls.
#[derive(Clone)]
#[must_use]
pub struct As<'a> {
    app: &'a App,
    who: Who,
    language: Option<String>,
    address: Option<IpAddr>,
    headers: Vec<(String, String)>,
}

#[derive(Clone)]
enum Who {
    Nobody,
    Person { id: String, roles: Vec<Role>, session: String },
    Bearer(String),
    Platform,
}

impl<'a> As<'a> {
    pub(crate) fn nobody(app: &'a App) -> Self {
        Self::of(app, Who::Nobody)
    }

    pub(crate) fn person(app: &'a App, id: &str, roles: &[Role]) -> Self {
        let session = format!("session-of-{id}");
        let who = Who::Person { id: id.to_owned(), roles: roles.to_vec(), session };
        Self::of(app, who)
    }

    pub(crate) fn bearer(app: &'a App, token: &str) -> Self {
        Self::of(app, Who::Bearer(token.to_owned()))
    }

    pub(crate) fn platform(app: &'a App) -> Self {
        Self::of(app, Who::Platform)
    }

    fn of(app: &'a App, who: Who) -> Self {
        Self { app, who, language: None, address: None, headers: Vec::new() }
    }

    /// The same caller at another address.
    pub fn at(mut self, address: &str) -> Self {
        self.address = Some(address.parse().expect("an address"));
        self
    }

    /// The same caller, who always sends this header too.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same caller, who reads this language: an `Accept-Language`.
    pub fn in_language(mut self, language: &str) -> Self {
        self.language = Some(language.to_owned());
        self
    }

    /// Sends a `GET`.
    pub async fn get(&self, uri: &str) -> Answer {
        self.send("GET", uri, &[], Vec::new()).await
    }

    /// Sends a `POST` with an `Idempotency-Key` that nobody has used.
    pub async fn post(&self, uri: &str, body: impl Borrow<Value>) -> Answer {
        let key = self.app.fresh_key();
        self.post_with_key(uri, body, &key).await
    }

    /// Sends a `POST` with this `Idempotency-Key`.
    pub async fn post_with_key(&self, uri: &str, body: impl Borrow<Value>, key: &str) -> Answer {
        self.send_json("POST", uri, &[("idempotency-key", key)], body.borrow()).await
    }

    /// Sends a `POST` without an `Idempotency-Key`.
    pub async fn post_without_key(&self, uri: &str, body: impl Borrow<Value>) -> Answer {
        self.send_json("POST", uri, &[], body.borrow()).await
    }

    /// Sends a `PATCH` of the version with this etag.
    pub async fn patch(&self, uri: &str, body: impl Borrow<Value>, etag: &str) -> Answer {
        let quoted = format!("\"{etag}\"");
        self.send_json("PATCH", uri, &[("if-match", &quoted)], body.borrow()).await
    }

    /// Sends a `PATCH` that doesn't say of which version.
    pub async fn patch_without_etag(&self, uri: &str, body: impl Borrow<Value>) -> Answer {
        self.send_json("PATCH", uri, &[], body.borrow()).await
    }

    /// Sends a `DELETE`.
    pub async fn delete(&self, uri: &str) -> Answer {
        self.send("DELETE", uri, &[], Vec::new()).await
    }

    /// Sends a `DELETE` of the version with this etag.
    pub async fn delete_with_etag(&self, uri: &str, etag: &str) -> Answer {
        let quoted = format!("\"{etag}\"");
        self.send("DELETE", uri, &[("if-match", &quoted)], Vec::new()).await
    }

    async fn send_json(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send(method, uri, &headers, body.to_string().into_bytes()).await
    }

    /// Sends what the test likes, well formed or not.
    pub async fn send(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let answer = if matches!(self.who, Who::Platform) {
            self.send_inside(method, uri, headers, body).await
        } else {
            self.send_over_http(method, uri, headers, body).await
        };
        if answer.status >= 500 {
            // The caller is told nothing of our faults; who reads the test's output is.
            self.app.tell_failures();
        }
        answer
    }

    async fn send_over_http(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(address) = self.address {
            request = request.extension(ConnectInfo(SocketAddr::from((address, 443))));
        }
        if let Some(language) = &self.language {
            request = request.header(header::ACCEPT_LANGUAGE, language);
        }
        let token = match &self.who {
            Who::Nobody | Who::Platform => None,
            Who::Person { id, roles, session } => Some(self.app.token(id, roles, session).await),
            Who::Bearer(token) => Some(token.clone()),
        };
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body)).expect("a test's request is HTTP");
        let response = self.app.router().oneshot(request).await.expect("routers answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.expect("bodies end").to_bytes();
        Answer::new(status, &body, headers)
    }

    /// Inside there's no HTTP: a request goes to the function itself.
    async fn send_inside(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let (operation, mut bound) = find(self.app.host(), method, path)
            .unwrap_or_else(|| panic!("the domain has no operation for {method} {path}"));
        let header = |name: &str| {
            let found = headers.iter().find(|header| header.0 == name);
            found.map(|header| header.1.to_owned())
        };
        if let Some(etag) = header("if-match") {
            bound.push((Cow::Borrowed("etag"), etag));
        }
        let incoming = Incoming {
            bound,
            query: query.to_owned(),
            body: body.into(),
            origin: Origin::Platform,
            sender: Sender::default(),
            language: self.language.as_deref().map_or(Language::En, Language::accepted),
            trace: Trace::continued(None, &*self.app.ports().random),
            idempotency_key: header("idempotency-key"),
        };
        answer(&self.app.host().request(operation, incoming).await)
    }
}

type Bound = Vec<(Cow<'static, str>, String)>;

/// The operation that answers at a path, and what the path holds.
fn find<'h>(host: &'h Host, method: &str, path: &str) -> Option<(&'h str, Bound)> {
    host.functions().find_map(|served| {
        let Trigger::Http(operation) = &served.function.trigger else { return None };
        let template = operation.route.path.split('/');
        let same_length = template.clone().count() == path.split('/').count();
        if operation.route.method.as_str() != method || !same_length {
            return None;
        }
        let mut bound = Vec::new();
        for (name, value) in template.zip(path.split('/')) {
            match name.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
                Some(name) => bound.push((Cow::Borrowed(name), value.to_owned())),
                None if name == value => {}
                None => return None,
            }
        }
        Some((served.function.id.as_str(), bound))
    })
}

fn answer(reply: &Reply) -> Answer {
    let mut headers = HeaderMap::new();
    if reply.replayed {
        const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    Answer::new(reply.status, &reply.body, headers)
}
