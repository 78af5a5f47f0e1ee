//! A stand-in for what Google knows: the metadata server, the public keys of
//! its ID tokens, and Cloud KMS.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use aws_lc_rs::{
    digest,
    encoding::{AsDer, PublicKeyX509Der},
    rsa::KeyPair,
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    routing::{get, post},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use runtime::{Clock as _, RsaKey, SystemClock};
use serde_json::{Value, json};

/// The service account that everyone is.
pub const ACCOUNT: &str = "caller@aula-test.iam.gserviceaccount.com";

/// Google, as far as a container sees it.
#[derive(Clone)]
pub struct Google(Arc<Inner>);

pub struct Inner {
    pub address: String,
    key: Mutex<Arc<RsaKey>>,
    kms: KeyPair,
    pub is_down: AtomicBool,
    /// How many of the next requests aren't answered.
    pub failures: AtomicUsize,
    /// How often each was asked for.
    pub id_tokens: AtomicUsize,
    pub certs: AtomicUsize,
    pub signatures: AtomicUsize,
    /// In how many seconds tokens expire.
    pub lasts: Mutex<i64>,
}

impl std::ops::Deref for Google {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Google {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let key = Mutex::new(Arc::new(RsaKey::generate().unwrap()));
        let kms = KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let (is_down, failures, id_tokens, certs, signatures) = Default::default();
        let lasts = Mutex::new(3600);
        let inner =
            Inner { address, key, kms, is_down, failures, id_tokens, certs, signatures, lasts };
        let google = Self(Arc::new(inner));
        let router = Router::new()
            .route("/computeMetadata/v1/instance/service-accounts/default/identity", get(identity))
            .route("/computeMetadata/v1/instance/service-accounts/default/token", get(access))
            .route("/oauth2/v3/certs", get(certs_of))
            .route("/v1/{*resource}", get(public_key).post(sign))
            .route("/nowhere", post(async || ()))
            .with_state(google.clone());
        runtime::spawn(async move { axum::serve(listener, router).await.unwrap() });
        google
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn certs_url(&self) -> String {
        format!("{}/oauth2/v3/certs", self.url())
    }

    pub fn fail(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Another key signs from now on, and is the only one told.
    pub fn rotate(&self) {
        *self.key.lock().unwrap() = Arc::new(RsaKey::generate().unwrap());
    }

    /// A token of Google's for an audience, with some claims set otherwise.
    #[expect(clippy::needless_pass_by_value, reason = "what's given is written where it's given")]
    pub fn token(&self, audience: &str, otherwise: Value) -> String {
        let now = SystemClock.now().as_seconds();
        let mut claims = json!({
            "iss": "https://accounts.google.com", "aud": audience, "sub": "1", "azp": "1",
            "email": ACCOUNT, "email_verified": true,
            "iat": now, "exp": now + *self.lasts.lock().unwrap(),
        });
        for (name, value) in otherwise.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let key = self.key.lock().unwrap().clone();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key.public().kid });
        let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = key.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn up(&self) -> Result<(), StatusCode> {
        let fewer = |left: usize| left.checked_sub(1);
        let fails = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok();
        let is_down = fails || self.is_down.load(Ordering::SeqCst);
        if is_down { Err(StatusCode::SERVICE_UNAVAILABLE) } else { Ok(()) }
    }
}

fn is_metadata(headers: &HeaderMap) -> Result<(), StatusCode> {
    let flavor = headers.get("metadata-flavor").ok_or(StatusCode::FORBIDDEN)?;
    if flavor == "Google" { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
}

async fn identity(
    State(google): State<Google>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<String, StatusCode> {
    is_metadata(&headers)?;
    google.up()?;
    google.id_tokens.fetch_add(1, Ordering::SeqCst);
    let query = uri.query().unwrap_or_default();
    let audience = query.split('&').find_map(|it| it.strip_prefix("audience="));
    let audience = percent_encoding::percent_decode_str(audience.unwrap()).decode_utf8().unwrap();
    assert!(query.contains("format=full"), "without it there's no e-mail address");
    Ok(google.token(&audience, json!({})))
}

async fn access(
    State(google): State<Google>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Value>, StatusCode> {
    is_metadata(&headers)?;
    google.up()?;
    let scopes = uri.query().and_then(|it| it.strip_prefix("scopes=")).unwrap_or("x");
    let scopes = percent_encoding::percent_decode_str(scopes).decode_utf8().unwrap();
    let token = format!("ya29.{scopes}");
    Ok(Json(json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" })))
}

async fn certs_of(State(google): State<Google>) -> Result<Json<Value>, StatusCode> {
    google.up()?;
    google.certs.fetch_add(1, Ordering::SeqCst);
    let key = google.key.lock().unwrap().public().clone();
    let mut jwk = serde_json::to_value(key).unwrap();
    jwk["kty"] = json!("RSA");
    jwk["alg"] = json!("RS256");
    // One of another kind, which is none of ours.
    let other = json!({ "kty": "EC", "kid": "x", "crv": "P-256", "x": "", "y": "" });
    Ok(Json(json!({ "keys": [other, jwk] })))
}

fn is_allowed(headers: &HeaderMap) -> Result<(), StatusCode> {
    let bears = headers.get("authorization").is_some_and(|it| it == "Bearer ya29.x");
    if bears { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
}

async fn public_key(
    State(google): State<Google>,
    Path(resource): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    is_allowed(&headers)?;
    google.up()?;
    assert!(resource.ends_with("/cryptoKeyVersions/1/publicKey"), "{resource}");
    let der: PublicKeyX509Der<'_> = google.kms.public_key().as_der().unwrap();
    let pem = BASE64_STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n");
    Ok(Json(json!({ "pem": pem, "algorithm": "RSA_SIGN_PKCS1_2048_SHA256" })))
}

async fn sign(
    State(google): State<Google>,
    Path(resource): Path<String>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    is_allowed(&headers)?;
    google.up()?;
    assert!(resource.ends_with("/cryptoKeyVersions/1:asymmetricSign"), "{resource}");
    google.signatures.fetch_add(1, Ordering::SeqCst);
    let hash = BASE64_STANDARD.decode(request["digest"]["sha256"].as_str().unwrap()).unwrap();
    let hash = digest::Digest::import_less_safe(&hash, &digest::SHA256).unwrap();
    let mut signature = vec![0; google.kms.public_modulus_len()];
    google.kms.sign_digest(&RSA_PKCS1_SHA256, &hash, &mut signature).unwrap();
    Ok(Json(json!({ "signature": BASE64_STANDARD.encode(signature) })))
}
