//! Filling a platform as its people would: instructors open courses and
//! sections, students ask for seats.

use anyhow::{Context as _, Result, ensure};
use contracts::Timestamp;
use embedded::Platform;
use serde_json::{Value, json};

use super::{
    catalog::{CATEGORIES, Catalog, Course, Person, Section},
    people::{People, mail_is_out},
    scenes::{Scenes, Stage},
    schedule::Meeting,
    visitor::{Visitor, text},
};

/// What there is once a platform is filled.
#[derive(Debug, Default)]
pub struct Filled {
    /// How many courses are published.
    pub courses: usize,
    /// How many people have an account.
    pub people: usize,
    /// How many times somebody asked for a seat.
    pub enrollments: usize,
    /// Every section of the catalog.
    pub sections: Vec<Opened>,
    /// What has happened in them since.
    pub scenes: Scenes,
}

/// A section that was opened, and those who asked for a seat.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The title of its course.
    pub course: String,
    /// Its own title.
    pub title: String,
    /// Its address in the API.
    pub path: String,
    /// What people must know to enroll.
    pub enrollment_key: Option<String>,
    /// Who opened it: the name of their address.
    pub instructor: String,
    /// Who has a seat, in the order of asking.
    pub confirmed: Vec<Person>,
    /// Who waits for one, in the order of asking.
    pub waitlisted: Vec<Person>,
    /// Who waits for the instructor's word.
    pub pending: Vec<Person>,
}

impl Opened {
    /// The id of its course.
    pub fn course_id(&self) -> &str {
        self.path.split('/').nth(3).unwrap_or_default()
    }

    /// Its own id.
    pub fn section_id(&self) -> &str {
        self.path.split('/').nth(5).unwrap_or_default()
    }

    /// Whether somebody has asked for a seat.
    pub fn has(&self, person: &Person) -> bool {
        let mut all = self.confirmed.iter().chain(&self.waitlisted).chain(&self.pending);
        all.any(|it| it.address == person.address)
    }
}

/// Fills an empty platform.
pub async fn fill(catalog: &Catalog, platform: &Platform) -> Result<Filled> {
    let front = platform.front(None);
    let now = front.ports.clock.now();
    let anyone = Visitor::new(runtime::router(platform.host(), &front));
    expect_empty(&anyone, platform).await?;

    let people = People::arrive(catalog, &anyone, platform).await.context("registering people")?;
    make_categories(people.visitor(&catalog.people.admin.address)?).await?;
    let mut filled = Filled { people: people.count(), ..Filled::default() };
    // They take turns, so that everyone learns something and no group is like another.
    let mut students = catalog.people.students.iter().cycle();
    for course in &catalog.courses {
        let opening = || format!("opening “{}”", course.title);
        let desk = Desk::open(course, &people).await.with_context(opening)?;
        filled.courses += 1;
        for section in &course.sections {
            let group: Vec<_> = students.by_ref().take(section.students).collect();
            filled.enrollments += group.len();
            let opened = desk.open_section(section, &group, now).await.with_context(opening)?;
            filled.sections.push(opened);
        }
    }
    mail_is_out(platform).await?;
    let stage = Stage { catalog, people: &people, sections: &filled.sections, platform, now };
    filled.scenes = stage.play().await?;
    Ok(filled)
}

/// The admin makes the categories that courses are filed under.
async fn make_categories(admin: &Visitor) -> Result<()> {
    for (id, name, parent) in CATEGORIES {
        let mut category = json!({ "id": id, "name": name });
        if let Some(parent) = parent {
            category["parent_id"] = json!(parent);
        }
        admin.post("/v1/categories", &category).await?;
    }
    Ok(())
}

/// Nobody's work gets mixed up with the demonstration. Whatever anybody does on
/// the platform begins with a mail to them.
async fn expect_empty(anyone: &Visitor, platform: &Platform) -> Result<()> {
    let letters = platform.inbox().newest(None, 1, None).await;
    let letters = letters.map_err(|error| anyhow::anyhow!("{error}"))?;
    let courses = anyone.get("/v1/courses?page_size=1").await?;
    let no_courses = courses["items"].as_array().is_some_and(Vec::is_empty);
    ensure!(
        letters.items.is_empty() && no_courses,
        "there is something on this platform already, and the demonstration is for an empty one; \
        name another folder with --data"
    );
    Ok(())
}

/// A published course, and the instructor who runs it.
struct Desk<'a> {
    course: &'a Course,
    course_id: String,
    instructor: &'a Visitor,
    people: &'a People,
}

impl<'a> Desk<'a> {
    /// The first of a course's instructors writes and publishes it.
    async fn open(course: &'a Course, people: &'a People) -> Result<Self> {
        let instructor = people.visitor(course.leader()?)?;
        let ids = course.instructors.iter().map(|it| Ok(people.visitor(it)?.user_id()));
        let content = course_content(course, &ids.collect::<Result<Vec<_>>>()?);
        let draft = instructor.post("/v1/courses", &content).await?;
        let course_id = text(&draft["id"])?;
        instructor.post(&format!("/v1/courses/{course_id}/publish"), &json!({})).await?;
        Ok(Self { course, course_id, instructor, people })
    }

    /// The instructor opens a section, and a group of students asks for seats.
    async fn open_section(
        &self,
        section: &Section,
        group: &[&Person],
        now: Timestamp,
    ) -> Result<Opened> {
        let path = format!("/v1/courses/{}/sections", self.course_id);
        let content = section_content(section, now)?;
        let section_id = text(&self.instructor.post(&path, &content).await?["id"])?;
        let mut opened = Opened {
            course: self.course.title.to_string(),
            title: section.title.to_string(),
            path: format!("{path}/{section_id}"),
            enrollment_key: section.enrollment_key.as_ref().map(ToString::to_string),
            instructor: self.course.leader()?.to_owned(),
            confirmed: Vec::new(),
            waitlisted: Vec::new(),
            pending: Vec::new(),
        };
        for (place, person) in group.iter().enumerate() {
            let mut enrollment = self.enroll(section, &section_id, person, now).await?;
            let is_last = place + 1 == group.len();
            if enrollment["state"] == "pending_approval" && !is_last {
                enrollment = self.approve(&text(&enrollment["id"])?).await?;
            }
            let list = match enrollment["state"].as_str() {
                Some("confirmed") => &mut opened.confirmed,
                Some("waitlisted") => &mut opened.waitlisted,
                _ => &mut opened.pending,
            };
            list.push(Person::clone(person));
        }
        Ok(opened)
    }

    /// A student asks for a seat; outside of the section's window only the
    /// instructor can still give one.
    async fn enroll(
        &self,
        section: &Section,
        section_id: &str,
        person: &Person,
        now: Timestamp,
    ) -> Result<Value> {
        let student = self.people.visitor(&person.address)?;
        let key = format!("demo-{section_id}-{}", person.address);
        let mut seat = json!({ "course_id": self.course_id, "section_id": section_id });
        if section.is_open(now)? {
            if let Some(enrollment_key) = &section.enrollment_key {
                seat["enrollment_key"] = json!(enrollment_key);
            }
            student.post_once(&key, "/v1/enrollments", &seat).await
        } else {
            seat["user_id"] = student.user_id().into();
            self.instructor.post_once(&key, "/v1/enrollments", &seat).await
        }
    }

    /// The instructor grants what somebody asked for.
    async fn approve(&self, enrollment_id: &str) -> Result<Value> {
        let path = format!("/v1/enrollments/{enrollment_id}/review");
        let key = format!("demo-{enrollment_id}");
        let yes = json!({
            "decision": "approve",
            "note": "Te esperamos. Trae tu portátil con espacio para una máquina virtual.",
        });
        self.instructor.post_once(&key, &path, &yes).await
    }
}

/// A course as the API takes it.
fn course_content(course: &Course, instructors: &[&str]) -> Value {
    let paragraphs: Vec<_> = course.description.iter().map(|it| &**it).collect();
    json!({
        "title": course.title,
        "summary": course.summary,
        "description": paragraphs.join("\n\n"),
        "language": course.language,
        "category": course.category,
        "level": course.level,
        "tags": course.tags,
        "instructors": instructors,
        "outline": course.outline,
    })
}

/// A section as the API takes it.
fn section_content(section: &Section, now: Timestamp) -> Result<Value> {
    let meetings = section.meetings(now)?;
    let mut content = json!({
        "title": section.title,
        "time_zone": section.time_zone,
        "approval_required": section.approval_required,
    });
    let mut say = |field: &str, value: Value| {
        if !value.is_null() {
            content[field] = value;
        }
    };
    say("capacity", json!(section.capacity));
    say("waitlist_capacity", json!(section.waitlist_capacity));
    say("enrollment_key", json!(section.enrollment_key));
    say("enrollment_opens_at", json!(section.opens_at(now)?));
    say("enrollment_closes_at", json!(section.closes_at(now)?));
    say("reminder_minutes_before", json!(section.reminder_minutes_before));
    say("starts_at", json!(meetings.first().map(|it| it.starts_at)));
    say("ends_at", json!(meetings.last().map(|it| it.ends_at)));
    let mut places = json!({});
    if let Some(location) = &section.location {
        places["location"] = json!(location);
    }
    if let Some(url) = &section.url {
        places["url"] = json!(url);
    }
    let meeting = |it: &Meeting| {
        let mut meeting = places.clone();
        meeting["starts_at"] = json!(it.starts_at);
        meeting["ends_at"] = json!(it.ends_at);
        meeting
    };
    say("meetings", meetings.iter().map(meeting).collect());
    Ok(content)
}
