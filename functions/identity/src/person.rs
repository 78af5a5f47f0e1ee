//! A person: who they are here, and what they may do.

use contracts::{
    TimeZone,
    identity::{Contact, Role},
};
use runtime::prelude::*;

use crate::{email::Email, factor::ListedFactor};

/// Someone may only change themselves so far.
pub const OWN_ACCESS: Problem = Problem::conflict(
    "own-access",
    "Nobody takes the platform away from themselves; another admin can do that.",
    "Nadie se quita a sí mismo la plataforma; otro administrador puede hacerlo.",
);
/// The address hasn't been shown to be its owner's.
pub const NOT_VERIFIED: Problem = Problem::conflict(
    "not-verified",
    "This person hasn't verified their address yet; only the code in their mail does that.",
    "Esta persona aún no ha verificado su dirección; solo el código de su correo lo hace.",
);

/// What to call someone.
pub type Name = Line<1, 200>;

/// Where a person is in their life here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UserState")]
pub enum State {
    /// Registered; hasn't shown yet that the address is theirs, and can't sign in.
    Unverified,
    /// Can sign in.
    Active,
    /// Can't sign in, by an admin's decision.
    Disabled,
    /// Closed for good: can't sign in, and is erased after 30 days.
    Closed,
}

/// How long an account that was closed can be opened again, before it's erased.
const CLOSED_DAYS: i64 = 30;

/// A person, as they are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    pub id: UserId,
    pub email: Email,
    pub name: Name,
    pub locale: Language,
    pub time_zone: TimeZone,
    /// Sorted, each once; everyone is a student.
    pub roles: Vec<Role>,
    /// What they asked for and no admin has decided yet.
    pub requested_roles: Vec<Role>,
    pub state: State,
    /// Sessions of an earlier generation are over, those included that a
    /// sign-in was just opening when all were ended.
    pub generation: u64,
    /// When all sessions last ended: a sign-in elsewhere from before is over too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sessions_ended_at: Option<Timestamp>,
    /// What they show besides their password when they sign in.
    #[serde(default)]
    pub factors: Vec<ListedFactor>,
    /// When everything of them is erased; only there if they are closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase_at: Option<Timestamp>,
    /// What they were when they were closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_from: Option<State>,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Document for Person {
    const COLLECTION: &'static str = "users";
    const INDEXES: &'static [Index] = &[
        Index::descending("created_at"),
        Index::descending("created_at").equals(&["state"]),
        Index::descending("created_at").containing("roles"),
        Index::descending("created_at").equals(&["state"]).containing("roles"),
        Index::ascending("email"),
        Index::ascending("email").equals(&["state"]),
        Index::ascending("email").containing("roles"),
        Index::ascending("email").equals(&["state"]).containing("roles"),
        // Only those who are closed have it.
        Index::ascending("erase_at"),
    ];
    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// What a person changes of themselves.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    pub name: Option<Name>,
    pub locale: Option<Language>,
    pub time_zone: Option<TimeZone>,
}

impl Person {
    /// Someone who has just registered.
    pub fn new(id: String, email: Email, name: Name, now: Timestamp) -> Self {
        Self {
            id: id.into(),
            email,
            name,
            locale: Language::default(),
            time_zone: TimeZone::default(),
            roles: vec![Role::Student],
            requested_roles: Vec::new(),
            state: State::Unverified,
            generation: 1,
            sessions_ended_at: None,
            factors: Vec::new(),
            erase_at: None,
            closed_from: None,
            revision: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether they can sign in.
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// Whether they have gone: nobody finds them any more.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether a code may be mailed to them, and redeemed.
    pub fn may_have_codes(&self) -> bool {
        matches!(self.state, State::Unverified | State::Active)
    }

    /// Closes the account: from now on nobody signs in with it, and after 30
    /// days it's erased. Says whether that is news.
    pub fn close(&mut self, now: Timestamp) -> bool {
        if self.is_closed() {
            return false;
        }
        self.closed_from = Some(self.state);
        self.state = State::Closed;
        self.erase_at = Some(now.plus_minutes(CLOSED_DAYS * 24 * 60));
        self.end_sessions(now);
        self.changed(now);
        true
    }

    /// Moves to another address, which they have shown to be theirs. Gives the old one back.
    pub fn move_to(&mut self, email: Email, now: Timestamp) -> Email {
        let old = std::mem::replace(&mut self.email, email);
        self.changed(now);
        old
    }

    /// Takes what they show besides their password from now on.
    pub fn show(&mut self, factors: Vec<ListedFactor>, now: Timestamp) {
        self.factors = factors;
        self.changed(now);
    }

    /// They have shown that the address is theirs, which the operator may have
    /// named as the admin's. Says whether that is news.
    pub fn verify(&mut self, admin_email: Option<&str>, now: Timestamp) -> bool {
        if self.state != State::Unverified {
            return false;
        }
        self.state = State::Active;
        if admin_email.and_then(|it| Email::new(it).ok()).is_some_and(|it| it == self.email) {
            self.roles = allowed(&[Role::Student, Role::Instructor, Role::Admin]);
            self.requested_roles.clear();
        }
        self.changed(now);
        true
    }

    /// Changes what they say of themselves.
    pub fn change(&mut self, change: ProfileChange, now: Timestamp) {
        let ProfileChange { name, locale, time_zone } = change;
        self.name = name.unwrap_or_else(|| self.name.clone());
        self.locale = locale.unwrap_or(self.locale);
        self.time_zone = time_zone.unwrap_or_else(|| self.time_zone.clone());
        self.changed(now);
    }

    /// An admin decides what they may do, and with that what they asked for.
    pub fn allow(&mut self, roles: &[Role], by: &UserId, now: Timestamp) -> Result<()> {
        let roles = allowed(roles);
        if *by == self.id && !roles.contains(&Role::Admin) {
            return Err(OWN_ACCESS.into());
        }
        self.roles = roles;
        self.requested_roles.clear();
        self.changed(now);
        Ok(())
    }

    /// An admin lets them in or shuts them out; whoever is out has no sessions.
    /// Who was closed and not yet erased is open again.
    pub fn enter(&mut self, state: State, by: &UserId, now: Timestamp) -> Result<()> {
        if self.closed_from.unwrap_or(self.state) == State::Unverified {
            return Err(NOT_VERIFIED.into());
        }
        if *by == self.id && state == State::Disabled {
            return Err(OWN_ACCESS.into());
        }
        self.state = state;
        (self.erase_at, self.closed_from) = (None, None);
        if state == State::Disabled {
            self.end_sessions(now);
        }
        self.changed(now);
        Ok(())
    }

    /// Ends every session there is, or is just being opened.
    pub fn end_sessions(&mut self, now: Timestamp) {
        self.generation += 1;
        self.sessions_ended_at = Some(now);
    }

    /// Whether a sign-in elsewhere may still count: nobody has ended all sessions since.
    pub fn may_go_on_from(&self, signed_in_at: Timestamp) -> bool {
        // Before it was noted, sessions were ended at the last change at the latest.
        let ended_at = self.sessions_ended_at.or((self.generation > 1).then_some(self.updated_at));
        ended_at.is_none_or(|ended_at| ended_at < signed_in_at)
    }

    fn changed(&mut self, now: Timestamp) {
        self.revision += 1;
        self.updated_at = now;
    }

    /// The version that callers name when they change it.
    pub fn etag(&self) -> String {
        self.revision.to_string()
    }

    /// How to write to them.
    pub fn contact(&self) -> Contact {
        Contact {
            user_id: self.id.clone(),
            email: self.email.as_str().to_owned(),
            name: self.name.to_string(),
            locale: self.locale,
            time_zone: self.time_zone.clone(),
            revision: self.revision,
        }
    }

    /// What they and admins see of them.
    pub fn profile(&self) -> Profile {
        Profile {
            id: self.id.clone(),
            email: self.email.as_str().to_owned(),
            name: self.name.to_string(),
            locale: self.locale,
            time_zone: self.time_zone.clone(),
            roles: self.roles.clone(),
            requested_roles: self.requested_roles.clone(),
            state: self.state,
            factors: self.factors.clone(),
            erase_at: self.erase_at,
            enrollments_url: format!("/v1/enrollments?user_id={}", self.id),
            created_at: self.created_at,
            updated_at: self.updated_at,
            etag: self.etag(),
        }
    }
}

/// These roles in their order, each once, with what everyone is.
fn allowed(roles: &[Role]) -> Vec<Role> {
    let mut roles = [&[Role::Student], roles].concat();
    roles.sort_unstable();
    roles.dedup();
    roles
}

/// A person, as they and admins see them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct Profile {
    /// The person's id.
    id: UserId,
    /// Their address, normalized: lower case, the domain as DNS has it.
    email: String,
    /// What to call them.
    name: String,
    /// The language to write to them in.
    locale: Language,
    /// The zone to tell them times in.
    time_zone: TimeZone,
    /// What they may do.
    roles: Vec<Role>,
    /// What they asked to be when they registered, and no admin has decided yet.
    requested_roles: Vec<Role>,
    /// Whether they can sign in.
    state: State,
    /// What they show besides their password when they sign in.
    factors: Vec<ListedFactor>,
    /// When everything of them is erased, if the account is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erase_at: Option<Timestamp>,
    /// Where their course history is.
    enrollments_url: String,
    /// When they registered.
    created_at: Timestamp,
    /// When this last changed.
    updated_at: Timestamp,
    /// The version to name when you change it.
    etag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn person() -> Person {
        let email = Email::new("ada@example.org").unwrap();
        Person::new("ada".into(), email, Name::new("Ada").unwrap(), NOW)
    }

    fn admin() -> Person {
        let mut person = person();
        assert!(person.verify(Some("ADA@Example.org"), NOW));
        person
    }

    fn refused(result: Result<()>) -> Problem {
        match result {
            Err(Error::Refused(refusal)) => refusal.problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_registers_is_a_student_who_cannot_sign_in_yet() {
        let person = person();
        assert_eq!(person.roles, [Role::Student]);
        assert!(!person.is_active());
    }

    #[test]
    fn an_address_is_verified_once() {
        let mut person = person();
        assert!(person.verify(Some("someone@else.example"), NOW));
        assert_eq!((person.is_active(), person.etag().as_str()), (true, "2"));
        assert_eq!(person.roles, [Role::Student]);
        assert!(!person.verify(Some("ada@example.org"), NOW));
        assert_eq!(person.roles, [Role::Student]);
    }

    #[test]
    fn the_operators_address_is_an_admins_however_it_is_spelled() {
        assert_eq!(admin().roles, [Role::Student, Role::Instructor, Role::Admin]);
    }

    #[test]
    fn a_disabled_person_is_not_let_in_by_verifying_again() {
        let mut person = person();
        person.verify(None, NOW);
        person.enter(State::Disabled, &"root".into(), NOW).unwrap();
        assert!(!person.verify(Some("ada@example.org"), NOW));
        assert_eq!(person.state, State::Disabled);
    }

    #[test]
    fn an_admins_decision_answers_what_was_asked() {
        let mut person = person();
        person.requested_roles = vec![Role::Instructor];
        person.allow(&[Role::Instructor, Role::Instructor], &"root".into(), NOW).unwrap();
        assert_eq!(person.roles, [Role::Student, Role::Instructor]);
        assert!(person.requested_roles.is_empty());
        person.allow(&[], &"root".into(), NOW).unwrap();
        assert_eq!(person.roles, [Role::Student]);
    }

    #[test]
    fn no_admin_takes_the_platform_away_from_themselves() {
        let mut admin = admin();
        let own_id = admin.id.clone();
        assert_eq!(refused(admin.allow(&[], &own_id, NOW)), OWN_ACCESS);
        assert_eq!(refused(admin.enter(State::Disabled, &own_id, NOW)), OWN_ACCESS);
        admin.allow(&[Role::Admin], &own_id, NOW).unwrap();
        assert_eq!(admin.roles, [Role::Student, Role::Admin]);
    }

    #[test]
    fn only_their_mail_verifies_someone() {
        let mut person = person();
        for state in [State::Active, State::Disabled] {
            assert_eq!(refused(person.enter(state, &"root".into(), NOW)), NOT_VERIFIED);
        }
    }

    #[test]
    fn a_closed_account_is_erased_after_thirty_days_unless_an_admin_opens_it_again() {
        let mut person = person();
        person.verify(None, NOW);
        assert!(person.close(NOW) && !person.close(NOW));
        assert!(!person.is_active() && !person.may_have_codes());
        assert_eq!(person.erase_at, Some(NOW.plus_minutes(30 * 24 * 60)));
        person.enter(State::Active, &"root".into(), NOW).unwrap();
        assert!(person.is_active() && person.erase_at.is_none());
    }

    #[test]
    fn closing_verifies_nobody() {
        let mut person = person();
        person.close(NOW);
        assert!(!person.verify(None, NOW));
        assert_eq!(refused(person.enter(State::Active, &"root".into(), NOW)), NOT_VERIFIED);
    }

    #[test]
    fn disabling_ends_all_sessions() {
        let mut person = person();
        person.verify(None, NOW);
        let before = person.generation;
        person.enter(State::Disabled, &"root".into(), NOW).unwrap();
        assert!(person.generation > before);
    }
}
