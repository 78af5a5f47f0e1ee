//! `GET /v1/certificates/{certificate_id}/pdf`

use contracts::{Content, enrollments::CertificateId};
use runtime::{prelude::*, problems::FORBIDDEN};

use crate::{certificate::CERTIFICATE_NOT_FOUND, course::Course, get_certificate::found, paper};

/// The certificate was taken back.
pub const CERTIFICATE_REVOKED: Problem = Problem::conflict(
    "certificate-revoked",
    "This certificate was revoked.",
    "Este certificado fue revocado.",
);

/// Get a certificate to print, as PDF.
///
/// It has the holder's name, and a QR code that leads to its page. Its holder,
/// the course's instructors and admins get it; who has the paper checks it at
/// the page.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetCertificatePdf {
    /// The certificate.
    certificate_id: CertificateId,
}

impl Endpoint for GetCertificatePdf {
    const OPERATION: &'static str = "enrollments.get_certificate_pdf";
    const ROUTE: Route = Route::get("/v1/certificates/{certificate_id}/pdf");
    const PROBLEMS: &'static [Problem] = &[CERTIFICATE_NOT_FOUND, CERTIFICATE_REVOKED];
    const ANSWERS: &'static str = "application/pdf";
    type Response = Content;
}

pub async fn run(cx: Context<User>, request: GetCertificatePdf) -> Result<Content> {
    let certificate = found(&cx, &request.certificate_id).await?;
    if certificate.user_id != cx.caller.id {
        let course = cx.get::<Course>(certificate.course_id.as_str()).await?;
        if !course.is_some_and(|course| course.is_run_by(&cx.caller)) {
            return Err(FORBIDDEN.into());
        }
    }
    if certificate.revoked.is_some() {
        return Err(CERTIFICATE_REVOKED.into());
    }
    let url = certificate.url(&cx.settings().public_url);
    Ok(paper::pdf(&certificate, &url, cx.language)?.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tests::{certified, course, section};

    #[tokio::test]
    async fn the_holder_and_the_courses_staff_get_the_paper() {
        let (app, id) = certified(section(None), course()).await;
        let path = format!("/v1/certificates/{id}/pdf");
        let paper = app.user("ada").get(&path).await;
        assert_eq!(
            (paper.status, &paper.headers["content-type"]),
            (200, &"application/pdf".parse().unwrap())
        );
        assert_eq!(app.instructor("ines").get(&path).await.status, 200);
        app.user("bob").get(&path).await.is(FORBIDDEN);
        app.anyone().get(&path).await.is(runtime::problems::UNAUTHENTICATED);
        let revoke = format!("/v1/certificates/{id}/revoke");
        app.admin("root").post(&revoke, json!({ "reason": "No." })).await.ok();
        app.user("ada").get(&path).await.is(CERTIFICATE_REVOKED);
        app.user("ada").get("/v1/certificates/nothing/pdf").await.is(CERTIFICATE_NOT_FOUND);
    }
}
