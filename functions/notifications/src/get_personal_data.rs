//! `GET /internal/notifications/users/{user_id}/personal-data`

use contracts::{identity::PersonalData, notifications::GetPersonalData};
use runtime::prelude::*;
use serde_json::Value;

use crate::{
    attendance::Attendance, contact::KnownContact, delivery::Delivery, digest::Digest, feed::Feed,
    inbox_item::InboxItem, preferences::Preferences, reminder::Reminder,
};

pub async fn run(cx: Context<System>, request: GetPersonalData) -> Result<PersonalData> {
    let user_id = &request.user_id;
    let mut data = PersonalData::default();
    let attendances = cx.query_all::<Attendance>(&Attendance::of(user_id)).await?;
    for attendance in &attendances {
        add(&mut data, cx.query_all::<Reminder>(&Reminder::of(&attendance.id)).await?);
    }
    add(&mut data, attendances);
    add(&mut data, cx.query_all::<Delivery>(&Delivery::of(user_id)).await?);
    add(&mut data, cx.query_all::<InboxItem>(&InboxItem::of(user_id)).await?);
    add(&mut data, cx.query_all::<Digest>(&Digest::of(user_id)).await?);
    add(&mut data, one::<Feed>(&cx, user_id).await?);
    add(&mut data, one::<Preferences>(&cx, user_id).await?);
    add(&mut data, one::<KnownContact>(&cx, user_id).await?);
    Ok(data)
}

/// What would let others in, or says nothing to anybody: the seal of a
/// calendar's secret, an address that is locked.
const LEFT_OUT: &[&str] = &["secret_seal", "locked_to"];

fn add<D: Document>(data: &mut PersonalData, documents: Vec<Stored<D>>) {
    if documents.is_empty() {
        return;
    }
    let collection = data.collections.entry(D::COLLECTION.to_owned()).or_default();
    collection.extend(documents.into_iter().map(|document| {
        let mut value = serde_json::to_value(document.into_inner()).unwrap_or(Value::Null);
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
        }
        value
    }));
}

async fn one<D: Document>(cx: &Context<System>, user_id: &UserId) -> Result<Vec<Stored<D>>> {
    Ok(cx.get::<D>(user_id.as_str()).await?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use contracts::identity::ContactChanged;
    use runtime::problems::NO_SUCH_PATH;
    use testing::json;

    use crate::tests::{app_with_section, confirmed, contact};

    const URI: &str = "/internal/notifications/users/ada/personal-data";

    #[tokio::test]
    async fn all_that_is_kept_is_told_but_what_would_let_others_in() {
        let app = app_with_section().await;
        for name in ["ada", "bob"] {
            app.deliver(&ContactChanged { contact: contact(name) }).await;
            app.deliver(&confirmed(name, 1)).await;
        }
        let ada = app.user("ada");
        ada.post("/v1/users/me/calendar/rotate", json!({})).await.ok();
        let change = json!({ "digest_hour": 7 });
        ada.patch("/v1/users/me/notification-preferences", change, "1").await.ok();
        let data = app.platform().get(URI).await.ok();
        let collections = data["collections"].as_object().unwrap();
        let counts: Vec<_> = collections
            .iter()
            .map(|(name, it)| format!("{name} {}", it.as_array().unwrap().len()))
            .collect();
        assert_eq!(
            counts,
            [
                "attendances 1",
                "contacts 1",
                "deliveries 1",
                "feeds 1",
                "inbox_items 1",
                "preferences 1",
                "reminders 2"
            ]
        );
        let told = data.to_string();
        assert!(told.contains("ada@mail.example") && !told.contains("secret_seal"), "{told}");
        assert!(!told.contains("bob"), "{told}");
    }

    #[tokio::test]
    async fn nobody_outside_is_told() {
        let app = app_with_section().await;
        app.admin("root").get(URI).await.is(NO_SUCH_PATH);
    }
}
