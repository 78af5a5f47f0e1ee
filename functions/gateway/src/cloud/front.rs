//! What stands in front, as API Gateway does: it finds the function of a request,
//! checks who asks, and passes the request on as it came.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use contracts::{Language, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Limited};
use runtime::{
    Bytes, Client, Clock, Keyring, Outgoing, Random, Refusal, Reply, SecondIssuer, Trace,
    problems::{DEADLINE_EXCEEDED, METHOD_NOT_ALLOWED, NO_SUCH_PATH, UNAUTHENTICATED, UNAVAILABLE},
    token::{PublicKey, Verifier},
};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    issuer::Issuer,
    routes::{Backend, Nowhere, Routes},
    service::Service,
};

/// How long a request waits for a process that is being started again, as it would for an
/// instance of Cloud Run.
pub(super) const WAITS: Duration = Duration::from_secs(10);

const FORWARDED_AUTHORIZATION: HeaderName = HeaderName::from_static("x-forwarded-authorization");
const USER_INFO: HeaderName = HeaderName::from_static("x-apigateway-api-userinfo");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The services, by the names of their functions'.
pub(super) type Services = BTreeMap<String, Arc<Service>>;

/// What stands in front.
pub(super) struct Front {
    pub routes: Routes,
    pub services: Services,
    pub issuer: Arc<Issuer>,
    /// The service account by which it calls functions.
    pub account: String,
    pub verifier: Verifier,
    /// Whose tokens are taken beside the platform's own.
    pub second_issuer: Option<SecondIssuer>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

impl Front {
    /// What answers whatever nobody else does.
    pub fn router(self) -> Router {
        Router::new().fallback(pass).with_state(Arc::new(self))
    }

    /// Lets a request pass, or says why not.
    async fn answer(&self, mut request: Request) -> Result<Response, Response> {
        let headers = request.headers();
        let refuse = |problem| self.refused(problem, headers);
        let found = self.routes.find(request.method().as_str(), request.uri().path());
        let backend = found.map_err(|nowhere| match nowhere {
            Nowhere::NoPath => refuse(NO_SUCH_PATH),
            Nowhere::NotThisMethod(others) => {
                let mut refused = refuse(METHOD_NOT_ALLOWED);
                let others = HeaderValue::try_from(others).expect("methods are ASCII");
                refused.headers_mut().insert(header::ALLOW, others);
                refused
            }
        })?;
        let user = match bearer(headers) {
            _ if backend.is_open => None,
            Some(token) => match self.is_good(token).await {
                Ok(true) => token.split('.').nth(1).and_then(|it| HeaderValue::from_str(it).ok()),
                Ok(false) => return Err(refuse(UNAUTHENTICATED)),
                Err(_) => return Err(refuse(UNAVAILABLE)),
            },
            None => return Err(refuse(UNAUTHENTICATED)),
        };
        let service = self.services.get(&backend.function).filter(|it| it.is_well());
        let service = service.ok_or_else(|| refuse(UNAVAILABLE))?;
        let token = self.issuer.id_token(&self.account, &service.url());
        let token = token.map_err(|_| refuse(UNAVAILABLE))?;
        let told = headers.clone();
        rewrite(&mut request, user, &token);
        let passed = self.pass_on(request, service, backend).await;
        passed.map_err(|problem| self.refused(problem, &told))
    }

    /// Whether the issuer that a token names has made it, and for us.
    async fn is_good(&self, token: &str) -> runtime::Result<bool> {
        let now = self.clock.now();
        match self.second_issuer.as_ref().filter(|it| it.is_named_by(token)) {
            Some(issuer) => identity::second_issuer::is_good(issuer, token, now).await,
            None => Ok(self.verifier.check(token, now).await?.is_some()),
        }
    }

    async fn pass_on(
        &self,
        request: Request,
        service: &Service,
        backend: &Backend,
    ) -> Result<Response, Problem> {
        match timeout(backend.deadline, service.wire.send(request, WAITS)).await {
            Ok(Ok(answer)) => {
                let mut answer = answer.map(Body::new);
                without_hops(answer.headers_mut());
                Ok(answer)
            }
            Ok(Err(error)) => {
                tracing::warn!(service = backend.function, %error, "a request wasn't answered");
                Err(UNAVAILABLE)
            }
            Err(_elapsed) => Err(DEADLINE_EXCEEDED),
        }
    }

    fn refused(&self, problem: Problem, headers: &HeaderMap) -> Response {
        let text = |name| headers.get(name).and_then(|it: &HeaderValue| it.to_str().ok());
        let language = Language::accepted(text(header::ACCEPT_LANGUAGE).unwrap_or_default());
        let trace = Trace::continued(text(HeaderName::from_static("traceparent")), &*self.random);
        let reply = Reply::refused(Refusal::of(problem), language, &trace);
        let mut response = Response::new(Body::from(reply.body));
        let status = StatusCode::from_u16(reply.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        if problem == UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

async fn pass(State(front): State<Arc<Front>>, request: Request) -> Response {
    front.answer(request).await.unwrap_or_else(|refused| refused)
}

/// Changes what API Gateway changes. Where it checks a token, nobody but it says who the user is;
/// on open operations it lets pass what clients say of that, which functions mustn't believe.
fn rewrite(request: &mut Request, user: Option<HeaderValue>, id_token: &str) {
    let path = request.uri().path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|it| it.0.ip());
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = http::Version::HTTP_11;
    let headers = request.headers_mut();
    without_hops(headers);
    if let Some(authorization) = headers.remove(header::AUTHORIZATION) {
        headers.insert(FORWARDED_AUTHORIZATION, authorization);
    }
    if let Some(user) = user {
        headers.insert(USER_INFO, user);
    }
    if let Ok(token) = HeaderValue::try_from(format!("Bearer {id_token}")) {
        headers.insert(header::AUTHORIZATION, token);
    }
    if let Some(peer) = peer {
        let before = headers.get(FORWARDED_FOR).and_then(|it| it.to_str().ok());
        let hops = before.map_or_else(|| peer.to_string(), |it| format!("{it}, {peer}"));
        // In place of what was sent, never beside it.
        headers.remove(FORWARDED_FOR);
        headers.extend(HeaderValue::try_from(hops).ok().map(|it| (FORWARDED_FOR, it)));
    }
}

/// The token that a request bears.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Takes out what is only for the next hop (RFC 9110 §7.6.1).
fn without_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .filter_map(|it| it.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
}

/// The public keys of access tokens, as the function that tells them does.
pub(super) struct Jwks(pub Arc<Service>);

/// The most that they may be, in bytes.
const LARGEST: usize = 64 * 1024;

#[async_trait]
impl Keyring for Jwks {
    async fn key_id(&self) -> anyhow::Result<String> {
        bail!("nothing is signed here")
    }

    async fn sign(&self, _: &[u8]) -> anyhow::Result<Vec<u8>> {
        bail!("nothing is signed here")
    }

    async fn public_keys(&self) -> anyhow::Result<Vec<PublicKey>> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<PublicKey>,
        }
        let request = http::Request::get("/.well-known/jwks.json").body(Body::empty())?;
        let answer = timeout(WAITS, self.0.wire.send(request, WAITS)).await??;
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed).context("reading the keys")?;
        Ok(serde_json::from_slice::<Keys>(&body.to_bytes())?.keys)
    }
}

/// The way to a function between domains, for what tells of the platform. It asks
/// as one of the domains that may.
pub(super) struct Asking {
    pub service: Arc<Service>,
    pub issuer: Arc<Issuer>,
    pub account: String,
}

#[async_trait]
impl Client for Asking {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        let token = self.issuer.id_token(&self.account, &self.service.url())?;
        let request = http::Request::post(request.route.path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, contracts::JSON)
            .header("traceparent", trace.traceparent())
            .body(Body::from(request.body))?;
        let answer = timeout(WAITS, self.service.wire.send(request, WAITS)).await??;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed).context("reading an answer")?;
        Ok((status, body.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a function is sent of a request, whose token was checked or not.
    fn passed(sent: &[(&'static str, &'static str)], user: Option<&'static str>) -> HeaderMap {
        let mut request = Request::new(Body::empty());
        for (name, value) in sent {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        rewrite(&mut request, user.map(HeaderValue::from_static), "of-the-gateway");
        request.headers().clone()
    }

    #[test]
    fn a_token_moves_aside_for_the_gateways_own() {
        let theirs = [
            ("authorization", "Bearer theirs"),
            ("x-forwarded-authorization", "Bearer forged"),
            ("x-forwarded-authorization", "Bearer forged again"),
            ("x-apigateway-api-userinfo", "forged"),
        ];
        let headers = passed(&theirs, Some("checked"));
        let all = |name| headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all(header::AUTHORIZATION), ["Bearer of-the-gateway"]);
        assert_eq!(all(FORWARDED_AUTHORIZATION), ["Bearer theirs"]);
        assert_eq!(all(USER_INFO), ["checked"]);
    }

    #[test]
    fn where_no_token_is_checked_what_a_client_says_of_itself_stays_as_the_real_one_lets_it() {
        let sent = [("x-apigateway-api-userinfo", "anybody")];
        let headers = passed(&sent, None);
        assert_eq!(headers[USER_INFO], "anybody");
        assert_eq!(headers[header::AUTHORIZATION], "Bearer of-the-gateway");
    }

    #[test]
    fn what_is_for_the_next_hop_alone_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, x-private"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("if-match", "7"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        without_hops(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["content-length", "if-match"]);
    }
}
