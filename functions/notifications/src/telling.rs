//! Telling: what must be kept so that a person hears of something.

use runtime::prelude::*;

use contracts::{identity::Contact, notifications::DeliveryRequested};

use crate::{
    contact,
    delivery::{self, Delivery, Reason},
    erasure::is_erased,
    inbox_item::InboxItem,
    news::{News, Rank},
    preferences,
    section::KnownSection,
};

/// The changes that have a person told: the message, the item in their list
/// unless they don't want it there, and the event that has the message sent.
/// They belong into the commit of what is told; what guards that against
/// repeats guards these too.
pub async fn told(
    cx: &Context<System>,
    user_id: &UserId,
    news: News,
    section: Option<&KnownSection>,
) -> Result<Changes> {
    let listed = match news.kind().rank() {
        Rank::Security | Rank::Binding => true,
        Rank::Optional => preferences::of(cx, user_id).await?.lists(news.kind()),
    };
    Ok(as_wanted(cx, user_id, news, section, listed))
}

/// The same, where it's known whether the person wants it in their list.
pub fn as_wanted(
    cx: &Context<System>,
    user_id: &UserId,
    news: News,
    section: Option<&KnownSection>,
    listed: bool,
) -> Changes {
    let listed = listed && news.is_listed();
    let item = listed.then(|| InboxItem::new(user_id, news.clone(), section, cx.now));
    let changes = sent(&Delivery::new(user_id, news, host(cx), cx.now));
    match item {
        Some(item) => changes.create(&item),
        None => changes,
    }
}

/// The changes that have a message sent at once.
fn sent(delivery: &Delivery) -> Changes {
    let requested = DeliveryRequested { delivery_id: delivery.id.clone() };
    Changes::new().create(delivery).emit(&requested)
}

fn host<C>(cx: &Context<C>) -> &str {
    delivery::mail_host(&cx.settings().public_url)
}

/// The changes that record that a person isn't told, and why.
pub fn untold(cx: &Context<System>, user_id: &UserId, news: News, reason: Reason) -> Changes {
    let mut delivery = Delivery::new(user_id, news, host(cx), cx.now);
    delivery.skip(reason, cx.now);
    Changes::new().create(&delivery)
}

/// The same as [`told`], for news that nothing else guards against repeats:
/// nothing if there's such a message already.
pub async fn told_once(
    cx: &Context<System>,
    user_id: &UserId,
    news: News,
    section: Option<&KnownSection>,
) -> Result<Changes> {
    if is_told(cx, user_id, &news).await? {
        return Ok(Changes::new());
    }
    told(cx, user_id, news, section).await
}

/// The same as [`told_once`], to an address that isn't the person's.
pub async fn told_once_at(
    cx: &Context<System>,
    user_id: &UserId,
    news: News,
    address: &str,
) -> Result<Changes> {
    if is_told(cx, user_id, &news).await? {
        return Ok(Changes::new());
    }
    let item = news.is_listed().then(|| InboxItem::new(user_id, news.clone(), None, cx.now));
    let changes = sent(&Delivery::new(user_id, news, host(cx), cx.now).addressed(cx, address));
    Ok(match item {
        Some(item) => changes.create(&item),
        None => changes,
    })
}

async fn is_told(cx: &Context<System>, user_id: &UserId, news: &News) -> Result<bool> {
    Ok(cx.get::<Delivery>(&news.id(user_id)).await?.is_some())
}

/// Follows what identity tells of an account: its owner is told, where they are
/// to be written to by then.
pub async fn owner_told(cx: &Context<System>, contact: &Contact, news: News) -> Result<()> {
    if is_erased(cx, &contact.user_id).await? {
        return Ok(());
    }
    let learned = contact::learned(cx, contact).await?;
    let told = told_once(cx, &contact.user_id, news, None).await?;
    cx.commit_part(learned.and(told)).await
}

#[cfg(test)]
mod tests {
    use contracts::identity::{
        AccountClosed, DataExported, DeviceAdded, FactorAdded, FactorKind, FactorRemoved,
        IdentityLinked, PasskeySuspected, RecoveryCodeUsed,
    };
    use testing::json;

    use crate::tests::{app, contact};

    #[tokio::test]
    async fn whatever_concerns_the_safety_of_an_account_is_told_once_at_any_hour() {
        let app = app();
        let ada = app.user("ada");
        let always = json!({ "quiet_hours": { "from": "00:00", "until": "23:59" } });
        ada.patch("/v1/users/me/notification-preferences", always, "1").await.ok();
        let (at, contact) = (app.now(), || contact("ada"));
        let (kind, name) = (FactorKind::Totp, || "Phone".to_owned());
        macro_rules! tell {
            ($($event:expr),+ $(,)?) => {$(
                app.deliver(&$event).await;
                app.deliver_again().await;
                app.deliver(&$event).await;
            )+};
        }
        tell!(
            DeviceAdded {
                contact: contact(),
                session_id: "d1".into(),
                device: "Firefox on Linux".into(),
                network: None,
                signed_in_at: at,
            },
            FactorAdded { contact: contact(), kind, name: name(), added_at: at },
            FactorRemoved { contact: contact(), kind, name: name(), removed_at: at },
            RecoveryCodeUsed { contact: contact(), codes_left: 3, used_at: at },
            PasskeySuspected { contact: contact(), name: name(), noticed_at: at },
            IdentityLinked { contact: contact(), provider: "Google".into(), linked_at: at },
            DataExported { contact: contact(), exported_at: at },
            AccountClosed { contact: contact(), closed_at: at, erased_at: at.plus_minutes(43_200) },
        );
        app.settle().await;
        let mut subjects: Vec<_> = app.mail().into_iter().map(|it| it.subject).collect();
        subjects.sort();
        assert_eq!(
            subjects,
            [
                "A new sign-in to your account",
                "A recovery code was used",
                "One of your passkeys may have been copied",
                "Signing in takes one more step",
                "Signing in takes one step less",
                "You can sign in with Google",
                "Your account is closed",
                "Your data was exported",
            ]
        );
        let list = ada.get("/v1/users/me/notifications").await.ok();
        assert_eq!(list["items"].as_array().unwrap().len(), 8);
    }
}
