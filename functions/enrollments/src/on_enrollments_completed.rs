//! On `enrollments.completed.v1`: who has completed a course gets their certificate.

use contracts::{
    enrollments::{CertificateIssued, Completed, EnrollmentState},
    identity::GetContact,
};
use runtime::prelude::*;

use crate::{certificate::Certificate, enrollment::Enrollment, hall::Want, learning::known};

pub async fn run(cx: Context<System>, event: Completed) -> Result<()> {
    let id = &event.enrollment.enrollment_id;
    let enrollment = cx.get::<Enrollment>(id.as_str()).await?;
    // Nobody is certified who was erased meanwhile.
    let Some(enrollment) = enrollment.filter(|it| it.state == EnrollmentState::Completed) else {
        return cx.commit(Changes::new()).await;
    };
    if cx.get::<Certificate>(Certificate::id_of(id).as_str()).await?.is_some() {
        return cx.commit(Changes::new()).await;
    }
    let course = known(&cx, &enrollment.section_id, Want::Rules).await?.course;
    let holder = cx.call(GetContact { user_id: enrollment.user_id.clone() }).await?;

    let title = course.title().unwrap_or_default();
    let certificate = Certificate::of(&enrollment, event.completed_at, title, &holder.name, cx.now);
    let told = CertificateIssued {
        enrollment: enrollment.facts(),
        certificate_id: certificate.id.clone(),
        issued_at: certificate.issued_at,
    };
    // The enrollment too: nothing is issued beside its erasure.
    cx.commit(Changes::new().create(&certificate).save(&enrollment).emit(&told)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{certified, course, section};

    #[tokio::test]
    async fn one_certificate_is_issued_however_often_it_is_told() {
        let (app, id) = certified(section(None), course()).await;
        let told = app.emitted::<Completed>().await;
        app.deliver(&told[0]).await;
        app.deliver_again().await;
        app.deliver(&told[0]).await;
        let issued = app.emitted::<CertificateIssued>().await;
        assert_eq!(issued.len(), 1);
        assert_eq!(issued[0].certificate_id.as_str(), id);
        let seen = app.user("ada").get("/v1/enrollments").await.ok();
        assert_eq!(seen["items"][0]["certificate_id"], id.as_str());
    }
}
