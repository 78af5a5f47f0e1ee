//! A session: one sign-in on one device, carried on by refresh tokens.
//!
//! Each use of a refresh token gives the next one, and only the hash of the
//! one that's good now is kept. A token that was used before is a sign that
//! two hold it: the session ends, for one of them may be a thief. But within
//! ten seconds it's two tabs of one browser, or an answer that got lost: then
//! the token that's good now is given again. That works though no token is
//! kept, because the next one is derived from the one before.

use contracts::identity::SessionId;
use runtime::{Secret, prelude::*, same_secret};

use crate::{device::Device, person::Person};

/// How long a session lasts after its last use.
const LASTS_SECONDS: i64 = 30 * 24 * 60 * 60;
/// How long what someone has shown when they signed in is fresh, in seconds.
const FRESH_SECONDS: i64 = 5 * 60;
/// How long a token can be used again.
const GRACE_SECONDS: i64 = 10;
/// How many tokens that were used just now are remembered.
const EARLIER: usize = 8;

/// A session, as it's kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    id: SessionId,
    pub user_id: UserId,
    /// The generation of the person's sessions that it's of.
    generation: u64,
    /// The token that's good now, hashed.
    token: String,
    /// Those that were good until just now.
    earlier: Vec<Used>,
    /// What it was opened on; nothing in the oldest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<Device>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    created_at: Timestamp,
    /// When its person last showed who they are, if that was after they signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown_at: Option<Timestamp>,
    last_used_at: Timestamp,
    /// Until when it lasts; nothing once it's ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Kept that long, so that ending it again succeeds again.
    forget_at: Timestamp,
    revision: u64,
}

impl Document for Session {
    const COLLECTION: &'static str = "sessions";
    /// What has ended has no `expires_at`, so only what hasn't is found.
    const INDEXES: &'static [Index] = &[
        Index::descending("expires_at").equals(&["user_id", "generation"]),
        Index::ascending("forget_at").equals(&["user_id"]),
    ];
    const EXPIRES: Option<&'static str> = Some("forget_at");
    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// A token that was used.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Used {
    token: String,
    at: Timestamp,
}

/// A refresh token that we made, good or not any more.
///
/// In its text `{session}.{token}.{seal}` the seal shows that we made it. So a
/// made-up token is turned away unread, and can't end anyone's session; only a
/// real one that was used before does.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    session_id: SessionId,
    token: String,
}

impl RefreshToken {
    /// The token in a text, if we made it.
    pub fn read(text: &str, secret: &Secret) -> Option<Self> {
        let [session_id, token, seal] = text.split('.').collect::<Vec<_>>()[..] else {
            return None;
        };
        let token = Self { session_id: session_id.into(), token: token.to_owned() };
        same_secret(token.seal(secret).as_bytes(), seal.as_bytes()).then_some(token)
    }

    /// The token as a text, for its holder.
    pub fn write(&self, secret: &Secret) -> String {
        format!("{}.{}.{}", self.session_id, self.token, self.seal(secret))
    }

    /// The session that it's of.
    pub fn session_id(&self) -> &str {
        self.session_id.as_str()
    }

    fn seal(&self, secret: &Secret) -> String {
        secret.seal_text("refresh-token", &[self.session_id.as_str(), &self.token])
    }

    fn next(&self, secret: &Secret) -> Self {
        let token = secret.seal_text("next-refresh-token", &[&self.token]);
        Self { session_id: self.session_id.clone(), token }
    }

    /// What is kept of it: it can be compared with it, and nothing else.
    fn hash(&self, secret: &Secret) -> String {
        secret.seal_text("kept-refresh-token", &[&self.token])
    }
}

/// What comes of using a refresh token.
#[derive(PartialEq, Eq)]
pub enum Refreshed {
    /// The session goes on with this token, and has changed.
    Next(RefreshToken),
    /// The token that's good now, again; nothing has changed.
    Again(RefreshToken),
    /// The token was used before; the session has ended.
    Reused,
    /// The session had ended before.
    Over,
}

impl Session {
    /// Opens a session for someone; `token` is random.
    pub fn open(
        id: String,
        token: String,
        person: &Person,
        secret: &Secret,
        now: Timestamp,
    ) -> (Self, RefreshToken) {
        let token = RefreshToken { session_id: id.into(), token };
        let expires_at = now.plus_seconds(LASTS_SECONDS);
        let session = Self {
            id: token.session_id.clone(),
            user_id: person.id.clone(),
            generation: person.generation,
            token: token.hash(secret),
            earlier: Vec::new(),
            device: None,
            device_id: None,
            created_at: now,
            shown_at: None,
            last_used_at: now,
            expires_at: Some(expires_at),
            forget_at: expires_at,
            revision: 1,
        };
        (session, token)
    }

    /// Goes on here from a sign-in elsewhere, which is over for the platform when it's
    /// 30 days old: so long it's remembered whether it was ended. It has no refresh
    /// token: its tokens are refreshed there.
    pub fn elsewhere(id: String, title: &str, person: &Person, signed_in_at: Timestamp) -> Self {
        let expires_at = signed_in_at.plus_seconds(LASTS_SECONDS);
        Self {
            id: id.into(),
            user_id: person.id.clone(),
            generation: person.generation,
            token: String::new(),
            earlier: Vec::new(),
            device: Some(Device { name: title.to_owned(), network: None }),
            device_id: None,
            created_at: signed_in_at,
            shown_at: None,
            last_used_at: signed_in_at,
            expires_at: Some(expires_at),
            forget_at: expires_at,
            revision: 1,
        }
    }

    /// It was opened on this device.
    pub fn on(&mut self, device: Device, device_id: String) {
        (self.device, self.device_id) = (Some(device), Some(device_id));
    }

    /// The device that it was opened on.
    pub fn device_id(&self) -> Option<&str> {
        self.device_id.as_deref()
    }

    /// Whether it's a person's and goes on.
    pub fn is_of(&self, person: &Person, now: Timestamp) -> bool {
        let theirs = self.user_id == person.id && self.generation == person.generation;
        theirs && self.is_alive(now)
    }

    /// Whether its person has just shown who they are.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now <= self.shown_at.unwrap_or(self.created_at).plus_seconds(FRESH_SECONDS)
    }

    /// Its person has shown once more who they are.
    pub fn refreshen(&mut self, now: Timestamp) {
        self.shown_at = Some(now);
        self.revision += 1;
    }

    /// All that are kept of someone, ended or not.
    pub fn all_of(user_id: &UserId) -> Query {
        Query::ascending::<Self>("forget_at").equals("user_id", user_id)
    }

    /// The sessions of someone, the last used first. The ends of those that ran
    /// out by themselves are told by [`is_alive`](Self::is_alive).
    pub fn of(person: &Person) -> Query {
        Query::descending::<Self>("expires_at")
            .equals("user_id", &person.id)
            .equals("generation", person.generation)
    }

    /// Whether it hasn't run out or ended.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now < end)
    }

    /// Uses a refresh token. `person` is the session's, if they still may have one.
    pub fn refresh(
        &mut self,
        token: &RefreshToken,
        person: Option<&Person>,
        secret: &Secret,
        now: Timestamp,
    ) -> Refreshed {
        let may = person.is_some_and(|it| it.is_active() && it.generation == self.generation);
        if !may || !self.is_alive(now) {
            return Refreshed::Over;
        }
        if self.is_good(token, secret) {
            let next = token.next(secret);
            self.go_on_with(&next, secret, now);
            return Refreshed::Next(next);
        }
        if let Some(good) = self.good_after(token, secret, now) {
            return Refreshed::Again(good);
        }
        self.end();
        Refreshed::Reused
    }

    fn is_good(&self, token: &RefreshToken, secret: &Secret) -> bool {
        same_secret(token.hash(secret).as_bytes(), self.token.as_bytes())
    }

    fn go_on_with(&mut self, next: &RefreshToken, secret: &Secret, now: Timestamp) {
        let used = std::mem::replace(&mut self.token, next.hash(secret));
        self.earlier.retain(|it| it.is_fresh(now));
        if self.earlier.len() == EARLIER {
            self.earlier.remove(0);
        }
        self.earlier.push(Used { token: used, at: now });
        self.last_used_at = now;
        self.expires_at = Some(now.plus_seconds(LASTS_SECONDS));
        self.forget_at = now.plus_seconds(LASTS_SECONDS);
        self.revision += 1;
    }

    /// The token that's good now, if this one was until just now.
    fn good_after(
        &self,
        token: &RefreshToken,
        secret: &Secret,
        now: Timestamp,
    ) -> Option<RefreshToken> {
        let hash = token.hash(secret);
        let is_it = |it: &&Used| same_secret(it.token.as_bytes(), hash.as_bytes());
        self.earlier.iter().find(is_it).filter(|it| it.is_fresh(now))?;
        let later = std::iter::successors(Some(token.next(secret)), |it| Some(it.next(secret)));
        later.take(EARLIER).find(|it| self.is_good(it, secret))
    }

    /// Ends it, and says whether that is news. Its access tokens run out by themselves.
    pub fn end(&mut self) -> bool {
        if self.expires_at.take().is_none() {
            return false;
        }
        self.earlier.clear();
        self.revision += 1;
        true
    }

    /// What its owner and admins see of it.
    pub fn listed(&self, current_session_id: &str) -> Option<ListedSession> {
        Some(ListedSession {
            id: self.id.clone(),
            current: self.id.as_str() == current_session_id,
            device: self.device.as_ref().map(|it| it.name.clone()),
            network: self.device.as_ref().and_then(|it| it.network.clone()),
            created_at: self.created_at,
            updated_at: self.last_used_at,
            expires_at: self.expires_at?,
            etag: self.revision.to_string(),
        })
    }
}

impl Used {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now <= self.at.plus_seconds(GRACE_SECONDS)
    }
}

/// A session: one sign-in on one device.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct ListedSession {
    /// The session's id.
    id: SessionId,
    /// Whether this request was made in it.
    current: bool,
    /// What the device says it is, such as `Firefox on Linux`; `?` if it doesn't. What the second
    /// issuer is called, if its person signed in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// The network that it was opened from: the first 24 bits of an IPv4 address, 48 of an IPv6
    /// one. More isn't kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    /// When its person signed in.
    created_at: Timestamp,
    /// When it was last refreshed.
    updated_at: Timestamp,
    /// When it ends unless it's refreshed before: 30 days after it last was.
    expires_at: Timestamp,
    /// Its version.
    etag: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{email::Email, person::Name};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn secret() -> Secret {
        Secret::new(&[7; 32])
    }

    fn ada() -> Person {
        let email = Email::new("ada@example.org").unwrap();
        let mut ada = Person::new("ada".into(), email, Name::new("Ada").unwrap(), NOW);
        ada.verify(None, NOW);
        ada
    }

    fn opened() -> (Session, RefreshToken) {
        Session::open("s1".into(), "random".into(), &ada(), &secret(), NOW)
    }

    fn refresh(session: &mut Session, token: &RefreshToken, seconds: i64) -> Refreshed {
        session.refresh(token, Some(&ada()), &secret(), NOW.plus_seconds(seconds))
    }

    #[track_caller]
    fn next(session: &mut Session, token: &RefreshToken, seconds: i64) -> RefreshToken {
        match refresh(session, token, seconds) {
            Refreshed::Next(next) => next,
            _ => panic!("the session doesn't go on"),
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_no_other_text_is_one() {
        let (_, token) = opened();
        let text = token.write(&secret());
        assert!(RefreshToken::read(&text, &secret()).is_some_and(|it| it == token));
        assert!(RefreshToken::read(&text, &Secret::new(&[8; 32])).is_none());
        let other_session = text.replacen("s1", "s2", 1);
        let no_seal = text.rsplit_once('.').unwrap().0.to_owned();
        let longer = format!("{text}.x");
        for forged in ["", ".", "..", "s1.random.", &other_session, &no_seal, &longer] {
            assert!(RefreshToken::read(forged, &secret()).is_none(), "{forged}");
        }
    }

    #[test]
    fn no_token_that_can_be_used_is_kept() {
        let (mut session, first) = opened();
        let second = next(&mut session, &first, 60);
        let kept = serde_json::to_string(&session).unwrap();
        assert!(!kept.contains(&first.token) && !kept.contains(&second.token));
    }

    #[test]
    fn each_use_gives_another_token_and_thirty_days_more() {
        let (mut session, first) = opened();
        let second = next(&mut session, &first, 60);
        assert!(first != second);
        assert_eq!(session.expires_at, Some(NOW.plus_seconds(60 + LASTS_SECONDS)));
        let third = next(&mut session, &second, 60 + LASTS_SECONDS - 1);
        assert!(matches!(refresh(&mut session, &third, 60 + 2 * LASTS_SECONDS), Refreshed::Over));
    }

    #[test]
    fn within_ten_seconds_a_used_token_gives_the_same_next_one_again() {
        let (mut session, first) = opened();
        let second = next(&mut session, &first, 60);
        let before = session.revision;
        assert!(refresh(&mut session, &first, 70) == Refreshed::Again(second.clone()));
        assert_eq!(session.revision, before);
        next(&mut session, &second, 71);
    }

    #[test]
    fn within_ten_seconds_any_used_token_gives_the_one_that_is_good_now() {
        let (mut session, first) = opened();
        let second = next(&mut session, &first, 60);
        let third = next(&mut session, &second, 65);
        assert!(refresh(&mut session, &first, 66) == Refreshed::Again(third.clone()));
        assert!(refresh(&mut session, &second, 75) == Refreshed::Again(third));
        assert!(refresh(&mut session, &first, 75) == Refreshed::Reused);
    }

    #[test]
    fn after_ten_seconds_a_used_token_ends_the_session_for_good() {
        let (mut session, first) = opened();
        let second = next(&mut session, &first, 60);
        assert!(refresh(&mut session, &first, 71) == Refreshed::Reused);
        assert!(!session.is_alive(NOW.plus_seconds(71)));
        assert!(refresh(&mut session, &second, 71) == Refreshed::Over);
        assert!(refresh(&mut session, &first, 71) == Refreshed::Over);
    }

    #[test]
    fn a_session_remembers_few_of_its_tokens() {
        let (mut session, mut token) = opened();
        for _ in 0..100 {
            token = next(&mut session, &token, 60);
        }
        assert_eq!(session.earlier.len(), EARLIER);
        token = next(&mut session, &token, 120);
        assert_eq!(session.earlier.len(), 1);
        next(&mut session, &token, 240);
    }

    #[test]
    fn whoever_may_not_sign_in_may_not_refresh() {
        let (session, token) = opened();
        let over = |person: Option<&Person>| {
            session.clone().refresh(&token, person, &secret(), NOW) == Refreshed::Over
        };
        let mut disabled = ada();
        disabled.enter(crate::person::State::Disabled, &"root".into(), NOW).unwrap();
        let mut signed_out = ada();
        signed_out.end_sessions(NOW);
        assert!(!over(Some(&ada())));
        assert!(over(None) && over(Some(&disabled)) && over(Some(&signed_out)));
    }
}
