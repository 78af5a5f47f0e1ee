//! Scenes: what people do once courses are open. They complete one and get a
//! certificate, are offered a seat, move or give theirs away, say when they want
//! mail; those who run the school invite, refuse and bring in many at once.

use anyhow::{Context as _, Result, ensure};
use contracts::Timestamp;
use embedded::Platform;
use serde_json::{Value, json};

use super::{
    catalog::{Catalog, Person},
    fill::Opened,
    people::{People, mail_is_out},
    schedule::on_day,
    visitor::{Visitor, text},
};

/// What there is to see of the scenes.
#[derive(Debug, Default)]
pub struct Scenes {
    /// People to sign in as, each with a reason to.
    pub people: Vec<(Person, String)>,
    /// What is worth a look.
    pub sights: Vec<Sight>,
    /// How many sections were opened for them.
    pub sections: usize,
    /// How often somebody asked for a seat, or was given one.
    pub enrollments: usize,
}

/// Something to look at.
#[derive(Debug)]
pub struct Sight {
    /// What it is.
    pub what: &'static str,
    /// Where it is: the whole address, or a path.
    pub place: String,
    /// Who may look.
    pub seen_by: SeenBy,
    /// What is to be said of it.
    pub note: String,
}

/// How something is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenBy {
    /// In a browser.
    Anyone,
    /// As JSON.
    Programs,
    /// As JSON, by the admin.
    Admin,
    /// As a PDF, by the admin.
    Printer,
}

/// Where the scenes take place: a platform with courses and people.
pub struct Stage<'a> {
    pub catalog: &'a Catalog,
    pub people: &'a People,
    pub sections: &'a [Opened],
    pub platform: &'a Platform,
    pub now: Timestamp,
}

/// In which each learns when they like.
const SELF_PACED: (&str, &str) = ("Git y trabajo en equipo", "A tu ritmo");
const FIRST_STEPS: (&str, &str) = ("Programación en Python: primeros pasos", "Grupo de la tarde");
const NEXT_STEPS: (&str, &str) = ("Análisis de datos con Python y pandas", "Grupo Madrid");
const WITH_APPROVAL: (&str, &str) =
    ("Respuesta a incidentes y análisis forense", "Grupo cerrado con aprobación");
const RUST: (&str, &str) = ("Rust for Backend Developers", "European mornings");
const FOR_ALL: (&str, &str) =
    ("Seguridad digital para equipos de trabajo", "Jornada corta, mañanas");
const MORNINGS: (&str, &str) = ("Fundamentos de computación en la nube", "Grupo de la mañana");
const EVENINGS: (&str, &str) = ("Fundamentos de computación en la nube", "Grupo de la noche");
const MANAGERS: (&str, &str) = ("Project Management Foundations", "Morning group");
const ACCESSIBLE: (&str, &str) = ("Accessible Web Design", "Transatlantic cohort");
const INVITED: &str = "daniel.whitaker";

impl Stage<'_> {
    /// Plays all of them.
    pub async fn play(&self) -> Result<Scenes> {
        let mut scenes = Scenes::default();
        self.complete(&mut scenes).await.context("completing a course")?;
        self.build_on(&mut scenes).await.context("asking for a course")?;
        self.refuse().await.context("refusing a request")?;
        self.offer(&mut scenes).await.context("offering a seat")?;
        self.bring_in_all(&mut scenes).await.context("a batch")?;
        self.transfer().await.context("transferring seats")?;
        self.invite(&mut scenes).await.context("inviting an instructor")?;
        self.choose(&mut scenes).await.context("choosing what to hear of")?;
        mail_is_out(self.platform).await?;
        scenes.read();
        Ok(scenes)
    }

    /// Two complete a course, and a third one is on the way.
    async fn complete(&self, scenes: &mut Scenes) -> Result<()> {
        let section = self.section(SELF_PACED)?;
        let [first, .., last] = &section.confirmed[..] else { anyhow::bail!("nobody learns") };
        let items = self.items(section).await?;
        let certificate = self.learn(first, section, &items).await?;
        self.learn(last, section, &items[..items.len() / 2]).await?;
        let certificate = text(&certificate).context("there's no certificate")?;
        let note = format!("of {}, in “{}”", first.name, section.course);
        let page = format!("/v1/certificates/{certificate}/page");
        scenes.sight("a certificate", page, SeenBy::Anyone, note);
        let paper = format!("/v1/certificates/{certificate}/pdf");
        scenes.sight("the same on paper", paper, SeenBy::Printer, String::new());
        scenes.person(first, format!("has a certificate of “{}”", section.course));
        scenes.person(last, format!("has done half of “{}”", section.course));

        let section = self.section(FIRST_STEPS)?;
        let first = section.confirmed.first().context("nobody learns")?;
        let items = self.items(section).await?;
        self.learn(first, section, &items).await?;
        Ok(())
    }

    /// A course asks for another one from now on; who has completed that comes in.
    async fn build_on(&self, scenes: &mut Scenes) -> Result<()> {
        let (first, next) = (self.section(FIRST_STEPS)?, self.section(NEXT_STEPS)?);
        let instructor = self.people.visitor(&next.instructor)?;
        let path = format!("/v1/courses/{}", next.course_id());
        let etag = text(&instructor.get(&path).await?["etag"])?;
        let asks = json!({ "prerequisites": [first.course_id()] });
        instructor.patch(&path, &etag, &asks).await?;
        mail_is_out(self.platform).await?;
        let note = format!("“{}” asks for “{}”", next.course, first.course);
        scenes.sight("a prerequisite", path, SeenBy::Programs, note);

        let ready = first.confirmed.first().context("nobody learns")?;
        if next.has(ready) {
            return Ok(());
        }
        let enrolled = self.enroll(ready, next.course_id(), next.section_id()).await?;
        ensure!(enrolled["state"] == "confirmed", "{enrolled}");
        scenes.enrollments += 1;
        Ok(())
    }

    /// An instructor refuses somebody, with a word why.
    async fn refuse(&self) -> Result<()> {
        let section = self.section(WITH_APPROVAL)?;
        let stranger = self.stranger_to(section)?;
        let asked = self.enroll(stranger, section.course_id(), section.section_id()).await?;
        let no = json!({
            "decision": "reject",
            "note": "Este grupo pide experiencia en respuesta a incidentes. Te recomendamos \
                     empezar por “Seguridad digital para equipos de trabajo”.",
        });
        let path = format!("/v1/enrollments/{}/review", text(&asked["id"])?);
        self.once(self.people.visitor(&section.instructor)?, &path, &no).await?;
        Ok(())
    }

    /// Somebody leaves a full section, and who waits first has two days to say yes.
    async fn offer(&self, scenes: &mut Scenes) -> Result<()> {
        const SEATS: usize = 2;
        let course = self.section(RUST)?;
        let instructor = self.people.visitor(&course.instructor)?;
        let zone = "America/New_York".parse().map_err(anyhow::Error::msg)?;
        let section = json!({
            "title": "Weekend workshop",
            "time_zone": zone,
            "capacity": SEATS,
            "offer_hours": 48,
            "starts_at": on_day(24, "09:00", &zone, self.now)?,
            "ends_at": on_day(24, "17:00", &zone, self.now)?,
        });
        let path = format!("/v1/courses/{}/sections", course.course_id());
        let section = text(&instructor.post(&path, &section).await?["id"])?;
        scenes.sections += 1;
        let group: Vec<_> = self.catalog.people.students.iter().rev().take(SEATS + 2).collect();
        let mut enrolled = Vec::new();
        for student in &group {
            enrolled.push(self.enroll(student, course.course_id(), &section).await?);
        }
        scenes.enrollments += enrolled.len();
        let leave = format!("/v1/enrollments/{}/cancel", text(&enrolled[0]["id"])?);
        self.once(self.people.visitor(&group[0].address)?, &leave, &json!({})).await?;
        let offered = group[SEATS];
        scenes.person(offered, format!("is offered a seat in “{}”", course.course));
        let note = format!("{} has two days to accept the seat", offered.name);
        scenes.sight("an offer", format!("{path}/{section}"), SeenBy::Programs, note);
        Ok(())
    }

    /// The admin brings everybody into a large section at once; one stands twice
    /// in the list.
    async fn bring_in_all(&self, scenes: &mut Scenes) -> Result<()> {
        let course = self.section(FOR_ALL)?;
        let instructor = self.people.visitor(&course.instructor)?;
        let zone = "America/Bogota".parse().map_err(anyhow::Error::msg)?;
        let section = json!({
            "title": "Charla abierta a toda la organización",
            "time_zone": zone,
            "capacity": 500,
            "starts_at": on_day(16, "10:00", &zone, self.now)?,
            "ends_at": on_day(16, "11:30", &zone, self.now)?,
        });
        let path = format!("/v1/courses/{}/sections", course.course_id());
        let section = text(&instructor.post(&path, &section).await?["id"])?;
        scenes.sections += 1;
        let students = &self.catalog.people.students;
        let mut rows = Vec::new();
        for student in students.iter().chain(students.first()) {
            let user_id = self.people.visitor(&student.address)?.user_id();
            rows.push(json!({ "section_id": section, "user_id": user_id }));
        }
        let admin = self.people.visitor(&self.catalog.people.admin.address)?;
        let batch = self.once(admin, "/v1/enrollments/batch", &json!({ "rows": rows })).await?;
        mail_is_out(self.platform).await?;
        let path = format!("/v1/enrollments/batches/{}", text(&batch["id"])?);
        let done = admin.get(&path).await?;
        ensure!(done["outcomes"]["confirmed"] == students.len(), "{done}");
        scenes.enrollments += students.len();
        let note = format!("{} people in a section of 500 seats", students.len());
        scenes.sight("a batch", format!("{path}/rows"), SeenBy::Admin, note);
        Ok(())
    }

    /// An instructor moves somebody to another section, and gives a seat to another person.
    async fn transfer(&self) -> Result<()> {
        let (mornings, evenings) = (self.section(MORNINGS)?, self.section(EVENINGS)?);
        let moved = evenings.confirmed.iter().find(|it| !mornings.has(it));
        if let Some(student) = moved {
            let to = json!({ "to_section_id": mornings.section_id() });
            self.transfer_of(student, evenings, &to).await?;
        }
        let managers = self.section(MANAGERS)?;
        let giver = managers.confirmed.first().context("nobody learns")?;
        let taker = self.people.visitor(&self.stranger_to(managers)?.address)?;
        let to = json!({ "to_user_id": taker.user_id() });
        self.transfer_of(giver, managers, &to).await
    }

    async fn transfer_of(&self, student: &Person, section: &Opened, to: &Value) -> Result<()> {
        let path = format!("/v1/enrollments/{}/transfer", self.seat_of(student, section).await?);
        self.once(self.people.visitor(&section.instructor)?, &path, to).await?;
        Ok(())
    }

    /// An instructor invites a colleague.
    async fn invite(&self, scenes: &mut Scenes) -> Result<()> {
        let section = self.section(ACCESSIBLE)?;
        let path = format!("/v1/courses/{}", section.course_id());
        let colleague = self.people.visitor(INVITED)?.user_id();
        let invitation = json!({ "user_id": colleague });
        let instructor = self.people.visitor(&section.instructor)?;
        self.once(instructor, &format!("{path}/instructors"), &invitation).await?;
        let note = format!("{INVITED} was invited to teach “{}”", section.course);
        scenes.sight("an invitation", path, SeenBy::Programs, note);
        Ok(())
    }

    /// Somebody wants quiet nights, one mail a day, and their meetings in a calendar.
    async fn choose(&self, scenes: &mut Scenes) -> Result<()> {
        let section = self.section(EVENINGS)?;
        let student = section.confirmed.last().context("nobody learns")?;
        let visitor = self.people.visitor(&student.address)?;
        let path = "/v1/users/me/notification-preferences";
        let etag = text(&visitor.get(path).await?["etag"])?;
        let wants = json!({
            "kinds": [{ "kind": "reminder", "mail": "daily" }, { "kind": "waitlisted", "mail": "off" }],
            "quiet_hours": { "from": "21:00", "until": "07:00" },
            "digest_hour": 7,
        });
        visitor.patch(path, &etag, &wants).await?;
        let calendar = visitor.post("/v1/users/me/calendar/rotate", &json!({})).await?;
        scenes.person(student, "has quiet nights, and reminders once a day".to_owned());
        let note = format!("{}’s meetings, for a calendar program", student.name);
        scenes.sight("a calendar", text(&calendar["url"])?, SeenBy::Programs, note);
        Ok(())
    }

    fn section(&self, (course, title): (&str, &str)) -> Result<&Opened> {
        let found = self.sections.iter().find(|it| it.course == course && it.title == title);
        found.with_context(|| format!("there's no section “{title}” of “{course}”"))
    }

    /// Somebody who never asked for a seat of a section.
    fn stranger_to(&self, section: &Opened) -> Result<&Person> {
        let found = self.catalog.people.students.iter().find(|it| !section.has(it));
        found.context("everybody is there")
    }

    /// The ids of what a course's outline is made of.
    async fn items(&self, section: &Opened) -> Result<Vec<String>> {
        let instructor = self.people.visitor(&section.instructor)?;
        let course = instructor.get(&format!("/v1/courses/{}", section.course_id())).await?;
        let modules = course["outline"].as_array().into_iter().flatten();
        let items = modules.flat_map(|it| it["items"].as_array().into_iter().flatten());
        items.map(|it| text(&it["id"])).collect()
    }

    /// A student's enrollment in a section.
    async fn seat_of(&self, student: &Person, section: &Opened) -> Result<String> {
        let visitor = self.people.visitor(&student.address)?;
        let seats = visitor.get("/v1/enrollments?user_id=me&page_size=100").await?;
        let mut seats = seats["items"].as_array().into_iter().flatten();
        let seat = seats.find(|it| it["section_id"] == section.section_id());
        text(&seat.context("they have no seat")?["id"])
    }

    /// A student has done some items. Gives back their certificate, if they have one now.
    async fn learn(&self, student: &Person, section: &Opened, items: &[String]) -> Result<Value> {
        let seat = format!("/v1/enrollments/{}", self.seat_of(student, section).await?);
        let visitor = self.people.visitor(&student.address)?;
        let done = json!({ "item_ids": items });
        self.once(visitor, &format!("{seat}/record-progress"), &done).await?;
        mail_is_out(self.platform).await?;
        Ok(visitor.get(&seat).await?["certificate_id"].take())
    }

    async fn enroll(&self, student: &Person, course_id: &str, section_id: &str) -> Result<Value> {
        let visitor = self.people.visitor(&student.address)?;
        let seat = json!({ "course_id": course_id, "section_id": section_id });
        visitor.post_once(&format!("demo-{section_id}"), "/v1/enrollments", &seat).await
    }

    /// Does something that may happen only once.
    async fn once(&self, who: &Visitor, path: &str, body: &Value) -> Result<Value> {
        who.post_once(&format!("demo-{path}"), path, body).await
    }
}

impl Scenes {
    fn sight(&mut self, what: &'static str, place: String, seen_by: SeenBy, note: String) {
        self.sights.push(Sight { what, place, seen_by, note });
    }

    fn person(&mut self, person: &Person, note: String) {
        self.people.push((person.clone(), note));
    }

    /// Mail in two languages.
    fn read(&mut self) {
        for (what, language) in [("mail in English", "en"), ("mail in Spanish", "es")] {
            let reader = self.people.iter().find(|(it, _)| it.locale.code() == language);
            if let Some((reader, _)) = reader {
                let place = format!("/local/inbox?to={}", reader.email());
                let note = reader.name.to_string();
                self.sight(what, place, SeenBy::Anyone, note);
            }
        }
    }
}
