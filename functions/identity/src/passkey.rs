//! Passkeys (`WebAuthn`): keys that a person's device or key ring holds for this
//! platform alone, and signs with when they are there.
//!
//! No attestation is asked for: which make of authenticator it is, is nobody's
//! business here, and so a new key is taken as the browser gives it (its
//! `toJSON()` has it ready to check with). What counts is that later signatures
//! are of that key, over our challenge, on our site.

use aws_lc_rs::{
    digest,
    signature::{
        ECDSA_P256_SHA256_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use runtime::{prelude::*, same_secret};

/// What a browser's `navigator.credentials` gives, as its `toJSON()` writes it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyShown {
    /// The credential's id, base64url.
    pub id: Line<1, 1400>,
    /// `response.clientDataJSON`, base64url.
    pub client_data_json: Line<1, 4000>,
    /// `response.authenticatorData`, base64url.
    pub authenticator_data: Line<1, 4000>,
    /// `response.publicKey`, base64url; when the passkey is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Line<1, 2000>>,
    /// `response.publicKeyAlgorithm`: -7 or -257; when the passkey is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_algorithm: Option<i32>,
    /// `response.signature`, base64url; when the passkey is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Line<1, 2000>>,
    /// `response.userHandle`, base64url, which says whose the passkey is; required where nobody is
    /// named otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_handle: Option<Line<1, 100>>,
}

impl PasskeyShown {
    /// Whose it says that it is, which nothing has shown yet; nothing if it's no id at all.
    pub fn user_id(&self) -> Option<UserId> {
        let bytes = decoded(self.user_handle.as_ref()?)?;
        serde_json::from_value(String::from_utf8(bytes).ok()?.into()).ok()
    }
}

/// What has come of showing something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It's right.
    Right,
    /// It isn't.
    Wrong,
    /// The key has signed, but its count of signatures has been passed: there are two of it.
    Copied,
}

impl From<bool> for Verdict {
    fn from(right: bool) -> Self {
        if right { Self::Right } else { Self::Wrong }
    }
}

/// A passkey, as it's kept: nothing of it is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Passkey {
    credential_id: String,
    /// In DER (RFC 5280), base64url.
    public_key: String,
    algorithm: i32,
    /// How often it has signed, where its authenticator counts.
    count: u32,
    /// Whether it lets nobody in alone: the password was reset since it was last shown with one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    second_only: bool,
}

/// What a browser is asked to see to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PasskeyRequirement")]
pub enum Requirement {
    /// Without it there's no passkey.
    Required,
}

/// ECDSA on P-256 with SHA-256, which nearly every authenticator has.
pub const ES256: i32 = -7;
/// RSASSA-PKCS1-v1_5 with SHA-256, which older ones of Windows have instead.
pub const RS256: i32 = -257;

/// Where a passkey is good.
pub struct Site<'a> {
    /// The platform's address, without a path: `https://aula.example`.
    origin: &'a str,
    /// Its host's name.
    host: &'a str,
}

impl<'a> Site<'a> {
    /// The site at the platform's address.
    pub fn of(public_url: &'a str) -> Self {
        let begin = public_url.find("://").map_or(0, |it| it + 3);
        let end = public_url[begin..].find('/').map_or(public_url.len(), |it| begin + it);
        let authority = &public_url[begin..end];
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => host,
            _ => authority,
        };
        Self { origin: &public_url[..end], host }
    }

    /// What the platform is to authenticators: its relying party's id.
    pub const fn host(&self) -> &'a str {
        self.host
    }
}

/// What the browser says that was signed.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// What the authenticator says: it begins with a hash of the site, flags and a count.
struct AuthenticatorData<'a> {
    flags: u8,
    count: u32,
    rest: &'a [u8],
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const HAS_CREDENTIAL: u8 = 1 << 6;

impl Passkey {
    /// The passkey that was just made; nothing if it wasn't for this challenge and site.
    pub fn made(shown: &PasskeyShown, challenge: &str, site: &Site<'_>) -> Option<Self> {
        check_client_data(shown, "webauthn.create", challenge, site)?;
        let bytes = decoded(&shown.authenticator_data)?;
        let data = authenticator_data(&bytes, site)?;
        // After 16 bytes for the make: the length of the id, and the id.
        let (length, rest) = data.rest.get(16..)?.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let is_it =
            data.flags & HAS_CREDENTIAL != 0 && *rest.get(..length)? == *decoded(&shown.id)?;
        let (algorithm, public_key) = (shown.public_key_algorithm?, shown.public_key.as_ref()?);
        // What can't be checked later would lock its person out.
        ParsedPublicKey::new(verification(algorithm)?, decoded(public_key)?).ok()?;
        is_it.then(|| Self {
            credential_id: shown.id.to_string(),
            public_key: public_key.to_string(),
            algorithm,
            count: data.count,
            second_only: false,
        })
    }

    /// Whether it has signed this challenge on this site, its person being there and known to it.
    pub fn has_signed(
        &mut self,
        shown: &PasskeyShown,
        challenge: &str,
        site: &Site<'_>,
    ) -> Verdict {
        let Some(count) = self.count_of(shown, challenge, site) else { return Verdict::Wrong };
        // One that counts and doesn't go on was copied.
        if count <= self.count && (count, self.count) != (0, 0) {
            return Verdict::Copied;
        }
        self.count = count;
        Verdict::Right
    }

    /// What its authenticator counted when it signed this, if it did.
    fn count_of(&self, shown: &PasskeyShown, challenge: &str, site: &Site<'_>) -> Option<u32> {
        check_client_data(shown, "webauthn.get", challenge, site)?;
        let bytes = decoded(&shown.authenticator_data)?;
        let data = authenticator_data(&bytes, site)?;
        if *shown.id != *self.credential_id {
            return None;
        }
        let hash = digest::digest(&digest::SHA256, &decoded(&shown.client_data_json)?);
        let message = [&bytes, hash.as_ref()].concat();
        let signature = decoded(shown.signature.as_ref()?)?;
        let key = decoded(&self.public_key)?;
        let key = UnparsedPublicKey::new(verification(self.algorithm)?, key);
        key.verify(&message, &signature).ok()?;
        Some(data.count)
    }

    /// Whether it lets its person in alone.
    pub const fn is_enough(&self) -> bool {
        !self.second_only
    }

    /// From now on it's enough alone, or only a second factor.
    pub const fn suffice(&mut self, alone: bool) {
        self.second_only = !alone;
    }

    /// What the browser finds it by.
    pub fn credential_id(&self) -> &str {
        &self.credential_id
    }
}

fn verification(algorithm: i32) -> Option<&'static dyn VerificationAlgorithm> {
    match algorithm {
        ES256 => Some(&ECDSA_P256_SHA256_ASN1),
        RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}

fn check_client_data(
    shown: &PasskeyShown,
    kind: &str,
    challenge: &str,
    site: &Site<'_>,
) -> Option<()> {
    let data: ClientData = serde_json::from_slice(&decoded(&shown.client_data_json)?).ok()?;
    let is_ours = data.kind == kind && data.origin == site.origin && !data.cross_origin;
    (is_ours && same_secret(data.challenge.as_bytes(), challenge.as_bytes())).then_some(())
}

fn authenticator_data<'a>(bytes: &'a [u8], site: &Site<'_>) -> Option<AuthenticatorData<'a>> {
    let (hash, rest) = bytes.split_at_checked(32)?;
    let (flags, rest) = rest.split_first()?;
    let (count, rest) = rest.split_at_checked(4)?;
    let is_ours = *hash == *digest::digest(&digest::SHA256, site.host.as_bytes()).as_ref();
    let needed = USER_PRESENT | USER_VERIFIED;
    let count = u32::from_be_bytes(count.try_into().ok()?);
    (is_ours && flags & needed == needed).then_some(AuthenticatorData {
        flags: *flags,
        count,
        rest,
    })
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

/// An authenticator in software, for the tests.
#[cfg(test)]
pub mod software {
    use aws_lc_rs::{
        encoding::{AsDer, PublicKeyX509Der},
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
    };
    use testing::{Value, json};

    use super::*;

    /// A device that holds one passkey.
    pub struct Authenticator {
        key: EcdsaKeyPair,
        /// Whose passkey it is, as the platform said when it was made; it's shown if there's one.
        pub user_handle: String,
        pub origin: String,
        pub host: String,
        pub count: u32,
        /// Whether it counts; most that are copied between devices don't.
        pub counts: bool,
        pub flags: u8,
    }

    impl Authenticator {
        pub fn new() -> Self {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            let (origin, host) = ("https://aula.example".to_owned(), "aula.example".to_owned());
            let (user_handle, flags) = (String::new(), USER_PRESENT | USER_VERIFIED);
            Self { key, user_handle, origin, host, count: 0, counts: true, flags }
        }

        /// The credential's id: no two devices have the same.
        fn id(&self) -> &[u8] {
            &self.key.public_key().as_ref()[1..17]
        }

        fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
            let origin = &self.origin;
            json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false })
                .to_string()
                .into_bytes()
        }

        fn data(&mut self, flags: u8) -> Vec<u8> {
            self.count += u32::from(self.counts);
            let hash = digest::digest(&digest::SHA256, self.host.as_bytes());
            [hash.as_ref(), &[self.flags | flags], &self.count.to_be_bytes()].concat()
        }

        pub fn make(&mut self, challenge: &str) -> Value {
            let length = u16::try_from(self.id().len()).unwrap().to_be_bytes();
            let mut data = self.data(HAS_CREDENTIAL);
            data.extend([&[0; 16][..], &length, self.id(), b"the key in CBOR"].concat());
            let key: PublicKeyX509Der<'_> = self.key.public_key().as_der().unwrap();
            json!({
                "id": encoded(self.id()),
                "client_data_json": encoded(&self.client_data("webauthn.create", challenge)),
                "authenticator_data": encoded(&data),
                "public_key": encoded(key.as_ref()),
                "public_key_algorithm": ES256,
            })
        }

        pub fn sign(&mut self, challenge: &str) -> Value {
            let (data, client) = (self.data(0), self.client_data("webauthn.get", challenge));
            let hash = digest::digest(&digest::SHA256, &client);
            let message = [&data, hash.as_ref()].concat();
            let signature = self.key.sign(&SystemRandom::new(), &message).unwrap();
            let mut shown = json!({
                "id": encoded(self.id()),
                "client_data_json": encoded(&client),
                "authenticator_data": encoded(&data),
                "signature": encoded(signature.as_ref()),
            });
            if !self.user_handle.is_empty() {
                shown["user_handle"] = json!(encoded(self.user_handle.as_bytes()));
            }
            shown
        }
    }

    fn encoded(bytes: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{software::Authenticator, *};

    const SITE: Site<'static> = Site { origin: "https://aula.example", host: "aula.example" };

    fn read(shown: testing::Value) -> PasskeyShown {
        serde_json::from_value(shown).unwrap()
    }

    fn made(device: &mut Authenticator) -> Passkey {
        Passkey::made(&read(device.make("c1")), "c1", &SITE).unwrap()
    }

    #[test]
    fn a_passkey_signs_one_challenge_on_one_site() {
        let mut device = Authenticator::new();
        let mut passkey = made(&mut device);
        let shown = read(device.sign("c2"));
        assert_eq!(passkey.has_signed(&shown, "c3", &SITE), Verdict::Wrong);
        let elsewhere = Site { origin: "https://evil.example", host: "evil.example" };
        assert_eq!(passkey.has_signed(&shown, "c2", &elsewhere), Verdict::Wrong);
        assert_eq!(passkey.has_signed(&shown, "c2", &SITE), Verdict::Right);
    }

    #[test]
    fn what_was_signed_elsewhere_or_by_another_or_while_nobody_was_there_is_nothing() {
        let mut device = Authenticator::new();
        let passkey = made(&mut device);
        let signed = |device: &mut Authenticator| {
            passkey.clone().has_signed(&read(device.sign("c2")), "c2", &SITE) == Verdict::Right
        };
        let mut another = Authenticator::new();
        another.count = 9;
        assert!(!signed(&mut another));
        device.origin = "https://evil.example".to_owned();
        assert!(!signed(&mut device));
        device.origin = "https://aula.example".to_owned();
        device.host = "evil.example".to_owned();
        assert!(!signed(&mut device));
        device.host = "aula.example".to_owned();
        for flags in [0, USER_PRESENT, USER_VERIFIED] {
            device.flags = flags;
            assert!(!signed(&mut device), "{flags}");
        }
        device.flags = USER_PRESENT | USER_VERIFIED;
        assert!(signed(&mut device));
    }

    #[test]
    fn of_a_passkey_that_counts_a_copy_is_noticed() {
        let mut device = Authenticator::new();
        let mut passkey = made(&mut device);
        let mut show =
            |device: &mut Authenticator| passkey.has_signed(&read(device.sign("c2")), "c2", &SITE);
        assert_eq!(show(&mut device), Verdict::Right);
        device.count -= 1;
        assert_eq!(show(&mut device), Verdict::Copied);
        let mut another = Authenticator::new();
        assert_eq!(show(&mut another), Verdict::Wrong, "what another signs says nothing of it");
        assert_eq!(show(&mut device), Verdict::Right);
    }

    #[test]
    fn a_passkey_that_does_not_count_is_good_again_and_again() {
        let mut device = Authenticator::new();
        device.counts = false;
        let mut passkey = made(&mut device);
        for challenge in ["c2", "c3"] {
            let shown = read(device.sign(challenge));
            assert_eq!(passkey.has_signed(&shown, challenge, &SITE), Verdict::Right);
        }
    }

    #[test]
    fn whose_a_passkey_says_that_it_is_is_an_id_or_nothing() {
        let mut device = Authenticator::new();
        let said = |device: &mut Authenticator| read(device.sign("c1")).user_id();
        assert_eq!(said(&mut device), None);
        device.user_handle = "ada".to_owned();
        assert_eq!(said(&mut device), Some("ada".into()));
        for other in ["../ada", "a/b", "__é__", "\0", &"x".repeat(65)] {
            device.user_handle = other.to_owned();
            assert_eq!(said(&mut device), None, "{other}");
        }
    }

    #[test]
    fn a_passkey_is_made_for_one_challenge_on_one_site() {
        let mut device = Authenticator::new();
        let shown = read(device.make("c1"));
        assert!(Passkey::made(&shown, "c2", &SITE).is_none());
        let mut other_id = shown.clone();
        other_id.id = Line::new("AAAA").unwrap();
        assert!(Passkey::made(&other_id, "c1", &SITE).is_none());
        let mut cut = shown.clone();
        cut.authenticator_data = Line::new(&shown.authenticator_data[..48]).unwrap();
        assert!(Passkey::made(&cut, "c1", &SITE).is_none());
        let mut unknown = shown.clone();
        unknown.public_key_algorithm = Some(-8);
        assert!(Passkey::made(&unknown, "c1", &SITE).is_none());
        let mut no_key = shown.clone();
        no_key.public_key = Some(Line::new("AAAA").unwrap());
        assert!(Passkey::made(&no_key, "c1", &SITE).is_none());
        assert!(Passkey::made(&shown, "c1", &SITE).is_some());
    }

    #[test]
    fn a_site_is_its_address_without_a_path() {
        let site = Site::of("http://localhost:8080/aula");
        assert_eq!((site.origin, site.host), ("http://localhost:8080", "localhost"));
        let site = Site::of("https://aula.example");
        assert_eq!((site.origin, site.host), ("https://aula.example", "aula.example"));
    }
}
