//! What a link's signature covers, and whether one is good.

use std::collections::BTreeMap;

use contracts::Timestamp;
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode,
};
use runtime::{FileName, Secret, same_secret};

/// What is signed beside the method and the name.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    /// When the link stops working.
    pub expires_at: Timestamp,
    /// The headers that must be sent.
    pub headers: &'a BTreeMap<String, String>,
    /// The parameters in the URL.
    pub parameters: &'a BTreeMap<String, String>,
}

/// What needs no escape in a URL (RFC 3986).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const IN_PATH: &AsciiSet = &PLAIN.remove(b'/');

/// A name as it's written in a URL's path.
pub(super) fn path_of(name: &FileName) -> String {
    utf8_percent_encode(name.as_str(), IN_PATH).to_string()
}

impl Signed<'_> {
    /// The query of a link.
    pub(super) fn query(&self, secret: &Secret, method: &str, name: &FileName) -> String {
        let seconds = self.expires_at.as_seconds();
        let signature = self.signature(secret, method, name);
        let escaped = |(name, value): (&String, &String)| {
            format!("{name}={}", percent_encode(value.as_bytes(), PLAIN))
        };
        let mut pairs: Vec<_> = self.parameters.iter().map(escaped).collect();
        pairs.extend([format!("expires={seconds}"), format!("signature={signature}")]);
        pairs.join("&")
    }

    fn signature(&self, secret: &Secret, method: &str, name: &FileName) -> String {
        let seconds = self.expires_at.as_seconds().to_string();
        // How many there are keeps a header apart from a parameter.
        let counts = [self.headers.len().to_string(), self.parameters.len().to_string()];
        let mut parts = vec![method, name.as_str(), &seconds, &counts[0], &counts[1]];
        for (name, value) in self.headers.iter().chain(self.parameters) {
            parts.extend([name.as_str(), value.as_str()]);
        }
        secret.seal_text("file-link", &parts)
    }
}

/// What a query says.
#[derive(Debug)]
pub(super) struct Query {
    pub expires_at: Timestamp,
    pub parameters: BTreeMap<String, String>,
    signature: String,
}

impl Query {
    /// Reads a query; nothing, if it's none of ours.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let mut parameters = BTreeMap::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decode_str(value).decode_utf8().ok()?;
            let another = parameters.insert(name.to_owned(), value.into_owned());
            if another.is_some() {
                return None;
            }
        }
        let seconds: i64 = parameters.remove("expires")?.parse().ok()?;
        let expires_at = Timestamp::from_millis(seconds.checked_mul(1000)?);
        let signature = parameters.remove("signature")?;
        Some(Self { expires_at, parameters, signature })
    }

    /// Whether the platform has signed this, for this method, name and headers.
    pub(super) fn is_ours(
        &self,
        secret: &Secret,
        method: &str,
        name: &FileName,
        headers: &BTreeMap<String, String>,
    ) -> bool {
        let Self { expires_at, parameters, signature } = self;
        let signed = Signed { expires_at: *expires_at, headers, parameters };
        same_secret(signed.signature(secret, method, name).as_bytes(), signature.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_header_is_no_parameter() {
        let (secret, name) = (Secret::new(&[7; 32]), FileName::parse("a").unwrap());
        let expires_at = Timestamp::from_millis(60_000);
        let (some, none) = (map(&[("generation", "7")]), map(&[]));
        let as_header = Signed { expires_at, headers: &some, parameters: &none };
        let query = as_header.query(&secret, "GET", &name);
        let read = Query::parse(&query).unwrap();
        assert!(read.is_ours(&secret, "GET", &name, &some));
        assert!(!read.is_ours(&secret, "GET", &name, &none));
        let as_parameter = Query::parse(&format!("generation=7&{query}")).unwrap();
        assert!(!as_parameter.is_ours(&secret, "GET", &name, &none));
    }

    #[test]
    fn what_is_no_query_of_ours_is_not_read() {
        for query in [
            "",
            "expires=1",
            "signature=x",
            "expires=x&signature=x",
            "expires=1&signature",
            "expires=1&expires=2&signature=x",
            "expires=9223372036854775807&signature=x",
            "expires=1&signature=%ff",
        ] {
            assert!(Query::parse(query).is_none(), "{query}");
        }
    }
}
