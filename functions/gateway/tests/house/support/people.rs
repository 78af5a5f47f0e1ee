//! People with accounts, who come in as people do.

use serde_json::json;

use super::Client;

/// Who runs the platform, in tests.
pub const ADMIN_EMAIL: &str = "admin@aula.example";

/// Everyone's password, in tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// Someone who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub token: String,
}

impl Client {
    /// Registers someone, with the code out of their mail, and signs them in.
    /// Roles beyond a student's are given by the admin.
    pub fn sign_up(&self, email: &str, roles: &[&str]) -> Person {
        self.register(email);
        let person = self.sign_in(email);
        if roles.is_empty() {
            return person;
        }
        let admin = self.admin();
        let path = format!("/v1/users/{}", person.id);
        self.patch(&path, &admin.token, &json!({ "roles": roles })).ok();
        // Roles are in the token, so it takes a new one.
        self.sign_in(email)
    }

    /// Makes an account and shows that its address is real.
    pub fn register(&self, email: &str) {
        // A name that stands nowhere by chance.
        let name = format!("{} Quispe Huamán", email.split('@').next().unwrap_or(email));
        let account = json!({ "email": email, "password": PASSWORD, "name": name });
        self.post("/v1/users", "", &account).ok();
        let code = self.wait_for_code(email);
        let redeemed = json!({ "email": email, "purpose": "verify_email", "code": code });
        self.post("/v1/codes/redeem", "", &redeemed).ok();
    }

    /// Signs someone in who has an account.
    pub fn sign_in(&self, email: &str) -> Person {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let session = self.post("/v1/sessions", "", &credentials).ok();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        Person {
            id: text(&session["user"]["id"]),
            email: email.to_owned(),
            token: text(&session["access_token"]),
        }
    }

    /// Who runs the platform; registered when first needed.
    pub fn admin(&self) -> Person {
        let come_in = || {
            let credentials = json!({ "email": ADMIN_EMAIL, "password": PASSWORD });
            if self.post("/v1/sessions", "", &credentials).status != 201 {
                self.register(ADMIN_EMAIL);
            }
            self.sign_in(ADMIN_EMAIL)
        };
        self.admin.get_or_init(come_in).clone()
    }
}
