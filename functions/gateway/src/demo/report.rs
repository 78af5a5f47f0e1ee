//! What is told at the end: who can sign in, and what there's to see.

use std::{fmt, path::Path};

use super::{
    catalog::{Catalog, Person},
    fill::{Filled, Opened},
    people::{ADMIN_PASSWORD, INSTRUCTOR_PASSWORD, STUDENT_PASSWORD},
    scenes::{SeenBy, Sight},
};

/// A filled platform, for whoever filled it.
pub struct Report<'a> {
    /// What it was filled with.
    pub catalog: &'a Catalog,
    /// What is there now.
    pub filled: &'a Filled,
    /// Where it is going to be reached.
    pub public_url: &'a str,
    /// The folder that it's kept in.
    pub data: &'a Path,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Filled { courses, people, enrollments, sections, scenes } = self.filled;
        let (data, sections) = (self.data.display(), sections.len() + scenes.sections);
        let enrollments = enrollments + scenes.enrollments;
        writeln!(
            f,
            "{data} has {courses} courses with {sections} sections now, {people} people and \
            {enrollments} enrollments.\n"
        )?;
        self.accounts(f)?;
        self.sights(f)
    }
}

impl Report<'_> {
    /// Who can sign in.
    fn accounts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people = &self.catalog.people;
        row(f, "role", "address", "password", "")?;
        row(f, "admin", &people.admin.email(), ADMIN_PASSWORD, "runs the platform")?;
        for instructor in &people.instructors {
            let note = self.note_on_instructor(instructor);
            row(f, "instructor", &instructor.email(), INSTRUCTOR_PASSWORD, &note)?;
        }
        let mut told = Vec::new();
        for (student, note) in self.students_of_note() {
            row(f, "student", &student.email(), STUDENT_PASSWORD, &note)?;
            told.push(&student.address);
        }
        let others: Vec<_> =
            people.students.iter().filter(|it| !told.contains(&&it.address)).collect();
        writeln!(f, "\n  The other students, with the same password, each at aula.example:")?;
        for line in others.chunks(5) {
            let line: Vec<_> = line.iter().map(|it| it.address.as_str()).collect();
            writeln!(f, "  {}", line.join(", "))?;
        }
        Ok(())
    }

    /// What an instructor has to do or to look at.
    fn note_on_instructor(&self, instructor: &Person) -> String {
        let mine = |it: &&Opened| it.instructor == instructor.address;
        let mine: Vec<_> = self.filled.sections.iter().filter(mine).collect();
        let asked = mine.iter().find(|it| !it.pending.is_empty());
        let full = mine.iter().find(|it| !it.waitlisted.is_empty());
        match (asked, full) {
            (Some(section), _) => format!("is asked for a seat in “{}”", section.course),
            (None, Some(section)) => format!("runs “{}”, which is full", section.course),
            (None, None) => format!("runs {} sections", mine.len()),
        }
    }

    /// Students to sign in as, each with a reason to.
    fn students_of_note(&self) -> Vec<(&Person, String)> {
        let Filled { sections, scenes, .. } = self.filled;
        let about = |what: &str, section: &Opened| format!("{what} “{}”", section.course);
        let mut notes = Vec::new();
        for section in sections {
            if let (Some(seated), Some(next)) =
                (section.confirmed.first(), section.waitlisted.first())
            {
                notes.push((seated, about("has a seat in", section)));
                notes.push((next, about("is the next to get a seat in", section)));
            }
            if let Some(asking) = section.pending.first() {
                notes.push((asking, about("asks for a seat in", section)));
            }
        }
        notes.extend(scenes.people.iter().map(|(it, note)| (it, note.clone())));
        let mut students: Vec<(&Person, String)> = Vec::new();
        for (student, note) in notes {
            match students.iter_mut().find(|(it, _)| it.address == student.address) {
                Some((_, first)) => *first = format!("{first}; {note}"),
                None => students.push((student, note)),
            }
        }
        students
    }

    /// The section in which people wait for a seat.
    fn full(&self) -> Option<&Opened> {
        self.filled.sections.iter().find(|it| !it.waitlisted.is_empty())
    }

    /// What there's to see, and how.
    fn sights(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, data) = (self.public_url, self.data.display());
        writeln!(f, "\nStart it with `cargo run -- --data {data}`. Then")?;
        sight(f, "the catalog", &format!("curl '{url}/v1/courses?language=es&category=cloud'"))?;
        sight(f, "its categories", &format!("curl {url}/v1/taxonomy"))?;
        if let Some(full) = self.full() {
            let (seated, waiting) = (full.confirmed.len(), full.waitlisted.len());
            let note = format!("“{}”: {seated} have a seat, {waiting} wait", full.title);
            sight(f, "the full section", &format!("curl {url}{}   # {note}", full.path))?;
        }
        let keyed =
            self.filled.sections.iter().find_map(|it| Some((it.enrollment_key.as_ref()?, it)));
        if let Some((key, section)) = keyed {
            sight(
                f,
                "one with a key",
                &format!("curl {url}{}   # “{}”: {key}", section.path, section.title),
            )?;
        }
        for sight in &self.filled.scenes.sights {
            self.sight(f, sight)?;
        }
        sight(f, "everybody's mail", &format!("{url}/local/inbox"))?;
        let email = self.catalog.people.admin.email();
        let credentials = format!(r#"{{"email":"{email}","password":"{ADMIN_PASSWORD}"}}"#);
        let token = format!(
            "TOKEN=$(curl -s {url}/v1/sessions -H 'content-type: application/json' -d '{credentials}' \
            | grep -o '\"access_token\":\"[^\"]*' | cut -d'\"' -f4)"
        );
        writeln!(f, "\nSign in as the admin (for 15 minutes):\n  {token}\nThen")?;
        for sight in &self.filled.scenes.sights {
            self.sight_of_admin(f, sight)?;
        }
        sight(f, "every function", &as_admin(&format!("{url}/v1/services")))?;
        sight(f, "why mail was sent", &as_admin(&format!("{url}/v1/deliveries")))
    }

    /// What anybody may look at.
    fn sight(&self, f: &mut fmt::Formatter<'_>, it: &Sight) -> fmt::Result {
        let place = self.place(it);
        match it.seen_by {
            SeenBy::Anyone => sight(f, it.what, &noted(place, &it.note)),
            SeenBy::Programs => sight(f, it.what, &noted(format!("curl '{place}'"), &it.note)),
            SeenBy::Admin | SeenBy::Printer => Ok(()),
        }
    }

    /// What is the admin's to look at.
    fn sight_of_admin(&self, f: &mut fmt::Formatter<'_>, it: &Sight) -> fmt::Result {
        let asked = as_admin(&self.place(it));
        match it.seen_by {
            SeenBy::Anyone | SeenBy::Programs => Ok(()),
            SeenBy::Admin => sight(f, it.what, &noted(asked, &it.note)),
            SeenBy::Printer => sight(f, it.what, &format!("{asked} -o certificate.pdf")),
        }
    }

    /// Where something is.
    fn place(&self, sight: &Sight) -> String {
        if sight.place.starts_with('/') {
            format!("{}{}", self.public_url, sight.place)
        } else {
            sight.place.clone()
        }
    }
}

/// A request of the admin.
fn as_admin(url: &str) -> String {
    format!("curl -H \"authorization: Bearer $TOKEN\" {url}")
}

fn noted(how: String, note: &str) -> String {
    if note.is_empty() { how } else { format!("{how}   # {note}") }
}

fn row(
    f: &mut fmt::Formatter<'_>,
    role: &str,
    address: &str,
    password: &str,
    note: &str,
) -> fmt::Result {
    let line = format!("  {role:<11} {address:<32} {password:<20} {note}");
    writeln!(f, "{}", line.trim_end())
}

fn sight(f: &mut fmt::Formatter<'_>, what: &str, how: &str) -> fmt::Result {
    writeln!(f, "  {what:<17} {how}")
}
