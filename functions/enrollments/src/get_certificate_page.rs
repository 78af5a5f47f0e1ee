//! `GET /v1/certificates/{certificate_id}/page`

use contracts::{Content, enrollments::CertificateId};
use runtime::prelude::*;

use crate::{
    certificate::{CERTIFICATE_NOT_FOUND, CertificateFacts, CertificateState},
    dates::day,
    get_certificate::found,
};

/// Show a certificate as a page.
///
/// What anyone may know of it, for people: in English or Spanish, as the reader
/// prefers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetCertificatePage {
    /// The certificate.
    certificate_id: CertificateId,
}

impl Endpoint for GetCertificatePage {
    const OPERATION: &'static str = "enrollments.get_certificate_page";
    const ROUTE: Route = Route::get("/v1/certificates/{certificate_id}/page");
    const PROBLEMS: &'static [Problem] = &[CERTIFICATE_NOT_FOUND];
    const ANSWERS: &'static str = "text/html; charset=utf-8";
    type Response = Content;
}

pub async fn run(cx: Context<Anyone>, request: GetCertificatePage) -> Result<Content> {
    let certificate = found(&cx, &request.certificate_id).await?;
    let public_url = &cx.settings().public_url;
    Ok(page(&certificate.facts(public_url), public_url, cx.language).into())
}

const STYLE: &str = "body{font:1.1rem/1.5 Georgia,serif;max-width:40rem;margin:3rem auto;\
    padding:0 1rem;color:#222}h1{font-size:1.6rem}dt{color:#666;font-size:.9rem}dd{margin:0 0 1rem}\
    .state{padding:.5rem 1rem;border-radius:.3rem;background:#e4f3e6;color:#14532d}\
    .revoked{background:#fbe4e4;color:#7f1d1d}code{font-size:.85rem;word-break:break-all}";

/// A certificate's page.
fn page(facts: &CertificateFacts, public_url: &str, language: Language) -> String {
    let say = |en: &'static str, es: &'static str| language.choose(en, es);
    let is_valid = facts.state == CertificateState::Valid;
    let (class, state) = match facts.revoked_at {
        _ if is_valid => {
            ("state", say("This certificate is valid.", "Este certificado es válido.").to_owned())
        }
        Some(at) => {
            let on = say("This certificate was revoked on", "Este certificado fue revocado el");
            ("state revoked", format!("{on} {}.", day(at, language)))
        }
        None => (
            "state revoked",
            say("This certificate was revoked.", "Este certificado fue revocado.").to_owned(),
        ),
    };
    let rows = [
        (say("Course", "Curso"), facts.course_title.clone()),
        (say("Holder (initials)", "Titular (iniciales)"), facts.holder_initials.clone()),
        (say("Completed on", "Completado el"), day(facts.completed_at, language)),
        (say("Issued on", "Emitido el"), day(facts.issued_at, language)),
        (say("Certificate", "Certificado"), facts.id.to_string()),
    ];
    let row =
        |(name, value): &(&str, String)| format!("<dt>{name}</dt><dd>{}</dd>", escaped(value));
    let rows: String = rows.iter().map(row).collect();
    let title = say("Certificate of completion", "Certificado de finalización");
    let check =
        say("The same facts, signed for programs:", "Los mismos datos, firmados para programas:");
    let source = escaped(&format!("{public_url}/v1/certificates/{}", facts.id));
    format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1><p class=\"{class}\">{state}</p>\
         <dl>{rows}</dl><p>{check}<br><a href=\"{source}\"><code>{source}</code></a></p>\
         </body></html>",
        language.code(),
    )
}

/// A text as a page shows it, whatever it holds.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use contracts::courses::CourseFacts;

    use super::*;
    use crate::tests::{certified, course, section};

    #[tokio::test]
    async fn anyone_reads_the_page_in_their_language_and_no_title_breaks_it() {
        let title = "Rust <script>alert(1)</script>".to_owned();
        let (app, id) = certified(section(None), CourseFacts { title, ..course() }).await;
        let path = format!("/v1/certificates/{id}/page");
        let page = app.anyone().get(&path).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        let facts = crate::certificate::tests_facts("Rust <script>alert(1)</script>");
        let english = super::page(&facts, "https://aula.example", Language::En);
        assert!(english.contains("Rust &lt;script&gt;") && !english.contains("<script>"));
        assert!(english.contains("This certificate is valid."));
        assert!(english.contains("22 November 2026"));
        let spanish = super::page(&facts, "https://aula.example", Language::Es);
        assert!(spanish.contains("lang=\"es\"") && spanish.contains("22 de noviembre de 2026"));
        app.anyone().get("/v1/certificates/nothing/page").await.is(CERTIFICATE_NOT_FOUND);
    }
}
