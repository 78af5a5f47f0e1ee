//! Where the other domains' functions are: each is a service with an address.

/// The addresses of functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers(Vec<(String, String)>);

impl Peers {
    /// Reads `name=address`, separated by commas. A name is an operation's id, a
    /// domain, or `*` for all others; in an address `{service}` stands for the
    /// operation's service.
    pub fn parse(text: &str) -> Option<Self> {
        let peer = |peer: &str| {
            let (name, url) = peer.trim().split_once('=')?;
            let (name, url) = (name.trim(), url.trim().trim_end_matches('/'));
            let is_url = url.starts_with("https://") || url.starts_with("http://");
            (is_url && !name.is_empty()).then(|| (name.to_owned(), url.to_owned()))
        };
        let peers = text.split(',').filter(|it| !it.trim().is_empty()).map(peer);
        peers.collect::<Option<_>>().map(Self)
    }

    /// The address of an operation's service.
    pub fn of(&self, operation: &str) -> Option<String> {
        let domain = operation.split('.').next().unwrap_or_default();
        let named = |name: &str| self.0.iter().find(|(it, _)| it == name);
        let (_, url) = named(operation).or_else(|| named(domain)).or_else(|| named("*"))?;
        Some(url.replace("{service}", &runtime::service_name(operation)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_counts() {
        let peers = "identity.get_contact=https://one.example/, identity=https://two.example,\
            *=https://{service}-7.run.app";
        let peers = Peers::parse(peers).unwrap();
        let of = |operation| peers.of(operation).unwrap();
        assert_eq!(of("identity.get_contact"), "https://one.example");
        assert_eq!(of("identity.get_user"), "https://two.example");
        assert_eq!(of("courses.get_section_facts"), "https://courses-get-section-facts-7.run.app");
        assert_eq!(Peers::default().of("courses.get"), None);
        assert_eq!(Peers::parse("courses"), None);
        assert_eq!(Peers::parse("courses=ftp://x"), None);
    }
}
