//! Signing in with accounts elsewhere, at a provider of identities that others
//! made (npm's `oauth2-mock-server`), which runs beside the test.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

use contracts::identity::{CodeRequested, ContactChanged, IdentityLinked};
use runtime::{IdentityProvider, ProviderProtocol};
use testing::{Answer, App, Value, json};

/// The version of the package that is run.
const PACKAGE: &str = "oauth2-mock-server@9.3.0";

/// The providers, and how they are told what to say.
struct Providers {
    process: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    openid: String,
    github: String,
}

impl Providers {
    /// Starts them; nothing where there's no Node.js, or no way to the package.
    fn start() -> Option<Self> {
        static INSTALLING: Mutex<()> = Mutex::new(());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("providers");
        {
            let _alone = INSTALLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::fs::create_dir_all(&folder).expect("a folder for the package");
            if !folder.join("node_modules/oauth2-mock-server").is_dir() {
                let mut npm = Command::new("npm");
                npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix", "."]);
                let installed = npm.arg(PACKAGE).current_dir(&folder).status();
                if !installed.is_ok_and(|status| status.success()) {
                    eprintln!(
                        "SKIPPED: sign-in at a provider isn't tested: npm can't install {PACKAGE}"
                    );
                    return None;
                }
            }
            std::fs::write(folder.join("provider.mjs"), include_str!("provider.mjs"))
                .expect("a script");
        }
        let mut node = Command::new("node");
        node.arg("provider.mjs").current_dir(&folder);
        let mut process = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node");
        let input = process.stdin.take().expect("piped");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the providers say where they are");
        let at: Value = serde_json::from_str(&line).expect("the providers say where they are");
        let text = |name: &str| at[name].as_str().expect("an address").to_owned();
        let (openid, github) = (text("openid"), text("github"));
        Some(Self { process, talk: Mutex::new((input, output)), openid, github })
    }

    /// What is said of whoever signs in next.
    fn say(&self, next: &Value) {
        let mut talk = self.talk.lock().expect("no holder panics");
        writeln!(talk.0, "{next}").expect("the providers listen");
        let mut heard = String::new();
        talk.1.read_line(&mut heard).expect("the providers have heard");
    }

    fn app(&self) -> App {
        let provider = |name: &str, protocol, issuer: &str| IdentityProvider {
            name: name.to_owned(),
            title: name.to_uppercase(),
            protocol,
            issuer: issuer.to_owned(),
            client_id: "aula".to_owned(),
            client_secret: "secret".to_owned(),
        };
        let school = provider("school", ProviderProtocol::Openid, &self.openid);
        let github = provider("github", ProviderProtocol::Github, &self.github);
        App::with_providers(identity::domain, vec![school, github])
    }

    /// Who signs in next at the `OpenID` provider. The test's clock isn't the machine's.
    fn person(&self, app: &App, claims: &Value) {
        let now = app.now().as_seconds();
        let mut all = json!({ "iat": now, "nbf": now, "exp": now + 300, "aud": "aula" });
        let more = claims.as_object().expect("claims").clone();
        all.as_object_mut().expect("claims").extend(more);
        self.say(&json!({ "claims": all }));
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// What a browser has after it was sent to a provider and back.
struct Browser {
    cookie: String,
    /// Where the provider sent it back to, without the platform's address.
    back: String,
}

async fn browse(app: &App, provider: &str) -> Browser {
    let begun = app.anyone().get(&format!("/v1/identity-providers/{provider}/authorize")).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let cookie = begun.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Secure", "Max-Age=600"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.tls_certs_only([]).no_proxy().build().expect("a client");
    let sent = client.get(begun.header("location")).send().await.expect("the provider answers");
    assert!(sent.status().is_redirection(), "{}", sent.status());
    let back = sent.headers()["location"].to_str().expect("an address");
    let back = back.strip_prefix(App::PUBLIC_URL).expect("it sends people back").to_owned();
    Browser { cookie: cookie.split(';').next().expect("a cookie").to_owned(), back }
}

impl Browser {
    async fn arrive(&self, app: &App) -> Answer {
        app.anyone().with_header("cookie", &self.cookie).get(&self.back).await
    }
}

async fn sign_in(app: &App, provider: &str) -> Answer {
    browse(app, provider).await.arrive(app).await
}

fn reason(answer: &Answer) -> &str {
    answer.body["reason"].as_str().unwrap_or_default()
}

const PASSWORD: &str = "correct horse battery";

async fn register(app: &App, email: &str) {
    let form = json!({ "email": email, "password": PASSWORD, "name": "Ada" });
    app.anyone().post("/v1/users", form).await.ok();
}

async fn member(app: &App, email: &str) {
    register(app, email).await;
    let sent = app.emitted::<CodeRequested>().await.pop().expect("a code");
    let code = app.context().secret().code(&sent.code_id);
    let body = json!({ "email": email, "purpose": "verify_email", "code": code });
    app.anyone().post("/v1/codes/redeem", body).await.ok();
}

async fn by_password(app: &App, email: &str, link_token: Option<&Value>) -> Answer {
    let mut body = json!({ "email": email, "password": PASSWORD });
    if let Some(token) = link_token {
        body["link_token"] = token.clone();
    }
    app.anyone().post("/v1/sessions", body).await
}

#[tokio::test]
async fn who_is_new_gets_an_account_and_finds_it_again() {
    let Some(providers) = Providers::start() else { return };
    let app = providers.app();
    let claims =
        json!({ "sub": "1", "email": "Ada@Example.org", "email_verified": true, "name": "Ada L." });
    providers.person(&app, &claims);
    let first = sign_in(&app, "school").await;
    assert_eq!((first.status, first.header("cache-control")), (200, "no-store"));
    let first = first.body;
    assert_eq!(
        (&first["user"]["name"], &first["user"]["state"]),
        (&json!("Ada L."), &json!("active"))
    );
    assert_eq!(first["user"]["email"], "ada@example.org");
    let token = first["access_token"].as_str().unwrap();
    app.bearer(token).get("/v1/users/me").await.ok();
    assert_eq!(app.emitted::<ContactChanged>().await.len(), 1);
    assert_eq!(app.emitted::<IdentityLinked>().await.len(), 1);
    // Elsewhere they may have another address by now: it's the account there that counts.
    let moved = json!({ "sub": "1", "email": "other@example.org", "email_verified": false });
    providers.person(&app, &moved);
    let again = sign_in(&app, "school").await.ok();
    assert_eq!(again["user"]["id"], first["user"]["id"]);
    assert_eq!(app.emitted::<IdentityLinked>().await.len(), 1);
}

#[tokio::test]
async fn a_verified_address_links_and_its_owner_is_told() {
    let Some(providers) = Providers::start() else { return };
    let app = providers.app();
    member(&app, "ada@example.org").await;
    let claims = json!({ "sub": "2", "email": "ada@example.org", "email_verified": true });
    providers.person(&app, &claims);
    let linked = sign_in(&app, "school").await.ok();
    let own = by_password(&app, "ada@example.org", None).await.ok();
    assert_eq!(linked["user"]["id"], own["user"]["id"]);
    let told = app.emitted::<IdentityLinked>().await;
    assert_eq!((told.len(), told[0].provider.as_str()), (1, "SCHOOL"));
}

#[tokio::test]
async fn who_registered_with_anothers_address_first_is_not_let_in_by_its_owner() {
    let Some(providers) = Providers::start() else { return };
    let app = providers.app();
    register(&app, "ada@example.org").await;
    let claims = json!({ "sub": "3", "email": "ada@example.org", "email_verified": true });
    providers.person(&app, &claims);
    sign_in(&app, "school").await.ok();
    let strangers = by_password(&app, "ada@example.org", None).await;
    assert_eq!(reason(&strangers), "wrong-credentials");
}

#[tokio::test]
async fn an_address_that_is_not_verified_links_nothing_until_the_account_is_proved() {
    let Some(providers) = Providers::start() else { return };
    let app = providers.app();
    member(&app, "ada@example.org").await;
    for claims in [
        json!({ "sub": "4", "email": "ada@example.org", "email_verified": false }),
        json!({ "sub": "4", "email": "ada@example.org" }),
        json!({ "sub": "4", "email": "nobody@example.org", "email_verified": "false" }),
        json!({ "sub": "4" }),
    ] {
        providers.person(&app, &claims);
        let asked = sign_in(&app, "school").await;
        assert_eq!((asked.status, reason(&asked)), (409, "prove-account"));
    }
    let asked = sign_in(&app, "school").await;
    let token = asked.body["errors"][0]["values"]["link_token"].clone();
    let forged = by_password(&app, "ada@example.org", Some(&json!("made-up"))).await;
    assert_eq!(reason(&forged), "invalid-link-token");
    let own = by_password(&app, "ada@example.org", Some(&token)).await.ok();
    let linked = sign_in(&app, "school").await.ok();
    assert_eq!(linked["user"]["id"], own["user"]["id"]);
    app.advance_minutes(15);
    let late = by_password(&app, "ada@example.org", Some(&token)).await;
    assert_eq!(reason(&late), "invalid-link-token");
}

#[tokio::test]
async fn a_sign_in_ends_in_the_browser_that_began_it() {
    let Some(providers) = Providers::start() else { return };
    let app = providers.app();
    let claims = json!({ "sub": "5", "email": "eve@example.org", "email_verified": true });
    providers.person(&app, &claims);
    let (eves, adas) = (browse(&app, "school").await, browse(&app, "school").await);
    // Eve sends Ada the address that signs in as Eve.
    let slipped = app.anyone().with_header("cookie", &adas.cookie).get(&eves.back).await;
    assert_eq!(reason(&slipped), "invalid-authorization");
    let without = app.anyone().get(&eves.back).await;
    assert_eq!(reason(&without), "invalid-authorization");
    let elsewhere = eves.back.replacen("/school/", "/github/", 1);
    let elsewhere = app.anyone().with_header("cookie", &eves.cookie).get(&elsewhere).await;
    assert_eq!(reason(&elsewhere), "invalid-authorization");
    eves.arrive(&app).await.ok();
    // A code is good once.
    assert_eq!(eves.arrive(&app).await.status, 401);
    app.advance_minutes(10);
    assert_eq!(reason(&adas.arrive(&app).await), "invalid-authorization");
}

#[tokio::test]
async fn a_token_for_others_or_of_another_time_or_browser_is_refused() {
    let Some(providers) = Providers::start() else { return };
    let app = providers.app();
    let now = app.now().as_seconds();
    for wrong in [
        json!({ "aud": "another" }),
        json!({ "aud": ["aula", "another"], "azp": "another" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "nonce": "another" }),
        json!({ "exp": now - 61 }),
        json!({ "iat": now + 61 }),
        json!({ "sub": "" }),
    ] {
        let mut claims = json!({ "sub": "6", "email": "ada@example.org", "email_verified": true });
        claims.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        providers.person(&app, &claims);
        let refused = sign_in(&app, "school").await;
        assert_eq!((refused.status, reason(&refused)), (401, "not-vouched-for"), "{wrong}");
    }
    let denied = browse(&app, "school").await;
    let state = denied.back.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let uri = format!("/v1/identity-providers/school/callback?error=access_denied&state={state}");
    let refused = app.anyone().with_header("cookie", &denied.cookie).get(&uri).await;
    assert_eq!(reason(&refused), "not-vouched-for");
    assert!(app.emitted::<ContactChanged>().await.is_empty());
}

#[tokio::test]
async fn who_is_shut_out_is_so_wherever_they_come_from() {
    let Some(providers) = Providers::start() else { return };
    let app = providers.app();
    let claims = json!({ "sub": "7", "email": "ada@example.org", "email_verified": true });
    providers.person(&app, &claims);
    let id = sign_in(&app, "school").await.ok()["user"]["id"].as_str().unwrap().to_owned();
    let uri = format!("/v1/users/{id}");
    app.admin("root").patch(&uri, json!({ "state": "disabled" }), "2").await.ok();
    assert_eq!(reason(&sign_in(&app, "school").await), "not-vouched-for");
    app.admin("root").delete(&uri).await.ok();
    assert_eq!(reason(&sign_in(&app, "school").await), "not-vouched-for");
}

#[tokio::test]
async fn people_come_with_their_accounts_of_github() {
    let Some(providers) = Providers::start() else { return };
    let app = providers.app();
    let user = json!({ "id": 42, "login": "ada", "name": null });
    let emails = json!([
        { "email": "unverified@example.org", "primary": false, "verified": false },
        { "email": "ada@example.org", "primary": true, "verified": true },
    ]);
    providers.say(&json!({ "user": user, "emails": emails }));
    let first = sign_in(&app, "github").await.ok();
    assert_eq!(
        (&first["user"]["email"], &first["user"]["name"]),
        (&json!("ada@example.org"), &json!("ada"))
    );
    let unverified = json!([{ "email": "bob@example.org", "primary": true, "verified": false }]);
    let bob = json!({ "id": 43, "login": "bob", "name": "Bob" });
    providers.say(&json!({ "user": bob, "emails": unverified }));
    assert_eq!(reason(&sign_in(&app, "github").await), "prove-account");
}
