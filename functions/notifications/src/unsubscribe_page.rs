//! The page on which a person unsubscribes: before they have, and after.

use std::sync::LazyLock;

use contracts::{Content, Language};
use minijinja::{AutoEscape, Environment, context};
use runtime::prelude::*;

use crate::news::Kind;

/// The media type of the page.
pub const HTML: &str = "text/html; charset=utf-8";

/// The token isn't one of ours.
pub const INVALID_UNSUBSCRIBE_TOKEN: Problem = Problem::not_found(
    "unsubscribe-token-not-found",
    "This link isn't whole; copy all of it from the mail.",
    "Este enlace no está completo; cópialo entero del correo.",
);

const PAGE: &str = "unsubscribe.html";

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let source = include_str!("../templates/unsubscribe.html");
    environment.add_template(PAGE, source).expect("the template is written well");
    environment
});

/// What a kind of mail is called on the page.
fn called(kind: Kind, language: Language) -> &'static str {
    let (en, es) = match kind {
        Kind::Waitlisted => ("waitlists", "listas de espera"),
        Kind::Requested => ("your requests", "tus solicitudes"),
        Kind::Rescheduled => ("new dates", "nuevas fechas"),
        Kind::Reminder => ("reminders", "recordatorios"),
        Kind::Completed => ("completed courses", "cursos completados"),
        Kind::CertificateIssued => ("new certificates", "nuevos certificados"),
        Kind::Digest => ("daily news", "novedades del día"),
        _ => ("this", "esto"),
    };
    language.choose(en, es)
}

/// Asks whether the person really wants no more mail of a kind.
pub fn asking(language: Language, kind: Kind, token: &str) -> Result<Content> {
    let what = called(kind, language);
    let values = context! {
        language => language.code(),
        title => language.choose("Get less mail", "Recibir menos correos"),
        said => language.choose(
            format!("Do you want no more mail about {what}? What concerns the safety of your \
                account or decides about your seats, you hear of anyway."),
            format!("¿No quieres más correos sobre {what}? De lo que atañe a la seguridad de tu \
                cuenta o decide sobre tus cupos se te avisa de todos modos."),
        ),
        these => language.choose(format!("No more about {what}"), format!("No más sobre {what}")),
        all => language.choose("No more of all that I can do without", "Nada de lo prescindible"),
        token => token,
    };
    rendered(&values)
}

/// Says that it's done.
pub fn done(language: Language, kind: Kind, all: bool) -> Result<Content> {
    let what = called(kind, language);
    let values = context! {
        language => language.code(),
        title => language.choose("Done", "Listo"),
        said => if all {
            language.choose(
                "You get no more mail that you can do without.".to_owned(),
                "Ya no recibirás correos prescindibles.".to_owned(),
            )
        } else {
            language.choose(
                format!("You get no more mail about {what}."),
                format!("Ya no recibirás correos sobre {what}."),
            )
        },
    };
    rendered(&values)
}

fn rendered(values: &minijinja::Value) -> Result<Content> {
    let page = TEMPLATES.get_template(PAGE).and_then(|it| it.render(values));
    let page = page.map_err(|error| Error::Internal(error.into()))?;
    Ok(page.into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::news::Rank;

    #[test]
    fn every_kind_that_one_can_do_without_has_a_name() {
        let optional = Kind::ALL.iter().filter(|it| it.rank() == Rank::Optional);
        assert!(optional.clone().count() > 0);
        for kind in optional {
            assert_ne!(called(*kind, Language::En), "this", "{kind:?}");
        }
    }
}
