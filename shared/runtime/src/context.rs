//! What a function may touch, and how it commits.

use std::{pin::pin, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::{Endpoint, Language, Page, PageSize, Timestamp};
use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Changes, Conflict, Cursor, Document, Envelope, Error, Files, Key, Keyring, Mail, Ports, Query,
    Random, Record, Refusal, Result, Secret, Sender, Settings, Stored, Trace, Write,
    domain::Reply,
    idempotency::Keyed,
    problems::{ETAG_REQUIRED, INVALID_PAGE_TOKEN, STALE_ETAG},
};

/// One run of a function: who called it, when, and what it may touch.
#[derive(Clone)]
pub struct Context<C> {
    /// Who called.
    pub caller: C,
    /// When.
    pub now: Timestamp,
    /// The language to speak to them.
    pub language: Language,
    pub(crate) run: Arc<Run>,
}

/// What the runtime knows of a run, and functions needn't.
pub(crate) struct Run {
    pub(crate) ports: Arc<Ports>,
    pub(crate) domain: &'static str,
    pub(crate) trace: Trace,
    /// The request's idempotency key.
    pub(crate) keyed: Option<Arc<Keyed>>,
    /// The status of the operation's success.
    pub(crate) status: u16,
    /// The event that a subscriber handles.
    pub(crate) cause: Option<Cause>,
    /// What sent the request.
    pub(crate) sender: Sender,
    /// How many races for its documents it has lost so far.
    pub(crate) losses: u32,
}

/// The event that a subscriber handles, and who handles it.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) function: String,
    pub(crate) event_id: String,
    pub(crate) correlation_id: String,
}

/// An event that a subscriber has handled: it isn't handled again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Handled {
    id: String,
    expires_at: Timestamp,
}

impl Document for Handled {
    const COLLECTION: &'static str = "inbox";
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// How long an event is remembered as handled: longer than any bus keeps it.
const HANDLED_SECONDS: i64 = 31 * 24 * 60 * 60;

impl<C> Context<C> {
    /// Reads a document.
    pub async fn get<D: Document>(&self, id: &str) -> Result<Option<Stored<D>>> {
        let record = self.run.ports.store.get(&Key::of::<D>(id)).await?;
        Ok(record.map(Stored::read).transpose()?)
    }

    /// How many races for the documents that it wanted this run has lost so far:
    /// where others would do as well, it may look for those next time.
    pub fn losses(&self) -> u32 {
        self.run.losses
    }

    /// Reads several documents, at once where the store can; in the order of their ids.
    pub async fn get_all<D: Document>(&self, ids: &[String]) -> Result<Vec<Option<Stored<D>>>> {
        let keys: Vec<_> = ids.iter().map(|id| Key::of::<D>(id)).collect();
        let records = self.run.ports.store.get_all(&keys).await?;
        let read = |record: Option<Record>| record.map(Stored::read).transpose();
        Ok(records.into_iter().map(read).collect::<anyhow::Result<_>>()?)
    }

    /// Reads documents, and where to go on if there are more.
    pub async fn query<D: Document>(
        &self,
        query: &Query,
    ) -> Result<(Vec<Stored<D>>, Option<Cursor>)> {
        let (records, next) = self.records(query).await?;
        let documents = records.into_iter().map(Stored::read).collect::<anyhow::Result<_>>()?;
        Ok((documents, next))
    }

    /// Reads all documents that a query finds, a part at a time.
    pub async fn query_all<D: Document>(&self, query: &Query) -> Result<Vec<Stored<D>>> {
        let (mut all, mut part) = (Vec::new(), query.clone());
        loop {
            let (some, next) = self.query(&part).await?;
            all.extend(some);
            if next.is_none() {
                return Ok(all);
            }
            part = part.after(next);
        }
    }

    /// The same, unread: for a list of which only a part is needed.
    pub async fn records(&self, query: &Query) -> Result<(Vec<Record>, Option<Cursor>)> {
        let rows = self.run.ports.store.query(query).await?;
        Ok((rows.records, rows.next))
    }

    /// Counts what a query would find.
    pub async fn count(&self, query: &Query) -> Result<u64> {
        Ok(self.run.ports.store.count(query).await?)
    }

    /// Reads one page of a list, from where its token says.
    pub async fn page<D: Document>(
        &self,
        query: Query,
        size: PageSize,
        token: Option<&str>,
    ) -> Result<Page<Stored<D>>> {
        let after = token.map(|token| place(&query, token)).transpose()?;
        let query = query.limit(size.get()).after(after);
        let (items, next) = self.query(&query).await?;
        Ok(Page { items, next_page_token: next.map(|next| page_token(&query, &next)) })
    }

    /// Makes the changes, all or none, and has the bus tell their events.
    ///
    /// In a subscriber the event that it handles is marked as handled in the
    /// same commit, so that it takes effect once.
    pub async fn commit(&self, changes: Changes) -> Result<()> {
        debug_assert!(
            self.run.keyed.is_none(),
            "a POST that changes something answers with `cx.answer`, so that a repeat is safe"
        );
        self.run.write(changes, None, self.now).await
    }

    /// Makes the changes and records the answer in the same commit, so that the
    /// same request with the same idempotency key gets it again.
    pub async fn answer<R: Serialize>(&self, changes: Changes, response: R) -> Result<R> {
        let record = match &self.run.keyed {
            Some(keyed) => {
                let reply = Reply::json(self.run.status, &response)?;
                Some(keyed.record(&reply, self.now))
            }
            None => None,
        };
        self.run.write(changes, record, self.now).await?;
        Ok(response)
    }

    /// Makes a part of the changes of a long piece of work, which can be begun
    /// again: the event that it's for isn't marked as handled.
    pub async fn commit_part(&self, changes: Changes) -> Result<()> {
        self.run.write_all(changes, (None, None), self.now).await
    }

    /// Asks another domain.
    pub async fn call<E: Endpoint>(&self, request: E) -> Result<E::Response> {
        crate::client::call(&*self.run.ports.client, &request, &self.run.trace).await
    }

    /// The domain's files, if it says that it needs any (`Need::Files`): links to
    /// send them and to fetch them, and what is known of them.
    pub fn files(&self) -> &dyn Files {
        &*self.run.ports.files
    }

    /// Asks another domain, and waits for it no longer than this.
    pub async fn call_within<E: Endpoint>(
        &self,
        time: Duration,
        request: E,
    ) -> Result<E::Response> {
        crate::deadline::within(time, self.call(request)).await
    }

    /// What takes mail.
    pub fn mail(&self) -> &dyn Mail {
        &*self.run.ports.mail
    }

    /// What signs access tokens.
    pub fn keyring(&self) -> &dyn Keyring {
        &*self.run.ports.keyring
    }

    /// Randomness.
    pub fn random(&self) -> &dyn Random {
        &*self.run.ports.random
    }

    /// The platform's secret.
    pub fn secret(&self) -> &Secret {
        &self.run.ports.secret
    }

    /// What the platform's operator has set.
    pub fn settings(&self) -> &Settings {
        &self.run.ports.settings
    }

    /// What sent the request.
    pub fn sender(&self) -> &Sender {
        &self.run.sender
    }

    /// The time now, in a run that may take long; `cx.now` is when it began.
    pub fn clock(&self) -> Timestamp {
        self.run.ports.clock.now()
    }

    /// Waits for something, but no longer than this; nothing if it takes longer.
    pub async fn within<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
        match select(pin!(work), self.run.ports.clock.sleep(patience)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// Checks that the caller has seen the current version of what they change.
    pub fn expect_etag(&self, current: &str, seen: Option<&str>) -> Result<()> {
        let seen = seen.ok_or(ETAG_REQUIRED)?;
        if seen == "*" || seen.trim_start_matches("W/").trim_matches('"') == current {
            return Ok(());
        }
        let (en, es) =
            (format!("It is at etag {current} now."), format!("Ahora está en el etag {current}."));
        Err(Refusal::of(STALE_ETAG).because(en, es).into())
    }
}

impl Run {
    async fn write(&self, changes: Changes, record: Option<Write>, now: Timestamp) -> Result<()> {
        let handled = self.cause.as_ref().map(|cause| Handled {
            id: crate::ports::derived_id(&[&cause.function, &cause.event_id]),
            expires_at: now.plus_seconds(HANDLED_SECONDS),
        });
        self.write_all(changes, (record, handled), now).await
    }

    async fn write_all(
        &self,
        changes: Changes,
        (record, handled): (Option<Write>, Option<Handled>),
        now: Timestamp,
    ) -> Result<()> {
        let Changes { mut writes, announcements } = changes;
        let events = self.envelopes(announcements, now);
        writes.extend(events.iter().map(outbox_row));
        writes.extend(record);
        if let Some(handled) = &handled {
            let body = serde_json::to_string(handled).map_err(anyhow::Error::from)?;
            writes.push(Write::Create(Key::of::<Handled>(handled.key()), body));
        }
        if writes.is_empty() {
            return Ok(());
        }
        match self.ports.store.commit(writes).await? {
            Ok(()) => {}
            Err(Conflict(key)) if key.collection == Handled::COLLECTION => {
                return Err(Error::Repeated);
            }
            Err(Conflict(key)) => return Err(Error::Stale(key)),
        }
        if !events.is_empty() {
            self.ports.bus.committed(self.domain, &events).await;
        }
        Ok(())
    }

    /// The events as they are kept and sent.
    pub(crate) fn envelopes(
        &self,
        announcements: Vec<crate::outbox::Announcement>,
        now: Timestamp,
    ) -> Vec<Envelope> {
        let cause = self.cause.as_ref();
        let causation_id: &str = cause.map_or(&self.trace.span_id, |cause| &cause.event_id);
        let correlation_id: &str =
            cause.map_or(&self.trace.trace_id, |cause| &cause.correlation_id);
        let envelope = |announcement: crate::outbox::Announcement| Envelope {
            id: self.ports.random.id(),
            kind: announcement.kind.to_owned(),
            source: self.domain.to_owned(),
            subject: announcement.subject,
            emitted_at: now,
            traceparent: self.trace.traceparent(),
            correlation_id: correlation_id.to_owned(),
            causation_id: causation_id.to_owned(),
            data: announcement.data,
        };
        announcements.into_iter().map(envelope).collect()
    }
}

/// The write that puts an event into the outbox.
pub(crate) fn outbox_row(event: &Envelope) -> Write {
    let body = serde_json::to_string(event).expect("envelopes are JSON");
    Write::Create(Key::of::<Envelope>(event.id.clone()), body)
}

/// A place in a list as an opaque token, bound to the list.
pub fn page_token(query: &Query, place: &Cursor) -> String {
    let token = (&place.value, &place.id, checksum(query, place));
    let json = serde_json::to_vec(&token).expect("cursors are JSON");
    BASE64_URL_SAFE_NO_PAD.encode(json)
}

/// The place that a token means, if it's a token of this list.
pub fn place(query: &Query, token: &str) -> Result<Cursor> {
    let read = || {
        let json = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (value, id, sum): (Value, String, String) = serde_json::from_slice(&json).ok()?;
        let place = Cursor { value, id };
        (sum == checksum(query, &place)).then_some(place)
    };
    if token.len() > 4096 {
        return Err(INVALID_PAGE_TOKEN.into());
    }
    read().ok_or_else(|| INVALID_PAGE_TOKEN.into())
}

/// Binds a place to its list. It guards against mistakes, not against forgers:
/// a forged place only begins elsewhere in what the caller may read anyway.
fn checksum(query: &Query, place: &Cursor) -> String {
    let Query { collection, equals, contains, order, direction, at_most, at_least, .. } = query;
    let list = format!(
        "{collection} {equals:?} {contains:?} {order} {direction:?} {at_most:?} {at_least:?} {place:?}"
    );
    let hash = digest::digest(&digest::SHA256, list.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&hash.as_ref()[..9])
}
