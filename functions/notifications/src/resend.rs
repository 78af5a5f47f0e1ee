//! `POST /v1/deliveries/{delivery_id}/resend`

use contracts::notifications::DeliveryRequested;
use runtime::prelude::*;

use crate::{
    delivery::{Delivery, DeliveryState},
    list_deliveries::DeliveryView,
};

/// Send a message once more of which nobody can tell whether it was sent.
///
/// Its reader may get it twice, so it's only done when someone asks for it, and
/// once. It's written anew, and skipped if it isn't wanted any more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendDelivery {
    /// The message.
    delivery_id: Line<1, 64>,
}

/// There's no such message.
pub const DELIVERY_NOT_FOUND: Problem =
    Problem::not_found("delivery-not-found", "There is no such message.", "No existe ese mensaje.");

/// Of this message it's known what became of it.
pub const DELIVERY_NOT_UNKNOWN: Problem = Problem::conflict(
    "delivery-not-unknown",
    "Only a message of which nobody can tell whether it was sent is sent once more.",
    "Solo se reenvía un mensaje del que nadie puede decir si se envió.",
);

/// This message was sent once more already.
pub const ALREADY_RESENT: Problem = Problem::conflict(
    "already-resent",
    "This message was sent once more already.",
    "Este mensaje ya se reenvió una vez.",
);

impl Endpoint for ResendDelivery {
    const OPERATION: &'static str = "notifications.resend";
    const ROUTE: Route = Route::act("/v1/deliveries/{delivery_id}/resend");
    const PROBLEMS: &'static [Problem] =
        &[DELIVERY_NOT_FOUND, DELIVERY_NOT_UNKNOWN, ALREADY_RESENT];
    type Response = DeliveryView;
}

pub async fn run(cx: Context<Admin>, request: ResendDelivery) -> Result<DeliveryView> {
    let delivery = cx.get::<Delivery>(&request.delivery_id).await?;
    let mut delivery = delivery.ok_or(DELIVERY_NOT_FOUND)?;
    if delivery.resent_at.is_some() {
        return Err(ALREADY_RESENT.into());
    }
    if delivery.state != DeliveryState::Unknown {
        return Err(DELIVERY_NOT_UNKNOWN.into());
    }
    delivery.resend(cx.now);
    let requested = DeliveryRequested { delivery_id: delivery.id.clone() };
    let changes = Changes::new().save(&delivery).emit(&requested);
    cx.answer(changes, DeliveryView::of(delivery.into_inner())).await
}

#[cfg(test)]
mod tests {
    use runtime::{
        mail::MailError,
        problems::{FORBIDDEN, UNAUTHENTICATED},
    };
    use testing::{App, json};

    use super::*;
    use crate::tests::{app_with_section, confirmed, deliveries};

    /// A message that may have been sent.
    async fn unknown() -> (App, String) {
        let app = app_with_section().await;
        app.mail_answers(|_| Err(MailError::Unknown("connection reset".into())));
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        app.mail_answers(|_| Ok(()));
        let id = deliveries(&app).await[0].id.clone();
        (app, format!("/v1/deliveries/{id}/resend"))
    }

    #[tokio::test]
    async fn an_unknown_message_is_sent_once_more_and_not_twice() {
        let (app, uri) = unknown().await;
        let root = app.admin("root");
        let before = deliveries(&app).await.remove(0);
        let first = root.post_with_key(&uri, json!({}), "k").await;
        assert_eq!(first.ok()["state"], "scheduled");
        assert_eq!(root.post_with_key(&uri, json!({}), "k").await.ok(), first.ok());
        root.post(&uri, json!({})).await.is(ALREADY_RESENT);
        app.settle().await;
        let mail = app.mail();
        assert_eq!((mail.len(), &mail[0].message_id), (1, &before.message_id));
        let list = root.get("/v1/deliveries?state=sent").await.ok();
        assert_eq!(list["items"][0]["resent_at"], list["items"][0]["sent_at"]);
        root.post(&uri, json!({})).await.is(ALREADY_RESENT);
    }

    #[tokio::test]
    async fn one_that_is_unknown_again_is_not_sent_a_third_time() {
        let (app, uri) = unknown().await;
        app.mail_answers(|_| Err(MailError::Unknown("connection reset".into())));
        app.admin("root").post(&uri, json!({})).await.ok();
        app.settle().await;
        assert_eq!(deliveries(&app).await[0].state, DeliveryState::Unknown);
        app.admin("root").post(&uri, json!({})).await.is(ALREADY_RESENT);
    }

    #[tokio::test]
    async fn a_message_whose_fate_is_known_is_not_sent_again() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        let uri = format!("/v1/deliveries/{}/resend", deliveries(&app).await[0].id);
        let root = app.admin("root");
        root.post(&uri, json!({})).await.is(DELIVERY_NOT_UNKNOWN);
        app.settle().await;
        root.post(&uri, json!({})).await.is(DELIVERY_NOT_UNKNOWN);
        root.post("/v1/deliveries/none/resend", json!({})).await.is(DELIVERY_NOT_FOUND);
        assert_eq!(app.mail().len(), 1);
    }

    #[tokio::test]
    async fn only_admins_may() {
        let (app, uri) = unknown().await;
        app.anyone().post(&uri, json!({})).await.is(UNAUTHENTICATED);
        app.user("ada").post(&uri, json!({})).await.is(FORBIDDEN);
        app.instructor("ines").post(&uri, json!({})).await.is(FORBIDDEN);
    }
}
