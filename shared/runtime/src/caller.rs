//! Who may call: a function says so by the type of caller that it takes.

use std::sync::Arc;

use contracts::{Problem, UserId, identity::Role};

use crate::{
    problems::{FORBIDDEN, UNAUTHENTICATED},
    token::Claims,
};

/// Who may call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone, signed in or not.
    Anyone,
    /// Whoever is signed in.
    User,
    /// Those who teach, and those who run the platform.
    Instructor,
    /// Those who run the platform.
    Admin,
    /// The platform itself.
    System,
}

impl Access {
    /// Its name in the manifest and the documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::User => "user",
            Self::Instructor => "instructor",
            Self::Admin => "admin",
            Self::System => "system",
        }
    }
}

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub enum Origin {
    /// Outside, by someone who isn't signed in.
    #[default]
    Nobody,
    /// Outside, by the bearer of a token that was checked.
    Bearer(Arc<Claims>),
    /// Inside: another domain, an event or the clock.
    Platform,
}

/// A kind of caller. To hold one is proof that its check passed.
pub trait Caller: Sized + Clone + Send + Sync + 'static {
    /// Who may be this caller; the gateway and IAM are set up from it.
    const ACCESS: Access;
    /// Checks where the request comes from.
    fn admit(origin: &Origin) -> Result<Self, Problem>;
}

/// Anyone at all.
#[derive(Clone, Debug)]
pub struct Anyone {
    /// Who, if they are signed in.
    pub user: Option<User>,
}

impl Caller for Anyone {
    const ACCESS: Access = Access::Anyone;
    fn admit(origin: &Origin) -> Result<Self, Problem> {
        Ok(Self { user: User::admit(origin).ok() })
    }
}

/// Someone signed in.
#[derive(Clone, Debug)]
pub struct User {
    /// Who.
    pub id: UserId,
    claims: Arc<Claims>,
}

impl User {
    /// Whether they have a role.
    pub fn is(&self, role: Role) -> bool {
        self.claims.roles.contains(&role)
    }
    /// Whether they run the platform.
    pub fn is_admin(&self) -> bool {
        self.is(Role::Admin)
    }
    /// The session that they called in.
    pub fn session_id(&self) -> &str {
        &self.claims.sid
    }
    /// Whom a path means: `me` is the caller; another only an admin may name.
    pub fn resolve(&self, user_id: &UserId) -> Result<UserId, Problem> {
        match user_id.as_str() {
            "me" => Ok(self.id.clone()),
            _ if *user_id == self.id || self.is_admin() => Ok(user_id.clone()),
            _ => Err(FORBIDDEN),
        }
    }
}

impl Caller for User {
    const ACCESS: Access = Access::User;
    fn admit(origin: &Origin) -> Result<Self, Problem> {
        match origin {
            Origin::Bearer(claims) => Ok(Self { id: claims.sub.clone(), claims: claims.clone() }),
            Origin::Nobody | Origin::Platform => Err(UNAUTHENTICATED),
        }
    }
}

/// Declares callers who are users of certain roles.
macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident: $($role:ident)|+;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(User);

        impl std::ops::Deref for $name {
            type Target = User;
            fn deref(&self) -> &User {
                &self.0
            }
        }

        impl Caller for $name {
            const ACCESS: Access = Access::$name;
            fn admit(origin: &Origin) -> Result<Self, Problem> {
                let user = User::admit(origin)?;
                let allowed = [$(Role::$role),+].into_iter().any(|role| user.is(role));
                if allowed { Ok(Self(user)) } else { Err(FORBIDDEN) }
            }
        }
    )+};
}

roles! {
    /// Someone who teaches, or runs the platform. Whether they teach this
    /// course, the function checks.
    Instructor: Instructor | Admin;
    /// Someone who runs the platform.
    Admin: Admin;
}

/// The platform itself: another domain, an event or the clock.
#[derive(Clone, Debug)]
pub struct System(());

impl System {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl Caller for System {
    const ACCESS: Access = Access::System;
    fn admit(origin: &Origin) -> Result<Self, Problem> {
        match origin {
            Origin::Platform => Ok(Self(())),
            Origin::Nobody | Origin::Bearer(_) => Err(FORBIDDEN),
        }
    }
}
