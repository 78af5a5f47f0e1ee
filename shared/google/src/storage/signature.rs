//! A link's signature (V4), for what the official client's own can't write.

use std::{collections::BTreeMap, fmt::Write as _};

use aws_lc_rs::digest;
use google_cloud_auth::signer::Signer;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Settings, links::Wanted};

/// What needs no escape (RFC 3986).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const IN_PATH: &AsciiSet = &PLAIN.remove(b'/');

/// A link to an object that isn't sent any headers: one to fetch it.
pub(super) async fn url(
    settings: &Settings,
    signer: &Signer,
    method: &str,
    wanted: &Wanted<'_>,
) -> anyhow::Result<String> {
    anyhow::ensure!(wanted.headers.is_empty(), "an upload's signature has no parameters");
    let (seconds, now) = wanted.lasts;
    let date = now.as_jiff().strftime("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/auto/storage/goog4_request", &date[..8]);
    let mut parameters: BTreeMap<&str, String> = BTreeMap::from([
        ("X-Goog-Algorithm", "GOOG4-RSA-SHA256".to_owned()),
        ("X-Goog-Credential", format!("{}/{scope}", signer.client_email().await?)),
        ("X-Goog-Date", date.clone()),
        ("X-Goog-Expires", seconds.to_string()),
        ("X-Goog-SignedHeaders", "host".to_owned()),
    ]);
    parameters.extend(wanted.parameters.iter().map(|(name, value)| (&**name, value.clone())));
    let escaped = |(name, value): (&&str, &String)| {
        format!("{}={}", utf8_percent_encode(name, PLAIN), utf8_percent_encode(value, PLAIN))
    };
    let query = parameters.iter().map(escaped).collect::<Vec<_>>().join("&");

    let path =
        format!("/{}/{}", settings.bucket, utf8_percent_encode(wanted.name.as_str(), IN_PATH));
    let (_, host) = settings.url().split_once("://").unwrap_or_default();
    // As the client does it: the port, which Cloud Storage has none of, isn't signed.
    let host = host.split(':').next().unwrap_or_default();
    let request = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let to_sign = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{}", sum(request.as_bytes()));
    let signature = hexadecimal(&signer.sign(to_sign).await?);
    Ok(format!("{}{path}?{query}&X-Goog-Signature={signature}", settings.url()))
}

fn sum(bytes: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
