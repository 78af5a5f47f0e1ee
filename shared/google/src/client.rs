//! Asking another domain: its function is another service, and knows us by an
//! ID token.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use contracts::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runtime::{
    Bytes, Client, Clock, Outgoing, Random, Trace,
    calling::{Patient, Sent, Way},
    deadline,
};

use crate::{Http, Peers, identity::Metadata};

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The way to the other domains' services.
pub struct ServiceClient(Patient<Services>);

struct Services {
    peers: Peers,
    http: Arc<Http>,
    metadata: Arc<Metadata>,
}

impl ServiceClient {
    /// The way to these services.
    pub fn new(
        peers: Peers,
        http: Arc<Http>,
        metadata: Arc<Metadata>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self(Patient::new(Services { peers, http, metadata }, clock, random))
    }
}

#[async_trait]
impl Client for ServiceClient {
    async fn send(&self, request: Outgoing, trace: &Trace) -> anyhow::Result<(u16, Bytes)> {
        self.0.send(request, trace).await
    }
}

#[async_trait]
impl Way for Services {
    fn peer(&self, operation: &'static str) -> anyhow::Result<String> {
        let base = self.peers.of(operation);
        base.with_context(|| format!("AULA_PEERS doesn't say where {operation} is"))
    }

    async fn send_once(
        &self,
        base: &str,
        request: &Outgoing,
        trace: &Trace,
        within: Duration,
    ) -> Sent {
        let url = url(base, request);
        let token = match self.metadata.id_token(origin(base)).await {
            Ok(token) => token,
            Err(error) => return Sent::NotBegun(format!("{error:#}")),
        };
        let client = match self.http.client(&url) {
            Ok(client) => client,
            Err(error) => return Sent::NotBegun(format!("{error:#}")),
        };
        let method = match request.route.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        };
        // Cloud Run looks at the second header and takes its signature away; the
        // first one reaches the function as it is, which checks it too.
        let mut sent = client
            .request(method, &url)
            .timeout(within)
            .header(deadline::HEADER, within.as_millis().to_string())
            .bearer_auth(&token)
            .header("x-serverless-authorization", format!("Bearer {token}"))
            .header("traceparent", trace.traceparent());
        if request.route.method.has_body() {
            sent = sent
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(request.body.clone());
        }
        // An error's own text has the address in it, and that has ids.
        let told = |error: reqwest::Error| anyhow::Error::from(error.without_url());
        match sent.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                match response.bytes().await {
                    Ok(body) => Sent::Answered(status, body),
                    Err(error) => Sent::Unknown(format!("{:#}", told(error))),
                }
            }
            Err(error) if error.is_connect() || error.is_builder() => {
                Sent::NotBegun(format!("{:#}", told(error)))
            }
            Err(error) => Sent::Unknown(format!("{:#}", told(error))),
        }
    }
}

/// Where a request goes.
fn url(base: &str, request: &Outgoing) -> String {
    let segment = |segment: &str| {
        let field = segment.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        let value = field.and_then(|field| request.path.iter().find(|(name, _)| *name == field));
        match value {
            Some((_, value)) => utf8_percent_encode(value, SEGMENT).to_string(),
            None => segment.to_owned(),
        }
    };
    let path: Vec<_> = request.route.path.split('/').map(segment).collect();
    let mut url = format!("{base}{}", path.join("/"));
    if !request.query.is_empty() {
        url.push('?');
        url.push_str(&request.query);
    }
    url
}

/// The scheme and the host of an address: a service's audience.
fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |it| it + 3);
    let end = url[begin..].find('/').map_or(url.len(), |it| begin + it);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_a_scheme_and_a_host() {
        assert_eq!(origin("https://a.example/x/y"), "https://a.example");
        assert_eq!(origin("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_fields_value_is_one_segment_of_the_path() {
        let request = Outgoing {
            operation: "identity.get_contact",
            route: contracts::Route::get("/internal/contacts/{user_id}/x"),
            path: vec![("user_id".into(), "a/b c".to_owned())],
            query: "q=1".to_owned(),
            body: Bytes::new(),
        };
        let expected = "https://a.example/internal/contacts/a%2Fb%20c/x?q=1";
        assert_eq!(url("https://a.example", &request), expected);
    }
}
