//! `POST /v1/certificates/{certificate_id}/revoke`

use contracts::enrollments::{CertificateId, CertificateRevoked};
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{
    achievement::Achievement,
    certificate::{CERTIFICATE_NOT_FOUND, CertificateView},
    course::Course,
    enrollment::Enrollment,
    get_certificate::{found, signed},
};

/// Revoke a certificate.
///
/// From then on its page says that it's good no longer, and courses that ask
/// for this one don't count it. The holder is told why; others aren't. Revoking
/// again changes nothing. The course's instructors and admins may do it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeCertificate {
    /// The certificate to revoke.
    certificate_id: CertificateId,
    /// Why, for the holder.
    reason: Text<1, 1000>,
}

impl Endpoint for RevokeCertificate {
    const OPERATION: &'static str = "enrollments.revoke_certificate";
    const ROUTE: Route = Route::act("/v1/certificates/{certificate_id}/revoke");
    const PROBLEMS: &'static [Problem] = &[CERTIFICATE_NOT_FOUND];
    type Response = CertificateView;
}

pub async fn run(cx: Context<User>, request: RevokeCertificate) -> Result<CertificateView> {
    let mut certificate = found(&cx, &request.certificate_id).await?;
    let course = cx.get::<Course>(certificate.course_id.as_str()).await?;
    let runs_it = course.is_some_and(|course| course.is_run_by(&cx.caller));
    if !runs_it || (certificate.user_id == cx.caller.id && !cx.caller.is_admin()) {
        return Err(FORBIDDEN.into());
    }

    let mut changes = Changes::new();
    if certificate.revoke(&request.reason, cx.now) {
        let enrollment = cx.get::<Enrollment>(certificate.enrollment_id.as_str()).await?;
        let enrollment = enrollment.ok_or(CERTIFICATE_NOT_FOUND)?;
        let told = CertificateRevoked {
            enrollment: enrollment.facts(),
            certificate_id: certificate.id.clone(),
            revoked_at: cx.now,
            reason: String::from(request.reason),
        };
        let counted = counted_no_more(&cx, &enrollment).await?;
        changes = changes.save(&certificate).and(counted).emit(&told);
    }
    let public_url = &cx.settings().public_url;
    let jws = signed(&cx, &certificate.facts(public_url)).await?;
    let view = certificate.view(public_url, jws);
    cx.answer(changes, view).await
}

/// What other courses ask for isn't met by this enrollment any more.
async fn counted_no_more(cx: &Context<User>, enrollment: &Enrollment) -> Result<Changes> {
    let id = Achievement::id_of(&enrollment.user_id, &enrollment.course_id);
    let Some(mut achievement) = cx.get::<Achievement>(&id).await? else {
        return Ok(Changes::new());
    };
    Ok(if achievement.count_no_more(&enrollment.id) {
        Changes::new().delete(&achievement)
    } else {
        Changes::new().save(&achievement)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tests::{certified, course, section};

    #[tokio::test]
    async fn a_revoked_certificate_says_so_and_counts_no_more() {
        let (app, id) = certified(section(None), course()).await;
        let path = format!("/v1/certificates/{id}/revoke");
        let why = json!({ "reason": "The work was somebody else's." });
        let ines = app.instructor("ines");
        app.advance_minutes(1);
        let revoked = ines.post(&path, &why).await.ok();
        assert_eq!((&revoked["state"], &revoked["etag"]), (&json!("revoked"), &json!("2")));
        ines.post(&path, &why).await.ok();
        let told = app.emitted::<CertificateRevoked>().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].reason, "The work was somebody else's.");
        let seen = app.anyone().get(&format!("/v1/certificates/{id}")).await.ok();
        assert_eq!(seen["revoked_at"], app.now().to_string());
        assert!(!seen.to_string().contains("somebody else"), "the reason is the holder's");
        let achieved = Achievement::id_of(&"ada".into(), &"c1".into());
        assert!(app.context().get::<Achievement>(&achieved).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn only_the_courses_staff_revoke() {
        let (app, id) = certified(section(None), course()).await;
        let path = format!("/v1/certificates/{id}/revoke");
        let why = json!({ "reason": "No." });
        app.user("ada").post(&path, &why).await.is(FORBIDDEN);
        app.instructor("igor").post(&path, &why).await.is(FORBIDDEN);
        app.anyone().post(&path, &why).await.is(runtime::problems::UNAUTHENTICATED);
        let ines = app.instructor("ines");
        ines.post(&path, json!({})).await.blames("reason", "missing");
        let nothing = "/v1/certificates/nothing/revoke";
        ines.post(nothing, &why).await.is(CERTIFICATE_NOT_FOUND);
        app.admin("root").post(&path, &why).await.ok();
    }
}
