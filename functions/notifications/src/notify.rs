//! `POST /v1/mail-providers/{provider}/notify`

use std::borrow::Cow;

use contracts::{Body, JSON, notifications::DeliveryBounced};
use runtime::{prelude::*, problems::INVALID_REQUEST};
use schemars::{Schema, SchemaGenerator};

use crate::{
    delivery::{Delivery, DeliveryState, Reason},
    mail_event::{EVENTS_MOST, MailEvent, MailEvents, MailFate, TakenIn},
    suppression::{self, Cause},
};

/// Tell what became of messages: for mail providers, or what stands between one
/// and this platform.
///
/// The request is signed: `X-Aula-Signature` is the HMAC-SHA256, in hexadecimal
/// digits, of the text `<timestamp>.<body>`, with the secret that the operator
/// has set for the provider; `X-Aula-Timestamp` is that timestamp, in seconds
/// since 1970. It's believed for five minutes before and after. An event that
/// is told again changes nothing.
///
/// An address that has no mailbox, or whose owner complains, is not written to
/// any more, until an admin lifts that.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyOfMail {
    /// The provider, as the operator calls it.
    provider: Line<1, 32>,
    /// When the request was signed, in seconds since 1970.
    timestamp: Line<1, 20>,
    /// The signature.
    signature: Line<1, 100>,
    /// What is told.
    body: Signed,
}

/// The events, as they were signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signed(String);

impl JsonSchema for Signed {
    fn schema_name() -> Cow<'static, str> {
        MailEvents::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        MailEvents::json_schema(generator)
    }
}

/// There's no such mail provider.
pub const MAIL_PROVIDER_NOT_FOUND: Problem = Problem::not_found(
    "mail-provider-not-found",
    "There is no such mail provider.",
    "No existe ese proveedor de correo.",
);

/// The request isn't signed, or not now.
pub const INVALID_SIGNATURE: Problem = Problem::new(
    contracts::Code::PermissionDenied,
    "invalid-signature",
    "The signature isn't good, or is older than five minutes.",
    "La firma no es válida, o tiene más de cinco minutos.",
);

impl Endpoint for NotifyOfMail {
    const OPERATION: &'static str = "notifications.notify";
    const ROUTE: Route = Route::act("/v1/mail-providers/{provider}/notify");
    const PROBLEMS: &'static [Problem] = &[MAIL_PROVIDER_NOT_FOUND, INVALID_SIGNATURE];
    // The events have ids of their own.
    const IDEMPOTENCY: Idempotency = Idempotency::Off;
    const BODY: Body = Body::AsSent(JSON);
    const HEADERS: &'static [(&'static str, &'static str)] =
        &[("timestamp", "X-Aula-Timestamp"), ("signature", "X-Aula-Signature")];
    type Response = MailTold;
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MailTold {
    /// How many events were new.
    taken_in: u32,
}

/// For how many seconds a signature counts.
const WINDOW_SECONDS: u64 = 300;

pub async fn run(cx: Context<Anyone>, request: NotifyOfMail) -> Result<MailTold> {
    let events = request.believed(&cx)?;
    let mut taken_in = 0;
    for event in &events {
        let taken = TakenIn::new(&request.provider, event, cx.now);
        if cx.get::<TakenIn>(&taken.key()).await?.is_none() {
            let changes = changes(&cx, event).await?;
            cx.commit(changes.create(&taken)).await?;
            taken_in += 1;
        }
    }
    Ok(MailTold { taken_in })
}

impl NotifyOfMail {
    /// The events, if it's the provider that tells of them, and now.
    fn believed(&self, cx: &Context<Anyone>) -> Result<Vec<MailEvent>> {
        let Self { provider, timestamp, signature, body } = self;
        let providers = &cx.settings().mail_providers;
        if !providers.knows(provider) {
            return Err(MAIL_PROVIDER_NOT_FOUND.into());
        }
        let seconds = timestamp.parse::<i64>().ok().filter(|it| *it >= 0);
        let is_now = |it: i64| cx.now.as_seconds().abs_diff(it) <= WINDOW_SECONDS;
        let signed = format!("{}.{}", &**timestamp, body.0);
        if !(seconds.is_some_and(is_now)
            && providers.has_signed(provider, signed.as_bytes(), signature))
        {
            return Err(INVALID_SIGNATURE.into());
        }
        let events = serde_json::from_str::<MailEvents>(&body.0).map_err(|error| {
            let said = format!("The body isn't what is told here: {error}.");
            let dicho = format!("El cuerpo no es lo que se informa aquí: {error}.");
            Refusal::of(INVALID_REQUEST).because(said, dicho)
        })?;
        let mut faults = Faults::new();
        faults.unless(
            (1..=EVENTS_MOST).contains(&events.events.len()),
            "events",
            "out-of-range",
            "1 to 100 events are told at once.",
            "Se informan de 1 a 100 eventos a la vez.",
        );
        faults.check()?;
        Ok(events.events)
    }
}

/// What an event changes: the address, and the message if it's one of ours.
async fn changes(cx: &Context<Anyone>, event: &MailEvent) -> Result<Changes> {
    let id = event.message_id.as_deref().and_then(Delivery::id_of);
    let delivery = match id {
        Some(id) => cx.get::<Delivery>(id).await?,
        None => None,
    };
    let mut changes = Changes::new();
    let reason = match event.fate {
        MailFate::Delivered => None,
        MailFate::HardBounce => Some(Reason::HardBounce),
        MailFate::SoftBounce => Some(Reason::SoftBounce),
        MailFate::Complaint => Some(Reason::Complaint),
    };
    if reason.is_some() {
        let mut suppression = suppression::of(cx, &event.address).await?;
        match event.fate {
            MailFate::HardBounce => suppression.suppress(Cause::HardBounce, cx.now),
            MailFate::Complaint => suppression.suppress(Cause::Complaint, cx.now),
            MailFate::SoftBounce | MailFate::Delivered => suppression.count_soft_bounce(cx.now),
        }
        suppression.delivery_id = delivery.as_ref().map(|it| it.id.clone());
        changes = changes.save(&suppression);
    }
    let Some(mut delivery) = delivery else { return Ok(changes) };
    if let Some(reason) = reason {
        let said = event.detail.as_deref().unwrap_or_default();
        delivery.came_back(reason, said, cx.now);
        let (delivery_id, user_id) = (delivery.id.clone(), delivery.user_id.clone());
        changes = changes.emit(&DeliveryBounced { delivery_id, user_id });
    } else if delivery.state == DeliveryState::Unknown {
        // Now somebody can tell.
        delivery.sent(cx.now);
    } else {
        return Ok(changes);
    }
    Ok(changes.save(&delivery))
}

#[cfg(test)]
mod tests {
    use runtime::mail::{MailError, Providers};
    use testing::{Answer, App, Value, json};

    use super::*;
    use crate::tests::{app_with_section, confirmed, contact, deliveries, left};
    use contracts::identity::PasswordChanged;

    const URI: &str = "/v1/mail-providers/post/notify";

    async fn send(app: &App, at: i64, body: &str, seal: Option<String>) -> Answer {
        let providers: Providers = App::MAIL_PROVIDERS.parse().unwrap();
        let text = format!("{at}.{body}");
        let seal = seal.unwrap_or_else(|| providers.sign("post", text.as_bytes()).unwrap());
        let at = at.to_string();
        let headers = [("x-aula-timestamp", &*at), ("x-aula-signature", &*seal)];
        app.anyone().send("POST", URI, &headers, body.as_bytes().to_vec()).await
    }

    async fn tell(app: &App, events: Value) -> Answer {
        let body = json!({ "events": events }).to_string();
        send(app, app.now().as_seconds(), &body, None).await
    }

    fn event(id: &str, fate: &str, message_id: &str) -> Value {
        json!({
            "id": id, "fate": fate, "address": "Ada@mail.example", "message_id": message_id,
            "detail": "550 <ada@mail.example> unknown",
        })
    }

    async fn sent() -> (App, String) {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        let message_id = app.mail()[0].message_id.clone();
        (app, message_id)
    }

    async fn fate(app: &App, name: &str) -> (DeliveryState, Option<Reason>) {
        let all = deliveries(app).await;
        let it = all.iter().find(|it| it.kind.as_str() == name).unwrap();
        (it.state, it.reason)
    }

    #[tokio::test]
    async fn a_hard_bounce_suppresses_the_address_once() {
        let (app, message_id) = sent().await;
        let events = json!([event("b1", "hard_bounce", &format!("<{message_id}>"))]);
        assert_eq!(tell(&app, events.clone()).await.ok()["taken_in"], 1);
        let commits = app.commits();
        assert_eq!(tell(&app, events).await.ok()["taken_in"], 0);
        assert_eq!(app.commits(), commits);
        assert_eq!(
            fate(&app, "enrolled").await,
            (DeliveryState::Bounced, Some(Reason::HardBounce))
        );
        let list = app.admin("root").get("/v1/deliveries?state=bounced").await.ok();
        assert_eq!(list["items"][0]["last_error"], "550 … unknown");
        app.advance_minutes(1);
        app.deliver(&left("ada", 2)).await;
        let changed_at = app.now();
        app.deliver(&PasswordChanged { contact: contact("ada"), changed_at }).await;
        app.settle().await;
        let suppressed = (DeliveryState::Skipped, Some(Reason::Suppressed));
        assert_eq!(fate(&app, "cancelled").await, suppressed);
        assert_eq!(fate(&app, "password_changed").await, suppressed);
        assert_eq!(app.mail().len(), 1);
        assert_eq!(app.emitted::<DeliveryBounced>().await.len(), 1);
    }

    #[tokio::test]
    async fn who_complains_gets_nothing_more_but_what_concerns_their_safety() {
        let (app, message_id) = sent().await;
        tell(&app, json!([event("c1", "complaint", &message_id)])).await.ok();
        assert_eq!(fate(&app, "enrolled").await, (DeliveryState::Sent, Some(Reason::Complaint)));
        app.deliver(&left("ada", 2)).await;
        let changed_at = app.now();
        app.deliver(&PasswordChanged { contact: contact("ada"), changed_at }).await;
        app.settle().await;
        let suppressed = (DeliveryState::Skipped, Some(Reason::Suppressed));
        assert_eq!(fate(&app, "cancelled").await, suppressed);
        assert_eq!(fate(&app, "password_changed").await, (DeliveryState::Sent, None));
    }

    #[tokio::test]
    async fn soft_bounces_are_counted() {
        let (app, message_id) = sent().await;
        for id in 0..4 {
            tell(&app, json!([event(&format!("s{id}"), "soft_bounce", &message_id)])).await.ok();
        }
        assert_eq!(
            fate(&app, "enrolled").await,
            (DeliveryState::Bounced, Some(Reason::SoftBounce))
        );
        app.deliver(&left("ada", 2)).await;
        app.settle().await;
        assert_eq!(fate(&app, "cancelled").await, (DeliveryState::Sent, None));
        tell(&app, json!([event("s4", "soft_bounce", &message_id)])).await.ok();
        app.deliver(&confirmed("ada", 3)).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 2);
    }

    #[tokio::test]
    async fn what_arrived_is_unknown_no_more() {
        let app = app_with_section().await;
        app.mail_answers(|_| Err(MailError::Unknown("connection reset".into())));
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        let message_id = deliveries(&app).await[0].message_id.clone();
        tell(&app, json!([event("d1", "delivered", &message_id)])).await.ok();
        assert_eq!(fate(&app, "enrolled").await, (DeliveryState::Sent, None));
    }

    #[tokio::test]
    async fn the_address_counts_though_the_message_is_none_of_ours() {
        let (app, _) = sent().await;
        let alone = json!([{ "id": "x", "fate": "hard_bounce", "address": "ada@mail.example" }]);
        tell(&app, alone).await.ok();
        tell(&app, json!([event("y", "hard_bounce", "other@else.example")])).await.ok();
        assert_eq!(fate(&app, "enrolled").await, (DeliveryState::Sent, None));
        app.deliver(&left("ada", 2)).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
    }

    #[tokio::test]
    async fn only_what_is_signed_now_by_the_provider_is_believed() {
        let (app, message_id) = sent().await;
        let body = json!({ "events": [event("b", "hard_bounce", &message_id)] }).to_string();
        let now = app.now().as_seconds();
        send(&app, now - 301, &body, None).await.is(INVALID_SIGNATURE);
        send(&app, now + 301, &body, None).await.is(INVALID_SIGNATURE);
        send(&app, now, &body, Some("00".repeat(32))).await.is(INVALID_SIGNATURE);
        let providers: Providers = App::MAIL_PROVIDERS.parse().unwrap();
        let other = providers.sign("post", format!("{now}.{{}}").as_bytes());
        send(&app, now, &body, other).await.is(INVALID_SIGNATURE);
        let nobody = app.anyone();
        nobody.send("POST", URI, &[], body.into_bytes()).await.blames("timestamp", "missing");
        let headers = [("x-aula-timestamp", "1"), ("x-aula-signature", "00")];
        let uri = "/v1/mail-providers/other/notify";
        nobody.send("POST", uri, &headers, Vec::new()).await.is(MAIL_PROVIDER_NOT_FOUND);
        assert_eq!(fate(&app, "enrolled").await, (DeliveryState::Sent, None));
        let body = r#"{"events":[]}"#;
        send(&app, now, body, None).await.blames("events", "out-of-range");
        send(&app, now, "no JSON", None).await.is(INVALID_REQUEST);
        send(&app, now - 300, &body.replace("[]", "[{}]"), None).await.is(INVALID_REQUEST);
    }
}
