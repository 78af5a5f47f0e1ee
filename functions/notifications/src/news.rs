//! News: what a message tells, as it is kept until the message is written.
//!
//! It holds ids and facts, never a code or an address: those are looked up, or
//! derived, when the message is written.

use contracts::{
    courses::SectionId,
    enrollments::{CancelReason, EnrollmentId},
    identity::CodePurpose,
};
use runtime::{derived_id, prelude::*};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A code that shows that an address is one's own.
    VerifyEmail,
    /// A code with which to choose a new password.
    ResetPassword,
    /// Someone registered with the person's address again.
    RegistrationRepeated,
    /// The person's password was changed.
    PasswordChanged,
    /// The person has a seat.
    Enrolled,
    /// The person waits for a seat.
    Waitlisted,
    /// The person's request for a seat waits for an instructor's word.
    Requested,
    /// An instructor refused the request.
    Rejected,
    /// The person waited for a seat and has it now.
    Promoted,
    /// The section has other dates.
    Rescheduled,
    /// The person isn't in the section any more.
    Cancelled,
    /// A meeting is about to begin.
    Reminder,
}

impl Kind {
    /// Its name, as it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::RegistrationRepeated => "registration_repeated",
            Self::PasswordChanged => "password_changed",
            Self::Enrolled => "enrolled",
            Self::Waitlisted => "waitlisted",
            Self::Requested => "requested",
            Self::Rejected => "rejected",
            Self::Promoted => "promoted",
            Self::Rescheduled => "rescheduled",
            Self::Cancelled => "cancelled",
            Self::Reminder => "reminder",
        }
    }
}

/// The enrollment that news is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The enrollment.
    pub enrollment_id: EnrollmentId,
    /// Its section.
    pub section_id: SectionId,
    /// The enrollment's revision that the news tells of.
    pub revision: u64,
    /// How often the person's own coming and going had changed their calendar by then.
    pub turns: u32,
}

/// What a message tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum News {
    /// A one-time code was asked for.
    Code {
        /// What it is for.
        purpose: CodePurpose,
        /// The code to derive.
        code_id: String,
        /// Until when it can be used.
        expires_at: Timestamp,
    },
    /// Someone registered with the person's address again.
    RegistrationRepeated {
        /// When.
        at: Timestamp,
    },
    /// The person's password was changed.
    PasswordChanged {
        /// When.
        changed_at: Timestamp,
    },
    /// The person has a seat.
    Enrolled(About),
    /// The person waited for a seat and has it now.
    Promoted(About),
    /// The person waits for a seat.
    Waitlisted {
        /// The enrollment.
        about: About,
        /// Their place in the queue when they joined it.
        position: u32,
    },
    /// The person's request for a seat waits for an instructor's word.
    Requested(About),
    /// An instructor refused the request.
    Rejected {
        /// The enrollment.
        about: About,
        /// What the instructor wrote.
        note: Option<String>,
    },
    /// The section has other dates.
    Rescheduled {
        /// The enrollment.
        about: About,
        /// The section's calendar sequence with the new dates.
        sequence: u32,
        /// The calendar sequence that the person knew of before.
        former_sequence: u32,
    },
    /// The person isn't in the section any more.
    Cancelled {
        /// The enrollment.
        about: About,
        /// Why.
        why: CancelReason,
        /// Whether they had a seat, and so the dates in their calendar.
        had_seat: bool,
    },
    /// A meeting is about to begin.
    Reminder {
        /// The enrollment.
        about: About,
        /// The meeting.
        meeting_id: String,
        /// When it begins.
        starts_at: Timestamp,
        /// How long before that the person is reminded, in minutes.
        minutes_before: u32,
    },
}

impl News {
    /// What it is about.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Code { purpose: CodePurpose::VerifyEmail, .. } => Kind::VerifyEmail,
            Self::Code { purpose: CodePurpose::ResetPassword, .. } => Kind::ResetPassword,
            Self::RegistrationRepeated { .. } => Kind::RegistrationRepeated,
            Self::PasswordChanged { .. } => Kind::PasswordChanged,
            Self::Enrolled(_) => Kind::Enrolled,
            Self::Promoted(_) => Kind::Promoted,
            Self::Waitlisted { .. } => Kind::Waitlisted,
            Self::Requested(_) => Kind::Requested,
            Self::Rejected { .. } => Kind::Rejected,
            Self::Rescheduled { .. } => Kind::Rescheduled,
            Self::Cancelled { .. } => Kind::Cancelled,
            Self::Reminder { .. } => Kind::Reminder,
        }
    }

    /// The enrollment that it is about, if it is about one.
    pub const fn about(&self) -> Option<&About> {
        match self {
            Self::Code { .. }
            | Self::RegistrationRepeated { .. }
            | Self::PasswordChanged { .. } => None,
            Self::Enrolled(about)
            | Self::Promoted(about)
            | Self::Requested(about)
            | Self::Waitlisted { about, .. }
            | Self::Rejected { about, .. }
            | Self::Rescheduled { about, .. }
            | Self::Cancelled { about, .. }
            | Self::Reminder { about, .. } => Some(about),
        }
    }

    /// Whether it belongs into the person's list of notifications: a code
    /// doesn't, for it proves that one reads the mail.
    pub const fn is_listed(&self) -> bool {
        !matches!(self, Self::Code { .. })
    }

    /// The resource that it is about.
    pub fn reference(&self, user_id: &UserId) -> String {
        match self.about() {
            Some(about) => format!("enrollments/{}", about.enrollment_id),
            None => format!("users/{user_id}"),
        }
    }

    /// The id of its message: the same fact never makes two.
    pub fn id(&self, user_id: &UserId) -> String {
        let occurrence = self.occurrence();
        let (kind, reference) = (self.kind().as_str(), self.reference(user_id));
        derived_id(&[kind, user_id.as_str(), &reference, &occurrence])
    }

    /// What sets it apart from other news of its kind about the same resource.
    fn occurrence(&self) -> String {
        match self {
            Self::Code { code_id, .. } => code_id.clone(),
            // Once an hour: else anyone could fill anyone's mailbox by registering again and again.
            Self::RegistrationRepeated { at } => (at.as_seconds() / 3600).to_string(),
            Self::PasswordChanged { changed_at } => changed_at.to_string(),
            Self::Enrolled(about)
            | Self::Promoted(about)
            | Self::Requested(about)
            | Self::Waitlisted { about, .. }
            | Self::Rejected { about, .. }
            | Self::Cancelled { about, .. } => about.revision.to_string(),
            Self::Rescheduled { sequence, .. } => sequence.to_string(),
            Self::Reminder { meeting_id, starts_at, minutes_before, .. } => {
                format!("{meeting_id} {minutes_before} {starts_at}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fact_has_the_same_id_and_another_has_another() {
        let user_id = UserId::from("ada");
        let about = |revision| About {
            enrollment_id: "e1".into(),
            section_id: "s1".into(),
            revision,
            turns: 0,
        };
        let id = |news: News| news.id(&user_id);
        assert_eq!(id(News::Enrolled(about(1))), id(News::Enrolled(about(1))));
        assert_ne!(id(News::Enrolled(about(1))), id(News::Enrolled(about(3))));
        assert_ne!(id(News::Enrolled(about(1))), id(News::Promoted(about(1))));
    }

    #[test]
    fn of_repeated_registrations_one_an_hour_is_told() {
        let user_id = UserId::from("ada");
        let id = |at: &str| News::RegistrationRepeated { at: at.parse().unwrap() }.id(&user_id);
        assert_eq!(id("2026-03-02T12:00:00Z"), id("2026-03-02T12:59:59Z"));
        assert_ne!(id("2026-03-02T12:00:00Z"), id("2026-03-02T13:00:00Z"));
    }

    #[test]
    fn a_kind_is_named_as_json_writes_it() {
        for kind in [Kind::VerifyEmail, Kind::RegistrationRepeated, Kind::Reminder] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
