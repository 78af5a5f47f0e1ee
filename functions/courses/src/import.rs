//! `POST /internal/courses/import`
//!
//! A row of a file becomes a course, and a section of it if it has dates. What
//! was made of a row is kept by the row's code: the same row again changes
//! nothing, another one with the same code changes the same course.

use contracts::courses::CourseImported;
use contracts::courses::{
    CategoryCreated, CourseCreated, CourseDeleted, CourseId, CoursePublished, CourseState,
    CourseUpdated, ImportCourse, ImportOutcome, SectionCreated, SectionId, SectionRescheduled,
    SectionUpdated,
};
use runtime::{derived_id, prelude::*};

use crate::{
    calendar::CalendarChanges,
    card,
    category::{Category, Tree},
    change::Change,
    course::{Course, CourseChanges, Level},
    filing,
    forms::{LanguageTag, Slug},
    instructors,
    section::{Section, SectionChanges},
    telling, turn,
    words::folded,
};

/// What was made of a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Imported {
    id: String,
    course_id: CourseId,
    section_id: Option<SectionId>,
}

impl Document for Imported {
    const COLLECTION: &'static str = "imported";
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// The most levels that the way to a category has: more are refused anyway.
const LEVELS: usize = 6;

pub async fn run(cx: Context<System>, row: ImportCourse) -> Result<CourseImported> {
    match import(&cx, row).await {
        Err(Error::Refused(refusal)) => Ok(CourseImported {
            course_id: None,
            outcome: ImportOutcome::Refused,
            note: Some(refusal.told()),
        }),
        other => other,
    }
}

async fn import(cx: &Context<System>, row: ImportCourse) -> Result<CourseImported> {
    let mut faults = Faults::new();
    let code = read(Line::<1, 100>::new(&row.code), "shortname", &mut faults);
    let id = derived_id(&["course", &folded(row.code.trim())]);
    let imported = cx.get::<Imported>(&id).await?;
    let known = match &imported {
        Some(it) => cx.get::<Course>(it.course_id.as_str()).await?,
        None => None,
    };
    if row.deleted {
        return delete(cx, known).await;
    }
    let category = category(cx, &row, &mut faults).await?;
    let said = said(cx, &row, category, known.as_deref(), &mut faults).await?;

    let is_new = known.is_none();
    let mut course = known.unwrap_or_else(|| {
        let mut blank = Course::blank(cx.random().id().into(), "".into(), cx.now);
        blank.instructors.clear();
        blank.code = code.map(String::from);
        Stored::new(blank)
    });
    let before = (!is_new).then(|| (*course).clone());
    let mut next = course.with(said, faults, || cx.random().id())?;
    let mut note = None;
    if row.visible && next.state != CourseState::Published {
        match next.expect_complete() {
            Ok(()) => next.publish(cx.now)?,
            Err(refusal) => note = Some(format!("it stays a draft: {}", refusal.told())),
        }
    }
    let is_other = is_new || before.as_ref() != Some(&next);
    let mut imported = imported.unwrap_or_else(|| {
        Stored::new(Imported { id, course_id: course.id.clone(), section_id: None })
    });
    if is_other {
        let was_published = before.as_ref().is_some_and(|it| it.state == CourseState::Published);
        let is_published = next.state == CourseState::Published;
        // Publishing has counted it as changed already.
        if !is_new && next.revision == course.revision {
            next.touch(cx.now);
        }
        *course = next;
        let mut faults = Faults::new();
        let filed = filing::changes(cx, before.as_ref(), &course, &mut faults).await?;
        faults.check()?;
        let card = card::of_changed(cx, &course).await?;
        let mut changes = filed.save(&course).save(&card);
        if imported.is_new() {
            changes = changes.save(&imported);
        }
        if is_new {
            changes = changes.emit(&CourseCreated { course: course.facts() });
        }
        if is_published && !was_published {
            changes = changes.emit(&CoursePublished { course: course.facts() });
        } else if !is_new {
            changes = changes.emit(&CourseUpdated { course: course.facts() });
        }
        cx.commit(changes).await?;
        telling::of_course(cx, &course).await;
        // What was saved is read again, with its version.
        let saved =
            (cx.get::<Course>(course.id.as_str()).await?, cx.get::<Imported>(&imported.id).await?);
        let (Some(course_now), Some(imported_now)) = saved else {
            return Err(Error::Unavailable(1));
        };
        (course, imported) = (course_now, imported_now);
    }
    let section_changed = section(cx, &row, &course, &mut imported).await?;
    let outcome = match (is_new, is_other || section_changed) {
        (true, _) => ImportOutcome::Created,
        (false, true) => ImportOutcome::Updated,
        (false, false) => ImportOutcome::Unchanged,
    };
    Ok(CourseImported { course_id: Some(course.id.clone()), outcome, note })
}

/// What a text of a row is, if it's one; what is wrong with it is noted.
fn read<T>(read: Result<T, String>, field: &str, faults: &mut Faults) -> Option<T> {
    let wrong = match read {
        Ok(it) => return Some(it),
        Err(wrong) => wrong,
    };
    let (reason, detail) = wrong.split_once(": ").unwrap_or(("invalid", &wrong));
    faults.unless(false, field, reason, detail, detail);
    None
}

/// What a row says of its course.
async fn said(
    cx: &Context<System>,
    row: &ImportCourse,
    category: Option<Slug>,
    known: Option<&Course>,
    faults: &mut Faults,
) -> Result<CourseChanges> {
    let level = |text: &str| {
        let level = [Level::Beginner, Level::Intermediate, Level::Advanced];
        let level = level.into_iter().find(|it| it.as_str() == text.trim().to_lowercase());
        level.ok_or_else(|| "unknown-value: beginner, intermediate or advanced".to_owned())
    };
    let title = read(Line::new(&row.title), "fullname", faults).into();
    let mut changes = CourseChanges { title, ..CourseChanges::default() };
    if let Some(text) = &row.summary {
        changes.summary = read(Text::new(text), "summary", faults).into();
    }
    if let Some(text) = &row.description {
        changes.description = read(Text::new(text), "description", faults).into();
    }
    if let Some(text) = &row.language {
        let tag = text.trim().replace('_', "-");
        changes.language = read(LanguageTag::new(&tag), "language", faults).map(Some).into();
    }
    if let Some(text) = &row.level {
        changes.level = read(level(text), "level", faults).map(Some).into();
    }
    if let Some(tags) = &row.tags {
        let tags = tags.iter().filter_map(|it| read(Slug::new(it.trim()), "tags", faults));
        changes.tags = Change::To(tags.collect());
    }
    if let Some(ids) = &row.instructors {
        let fits = |it: &&String| serde_json::from_value::<UserId>(it.as_str().into()).is_ok();
        faults.unless(
            ids.iter().all(|it| fits(&it)),
            "instructors",
            "invalid-id",
            "Instructors are named by their ids.",
            "Los instructores se nombran por sus ids.",
        );
        let ids: Vec<UserId> = ids.iter().filter(fits).map(|it| it.as_str().into()).collect();
        let teaching = known.map_or(&[][..], |it| &it.instructors);
        instructors::find_missing(cx, teaching, &ids, faults).await?;
        changes.instructors = Change::To(ids);
    }
    changes.category = category.map(Some).into();
    Ok(changes)
}

/// The category that a row names; what is missing on the way to it is made.
async fn category(
    cx: &Context<System>,
    row: &ImportCourse,
    faults: &mut Faults,
) -> Result<Option<Slug>> {
    if let Some(text) = &row.category {
        let slug = read(Slug::new(text.trim()), "category", faults);
        filing::find_missing(cx, None, slug.as_ref(), faults).await?;
        return Ok(slug);
    }
    let mut parent: Option<Slug> = None;
    for name in row.category_path.iter().take(LEVELS) {
        let Some(name) = read(Line::<1, 50>::new(name), "category_path", faults) else {
            return Ok(None);
        };
        let turn = turn::take(cx, "categories").await?;
        let tree = Tree::read(cx).await?;
        if let Some(id) = tree.named(&name, parent.as_ref()) {
            parent = Some(id);
            continue;
        }
        let own = Slug::new(&name).ok().filter(|id| !tree.has(id));
        let with_parent = || Slug::new(&format!("{}-{name}", parent.as_deref()?)).ok();
        let id = own.or_else(|| with_parent().filter(|id| !tree.has(id)));
        faults.unless(
            id.is_some() && !tree.is_full(),
            "category_path",
            "invalid-slug",
            "No id can be made of this name: create the category first.",
            "De este nombre no sale un id: crea primero la categoría.",
        );
        if let Some(above) = &parent {
            tree.check_place(None, above, faults);
        }
        let Some(id) = id.filter(|_| faults.is_empty()) else { return Ok(None) };
        let category = Category::new(id.clone(), name.into(), parent, cx.now);
        let created = CategoryCreated { category: category.facts() };
        let entry = category.into_entry();
        cx.commit(Changes::new().save(&turn).create(&entry).emit(&created)).await?;
        parent = Some(id);
    }
    Ok(parent)
}

/// Makes the section that a row has dates of, or changes it; tells whether it did.
async fn section(
    cx: &Context<System>,
    row: &ImportCourse,
    course: &Stored<Course>,
    imported: &mut Stored<Imported>,
) -> Result<bool> {
    if row.starts_at.is_none() {
        return Ok(false);
    }
    let known = match &imported.section_id {
        Some(id) => cx.get::<Section>(id.as_str()).await?,
        None => None,
    };
    let changes = SectionChanges {
        title: Line::new(row.code.trim()).ok().into(),
        capacity: row.capacity.map(Some).into(),
        calendar: CalendarChanges {
            time_zone: row.time_zone.clone().into(),
            starts_at: Change::To(row.starts_at),
            ends_at: Change::To(row.ends_at),
            ..CalendarChanges::default()
        },
        ..SectionChanges::default()
    };
    let new_id = || cx.random().id();
    let (section, changes) = match known {
        None => {
            let blank = Section::blank(cx.random().id().into(), course.id.clone(), cx.now);
            let section = blank.with(changes, cx.secret(), new_id)?;
            imported.section_id = Some(section.id.clone());
            let created = SectionCreated { section: section.facts(course) };
            let changes = Changes::new().create(&section).save(course).save(imported);
            (section, changes.emit(&created))
        }
        Some(mut section) => {
            let next = section.with(changes, cx.secret(), new_id)?;
            // How many have a seat, enrollments alone knows: fewer seats are for the API.
            if next == *section || section.lowered_capacity(&next).is_some() {
                return Ok(false);
            }
            let rescheduled = section.take_on(next, cx.now);
            let facts = section.facts(course);
            let mut changes = Changes::new().save(&section).save(course);
            if rescheduled {
                changes = changes.emit(&SectionRescheduled { section: facts.clone() });
            }
            (section.into_inner(), changes.emit(&SectionUpdated { section: facts }))
        }
    };
    let card = card::of_changed_sections(cx, course, &[&section]).await?;
    cx.commit(changes.save(&card)).await?;
    telling::of_section(cx, &section, course).await;
    Ok(true)
}

/// Deletes the course of a row, as its instructors would.
async fn delete(cx: &Context<System>, known: Option<Stored<Course>>) -> Result<CourseImported> {
    let known = known.filter(|it| it.state != CourseState::Archived);
    let Some(mut course) = known else {
        let outcome = ImportOutcome::Unchanged;
        return Ok(CourseImported { course_id: None, outcome, note: None });
    };
    if cx.count(&Section::open_of_course(&course.id, cx.now)).await? > 0 {
        return Err(crate::delete::COURSE_HAS_OPEN_SECTIONS.into());
    }
    let before = (*course).clone();
    course.archive(cx.now);
    let filed = filing::changes(cx, Some(&before), &course, &mut Faults::new()).await?;
    let card = card::of_changed(cx, &course).await?;
    let deleted = CourseDeleted { course: course.facts() };
    cx.commit(filed.save(&course).save(&card).emit(&deleted)).await?;
    telling::of_course(cx, &course).await;
    let course_id = Some(course.id.clone());
    Ok(CourseImported { course_id, outcome: ImportOutcome::Deleted, note: None })
}

#[cfg(test)]
mod tests {
    use testing::{App, Value, json};

    use crate::tests::app;

    async fn import(app: &App, row: Value) -> Value {
        app.platform().post("/internal/courses/import", row).await.ok()
    }

    fn row() -> Value {
        json!({
            "code": "RUST-101", "title": "Rust", "summary": "Sin miedo.",
            "category_path": ["Tecnología", "Programación"], "tags": ["Rust", " web "],
            "starts_at": "2026-05-01T05:00:00Z", "ends_at": "2026-06-01T05:00:00Z",
            "time_zone": "America/Bogota", "capacity": 20,
        })
    }

    fn with(mut changes: Value) -> Value {
        let mut row = row();
        row.as_object_mut().unwrap().append(changes.as_object_mut().unwrap());
        row
    }

    #[tokio::test]
    async fn a_row_becomes_a_course_with_its_section_and_again_changes_nothing() {
        let app = app().await;
        let first = import(&app, row()).await;
        assert_eq!((&first["outcome"], &first["note"]), (&json!("created"), &json!(null)));
        let root = app.admin("root");
        let path = format!("/v1/courses/{}", first["course_id"].as_str().unwrap());
        let course = root.get(&path).await.ok();
        assert_eq!((&course["code"], &course["state"]), (&json!("RUST-101"), &json!("draft")));
        assert_eq!(
            (&course["category"], &course["tags"]),
            (&json!("programacion"), &json!(["rust", "web"]))
        );
        let section = root.get(&format!("{path}/sections")).await.ok()["items"][0].clone();
        assert_eq!(
            (&section["capacity"], &section["time_zone"]),
            (&json!(20), &json!("America/Bogota"))
        );

        let (commits, again) = (app.commits(), import(&app, row()).await);
        assert_eq!(
            (&again["outcome"], &again["course_id"]),
            (&json!("unchanged"), &first["course_id"])
        );
        assert_eq!(app.commits(), commits);
        // The code is the key, however it's spelled.
        let renamed = import(&app, with(json!({ "code": "rust-101 ", "title": "Rust 2" }))).await;
        assert_eq!(
            (&renamed["outcome"], &renamed["course_id"]),
            (&json!("updated"), &first["course_id"])
        );
        assert_eq!(root.get(&path).await.ok()["title"], "Rust 2");
    }

    #[tokio::test]
    async fn a_course_is_published_when_it_lacks_nothing_and_deleted_when_it_is_said() {
        let app = app().await;
        let draft = import(&app, with(json!({ "visible": true }))).await;
        assert!(draft["note"].as_str().unwrap().contains("outline: missing"), "{draft}");
        let course = draft["course_id"].as_str().unwrap();
        let path = format!("/v1/courses/{course}");
        let rest = json!({
            "description": "d", "language": "es", "level": "beginner",
            "outline": [{ "title": "a", "items": [{ "title": "b", "kind": "link" }] }],
        });
        app.admin("root").patch(&path, rest, "1").await.ok();
        let published = import(&app, with(json!({ "visible": true }))).await;
        assert_eq!((&published["outcome"], &published["note"]), (&json!("updated"), &json!(null)));
        app.anyone().get(&path).await.ok();
        let again = import(&app, with(json!({ "visible": true }))).await;
        assert_eq!(again["outcome"], "unchanged");
        let gone = json!({ "code": "RUST-101", "deleted": true });
        let open = import(&app, gone.clone()).await;
        assert!(open["note"].as_str().unwrap().contains("course-has-open-sections"), "{open}");
        app.advance_minutes(200 * 1440);
        assert_eq!(import(&app, gone.clone()).await["outcome"], "deleted");
        assert_eq!(import(&app, gone).await["outcome"], "unchanged");
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_row_is_told_all_at_once_and_no_course_is_made() {
        let app = app().await;
        let wrong = json!({
            "code": "X", "title": "", "language": "klingonese", "level": "guru",
            "tags": ["<b>"], "instructors": ["nobody"], "category": "nothing",
        });
        let refused = import(&app, wrong).await;
        assert_eq!(refused["outcome"], "refused");
        let note = refused["note"].as_str().unwrap();
        for wrong in [
            "fullname: empty",
            "language: invalid",
            "level: unknown",
            "tags: invalid-slug",
            "instructors[0]: unknown-user",
            "category: unknown-category",
        ] {
            assert!(note.contains(wrong), "{wrong}: {note}");
        }
        assert_eq!(app.commits(), 0);
        app.admin("root")
            .post("/internal/courses/import", row())
            .await
            .is(runtime::problems::NO_SUCH_PATH);
    }
}
