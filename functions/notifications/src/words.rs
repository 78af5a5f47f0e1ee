//! Words: what is said of each kind of news, in English and in Spanish.

use contracts::{
    Language,
    enrollments::CancelReason,
    identity::{CodePurpose, FactorKind},
};

use crate::{
    dates::Reader,
    inbox_item::Titles,
    line::{greeted, one_line},
    news::News,
};

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

const NOT_YOU_EN: &str = "If it wasn't you, change your password at once and see what your account says of how it \
     can be signed in to.";

const NOT_YOU_ES: &str = "Si no fuiste tú, cambia tu contraseña cuanto antes y revisa en tu cuenta cómo se puede \
     iniciar sesión en ella.";

/// What others have written, unless it reads like a link.
fn harmless(text: &str) -> String {
    greeted(text).unwrap_or_else(|| "—".to_owned())
}

fn factor_in_english(factor: FactorKind, name: &str) -> String {
    let what = match factor {
        FactorKind::Totp => "An authenticator app",
        FactorKind::Passkey => "A passkey",
    };
    format!("{what} ({})", harmless(name))
}

fn factor_in_spanish(factor: FactorKind, name: &str) -> String {
    let what = match factor {
        FactorKind::Totp => "una aplicación de autenticación",
        FactorKind::Passkey => "una llave de acceso",
    };
    format!("{what} ({})", harmless(name))
}

#[expect(clippy::too_many_lines, reason = "a text for each kind of news, one after another")]
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
        News::EmailChange { expires_at, .. } => Words::new(
            "Confirm your new e-mail address",
            "Use this code to move your account to this address:",
        )
        .more(format!("It works once, until {}.", reader.moment(*expires_at)))
        .more("If you didn't ask for it, ignore this message: without the code nothing happens."),
        News::EmailChanged { changed_at } => Words::new(
            "Your e-mail address was changed",
            format!(
                "Your account was moved to another address on {}. This one isn't used any more.",
                reader.moment(*changed_at)
            ),
        )
        .more(
            "If it wasn't you, someone else has your account: write to the people who run \
             this platform at once.",
        ),
        News::DeviceAdded { device, network, signed_in_at, .. } => {
            let words = Words::new(
                "A new sign-in to your account",
                format!(
                    "Someone signed in to your account on {}, on a device that it hadn't been \
                     used on before.",
                    reader.moment(*signed_in_at)
                ),
            )
            .more(format!("The device: {}", harmless(device)));
            let words = match network {
                Some(network) => words.more(format!("The network: {}", harmless(network))),
                None => words,
            };
            words.more(
                "If it was you, there's nothing to do. If it wasn't, change your password at \
                 once: that signs out every device. Then see what your account says of how it \
                 can be signed in to.",
            )
        }
        News::FactorAdded { factor: FactorKind::Passkey, name, added_at } => Words::new(
            "You can sign in by a passkey",
            format!(
                "{} was added to your account on {}.",
                factor_in_english(FactorKind::Passkey, name),
                reader.moment(*added_at)
            ),
        )
        .more(
            "It signs in by itself, without your password. With the password, signing in takes a \
             second step.",
        )
        .more(NOT_YOU_EN),
        News::FactorAdded { factor, name, added_at } => Words::new(
            "Signing in takes one more step",
            format!(
                "{} was added to your account on {}.",
                factor_in_english(*factor, name),
                reader.moment(*added_at)
            ),
        )
        .more(NOT_YOU_EN),
        News::FactorRemoved { factor, name, removed_at } => Words::new(
            "Signing in takes one step less",
            format!(
                "{} was removed from your account on {}.",
                factor_in_english(*factor, name),
                reader.moment(*removed_at)
            ),
        )
        .more(NOT_YOU_EN),
        News::RecoveryCodeUsed { codes_left, used_at } => Words::new(
            "A recovery code was used",
            format!(
                "Someone signed in to your account by a recovery code on {}.",
                reader.moment(*used_at)
            ),
        )
        .more(match codes_left {
            0 => "That was the last one: make new ones.".to_owned(),
            1 => "One is left: make new ones.".to_owned(),
            left => format!("{left} are left."),
        })
        .more(NOT_YOU_EN),
        News::PasskeySuspected { name, noticed_at } => Words::new(
            "One of your passkeys may have been copied",
            format!(
                "Your passkey ({}) was shown on {} as only a copy of it would be. Nobody was let \
                 in by it.",
                harmless(name),
                reader.moment(*noticed_at)
            ),
        )
        .more(
            "Remove it from your account, and add a new one in its place. If it stays, whoever \
             has the copy may get in.",
        ),
        News::IdentityLinked { provider, linked_at } => Words::new(
            format!("You can sign in with {}", harmless(provider)),
            format!(
                "Since {} your account can be signed in to with {}.",
                reader.moment(*linked_at),
                harmless(provider)
            ),
        )
        .more(NOT_YOU_EN),
        News::DataExported { exported_at } => Words::new(
            "Your data was exported",
            format!(
                "Everything that is kept of you was handed out to whoever is signed in to \
                 your account, on {}.",
                reader.moment(*exported_at)
            ),
        )
        .more(NOT_YOU_EN),
        News::AccountClosed { closed_at, erased_at } => Words::new(
            "Your account is closed",
            format!(
                "Your account was closed on {}. Nobody can sign in to it any more.",
                reader.moment(*closed_at)
            ),
        )
        .more(format!("Everything of it is erased on {}.", reader.moment(*erased_at)))
        .more("If it wasn't you, write to the people who run this platform before that."),
        News::Offered { expires_at, .. } => Words::new(
            format!("A seat for you: {course}"),
            format!(
                "A seat in {full} has become free. It's kept for you until {}.",
                reader.moment(*expires_at)
            ),
        )
        .more(
            "Accept it before that: then you're enrolled. Otherwise it goes to the next in line.",
        ),
        News::Completed(_) => Words::new(
            format!("Completed: {course}"),
            format!("You have completed {course}. Congratulations!"),
        ),
        News::CertificateIssued { .. } => Words::new(
            format!("Your certificate: {course}"),
            format!("You have completed {course}, and here is your certificate."),
        )
        .more("Anyone to whom you show it can check there that it's genuine."),
        News::CertificateRevoked { note, .. } => Words::new(
            format!("Your certificate was revoked: {course}"),
            format!("Your certificate of {course} isn't good any more."),
        )
        .more(format!("The reason: {note}")),
        News::Digest { day, .. } => {
            let day = reader.date(day);
            Words::new(format!("Your news of {day}"), "This is what is new for you:")
        }
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
            format!("Your seat in {full} was transferred: you aren't in that section any more."),
        )
        .more("If you have a seat in another section for it, another message tells you of that."),
        News::Reminder { starts_at, .. } => Words::new(
            format!("Reminder: {course}, {}", reader.short(*starts_at)),
            format!("{full} meets on {}.", reader.moment(*starts_at)),
        ),
    }
}

#[expect(clippy::too_many_lines, reason = "a text for each kind of news, one after another")]
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
        News::EmailChange { expires_at, .. } => Words::new(
            "Confirma tu nueva dirección de correo",
            "Usa este código para llevar tu cuenta a esta dirección:",
        )
        .more(format!("Sirve una sola vez, hasta el {}.", reader.moment(*expires_at)))
        .more("Si no lo pediste, ignora este mensaje: sin el código no pasa nada."),
        News::EmailChanged { changed_at } => Words::new(
            "Tu dirección de correo cambió",
            format!(
                "Tu cuenta pasó a otra dirección el {}. Esta ya no se usa.",
                reader.moment(*changed_at)
            ),
        )
        .more(
            "Si no fuiste tú, otra persona tiene tu cuenta: escribe cuanto antes a quienes \
             administran esta plataforma.",
        ),
        News::DeviceAdded { device, network, signed_in_at, .. } => {
            let words = Words::new(
                "Nuevo inicio de sesión en tu cuenta",
                format!(
                    "Alguien inició sesión en tu cuenta el {}, en un dispositivo en el que no \
                     se había usado antes.",
                    reader.moment(*signed_in_at)
                ),
            )
            .more(format!("El dispositivo: {}", harmless(device)));
            let words = match network {
                Some(network) => words.more(format!("La red: {}", harmless(network))),
                None => words,
            };
            words.more(
                "Si fuiste tú, no tienes que hacer nada. Si no, cambia tu contraseña cuanto \
                 antes: así se cierran todas las sesiones. Después revisa en tu cuenta cómo se \
                 puede iniciar sesión en ella.",
            )
        }
        News::FactorAdded { factor: FactorKind::Passkey, name, added_at } => Words::new(
            "Puedes iniciar sesión con una llave de acceso",
            format!(
                "Se añadió a tu cuenta {} el {}.",
                factor_in_spanish(FactorKind::Passkey, name),
                reader.moment(*added_at)
            ),
        )
        .more(
            "Con ella sola se puede iniciar sesión, sin tu contraseña. Con la contraseña hace falta \
             un segundo paso.",
        )
        .more(NOT_YOU_ES),
        News::FactorAdded { factor, name, added_at } => Words::new(
            "Iniciar sesión requiere un paso más",
            format!(
                "Se añadió a tu cuenta {} el {}.",
                factor_in_spanish(*factor, name),
                reader.moment(*added_at)
            ),
        )
        .more(NOT_YOU_ES),
        News::FactorRemoved { factor, name, removed_at } => Words::new(
            "Iniciar sesión requiere un paso menos",
            format!(
                "Se quitó de tu cuenta {} el {}.",
                factor_in_spanish(*factor, name),
                reader.moment(*removed_at)
            ),
        )
        .more(NOT_YOU_ES),
        News::RecoveryCodeUsed { codes_left, used_at } => Words::new(
            "Se usó un código de recuperación",
            format!(
                "Alguien inició sesión en tu cuenta con un código de recuperación el {}.",
                reader.moment(*used_at)
            ),
        )
        .more(match codes_left {
            0 => "Era el último: crea otros nuevos.".to_owned(),
            1 => "Queda uno: crea otros nuevos.".to_owned(),
            left => format!("Quedan {left}."),
        })
        .more(NOT_YOU_ES),
        News::PasskeySuspected { name, noticed_at } => Words::new(
            "Una de tus llaves de acceso puede haber sido copiada",
            format!(
                "El {} se mostró tu llave de acceso ({}) como solo lo haría una copia de ella. \
                 A nadie se le dio acceso.",
                reader.moment(*noticed_at),
                harmless(name)
            ),
        )
        .more(
            "Quítala de tu cuenta y añade otra en su lugar. Mientras siga ahí, quien tenga la \
             copia podría entrar.",
        ),
        News::IdentityLinked { provider, linked_at } => Words::new(
            format!("Puedes iniciar sesión con {}", harmless(provider)),
            format!(
                "Desde el {} se puede iniciar sesión en tu cuenta con {}.",
                reader.moment(*linked_at),
                harmless(provider)
            ),
        )
        .more(NOT_YOU_ES),
        News::DataExported { exported_at } => Words::new(
            "Se exportaron tus datos",
            format!(
                "Todo lo que se guarda de ti se entregó a quien tiene abierta una sesión en \
                 tu cuenta, el {}.",
                reader.moment(*exported_at)
            ),
        )
        .more(NOT_YOU_ES),
        News::AccountClosed { closed_at, erased_at } => Words::new(
            "Tu cuenta está cerrada",
            format!(
                "Tu cuenta se cerró el {}. Ya nadie puede iniciar sesión en ella.",
                reader.moment(*closed_at)
            ),
        )
        .more(format!("Todo lo suyo se borra el {}.", reader.moment(*erased_at)))
        .more("Si no fuiste tú, escribe antes a quienes administran esta plataforma."),
        News::Offered { expires_at, .. } => Words::new(
            format!("Un cupo para ti: {course}"),
            format!(
                "Se liberó un cupo en {full}. Se te reserva hasta el {}.",
                reader.moment(*expires_at)
            ),
        )
        .more("Acéptalo antes: así quedas con inscripción. Si no, pasa a quien sigue."),
        News::Completed(_) => Words::new(
            format!("Curso completado: {course}"),
            format!("Completaste {course}. ¡Felicitaciones!"),
        ),
        News::CertificateIssued { .. } => Words::new(
            format!("Tu certificado: {course}"),
            format!("Completaste {course}, y aquí está tu certificado."),
        )
        .more("Quien lo reciba de ti puede comprobar ahí que es auténtico."),
        News::CertificateRevoked { note, .. } => Words::new(
            format!("Tu certificado fue revocado: {course}"),
            format!("Tu certificado de {course} ya no es válido."),
        )
        .more(format!("El motivo: {note}")),
        News::Digest { day, .. } => {
            let day = reader.date(day);
            Words::new(format!("Tus novedades del {day}"), "Esto es lo nuevo para ti:")
        }
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
            format!("Tu cupo en {full} fue transferido: ya no estás en esa sección."),
        )
        .more("Si a cambio tienes un cupo en otra sección, otro mensaje te lo dice."),
        News::Reminder { starts_at, .. } => Words::new(
            format!("Recordatorio: {course}, {}", reader.short(*starts_at)),
            format!("{full} se reúne el {}.", reader.moment(*starts_at)),
        ),
    }
}
