//! Mail over SMTP that is in the local inbox too.

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use runtime::{
    Clock, Mail,
    mail::{MailError, Message, Taken},
};

use crate::Inbox;

/// Mail over SMTP; what was taken is in the inbox too.
pub struct Smtp {
    server: ::smtp::Smtp,
    inbox: Arc<Inbox>,
}

impl Smtp {
    /// A server, such as `smtp://localhost:1025`, for the platform at an address.
    pub fn new(
        url: &str,
        public_url: &str,
        clock: Arc<dyn Clock>,
        inbox: Arc<Inbox>,
    ) -> anyhow::Result<Self> {
        // The address isn't repeated: it may hold a password.
        let server = url.parse().context("the mail server's address")?;
        Ok(Self { server: ::smtp::Smtp::new(server, public_url, clock), inbox })
    }
}

#[async_trait]
impl Mail for Smtp {
    async fn send(&self, message: &Message) -> Result<(), MailError> {
        self.server.send(message).await?;
        if let Err(error) = self.inbox.keep(message).await {
            tracing::warn!(error = format!("{error:#}"), "sent mail isn't in the local inbox");
        }
        Ok(())
    }

    /// SMTP can't tell; but what is in the inbox was taken before it came there.
    async fn taken(&self, message_id: &str) -> anyhow::Result<Taken> {
        Ok(match self.inbox.taken(message_id).await? {
            Taken::Yes => Taken::Yes,
            Taken::No | Taken::CannotTell => Taken::CannotTell,
        })
    }
}
