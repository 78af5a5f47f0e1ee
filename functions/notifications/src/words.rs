//! Words: what is said of each kind of news, in English and in Spanish.

use contracts::{Language, enrollments::CancelReason, identity::CodePurpose};

use crate::{dates::Reader, inbox_item::Titles, line::one_line, news::News};

/// What is said of some news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One line that says what it is about: a mail's subject.
    pub title: String,
    /// The news itself, in a sentence or two.
    pub lead: String,
    /// What a mail says beyond that.
    pub more: Vec<String>,
}

impl Words {
    fn new(title: impl Into<String>, lead: impl Into<String>) -> Self {
        Self { title: title.into(), lead: lead.into(), more: Vec::new() }
    }

    fn more(mut self, text: impl Into<String>) -> Self {
        self.more.push(text.into());
        self
    }
}

/// What is said of some news, to someone who reads it.
pub fn of(news: &News, titles: Option<&Titles>, reader: Reader<'_>) -> Words {
    match reader.language {
        Language::En => english(news, titles, reader),
        Language::Es => spanish(news, titles, reader),
    }
}

/// The course alone, for a title; and the course with its section, for a sentence.
fn names(titles: Option<&Titles>, unknown: &str) -> (String, String) {
    let Some(titles) = titles else { return (unknown.to_owned(), unknown.to_owned()) };
    let (course, section) = (one_line(&titles.course), one_line(&titles.section));
    let full = if section == course || section.is_empty() {
        course.clone()
    } else {
        format!("{course} ({section})")
    };
    (course, full)
}

fn english(news: &News, titles: Option<&Titles>, reader: Reader<'_>) -> Words {
    let (course, full) = names(titles, "your course");
    match news {
        News::Code { purpose: CodePurpose::VerifyEmail, expires_at, .. } => {
            let until = reader.moment(*expires_at);
            Words::new(
                "Confirm your e-mail address",
                "Use this code to confirm that this address is yours:",
            )
            .more(format!("It works once, until {until}."))
            .more(
                "If you didn't ask for it, ignore this message: without the code nothing happens.",
            )
        }
        News::Code { purpose: CodePurpose::ResetPassword, expires_at, .. } => {
            let until = reader.moment(*expires_at);
            Words::new("Choose a new password", "Use this code to choose a new password:")
                .more(format!("It works once, until {until}."))
                .more(
                    "If you didn't ask for it, ignore this message: your password stays as it is.",
                )
        }
        News::RegistrationRepeated { .. } => Words::new(
            "You have an account already",
            "Someone, perhaps you, tried to register with this address, \
             which has an account already.",
        )
        .more("If it was you: sign in, or ask for a code to choose a new password.")
        .more("If it wasn't, there's nothing to do: nothing was changed."),
        News::PasswordChanged { changed_at } => Words::new(
            "Your password was changed",
            format!(
                "The password of your account was changed on {}, \
                 and you were signed out everywhere.",
                reader.moment(*changed_at)
            ),
        )
        .more("If it wasn't you, ask for a code at once and choose a new password."),
        News::Enrolled(_) => {
            Words::new(format!("You're enrolled: {course}"), format!("You have a seat in {full}."))
        }
        News::Promoted(_) => Words::new(
            format!("You have a seat now: {course}"),
            format!(
                "A seat in {full} has become free, and it's yours: \
                 you needn't wait any longer, you're enrolled."
            ),
        )
        .more("If you can't come, leave the section, so that the next in line gets the seat."),
        News::Waitlisted { position, .. } => Words::new(
            format!("You're on the waitlist: {course}"),
            format!("Every seat in {full} is taken. You're number {position} on the waitlist."),
        )
        .more("As soon as a seat is yours, we write to you."),
        News::Requested(_) => Words::new(
            format!("Your request was received: {course}"),
            format!("An instructor has to approve your enrollment in {full}."),
        )
        .more("As soon as they have decided, we write to you."),
        News::Rejected { note, .. } => {
            let words = Words::new(
                format!("Your request wasn't approved: {course}"),
                format!("An instructor has not approved your enrollment in {full}."),
            );
            match note {
                Some(note) => words.more(format!("They wrote: {note}")),
                None => words,
            }
        }
        News::Rescheduled { .. } => Words::new(
            format!("New dates: {course}"),
            format!("The dates of {full} have changed. You keep your seat."),
        ),
        News::Cancelled { why: CancelReason::Left, .. } => {
            Words::new(format!("You've left: {course}"), format!("You have left {full}."))
        }
        News::Cancelled { why: CancelReason::Removed, .. } => Words::new(
            format!("You're no longer enrolled: {course}"),
            format!("You were taken off {full}."),
        ),
        News::Cancelled { why: CancelReason::SectionCancelled, .. } => Words::new(
            format!("Cancelled: {course}"),
            format!("{full} was cancelled as a whole; it won't take place."),
        ),
        News::Cancelled { why: CancelReason::OfferLapsed, .. } => Words::new(
            format!("Your offer has lapsed: {course}"),
            format!("You didn't accept the seat in {full} in time, and it went to the next."),
        ),
        News::Cancelled { why: CancelReason::Transferred, .. } => Words::new(
            format!("Your seat was moved: {course}"),
            format!("Your seat in {full} was transferred."),
        ),
        News::Reminder { starts_at, .. } => Words::new(
            format!("Reminder: {course}, {}", reader.short(*starts_at)),
            format!("{full} meets on {}.", reader.moment(*starts_at)),
        ),
    }
}

fn spanish(news: &News, titles: Option<&Titles>, reader: Reader<'_>) -> Words {
    let (course, full) = names(titles, "tu curso");
    match news {
        News::Code { purpose: CodePurpose::VerifyEmail, expires_at, .. } => {
            let until = reader.moment(*expires_at);
            Words::new(
                "Confirma tu dirección de correo",
                "Usa este código para confirmar que esta dirección es tuya:",
            )
            .more(format!("Sirve una sola vez, hasta el {until}."))
            .more("Si no lo pediste, ignora este mensaje: sin el código no pasa nada.")
        }
        News::Code { purpose: CodePurpose::ResetPassword, expires_at, .. } => {
            let until = reader.moment(*expires_at);
            Words::new(
                "Elige una contraseña nueva",
                "Usa este código para elegir una contraseña nueva:",
            )
            .more(format!("Sirve una sola vez, hasta el {until}."))
            .more("Si no lo pediste, ignora este mensaje: tu contraseña sigue igual.")
        }
        News::RegistrationRepeated { .. } => Words::new(
            "Ya tienes una cuenta",
            "Alguien, quizá tú, intentó registrarse con esta dirección, \
             que ya tiene una cuenta.",
        )
        .more("Si fuiste tú: inicia sesión o pide un código para elegir una contraseña nueva.")
        .more("Si no fuiste tú, no tienes que hacer nada: nada ha cambiado."),
        News::PasswordChanged { changed_at } => Words::new(
            "Tu contraseña cambió",
            format!(
                "La contraseña de tu cuenta cambió el {}, \
                 y se cerraron todas tus sesiones.",
                reader.moment(*changed_at)
            ),
        )
        .more("Si no fuiste tú, pide un código cuanto antes y elige una contraseña nueva."),
        News::Enrolled(_) => Words::new(
            format!("Inscripción confirmada: {course}"),
            format!("Tienes un cupo en {full}."),
        ),
        News::Promoted(_) => Words::new(
            format!("Ya tienes un cupo: {course}"),
            format!(
                "Se liberó un cupo en {full} y es tuyo: \
                 ya no tienes que esperar, tu inscripción está confirmada."
            ),
        )
        .more("Si no puedes asistir, cancela tu inscripción para que el cupo pase a quien sigue."),
        News::Waitlisted { position, .. } => Words::new(
            format!("Estás en la lista de espera: {course}"),
            format!(
                "Todos los cupos de {full} están ocupados. \
                 Tienes el número {position} en la lista de espera."
            ),
        )
        .more("En cuanto un cupo sea tuyo, te escribiremos."),
        News::Requested(_) => Words::new(
            format!("Recibimos tu solicitud: {course}"),
            format!("Un instructor debe aprobar tu inscripción en {full}."),
        )
        .more("En cuanto decida, te escribiremos."),
        News::Rejected { note, .. } => {
            let words = Words::new(
                format!("Tu solicitud no fue aprobada: {course}"),
                format!("Un instructor no aprobó tu inscripción en {full}."),
            );
            match note {
                Some(note) => words.more(format!("Escribió: {note}")),
                None => words,
            }
        }
        News::Rescheduled { .. } => Words::new(
            format!("Nuevas fechas: {course}"),
            format!("Las fechas de {full} cambiaron. Conservas tu cupo."),
        ),
        News::Cancelled { why: CancelReason::Left, .. } => Words::new(
            format!("Cancelaste tu inscripción: {course}"),
            format!("Cancelaste tu inscripción en {full}."),
        ),
        News::Cancelled { why: CancelReason::Removed, .. } => Words::new(
            format!("Ya no tienes inscripción: {course}"),
            format!("Se canceló tu inscripción en {full}."),
        ),
        News::Cancelled { why: CancelReason::SectionCancelled, .. } => Words::new(
            format!("Cancelado: {course}"),
            format!("{full} se canceló por completo; no se realizará."),
        ),
        News::Cancelled { why: CancelReason::OfferLapsed, .. } => Words::new(
            format!("Tu oferta venció: {course}"),
            format!("No aceptaste a tiempo el cupo en {full}, y pasó a quien sigue."),
        ),
        News::Cancelled { why: CancelReason::Transferred, .. } => Words::new(
            format!("Tu cupo se trasladó: {course}"),
            format!("Tu cupo en {full} fue transferido."),
        ),
        News::Reminder { starts_at, .. } => Words::new(
            format!("Recordatorio: {course}, {}", reader.short(*starts_at)),
            format!("{full} se reúne el {}.", reader.moment(*starts_at)),
        ),
    }
}
