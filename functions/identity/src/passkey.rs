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
        ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
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
        verification(algorithm)?;
        decoded(public_key)?;
        is_it.then(|| Self {
            credential_id: shown.id.to_string(),
            public_key: public_key.to_string(),
            algorithm,
            count: data.count,
        })
    }

    /// Whether it has signed this challenge on this site, its person being there and known to it.
    pub fn has_signed(&mut self, shown: &PasskeyShown, challenge: &str, site: &Site<'_>) -> bool {
        self.count_of(shown, challenge, site).is_some_and(|count| {
            self.count = count;
            true
        })
    }

    fn count_of(&self, shown: &PasskeyShown, challenge: &str, site: &Site<'_>) -> Option<u32> {
        check_client_data(shown, "webauthn.get", challenge, site)?;
        let bytes = decoded(&shown.authenticator_data)?;
        let data = authenticator_data(&bytes, site)?;
        // One that counts and doesn't go on was copied.
        let goes_on = data.count > self.count || (data.count == 0 && self.count == 0);
        if *shown.id != *self.credential_id || !goes_on {
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
        pub origin: String,
        pub host: String,
        pub count: u32,
        pub flags: u8,
    }

    const ID: &[u8] = b"a-credential-id-";

    impl Authenticator {
        pub fn new() -> Self {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            let (origin, host) = ("https://aula.example".to_owned(), "aula.example".to_owned());
            Self { key, origin, host, count: 0, flags: USER_PRESENT | USER_VERIFIED }
        }

        fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
            let origin = &self.origin;
            json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false })
                .to_string()
                .into_bytes()
        }

        fn data(&mut self, flags: u8) -> Vec<u8> {
            self.count += 1;
            let hash = digest::digest(&digest::SHA256, self.host.as_bytes());
            [hash.as_ref(), &[self.flags | flags], &self.count.to_be_bytes()].concat()
        }

        pub fn make(&mut self, challenge: &str) -> Value {
            let length = u16::try_from(ID.len()).unwrap().to_be_bytes();
            let mut data = self.data(HAS_CREDENTIAL);
            data.extend([&[0; 16][..], &length, ID, b"the key in CBOR"].concat());
            let key: PublicKeyX509Der<'_> = self.key.public_key().as_der().unwrap();
            json!({
                "id": encoded(ID),
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
            json!({
                "id": encoded(ID),
                "client_data_json": encoded(&client),
                "authenticator_data": encoded(&data),
                "signature": encoded(signature.as_ref()),
            })
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
        assert!(!passkey.clone().has_signed(&shown, "c3", &SITE));
        let elsewhere = Site { origin: "https://evil.example", host: "evil.example" };
        assert!(!passkey.clone().has_signed(&shown, "c2", &elsewhere));
        assert!(passkey.has_signed(&shown, "c2", &SITE));
        assert!(!passkey.has_signed(&shown, "c2", &SITE), "its count doesn't go on");
    }

    #[test]
    fn what_was_signed_elsewhere_or_by_another_or_while_nobody_was_there_is_nothing() {
        let mut device = Authenticator::new();
        let passkey = made(&mut device);
        let signed = |device: &mut Authenticator| {
            passkey.clone().has_signed(&read(device.sign("c2")), "c2", &SITE)
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
