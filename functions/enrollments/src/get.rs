//! `GET /v1/enrollments/{enrollment_id}`

use contracts::enrollments::EnrollmentId;
use runtime::prelude::*;

use crate::{
    course::Course,
    enrollment::{ENROLLMENT_NOT_FOUND, Enrollment, EnrollmentView, view, with_progress},
};

/// Get an enrollment.
///
/// Its owner, the instructors of its course and admins see it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetEnrollment {
    /// The enrollment.
    enrollment_id: EnrollmentId,
}

impl Endpoint for GetEnrollment {
    const OPERATION: &'static str = "enrollments.get";
    const ROUTE: Route = Route::get("/v1/enrollments/{enrollment_id}");
    const PROBLEMS: &'static [Problem] = &[ENROLLMENT_NOT_FOUND];
    type Response = EnrollmentView;
}

pub async fn run(cx: Context<User>, request: GetEnrollment) -> Result<EnrollmentView> {
    let enrollment = seen(&cx, &request.enrollment_id).await?.enrollment;
    let seen = vec![view(&cx, &enrollment).await?];
    Ok(with_progress(&cx, seen, true).await?.remove(0))
}

/// An enrollment that the caller may see, and whether as staff.
pub struct Seen {
    /// The enrollment.
    pub enrollment: Stored<Enrollment>,
    /// Whether the caller runs its course.
    pub by_staff: bool,
}

/// Reads an enrollment that the caller may see: their own, or of a course they run.
pub async fn seen(cx: &Context<User>, id: &EnrollmentId) -> Result<Seen> {
    let enrollment = cx.get::<Enrollment>(id.as_str()).await?.ok_or(ENROLLMENT_NOT_FOUND)?;
    let own = enrollment.user_id == cx.caller.id;
    let by_staff = if own {
        false
    } else {
        let course = cx.get::<Course>(enrollment.course_id.as_str()).await?;
        course.is_some_and(|course| course.is_run_by(&cx.caller))
    };
    if own || by_staff {
        Ok(Seen { enrollment, by_staff })
    } else {
        Err(ENROLLMENT_NOT_FOUND.into())
    }
}
