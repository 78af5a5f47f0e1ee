//! What every process is told by its environment, as Terraform tells the services.

use std::{collections::BTreeMap, net::SocketAddr};

use base64::{Engine, prelude::BASE64_STANDARD};
use runtime::{Random, SecondIssuer, mail::Providers};

use super::{
    front::Services,
    issuer::account,
    layout::{Function, Invoker, Manifest},
    service::Service,
};

/// The function that tells the public keys of access tokens.
pub(super) const JWKS: &str = "identity-get-jwks";

/// The function that exchanges the second issuer's tokens.
pub(super) const EXCHANGE: &str = "identity-exchange-token";

/// What all processes have in common.
pub(super) struct Settings {
    pub project: String,
    pub public_url: String,
    pub secret: String,
    pub signing_key: String,
    pub smtp_url: String,
    pub admin_email: Option<String>,
    /// With whose accounts people may sign in, as JSON.
    pub identity_providers: Option<String>,
    /// Who may tell what became of a mail.
    pub mail_providers: Option<Providers>,
    /// How many seats of a large section go into one document.
    pub seats_in_block: u32,
    /// Whose tokens are taken beside the platform's own.
    pub second_issuer: Option<SecondIssuer>,
    pub firestore: String,
    pub pubsub: String,
    /// Where the keys of ID tokens are.
    pub google_keys: String,
    /// Each domain's metadata server, which knows it as its own service account.
    pub metadata: BTreeMap<String, SocketAddr>,
}

/// A new secret of the platform.
pub(super) fn secret(random: &dyn Random) -> String {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    BASE64_STANDARD.encode(bytes)
}

impl Settings {
    /// The environment of a service's process. It's told nothing that it doesn't need.
    pub fn environment(
        &self,
        service: &Service,
        manifest: &Manifest,
        services: &Services,
    ) -> Vec<(&'static str, String)> {
        let place = &service.place;
        let domain = &manifest.domains[&place.domain];
        let functions = || place.functions.iter().map(|name| &manifest.functions[name]);
        let is_run_by = |invoker| functions().any(|it| it.invoker == invoker);
        let peer = |(id, name): (&String, &String)| format!("{id}={}", services[name].url());
        let peers: Vec<_> = domain.calls.iter().map(peer).collect();
        let own = self.metadata[&place.domain].to_string();
        let mut environment = vec![
            ("PORT", service.address.port().to_string()),
            ("K_SERVICE", place.name.clone()),
            ("K_REVISION", "local".to_owned()),
            ("GOOGLE_CLOUD_PROJECT", self.project.clone()),
            ("FIRESTORE_EMULATOR_HOST", self.firestore.clone()),
            ("PUBSUB_EMULATOR_HOST", self.pubsub.clone()),
            ("GCE_METADATA_HOST", own),
            ("AULA_GOOGLE_JWKS_URL", self.google_keys.clone()),
            ("AULA_PUBLIC_URL", self.public_url.clone()),
            ("AULA_JWKS_URL", format!("{}/.well-known/jwks.json", services[JWKS].url())),
            ("AULA_SECRET", self.secret.clone()),
            ("AULA_AUDIENCES", service.url()),
            ("AULA_PEERS", peers.join(",")),
        ];
        let mut also = |wanted: bool, name, value: &str| {
            if wanted {
                environment.push((name, value.to_owned()));
            }
        };
        let callers = self.callers(functions());
        also(is_run_by(Invoker::Domains), "AULA_CALLERS", &callers);
        let (push, scheduler) = (self.account("push"), self.account("scheduler"));
        also(is_run_by(Invoker::Push), "AULA_PUSH_ACCOUNT", &push);
        also(is_run_by(Invoker::Scheduler), "AULA_SCHEDULER_ACCOUNT", &scheduler);
        also(domain.needs("signing"), "AULA_SIGNING_KEY", &self.signing_key);
        also(domain.needs("mail"), "AULA_SMTP_URL", &self.smtp_url);
        also(
            place.target.is_some(),
            "FUNCTION_TARGET",
            place.target.as_deref().unwrap_or_default(),
        );
        let is_of = |name| place.domain == name;
        let mut also_if_set = |wanted: bool, name, value: Option<&str>| {
            also(wanted && value.is_some(), name, value.unwrap_or_default());
        };
        let mail_providers = self.mail_providers.as_ref().map(Providers::setting);
        also_if_set(is_of("identity"), "AULA_ADMIN_EMAIL", self.admin_email.as_deref());
        also_if_set(
            is_of("identity"),
            "AULA_IDENTITY_PROVIDERS",
            self.identity_providers.as_deref(),
        );
        also_if_set(domain.needs("mail"), "AULA_MAIL_PROVIDERS", mail_providers.as_deref());
        also(is_of("enrollments"), "AULA_SEATS_IN_BLOCK", &self.seats_in_block.to_string());
        // What takes people's tokens knows of the other issuer, and what exchanges them.
        let takes_tokens =
            is_run_by(Invoker::Gateway) || place.functions.iter().any(|it| it == EXCHANGE);
        if let Some(issuer) = self.second_issuer.as_ref().filter(|_| takes_tokens) {
            let issuer = serde_json::to_string(issuer).unwrap_or_default();
            also(true, "AULA_SECOND_ISSUER", &issuer);
        }
        environment
    }

    fn account(&self, name: &str) -> String {
        account(name, &self.project)
    }

    /// The service accounts of the domains that may call these. What is for operators
    /// alone none may.
    fn callers<'a>(&self, functions: impl Iterator<Item = &'a Function>) -> String {
        let mut callers: Vec<_> =
            functions.flat_map(|it| &it.callers).map(|it| self.account(it)).collect();
        callers.sort();
        callers.dedup();
        if callers.is_empty() { "nobody".to_owned() } else { callers.join(",") }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cloud::layout::Per;

    fn told(name: &str) -> BTreeMap<&'static str, String> {
        let manifest = Manifest::of(&crate::domains()).unwrap();
        let services: Services = (21_000..)
            .zip(manifest.places(Per::Function))
            .map(|(port, place)| {
                let address = ([127, 0, 0, 1], port).into();
                (place.name.clone(), Arc::new(Service::new(place, address)))
            })
            .collect();
        let host: SocketAddr = ([127, 0, 0, 1], 1).into();
        let settings = Settings {
            project: "p".to_owned(),
            public_url: "http://aula.example".to_owned(),
            secret: "s".to_owned(),
            signing_key: "k".to_owned(),
            smtp_url: "smtp://mail".to_owned(),
            admin_email: Some("root@aula.example".to_owned()),
            identity_providers: Some("[]".to_owned()),
            mail_providers: Some("post:a-secret-of-sixteen".parse().unwrap()),
            seats_in_block: 7,
            second_issuer: Some(SecondIssuer {
                title: "School".to_owned(),
                issuer: "https://idp.example".to_owned(),
                audience: "p".to_owned(),
                jwks_uri: "https://idp.example/jwks".to_owned(),
            }),
            firestore: "f".to_owned(),
            pubsub: "b".to_owned(),
            google_keys: "g".to_owned(),
            metadata: manifest.domains.keys().map(|it| (it.clone(), host)).collect(),
        };
        settings.environment(&services[name], &manifest, &services).into_iter().collect()
    }

    #[test]
    fn a_process_is_told_what_it_needs_and_no_key_of_others() {
        let facts = told("courses-get-section-facts");
        assert_eq!(facts["FUNCTION_TARGET"], "courses.get_section_facts");
        assert_eq!(
            facts["AULA_CALLERS"],
            "enrollments@p.iam.gserviceaccount.com,notifications@p.iam.gserviceaccount.com"
        );
        for name in [
            "AULA_SIGNING_KEY",
            "AULA_SMTP_URL",
            "AULA_ADMIN_EMAIL",
            "AULA_PUSH_ACCOUNT",
            "AULA_IDENTITY_PROVIDERS",
            "AULA_MAIL_PROVIDERS",
            "AULA_SEATS_IN_BLOCK",
        ] {
            assert!(!facts.contains_key(name), "{name}");
        }
        let sign_in = told("identity-sign-in");
        assert!(sign_in.contains_key("AULA_SIGNING_KEY"));
        assert_eq!(sign_in["AULA_IDENTITY_PROVIDERS"], "[]");
        assert!(!sign_in.contains_key("AULA_MAIL_PROVIDERS"));
        let notify = told("notifications-notify");
        assert_eq!(notify["AULA_MAIL_PROVIDERS"], "post:a-secret-of-sixteen");
        assert!(!notify.contains_key("AULA_IDENTITY_PROVIDERS"));
        assert_eq!(told("enrollments-enroll")["AULA_SEATS_IN_BLOCK"], "7");
        assert!(told("notifications-send-due").contains_key("AULA_SCHEDULER_ACCOUNT"));
        assert!(told("notifications-on-identity-code-requested").contains_key("AULA_PUSH_ACCOUNT"));
        let enroll = told("enrollments-enroll");
        assert!(enroll["AULA_PEERS"].contains("courses.get_section_facts=http"));
        assert!(enroll["AULA_PEERS"].contains("identity.exchange_token=http"));
        assert!(!enroll.contains_key("AULA_CALLERS"));
        assert_eq!(told("courses-import")["AULA_CALLERS"], "nobody");
    }

    #[test]
    fn only_what_takes_peoples_tokens_knows_of_another_issuer() {
        let knows = |name| told(name).contains_key("AULA_SECOND_ISSUER");
        for name in [EXCHANGE, "enrollments-enroll", "courses-list", "identity-get-user"] {
            assert!(knows(name), "{name}");
        }
        for name in [JWKS, "courses-get-section-facts", "notifications-send-due"] {
            assert!(!knows(name), "{name}");
        }
        let issuer: SecondIssuer = told(EXCHANGE)["AULA_SECOND_ISSUER"].parse().unwrap();
        assert_eq!(issuer.audience, "p");
        assert_eq!(
            told(EXCHANGE)["AULA_CALLERS"],
            ["courses", "enrollments", "notifications"].map(|it| account(it, "p")).join(",")
        );
        assert!(!told("identity-get-user")["AULA_PEERS"].contains("identity."));
    }
}
