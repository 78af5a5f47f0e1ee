//! Whoever is erased leaves nothing: somebody whose words stand nowhere else puts
//! them wherever the platform takes them, gets a copy of it all, closes their
//! account, and a month later no stored byte of them is left.

mod elsewhere;
mod house;
mod traces;

use aws_lc_rs::hmac;
use contracts::identity::{ImportUsers, UserImported, UserRow};
use serde_json::{Value, json};

use self::{
    house::{House, Someone, text},
    traces::Words,
};
use crate::support::{ADMIN_EMAIL, PASSWORD};

/// The one who is going to be erased: what they call themselves and things.
const NAME: &str = "Quetzalina Tororoi";
const LATER_NAME: &str = "Zunzuncita Guardabarranco";
const EMAIL: &str = "quetzalina.tororoi@bird.example";
const LATER_EMAIL: &str = "zunzuncita@nest.example";
const PHONE: &str = "Momoto phone";
const NUMBER_ELSEWHERE: u64 = 7_391_846_205_517;
/// What others write of them.
const NOTE: &str = "Turpial, who asked so kindly.";
const REASON: &str = "Chachalaca copied her work.";
/// Somebody whom staff bring in from elsewhere.
const IMPORTED_NAME: &str = "Cenzontle Barranquero";
const IMPORTED_EMAIL: &str = "cenzontle.barranquero@cage.example";
/// Somebody who stays.
const OTHER_NAME: &str = "Bo Oropendola";
const OTHER_EMAIL: &str = "bo.oropendola@tree.example";

/// Where the platform keeps something of somebody who has done all that one can do.
const KEPT: &[&str] = &[
    "courses/course_cards",
    "courses/courses",
    "courses/requests",
    "enrollments/achievements",
    "enrollments/batch_parts",
    "enrollments/certificates",
    "enrollments/courses",
    "enrollments/enrollments",
    "enrollments/progress",
    "enrollments/requests",
    "identity/codes",
    "identity/credentials",
    "identity/devices",
    "identity/emails",
    "identity/factors",
    "identity/identities",
    "identity/sessions",
    "identity/users",
    "local/letters",
    "notifications/attendances",
    "notifications/contacts",
    "notifications/deliveries",
    "notifications/digests",
    "notifications/feeds",
    "notifications/inbox_items",
    "notifications/preferences",
    "notifications/reminders",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_after_an_account_is_closed_no_stored_byte_of_its_owner_is_left() {
    let house = House::start(elsewhere::provider(EMAIL, NUMBER_ELSEWHERE));
    let staff = Staff::arrive(&house).await;
    let bird = live(&house, &staff).await;
    let imported = bring_in(&house, &staff).await;
    house.settle().await;

    let words = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Words>();
    let gone = words(&[
        NAME,
        LATER_NAME,
        EMAIL,
        LATER_EMAIL,
        PHONE,
        NOTE,
        REASON,
        &NUMBER_ELSEWHERE.to_string(),
        IMPORTED_NAME,
        IMPORTED_EMAIL,
        &bird.id,
        &imported.id,
    ]);
    let stays = words(&[OTHER_NAME, OTHER_EMAIL]);

    // A copy has what every domain keeps, and nothing that would let others in.
    let bird = bird.sign_in(&house).await;
    let copy = house.post(&bird.someone, "/v1/users/me/export", json!({})).await;
    assert_copy(&copy, &bird);

    // All of it is there: otherwise to find nothing later would say nothing.
    house.settle().await;
    let kept = traces::documents(house.folder(), &gone);
    let missing: Vec<_> = KEPT.iter().filter(|it| !kept.contains(**it)).collect();
    assert!(missing.is_empty(), "nothing of them is in {missing:?}, but in {kept:?}");
    assert_eq!(traces::bytes(house.folder(), &gone), gone);
    assert_eq!(traces::bytes(house.folder(), &bird.secrets), Words::new(), "secrets aren't stored");

    house.delete(&bird.someone, "/v1/users/me").await;
    house.delete(&staff.admin_again(&house).await, &format!("/v1/users/{}", imported.id)).await;
    house.settle().await;
    house.mail(LATER_EMAIL, "closed").await;
    house.pass_days(29).await;
    let waiting = traces::documents(house.folder(), &gone);
    assert!(waiting.contains("identity/users"), "until the 30 days are over one may come back");

    house.pass_days(3).await;
    assert_eq!(house.dead_letters().await, 0);
    let left = traces::documents(house.folder(), &gone);
    assert!(left.is_empty(), "something of them is left in {left:?}");
    assert_eq!(traces::bytes(house.folder(), &gone), Words::new(), "of a platform that runs");
    let folder = house.stop().await;
    assert_eq!(traces::bytes(&folder, &gone), Words::new());
    assert_eq!(traces::bytes(&folder, &stays), stays, "who stays is there");
    let audit = crate::support::server::run(&folder, &["audit"]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    let _ = std::fs::remove_dir_all(folder);
}

/// Those who run the school, and one more student.
struct Staff {
    admin: Someone,
    teacher: Someone,
    other: Someone,
}

impl Staff {
    async fn arrive(house: &House) -> Self {
        let admin = house.sign_up(ADMIN_EMAIL, "Root").await;
        let teacher = house.sign_up("ines@school.example", "Ines").await;
        let roles = json!({ "roles": ["instructor"] });
        house.patch(&admin, &format!("/v1/users/{}", teacher.id), roles).await;
        let teacher = house.sign_in("ines@school.example").await;
        let other = house.sign_up(OTHER_EMAIL, OTHER_NAME).await;
        house.post(&admin, "/v1/categories", json!({ "id": "birds", "name": "Birds" })).await;
        Self { admin, teacher, other }
    }

    async fn admin_again(&self, house: &House) -> Someone {
        house.sign_in(ADMIN_EMAIL).await
    }
}

/// Somebody who has done all that one can do here.
struct Bird {
    id: String,
    someone: Someone,
    factor_id: String,
    /// The secret of their authenticator app.
    seed: Vec<u8>,
    /// What nobody may find, at any time.
    secrets: Words,
}

impl Bird {
    /// Signs in with the second factor, once its next code is there.
    async fn sign_in(self, house: &House) -> Self {
        house.wait_seconds(60);
        let credentials = json!({ "email": LATER_EMAIL, "password": PASSWORD });
        let (nobody, credentials) = (Someone::default(), credentials.to_string());
        let refused = house.ask(&nobody, "POST", "/v1/sessions", &[], credentials).await;
        assert_eq!(refused.body["reason"], "mfa-required", "{}", refused.text);
        let pending_token = text(&refused.body["errors"][0]["values"]["pending_token"]);
        let code = one_time_code(&self.seed, house.seconds());
        let path = format!("/v1/users/me/factors/{}/verify", self.factor_id);
        let shown = json!({ "code": code, "pending_token": pending_token });
        let shown = house.post(&Someone::default(), &path, shown).await;
        let mut bird = self;
        bird.someone.token = text(&shown["session"]["access_token"]);
        bird.secrets.insert(bird.someone.token.clone());
        bird.secrets.insert(text(&shown["session"]["refresh_token"]));
        bird
    }
}

/// A life on the platform.
async fn live(house: &House, staff: &Staff) -> Bird {
    let me = house.sign_up(EMAIL, NAME).await;
    let wrong = json!({ "email": EMAIL, "password": "not this one at all" }).to_string();
    house.ask(&Someone::default(), "POST", "/v1/sessions", &[], wrong).await;
    // They become an instructor, with a course of their own and one that they were invited to.
    let roles = json!({ "roles": ["instructor"] });
    house.patch(&staff.admin, &format!("/v1/users/{}", me.id), roles).await;
    let me = house.sign_in(EMAIL).await;
    let own = course(house, &me, "Nests").await;
    section(house, &me, &own, json!({})).await;
    let invited = course(house, &staff.teacher, "Songs").await;
    let invitation = json!({ "user_id": me.id });
    house
        .post(&staff.teacher, &format!("/v1/courses/{}/instructors", invited.id), invitation)
        .await;

    choose(house, &me).await;
    learn(house, staff, &me).await;
    let mut secrets = Words::new();
    secure(house, &me, &mut secrets).await
}

/// What they want to hear of.
async fn choose(house: &House, me: &Someone) {
    let wants = json!({
        "kinds": [{ "kind": "waitlisted", "mail": "daily" }, { "kind": "requested", "mail": "off" }],
        "quiet_hours": { "from": "22:00", "until": "07:00" },
        "digest_hour": 7,
    });
    house.patch(me, "/v1/users/me/notification-preferences", wants).await;
    let calendar = house.post(me, "/v1/users/me/calendar/rotate", json!({})).await;
    let url = text(&calendar["url"]);
    let path = url.trim_start_matches("http://aula.example");
    assert!(house.get(&Someone::default(), path).await.text.contains("VCALENDAR"));
}

/// Every way of being in a section.
async fn learn(house: &House, staff: &Staff, me: &Someone) {
    let teacher = &staff.teacher;
    let feathers = course(house, teacher, "Feathers").await;
    // They ask, and an instructor approves with a note; then they're moved, and
    // their seat is given to another.
    let asked = section(house, teacher, &feathers, json!({ "approval_required": true })).await;
    let mine = house.post(me, "/v1/enrollments", feathers.seat(&asked)).await;
    let approved = json!({ "decision": "approve", "note": NOTE });
    house.post(teacher, &of(&mine, "review"), approved).await;
    let soon = json!({ "starts_at": house.in_hours(50), "ends_at": house.in_hours(52) });
    let soon = section(house, teacher, &feathers, soon).await;
    let moved = house.post(teacher, &of(&mine, "transfer"), json!({ "to_section_id": soon })).await;
    let given = section(house, teacher, &feathers, json!({ "capacity": 5 })).await;
    let given = house.post(me, "/v1/enrollments", feathers.seat(&given)).await;
    let to_other = json!({ "to_user_id": staff.other.id });
    house.post(teacher, &of(&given, "transfer"), to_other).await;
    assert_eq!(moved["state"], "confirmed");
    // They wait, are offered a seat, and let another one pass.
    let small = json!({ "capacity": 1, "offer_hours": 24 });
    let small = section(house, teacher, &feathers, small).await;
    let others = house.post(&staff.other, "/v1/enrollments", feathers.seat(&small)).await;
    house.post(me, "/v1/enrollments", feathers.seat(&small)).await;
    house.post(&staff.other, &of(&others, "cancel"), json!({})).await;
    let full = section(house, teacher, &feathers, json!({ "capacity": 1 })).await;
    house.post(&staff.other, "/v1/enrollments", feathers.seat(&full)).await;
    house.post(me, "/v1/enrollments", feathers.seat(&full)).await;
    // Staff name them in a batch.
    let named = section(house, teacher, &feathers, json!({})).await;
    let rows = json!({ "rows": [
        { "section_id": named, "user_id": me.id },
        { "section_id": named, "user_id": staff.other.id },
    ] });
    house.post(&staff.admin, "/v1/enrollments/batch", rows).await;
    // They complete two courses; one certificate is taken back.
    for title in ["Wings", "Eggs"] {
        let course = course(house, teacher, title).await;
        let open = section(house, teacher, &course, json!({})).await;
        let mine = house.post(me, "/v1/enrollments", course.seat(&open)).await;
        let done = json!({ "item_ids": [course.item_id] });
        house.post(me, &of(&mine, "record-progress"), done).await;
        house.settle().await;
        if title == "Eggs" {
            let mine = house.get(me, &format!("/v1/enrollments/{}", text(&mine["id"]))).await.ok();
            let id = text(&mine["certificate_id"]);
            let page = house.get(me, &format!("/v1/certificates/{id}/pdf")).await;
            assert_eq!(page.status, 200, "{}", page.text);
            let why = json!({ "reason": REASON });
            house.post(teacher, &format!("/v1/certificates/{id}/revoke"), why).await;
        }
    }
    house.settle().await;
    let news = house.get(me, "/v1/users/me/notifications").await.ok();
    let read = json!({ "notification_ids": [news["items"][0]["id"]] });
    house.post(me, "/v1/users/me/notifications/mark-read", read).await;
    // Some of their mail comes back.
    let told = json!({ "events": [{
        "id": "post-1", "fate": "soft_bounce", "address": EMAIL, "detail": format!("{EMAIL} is full"),
        "message_id": house.mail(EMAIL, "Feathers").await.message_id,
    }] });
    let (told, at) = (told.to_string(), house.seconds().to_string());
    let providers: runtime::mail::Providers =
        "post:secret of the post".parse().expect("a provider");
    let signature = providers.sign("post", format!("{at}.{told}").as_bytes()).expect("a seal");
    let headers = [("x-aula-timestamp", at), ("x-aula-signature", signature)];
    house
        .ask(&Someone::default(), "POST", "/v1/mail-providers/post/notify", &headers, told)
        .await
        .ok();
}

/// Another name, another address, an account elsewhere and a second factor.
async fn secure(house: &House, me: &Someone, secrets: &mut Words) -> Bird {
    let begun = house.get(&Someone::default(), "/v1/identity-providers/github/authorize").await;
    let state = begun.location.split("state=").nth(1).expect("a state");
    let state = state.split('&').next().expect("a state");
    let cookie = begun.cookie.split(';').next().expect("a cookie").to_owned();
    let back = format!("/v1/identity-providers/github/callback?code=c0de&state={state}");
    let cookie = [("cookie", cookie)];
    let back = house.ask(&Someone::default(), "GET", &back, &cookie, String::new()).await.ok();
    assert_eq!(back["user"]["id"], me.id.as_str());

    house.patch(me, "/v1/users/me", json!({ "name": LATER_NAME })).await;
    let change = json!({ "email": LATER_EMAIL, "purpose": "change_email" });
    house.post(me, "/v1/codes", change).await;
    let code = house.code(LATER_EMAIL).await;
    let change = json!({ "email": LATER_EMAIL, "purpose": "change_email", "code": code });
    house.post(me, "/v1/codes/redeem", change).await;
    let someone = house.sign_in(LATER_EMAIL).await;

    let begun = json!({ "kind": "totp", "name": PHONE });
    let begun = house.post(&someone, "/v1/users/me/factors", begun).await;
    let (factor_id, secret) = (text(&begun["id"]), text(&begun["secret"]));
    let seed = base32(&secret);
    let shown = json!({ "code": one_time_code(&seed, house.seconds()) });
    let path = format!("/v1/users/me/factors/{factor_id}/verify");
    let added = house.post(&someone, &path, shown).await;
    let codes = added["recovery_codes"].as_array().expect("recovery codes").iter().map(text);
    secrets.extend(codes.chain([secret, PASSWORD.to_owned(), someone.token.clone()]));
    house.settle().await;
    Bird { id: someone.id.clone(), someone, factor_id, seed, secrets: std::mem::take(secrets) }
}

/// Staff import somebody by their address, and one who is there already.
async fn bring_in(house: &House, staff: &Staff) -> Someone {
    let row = |email: &str, name: &str| UserRow {
        email: email.to_owned(),
        name: name.to_owned(),
        password: Some(PASSWORD.to_owned()),
        ..UserRow::default()
    };
    let rows = vec![row(IMPORTED_EMAIL, IMPORTED_NAME), row(LATER_EMAIL, NAME)];
    let outcomes = house.call(ImportUsers { rows }).await.outcomes;
    assert!(matches!(outcomes[1], UserImported::Exists { .. }), "{outcomes:?}");
    let imported = house.sign_in(IMPORTED_EMAIL).await;
    let course = course(house, &staff.teacher, "Cages").await;
    let open = section(house, &staff.teacher, &course, json!({})).await;
    let rows = json!({ "rows": [{ "section_id": open, "user_id": imported.id }] });
    house.post(&staff.admin, "/v1/enrollments/batch", rows).await;
    imported
}

/// What is given to a person who asks for all that is kept of them.
fn assert_copy(copy: &Value, bird: &Bird) {
    let kept: [(&str, &[&str]); 4] = [
        ("identity", &["users", "sessions", "devices", "identities"]),
        ("courses", &["courses"]),
        ("enrollments", &["enrollments", "progress", "certificates", "achievements", "batch_rows"]),
        (
            "notifications",
            &[
                "attendances",
                "reminders",
                "deliveries",
                "inbox_items",
                "digests",
                "feeds",
                "preferences",
                "contacts",
            ],
        ),
    ];
    for (domain, collections) in kept {
        for collection in collections {
            let there = copy["domains"][domain]["collections"][collection].as_array();
            assert!(there.is_some_and(|it| !it.is_empty()), "{domain}/{collection}: {copy:#}");
        }
    }
    let copy = copy.to_string();
    let named = [
        NAME,
        LATER_NAME,
        LATER_EMAIL,
        PHONE,
        NOTE,
        REASON,
        house::AGENT.split('/').next().unwrap(),
        &NUMBER_ELSEWHERE.to_string(),
    ];
    assert!(named.iter().all(|it| copy.contains(*it)), "{copy}");
    assert!(!copy.contains(OTHER_NAME) && !copy.contains("argon2"), "{copy}");
    let told: Vec<_> = bird.secrets.iter().filter(|it| copy.contains(*it)).collect();
    assert!(told.is_empty(), "{told:?}");
}

/// A course with one item in its outline.
struct Course {
    id: String,
    item_id: String,
}

impl Course {
    fn seat(&self, section_id: &str) -> Value {
        json!({ "course_id": self.id, "section_id": section_id })
    }
}

async fn course(house: &House, teacher: &Someone, title: &str) -> Course {
    let course = json!({
        "title": title, "summary": "About birds.", "description": "All about them.",
        "language": "en", "category": "birds", "level": "beginner", "tags": ["birds"],
        "outline": [{ "title": "Look", "items": [
            { "title": "Up", "kind": "video", "url": "https://example.org/up" },
        ] }],
    });
    let course = house.post(teacher, "/v1/courses", course).await;
    let id = text(&course["id"]);
    house.post(teacher, &format!("/v1/courses/{id}/publish"), json!({})).await;
    Course { id, item_id: text(&course["outline"][0]["items"][0]["id"]) }
}

/// Opens a section with these fields; gives back its id.
async fn section(house: &House, teacher: &Someone, course: &Course, more: Value) -> String {
    let mut section = json!({ "title": "Mornings", "time_zone": "America/Bogota" });
    let fields = section.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    let path = format!("/v1/courses/{}/sections", course.id);
    text(&house.post(teacher, &path, section).await["id"])
}

/// Where something is done with an enrollment.
fn of(enrollment: &Value, what: &str) -> String {
    format!("/v1/enrollments/{}/{what}", text(&enrollment["id"]))
}

/// What an authenticator app shows (RFC 6238).
fn one_time_code(seed: &[u8], seconds: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed);
    let tag = hmac::sign(&key, &(seconds / 30).to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 15);
    let four = tag[offset..offset + 4].try_into().expect("four bytes");
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

/// The bytes of a text in Base32 (RFC 4648).
fn base32(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        _ => letter - b'2' + 26,
    };
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        (bits, count) = (bits << 5 | u32::from(value(letter)), count + 5);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).expect("a byte"));
        }
    }
    bytes
}
