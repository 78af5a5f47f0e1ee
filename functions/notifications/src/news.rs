//! News: what a message tells, as it is kept until the message is written.
//!
//! It holds ids and facts, never a code or an address: those are looked up, or
//! derived, when the message is written.

use contracts::{
    courses::SectionId,
    enrollments::{CancelReason, CertificateId, EnrollmentId},
    identity::{CodePurpose, FactorKind},
};
use runtime::{derived_id, prelude::*};

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// It concerns the account's safety: it's always sent, and at once.
    Security,
    /// It decides something about a seat or a certificate: it's always sent.
    Binding,
    /// The person may do without.
    Optional,
}

/// Declares the kinds of messages, each with its name and its rank.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $rank:ident,)+) => {
        /// What a message is about.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// Its name, as it is written in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// How much it matters.
            pub const fn rank(self) -> Rank {
                match self {
                    $(Self::$kind => Rank::$rank,)+
                }
            }
        }
    };
}

kinds! {
    /// A code that shows that an address is one's own.
    VerifyEmail "verify_email" Security,
    /// A code with which to choose a new password.
    ResetPassword "reset_password" Security,
    /// A code with which to move the account to another address.
    ChangeEmail "change_email" Security,
    /// Someone registered with the person's address again.
    RegistrationRepeated "registration_repeated" Security,
    /// The person's password was changed.
    PasswordChanged "password_changed" Security,
    /// The person's account has another address; the one before is told.
    EmailChanged "email_changed" Security,
    /// The account was used on a new device.
    DeviceAdded "device_added" Security,
    /// Signing in takes one more thing.
    FactorAdded "factor_added" Security,
    /// Signing in takes one thing less.
    FactorRemoved "factor_removed" Security,
    /// Someone signed in by a recovery code.
    RecoveryCodeUsed "recovery_code_used" Security,
    /// One of the person's passkeys may have been copied.
    PasskeySuspected "passkey_suspected" Security,
    /// The account can be signed in to by another provider.
    IdentityLinked "identity_linked" Security,
    /// Someone got everything that is kept of the person.
    DataExported "data_exported" Security,
    /// The account is closed.
    AccountClosed "account_closed" Security,
    /// The person has a seat.
    Enrolled "enrolled" Binding,
    /// The person waits for a seat.
    Waitlisted "waitlisted" Optional,
    /// The person's request for a seat waits for an instructor's word.
    Requested "requested" Optional,
    /// An instructor refused the request.
    Rejected "rejected" Binding,
    /// The person waited for a seat and has it now.
    Promoted "promoted" Binding,
    /// The person is offered a seat for a while.
    Offered "offered" Binding,
    /// The section has other dates.
    Rescheduled "rescheduled" Optional,
    /// The person isn't in the section any more.
    Cancelled "cancelled" Binding,
    /// A meeting is about to begin.
    Reminder "reminder" Optional,
    /// The person has completed the course.
    Completed "completed" Optional,
    /// The person has a certificate.
    CertificateIssued "certificate_issued" Optional,
    /// The person's certificate isn't good any more.
    CertificateRevoked "certificate_revoked" Binding,
    /// All that the person wants to hear of once a day.
    Digest "digest" Optional,
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
    /// A code was asked for that moves the account to another address: it goes there.
    EmailChange {
        /// The code to derive.
        code_id: String,
        /// Until when it can be used.
        expires_at: Timestamp,
    },
    /// The account has another address; the one before is told.
    EmailChanged {
        /// When.
        changed_at: Timestamp,
    },
    /// The account was used on a new device.
    DeviceAdded {
        /// The session there.
        session_id: String,
        /// What the device says it is.
        device: String,
        /// The network that it was used from.
        network: Option<String>,
        /// When.
        signed_in_at: Timestamp,
    },
    /// Signing in takes one more thing.
    FactorAdded {
        /// What.
        factor: FactorKind,
        /// What the person calls it.
        name: String,
        /// When.
        added_at: Timestamp,
    },
    /// Signing in takes one thing less.
    FactorRemoved {
        /// What.
        factor: FactorKind,
        /// What the person called it.
        name: String,
        /// When.
        removed_at: Timestamp,
    },
    /// Someone signed in by a recovery code.
    RecoveryCodeUsed {
        /// How many are left.
        codes_left: u32,
        /// When.
        used_at: Timestamp,
    },
    /// One of the person's passkeys may have been copied.
    PasskeySuspected {
        /// What the person calls it.
        name: String,
        /// When it was shown.
        noticed_at: Timestamp,
    },
    /// The account can be signed in to by another provider.
    IdentityLinked {
        /// The provider.
        provider: String,
        /// When.
        linked_at: Timestamp,
    },
    /// Someone got everything that is kept of the person.
    DataExported {
        /// When.
        exported_at: Timestamp,
    },
    /// The account is closed.
    AccountClosed {
        /// When.
        closed_at: Timestamp,
        /// When everything of it is erased.
        erased_at: Timestamp,
    },
    /// The person has a seat.
    Enrolled(About),
    /// The person is offered a seat for a while.
    Offered {
        /// The enrollment.
        about: About,
        /// From when on the offer is worth nothing.
        expires_at: Timestamp,
    },
    /// The person has completed the course.
    Completed(About),
    /// The person has a certificate.
    CertificateIssued {
        /// The enrollment.
        about: About,
        /// The certificate.
        certificate_id: CertificateId,
    },
    /// The person's certificate isn't good any more.
    CertificateRevoked {
        /// The enrollment.
        about: About,
        /// The certificate.
        certificate_id: CertificateId,
        /// Why, in the words of whoever revoked it.
        note: String,
    },
    /// All that the person wants to hear of once a day.
    Digest {
        /// The digest.
        digest_id: String,
        /// The day, on the person's clock: `2026-03-02`.
        day: String,
    },
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
            Self::EmailChange { .. } => Kind::ChangeEmail,
            Self::EmailChanged { .. } => Kind::EmailChanged,
            Self::DeviceAdded { .. } => Kind::DeviceAdded,
            Self::FactorAdded { .. } => Kind::FactorAdded,
            Self::FactorRemoved { .. } => Kind::FactorRemoved,
            Self::RecoveryCodeUsed { .. } => Kind::RecoveryCodeUsed,
            Self::PasskeySuspected { .. } => Kind::PasskeySuspected,
            Self::IdentityLinked { .. } => Kind::IdentityLinked,
            Self::DataExported { .. } => Kind::DataExported,
            Self::AccountClosed { .. } => Kind::AccountClosed,
            Self::Offered { .. } => Kind::Offered,
            Self::Completed(_) => Kind::Completed,
            Self::CertificateIssued { .. } => Kind::CertificateIssued,
            Self::CertificateRevoked { .. } => Kind::CertificateRevoked,
            Self::Digest { .. } => Kind::Digest,
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
            | Self::PasswordChanged { .. }
            | Self::EmailChange { .. }
            | Self::EmailChanged { .. }
            | Self::DeviceAdded { .. }
            | Self::FactorAdded { .. }
            | Self::FactorRemoved { .. }
            | Self::RecoveryCodeUsed { .. }
            | Self::PasskeySuspected { .. }
            | Self::IdentityLinked { .. }
            | Self::DataExported { .. }
            | Self::AccountClosed { .. }
            | Self::Digest { .. } => None,
            Self::Enrolled(about)
            | Self::Completed(about)
            | Self::Offered { about, .. }
            | Self::CertificateIssued { about, .. }
            | Self::CertificateRevoked { about, .. }
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
    /// doesn't, for it proves that one reads the mail; nor does a digest, all of
    /// which is there already.
    pub const fn is_listed(&self) -> bool {
        !matches!(self, Self::Code { .. } | Self::EmailChange { .. } | Self::Digest { .. })
    }

    /// The code that it carries, by its id, and until when that can be used.
    pub fn code(&self) -> Option<(&str, Timestamp)> {
        match self {
            Self::Code { code_id, expires_at, .. } | Self::EmailChange { code_id, expires_at } => {
                Some((code_id, *expires_at))
            }
            _ => None,
        }
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
            Self::Code { code_id, .. } | Self::EmailChange { code_id, .. } => code_id.clone(),
            // Once an hour: else anyone could fill anyone's mailbox by registering again and again.
            Self::RegistrationRepeated { at } => (at.as_seconds() / 3600).to_string(),
            Self::PasswordChanged { changed_at: at }
            | Self::EmailChanged { changed_at: at }
            | Self::RecoveryCodeUsed { used_at: at, .. }
            | Self::IdentityLinked { linked_at: at, .. }
            | Self::DataExported { exported_at: at }
            | Self::AccountClosed { closed_at: at, .. } => at.to_string(),
            Self::FactorAdded { name, added_at: at, .. }
            | Self::FactorRemoved { name, removed_at: at, .. } => format!("{name} {at}"),
            // Once an hour: whoever has the copy may show it again and again.
            Self::PasskeySuspected { name, noticed_at } => {
                format!("{name} {}", noticed_at.as_seconds() / 3600)
            }
            Self::DeviceAdded { session_id, .. } => session_id.clone(),
            Self::CertificateIssued { certificate_id, .. }
            | Self::CertificateRevoked { certificate_id, .. } => certificate_id.to_string(),
            Self::Digest { day, .. } => day.clone(),
            Self::Enrolled(about)
            | Self::Completed(about)
            | Self::Offered { about, .. }
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
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
