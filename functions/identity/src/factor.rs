//! Factors: what a person shows besides their password when they sign in, or, if
//! it's a passkey, in place of it.
//!
//! The secret of an authenticator app must be known again, so it's kept
//! encrypted with the platform's secret. Recovery codes are kept as seals: they
//! can be compared with what is shown, and nothing else.

use contracts::identity::{FactorKind, PasskeySuspected};
use runtime::{Random, Secret, prelude::*, problems::TOO_MANY_REQUESTS, same_secret};

use crate::{
    passkey::{Passkey, PasskeyShown, Site, Verdict},
    person::Person,
    totp,
};

/// There's no such factor, or it's another's.
pub const FACTOR_NOT_FOUND: Problem = Problem::not_found(
    "factor-not-found",
    "This person has no such factor.",
    "Esta persona no tiene ese factor.",
);
/// The person has as many factors as one may have.
pub const TOO_MANY_FACTORS: Problem = Problem::conflict(
    "too-many-factors",
    "You have as many factors as one may have; remove one first.",
    "Tienes tantos factores como se puede; quita uno antes.",
);
/// What was shown isn't right, or no longer.
pub const WRONG_FACTOR: Problem = Problem::invalid(
    "wrong-factor",
    "This isn't right, or was used before; wait for the next code and try that.",
    "Esto no es correcto o ya se usó; espera al siguiente código y prueba con él.",
);

/// How many factors a person may have.
const MOST: usize = 10;
/// How long a factor waits to be verified, in minutes.
const PENDING_MINUTES: i64 = 15;
/// How many recovery codes a person gets, and how long they are.
const RECOVERY_CODES: usize = 10;
const RECOVERY_LETTERS: usize = 10;
/// So many wrong codes are nobody's fault; after that each takes longer to wait for.
const FREE: u32 = 5;
const WAIT_MOST: i64 = 60 * 60;

/// What to call a factor.
pub type FactorName = Line<1, 60>;

/// A factor, as its person and admins see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Factor")]
pub struct ListedFactor {
    /// The factor's id.
    pub id: String,
    /// What it is.
    pub kind: FactorKind,
    /// What its person calls it.
    pub name: String,
    /// What the browser finds a passkey by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// When it was added.
    pub added_at: Timestamp,
}

/// Everything that a person can show, in one document: so that no two requests
/// use a code at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Factors {
    user_id: UserId,
    all: Vec<Factor>,
    /// The recovery codes that are left, sealed.
    recovery: Vec<String>,
    /// The wrong codes since the last right one. Whoever gets here knows the
    /// password: it's no stranger who makes the owner wait.
    wrong: u32,
    wait_until: Timestamp,
}

/// A factor, as it's kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Factor {
    id: String,
    kind: FactorKind,
    name: FactorName,
    added_at: Timestamp,
    is_verified: bool,
    /// The app's secret, encrypted for this person; nothing for a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked: Option<String>,
    /// The last step whose code was used.
    #[serde(default)]
    last_step: i64,
    /// Once it's verified, if it's one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passkey: Option<Passkey>,
}

impl Document for Factors {
    const COLLECTION: &'static str = "factors";
    fn key(&self) -> String {
        self.user_id.to_string()
    }
}

/// A factor that was begun.
pub struct Begun {
    pub id: String,
    /// What its person puts into their app, if it's one.
    pub secret: Option<String>,
}

/// The purpose that secrets are encrypted for.
const PURPOSE: &str = "totp";

impl Factors {
    /// Those of a person.
    pub async fn of<C>(cx: &Context<C>, user_id: &UserId) -> Result<Stored<Self>> {
        let none = || Self {
            user_id: user_id.clone(),
            all: Vec::new(),
            recovery: Vec::new(),
            wrong: 0,
            wait_until: Timestamp::UNIX_EPOCH,
        };
        let found = cx.get::<Self>(user_id.as_str()).await?;
        Ok(found.unwrap_or_else(|| Stored::new(none())))
    }

    /// Begins a factor; it counts once it's verified.
    pub fn begin(
        &mut self,
        kind: FactorKind,
        name: FactorName,
        random: &dyn Random,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<Begun> {
        self.all.retain(|it| it.is_verified || !it.is_overdue(now));
        if self.all.len() >= MOST {
            return Err(TOO_MANY_FACTORS.into());
        }
        let id = random.id();
        let shared = (kind == FactorKind::Totp).then(|| {
            let mut shared = [0; totp::SECRET_LENGTH];
            random.fill(&mut shared);
            totp::written(&shared)
        });
        let lock = |it: &String| secret.lock(PURPOSE, self.user_id.as_str(), it, random);
        let locked = shared.as_ref().map(lock);
        self.all.push(Factor {
            id: id.clone(),
            kind,
            name,
            added_at: now,
            is_verified: false,
            locked,
            last_step: 0,
            passkey: None,
        });
        Ok(Begun { id, secret: shared })
    }

    /// What a factor is, and whether it counts already; an error if it isn't there.
    pub fn find(&self, id: &str, now: Timestamp) -> Result<(FactorKind, bool)> {
        let found = self.all.iter().find(|it| it.id == id);
        let found = found.filter(|it| it.is_verified || !it.is_overdue(now));
        let found = found.ok_or(FACTOR_NOT_FOUND)?;
        Ok((found.kind, found.is_verified))
    }

    /// Refuses whoever has to wait after wrong codes.
    pub fn check(&self, now: Timestamp) -> Result<()> {
        let wait = self.wait_until.as_seconds() - now.as_seconds();
        if wait <= 0 {
            return Ok(());
        }
        Err(Refusal::of(TOO_MANY_REQUESTS)
            .retry_after(u32::try_from(wait).unwrap_or(u32::MAX))
            .into())
    }

    /// Whether a code of a factor is right. Right or wrong, it's counted.
    pub fn show(&mut self, id: &str, code: &str, secret: &Secret, now: Timestamp) -> bool {
        let user_id = self.user_id.clone();
        let factor = self.all.iter_mut().find(|it| it.id == id);
        let right = factor.is_some_and(|it| it.take(&user_id, code, secret, now));
        self.count(right, now);
        right
    }

    /// Takes a passkey that was just made for a factor that was begun, if it was made for that.
    pub fn make(
        &mut self,
        id: &str,
        shown: &PasskeyShown,
        secret: &Secret,
        site: &Site<'_>,
        now: Timestamp,
    ) -> bool {
        // Each passkey counts once: which of two would be meant when it's shown?
        let is_new = !self.passkeys().any(|it| it.credential_id() == &*shown.id);
        let made = Passkey::made(shown, &creation_challenge(id, secret), site);
        let made = made.filter(|_| is_new);
        let factor = self.all.iter_mut().find(|it| it.id == id && !it.is_verified);
        let right = factor.is_some_and(|it| {
            it.passkey = made;
            it.passkey.is_some()
        });
        self.count(right, now);
        right
    }

    /// Whether a passkey has signed a challenge, for someone who has shown something else before.
    /// Right or wrong, it's counted.
    pub fn has_signed(
        &mut self,
        id: &str,
        shown: &PasskeyShown,
        challenge: &str,
        site: &Site<'_>,
        now: Timestamp,
    ) -> Verdict {
        let is_theirs = shown.user_handle.is_none() || self.are_of(shown);
        let factor = self.all.iter_mut().find(|it| is_theirs && it.id == id);
        let passkey = factor.and_then(|it| it.passkey.as_mut());
        let verdict = passkey.map_or(Verdict::Wrong, |it| {
            let verdict = it.has_signed(shown, challenge, site);
            it.suffice(it.is_enough() || verdict == Verdict::Right);
            verdict
        });
        self.count(verdict == Verdict::Right, now);
        verdict
    }

    /// The password was reset: until a passkey is shown with the new one, it lets nobody in alone.
    /// Else whoever had got in and added one would stay in.
    pub fn distrust_passkeys(&mut self) {
        for passkey in self.all.iter_mut().filter_map(|it| it.passkey.as_mut()) {
            passkey.suffice(false);
        }
    }

    /// Whether one of the passkeys has signed a challenge, for someone who shows nothing else.
    ///
    /// It isn't counted, and nobody waits: who gets here needn't know a password, so a stranger
    /// could make the owner wait, and a signature isn't guessed.
    pub fn let_in(&mut self, shown: &PasskeyShown, challenge: &str, site: &Site<'_>) -> Verdict {
        if !self.are_of(shown) {
            return Verdict::Wrong;
        }
        let counting = self.all.iter_mut().filter(|it| it.is_verified);
        let mut passkeys = counting.filter_map(|it| it.passkey.as_mut());
        let passkey = passkeys.find(|it| it.is_enough() && it.credential_id() == &*shown.id);
        passkey.map_or(Verdict::Wrong, |it| it.has_signed(shown, challenge, site))
    }

    /// Whether a passkey says that it's this person's.
    fn are_of(&self, shown: &PasskeyShown) -> bool {
        shown.user_id().is_some_and(|it| it == self.user_id)
    }

    fn passkeys(&self) -> impl Iterator<Item = &Passkey> {
        self.all.iter().filter_map(|it| it.passkey.as_ref())
    }

    /// What a browser finds the passkeys by, of which it makes no second one in the same place.
    pub fn credential_ids(&self) -> Vec<String> {
        self.passkeys().map(|it| it.credential_id().to_owned()).collect()
    }

    /// Whether a recovery code is right, which is used up then. It's counted.
    pub fn recover(&mut self, code: &str, secret: &Secret, now: Timestamp) -> bool {
        let seal = self.seal(code, secret);
        let before = self.recovery.len();
        self.recovery.retain(|it| !same_secret(it.as_bytes(), seal.as_bytes()));
        let right = self.recovery.len() < before;
        self.count(right, now);
        right
    }

    /// How many recovery codes are left.
    pub fn recovery_left(&self) -> usize {
        self.recovery.len()
    }

    fn count(&mut self, right: bool, now: Timestamp) {
        self.wrong = if right { 0 } else { self.wrong.saturating_add(1) };
        let steps = self.wrong.saturating_sub(FREE);
        let wait = if steps == 0 { 0 } else { WAIT_MOST.min(1 << steps.min(20)) };
        self.wait_until = now.plus_seconds(wait);
    }

    /// A factor counts from now on. If it's the first one, there are recovery
    /// codes, told this one time.
    pub fn confirm(&mut self, id: &str, random: &dyn Random, secret: &Secret) -> Vec<String> {
        let is_first = !self.all.iter().any(|it| it.is_verified);
        for factor in self.all.iter_mut().filter(|it| it.id == id) {
            factor.is_verified = true;
        }
        if !is_first {
            return Vec::new();
        }
        let code = |_| random.id().chars().take(RECOVERY_LETTERS).collect::<String>();
        let codes: Vec<_> = (0..RECOVERY_CODES).map(code).collect();
        self.recovery = codes.iter().map(|code| self.seal(code, secret)).collect();
        codes
    }

    /// Removes a factor, and gives it back if it counted; with the last one the
    /// recovery codes go.
    pub fn remove(&mut self, id: &str) -> Result<Option<ListedFactor>> {
        let place = self.all.iter().position(|it| it.id == id).ok_or(FACTOR_NOT_FOUND)?;
        let factor = self.all.remove(place);
        if !self.all.iter().any(|it| it.is_verified) {
            self.recovery.clear();
        }
        Ok(factor.is_verified.then(|| factor.listed()))
    }

    /// Those that count, as they are shown.
    pub fn listed(&self) -> Vec<ListedFactor> {
        self.all.iter().filter(|it| it.is_verified).map(Factor::listed).collect()
    }

    fn seal(&self, code: &str, secret: &Secret) -> String {
        // However it was copied: 0 and o, 1 and l don't occur together in codes.
        let plain = |it: &char| it.is_ascii_alphanumeric();
        let code: String = code.to_ascii_lowercase().chars().filter(plain).collect();
        secret.seal_text("recovery-code", &[self.user_id.as_str(), &code])
    }
}

impl Factor {
    fn is_overdue(&self, now: Timestamp) -> bool {
        self.added_at.plus_minutes(PENDING_MINUTES) <= now
    }

    fn take(&mut self, user_id: &UserId, code: &str, secret: &Secret, now: Timestamp) -> bool {
        let locked = self.locked.as_ref();
        let shared = locked.and_then(|it| secret.unlock(PURPOSE, user_id.as_str(), it));
        let Some(shared) = shared.and_then(|it| totp::read(&it)) else { return false };
        let digits: String = code.chars().filter(|it| !it.is_whitespace()).collect();
        let step = totp::step_of(&shared, &digits, self.last_step, now);
        self.last_step = step.unwrap_or(self.last_step);
        step.is_some()
    }

    fn listed(&self) -> ListedFactor {
        ListedFactor {
            id: self.id.clone(),
            kind: self.kind,
            name: self.name.to_string(),
            credential_id: self.passkey.as_ref().map(|it| it.credential_id().to_owned()),
            added_at: self.added_at,
        }
    }
}

/// What a new passkey is made for.
pub fn creation_challenge(factor_id: &str, secret: &Secret) -> String {
    secret.seal_text("passkey-creation", &[factor_id])
}

/// What is told of a person's passkey that may have been copied.
pub fn suspicion(person: &Person, shown: &PasskeyShown, now: Timestamp) -> PasskeySuspected {
    let is_it = |it: &&ListedFactor| it.credential_id.as_deref() == Some(&*shown.id);
    let name = person.factors.iter().find(is_it).map(|it| it.name.clone());
    let name = name.unwrap_or_default();
    PasskeySuspected { contact: person.contact(), name, noticed_at: now }
}

/// Whether signing in takes more than a password.
pub fn is_needed(person: &Person) -> bool {
    !person.factors.is_empty()
}

#[cfg(test)]
mod tests {
    use runtime::SystemRandom;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn secret() -> Secret {
        Secret::new(&[7; 32])
    }

    fn none() -> Factors {
        Factors {
            user_id: "ada".into(),
            all: Vec::new(),
            recovery: Vec::new(),
            wrong: 0,
            wait_until: NOW,
        }
    }

    fn begun(factors: &mut Factors) -> Begun {
        let name = FactorName::new("phone").unwrap();
        factors
            .begin(FactorKind::Totp, name, &SystemRandom, &secret(), NOW)
            .unwrap_or_else(|_| panic!("too many"))
    }

    fn code(begun: &Begun, now: Timestamp) -> String {
        totp::code_at(
            &totp::read(begun.secret.as_ref().unwrap()).unwrap(),
            totp::step_at(now.as_seconds()),
        )
    }

    #[test]
    fn a_factor_counts_once_its_code_was_shown_and_its_secret_is_not_kept_in_clear() {
        let (mut factors, later) = (none(), NOW.plus_minutes(1));
        let begun = begun(&mut factors);
        assert!(factors.listed().is_empty());
        assert!(factors.show(&begun.id, &code(&begun, later), &secret(), later));
        let codes = factors.confirm(&begun.id, &SystemRandom, &secret());
        assert_eq!((codes.len(), factors.listed().len()), (RECOVERY_CODES, 1));
        let kept = serde_json::to_string(&factors).unwrap();
        assert!(
            !kept.contains(begun.secret.as_ref().unwrap()) && !kept.contains(&codes[0]),
            "{kept}"
        );
    }

    #[test]
    fn a_code_is_used_once() {
        let (mut factors, later) = (none(), NOW.plus_minutes(1));
        let begun = begun(&mut factors);
        assert!(factors.show(&begun.id, &code(&begun, later), &secret(), later));
        assert!(!factors.show(&begun.id, &code(&begun, later), &secret(), later));
    }

    #[test]
    fn a_recovery_code_is_used_once_however_it_is_written() {
        let mut factors = none();
        let begun = begun(&mut factors);
        let codes = factors.confirm(&begun.id, &SystemRandom, &secret());
        let copied = format!(" {}-{}", &codes[0][..5], codes[0][5..].to_uppercase());
        assert!(factors.recover(&copied, &secret(), NOW));
        assert!(!factors.recover(&codes[0], &secret(), NOW));
        assert_eq!(factors.recovery_left(), RECOVERY_CODES - 1);
    }

    #[test]
    fn wrong_codes_make_one_wait_longer_and_longer() {
        let mut factors = none();
        let begun = begun(&mut factors);
        for _ in 0..FREE {
            assert!(!factors.show(&begun.id, "000000x", &secret(), NOW));
            assert!(factors.check(NOW).is_ok());
        }
        factors.show(&begun.id, "000000x", &secret(), NOW);
        assert!(factors.check(NOW).is_err() && factors.check(NOW.plus_seconds(2)).is_ok());
    }

    #[test]
    fn what_was_not_verified_in_time_is_gone() {
        let mut factors = none();
        let begun = begun(&mut factors);
        assert!(matches!(factors.find(&begun.id, NOW), Ok((FactorKind::Totp, false))));
        assert!(factors.find(&begun.id, NOW.plus_minutes(15)).is_err());
    }

    #[test]
    fn with_the_last_factor_the_recovery_codes_go() {
        let mut factors = none();
        let begun = begun(&mut factors);
        factors.confirm(&begun.id, &SystemRandom, &secret());
        assert!(factors.remove("another").is_err());
        assert!(matches!(factors.remove(&begun.id), Ok(Some(_))));
        assert_eq!(factors.recovery_left(), 0);
    }
}
