//! Tokens of the second issuer: identity exchanges each for an access token of
//! the platform's own, which then says who calls, as every other does.
//!
//! Only identity knows who they are here; nobody else trusts the second issuer.
//! What came of it is remembered while the access token is good, so that a
//! session costs one exchange in ten minutes and process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use aws_lc_rs::digest;
use axum::body::Bytes;
use contracts::{
    Language, Line, Timestamp,
    identity::{ExchangeToken, ExchangedToken},
};
use tokio::sync::OnceCell;

use crate::{
    Client, Error, Host, Incoming, Outgoing, Ports, Random, Refusal, Said, SecondIssuer, Sender,
    Settings, Trace, caller::Origin, client, problems::UNAUTHENTICATED, serve::unsure,
    token::Claims,
};

/// The most tokens that are remembered: about 8 MiB of them.
const REMEMBERED: usize = 8192;

/// What came of a token. It's there once somebody has asked; others wait for that.
type Outcome = Arc<OnceCell<Result<Arc<Claims>, Refusal>>>;

/// What has the second issuer's tokens exchanged.
pub(crate) struct Exchange {
    issuer: SecondIssuer,
    host: Host,
    known: Mutex<HashMap<[u8; 32], Outcome>>,
}

impl Exchange {
    /// The exchange of a second issuer's tokens, if there's one.
    pub fn of(settings: &Settings, host: &Host) -> Option<Self> {
        let issuer = settings.second_issuer.clone()?;
        Some(Self { issuer, host: host.clone(), known: Mutex::default() })
    }

    /// Whether a token says that the second issuer has made it. It may lie.
    pub fn is_for(&self, token: &str) -> bool {
        self.issuer.is_named_by(token)
    }

    /// Who bears a token, as identity says.
    pub async fn claims(
        &self,
        token: &str,
        language: Language,
        ports: &Ports,
        trace: &Trace,
    ) -> Result<Arc<Claims>, Refusal> {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let hash: [u8; 32] = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let outcome = self.outcome(hash, ports.clock.now());
        let claims = outcome.get_or_init(|| self.ask(token, language, ports, trace)).await.clone();
        if claims.is_err() {
            self.forget(&hash, &outcome);
        }
        claims
    }

    /// What came of a token, or will.
    fn outcome(&self, hash: [u8; 32], now: Timestamp) -> Outcome {
        let now = now.as_seconds();
        let is_good = |it: &Outcome| match it.get() {
            Some(Ok(claims)) => claims.exp > now,
            Some(Err(_)) => false,
            // Somebody waits for it, or everybody has gone.
            None => Arc::strong_count(it) > 1,
        };
        let mut known = self.known.lock().expect("no holder panics");
        if let Some(outcome) = known.get(&hash).filter(|it| is_good(it)) {
            return outcome.clone();
        }
        if known.len() >= REMEMBERED {
            known.retain(|_, outcome| is_good(outcome));
            if known.len() >= REMEMBERED {
                known.clear(); // It only costs an exchange each.
            }
        }
        let outcome = Outcome::default();
        known.insert(hash, outcome.clone());
        outcome
    }

    /// What failed isn't remembered: those who waited are told, and the next one asks again.
    fn forget(&self, hash: &[u8; 32], outcome: &Outcome) {
        let mut known = self.known.lock().expect("no holder panics");
        if known.get(hash).is_some_and(|it| Arc::ptr_eq(it, outcome)) {
            known.remove(hash);
        }
    }

    async fn ask(
        &self,
        token: &str,
        language: Language,
        ports: &Ports,
        trace: &Trace,
    ) -> Result<Arc<Claims>, Refusal> {
        let Ok(token) = Line::new(token) else { return Err(Refusal::of(UNAUTHENTICATED)) };
        let request = ExchangeToken { token, language };
        let asked = if self.host.exchanges() {
            let here = Here { host: self.host.clone(), random: ports.random.clone() };
            client::call(&here, &request, trace).await
        } else {
            client::call(&*ports.client, &request, trace).await
        };
        let ExchangedToken { access_token } = asked.map_err(refused)?;
        let checked = ports.verifier.check(&access_token, ports.clock.now()).await;
        let claims = checked.map_err(|it| unsure(&it))?;
        claims.ok_or_else(|| unsure(&anyhow::anyhow!("identity's own token isn't good")))
    }
}

/// What whoever bears a token is told when it isn't exchanged. That they aren't
/// who they say is for identity to say; whatever else happens, they may try again.
fn refused(error: Error) -> Refusal {
    match error {
        Error::Refused(refusal) => {
            let said = Said::new(refusal.problem.en, refusal.problem.es);
            let mut refusal = refusal.saying(said);
            refusal.problem = UNAUTHENTICATED;
            refusal
        }
        Error::Internal(error) => unsure(&error),
        error => unsure(&error.into()),
    }
}

/// Identity, where it's in this process.
struct Here {
    host: Host,
    random: Arc<dyn Random>,
}

#[async_trait]
impl Client for Here {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        let incoming = Incoming {
            bound: request.path,
            query: request.query,
            body: request.body,
            origin: Origin::Platform,
            sender: Sender::default(),
            language: Language::En,
            trace: trace.next(&*self.random),
            idempotency_key: None,
        };
        let reply = self.host.exchange(incoming).await;
        Ok((reply.status, reply.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn exchange() -> Exchange {
        let issuer = SecondIssuer {
            title: "School".to_owned(),
            issuer: "https://idp.example".to_owned(),
            audience: "aula".to_owned(),
            jwks_uri: "https://idp.example/jwks".to_owned(),
        };
        let settings = Settings { second_issuer: Some(issuer), ..Settings::default() };
        Exchange::of(&settings, &Host::new(Vec::new(), None)).unwrap()
    }

    fn hash(number: usize) -> [u8; 32] {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    fn claims(exp: i64) -> Arc<Claims> {
        let [iss, aud, sid] = ["", "", ""].map(str::to_owned);
        Arc::new(Claims { iss, aud, sub: "ada".into(), roles: Vec::new(), sid, iat: 0, exp })
    }

    fn learn(exchange: &Exchange, number: usize, exp: i64) {
        exchange.outcome(hash(number), NOW).set(Ok(claims(exp))).unwrap();
    }

    #[test]
    fn so_many_are_remembered_and_those_that_are_over_go_first() {
        let exchange = exchange();
        learn(&exchange, 0, 600);
        (1..REMEMBERED).for_each(|number| learn(&exchange, number, 0));
        learn(&exchange, REMEMBERED, 600);
        assert_eq!(exchange.known.lock().unwrap().len(), 2);
        assert!(exchange.outcome(hash(0), NOW).get().is_some());
        (0..3 * REMEMBERED).for_each(|number| drop(exchange.outcome(hash(number), NOW)));
        assert!(exchange.known.lock().unwrap().len() <= REMEMBERED);
    }

    #[test]
    fn what_is_over_is_asked_again() {
        let exchange = exchange();
        learn(&exchange, 1, 600);
        assert!(exchange.outcome(hash(1), NOW.plus_seconds(599)).get().is_some());
        assert!(exchange.outcome(hash(1), NOW.plus_seconds(600)).get().is_none());
    }
}
