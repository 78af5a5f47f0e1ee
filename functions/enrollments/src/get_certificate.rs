//! `GET /v1/certificates/{certificate_id}`

use contracts::{enrollments::CertificateId, identity::SignStatement};
use runtime::prelude::*;

use crate::certificate::{CERTIFICATE_NOT_FOUND, Certificate, CertificateFacts, CertificateView};

/// Get a certificate.
///
/// Anyone may look whether it's good, and what it says. The facts are signed:
/// whoever gets them from somebody else can check them with the platform's
/// public keys. For people there's a page of it at its `url`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetCertificate {
    /// The certificate.
    certificate_id: CertificateId,
}

impl Endpoint for GetCertificate {
    const OPERATION: &'static str = "enrollments.get_certificate";
    const ROUTE: Route = Route::get("/v1/certificates/{certificate_id}");
    const PROBLEMS: &'static [Problem] = &[CERTIFICATE_NOT_FOUND];
    type Response = CertificateView;
}

pub async fn run(cx: Context<Anyone>, request: GetCertificate) -> Result<CertificateView> {
    let certificate = found(&cx, &request.certificate_id).await?;
    let public_url = &cx.settings().public_url;
    let jws = signed(&cx, &certificate.facts(public_url)).await?;
    Ok(certificate.view(public_url, jws))
}

/// A certificate that is there.
pub async fn found<C>(cx: &Context<C>, id: &CertificateId) -> Result<Stored<Certificate>> {
    Ok(cx.get::<Certificate>(id.as_str()).await?.ok_or(CERTIFICATE_NOT_FOUND)?)
}

/// The facts in the platform's name. They're signed when they're asked for, so
/// that they tell the state of today, with a key that is published today.
pub async fn signed<C>(cx: &Context<C>, facts: &CertificateFacts) -> Result<String> {
    let statement = serde_json::to_value(facts).ok().and_then(|it| it.as_object().cloned());
    let statement = statement.unwrap_or_default();
    Ok(cx.call(SignStatement { statement }).await?.jws)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tests::{certified, course, section};

    #[tokio::test]
    async fn anyone_sees_what_a_certificate_says_and_not_the_holders_name() {
        let (app, id) = certified(section(None), course()).await;
        let seen = app.anyone().get(&format!("/v1/certificates/{id}")).await.ok();
        assert_eq!(seen["state"], "valid");
        assert_eq!(seen["holder_initials"], "S.");
        assert_eq!(seen["course_title"], "Rust");
        assert_eq!(seen["revoked_at"], json!(null));
        assert_eq!(seen["url"], format!("https://aula.example/v1/certificates/{id}/page"));
        // What was signed is what was answered.
        let statement = seen["jws"].as_str().unwrap().strip_prefix("signed:").unwrap();
        let statement: serde_json::Value = serde_json::from_str(statement).unwrap();
        for (field, value) in statement.as_object().unwrap() {
            assert_eq!(&seen[field], value);
        }
        assert_eq!(statement["id"], id.as_str());
        let text = seen.to_string();
        assert!(!text.contains("Someone") && !text.contains("ada"), "{text}");
        app.anyone().get("/v1/certificates/nothing").await.is(CERTIFICATE_NOT_FOUND);
    }
}
