//! `aula import users`: people, in our columns or Moodle's.

use std::path::Path;

use contracts::identity::{ImportUsers, Role, UserImported, UserRow};
use csv::StringRecord;
use embedded::Platform;

use super::{Report, Rows, ask};

/// How many rows are imported at once.
///
/// A clear password takes a good part of a second to hash on a small machine, and
/// a call ends after a few.
const AT_ONCE: usize = 10;

/// The columns that are read.
const READ: [&str; 15] = [
    "email",
    "name",
    "password",
    "password_hash",
    "locale",
    "time_zone",
    "roles",
    // Moodle's.
    "username",
    "firstname",
    "lastname",
    "lang",
    "timezone",
    "deleted",
    "suspended",
    "auth",
];

/// Moodle's columns that mean nothing here, by how they begin.
const IGNORED: [&str; 29] = [
    "idnumber",
    "institution",
    "department",
    "phone",
    "address",
    "city",
    "country",
    "description",
    "mail",
    "auto",
    "track",
    "theme",
    "calendar",
    "url",
    "icq",
    "skype",
    "aim",
    "yahoo",
    "msn",
    "interests",
    "profile_field_",
    "course",
    "group",
    "cohort",
    "type",
    "role",
    "enrol",
    "sysrole",
    "middlename",
];

/// Imports the people of a file.
pub(super) async fn import(platform: &Platform, file: &Path) -> anyhow::Result<Report> {
    let rows = Rows::read(file)?;
    rows.expect(&READ, &IGNORED)?;
    let mut report = Report::default();
    for some in rows.rows.chunks(AT_ONCE) {
        let mut asked = Vec::new();
        for (line, record) in some {
            match row(&rows, record) {
                Ok(row) => asked.push((*line, row)),
                Err(why) => report.refuse(*line, &why),
            }
        }
        let request = ImportUsers { rows: asked.iter().map(|(_, row)| row.clone()).collect() };
        let imported = ask(platform, request).await?;
        for ((line, row), outcome) in asked.iter().zip(imported.outcomes) {
            report.tell(*line, &row.email, &outcome);
        }
    }
    Ok(report)
}

/// A row as identity takes it.
fn row(rows: &Rows, record: &StringRecord) -> Result<UserRow, String> {
    let text = |column: &str| rows.text(record, column).map(|it| it.trim().to_owned());
    if text("deleted").is_some_and(|it| it != "0") {
        return Err("deleted: whoever is deleted there isn't imported".to_owned());
    }
    let shut_out = text("suspended").is_some_and(|it| it != "0");
    if shut_out || text("auth").as_deref() == Some("nologin") {
        return Err("suspended: whoever is shut out there isn't imported".to_owned());
    }
    let name = text("name").unwrap_or_else(|| {
        let both = [text("firstname"), text("lastname")];
        both.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    // Moodle takes a hash where it expects a password, too.
    let password = rows.text(record, "password").map(str::to_owned);
    let looks_hashed =
        |it: &String| ["$", "pbkdf2_sha256$"].iter().any(|mark| it.starts_with(mark));
    let (hash, password) = match password.filter(|it| !MADE_UP.contains(&it.as_str())) {
        Some(it) if looks_hashed(&it) && it.len() > 40 => (Some(it), None),
        password => (None, password),
    };
    Ok(UserRow {
        email: text("email").unwrap_or_default(),
        name,
        password,
        password_hash: text("password_hash").or(hash),
        locale: text("locale").or(text("lang")),
        // 99 is "the server's" there.
        time_zone: text("time_zone").or(text("timezone")).filter(|it| it != "99"),
        roles: roles(&text("roles").unwrap_or_default())?,
    })
}

/// What Moodle writes where there's no password of its own.
const MADE_UP: [&str; 3] = ["createnew", "changeme", "not cached"];

/// Roles, separated by whatever people put between them.
fn roles(text: &str) -> Result<Vec<Role>, String> {
    let words = text.split([' ', ',', ';', '|']).filter(|it| !it.is_empty());
    let role = |word: &str| match word.to_lowercase().as_str() {
        "student" => Ok(Role::Student),
        "instructor" | "teacher" | "editingteacher" => Ok(Role::Instructor),
        "admin" => Ok(Role::Admin),
        other => Err(format!("roles: {other:?} is none; there are student, instructor and admin")),
    };
    words.map(role).collect()
}

impl Report {
    fn tell(&mut self, line: u64, email: &str, outcome: &UserImported) {
        match outcome {
            UserImported::Created { user_id } => {
                self.created += 1;
                self.lines.push(format!("line {line}: {email}: created {user_id}"));
            }
            UserImported::Exists { user_id } => {
                self.existing += 1;
                self.lines.push(format!("line {line}: {email}: there already as {user_id}"));
            }
            UserImported::Refused { field, reason } => {
                self.refuse(line, &format!("{field}: {reason}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded::Platform;
    use runtime::Settings;

    use super::*;
    use crate::demo::visitor::Visitor;

    const DJANGO: &str =
        "pbkdf2_sha256$600000$2aVfX0kYbq7PzT1nWc3LrE$NRpQZpW6jJJsfVAswCZS9y3jNk1ui3VWxuXwfpIUpYM=";

    fn platform() -> Platform {
        let settings = Settings {
            public_url: "http://localhost:8080".to_owned(),
            admin_email: None,
            ..Settings::default()
        };
        Platform::start(embedded::Options::new(settings), crate::domains()).expect("a platform")
    }

    async fn imported(platform: &Platform, name: &str, content: &str) -> anyhow::Result<Report> {
        let file = std::env::temp_dir().join(format!("aula-{}-{name}.csv", std::process::id()));
        std::fs::write(&file, content).unwrap();
        let report = import(platform, &file).await;
        std::fs::remove_file(file).unwrap();
        report
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn people_of_both_kinds_of_files_sign_in() {
        let platform = platform();
        let ours = format!(
            "email,name,password,password_hash,locale,time_zone,roles\n\
            ada@example.org,Ada Lovelace,,{DJANGO},en,Europe/London,\"student, instructor\"\n\
            bob@example.org,Bob,a passable password,,es,,\n\
            nobody,,,,,,\n\
            eve@example.org,Eve,,,,,root\n"
        );
        let report = imported(&platform, "ours", &ours).await.unwrap();
        let counts = |report: &Report| (report.created, report.existing, report.refused);
        assert_eq!(counts(&report), (2, 0, 2), "{report}");
        let told = report.to_string();
        assert!(told.contains("line 4: refused: email: invalid-email"), "{told}");
        assert!(told.contains("line 5: refused: roles: \"root\" is none"), "{told}");
        assert!(!told.contains("passable") && !told.contains("pbkdf2"), "{told}");

        let moodles = "\u{feff}username;password;firstname;lastname;email;lang;timezone;course1\n\
            cata;a passable password;Catalina;Niño;cata@example.org;es_co;America/Bogota;M1\n\
            bob;changeme;Bob;B;bob@example.org;en;99;M1\n";
        let report = imported(&platform, "moodles", moodles).await.unwrap();
        assert_eq!(counts(&report), (1, 1, 0), "{report}");

        let anyone = Visitor::new(runtime::router(platform.host(), &platform.front(None)));
        let ada = anyone.sign_in("ada@example.org", "correct horse battery").await.unwrap();
        let me = ada.get("/v1/users/me").await.unwrap();
        assert_eq!(me["roles"], serde_json::json!(["student", "instructor"]));
        let cata = anyone.sign_in("cata@example.org", "a passable password").await.unwrap();
        let me = cata.get("/v1/users/me").await.unwrap();
        assert_eq!((&me["name"], &me["locale"]), (&"Catalina Niño".into(), &"es".into()));

        let again = imported(&platform, "again", &ours).await.unwrap();
        assert_eq!(counts(&again), (0, 2, 2));
        let unknown = imported(&platform, "unknown", "email,nmae\na@example.org,A\n").await;
        assert!(unknown.unwrap_err().to_string().contains("nmae"));
        platform.shutdown().await.unwrap();
    }
}
