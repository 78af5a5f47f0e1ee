//! Whether a link's signature is good, computed anew as Cloud Storage's
//! documentation of V4 signatures says.

use std::fmt::Write as _;

use aws_lc_rs::{
    digest,
    signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents},
};
use axum::http::request::Parts;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use runtime::token::PublicKey;

use crate::fake::{Refused, refused};

/// What needs no escape (RFC 3986).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Refuses a request that isn't exactly the one that was signed, or comes too late.
pub fn check(parts: &Parts, now: Timestamp, account: &str, key: &PublicKey) -> Result<(), Refused> {
    let query = parts.uri.query().unwrap_or_default();
    let mut pairs: Vec<_> = query
        .split('&')
        .filter_map(|it| it.split_once('='))
        .map(|(n, v)| (decoded(n), decoded(v)))
        .collect();
    pairs.sort();
    let value = |name: &str| {
        let mut found = pairs.iter().filter(|(it, _)| it == name);
        let value = found.next().filter(|_| found.next().is_none());
        value.map(|(_, value)| value.as_str()).ok_or_else(|| refused(403, "AccessDenied"))
    };
    let date = value("X-Goog-Date")?;
    let expires = value("X-Goog-Expires")?;
    let malformed = || refused(400, "AuthenticationQueryParametersError");
    if value("X-Goog-Algorithm")? != "GOOG4-RSA-SHA256" {
        return Err(malformed());
    }
    let credential = value("X-Goog-Credential")?;
    let (who, scope) = credential.split_once('/').ok_or_else(malformed)?;
    let day = date.get(..8).ok_or_else(malformed)?;
    if who != account || scope != format!("{day}/auto/storage/goog4_request") {
        return Err(malformed());
    }

    let signed_headers = value("X-Goog-SignedHeaders")?;
    let signed: Vec<_> = signed_headers.split(';').collect();
    if !signed.contains(&"host") || !signed.is_sorted() {
        return Err(malformed());
    }
    let is_unsigned = |name: &str| name.starts_with("x-goog-") && !signed.contains(&name);
    if parts.headers.keys().any(|it| is_unsigned(it.as_str())) {
        return Err(refused(400, "HeadersNotSigned"));
    }
    let mut headers = Vec::new();
    for name in &signed {
        let sent =
            parts.headers.get(*name).ok_or_else(|| refused(400, "MalformedSecurityHeader"))?;
        let sent = sent.to_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        // The client signs the host without its port; the real one has none.
        let sent = if *name == "host" { sent.split(':').next().unwrap().to_owned() } else { sent };
        headers.push(format!("{name}:{sent}\n"));
    }

    let canonical = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let query: Vec<_> = pairs
        .iter()
        .filter(|(name, _)| name != "X-Goog-Signature")
        .map(|(name, value)| format!("{}={}", canonical(name), canonical(value)))
        .collect();
    let (method, path, query) = (&parts.method, parts.uri.path(), query.join("&"));
    let headers = headers.concat();
    let request =
        format!("{method}\n{path}\n{query}\n{headers}\n{signed_headers}\nUNSIGNED-PAYLOAD");
    let hash = hexadecimal(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let to_sign = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{hash}");

    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let key = RsaPublicKeyComponents { n: part(&key.n), e: part(&key.e) };
    let signature = bytes(value("X-Goog-Signature")?).ok_or_else(malformed)?;
    key.verify(&RSA_PKCS1_2048_8192_SHA256, to_sign.as_bytes(), &signature)
        .map_err(|_| refused(403, "SignatureDoesNotMatch"))?;

    let signed_at = moment(date).ok_or_else(malformed)?;
    let expires: i64 =
        expires.parse().ok().filter(|it| (1..=604_800).contains(it)).ok_or_else(malformed)?;
    if signed_at > now.plus_minutes(15) {
        return Err(refused(403, "RequestTimeTooSkewed"));
    }
    if now > signed_at.plus_seconds(expires) {
        return Err(refused(400, "ExpiredToken"));
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    if !hexadecimal.is_ascii() || !hexadecimal.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..hexadecimal.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).ok()).collect()
}

/// A `20261122T070000Z`.
fn moment(date: &str) -> Option<Timestamp> {
    let (day, time) = (date.get(..8)?, date.get(9..15)?);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    text.parse().ok()
}
