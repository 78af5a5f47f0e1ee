//! This platform as the benchmark sees it: filled and used through its API alone.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    Mint, Options, PUBLIC_URL,
    http::{Request, call, succeed, succeed_at_last},
    load::Load,
    platform::{
        ACCOUNTS, Audit, CATEGORIES, Commits, Counters, PAGE, Platform, Section, SectionPlan,
        Verdict,
    },
    process::{Server, free_address},
    scenarios::{crowd, settle},
};

const LEVELS: [&str; 3] = ["beginner", "intermediate", "advanced"];
const DESCRIPTION: &str =
    "Lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor ";
const PASSWORD: &str = "correct horse battery staple";
const MAIL_DEADLINE: Duration = Duration::from_secs(30);

/// This platform, filled and ready to be launched.
#[derive(Debug)]
pub struct Aula {
    binary: PathBuf,
    data: PathBuf,
    complaints: PathBuf,
    /// The same at each launch: the tokens may name it.
    address: SocketAddr,
    instructor: String,
    people: Vec<String>,
    courses: Vec<String>,
    emails: Vec<String>,
}

impl Aula {
    /// Starts the server on an empty folder, fills it and stops it again.
    pub fn prepare(binary: &Path, folder: &Path, options: &Options, mint: &Mint) -> Result<Self> {
        let mut aula = Self::to_be(binary, folder, "aula")?;
        let server = aula.launch()?;
        let admin = aula.enlist(options, mint)?;
        aula.add_categories(&admin).context("adding the categories")?;
        if !options.rush {
            aula.fill(options).context("filling the platform")?;
        }
        settle(&aula, aula.address)?;
        server.stop()?;
        Ok(aula)
    }

    /// A platform that has a folder of this name for its data and an address, and no more.
    pub fn to_be(binary: &Path, folder: &Path, name: &str) -> Result<Self> {
        let data = folder.join(name);
        fs::create_dir_all(&data).context("creating the data folder")?;
        Ok(Self {
            binary: binary.to_owned(),
            data,
            complaints: folder.join(format!("{name}.stderr")),
            address: free_address()?,
            instructor: String::new(),
            people: Vec::new(),
            courses: Vec::new(),
            emails: Vec::new(),
        })
    }

    /// Makes everyone's access token; the admin's is given back.
    pub fn enlist(&mut self, options: &Options, mint: &Mint) -> Result<String> {
        self.instructor = mint(&self.data, "bench-instructor", &["instructor"])?;
        self.people = (0..crowd(options))
            .map(|number| mint(&self.data, &format!("bench-{number:06}"), &["student"]))
            .collect::<Result<_>>()?;
        mint(&self.data, "bench-admin", &["admin"])
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file for what its server complains of.
    pub fn complaints(&self) -> &Path {
        &self.complaints
    }

    /// The file of the key that access tokens are signed with.
    pub fn signing_key(&self) -> PathBuf {
        self.data.join("keys/token.pem")
    }

    /// Adds the categories that courses are in.
    pub fn add_categories(&self, admin: &str) -> Result<()> {
        for category in CATEGORIES {
            let request = Request::post("/v1/categories").bearer(admin);
            let request = request.key(&format!("bench-category-{category}"));
            succeed_at_last(self.address, request.json(&json!({ "name": category })))?;
        }
        Ok(())
    }

    fn fill(&mut self, options: &Options) -> Result<()> {
        let drafts: Vec<_> =
            (0..options.courses).map(|number| self.draft(number).bytes()).collect();
        self.courses = ids(&self.send_all(&drafts, options.connections)?)?;
        let publications: Vec<_> =
            self.courses.iter().map(|id| self.publication(id).bytes()).collect();
        self.send_all(&publications, options.connections)?;
        self.check_list(options)?;
        self.emails = (0..ACCOUNTS).map(|number| format!("bench-{number}@example.org")).collect();
        self.emails.iter().try_for_each(|email| self.register(email))
    }

    /// Sends each request until it's taken; the bodies of the answers, all of which must be
    /// successes. Courses of one category are counted in one document: where so many come at
    /// once, the platform asks some to try again.
    fn send_all(&self, requests: &[Vec<u8>], connections: usize) -> Result<Vec<Value>> {
        let mut taken = vec![Value::Null; requests.len()];
        let mut left: Vec<_> = (0..requests.len()).collect();
        while !left.is_empty() {
            let sent: Vec<_> = left.iter().map(|&at| requests[at].clone()).collect();
            let answers = Load::once(&sent, connections).keeping_bodies().send(self.address)?;
            let mut again = Vec::new();
            for (at, status, body) in answers.bodies {
                match status {
                    200..300 => taken[left[at]] = serde_json::from_slice(&body).unwrap_or_default(),
                    409 if reason(&body) == "try-again" => again.push(left[at]),
                    _ => bail!("the server answered {status}: {}", String::from_utf8_lossy(&body)),
                }
            }
            left = again;
        }
        Ok(taken)
    }

    fn draft(&self, number: usize) -> Request {
        let course = json!({
            "title": format!("Course {number}"),
            "summary": "What the course is about, in a sentence or two.",
            "description": DESCRIPTION.repeat(3),
            "language": "en",
            "category": category(number),
            "level": level(number),
            "tags": [format!("tag{}", number % 50), format!("tag{}", number % 49)],
            "outline": [{
                "title": "Introduction",
                "items": [{
                    "title": "Welcome", "kind": "link", "url": "https://example.org/welcome",
                }],
            }],
        });
        Request::post("/v1/courses").bearer(&self.instructor).json(&course)
    }

    fn publication(&self, course: &str) -> Request {
        Request::post(&format!("/v1/courses/{course}/publish")).bearer(&self.instructor)
    }

    /// The list that is going to be measured must be the whole page.
    fn check_list(&self, options: &Options) -> Result<()> {
        let page = succeed(self.address, Request::get(&list_path(CATEGORIES[0], LEVELS[0])))?;
        let listed = page["items"].as_array().context("a list has items")?.len();
        let there = (0..options.courses)
            .filter(|&number| (category(number), level(number)) == (CATEGORIES[0], LEVELS[0]))
            .count();
        ensure!(listed == there.min(PAGE), "the list has {listed} of {there} courses");
        Ok(())
    }

    /// Makes an account and shows that its address is real.
    fn register(&self, email: &str) -> Result<()> {
        let person = json!({"email": email, "password": PASSWORD, "name": "Bench"});
        succeed(self.address, Request::post("/v1/users").json(&person))?;
        let code = self.mailed_code(email)?;
        let redemption = json!({"email": email, "purpose": "verify_email", "code": code});
        succeed(self.address, Request::post("/v1/codes/redeem").json(&redemption))?;
        Ok(())
    }

    /// Waits for the code that is mailed to an address.
    fn mailed_code(&self, email: &str) -> Result<String> {
        let begin = Instant::now();
        while begin.elapsed() < MAIL_DEADLINE {
            let (_, inbox) = call(self.address, Request::get("/local/inbox?format=json"))?;
            let mails = inbox.as_array().map(Vec::as_slice).unwrap_or_default();
            let mail = mails.iter().find(|mail| mail["to"].to_string().contains(email));
            if let Some(code) = mail.and_then(|mail| find_code(mail["text"].as_str()?)) {
                return Ok(code.to_owned());
            }
            thread::sleep(Duration::from_millis(2));
        }
        bail!("no code was mailed to {email}")
    }
}

/// Why a request was refused.
fn reason(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    problem["reason"].as_str().unwrap_or_default().to_owned()
}

impl Platform for Aula {
    fn name(&self) -> &'static str {
        "aula"
    }

    fn launch(&self) -> Result<Server> {
        let mut command = Command::new(&self.binary);
        command.arg("--listen").arg(self.address.to_string());
        command.arg("--data").arg(&self.data).arg("--no-rate-limits");
        command.arg("--public-url").arg(PUBLIC_URL);
        Server::start(&mut command, self.address, "/health/live", &self.complaints)
    }

    fn reads(&self) -> Vec<Vec<u8>> {
        let read = |id| Request::get(&format!("/v1/courses/{id}")).bytes();
        self.courses.iter().map(read).collect()
    }

    fn lists(&self) -> Vec<Vec<u8>> {
        let list = |category, level| Request::get(&list_path(category, level)).bytes();
        CATEGORIES.iter().flat_map(|category| LEVELS.map(|level| list(category, level))).collect()
    }

    fn sign_ins(&self) -> Vec<Vec<u8>> {
        let sign_in = |email| json!({"email": email, "password": PASSWORD});
        self.emails
            .iter()
            .map(|email| Request::post("/v1/sessions").json(&sign_in(email)).bytes())
            .collect()
    }

    fn open_section(&self, address: SocketAddr, plan: SectionPlan) -> Result<Section> {
        let SectionPlan { in_days, .. } = plan;
        let made = |what: &str, request: Request| {
            succeed_at_last(address, request.key(&format!("bench-{what}-{in_days}")))
        };
        let course = ids(&[made("course", self.draft(0))?])?.remove(0);
        made("publish", self.publication(&course))?;
        let [starts_at, ends_at] = [0, 2].map(|hours| from_now(plan.in_days * 24 + hours));
        let section = json!({
            "title": "Bench",
            "capacity": plan.seats,
            "time_zone": "America/Bogota",
            "starts_at": starts_at,
            "ends_at": ends_at,
            "enrollment_opens_at": "2020-01-01T00:00:00Z",
            "enrollment_closes_at": from_now(24),
            "meetings": [{"starts_at": starts_at, "ends_at": ends_at, "location": "Room 1"}],
            "waitlist_capacity": if plan.waitlist { Value::Null } else { json!(0) },
        });
        let path = format!("/v1/courses/{course}/sections");
        let request = Request::post(&path).bearer(&self.instructor).json(&section);
        let section = ids(&[made("section", request)?])?.remove(0);
        Ok(Section { course, section })
    }

    fn enrollments(&self, section: &Section, people: Range<usize>) -> Vec<Vec<u8>> {
        let body = json!({"course_id": section.course, "section_id": section.section});
        people
            .map(|number| {
                Request::post("/v1/enrollments")
                    .bearer(&self.people[number])
                    .key(&format!("bench-{}-{number}", section.section))
                    .json(&body)
                    .bytes()
            })
            .collect()
    }

    fn verdict(&self, status: u16, body: &[u8]) -> Verdict {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match (status, body["state"].as_str()) {
            (201, Some("confirmed")) => Verdict::Confirmed,
            (201, Some("waitlisted")) => Verdict::Waitlisted,
            (409, _) => Verdict::Refused,
            _ => Verdict::Other,
        }
    }

    fn confirmed(&self, address: SocketAddr, section: &Section) -> Result<usize> {
        let first =
            format!("/v1/enrollments?section_id={}&state=confirmed&page_size=100", section.section);
        let mut path = first.clone();
        let mut count = 0;
        loop {
            let page = succeed(address, Request::get(&path).bearer(&self.instructor))?;
            count += page["items"].as_array().context("a page has items")?.len();
            match page["next_page_token"].as_str() {
                Some(token) if !token.is_empty() => {
                    path = format!("{first}&page_token={}", escape(token));
                }
                _ => return Ok(count),
            }
        }
    }

    fn counters(&self, address: SocketAddr) -> Result<Counters> {
        let stats = succeed_at_last(address, Request::get("/local/stats"))?;
        let store = |name: &str| stats["store"][name].as_u64();
        Ok(Counters {
            commits: store("commits"),
            conflicts: store("conflicts"),
            enrolling: commits(&stats["services"]["enrollments-enroll"]),
            transactions: store("transactions"),
            syncs: store("fsyncs"),
            outbox: stats["outbox"].as_u64(),
            password_hash: stats["password_hash_us"].as_u64(),
        })
    }

    fn audit(&self) -> Result<Option<Audit>> {
        let mut command = Command::new(&self.binary);
        command.arg("audit").arg("--data").arg(&self.data);
        Audit::by(self.name(), &mut command).map(Some)
    }
}

/// The commits of a function, if they are told.
fn commits(told: &Value) -> Option<Commits> {
    let count = |name: &str| told[name].as_u64();
    Some(Commits {
        made: count("commits")?,
        conflicts: count("conflicts")?,
        writes: count("writes")?,
    })
}

fn category(number: usize) -> &'static str {
    CATEGORIES[number % CATEGORIES.len()]
}

fn level(number: usize) -> &'static str {
    LEVELS[number / CATEGORIES.len() % LEVELS.len()]
}

fn list_path(category: &str, level: &str) -> String {
    format!("/v1/courses?category={category}&level={level}&page_size={PAGE}")
}

/// The ids of what was created.
fn ids(created: &[Value]) -> Result<Vec<String>> {
    let id = |thing: &Value| thing["id"].as_str().map(str::to_owned);
    created.iter().map(|thing| id(thing).context("what is created has an id")).collect()
}

/// The first run of eight digits.
fn find_code(text: &str) -> Option<&str> {
    text.split(|character: char| !character.is_ascii_digit()).find(|run| run.len() == 8)
}

/// Makes a value safe to stand in a query.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

/// The time in so many hours, in RFC 3339.
#[expect(
    clippy::disallowed_methods,
    reason = "the server that is measured has the machine's clock"
)]
fn from_now(hours: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    rfc3339(now.as_secs() + hours * 3600)
}

/// Seconds since 1970 in RFC 3339, by counting in years that begin in March, so that a leap day
/// is a year's last.
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let march_based = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_based + 2) / 5 + 1;
    let month = if march_based < 10 { march_based + 3 } else { march_based - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_the_calendar_has_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_code_is_the_first_eight_digits_in_a_row() {
        assert_eq!(find_code("In 15 minutes, on 2026-01-01: 12345678."), Some("12345678"));
        assert_eq!(find_code("123456789"), None);
    }

    #[test]
    fn the_commits_of_a_function_are_known_where_they_are_told() {
        let told = json!({ "commits": 45, "conflicts": 2, "writes": 3510, "failures": 0 });
        assert_eq!(commits(&told), Some(Commits { made: 45, conflicts: 2, writes: 3510 }));
        assert_eq!(commits(&Value::Null), None);
    }

    #[test]
    fn a_page_token_is_escaped() {
        assert_eq!(escape("a+/=_-9"), "a%2B%2F%3D_-9");
    }

    #[test]
    fn each_category_has_courses_of_each_level() {
        let kinds: std::collections::BTreeSet<_> =
            (0..30).map(|number| (category(number), level(number))).collect();
        assert_eq!(kinds.len(), 30);
    }
}
