//! On `enrollments.certificate_revoked.v1`: the person is told why.
//!
//! The enrollment itself may not have changed, so its revision doesn't guard
//! against repeats; the certificate does.

use contracts::enrollments::CertificateRevoked;
use runtime::prelude::*;

use crate::{attending, news::News};

pub async fn run(cx: Context<System>, event: CertificateRevoked) -> Result<()> {
    let CertificateRevoked { enrollment: facts, certificate_id, reason: note, .. } = event;
    attending::tell_once(&cx, &facts, |about| News::CertificateRevoked {
        about,
        certificate_id,
        note,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{app_with_section, enrollment};

    #[tokio::test]
    async fn the_person_is_told_once() {
        let app = app_with_section().await;
        let event = CertificateRevoked {
            enrollment: enrollment("ada", 2),
            certificate_id: "z1".into(),
            revoked_at: app.now(),
            reason: "It was issued by mistake.".into(),
        };
        app.deliver(&event).await;
        app.deliver_again().await;
        app.deliver(&event).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
        let text = &app.mail()[0].text;
        assert!(text.contains("The reason: It was issued by mistake."), "{text}");
    }
}
