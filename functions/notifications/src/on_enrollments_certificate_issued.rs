//! On `enrollments.certificate_issued.v1`: the person is told where their certificate is.
//!
//! The enrollment itself may not have changed, so its revision doesn't guard
//! against repeats; the certificate does.

use contracts::enrollments::CertificateIssued;
use runtime::prelude::*;

use crate::{attending, news::News};

pub async fn run(cx: Context<System>, event: CertificateIssued) -> Result<()> {
    let CertificateIssued { enrollment: facts, certificate_id, .. } = event;
    attending::tell_once(&cx, &facts, |about| News::CertificateIssued { about, certificate_id })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app_with_section, enrollment};

    #[tokio::test]
    async fn the_person_is_told_once() {
        let app = app_with_section().await;
        let event = CertificateIssued {
            enrollment: enrollment("ada", 2),
            certificate_id: "z1".into(),
            issued_at: app.now(),
        };
        app.deliver(&event).await;
        app.deliver_again().await;
        app.deliver(&event).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
        let text = &app.mail()[0].text;
        assert!(text.contains("https://aula.example/v1/certificates/z1"), "{text}");
    }
}
