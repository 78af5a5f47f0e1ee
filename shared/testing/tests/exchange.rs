//! Tokens of a second issuer, as a domain meets them that isn't identity.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use axum::body::Body;
use contracts::identity::{ExchangeToken, ExchangedToken, Role, TOKEN_NOT_TAKEN};
use http::{Request, StatusCode};
use runtime::{
    Bytes, Client, Domain, Front, Host, Outgoing, Ports, SecondIssuer, Trace,
    prelude::*,
    problems::{FORBIDDEN, INTERNAL, NO_SUCH_PATH, UNAUTHENTICATED, UNAVAILABLE},
};
use testing::{App, json};
use tower::ServiceExt as _;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WhoAmI {}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Me {
    id: UserId,
    session_id: String,
}

impl Endpoint for WhoAmI {
    const OPERATION: &'static str = "mirrors.who_am_i";
    const ROUTE: Route = Route::get("/v1/me");
    type Response = Me;
}

async fn who_am_i(cx: Context<User>, _: WhoAmI) -> Result<Me> {
    let session_id = cx.caller.session_id().to_owned();
    Ok(Me { id: cx.caller.id.clone(), session_id })
}

fn mirrors() -> Domain {
    Domain::new("mirrors").operation(who_am_i)
}

fn app() -> App {
    let second_issuer = SecondIssuer {
        title: "School".to_owned(),
        issuer: "https://idp.example".to_owned(),
        audience: "aula".to_owned(),
        jwks_uri: "https://idp.example/jwks".to_owned(),
    };
    App::with_second_issuer(mirrors, second_issuer)
}

/// A token that the issuer might have made; here nobody can tell.
fn token(issuer: &str, number: usize) -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let part = |json: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({ "iss": issuer, "sub": "ada", "jti": number });
    format!("{}.{}.c2ln", part(json!({ "alg": "RS256", "kid": "k" })), part(claims))
}

fn foreign(number: usize) -> String {
    token("https://idp.example", number)
}

/// Identity, which gives this access token for any other; how often it did.
async fn exchanging(app: &App, id: &str) -> Arc<AtomicUsize> {
    let access_token = app.token(id, &[Role::Student], "s1").await;
    let asked = Arc::<AtomicUsize>::default();
    let count = asked.clone();
    app.now_answering(move |_: ExchangeToken| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(ExchangedToken { access_token: access_token.clone() })
    });
    asked
}

#[tokio::test]
async fn a_token_is_exchanged_once_while_what_came_of_it_is_good() {
    let app = app();
    let asked = exchanging(&app, "ada").await;
    for _ in 0..3 {
        let me = app.bearer(&foreign(1)).get("/v1/me").await.ok();
        assert_eq!(me, json!({ "id": "ada", "session_id": "s1" }));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    app.bearer(&foreign(2)).get("/v1/me").await.ok();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    app.advance_minutes(15);
    let asked = exchanging(&app, "ada").await;
    app.bearer(&foreign(1)).get("/v1/me").await.ok();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_platforms_own_tokens_and_all_others_are_asked_of_nobody() {
    let app = app();
    let asked = exchanging(&app, "eve").await;
    assert_eq!(app.user("ada").get("/v1/me").await.ok()["id"], "ada");
    for other in [
        token("https://idp.example/", 1),
        token("https://evil.example", 1),
        format!("x.{}.x", "A".repeat(9000)),
        "..".to_owned(),
        "x".to_owned(),
    ] {
        app.bearer(&other).get("/v1/me").await.is(UNAUTHENTICATED);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_is_refused_is_told_why_in_their_language_and_may_come_again() {
    let app = app();
    app.now_answering(|_: ExchangeToken| Err(TOKEN_NOT_TAKEN));
    let refused = app.bearer(&foreign(1)).in_language("es").get("/v1/me").await;
    refused.is(UNAUTHENTICATED);
    assert_eq!(refused.body["detail"], TOKEN_NOT_TAKEN.es);
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    exchanging(&app, "ada").await;
    app.bearer(&foreign(1)).get("/v1/me").await.ok();
}

#[tokio::test]
async fn whatever_befalls_identity_nobody_is_called_a_stranger() {
    let app = app();
    for problem in [UNAVAILABLE, INTERNAL, NO_SUCH_PATH, FORBIDDEN, UNAUTHENTICATED] {
        app.now_answering(move |_: ExchangeToken| Err(problem));
        let refused = app.bearer(&foreign(1)).get("/v1/me").await;
        refused.is(UNAVAILABLE);
        assert_eq!(refused.header("retry-after"), "1");
    }
    app.now_answering(|_: ExchangeToken| Ok(ExchangedToken { access_token: "made up".to_owned() }));
    app.bearer(&foreign(1)).get("/v1/me").await.is(UNAVAILABLE);
    exchanging(&app, "ada").await;
    app.bearer(&foreign(1)).get("/v1/me").await.ok();
}

/// Identity, which takes its time.
struct Slow {
    access_token: String,
    asked: AtomicUsize,
}

#[async_trait]
impl Client for Slow {
    async fn send(&self, _: Outgoing, _: &Trace) -> anyhow::Result<(u16, Bytes)> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let answer = json!({ "access_token": self.access_token });
        Ok((200, answer.to_string().into()))
    }
}

#[tokio::test]
async fn those_who_come_at_once_wait_for_one_exchange() {
    let app = app();
    let access_token = app.token("ada", &[Role::Student], "s1").await;
    let slow = Arc::new(Slow { access_token, asked: AtomicUsize::default() });
    let ports = Arc::new(Ports { client: slow.clone(), ..Ports::clone(app.ports()) });
    let host = Host::new(vec![(mirrors(), ports.clone())], None);
    let router = runtime::router(&host, &Front { limits: None, ports });
    let ask = || async {
        let request =
            Request::get("/v1/me").header("authorization", format!("Bearer {}", foreign(1)));
        let request = request.body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("routers answer").status()
    };
    // Whoever was first goes away; the others don't hang.
    let first = tokio::time::timeout(std::time::Duration::ZERO, ask());
    let others = futures_util::future::join_all((0..20).map(|_| ask()));
    let (_gone, others) = tokio::join!(first, others);
    assert!(others.iter().all(|it| *it == StatusCode::OK), "{others:?}");
    assert!(slow.asked.load(Ordering::SeqCst) <= 2, "{:?}", slow.asked);
}

#[test]
fn a_domain_with_public_operations_may_have_tokens_exchanged() {
    assert_eq!(mirrors().calls, [ExchangeToken::OPERATION]);
    assert!(Domain::new("silent").calls.is_empty());
}
