//! What a request was sent by, as far as that can be told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, header};

/// What a request was sent by. Whoever sends it writes most of this as they
/// like, so it's shown to people and counted by, and never trusted.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// The address that it came from.
    pub address: Option<IpAddr>,
    /// What the device says it is: its `User-Agent`.
    pub agent: Option<String>,
    cookies: Option<String>,
}

/// The longest header that is looked at, in bytes.
const LONGEST: usize = 4096;

impl Sender {
    /// The sender of a request with these headers.
    pub fn of(address: Option<IpAddr>, headers: &HeaderMap) -> Self {
        let text = |name| {
            let text = headers.get(name).and_then(|it| it.to_str().ok());
            text.filter(|it| it.len() <= LONGEST).map(str::to_owned)
        };
        Self { address, agent: text(header::USER_AGENT), cookies: text(header::COOKIE) }
    }

    /// The network that it came from: all that is told or kept of an address.
    /// A household or a school shares one, and who has one has all of it.
    pub fn network(&self) -> Option<String> {
        Some(match self.address?.to_canonical() {
            IpAddr::V4(it) => {
                let network = Ipv4Addr::from(it.to_bits() & (u32::MAX << 8));
                format!("{network}/24")
            }
            IpAddr::V6(it) => {
                let network = Ipv6Addr::from(it.to_bits() & (u128::MAX << 80));
                format!("{network}/48")
            }
        })
    }

    /// What the browser remembers under a name.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.cookies.as_deref()?.split(';');
        let mut pairs = cookies.filter_map(|it| it.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Option<String> {
        let address = Some(address.parse().unwrap());
        Sender { address, ..Sender::default() }.network()
    }

    #[test]
    fn of_an_address_only_its_network_is_told() {
        assert_eq!(network("203.0.113.77").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(network("::ffff:203.0.113.77").as_deref(), Some("203.0.113.0/24"));
        assert_eq!(network("2001:db8:7:8:9::1").as_deref(), Some("2001:db8:7::/48"));
        assert_eq!(Sender::default().network(), None);
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let cookies = Some("other=1; aula=a=b; x".to_owned());
        let sender = Sender { cookies, ..Sender::default() };
        assert_eq!(sender.cookie("aula"), Some("a=b"));
        assert_eq!((sender.cookie("x"), sender.cookie("ula")), (None, None));
    }
}
