//! Codes of an authenticator app (RFC 6238): six digits that change every 30
//! seconds, made of a secret that the app and the platform share.

use aws_lc_rs::hmac;
use runtime::{prelude::*, same_secret};

/// How long a code lasts, in seconds.
const STEP_SECONDS: i64 = 30;
/// How many steps an app's clock may be off.
const STEPS_OFF: i64 = 1;
/// The length of a secret, in bytes: that of the hash, as the standard says.
pub const SECRET_LENGTH: usize = 20;

/// The letters of Base32 (RFC 4648), which authenticator apps read.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A secret as people copy it.
pub fn written(secret: &[u8]) -> String {
    let bit = |number: usize| secret[number / 8] >> (7 - number % 8) & 1;
    let bits: Vec<u8> = (0..secret.len() * 8).map(bit).collect();
    let letter = |bits: &[u8]| {
        let number = bits.iter().fold(0_u8, |sum, bit| sum << 1 | bit);
        char::from(LETTERS[usize::from(number << (5 - bits.len()))])
    };
    bits.chunks(5).map(letter).collect()
}

/// A secret as it was written.
pub fn read(text: &str) -> Option<Vec<u8>> {
    let number = |it: u8| LETTERS.iter().position(|letter| *letter == it);
    let numbers: Option<Vec<usize>> = text.bytes().map(number).collect();
    let bits: Vec<u8> = numbers?
        .into_iter()
        .flat_map(|it| (0..5).rev().map(move |bit| u8::from((it >> bit) & 1 == 1)))
        .collect();
    let byte = |bits: &[u8]| bits.iter().fold(0_u8, |sum, bit| sum << 1 | bit);
    Some(bits.chunks_exact(8).map(byte).collect())
}

/// The address that an app reads off a QR code.
pub fn address(secret: &str, issuer: &str, account: &str) -> String {
    let escaped = |text: &str| {
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
        text.bytes()
            .map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") })
            .collect::<String>()
    };
    let (issuer, account) = (escaped(issuer), escaped(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
    )
}

/// The step in which a code is right, if it's right about now and in a later
/// step than the last that was used: a code is used once.
pub fn step_of(secret: &[u8], code: &str, last: i64, now: Timestamp) -> Option<i64> {
    let current = now.as_seconds().div_euclid(STEP_SECONDS);
    // All are compared, so that the time doesn't tell which it was.
    let steps = (current - STEPS_OFF)..=(current + STEPS_OFF);
    let right = |step: &i64| same_secret(code_at(secret, *step).as_bytes(), code.as_bytes());
    steps.filter(right).fold(None, |_, step| Some(step)).filter(|step| *step > last)
}

/// The code of a step.
pub fn code_at(secret: &[u8], step: i64) -> String {
    // What the standard names, and apps can: a collision of SHA-1 doesn't help here.
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0xf);
    let number =
        tag[offset..offset + 4].iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

/// The step of a time.
#[cfg(test)]
pub const fn step_at(seconds: i64) -> i64 {
    seconds.div_euclid(STEP_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the standard's test vectors.
    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.plus_seconds(seconds)
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(SECRET, step_at(seconds)), code);
            assert_eq!(step_of(SECRET, code, 0, at(seconds)), Some(step_at(seconds)));
        }
    }

    #[test]
    fn a_code_is_right_for_half_a_minute_before_and_after_and_once() {
        let step = step_at(1_111_111_111);
        let start = step * STEP_SECONDS;
        let right = |seconds, last| step_of(SECRET, "050471", last, at(seconds)).is_some();
        assert!(right(start - 30, 0) && right(start + 59, 0));
        assert!(!right(start - 31, 0) && !right(start + 60, 0));
        assert!(right(start, step - 1) && !right(start, step));
        for wrong in ["", "050472", "50471", "0504710", "05047１"] {
            assert_eq!(step_of(SECRET, wrong, 0, at(start)), None, "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_written_as_apps_read_it() {
        // RFC 4648, §10.
        assert_eq!(written(b"foobar"), "MZXW6YTBOI");
        assert_eq!(written(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(read("MZXW6YTBOI").as_deref(), Some(&b"foobar"[..]));
        assert_eq!(read("no"), None);
    }

    #[test]
    fn the_address_names_who_and_where() {
        let address = address("GEZD", "aula.example:8080", "a+b@c.example");
        assert!(
            address
                .starts_with("otpauth://totp/aula.example%3A8080:a%2Bb%40c.example?secret=GEZD&")
        );
    }
}
