//! A feed: the address at which a person's calendar program finds their
//! meetings, with a secret that only they know and can change.

use runtime::{prelude::*, same_secret};

/// Who has a feed, and how its secret is known again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Feed {
    /// Whose.
    pub user_id: UserId,
    /// The secret's seal: the secret itself is nowhere.
    secret_seal: String,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When the secret was last changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub revision: u64,
}

impl Document for Feed {
    const COLLECTION: &'static str = "feeds";
    fn key(&self) -> String {
        self.user_id.to_string()
    }
}

impl Feed {
    /// A feed without a secret yet.
    pub fn new(user_id: &UserId, now: Timestamp) -> Self {
        Self {
            user_id: user_id.clone(),
            secret_seal: String::new(),
            created_at: now,
            updated_at: now,
            revision: 0,
        }
    }

    /// Has another secret from now on; the one before is worth nothing.
    pub fn change<C>(&mut self, cx: &Context<C>, secret: &str) {
        self.secret_seal = seal(cx, &self.user_id, secret);
        self.updated_at = cx.now;
        self.revision += 1;
    }

    /// Whether this is its secret.
    pub fn opens<C>(&self, cx: &Context<C>, secret: &str) -> bool {
        same_secret(seal(cx, &self.user_id, secret).as_bytes(), self.secret_seal.as_bytes())
    }
}

fn seal<C>(cx: &Context<C>, user_id: &UserId, secret: &str) -> String {
    cx.secret().seal_text("calendar", &[user_id.as_str(), secret])
}
