//! An e-mail address, in the one form that it is known by.

use std::{borrow::Cow, fmt};

use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};
use runtime::derived_id;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// An e-mail address, normalized: lower case, Unicode's form NFC, the domain as
/// DNS has it (`münchen.example` is `xn--mnchen-3ya.example`).
///
/// Two spellings of one mailbox are one address here, and mail goes to this
/// spelling only, never to what somebody typed: so nobody can have the code of
/// an account sent to a mailbox that merely looks like its owner's.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// The longest address, and the longest part before the `@`, in bytes (RFC 5321 §4.5.3).
const LONGEST: usize = 254;
const LONGEST_LOCAL: usize = 64;

const INVALID: &str = "invalid-email: an address looks like name@example.org";
const TOO_LONG: &str = "too-long: an address has at most 254 characters, 64 of them before the @";

impl Email {
    /// The address, if it's one: `reason: explanation` if not.
    ///
    /// Quoted names, comments and addresses of machines (`"a b"@c`, `a(b)@c`,
    /// `a@[192.0.2.1]`) are allowed by the standard and used by nobody but
    /// those who look for holes.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.chars().count() > LONGEST {
            return Err(TOO_LONG);
        }
        let (local, domain) = text.split_once('@').ok_or(INVALID)?;
        let (local, domain) = (local_part(local)?, domain_part(domain)?);
        let address = format!("{local}@{domain}");
        if address.len() > LONGEST { Err(TOO_LONG) } else { Ok(Self(address)) }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the address is known by in the store, for some purpose: a document's
    /// key may not say who has an account.
    pub fn key(&self, purpose: &str) -> String {
        derived_id(&[purpose, &self.0])
    }
}

/// The part before the `@`: dots between runs of letters, digits and a few signs.
fn local_part(text: &str) -> Result<String, &'static str> {
    let small: String = text.nfc().collect::<String>().to_lowercase().nfc().collect();
    let is_fine = |it: char| match it {
        'a'..='z' | '0'..='9' => true,
        _ if it.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(it),
        // Letters of all scripts; nothing that is invisible, turns around or only decorates.
        _ => it.is_alphanumeric() || is_combining_mark(it),
    };
    let fits = small.split('.').all(|run| !run.is_empty() && run.chars().all(is_fine));
    match fits {
        true if small.len() > LONGEST_LOCAL => Err(TOO_LONG),
        true => Ok(small),
        false => Err(INVALID),
    }
}

/// The part after the `@`: a host's name with a dot in it, and no address of a machine.
fn domain_part(text: &str) -> Result<Cow<'_, str>, &'static str> {
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let domain = Uts46::new().to_ascii(text.as_bytes(), deny, hyphens, DnsLength::Verify);
    let domain = domain.map_err(|_| INVALID)?;
    let (_, top) = domain.rsplit_once('.').ok_or(INVALID)?;
    if top.bytes().all(|byte| byte.is_ascii_digit()) { Err(INVALID) } else { Ok(domain) }
}

impl fmt::Debug for Email {
    /// Addresses stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for Email {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Email".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "email", "maxLength": LONGEST })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normalized(text: &str) -> String {
        Email::new(text).unwrap_or_else(|reason| panic!("{text}: {reason}")).0
    }

    #[test]
    fn spellings_of_one_mailbox_are_one_address() {
        assert_eq!(normalized("Ada.Lovelace+Math@Example.ORG"), "ada.lovelace+math@example.org");
        assert_eq!(normalized("jose\u{301}@example.org"), "josé@example.org");
        assert_eq!(normalized("ada@MÜNCHEN.example"), "ada@xn--mnchen-3ya.example");
        assert_eq!(normalized("ada@mu\u{308}nchen。example"), "ada@xn--mnchen-3ya.example");
        assert_eq!(normalized("ada@xn--mnchen-3ya.example"), "ada@xn--mnchen-3ya.example");
        assert_eq!(normalized("mi\u{212a}e@example.org"), "mike@example.org");
        assert_eq!(normalized("o'brien@example.co.uk"), "o'brien@example.co.uk");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.org",
            "ada@example",
            "ada@@example.org",
            "ada@home@example.org",
            " ada@example.org",
            "ada@example.org ",
            "ada lovelace@example.org",
            "ada@exam ple.org",
            "ada\t@example.org",
            "ada\0@example.org",
            "ada@example.org\r\nBcc: eve@example.org",
            "ada\r\n@example.org",
            "\"ada\"@example.org",
            "ada(a comment)@example.org",
            "Ada <ada@example.org>",
            "ada,eve@example.org",
            "ada;eve@example.org",
            "ada\\@example.org",
            ".ada@example.org",
            "ada.@example.org",
            "a..da@example.org",
            "ada@.example.org",
            "ada@example..org",
            "ada@example.org.",
            "ada@-example.org",
            "ada@exam_ple.org",
            "ada@[192.0.2.1]",
            "ada@192.0.2.1",
            "ada@example.123",
            "ada\u{202e}@example.org",
            "a\u{200d}da@example.org",
            "a\u{ad}da@example.org",
            "ada\u{feff}@example.org",
            "ada@exam\u{202e}ple.org",
            "ada@xn--a.example",
            "🦀@example.org",
        ] {
            assert_eq!(Email::new(text).err(), Some(INVALID), "{text:?}");
        }
    }

    #[test]
    fn an_address_has_a_bounded_length_in_bytes() {
        let of = |local: usize, domain: usize| {
            let domain = "d.".repeat(domain / 2);
            Email::new(&format!("{}@{domain}org", "a".repeat(local)))
        };
        assert!(of(64, 100).is_ok());
        assert_eq!(of(65, 100).err(), Some(TOO_LONG));
        assert_eq!(of(64, 300).err(), Some(TOO_LONG));
        assert_eq!(Email::new(&format!("{}@example.org", "é".repeat(33))).err(), Some(TOO_LONG));
        assert!(Email::new(&format!("a@{}.org", "d".repeat(64))).is_err());
    }

    #[test]
    fn an_address_is_known_by_another_key_for_each_purpose() {
        let email = Email::new("ada@example.org").unwrap();
        assert_ne!(email.key("account"), email.key("code"));
        assert!(!email.key("account").contains("ada"));
        assert_eq!(format!("{email:?}"), "Email(…)");
    }

    proptest! {
        #[test]
        fn a_normalized_address_is_its_own_normal_form(text in "\\PC{1,20}@\\PC{1,12}\\.\\PC{1,5}") {
            if let Ok(email) = Email::new(&text) {
                let again = Email::new(email.as_str());
                prop_assert_eq!(again.as_ref(), Ok(&email));
                prop_assert!(!email.as_str().chars().any(|it| it.is_whitespace() || it.is_control()));
            }
        }

        #[test]
        fn any_text_is_an_address_or_refused(text in any::<String>()) {
            let _either = Email::new(&text);
        }
    }
}
