//! The mail provider, as the test plays it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use runtime::{
    Mail,
    mail::{MailError, Message, Taken},
};

type Answer = Arc<dyn Fn(&Message) -> Result<(), MailError> + Send + Sync>;

/// A provider that keeps what it takes.
#[derive(Default)]
pub(crate) struct Mailbox {
    taken: Mutex<Vec<Message>>,
    /// Those of which it can't tell.
    unknown: Mutex<HashSet<String>>,
    answer: Mutex<Option<Answer>>,
}

impl Mailbox {
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.taken.lock().expect("no holder panics").clone()
    }

    pub(crate) fn answers(
        &self,
        answer: impl Fn(&Message) -> Result<(), MailError> + Send + Sync + 'static,
    ) {
        *self.answer.lock().expect("no holder panics") = Some(Arc::new(answer));
    }
}

#[async_trait]
impl Mail for Mailbox {
    async fn send(&self, message: &Message) -> Result<(), MailError> {
        let answer = self.answer.lock().expect("no holder panics").clone();
        let result = answer.map_or(Ok(()), |answer| answer(message));
        match &result {
            Ok(()) => self.taken.lock().expect("no holder panics").push(message.clone()),
            Err(MailError::Unknown(_)) => {
                let id = message.message_id.clone();
                self.unknown.lock().expect("no holder panics").insert(id);
            }
            Err(MailError::Refused(_) | MailError::Unavailable(_)) => {}
        }
        result
    }

    async fn taken(&self, message_id: &str) -> anyhow::Result<Taken> {
        let taken = self.taken.lock().expect("no holder panics");
        if taken.iter().any(|it| it.message_id == message_id) {
            return Ok(Taken::Yes);
        }
        let unknown = self.unknown.lock().expect("no holder panics").contains(message_id);
        Ok(if unknown { Taken::CannotTell } else { Taken::No })
    }
}
