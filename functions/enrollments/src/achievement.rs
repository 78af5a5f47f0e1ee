//! An achievement: somebody has completed a course. Other courses ask for it.

use contracts::{courses::CourseId, enrollments::EnrollmentId};
use runtime::{derived_id, prelude::*};

use crate::course::Course;

/// A course that must have been completed before hasn't been.
pub const PREREQUISITE_MISSING: Problem = Problem::conflict(
    "prerequisite-missing",
    "This course asks for another one to be completed first.",
    "Este curso exige haber completado otro antes.",
);

/// That somebody has completed a course, at least once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Achievement {
    id: String,
    /// Who.
    pub user_id: UserId,
    /// Which course.
    pub course_id: CourseId,
    /// The enrollments in which they did, and whose certificates are good.
    pub enrollment_ids: Vec<EnrollmentId>,
    /// When they did so first.
    pub completed_at: Timestamp,
}

impl Document for Achievement {
    const COLLECTION: &'static str = "achievements";
    const INDEXES: &'static [Index] = &[Index::ascending("completed_at").equals(&["user_id"])];
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Achievement {
    /// The id of a person's achievement in a course.
    pub fn id_of(user_id: &UserId, course_id: &CourseId) -> String {
        derived_id(&["achievement", user_id.as_str(), course_id.as_str()])
    }

    /// Notes that somebody has completed a course in this enrollment too.
    pub fn of(user_id: &UserId, course_id: &CourseId, now: Timestamp) -> Self {
        Self {
            id: Self::id_of(user_id, course_id),
            user_id: user_id.clone(),
            course_id: course_id.clone(),
            enrollment_ids: Vec::new(),
            completed_at: now,
        }
    }

    /// Counts an enrollment in which the course was completed.
    pub fn count(&mut self, enrollment_id: &EnrollmentId) {
        if !self.enrollment_ids.contains(enrollment_id) {
            self.enrollment_ids.push(enrollment_id.clone());
        }
    }

    /// Counts an enrollment no more; whether none is left that counts.
    pub fn count_no_more(&mut self, enrollment_id: &EnrollmentId) -> bool {
        self.enrollment_ids.retain(|id| id != enrollment_id);
        self.enrollment_ids.is_empty()
    }
}

/// What each of these people misses of what a course asks for: a refusal for
/// each course, in the order of the people.
pub async fn missing<C>(
    cx: &Context<C>,
    course: &Course,
    people: &[&UserId],
) -> Result<Vec<Vec<Refusal>>> {
    let asked = course.prerequisites();
    if asked.is_empty() || people.is_empty() {
        return Ok(people.iter().map(|_| Vec::new()).collect());
    }
    let ids: Vec<_> = people
        .iter()
        .flat_map(|user_id| asked.iter().map(|course_id| Achievement::id_of(user_id, course_id)))
        .collect();
    let found = cx.get_all::<Achievement>(&ids).await?;
    let titles: Vec<_> = asked.iter().map(ToString::to_string).collect();
    let titles = if found.iter().all(Option::is_some) {
        Vec::new()
    } else {
        cx.get_all::<Course>(&titles).await?
    };
    let missed = |found: &[Option<Stored<Achievement>>]| {
        let missed = asked.iter().zip(found).enumerate().filter(|(_, (_, found))| found.is_none());
        let refusal = |(index, (course_id, _)): (usize, (&CourseId, _))| {
            let title = titles.get(index).and_then(|it| it.as_ref()).and_then(|it| it.title());
            refusal(course_id, title)
        };
        missed.map(refusal).collect()
    };
    Ok(found.chunks(asked.len()).map(missed).collect())
}

fn refusal(course_id: &CourseId, title: Option<&str>) -> Refusal {
    let name = title.unwrap_or(course_id.as_str());
    let refusal = Refusal::of(PREREQUISITE_MISSING)
        .because(format!("Complete “{name}” first."), format!("Completa primero “{name}”."))
        .with("course_id", course_id.as_str());
    match title {
        Some(title) => refusal.with("course_title", title),
        None => refusal,
    }
}
