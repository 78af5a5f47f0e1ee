//! One-time codes: 8 digits that only the owner of a mailbox can read.
//!
//! A code is never stored: it's derived from its id and the platform's secret,
//! by whoever writes the mail and by whoever checks it.

use contracts::identity::CodePurpose;
use runtime::{Secret, prelude::*, same_secret};

use crate::email::Email;

/// The code isn't right, or no longer. Why, isn't told: it would help whoever guesses.
pub const INVALID_CODE: Problem = Problem::invalid(
    "invalid-code",
    "This code isn't right, or no longer good; ask for a new one.",
    "Este código no es correcto o ya no vale; pide uno nuevo.",
);

/// How long a code can be used.
const GOOD_MINUTES: i64 = 15;
/// How often a code can be guessed at.
const GUESSES: u8 = 5;
/// How many mails an address can get at once, and how long it takes until it
/// can get one more: strangers can have them sent, too.
const MAILS_AT_ONCE: i64 = 10;
const MINUTES_A_MAIL: i64 = 3;

/// What a one-time code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CodePurpose")]
pub enum Purpose {
    /// To show that an address is one's own.
    VerifyEmail,
    /// To choose a new password.
    ResetPassword,
    /// To move one's account to another address.
    ChangeEmail,
}

impl Purpose {
    /// What the others are told of it.
    pub const fn told(self) -> CodePurpose {
        match self {
            // It shows that the new address is one's own, too.
            Self::VerifyEmail | Self::ChangeEmail => CodePurpose::VerifyEmail,
            Self::ResetPassword => CodePurpose::ResetPassword,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
        }
    }
}

/// The code of an address for a purpose: there's one at a time, and room for it
/// is there whether or not the address has an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Code {
    id: String,
    /// What the code that was mailed last is derived from; nothing once it's used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailed: Option<String>,
    guesses_left: u8,
    /// Whose account it moves to the address, if it's for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mover: Option<UserId>,
    expires_at: Timestamp,
    /// When the address will be as if it had never been written to (the
    /// "theoretical arrival time" of the generic cell rate algorithm).
    quiet_at: Timestamp,
    forget_at: Timestamp,
}

impl Document for Code {
    const COLLECTION: &'static str = "codes";
    const EXPIRES: Option<&'static str> = Some("forget_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Code {
    /// The code of an address, as it's kept or with nothing in it yet.
    pub async fn of<C>(cx: &Context<C>, email: &Email, purpose: Purpose) -> Result<Stored<Self>> {
        let id = email.key(purpose.name());
        let found = cx.get::<Self>(&id).await?;
        Ok(found.unwrap_or_else(|| Stored::new(Self::none(id, cx.now))))
    }

    const fn none(id: String, now: Timestamp) -> Self {
        Self {
            id,
            mailed: None,
            guesses_left: 0,
            mover: None,
            expires_at: now,
            quiet_at: now,
            forget_at: now,
        }
    }

    /// Takes a new code in place of the old one. Gives its id back, with which
    /// the code is derived when the mail is written; nothing if the address gets
    /// too much mail, and then the last code that was sent stays good.
    pub fn renew(&mut self, code_id: String, now: Timestamp) -> Option<String> {
        if !self.count_mail(now) {
            return None;
        }
        self.mailed = Some(code_id.clone());
        self.guesses_left = GUESSES;
        self.expires_at = now.plus_minutes(GOOD_MINUTES);
        self.keep(now);
        Some(code_id)
    }

    /// Counts one more mail to the address, if one may go; says whether it may.
    pub fn count_mail(&mut self, now: Timestamp) -> bool {
        let quiet_at = self.quiet_at.max(now).plus_minutes(MINUTES_A_MAIL);
        let may = quiet_at <= now.plus_minutes(MAILS_AT_ONCE * MINUTES_A_MAIL);
        if may {
            self.quiet_at = quiet_at;
        }
        self.keep(now);
        may
    }

    /// Whether a guess is right. Right or wrong, it's counted: a code is used
    /// once, and guessed at only so often.
    pub fn redeem(&mut self, guess: &str, secret: &Secret, now: Timestamp) -> bool {
        self.keep(now);
        let mailed =
            self.mailed.as_ref().filter(|_| self.guesses_left > 0 && now < self.expires_at);
        // What can't be right is compared all the same, which takes as long.
        let expected = secret.code(mailed.map_or("", String::as_str));
        let right = same_secret(expected.as_bytes(), guess.as_bytes()) && mailed.is_some();
        self.guesses_left = self.guesses_left.saturating_sub(1);
        if right || self.guesses_left == 0 {
            self.mailed = None;
        }
        right
    }

    /// Remembers it for as long as what it counts matters.
    fn keep(&mut self, now: Timestamp) {
        self.forget_at = self.expires_at.max(self.quiet_at).max(now.plus_minutes(GOOD_MINUTES));
    }

    /// Until when the code can be used.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// The answer to whoever may, or may not, get a mail now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MailPromised {
    /// What to do next.
    status: NextStep,
}

/// What to do next.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NextStep {
    /// See whether a mail has come. It's the answer to everyone: whether an
    /// address has an account, only its owner learns.
    CheckYourMail,
}

impl MailPromised {
    /// The answer to everyone.
    pub const fn new() -> Self {
        Self { status: NextStep::CheckYourMail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn secret() -> Secret {
        Secret::new(&[7; 32])
    }

    fn sent(code_id: &str) -> Code {
        let mut code = Code::none("ada".into(), NOW);
        assert_eq!(code.renew(code_id.into(), NOW).as_deref(), Some(code_id));
        code
    }

    /// A guess that is certainly wrong.
    fn wrong(code_id: &str) -> String {
        let right: u32 = secret().code(code_id).parse().unwrap();
        format!("{:08}", (right + 1) % 100_000_000)
    }

    #[test]
    fn a_code_is_good_once() {
        let mut code = sent("one");
        assert!(code.redeem(&secret().code("one"), &secret(), NOW));
        assert!(!code.redeem(&secret().code("one"), &secret(), NOW));
    }

    #[test]
    fn a_code_is_good_for_15_minutes() {
        let (last, late) = (NOW.plus_seconds(15 * 60 - 1), NOW.plus_minutes(15));
        assert!(sent("one").redeem(&secret().code("one"), &secret(), last));
        assert!(!sent("one").redeem(&secret().code("one"), &secret(), late));
    }

    #[test]
    fn a_code_can_be_guessed_at_five_times() {
        let mut code = sent("one");
        for _ in 0..4 {
            assert!(!code.redeem(&wrong("one"), &secret(), NOW));
        }
        let mut lucky = code.clone();
        assert!(lucky.redeem(&secret().code("one"), &secret(), NOW));
        assert!(!code.redeem(&wrong("one"), &secret(), NOW));
        assert!(!code.redeem(&secret().code("one"), &secret(), NOW));
    }

    #[test]
    fn a_new_code_takes_the_place_of_the_old_one_with_guesses_of_its_own() {
        let mut code = sent("one");
        for _ in 0..5 {
            code.redeem(&wrong("one"), &secret(), NOW);
        }
        code.renew("two".into(), NOW).unwrap();
        assert!(!code.redeem(&secret().code("one"), &secret(), NOW));
        assert!(code.redeem(&secret().code("two"), &secret(), NOW));
    }

    #[test]
    fn where_there_is_no_code_no_guess_is_right() {
        let mut none = Code::none("ada".into(), NOW);
        assert!(!none.redeem(&secret().code(""), &secret(), NOW));
        assert!(!none.redeem("", &secret(), NOW));
    }

    #[test]
    fn an_address_gets_ten_mails_at_once_and_then_one_every_three_minutes() {
        let mut code = Code::none("ada".into(), NOW);
        for number in 0..10 {
            assert!(code.renew(number.to_string(), NOW).is_some());
        }
        assert!(code.renew("one too many".into(), NOW).is_none());
        assert!(code.clone().redeem(&secret().code("9"), &secret(), NOW), "the last stays good");
        let later = NOW.plus_minutes(3);
        assert!(code.renew("after a while".into(), later).is_some());
        assert!(code.renew("too soon".into(), later).is_none());
    }

    #[test]
    fn what_is_counted_is_not_forgotten_too_soon() {
        let mut code = sent("one");
        assert!(code.forget_at >= code.expires_at);
        for number in 0..9 {
            code.renew(number.to_string(), NOW);
        }
        assert!(code.forget_at >= NOW.plus_minutes(30));
    }
}
