//! A connection that nobody else can read, to a server that has shown who it is.

use std::sync::OnceLock;

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
};

use crate::{
    Smtp,
    server::{Login, Security, Server},
};

/// What TLS is spoken with, once it was needed: reading what certificates the
/// machine believes takes a while.
#[derive(Default)]
pub(super) struct Secured(OnceLock<TlsParameters>);

impl Secured {
    fn parameters(&self, server: &Server) -> Result<TlsParameters, Error> {
        if let Some(parameters) = self.0.get() {
            return Ok(parameters.clone());
        }
        let mut parameters = TlsParameters::builder(server.host.clone());
        if let Some(pem) = &server.roots {
            parameters = parameters.add_root_certificate(Certificate::from_pem(pem.as_bytes())?);
        }
        let parameters = parameters.build_rustls()?;
        Ok(self.0.get_or_init(|| parameters).clone())
    }
}

/// How a password is shown to a server; the line is encrypted.
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];

impl Smtp {
    /// A connection to the server, as it's to be spoken to, signed in.
    pub(super) async fn connected(&self) -> Result<AsyncSmtpConnection, Error> {
        let Server { host, port, security, login, .. } = &self.server;
        let (server, hello) = ((host.as_str(), *port), &self.hello);
        let secured = || self.secured.parameters(&self.server);
        let tls = match security {
            Security::FromTheStart => Some(secured()?),
            Security::AfterHello | Security::Plain => None,
        };
        let mut line = AsyncSmtpConnection::connect_tokio1(server, None, hello, tls, None).await?;
        if *security == Security::AfterHello {
            // It fails where the server can't: a line that anyone can read isn't used instead.
            line.starttls(secured()?, hello).await?;
        }
        if let Some(Login { user, password }) = login {
            let credentials = Credentials::new(user.clone(), password.clone());
            line.auth(MECHANISMS, &credentials).await?;
        }
        Ok(line)
    }
}
