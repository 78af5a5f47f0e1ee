//! Serving a host's operations over HTTP: what every request goes through, in
//! one place and in one order.
//!
//! Route, address's allowance, token, person's allowance, media type, size;
//! then the function, which checks its caller, its fields and its rules. What
//! comes back gets the same headers and one line in the log, whatever it was.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::Response,
    routing::{MethodFilter, on},
};
use contracts::{JSON, Language, Problem, Rate, Redirect};
use futures_util::FutureExt;

use crate::{
    Host, Incoming, Ports, Refusal, Reply, Sender, Trace, Trigger,
    caller::Origin,
    deadline,
    exchange::Exchange,
    limits::{Allowance, Limits},
    problems::{
        DEADLINE_EXCEEDED, INTERNAL, INVALID_REQUEST, METHOD_NOT_ALLOWED, NO_SUCH_PATH, NOT_JSON,
        TOO_LARGE, TOO_MANY_REQUESTS, UNAUTHENTICATED,
    },
    token::Claims,
};

pub(crate) use crate::host::log_internal;

/// The largest body that is read, in bytes.
pub const BODY_MOST: usize = 1 << 20;

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a server adds to the functions that it serves.
#[derive(Clone)]
pub struct Front {
    /// How often one may ask; nothing: as often as they like.
    pub limits: Option<Arc<Limits>>,
    /// The ports that aren't a domain's: the clock, randomness, tokens.
    pub ports: Arc<Ports>,
}

/// What tells requests of the platform itself from all others.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Whether the platform itself has sent a request with these headers; an
    /// error if that can't be said just now.
    async fn admits(&self, headers: &HeaderMap) -> anyhow::Result<bool>;
}

#[derive(Clone)]
struct Serving {
    host: Host,
    front: Front,
    /// What the operations between domains are behind; the public ones aren't.
    gate: Option<Arc<dyn Gate>>,
    /// What has the second issuer's tokens exchanged, if there's one.
    exchange: Option<Arc<Exchange>>,
}

/// What an operation reads of a request.
#[derive(Clone, Copy)]
struct Taken {
    has_body: bool,
    /// Whether the body is JSON, and not a text that counts as it was sent.
    is_json: bool,
    /// The fields that are read from a header.
    headers: &'static [(&'static str, &'static str)],
}

/// Routes each public operation of a host to its function.
pub fn router(host: &Host, front: &Front) -> Router {
    let exchange = Exchange::of(&front.ports.settings, host).map(Arc::new);
    routes(Serving { host: host.clone(), front: front.clone(), gate: None, exchange })
}

/// Routes each operation between domains to its function; only who passes the
/// gate may ask.
pub fn internal_router(host: &Host, front: &Front, gate: Arc<dyn Gate>) -> Router {
    let (host, front, exchange) = (host.clone(), front.clone(), None);
    routes(Serving { host, front, gate: Some(gate), exchange })
}

fn routes(serving: Serving) -> Router {
    let serving = Arc::new(serving);
    let is_internal = serving.gate.is_some();
    let mut router = Router::new();
    for served in serving.host.functions() {
        let Trigger::Http(operation) = &served.function.trigger else { continue };
        if operation.route.is_internal() != is_internal {
            continue;
        }
        let filter = match operation.route.method {
            contracts::Method::Get => MethodFilter::GET,
            contracts::Method::Post => MethodFilter::POST,
            contracts::Method::Patch => MethodFilter::PATCH,
            contracts::Method::Delete => MethodFilter::DELETE,
        };
        let (id, rate) = (Arc::<str>::from(served.function.id.as_str()), operation.rate);
        let taken = Taken {
            has_body: operation.route.method.has_body(),
            is_json: operation.body == contracts::Body::Json,
            headers: operation.headers,
        };
        let handler = async move |State(serving): State<Arc<Serving>>, request: Request| {
            serving.operate(&id, rate, taken, request).await
        };
        router = router.route(operation.route.path, on(filter, handler));
    }
    router.with_state(serving)
}

/// Puts what every answer of a server has around a router: deadline, headers,
/// problems instead of bare statuses, and the line in the log.
pub fn with_front(router: Router, front: &Front) -> Router {
    router
        .fallback(async || problem(NO_SUCH_PATH))
        .method_not_allowed_fallback(async || problem(METHOD_NOT_ALLOWED))
        .layer(axum::middleware::from_fn_with_state(front.clone(), pass))
}

/// Which function answered, among an answer's extensions: for the log.
#[derive(Clone, Debug)]
pub struct AnsweredBy(pub Arc<str>);

/// The problem that was answered, for the log.
#[derive(Clone, Copy)]
struct Refused(&'static str);

/// A refusal before any function was reached; the front fills it in.
#[derive(Clone, Copy)]
struct Bare(Problem);

fn problem(problem: Problem) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status(problem.code.status());
    response.extensions_mut().insert(Bare(problem));
    response
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Serving {
    async fn operate(&self, id: &Arc<str>, rate: Rate, taken: Taken, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let language = language(&parts.headers);
        let trace = parts.extensions.get::<Trace>().cloned();
        let trace = trace.unwrap_or_else(|| Trace::continued(None, &*self.front.ports.random));
        let mut allowance = None;
        let reply = match self.admit(&mut parts, rate, &mut allowance, &trace).await {
            Ok(origin) => match read(&mut parts, body, taken).await {
                Ok((bound, body)) => {
                    let query = parts.uri.query().unwrap_or_default().to_owned();
                    let key = parts.headers.get("idempotency-key");
                    // What isn't ASCII is no key; the function says so.
                    let idempotency_key =
                        key.map(|key| key.to_str().unwrap_or_default().to_owned());
                    let sender = Sender::of(peer(&parts), &parts.headers);
                    let incoming = Incoming {
                        bound,
                        query,
                        body,
                        origin,
                        sender,
                        language,
                        trace: trace.clone(),
                        idempotency_key,
                    };
                    self.host.request(id, incoming).await
                }
                Err(refusal) => Reply::refused(refusal, language, &trace),
            },
            Err(refusal) => Reply::refused(refusal, language, &trace),
        };
        let mut response = respond(reply, language);
        if let Some(allowance) = allowance {
            limit_headers(response.headers_mut(), allowance);
        }
        response.extensions_mut().insert(AnsweredBy(id.clone()));
        response
    }

    /// Who asks, if they may ask now.
    async fn admit(
        &self,
        parts: &mut Parts,
        rate: Rate,
        allowance: &mut Option<Allowance>,
        trace: &Trace,
    ) -> Result<Origin, Refusal> {
        if let Some(gate) = &self.gate {
            let admitted = gate.admits(&parts.headers).await.map_err(|it| unsure(&it))?;
            return if admitted { Ok(Origin::Platform) } else { Err(Refusal::of(UNAUTHENTICATED)) };
        }
        let limits = self.front.limits.as_deref();
        if let Some(limits) = limits {
            allowed(limits.address(address(parts), rate), allowance)?;
        }
        let Some(token) = bearer(&parts.headers)? else { return Ok(Origin::Nobody) };
        let claims = self.claims(token, language(&parts.headers), trace).await?;
        if let Some(limits) = limits {
            allowed(limits.user(&claims.sub), allowance)?;
        }
        Ok(Origin::Bearer(claims))
    }

    /// What a token says of who bears it.
    async fn claims(
        &self,
        token: &str,
        language: Language,
        trace: &Trace,
    ) -> Result<Arc<Claims>, Refusal> {
        let Ports { verifier, clock, .. } = &*self.front.ports;
        if let Some(exchange) = self.exchange.as_ref().filter(|it| it.is_for(token)) {
            return exchange.claims(token, language, &self.front.ports, trace).await;
        }
        let claims = verifier.check(token, clock.now()).await.map_err(|it| unsure(&it))?;
        claims.ok_or_else(|| Refusal::of(UNAUTHENTICATED))
    }
}

/// The refusal where nobody can say whose token it is: it may be a good one.
pub(crate) fn unsure(error: &anyhow::Error) -> Refusal {
    tracing::warn!(error = format!("{error:#}"), "a token can't be checked");
    crate::Error::Unavailable(1).into_refusal()
}

/// Notes the tightest allowance, and refuses when it's used up.
fn allowed(asked: Allowance, tightest: &mut Option<Allowance>) -> Result<(), Refusal> {
    if tightest.is_none_or(|it| asked.remaining < it.remaining) {
        *tightest = Some(asked);
    }
    match asked.retry_after {
        Some(seconds) => Err(Refusal::of(TOO_MANY_REQUESTS).retry_after(seconds)),
        None => Ok(()),
    }
}

/// The address that a request comes from.
fn address(parts: &Parts) -> IpAddr {
    peer(parts).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

/// The bearer's token. API Gateway moves it to a header of its own.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let header = headers.get("x-forwarded-authorization");
    let Some(header) = header.or_else(|| headers.get(header::AUTHORIZATION)) else {
        return Ok(None);
    };
    let (scheme, token) =
        header.to_str().ok().and_then(|it| it.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token.trim()))
    } else {
        Err(Refusal::of(UNAUTHENTICATED))
    }
}

fn language(headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok());
    accepted.map_or(Language::En, Language::accepted)
}

type Bound = Vec<(Cow<'static, str>, String)>;

/// The fields that aren't in the query, and the body.
async fn read(parts: &mut Parts, body: Body, taken: Taken) -> Result<(Bound, Bytes), Refusal> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|_| {
        Refusal::of(INVALID_REQUEST).because("The path isn't UTF-8.", "La ruta no es UTF-8.")
    })?;
    let mut bound: Bound = params
        .iter()
        .map(|(name, value)| (Cow::Owned(name.to_owned()), value.to_owned()))
        .collect();
    let text = |name: &str| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    for (field, header) in taken.headers {
        bound.extend(text(header).map(|value| (Cow::Borrowed(*field), value)));
    }
    let etag = text("if-match").map(|etag| (Cow::Borrowed("etag"), etag));
    if !taken.has_body {
        bound.extend(etag);
        return Ok((bound, Bytes::new()));
    }
    let declared = parts.headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > BODY_MOST) {
        return Err(Refusal::of(TOO_LARGE));
    }
    let body = axum::body::to_bytes(body, BODY_MOST).await.map_err(|error| {
        let error = std::error::Error::source(&error);
        let too_large =
            error.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        Refusal::of(if too_large { TOO_LARGE } else { INVALID_REQUEST })
    })?;
    if taken.is_json {
        if !body.is_empty() && !is_json(&parts.headers) {
            return Err(Refusal::of(NOT_JSON));
        }
        bound.extend(etag);
        return Ok((bound, body));
    }
    let body = String::from_utf8(body.into()).map_err(|_| {
        Refusal::of(INVALID_REQUEST).because("The body isn't UTF-8.", "El cuerpo no es UTF-8.")
    })?;
    bound.push((Cow::Borrowed("body"), body));
    bound.extend(etag);
    Ok((bound, Bytes::new()))
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(JSON)
}

const PROBLEM_JSON: &str = "application/problem+json";

/// What a page of ours may do: show itself, and send its own form to us.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

fn respond(mut reply: Reply, language: Language) -> Response {
    let is_problem = reply.status >= 400;
    let redirect = redirect(&mut reply);
    let has_content = !reply.body.is_empty();
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = status(reply.status);
    let headers = response.headers_mut();
    if has_content {
        let media_type = if is_problem { PROBLEM_JSON } else { reply.media_type };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if media_type.starts_with("text/html") {
            headers.insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
        }
    }
    if let Some(Redirect { location, cookie }) = redirect {
        let value = |text: String| HeaderValue::try_from(text).ok();
        headers.extend(value(location).map(|it| (header::LOCATION, it)));
        headers.extend(cookie.and_then(value).map(|it| (header::SET_COOKIE, it)));
    }
    if is_problem {
        let language = HeaderValue::from_static(language.code());
        headers.insert(header::CONTENT_LANGUAGE, language);
    }
    if reply.status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if reply.replayed {
        const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(problem) = reply.problem {
        response.extensions_mut().insert(Refused(problem));
    }
    response
}

/// Takes out of a reply where a browser is to go next: it reads that in headers.
fn redirect(reply: &mut Reply) -> Option<Redirect> {
    let is_one = reply.status == contracts::Route::redirect("").status;
    let body = is_one.then(|| std::mem::take(&mut reply.body))?;
    serde_json::from_slice(&body).ok()
}

fn limit_headers(headers: &mut HeaderMap, allowance: Allowance) {
    headers.insert(HeaderName::from_static("ratelimit-limit"), allowance.limit.into());
    headers.insert(HeaderName::from_static("ratelimit-remaining"), allowance.remaining.into());
    let reset = allowance.retry_after.unwrap_or(1);
    headers.insert(HeaderName::from_static("ratelimit-reset"), reset.into());
}

/// What every request goes through before it's routed, and every answer after.
async fn pass(State(front): State<Front>, request: Request, next: Next) -> Response {
    // Whoever watches from outside may have begun this step already.
    let begun = request.extensions().get::<Trace>().cloned();
    let trace = begun.unwrap_or_else(|| {
        let traceparent = request.headers().get("traceparent").and_then(|it| it.to_str().ok());
        Trace::continued(traceparent, &*front.ports.random)
    });
    trace.clone().within(pass_within(trace, request, next)).await
}

async fn pass_within(trace: Trace, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let language = language(request.headers());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = if is_preflight(&method, request.headers()) {
        preflight()
    } else {
        request.extensions_mut().insert(trace.clone());
        // Whoever sends it for somebody else says how long they still wait. A stranger
        // doesn't: what they cut short would count as a fault of whom it's asked from.
        let said = request.headers().get(deadline::HEADER).and_then(|it| it.to_str().ok());
        let said = said.filter(|_| uri.path().starts_with("/internal/"));
        let patience = deadline::read(said).map_or(DEADLINE, |said| said.min(DEADLINE));
        let run = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
        match tokio::time::timeout(patience, deadline::within(patience, run)).await {
            Ok(Ok(response)) => response,
            Ok(Err(_panic)) => {
                tracing::error!(path = &*discreet(uri.path()), "a function panicked");
                problem(INTERNAL)
            }
            Err(_elapsed) => problem(DEADLINE_EXCEEDED),
        }
    };
    if let Some(Bare(problem)) = response.extensions().get::<Bare>().copied() {
        let reply = Reply::refused(Refusal::of(problem), language, &trace);
        let allow = response.headers().get(header::ALLOW).cloned();
        response = respond(reply, language);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    dress(response.headers_mut(), &trace);
    log(&method, uri.path(), &response, &trace, began.elapsed());
    response
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Allows any web page to call: a caller is known by the token that the page
/// holds, never by a cookie, so there's nothing that a foreign page could ride on.
fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let constant = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, constant("GET, POST, PATCH, DELETE"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        constant(
            "authorization, content-type, accept-language, idempotency-key, if-match, traceparent",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, constant("7200"));
    response
}

/// The headers that every answer has.
fn dress(headers: &mut HeaderMap, trace: &Trace) {
    let constant = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, constant("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        constant("etag, idempotency-replayed, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, traceparent"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, constant("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, constant("DENY"));
    headers.insert(header::REFERRER_POLICY, constant("no-referrer"));
    let policy = "default-src 'none'; frame-ancestors 'none'";
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(constant(policy));
    headers.entry(header::CACHE_CONTROL).or_insert(constant("no-store"));
    if let Ok(traceparent) = HeaderValue::from_str(&trace.traceparent()) {
        headers.insert(HeaderName::from_static("traceparent"), traceparent);
    }
}

/// A path as a log may tell it: with its words and ids as they are. What else
/// somebody has put there may name them, or let in whoever reads it.
fn discreet(path: &str) -> Cow<'_, str> {
    const LONGEST: usize = 40;
    let is_ours = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let is_plain = |part: &str| part.len() <= LONGEST && part.bytes().all(is_ours);
    if path.split('/').all(is_plain) {
        return Cow::Borrowed(path);
    }
    let told = path.split('/').map(|part| if is_plain(part) { part } else { "…" });
    Cow::Owned(told.collect::<Vec<_>>().join("/"))
}

/// One line for each request. The query stays out of it: it may name people.
fn log(method: &Method, path: &str, response: &Response, trace: &Trace, took: Duration) {
    let status = response.status().as_u16();
    let function = response.extensions().get::<AnsweredBy>().map_or("", |AnsweredBy(id)| id);
    let problem = response.extensions().get::<Refused>().map_or("", |Refused(reason)| reason);
    tracing::info!(
        target: "request",
        function,
        http_request.request_method = method.as_str(),
        http_request.request_url = &*discreet(path),
        http_request.status = status,
        http_request.latency = format_args!("{:.6}s", took.as_secs_f64()),
        problem,
        trace_id = &*trace.trace_id,
        "request"
    );
}
