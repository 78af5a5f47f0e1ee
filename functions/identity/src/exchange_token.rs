//! `POST /internal/identity/exchange-token`
//!
//! A token of the second issuer becomes an access token. Here alone is it known
//! who its bearer is on the platform, and whether they are still let in.

use contracts::identity::{
    ADDRESS_NOT_VERIFIED, ExchangeToken, ExchangedToken, SIGN_IN_HERE, TOKEN_NOT_TAKEN,
};
use runtime::prelude::*;

use crate::{
    factor,
    identity_link::IdentityLink,
    linking::{Owner, owner},
    person::Person,
    second_issuer::Shown,
    session::Session,
    tokens::access_token,
};

/// How long the access token is good for at most, in seconds: so long a session
/// that was ended goes on.
const LASTS_SECONDS: i64 = 10 * 60;

pub async fn run(mut cx: Context<System>, request: ExchangeToken) -> Result<ExchangedToken> {
    // Theirs who bear the token, and not the calling domain's.
    cx.language = request.language;
    let issuer = cx.settings().second_issuer.as_ref().ok_or(TOKEN_NOT_TAKEN)?;
    let shown = Shown::by(issuer, &request.token, cx.now).await?.ok_or(TOKEN_NOT_TAKEN)?;
    let key = IdentityLink::key_of(&shown.vouched.issuer, &shown.vouched.subject);
    let session_id = shown.session_id();
    let (link, session) =
        tokio::try_join!(cx.get::<IdentityLink>(&key), cx.get::<Session>(&session_id))?;

    let (person, mut changes) = match link {
        Some(link) => (cx.get::<Person>(link.user_id.as_str()).await?, Changes::new()),
        None => match owner(&cx, &shown.vouched, &issuer.title).await? {
            Owner::Person(person, changes) => (person.map(|it| *it), changes),
            Owner::Unknown(claim) => {
                let refusal = Refusal::of(ADDRESS_NOT_VERIFIED);
                return Err(refusal.with("link_token", claim.token(&cx)).into());
            }
        },
    };
    let person = person.filter(|it| it.is_active()).ok_or(TOKEN_NOT_TAKEN)?;
    if factor::is_needed(&person) {
        return Err(SIGN_IN_HERE.into());
    }
    let session = session.unwrap_or_else(|| {
        let (id, since) = (session_id.clone(), shown.signed_in_at);
        let session = Stored::new(Session::elsewhere(id, &issuer.title, &person, since));
        changes = std::mem::take(&mut changes).save(&session);
        session
    });
    if !session.is_of(&person, cx.now) || !person.may_go_on_from(shown.signed_in_at) {
        return Err(TOKEN_NOT_TAKEN.into());
    }
    let expires_at = shown.expires_at.min(cx.now.as_seconds() + LASTS_SECONDS);
    let access_token = access_token(&cx, &person, &session_id, expires_at).await?;
    cx.answer(changes, ExchangedToken { access_token }).await
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        sync::{Arc, Mutex},
        thread,
    };

    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use contracts::{
        Language,
        identity::{ContactChanged, IdentityLinked},
    };
    use runtime::{RsaKey, SecondIssuer, problems::UNAUTHENTICATED, token::Claims};
    use testing::{Answer, App, Value, json};

    use super::*;
    use crate::{
        person::State,
        tests::{
            PASSWORD, ask, code, disable, enter, holder, member, person, register, reset, sign_in,
            with_factor,
        },
    };

    const ADA: &str = "ada@example.org";
    const PATH: &str = "/internal/identity/exchange-token";
    const AUDIENCE: &str = "aula-test";

    /// An issuer on this machine, whose keys stand at an address.
    struct Issuer {
        settings: SecondIssuer,
        key: RsaKey,
        /// What stands there; nothing: it isn't answered.
        jwks: Arc<Mutex<Option<String>>>,
        asked: Arc<Mutex<usize>>,
    }

    impl Issuer {
        fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let issuer = format!("http://{}", listener.local_addr().unwrap());
            let settings = SecondIssuer {
                title: "School".to_owned(),
                jwks_uri: format!("{issuer}/jwks"),
                audience: AUDIENCE.to_owned(),
                issuer,
            };
            let key = RsaKey::generate().unwrap();
            let (jwks, asked) = (Arc::new(Mutex::new(Some(jwks(&[&key])))), Arc::default());
            let (told, counted) = (jwks.clone(), Arc::<Mutex<usize>>::clone(&asked));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let _head = stream.read(&mut [0; 4096]);
                    *counted.lock().unwrap() += 1;
                    let body: Option<String> = told.lock().unwrap().clone();
                    let status = if body.is_some() { "200 OK" } else { "500 No" };
                    let body = body.unwrap_or_default();
                    let length = body.len();
                    let _sent = write!(
                        stream,
                        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                    );
                }
            });
            Self { settings, key, jwks, asked }
        }

        fn app(&self) -> App {
            App::with_second_issuer(crate::domain, self.settings.clone())
        }

        fn asked(&self) -> usize {
            *self.asked.lock().unwrap()
        }

        /// What Identity Platform says of someone.
        fn claims(&self, app: &App, sub: &str, email: &str) -> Value {
            let now = app.now().as_seconds();
            json!({
                "iss": self.settings.issuer, "aud": AUDIENCE, "sub": sub, "user_id": sub,
                "iat": now, "auth_time": now - 60, "exp": now + 3600,
                "email": email, "email_verified": true, "name": "Ada L.",
                "firebase": { "identities": { "email": [email] }, "sign_in_provider": "password" },
            })
        }

        fn token(&self, claims: &Value) -> String {
            signed(&self.key, &json!({ "alg": "RS256", "kid": self.key.public().kid }), claims)
        }
    }

    fn jwks(keys: &[&RsaKey]) -> String {
        let jwk = |key: &&RsaKey| {
            let key = key.public();
            json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid, "n": key.n, "e": key.e })
        };
        json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() }).to_string()
    }

    fn part(json: &Value) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
    }

    fn signed(key: &RsaKey, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let signature = key.sign(message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims with some of them changed, or taken out where there's null.
    fn with(claims: &Value, changed: &Value) -> Value {
        let mut claims = claims.clone();
        let all = claims.as_object_mut().unwrap();
        for (name, value) in changed.as_object().unwrap() {
            match value {
                Value::Null => all.remove(name),
                value => all.insert(name.clone(), value.clone()),
            };
        }
        claims
    }

    async fn exchange(app: &App, token: &str) -> Answer {
        app.platform().post_without_key(PATH, json!({ "token": token })).await
    }

    /// What the access token says that a token was exchanged for.
    async fn exchanged(app: &App, token: &str) -> Claims {
        let body = exchange(app, token).await.ok();
        let token = body["access_token"].as_str().expect("a token");
        let claims = app.ports().verifier.check(token, app.now()).await.unwrap();
        Claims::clone(&claims.expect("the platform takes its own token"))
    }

    #[tokio::test]
    async fn who_is_new_gets_an_account_and_an_access_token_like_any_other() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let token = issuer.token(&issuer.claims(&app, "u1", "Ada@Example.org"));
        let before = app.commits();
        let claims = exchanged(&app, &token).await;
        assert_eq!(app.commits() - before, 1);
        let now = app.now().as_seconds();
        assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (App::PUBLIC_URL, App::PUBLIC_URL));
        assert_eq!((claims.iat, claims.exp), (now, now + LASTS_SECONDS));
        let ada = person(&app, ADA).await;
        assert_eq!((&claims.sub, &claims.roles, ada.state), (&ada.id, &ada.roles, State::Active));
        assert_eq!(ada.name.to_string(), "Ada L.");
        assert_eq!(app.emitted::<ContactChanged>().await.len(), 1);
        assert_eq!(app.emitted::<IdentityLinked>().await[0].provider, "School");

        // The next time nothing is written, and the keys are known.
        let (commits, reads) = (app.commits(), app.reads());
        let again = exchanged(&app, &token).await;
        assert_eq!((again.sub, again.sid), (claims.sub, claims.sid));
        assert_eq!((app.commits() - commits, app.reads() - reads, issuer.asked()), (0, 3, 1));
    }

    #[tokio::test]
    async fn every_operation_here_takes_the_token_itself() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let token = issuer.token(&issuer.claims(&app, "u1", ADA));
        let me = app.bearer(&token).get("/v1/users/me").await.ok();
        assert_eq!((&me["email"], &me["state"]), (&json!(ADA), &json!("active")));
        // What came of it is remembered: only who they are is read again.
        let reads = app.reads();
        app.bearer(&token).get("/v1/users/me").await.ok();
        assert_eq!(app.reads() - reads, 1);
        let sessions = app.bearer(&token).get("/v1/users/me/sessions").await.ok();
        let session = &sessions["items"][0];
        assert_eq!((&session["current"], &session["device"]), (&json!(true), &json!("School")));
        app.bearer(&token).get("/v1/users").await.is(runtime::problems::FORBIDDEN);
    }

    #[tokio::test]
    async fn who_is_new_is_written_to_in_the_language_that_they_ask_in() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let token = issuer.token(&issuer.claims(&app, "u1", ADA));
        app.bearer(&token).in_language("es").get("/v1/users/me").await.ok();
        assert_eq!(app.emitted::<ContactChanged>().await[0].contact.locale, Language::Es);
    }

    #[tokio::test]
    async fn who_is_refused_is_told_so_as_with_any_token() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let claims = issuer.claims(&app, "u1", ADA);
        let expired = issuer.token(&with(&claims, &json!({ "exp": app.now().as_seconds() })));
        let refused = app.bearer(&expired).in_language("es").get("/v1/users/me").await;
        refused.is(UNAUTHENTICATED);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        assert_eq!(refused.body["detail"], TOKEN_NOT_TAKEN.es);
        let unverified = issuer.token(&with(&claims, &json!({ "email_verified": false })));
        let refused = app.bearer(&unverified).get("/v1/users/me").await;
        refused.is(UNAUTHENTICATED);
        assert!(refused.body["errors"][0]["values"]["link_token"].is_string(), "{}", refused.body);
    }

    #[tokio::test]
    async fn a_token_that_is_not_the_issuers_for_us_now_is_refused() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let (claims, now) = (issuer.claims(&app, "u1", ADA), app.now().as_seconds());
        exchanged(&app, &issuer.token(&claims)).await;
        for changed in [
            json!({ "iss": "https://evil.example" }),
            json!({ "iss": format!("{}/", issuer.settings.issuer) }),
            json!({ "iss": null }),
            json!({ "aud": "another" }),
            json!({ "aud": [AUDIENCE, "another"] }),
            json!({ "aud": null }),
            json!({ "exp": now }),
            json!({ "exp": null }),
            json!({ "exp": "9999999999" }),
            json!({ "iat": now + 61 }),
            json!({ "iat": null }),
            json!({ "auth_time": null }),
            json!({ "auth_time": now + 61 }),
            json!({ "auth_time": now - 30 * 24 * 60 * 60 }),
            json!({ "auth_time": i64::MIN }),
            json!({ "sub": "" }),
            json!({ "sub": null }),
            json!({ "sub": "x".repeat(256) }),
            json!({ "firebase": { "tenant": "others-1" } }),
        ] {
            let token = issuer.token(&with(&claims, &changed));
            let refused = exchange(&app, &token).await;
            assert_eq!(refused.body["reason"], TOKEN_NOT_TAKEN.reason, "{changed}");
            assert_eq!(app.bearer(&token).get("/v1/users/me").await.status, 401, "{changed}");
        }
    }

    #[tokio::test]
    async fn a_token_that_the_issuer_has_not_signed_is_refused() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let claims = issuer.claims(&app, "u1", ADA);
        let (kid, body) = (issuer.key.public().kid.clone(), part(&claims));
        let good = issuer.token(&claims);
        let signature = good.rsplit('.').next().unwrap();
        let foreign = RsaKey::generate().unwrap();
        let symmetric = |secret: &[u8]| {
            let kid = Some(kid.clone());
            let header = jsonwebtoken::Header { kid, ..Default::default() };
            let key = jsonwebtoken::EncodingKey::from_secret(secret);
            jsonwebtoken::encode(&header, &claims, &key).unwrap()
        };
        let head = |algorithm: &str| json!({ "alg": algorithm, "kid": kid });
        let n = BASE64_URL_SAFE_NO_PAD.decode(&issuer.key.public().n).unwrap();
        let mut own = foreign.public().clone();
        own.kid.clone_from(&kid);
        let embedded =
            json!({ "alg": "RS256", "kid": kid, "jwk": { "kty": "RSA", "n": own.n, "e": own.e } });
        let elsewhere = json!({ "alg": "RS256", "kid": kid, "jku": "http://127.0.0.1:1/jwks" });
        for (what, token) in [
            ("no algorithm", format!("{}.{body}.", part(&head("none")))),
            (
                "no algorithm, with a signature",
                format!("{}.{body}.{signature}", part(&head("none"))),
            ),
            ("signed with the modulus", symmetric(&n)),
            ("signed with the published keys", symmetric(jwks(&[&issuer.key]).as_bytes())),
            ("another algorithm", signed(&issuer.key, &head("RS512"), &claims)),
            ("PSS", signed(&issuer.key, &head("PS256"), &claims)),
            ("another's key", signed(&foreign, &head("RS256"), &claims)),
            ("a key that it brings", signed(&foreign, &embedded, &claims)),
            ("keys that it names", signed(&foreign, &elsewhere, &claims)),
            ("no key named", signed(&issuer.key, &json!({ "alg": "RS256" }), &claims)),
            ("an unknown key", signed(&foreign, &json!({ "alg": "RS256", "kid": "x" }), &claims)),
            (
                "other claims",
                good.replacen(&body, &part(&with(&claims, &json!({ "sub": "u2" }))), 1),
            ),
            ("cut off", good[..good.len() - 9].to_owned()),
            (
                "the platform's own",
                app.token("ada", &[contracts::identity::Role::Admin], "s").await,
            ),
            ("dots", "..".to_owned()),
        ] {
            let refused = exchange(&app, &token).await;
            assert_eq!(refused.body["reason"], TOKEN_NOT_TAKEN.reason, "{what}: {}", refused.body);
        }
        let long = json!({ "token": "x".repeat(8193) });
        app.platform().post_without_key(PATH, long).await.blames("token", "too-long");
        exchanged(&app, &good).await;
    }

    #[tokio::test]
    async fn made_up_keys_do_not_make_us_ask_the_issuer_each_time() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let claims = issuer.claims(&app, "u1", ADA);
        exchanged(&app, &issuer.token(&claims)).await;
        for number in 0..20 {
            let header = json!({ "alg": "RS256", "kid": format!("made-up-{number}") });
            exchange(&app, &signed(&issuer.key, &header, &claims)).await.is(TOKEN_NOT_TAKEN);
        }
        assert_eq!(issuer.asked(), 1);
    }

    #[tokio::test]
    async fn another_key_of_the_issuer_is_found_and_an_old_one_goes() {
        let mut issuer = Issuer::new();
        let app = issuer.app();
        let claims = issuer.claims(&app, "u1", ADA);
        let old = issuer.token(&claims);
        let sub = exchanged(&app, &old).await.sub;
        issuer.key = RsaKey::generate().unwrap();
        *issuer.jwks.lock().unwrap() = Some(jwks(&[&issuer.key]));
        app.advance_seconds(10);
        assert_eq!(exchanged(&app, &issuer.token(&claims)).await.sub, sub);
        exchange(&app, &old).await.is(TOKEN_NOT_TAKEN);
    }

    #[tokio::test]
    async fn while_the_issuer_is_out_of_reach_its_old_keys_serve_and_nobody_is_called_a_forger() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let claims = issuer.claims(&app, "u1", ADA);
        let before = issuer.jwks.lock().unwrap().take();
        let token = issuer.token(&claims);
        exchange(&app, &token).await.is(runtime::problems::UNAVAILABLE);
        let refused = app.bearer(&token).get("/v1/users/me").await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
        app.advance_seconds(1);
        issuer.jwks.lock().unwrap().clone_from(&before);
        exchanged(&app, &token).await;
        issuer.jwks.lock().unwrap().take();
        app.advance_minutes(30);
        exchanged(&app, &token).await;
    }

    #[tokio::test]
    async fn no_access_token_outlives_the_token_that_it_is_for() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let (claims, now) = (issuer.claims(&app, "u1", ADA), app.now().as_seconds());
        let token = issuer.token(&with(&claims, &json!({ "exp": now + 90 })));
        assert_eq!(exchanged(&app, &token).await.exp, now + 90);
        app.bearer(&token).get("/v1/users/me").await.ok();
        app.advance_seconds(90);
        app.bearer(&token).get("/v1/users/me").await.is(UNAUTHENTICATED);
    }

    #[tokio::test]
    async fn a_verified_address_links_and_its_owner_is_told_and_no_other_does() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let ada = member(&app, ADA).await;
        let claims = issuer.claims(&app, "mallory", ADA);
        for changed in [
            json!({ "email_verified": false }),
            json!({ "email_verified": null }),
            json!({ "email_verified": "true" }),
            json!({ "email_verified": 1 }),
            json!({ "email": null }),
            json!({ "email": "no address" }),
        ] {
            let refused = exchange(&app, &issuer.token(&with(&claims, &changed))).await;
            assert_eq!(refused.body["reason"], ADDRESS_NOT_VERIFIED.reason, "{changed}");
        }
        assert!(app.emitted::<IdentityLinked>().await.is_empty());
        let claims = exchanged(&app, &issuer.token(&claims)).await;
        assert_eq!(claims.sub, ada);
        assert_eq!(app.emitted::<IdentityLinked>().await.len(), 1);
    }

    #[tokio::test]
    async fn nobody_links_more_accounts_than_a_reset_lets_go() {
        let issuer = Issuer::new();
        let app = issuer.app();
        member(&app, ADA).await;
        for number in 0..22 {
            let claims = issuer.claims(&app, &format!("u{number}"), ADA);
            let claims = with(&claims, &json!({ "email_verified": false }));
            let refused = exchange(&app, &issuer.token(&claims)).await;
            let link_token = refused.body["errors"][0]["values"]["link_token"].clone();
            let body = json!({ "email": ADA, "password": PASSWORD, "link_token": link_token });
            app.anyone().post("/v1/sessions", body).await.ok();
            app.advance_minutes(1);
        }
        assert_eq!(app.emitted::<IdentityLinked>().await.len(), 20);
    }

    #[tokio::test]
    async fn who_shows_that_an_account_is_theirs_links_an_address_that_is_not_verified() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let ada = member(&app, ADA).await;
        let claims = issuer.claims(&app, "u1", "other@example.org");
        let token = issuer.token(&with(&claims, &json!({ "email_verified": false })));
        let refused = exchange(&app, &token).await;
        let link_token = refused.body["errors"][0]["values"]["link_token"].clone();
        let body = json!({ "email": ADA, "password": PASSWORD, "link_token": link_token });
        app.anyone().post("/v1/sessions", body).await.ok();
        assert_eq!(exchanged(&app, &token).await.sub, ada);
    }

    #[tokio::test]
    async fn who_registered_with_anothers_address_first_is_not_let_in_by_its_owner() {
        let issuer = Issuer::new();
        let app = issuer.app();
        register(&app, ADA).await.ok();
        exchanged(&app, &issuer.token(&issuer.claims(&app, "u1", ADA))).await;
        sign_in(&app, ADA, PASSWORD).await.is(crate::sign_in::WRONG_CREDENTIALS);
    }

    #[tokio::test]
    async fn a_second_factor_is_not_gone_around() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let token = issuer.token(&issuer.claims(&app, "u1", ADA));
        with_factor(&app, ADA).await;
        let before = app.commits();
        exchange(&app, &token).await.is(SIGN_IN_HERE);
        assert_eq!(app.commits(), before, "nothing is linked");
        app.bearer(&token).get("/v1/users/me").await.is(UNAUTHENTICATED);
    }

    #[tokio::test]
    async fn who_is_shut_out_or_gone_stays_out() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let token = issuer.token(&issuer.claims(&app, "u1", ADA));
        let id = exchanged(&app, &token).await.sub;
        disable(&app, &id).await.ok();
        exchange(&app, &token).await.is(TOKEN_NOT_TAKEN);
        app.admin("root").delete(&format!("/v1/users/{id}")).await.ok();
        exchange(&app, &token).await.is(TOKEN_NOT_TAKEN);
        let another = issuer.token(&issuer.claims(&app, "u2", ADA));
        exchange(&app, &another).await.is(TOKEN_NOT_TAKEN);
        app.advance_minutes(30 * 24 * 60);
        app.run_job("identity.erase").await;
        // Nor does their old sign-in make them a new account.
        let now = app.now().as_seconds();
        let refreshed = json!({ "iat": now, "exp": now + 3600 });
        let old = with(&issuer.claims(&app, "u1", ADA), &refreshed);
        let since = json!({ "auth_time": now - 30 * 24 * 60 * 60 - 60 });
        exchange(&app, &issuer.token(&with(&old, &since))).await.is(TOKEN_NOT_TAKEN);
        assert_ne!(exchanged(&app, &issuer.token(&old)).await.sub, id);
    }

    #[tokio::test]
    async fn a_session_that_is_ended_stays_ended_until_they_sign_in_there_again() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let claims = issuer.claims(&app, "u1", ADA);
        let token = issuer.token(&claims);
        let session = exchanged(&app, &token).await.sid;
        let ada = app.bearer(&token);
        ada.delete(&format!("/v1/users/me/sessions/{session}")).await.ok();
        // A token that is refreshed there is of the same sign-in.
        app.advance_minutes(29 * 24 * 60);
        app.drop_expired().await;
        let now = app.now().as_seconds();
        let refreshed = with(&claims, &json!({ "iat": now, "exp": now + 3600 }));
        exchange(&app, &issuer.token(&refreshed)).await.is(TOKEN_NOT_TAKEN);
        app.bearer(&issuer.token(&refreshed)).get("/v1/users/me").await.is(UNAUTHENTICATED);
        let anew = with(&refreshed, &json!({ "auth_time": now }));
        assert_ne!(exchanged(&app, &issuer.token(&anew)).await.sid, session);
    }

    #[tokio::test]
    async fn ending_all_sessions_ends_those_that_were_never_seen_here_too() {
        let issuer = Issuer::new();
        let app = issuer.app();
        member(&app, ADA).await;
        let claims = issuer.claims(&app, "u1", ADA);
        let stolen = with(&claims, &json!({ "auth_time": app.now().as_seconds() - 3600 }));
        exchanged(&app, &issuer.token(&claims)).await;
        ask(&app, ADA, "reset_password").await.ok();
        reset(&app, ADA, &code(&app).await, "another good password").await.ok();
        for claims in [&claims, &stolen] {
            exchange(&app, &issuer.token(claims)).await.is(TOKEN_NOT_TAKEN);
        }
        app.advance_seconds(1);
        let anew = with(&claims, &json!({ "auth_time": app.now().as_seconds() }));
        exchanged(&app, &issuer.token(&anew)).await;
    }

    #[tokio::test]
    async fn what_cannot_be_undone_takes_a_sign_in_there_of_just_now() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let (claims, now) = (issuer.claims(&app, "u1", ADA), app.now().as_seconds());
        let old = issuer.token(&with(&claims, &json!({ "auth_time": now - 301 })));
        let refused = app.bearer(&old).delete("/v1/users/me").await;
        refused.is(crate::fresh::REAUTHENTICATION_REQUIRED);
        let fresh = issuer.token(&with(&claims, &json!({ "auth_time": now })));
        app.bearer(&fresh).delete("/v1/users/me").await.ok();
    }

    #[tokio::test]
    async fn two_at_once_make_one_account() {
        let issuer = Issuer::new();
        let app = issuer.app();
        let claims = issuer.claims(&app, "u1", ADA);
        let (one, other) =
            (issuer.token(&claims), issuer.token(&with(&claims, &json!({ "x": 1 }))));
        let (one, other) = tokio::join!(exchanged(&app, &one), exchanged(&app, &other));
        assert_eq!((one.sub, one.sid), (other.sub, other.sid));
        assert_eq!(app.emitted::<ContactChanged>().await.len(), 1);
    }

    #[tokio::test]
    async fn without_a_second_issuer_none_is_taken_and_nobody_outside_exchanges() {
        let issuer = Issuer::new();
        let app = crate::tests::app();
        let token = issuer.token(&issuer.claims(&app, "u1", ADA));
        exchange(&app, &token).await.is(TOKEN_NOT_TAKEN);
        app.bearer(&token).get("/v1/users/me").await.is(UNAUTHENTICATED);
        let app = issuer.app();
        let body = json!({ "token": token });
        app.admin("root").post(PATH, &body).await.is(runtime::problems::NO_SUCH_PATH);
        // Its own tokens are good beside the others.
        member(&app, ADA).await;
        let own = enter(&app, ADA).await;
        holder(&app, &own).get("/v1/users/me").await.ok();
        assert_eq!(issuer.asked(), 0);
    }
}
