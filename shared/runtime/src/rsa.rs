//! RSA keys, private and public, in the forms that they are kept and told in.

use anyhow::{Context as _, anyhow};
use aws_lc_rs::{
    digest,
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{self, KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};

use crate::token::PublicKey;

/// An RSA key that signs.
pub struct RsaKey {
    public: PublicKey,
    pair: KeyPair,
}

impl RsaKey {
    /// A new key of 2048 bits; it takes a tenth of a second to make.
    pub fn generate() -> anyhow::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048);
        Ok(Self::of(pair.map_err(|_| anyhow!("no RSA key could be made"))?))
    }

    /// A key that exists already: PKCS#8 in PEM.
    pub fn of_pem(pem: &str) -> anyhow::Result<Self> {
        let der = der(pem, "PRIVATE KEY")?;
        let pair = KeyPair::from_pkcs8(&der);
        Ok(Self::of(pair.map_err(|why| anyhow!("this isn't an RSA key: {why}"))?))
    }

    /// The key as PKCS#8 in PEM.
    pub fn to_pem(&self) -> anyhow::Result<String> {
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&self.pair);
        let der = der.map_err(|_| anyhow!("the RSA key can't be written"))?;
        let text = BASE64_STANDARD.encode(der.as_ref());
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        for line in text.as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line)?);
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    fn of(pair: KeyPair) -> Self {
        let key = pair.public_key();
        let n = key.modulus().big_endian_without_leading_zero();
        let public = PublicKey::of(n, key.exponent().big_endian_without_leading_zero());
        Self { public, pair }
    }

    /// What it's checked with.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256.
    pub fn sign(&self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| anyhow!("the RSA key can't sign"))?;
        Ok(signature)
    }
}

impl PublicKey {
    /// A public key in PEM (RFC 5280), as Cloud KMS tells it.
    pub fn of_pem(pem: &str) -> anyhow::Result<Self> {
        let key = rsa::PublicKey::from_der(&der(pem, "PUBLIC KEY")?);
        let key = key.map_err(|why| anyhow!("this isn't a public RSA key: {why}"))?;
        let n = key.modulus().big_endian_without_leading_zero();
        Ok(Self::of(n, key.exponent().big_endian_without_leading_zero()))
    }

    fn of(n: &[u8], e: &[u8]) -> Self {
        let base64 = |number: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(number);
        let (n, e) = (base64(n), base64(e));
        // The key's thumbprint (RFC 7638): the same key has the same id everywhere.
        let jwk = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let kid = base64(digest::digest(&digest::SHA256, jwk.as_bytes()).as_ref());
        Self { kid, n, e }
    }
}

/// What stands between the lines of a PEM.
fn der(pem: &str, label: &str) -> anyhow::Result<Vec<u8>> {
    let (begins, ends) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let (_, rest) =
        pem.split_once(&begins).with_context(|| format!("this isn't a {label} in PEM"))?;
    let (text, _) = rest.split_once(&ends).with_context(|| format!("the {label} is cut off"))?;
    let text: String = text.split_whitespace().collect();
    BASE64_STANDARD.decode(text).with_context(|| format!("the {label} isn't Base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_pem_and_other_texts_are_none() {
        let key = RsaKey::generate().unwrap();
        let same = RsaKey::of_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(key.public(), same.public());
        assert_eq!(key.sign(b"a").unwrap(), same.sign(b"a").unwrap());
        for broken in ["", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PUBLIC KEY-----"] {
            assert!(RsaKey::of_pem(broken).is_err(), "{broken}");
            assert!(PublicKey::of_pem(broken).is_err(), "{broken}");
        }
    }
}
