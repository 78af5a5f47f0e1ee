//! The environment of a container: every setting, in one place, read once.

use std::{fmt, net::SocketAddr};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use contracts::{Endpoint as _, identity::ExchangeToken};
use runtime::{Access, Domain, Function, IdentityProvider, Need, SecondIssuer, Trigger};

use crate::{identity::SigningKey, peers::Peers};

/// The settings of a container.
///
/// Cloud Run itself sets `PORT`, `K_SERVICE` and `K_REVISION`; the rest is set
/// with the service.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `PORT`: where to listen, on every address of the container.
    pub port: u16,
    /// `FUNCTION_TARGET`: the one function to serve; without it, all of the domain.
    pub target: Option<String>,
    /// `K_SERVICE`: the service's name, for the log.
    pub service: Option<String>,
    /// `K_REVISION`: its revision, for the log.
    pub revision: Option<String>,
    /// `GOOGLE_CLOUD_PROJECT`: the project that everything belongs to.
    pub project: String,
    /// `AULA_DATABASE`: the Firestore database; without it, the one named as the domain.
    pub database: Option<String>,
    /// `AULA_TOPICS_PREFIX`: what the names of topics begin with.
    pub topics_prefix: String,
    /// `AULA_PUBLIC_URL`: where people reach the platform; the issuer and the
    /// audience of its access tokens.
    pub public_url: String,
    /// `AULA_JWKS_URL`: the keys that access tokens are checked with.
    pub jwks_url: String,
    /// `AULA_SECRET`: the platform's secret, 32 bytes in Base64.
    pub secret: PlatformSecret,
    /// `AULA_SIGNING_KEY`: what signs access tokens, where they are made.
    pub signing_key: Option<SigningKey>,
    /// `AULA_KMS_URL`: where Cloud KMS is.
    pub kms_url: String,
    /// `AULA_AUDIENCES`: the addresses by which the platform calls this service.
    pub audiences: Vec<String>,
    /// `AULA_CALLERS`: the service accounts of the functions that may call; `nobody`,
    /// where none may what could be called.
    pub callers: Vec<String>,
    /// `AULA_PUSH_ACCOUNT`: the service account that events are pushed by.
    pub push_account: Option<String>,
    /// `AULA_SCHEDULER_ACCOUNT`: the service account that jobs are run by.
    pub scheduler_account: Option<String>,
    /// `AULA_GOOGLE_JWKS_URL`: the keys that Google's ID tokens are checked with.
    pub google_jwks_url: String,
    /// `AULA_BEHIND_IAM`: whether Cloud Run lets in only whom IAM allows. Then it
    /// has checked the signature of a caller's token, and takes it away.
    pub behind_iam: bool,
    /// `AULA_UNSIGNED_PUSH`: whether events and jobs come without a token, as
    /// the emulators send them. It's refused on Cloud Run.
    pub unsigned_push: bool,
    /// `AULA_PEERS`: where the other domains are.
    pub peers: Peers,
    /// `AULA_ADMIN_EMAIL`: who registers with this address is an admin.
    pub admin_email: Option<String>,
    /// `AULA_PROXIES`: how many proxies stand between API Gateway and this, each of
    /// which writes down whom it heard behind the client's address.
    pub proxies: usize,
    /// `AULA_IDENTITY_PROVIDERS`: with whose accounts people may sign in, as a
    /// JSON array of [`IdentityProvider`].
    pub identity_providers: Vec<IdentityProvider>,
    /// `AULA_SECOND_ISSUER`: whose tokens are taken beside the platform's own, as the
    /// JSON object of a [`SecondIssuer`].
    pub second_issuer: Option<SecondIssuer>,
    /// `AULA_SMTP_URL`: the server that takes mail, such as `smtp://mail:1025` or
    /// `smtps://user:password@mail.example`. Without it no mail is sent.
    pub smtp_server: Option<smtp::Server>,
    /// `AULA_MAIL_PROVIDERS`: who may tell what became of a mail, as
    /// `name:secret`, separated by commas.
    pub mail_providers: runtime::mail::Providers,
    /// `AULA_FILES_BUCKET`: the bucket of Cloud Storage that files are kept in, each
    /// domain's in a folder of its name. Without it none are.
    pub files_bucket: Option<String>,
    /// `STORAGE_EMULATOR_HOST`: a stand-in for Cloud Storage, a URL or `host:port`.
    pub storage_emulator: Option<String>,
    /// `AULA_IAM_URL`: where the IAM API is, which signs links to files.
    pub iam_url: String,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the collector that spans are sent to, by OTLP
    /// over HTTP; Google's own is `https://telemetry.googleapis.com`. Without it
    /// there are none.
    pub collector: Option<String>,
    /// `AULA_SEATS_IN_BLOCK`: how many seats go into one document.
    pub seats_in_block: u32,
    /// `GCE_METADATA_HOST`: where the metadata server is.
    pub metadata_host: String,
    /// `FIRESTORE_EMULATOR_HOST`: the emulator to use instead of Firestore.
    pub firestore_emulator: Option<String>,
    /// `PUBSUB_EMULATOR_HOST`: the emulator to use instead of Pub/Sub.
    pub pubsub_emulator: Option<String>,
}

/// The platform's secret, which no log ever shows.
#[derive(Clone)]
pub struct PlatformSecret(pub(crate) [u8; 32]);

impl fmt::Debug for PlatformSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformSecret(…)")
    }
}

/// Everything that is wrong with an environment, each thing with its variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the environment isn't right:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

impl Environment {
    /// The process's own.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn of_process(domain: &Domain) -> Result<Self, Faults> {
        Self::read(domain, |name| std::env::var(name).ok())
    }

    /// Reads the settings of a domain's container by their variables' names.
    pub fn read(domain: &Domain, get: impl Fn(&str) -> Option<String>) -> Result<Self, Faults> {
        let mut reading = Reading { get, faults: Vec::new() };
        let public_url = reading.url("AULA_PUBLIC_URL", None);
        let jwks_url = format!("{public_url}/.well-known/jwks.json");
        let environment = Self {
            port: reading.parsed("PORT", "a port", |it| it.parse().ok()).unwrap_or(8080),
            target: reading.text("FUNCTION_TARGET"),
            service: reading.text("K_SERVICE"),
            revision: reading.text("K_REVISION"),
            project: reading.required("GOOGLE_CLOUD_PROJECT"),
            database: reading.text("AULA_DATABASE"),
            topics_prefix: reading.text("AULA_TOPICS_PREFIX").unwrap_or_default(),
            jwks_url: reading.url("AULA_JWKS_URL", Some(&jwks_url)),
            public_url,
            secret: reading.secret("AULA_SECRET"),
            signing_key: reading.parsed(
                "AULA_SIGNING_KEY",
                "versions of a key of Cloud KMS, a file or PEM",
                SigningKey::parse,
            ),
            kms_url: reading.url("AULA_KMS_URL", Some("https://cloudkms.googleapis.com")),
            audiences: reading.list("AULA_AUDIENCES"),
            callers: reading.list("AULA_CALLERS"),
            push_account: reading.text("AULA_PUSH_ACCOUNT"),
            scheduler_account: reading.text("AULA_SCHEDULER_ACCOUNT"),
            google_jwks_url: reading
                .url("AULA_GOOGLE_JWKS_URL", Some("https://www.googleapis.com/oauth2/v3/certs")),
            behind_iam: reading.yes_or_no("AULA_BEHIND_IAM"),
            unsigned_push: reading.yes_or_no("AULA_UNSIGNED_PUSH"),
            peers: reading
                .parsed("AULA_PEERS", "name=https://…, separated by commas", Peers::parse)
                .unwrap_or_default(),
            admin_email: reading.text("AULA_ADMIN_EMAIL"),
            proxies: reading
                .parsed("AULA_PROXIES", "a number", |it| it.parse().ok())
                .unwrap_or_default(),
            identity_providers: reading
                .parsed("AULA_IDENTITY_PROVIDERS", "a JSON array of identity providers", |it| {
                    IdentityProvider::read_all(it).ok()
                })
                .unwrap_or_default(),
            second_issuer: reading.parsed(
                "AULA_SECOND_ISSUER",
                "a JSON object with title, issuer, audience and jwks_uri",
                |it| it.parse().ok(),
            ),
            smtp_server: reading.parsed(
                "AULA_SMTP_URL",
                "smtp://host:port or smtps://user:password@host:port",
                |it| it.parse().ok(),
            ),
            mail_providers: reading
                .parsed("AULA_MAIL_PROVIDERS", "name:secret, separated by commas", |it| {
                    it.parse().ok()
                })
                .unwrap_or_default(),
            files_bucket: reading.bucket("AULA_FILES_BUCKET"),
            storage_emulator: reading.url_or_address("STORAGE_EMULATOR_HOST"),
            iam_url: reading.url("AULA_IAM_URL", Some("https://iamcredentials.googleapis.com")),
            collector: reading.optional_url("OTEL_EXPORTER_OTLP_ENDPOINT"),
            seats_in_block: reading
                .parsed("AULA_SEATS_IN_BLOCK", "a number of seats", |it| it.parse().ok())
                .unwrap_or(runtime::Settings::SEATS_IN_BLOCK),
            metadata_host: reading
                .text("GCE_METADATA_HOST")
                .unwrap_or_else(|| "metadata.google.internal".to_owned()),
            firestore_emulator: reading.address("FIRESTORE_EMULATOR_HOST"),
            pubsub_emulator: reading.address("PUBSUB_EMULATOR_HOST"),
        };
        if environment.unsigned_push && environment.service.is_some() {
            reading.fault("AULA_UNSIGNED_PUSH", "is for emulators, and this is Cloud Run");
        }
        if environment.second_issuer.as_ref().is_some_and(|it| it.issuer == environment.public_url)
        {
            reading.fault("AULA_SECOND_ISSUER", "names the platform itself");
        }
        environment.fit(domain, &mut reading.faults);
        if reading.faults.is_empty() { Ok(environment) } else { Err(Faults(reading.faults)) }
    }

    /// Notes what isn't right for a domain.
    fn fit(&self, domain: &Domain, faults: &mut Vec<String>) {
        let target = self.target.as_deref();
        let all = || domain.functions.iter();
        let served = || all().filter(|it| target.is_none_or(|target| it.id == target));
        if let Some(target) = target.filter(|_| served().next().is_none()) {
            let there: Vec<_> = all().map(|it| it.id.as_str()).collect();
            let (name, there) = (domain.name, there.join(", "));
            faults.push(format!(
                "FUNCTION_TARGET is {target}, which isn't in {name}; it has: {there}"
            ));
        }
        // What is only missed when it's needed is missed by people: so it's needed to start.
        let served: Vec<_> = served().collect();
        self.fit_callers(&served, faults);
        self.fit_needs(domain, faults);
    }

    /// Notes what it isn't told of those who run these functions.
    fn fit_callers(&self, served: &[&Function], faults: &mut Vec<String>) {
        let mut need = |is_there: bool, name: &str, why: &str, run: fn(&Function) -> bool| {
            let functions = served.iter().filter(|it| run(it)).map(|it| it.id.as_str());
            let functions: Vec<_> = functions.collect();
            if !is_there && !functions.is_empty() {
                faults.push(format!("{name} isn't set: {why} {}", functions.join(", ")));
            }
        };
        let open = self.unsigned_push;
        let has = |account: &Option<String>| open || account.is_some();
        need(
            open || !self.audiences.is_empty(),
            "AULA_AUDIENCES",
            "the platform couldn't call",
            |it| it.access == Access::System,
        );
        need(!self.callers.is_empty(), "AULA_CALLERS", "no domain could call", |it| {
            it.access == Access::System && matches!(it.trigger, Trigger::Http(_))
        });
        need(has(&self.push_account), "AULA_PUSH_ACCOUNT", "no event would come to", |it| {
            matches!(it.trigger, Trigger::Event(_))
        });
        need(has(&self.scheduler_account), "AULA_SCHEDULER_ACCOUNT", "nobody could run", |it| {
            matches!(it.trigger, Trigger::Schedule(_))
        });
    }

    /// Notes what isn't there that a domain says it needs, and whom it couldn't call.
    fn fit_needs(&self, domain: &Domain, faults: &mut Vec<String>) {
        for it in &domain.needs {
            let (is_there, name, what) = match it {
                Need::Signing => (self.signing_key.is_some(), "AULA_SIGNING_KEY", "sign tokens"),
                Need::Mail => (self.smtp_server.is_some(), "AULA_SMTP_URL", "send mail"),
                Need::Files => (self.files_bucket.is_some(), "AULA_FILES_BUCKET", "keep files"),
            };
            if !is_there {
                faults.push(format!("{name} isn't set: {} couldn't {what}", domain.name));
            }
        }
        // Tokens are exchanged where there's another issuer of them.
        let is_asked = |it: &&str| *it != ExchangeToken::OPERATION || self.second_issuer.is_some();
        let called = domain.calls.iter().copied().filter(is_asked);
        let nowhere: Vec<_> = called.filter(|it| self.peers.of(it).is_none()).collect();
        if !nowhere.is_empty() {
            let nowhere = nowhere.join(", ");
            faults.push(format!("AULA_PEERS doesn't say where these are: {nowhere}"));
        }
    }

    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0], self.port))
    }
}

/// Settings while they are read, and what was wrong so far.
struct Reading<F> {
    get: F,
    faults: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reading<F> {
    fn fault(&mut self, name: &str, what: &str) {
        self.faults.push(format!("{name} {what}"));
    }

    /// What is set to nothing isn't set.
    fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|it| !it.trim().is_empty())
    }

    fn required(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.fault(name, "isn't set");
            String::new()
        })
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            // The value itself may be a secret.
            self.fault(name, &format!("isn't {what}"));
        }
        parsed
    }

    fn url(&mut self, name: &str, otherwise: Option<&str>) -> String {
        let Some(text) = self.text(name).or(otherwise.map(str::to_owned)) else {
            return self.required(name);
        };
        let url = text.trim_end_matches('/');
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if host.is_none_or(str::is_empty) && self.text(name).is_some() {
            self.fault(name, "isn't http:// or https:// and a host");
        }
        url.to_owned()
    }

    fn address(&mut self, name: &str) -> Option<String> {
        self.parsed(name, "host:port", |it| {
            let (host, port) = it.rsplit_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| it.to_owned())
        })
    }

    fn optional_url(&mut self, name: &str) -> Option<String> {
        self.text(name).is_some().then(|| self.url(name, None))
    }

    fn url_or_address(&mut self, name: &str) -> Option<String> {
        if self.text(name).is_some_and(|it| it.contains("://")) {
            return self.optional_url(name);
        }
        self.address(name)
    }

    /// A bucket's name, as Cloud Storage wants it.
    fn bucket(&mut self, name: &str) -> Option<String> {
        let bucket = self.parsed(name, "the name of a bucket", |it| {
            let is_plain = |it: char| matches!(it, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
            let fits = (3..=222).contains(&it.len()) && it.chars().all(is_plain);
            fits.then(|| it.to_owned())
        })?;
        if !cfg!(feature = "files") {
            self.fault(name, "is set, and this program was built without files");
        }
        Some(bucket)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let items = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        items.map(str::to_owned).collect()
    }

    fn yes_or_no(&mut self, name: &str) -> bool {
        let read = |it: &str| match it {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        self.parsed(name, "true or false", read).unwrap_or(false)
    }

    fn secret(&mut self, name: &str) -> PlatformSecret {
        let text = self.required(name);
        let text = text.trim();
        let bytes = BASE64_STANDARD.decode(text);
        let bytes = bytes.or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')));
        let secret = bytes.ok().and_then(|it| <[u8; 32]>::try_from(it).ok());
        if secret.is_none() && !text.is_empty() {
            self.fault(name, "isn't 32 bytes in Base64");
        }
        PlatformSecret(secret.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use runtime::{
        conformance,
        prelude::{Context, Deserialize, Endpoint, JsonSchema, Route, Serialize, System},
    };

    use super::*;

    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn read(set: &[(&str, &str)]) -> Result<Environment, Faults> {
        let find = |name: &str| set.iter().find(|(key, _)| *key == name);
        let domain = conformance::bus::letters();
        Environment::read(&domain, |name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn seven_settings_are_enough() {
        let environment = read(&[
            ("AULA_PUSH_ACCOUNT", "push@aula.example"),
            ("AULA_SCHEDULER_ACCOUNT", "scheduler@aula.example"),
            ("GOOGLE_CLOUD_PROJECT", "aula-test"),
            ("AULA_PUBLIC_URL", "https://aula.example/"),
            ("AULA_SECRET", SECRET),
            ("AULA_AUDIENCES", "https://letters.example, https://other.example"),
            ("FUNCTION_TARGET", ""),
        ]);
        let environment = environment.unwrap();
        assert_eq!((environment.port, environment.target), (8080, None));
        assert_eq!(environment.public_url, "https://aula.example");
        assert_eq!(environment.jwks_url, "https://aula.example/.well-known/jwks.json");
        assert_eq!(environment.secret.0[31], 31);
        assert_eq!(environment.audiences, ["https://letters.example", "https://other.example"]);
        assert!(!environment.behind_iam);
    }

    #[test]
    fn every_fault_is_told_at_once_and_names_its_variable() {
        let faults = read(&[
            ("PORT", "70000"),
            ("AULA_PUBLIC_URL", "aula.example"),
            ("AULA_SECRET", "dG9vIHNob3J0"),
            ("AULA_BEHIND_IAM", "perhaps"),
            ("AULA_UNSIGNED_PUSH", "true"),
            ("K_SERVICE", "courses"),
            ("AULA_PEERS", "identity"),
            ("AULA_SIGNING_KEY", "hunter2"),
            ("AULA_SECOND_ISSUER", r#"{"issuer": "https://idp.example"}"#),
            ("AULA_SMTP_URL", "smtp://user:hunter2@mail.example"),
            ("PUBSUB_EMULATOR_HOST", "localhost"),
            ("AULA_FILES_BUCKET", "gs://files"),
            ("STORAGE_EMULATOR_HOST", "ftp://localhost"),
            ("AULA_IAM_URL", "iam.example"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("FUNCTION_TARGET", "letters.burn"),
        ]);
        let told = faults.unwrap_err().to_string();
        let names = [
            "PORT",
            "GOOGLE_CLOUD_PROJECT",
            "AULA_PUBLIC_URL",
            "AULA_SECRET",
            "AULA_BEHIND_IAM",
            "AULA_UNSIGNED_PUSH",
            "AULA_PEERS",
            "AULA_SIGNING_KEY",
            "AULA_SECOND_ISSUER",
            "AULA_SMTP_URL",
            "PUBSUB_EMULATOR_HOST",
            "AULA_FILES_BUCKET",
            "STORAGE_EMULATOR_HOST",
            "AULA_IAM_URL",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "FUNCTION_TARGET",
        ];
        for name in names {
            assert!(told.lines().any(|it| it.trim_start().starts_with(name)), "{name}: {told}");
        }
        assert_eq!(told.lines().count(), names.len() + 1, "{told}");
        assert!(told.contains("letters.on_letters_sent, letters.on_letters_read"), "{told}");
        assert!(!told.contains("hunter2") && !told.contains("dG9v"), "{told}");
    }

    /// What is told of a domain's settings, of which these aren't set.
    fn missing(domain: &Domain, unset: &[&str], set: &[(&str, &str)]) -> Vec<String> {
        let all = [
            ("GOOGLE_CLOUD_PROJECT", "p"),
            ("AULA_PUBLIC_URL", "https://a.example"),
            ("AULA_SECRET", SECRET),
            ("AULA_AUDIENCES", "https://letters.example"),
            ("AULA_CALLERS", "courses@aula.example"),
            ("AULA_PUSH_ACCOUNT", "push@aula.example"),
            ("AULA_SCHEDULER_ACCOUNT", "scheduler@aula.example"),
            ("AULA_SIGNING_KEY", "/keys/signing.pem"),
            ("AULA_SMTP_URL", "smtp://mail"),
            ("AULA_PEERS", "identity.get_contact=https://contact.example"),
        ];
        let all = || set.iter().chain(&all).filter(|it| !unset.contains(&it.0));
        let get = |name: &str| all().find(|it| it.0 == name).map(|it| it.1.to_owned());
        Environment::read(domain, get).map_or_else(|it| it.0, |_| Vec::new())
    }

    /// An operation that other domains call.
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    struct Recall {
        id: String,
    }

    impl Endpoint for Recall {
        const OPERATION: &'static str = "letters.recall";
        const ROUTE: Route = Route::act("/internal/letters/{id}/recall");
        type Response = String;
    }

    async fn recall(_: Context<System>, request: Recall) -> runtime::Result<String> {
        Ok(request.id)
    }

    #[test]
    fn what_the_served_functions_need_is_needed_to_start() {
        use contracts::identity::GetContact;
        let domain = || {
            let letters = conformance::bus::letters().operation(recall).calls::<GetContact>();
            letters.needs(Need::Signing).needs(Need::Mail)
        };
        assert_eq!(missing(&domain(), &[], &[]), Vec::<String>::new());
        let needed = [
            "AULA_AUDIENCES",
            "AULA_CALLERS",
            "AULA_PUSH_ACCOUNT",
            "AULA_SCHEDULER_ACCOUNT",
            "AULA_SIGNING_KEY",
            "AULA_SMTP_URL",
            "AULA_PEERS",
        ];
        let told = missing(&domain(), &needed, &[]);
        let named: Vec<_> = told.iter().filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(named, needed, "{told:?}");
        assert_eq!(
            told[2],
            "AULA_PUSH_ACCOUNT isn't set: no event would come to \
            letters.on_letters_sent, letters.on_letters_read"
        );
        assert!(told[6].ends_with("identity.get_contact"), "{told:?}");

        // Who runs a function is needed where it's served.
        let relay = [("FUNCTION_TARGET", "letters.relay")];
        assert_eq!(missing(&domain(), &["AULA_PUSH_ACCOUNT"], &relay), Vec::<String>::new());
        assert_eq!(missing(&domain(), &["AULA_SCHEDULER_ACCOUNT"], &relay).len(), 1);
        // Emulators send no tokens, but other domains do.
        let open = [("AULA_UNSIGNED_PUSH", "true")];
        let told = missing(&domain(), &needed[..4], &open);
        assert_eq!(told, ["AULA_CALLERS isn't set: no domain could call letters.recall"]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let set = [
            ("AULA_UNSIGNED_PUSH", "true"),
            ("GOOGLE_CLOUD_PROJECT", "p"),
            ("AULA_PUBLIC_URL", "https://a.example"),
            ("AULA_SECRET", SECRET),
            ("AULA_AUDIENCES", "https://letters.example"),
        ];
        let shown = format!("{:?}", read(&set).unwrap());
        assert!(shown.contains("PlatformSecret(…)"), "{shown}");
    }
}
