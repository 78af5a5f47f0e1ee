//! `POST /internal/identity/users/import`: people who were registered elsewhere, for
//! the platform's operator.

use contracts::{
    TimeZone,
    identity::{ContactChanged, ImportUsers, Role, UserImported, UserRow, UsersImported},
};
use runtime::prelude::*;

use crate::{
    account::{Address, Credentials, NOBODY},
    email::Email,
    password::{Hashed, NewPassword},
    person::{Name, Person},
};

/// How many rows a request may have.
const MOST: usize = 100;

pub async fn run(cx: Context<System>, request: ImportUsers) -> Result<UsersImported> {
    let mut faults = Faults::new();
    let fits = request.rows.len() <= MOST;
    faults.unless(fits, "rows", "too-many", "at most 100", "como máximo 100");
    faults.check()?;

    let mut outcomes = Vec::with_capacity(request.rows.len());
    for row in request.rows {
        outcomes.push(match Newcomer::read(row) {
            Ok(newcomer) => import(&cx, newcomer).await?,
            Err(refused) => refused,
        });
    }
    Ok(UsersImported { outcomes })
}

/// Each person is a commit of their own: what was imported before the process
/// ended stays, and importing the same file again goes on from there.
async fn import(cx: &Context<System>, newcomer: Newcomer) -> Result<UserImported> {
    if let Some(address) = Address::find(cx, &newcomer.email).await? {
        return Ok(UserImported::Exists { user_id: address.user_id().clone() });
    }
    let password = match newcomer.password {
        Some(Claim::Clear(password)) => Some(password.hash(cx.random()).await?),
        Some(Claim::Hashed(hashed)) => Some(hashed),
        None => None,
    };
    let mut person = Person::new(cx.random().id(), newcomer.email, newcomer.name, cx.now);
    person.locale = newcomer.locale;
    person.time_zone = newcomer.time_zone;
    person.verify(cx.settings().admin_email.as_deref(), cx.now);
    // Whom the settings make an admin stays one, whatever the file says.
    let roles = [person.roles.clone(), newcomer.roles].concat();
    person.allow(&roles, &NOBODY.into(), cx.now)?;
    let credentials = Credentials::new(person.id.clone(), password, cx.now);
    let changes = Changes::new().create(&Address::of(&person)).create(&person).create(&credentials);
    cx.commit_part(changes.emit(&ContactChanged { contact: person.contact() })).await?;
    Ok(UserImported::Created { user_id: person.id })
}

/// A row that is right.
struct Newcomer {
    email: Email,
    name: Name,
    password: Option<Claim>,
    locale: Language,
    time_zone: TimeZone,
    roles: Vec<Role>,
}

enum Claim {
    Clear(NewPassword),
    Hashed(Hashed),
}

impl Newcomer {
    fn read(row: UserRow) -> Result<Self, UserImported> {
        let refused = |field: &str, reason: &str| UserImported::Refused {
            field: field.to_owned(),
            reason: reason.to_owned(),
        };
        let email = Email::new(row.email.trim()).map_err(|why| refused("email", why))?;
        let name = Name::new(&row.name).map_err(|why| refused("name", &why))?;
        let password = match (row.password, row.password_hash) {
            (Some(_), Some(_)) => {
                let both = "one-of: a password or its hash, not both";
                return Err(refused("password_hash", both));
            }
            (Some(password), None) => {
                let password =
                    NewPassword::new(&password).map_err(|why| refused("password", &why))?;
                if password.tells(&email) {
                    return Err(refused("password", "contains-address: it contains the address"));
                }
                Some(Claim::Clear(password))
            }
            (None, Some(hash)) => {
                let hashed = hash
                    .parse::<Hashed>()
                    .map_err(|why| refused("password_hash", &format!("unknown-hash: {why}")))?;
                Some(Claim::Hashed(hashed))
            }
            (None, None) => None,
        };
        let time_zone = row.time_zone.map_or_else(|| Ok(TimeZone::default()), |it| it.parse());
        let time_zone = time_zone.map_err(|why| refused("time_zone", why))?;
        let locale =
            row.locale.map_or(Language::default(), |it| Language::accepted(&it.replace('_', "-")));
        Ok(Self { email, name, password, locale, time_zone, roles: row.roles })
    }
}

#[cfg(test)]
mod tests {
    use runtime::problems::NO_SUCH_PATH;
    use testing::{App, Value, json};

    use super::*;
    use crate::{
        account::Account,
        sign_in::WRONG_CREDENTIALS,
        tests::{OTHER, PASSWORD, app, ask, code, enter, member, person, reset, roles, sign_in},
    };

    const ADA: &str = "ada@example.org";
    const URI: &str = "/internal/identity/users/import";
    const DJANGO: &str =
        "pbkdf2_sha256$600000$2aVfX0kYbq7PzT1nWc3LrE$NRpQZpW6jJJsfVAswCZS9y3jNk1ui3VWxuXwfpIUpYM=";

    async fn import(app: &App, rows: Value) -> Value {
        let imported = app.platform().post(URI, json!({ "rows": rows })).await.ok();
        imported["outcomes"].clone()
    }

    #[tokio::test]
    async fn whom_the_settings_make_an_admin_is_one_whatever_the_file_says() {
        let app = app();
        let row = json!({ "email": App::ADMIN_EMAIL, "name": "Root", "roles": ["instructor"] });
        assert_eq!(import(&app, json!([row])).await[0]["outcome"], "created");
        let roles = roles(&app, App::ADMIN_EMAIL).await;
        assert!(roles.contains(&Role::Admin) && roles.contains(&Role::Instructor), "{roles:?}");
    }

    #[tokio::test]
    async fn who_is_imported_signs_in_with_their_old_password_which_is_hashed_anew() {
        let app = app();
        let row = json!({ "email": "ADA@example.org", "name": "Ada", "password_hash": DJANGO });
        assert_eq!(import(&app, json!([row])).await[0]["outcome"], "created");
        let hashed = async || {
            let email = Email::new(ADA).unwrap();
            let account = Account::with(&app.context(), &email).await.unwrap().unwrap();
            account.credentials.password().unwrap().to_string()
        };
        assert_eq!(hashed().await, DJANGO);
        sign_in(&app, ADA, OTHER).await.is(WRONG_CREDENTIALS);
        enter(&app, ADA).await;
        assert!(hashed().await.starts_with("$argon2id$"));
        enter(&app, ADA).await;
        sign_in(&app, ADA, OTHER).await.is(WRONG_CREDENTIALS);
    }

    #[tokio::test]
    async fn each_row_has_an_outcome_and_a_second_time_changes_nothing() {
        let app = app();
        let bob = member(&app, "bob@example.org").await;
        let rows = json!([
            { "email": ADA, "name": "Ada", "password": PASSWORD, "roles": ["instructor"],
              "locale": "es_co", "time_zone": "America/Bogota" },
            { "email": "bob@example.org", "name": "Robert", "password": OTHER },
            { "email": "nobody", "name": "x" },
            { "email": "c@example.org", "name": " " },
            { "email": "d@example.org", "name": "D", "password": "Password1234" },
            { "email": "e@example.org", "name": "E", "password_hash": "5f4dcc3b5aa765d6" },
            { "email": "f@example.org", "name": "F", "time_zone": "Mars/Olympus" },
            { "email": "g@example.org", "name": "G", "password": OTHER, "password_hash": DJANGO },
            { "email": "h@example.org", "name": "H" },
        ]);
        let first = import(&app, rows.clone()).await;
        let gist = |it: &Value| (it["outcome"].clone(), it["field"].clone());
        let gists: Vec<_> = first.as_array().unwrap().iter().map(gist).collect();
        let refused = |field: &str| (json!("refused"), json!(field));
        assert_eq!(gists[0], (json!("created"), Value::Null));
        assert_eq!(first[1], json!({ "outcome": "exists", "user_id": bob }));
        let fields = ["email", "name", "password", "password_hash", "time_zone", "password_hash"];
        assert_eq!(gists[2..8], fields.map(refused));
        assert_eq!(gists[8].0, "created");

        let ada = person(&app, ADA).await;
        assert_eq!(ada.roles, [Role::Student, Role::Instructor]);
        assert_eq!((ada.locale, ada.time_zone.as_str()), (Language::Es, "America/Bogota"));
        enter(&app, ADA).await;
        enter(&app, "bob@example.org").await;

        let before = app.commits();
        let again = import(&app, rows).await;
        assert_eq!(again[0], json!({ "outcome": "exists", "user_id": ada.id }));
        assert_eq!((&again[2], app.commits()), (&first[2], before));
    }

    #[tokio::test]
    async fn who_has_no_password_chooses_one_by_a_code() {
        let app = app();
        import(&app, json!([{ "email": ADA, "name": "Ada" }])).await;
        sign_in(&app, ADA, PASSWORD).await.is(WRONG_CREDENTIALS);
        ask(&app, ADA, "reset_password").await.ok();
        reset(&app, ADA, &code(&app).await, PASSWORD).await.ok();
        enter(&app, ADA).await;
    }

    #[tokio::test]
    async fn only_the_operator_imports() {
        let app = app();
        let row = json!({ "rows": [{ "email": ADA, "name": "Ada", "roles": ["admin"] }] });
        for caller in [app.anyone(), app.user("eve"), app.admin("root")] {
            caller.post(URI, &row).await.is(NO_SUCH_PATH);
        }
        let many = vec![json!({ "email": ADA, "name": "Ada" }); 101];
        let refused = app.platform().post(URI, json!({ "rows": many })).await;
        refused.blames("rows", "too-many");
    }
}
