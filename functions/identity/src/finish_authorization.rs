//! `GET /v1/identity-providers/{provider}/callback`

use runtime::prelude::*;

use crate::{
    authorization::{Authorization, INVALID_AUTHORIZATION, NOT_VOUCHED_FOR, PROVE_ACCOUNT},
    device::Devices,
    factor,
    identity_link::IdentityLink,
    linking::{Owner, owner},
    opening,
    pending::{MFA_REQUIRED, Pending},
    person::Person,
    provider::{self, PROVIDER_NOT_FOUND, Vouched},
    tokens::SignedIn,
};

/// Finish signing in with an account elsewhere.
///
/// The provider sends the browser here. An account there that is linked to one
/// here opens a session. So does one whose address the provider has verified: it
/// is linked to the account with that address, whose owner is told, or a new one
/// is made. Otherwise `prove-account` gives a `link_token`: sign in by your
/// password with it, and the account there is linked. Whoever has a second factor
/// shows it too (`mfa-required`).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishAuthorization {
    /// Which provider.
    provider: Line<1, 64>,
    /// What this browser was given when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Line<1, 200>>,
    /// What the provider gives for who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Line<1, 2048>>,
    /// Why the provider says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Line<1, 200>>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_description: Option<Line<0, 1000>>,
    /// The same as an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_uri: Option<Line<0, 1000>>,
    /// The provider itself (RFC 9207).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<Line<1, 500>>,
    /// What some providers add, and nobody here needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Line<0, 1000>>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authuser: Option<Line<0, 200>>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<Line<0, 200>>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hd: Option<Line<0, 300>>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_state: Option<Line<0, 1000>>,
}

impl Endpoint for FinishAuthorization {
    const OPERATION: &'static str = "identity.finish_authorization";
    const ROUTE: Route = Route::get("/v1/identity-providers/{provider}/callback");
    const PROBLEMS: &'static [Problem] =
        &[PROVIDER_NOT_FOUND, INVALID_AUTHORIZATION, NOT_VOUCHED_FOR, PROVE_ACCOUNT, MFA_REQUIRED];
    const RATE: Rate = Rate::Strict;
    type Response = SignedIn;
}

pub async fn run(cx: Context<Anyone>, request: FinishAuthorization) -> Result<SignedIn> {
    let provider = provider::find(&cx, &request.provider)?;
    let state = request.state.as_deref().unwrap_or_default();
    let begun = Authorization::of(&cx, &request.provider, state)?;
    let code = request.code.filter(|_| request.error.is_none()).ok_or(NOT_VOUCHED_FOR)?;
    let vouched = provider.who_brings(&code, &begun).await?.ok_or(NOT_VOUCHED_FOR)?;
    if request.iss.is_some_and(|it| *it != *vouched.issuer) {
        return Err(INVALID_AUTHORIZATION.into());
    }
    let title = provider.title().to_owned();
    until_it_wins(&cx, &vouched, &title).await
}

/// How often it's tried while others register the same address.
const ATTEMPTS: u32 = 5;

/// The code is good once, so what has been learned by it must do, though someone
/// else is faster.
async fn until_it_wins(cx: &Context<Anyone>, vouched: &Vouched, title: &str) -> Result<SignedIn> {
    for _ in 1..ATTEMPTS {
        match let_in(cx, vouched, title).await {
            Err(Error::Stale(_)) => {}
            done => return done,
        }
    }
    match let_in(cx, vouched, title).await {
        Err(Error::Stale(_)) => Err(Error::Unavailable(1)),
        done => done,
    }
}

async fn let_in(cx: &Context<Anyone>, vouched: &Vouched, title: &str) -> Result<SignedIn> {
    let key = IdentityLink::key_of(&vouched.issuer, &vouched.subject);
    let (person, changes) = match cx.get::<IdentityLink>(&key).await? {
        Some(link) => (cx.get::<Person>(link.user_id.as_str()).await?, Changes::new()),
        None => match owner(cx, vouched, title).await? {
            Owner::Person(person, changes) => (person.map(|it| *it), changes),
            Owner::Unknown(claim) => {
                return Err(Refusal::of(PROVE_ACCOUNT).with("link_token", claim.token(cx)).into());
            }
        },
    };
    let person = person.filter(|it| it.is_active()).ok_or(NOT_VOUCHED_FOR)?;
    if factor::is_needed(&person) {
        let pending = Pending::new(cx.random().id(), &person, None, None, cx.now);
        cx.commit(changes.create(&pending)).await?;
        return Err(pending.refusal(&person.factors, cx.secret()).into());
    }
    let devices = Devices::of(cx, person.id.as_str()).await?;
    let (opened, signed_in) = opening::open(cx, &person, devices, None).await?;
    cx.commit(changes.and(opened)).await?;
    Ok(signed_in)
}
