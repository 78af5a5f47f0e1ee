//! A certificate: that somebody has completed a course, for anyone to check.

use contracts::{
    courses::{CourseId, SectionId},
    enrollments::{CertificateId, EnrollmentId},
};
use runtime::{derived_id, prelude::*};

use crate::enrollment::Enrollment;

/// There's no such certificate.
pub const CERTIFICATE_NOT_FOUND: Problem = Problem::not_found(
    "certificate-not-found",
    "There is no such certificate.",
    "No existe ese certificado.",
);

/// A certificate as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its id, made of its enrollment: it's issued once.
    pub id: CertificateId,
    /// Of which enrollment.
    pub enrollment_id: EnrollmentId,
    /// Whose.
    pub user_id: UserId,
    /// Of which course.
    pub course_id: CourseId,
    /// In which section of it.
    pub section_id: SectionId,
    /// The course's title, as it was.
    pub course_title: String,
    /// The holder's name, as it was.
    pub holder_name: String,
    /// When the course was completed.
    pub completed_at: Timestamp,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Since when it's no longer good, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub revision: u64,
}

/// That a certificate is no longer good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Since when.
    pub at: Timestamp,
    /// Why, in the words of whoever revoked it.
    pub reason: String,
}

impl Document for Certificate {
    const COLLECTION: &'static str = "certificates";
    const INDEXES: &'static [Index] = &[Index::descending("issued_at").equals(&["user_id"])];
    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Certificate {
    /// The id of an enrollment's certificate. It can't be guessed by who knows
    /// neither person nor section, and tells neither.
    pub fn id_of(enrollment_id: &EnrollmentId) -> CertificateId {
        derived_id(&["certificate", enrollment_id.as_str()]).into()
    }

    /// The certificate of somebody who has completed a course.
    pub fn of(
        enrollment: &Enrollment,
        completed_at: Timestamp,
        course_title: &str,
        holder_name: &str,
        now: Timestamp,
    ) -> Self {
        Self {
            id: Self::id_of(&enrollment.id),
            enrollment_id: enrollment.id.clone(),
            user_id: enrollment.user_id.clone(),
            course_id: enrollment.course_id.clone(),
            section_id: enrollment.section_id.clone(),
            course_title: course_title.to_owned(),
            holder_name: holder_name.to_owned(),
            completed_at,
            issued_at: now,
            revoked: None,
            updated_at: now,
            revision: 1,
        }
    }

    /// Is good no longer; whether it was until now.
    pub fn revoke(&mut self, reason: &str, now: Timestamp) -> bool {
        if self.revoked.is_some() {
            return false;
        }
        self.revoked = Some(Revoked { at: now, reason: reason.to_owned() });
        self.updated_at = now;
        self.revision += 1;
        true
    }

    /// Where its page is, for people.
    pub fn url(&self, public_url: &str) -> String {
        format!("{public_url}/v1/certificates/{}/page", self.id)
    }

    /// What anyone may know of it.
    pub fn facts(&self, public_url: &str) -> CertificateFacts {
        CertificateFacts {
            id: self.id.clone(),
            state: if self.revoked.is_some() {
                CertificateState::Revoked
            } else {
                CertificateState::Valid
            },
            holder_initials: initials(&self.holder_name),
            course_id: self.course_id.clone(),
            course_title: self.course_title.clone(),
            completed_at: self.completed_at,
            issued_at: self.issued_at,
            revoked_at: self.revoked.as_ref().map(|revoked| revoked.at),
            url: self.url(public_url),
        }
    }

    /// The same as its operations answer it.
    pub fn view(&self, public_url: &str, jws: String) -> CertificateView {
        CertificateView {
            facts: self.facts(public_url),
            jws,
            created_at: self.issued_at,
            updated_at: self.updated_at,
            etag: self.revision.to_string(),
        }
    }
}

/// The first letters of a name's words: enough for who has the person before
/// them, and not the name.
fn initials(name: &str) -> String {
    let first = |word: &str| word.chars().find(|it| it.is_alphanumeric());
    let letters = name.split_whitespace().filter_map(first);
    let letters: Vec<_> =
        letters.take(5).map(|letter| format!("{}.", letter.to_uppercase())).collect();
    letters.join(" ")
}

/// Whether a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    /// It's good.
    Valid,
    /// It was taken back, and is good no longer.
    Revoked,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateFacts {
    /// The certificate's id.
    pub id: CertificateId,
    /// Whether it's good.
    pub state: CertificateState,
    /// The first letters of its holder's name.
    pub holder_initials: String,
    /// The course.
    pub course_id: CourseId,
    /// The course's title when it was completed.
    pub course_title: String,
    /// When the course was completed.
    pub completed_at: Timestamp,
    /// When the certificate was issued.
    pub issued_at: Timestamp,
    /// Since when it's good no longer.
    pub revoked_at: Option<Timestamp>,
    /// Its page, for people.
    pub url: String,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Certificate")]
pub struct CertificateView {
    /// What it says.
    #[serde(flatten)]
    pub facts: CertificateFacts,
    /// The same facts, signed just now (`iat`): a compact JWS whose claim
    /// `statement` has them. Check it with the keys at `/.well-known/jwks.json`.
    /// What was signed long ago may name a key that signs no more: ask again.
    pub jws: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub etag: String,
}

/// The facts of a certificate, for tests.
#[cfg(test)]
pub fn tests_facts(course_title: &str) -> CertificateFacts {
    let at = |text: &str| text.parse().expect("a time");
    CertificateFacts {
        id: "c0ffee".into(),
        state: CertificateState::Valid,
        holder_initials: "A. L.".to_owned(),
        course_id: "c1".into(),
        course_title: course_title.to_owned(),
        completed_at: at("2026-11-22T10:00:00Z"),
        issued_at: at("2026-11-22T10:00:01Z"),
        revoked_at: None,
        url: "https://aula.example/v1/certificates/c0ffee/page".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_letters_of_whatever_script_and_no_name() {
        assert_eq!(initials("Ada Lovelace"), "A. L.");
        assert_eq!(initials("  josé   (ñato) peña "), "J. Ñ. P.");
        assert_eq!(initials("王小明"), "王.");
        assert_eq!(initials("- "), "");
    }
}
