//! Working on a batch: a part of its rows is decided and written in one commit,
//! with its outcomes, so that each row takes effect once whatever is cut short.

use std::collections::BTreeMap;

use contracts::{
    courses::SectionId,
    enrollments::{BatchAdvanced, EnrollmentState},
    identity::GetContact,
};
use futures_util::future::join_all;
use runtime::{Key, prelude::*};

use crate::{
    achievement,
    batch::{Batch, Part, RowOutcome, RowState},
    enrollment::{ALREADY_ENROLLED, Enrollment},
    hall::Want,
    joining::{self, Joined, Way},
    learning::{Known, known},
    rules::{COURSE_NOT_PUBLISHED, SECTION_CANCELLED},
    seats::Seats,
};

/// A section that rows are about, or why there's none.
type Section = Result<Known, Refusal>;

/// The changes that the next part of a batch comes to.
pub async fn next(cx: &Context<System>, mut batch: Stored<Batch>) -> Result<Changes> {
    let id = Part::id_of(&batch.id, batch.next_part);
    let Some(mut part) = cx.get::<Part>(&id).await? else { return Ok(Changes::new()) };
    let mut sections = sections(cx, &part).await?;
    let mut people = people(cx, &part).await?;
    let unknown = unknown(cx, &part, &people).await?;
    let mut missing = missing(cx, &part, &sections, batch.waives_prerequisites).await?;

    let mut changes = Changes::new();
    let mut rows = Vec::with_capacity(part.user_ids.len());
    for (index, (section_id, user_id)) in part.section_ids.iter().zip(&part.user_ids).enumerate() {
        let known = match sections.get_mut(section_id) {
            Some(Ok(known)) => known,
            Some(Err(refusal)) => {
                rows.push(refused(refusal));
                continue;
            }
            None => continue,
        };
        let mut refusals = Vec::new();
        refusals.extend(unknown.get(user_id).cloned());
        if known.seats.rules.cancelled {
            refusals.push(Refusal::of(SECTION_CANCELLED));
        }
        if !known.course.is_published() {
            refusals.push(Refusal::of(COURSE_NOT_PUBLISHED));
        }
        refusals.extend(missing.remove(&index).unwrap_or_default());
        let id = Enrollment::id_of(section_id, user_id);
        let earlier = people.get(id.as_str());
        let way = Way::SeatOrQueue;
        match joining::join(&mut known.seats, earlier, user_id, way, refusals, cx.now) {
            Ok(Joined { enrollment, changes: its, .. }) => {
                rows.push(enrolled(&enrollment));
                changes = changes.and(its);
                people.insert(id.to_string(), enrollment);
            }
            Err(refusal) if refusal.problems().any(|it| *it == ALREADY_ENROLLED) => {
                let outcome = RowState::AlreadyEnrolled;
                rows.push(RowOutcome { outcome, enrollment_id: Some(id), reasons: Vec::new() });
            }
            Err(refusal) => rows.push(refused(&refusal)),
        }
    }
    if !changes.is_empty() {
        changes = saved(sections, changes);
    }
    if batch.advance(&rows, cx.now) {
        let (batch_id, part) = (batch.id.clone(), batch.next_part);
        changes = changes.emit(&BatchAdvanced { batch_id, part });
    }
    part.rows = rows;
    Ok(changes.save(&part).save(&batch))
}

/// The sections that a part's rows are about.
async fn sections(cx: &Context<System>, part: &Part) -> Result<BTreeMap<SectionId, Section>> {
    let mut sections = BTreeMap::new();
    for section_id in &part.section_ids {
        if sections.contains_key(section_id) {
            continue;
        }
        let rows = part.section_ids.iter().filter(|it| *it == section_id).count();
        let wanted = Want::Seats(u32::try_from(rows).unwrap_or(u32::MAX));
        let section = match known(cx, section_id, wanted).await {
            // A part and the blocks of several sections may be more than a commit takes:
            // they are gathered first, in a commit of their own.
            Ok(known) if known.seats.gathers() => {
                cx.commit_part(known.seats.changes()).await?;
                let known = self::known(cx, section_id, wanted).await?;
                let gathers = |it: &Known| it.seats.gathers();
                if gathers(&known) && sections.values().flatten().any(gathers) {
                    // A crowd has spread them again. One section's blocks fit; of two, it's
                    // tried again.
                    return Err(Error::Stale(Key::of::<Seats>(section_id.as_str())));
                }
                Ok(known)
            }
            Ok(known) => Ok(known),
            Err(Error::Refused(refusal)) => Err(*refusal),
            Err(other) => return Err(other),
        };
        sections.insert(section_id.clone(), section);
    }
    Ok(sections)
}

/// Saves sections, and what is new of their courses, each once.
fn saved(sections: BTreeMap<SectionId, Section>, mut changes: Changes) -> Changes {
    let mut courses = BTreeMap::new();
    for Known { seats, course } in sections.into_values().flatten() {
        changes = changes.and(seats.changes());
        if course.is_new() {
            courses.insert(course.key(), course);
        }
    }
    courses.values().fold(changes, Changes::save)
}

/// The enrollments that a part's people have in its sections already.
async fn people(cx: &Context<System>, part: &Part) -> Result<BTreeMap<String, Stored<Enrollment>>> {
    let rows = part.section_ids.iter().zip(&part.user_ids);
    let mut ids: Vec<_> =
        rows.map(|(section, user)| Enrollment::id_of(section, user).to_string()).collect();
    ids.sort();
    ids.dedup();
    let found = cx.get_all::<Enrollment>(&ids).await?;
    Ok(found.into_iter().flatten().map(|it| (it.id.to_string(), it)).collect())
}

/// The people whom nobody knows. Who has been enrolled before needn't be asked for.
async fn unknown(
    cx: &Context<System>,
    part: &Part,
    people: &BTreeMap<String, Stored<Enrollment>>,
) -> Result<BTreeMap<UserId, Refusal>> {
    let known: Vec<_> = people.values().map(|it| &it.user_id).collect();
    let mut asked: Vec<_> = part.user_ids.iter().filter(|it| !known.contains(it)).collect();
    asked.sort();
    asked.dedup();
    let answers = asked.iter().map(|user_id| cx.call(GetContact { user_id: (*user_id).clone() }));
    let mut unknown = BTreeMap::new();
    for (user_id, answer) in asked.iter().zip(join_all(answers).await) {
        match answer {
            Ok(_) => {}
            Err(Error::Refused(refusal)) => drop(unknown.insert((*user_id).clone(), *refusal)),
            Err(other) => return Err(other),
        }
    }
    Ok(unknown)
}

/// What each row's person misses of what the row's course asks for.
async fn missing(
    cx: &Context<System>,
    part: &Part,
    sections: &BTreeMap<SectionId, Section>,
    waived: bool,
) -> Result<BTreeMap<usize, Vec<Refusal>>> {
    let mut missing = BTreeMap::new();
    if waived {
        return Ok(missing);
    }
    for (section_id, section) in sections {
        let Ok(Known { course, .. }) = section else { continue };
        let its = part.section_ids.iter().enumerate().filter(|(_, it)| *it == section_id);
        let its: Vec<_> = its.map(|(index, _)| index).collect();
        let people: Vec<_> = its.iter().filter_map(|index| part.user_ids.get(*index)).collect();
        let missed = achievement::missing(cx, course, &people).await?;
        missing.extend(its.into_iter().zip(missed));
    }
    Ok(missing)
}

fn enrolled(enrollment: &Enrollment) -> RowOutcome {
    let outcome = match enrollment.state {
        EnrollmentState::Waitlisted => RowState::Waitlisted,
        _ => RowState::Confirmed,
    };
    RowOutcome { outcome, enrollment_id: Some(enrollment.id.clone()), reasons: Vec::new() }
}

fn refused(refusal: &Refusal) -> RowOutcome {
    let mut reasons: Vec<_> = refusal.problems().map(|it| it.reason.to_owned()).collect();
    reasons.dedup();
    RowOutcome { outcome: RowState::Refused, enrollment_id: None, reasons }
}
