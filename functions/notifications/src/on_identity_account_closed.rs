//! On `identity.account_closed.v1`: its owner is told until when that can
//! be undone, and hears of nothing else.

use contracts::identity::AccountClosed;
use runtime::prelude::*;

use crate::{contact, erasure::is_erased, news::News, telling::told_once};

pub async fn run(cx: Context<System>, event: AccountClosed) -> Result<()> {
    let AccountClosed { contact, closed_at, erased_at } = event;
    if is_erased(&cx, &contact.user_id).await? {
        return Ok(());
    }
    let closed = contact::closed(&cx, &contact, closed_at).await?;
    let news = News::AccountClosed { closed_at, erased_at };
    let told = told_once(&cx, &contact.user_id, news, None).await?;
    cx.commit_part(closed.and(told)).await
}

#[cfg(test)]
mod tests {
    use contracts::identity::{Contact, ContactChanged};
    use testing::App;

    use super::*;
    use crate::tests::{app_with_section, confirmed, contact, left};

    async fn subjects(app: &App) -> Vec<String> {
        app.settle().await;
        app.mail().into_iter().map(|it| it.subject).collect()
    }

    #[tokio::test]
    async fn whose_account_is_closed_hears_of_nothing_until_it_is_opened_again() {
        let app = app_with_section().await;
        app.deliver(&ContactChanged { contact: contact("ada") }).await;
        app.deliver(&confirmed("ada", 1)).await;
        let before = subjects(&app).await.len();
        let closed_at = app.now();
        let erased_at = closed_at.plus_minutes(30 * 24 * 60);
        app.deliver(&AccountClosed { contact: contact("ada"), closed_at, erased_at }).await;
        app.deliver_again().await;
        let told = subjects(&app).await;
        assert_eq!(told.len(), before + 1);
        assert!(told.iter().any(|it| it == "Your account is closed"), "{told:?}");
        app.advance_minutes(6 * 24 * 60 + 10 * 60);
        app.run_job("notifications.send_reminders").await;
        app.deliver(&left("ada", 2)).await;
        assert_eq!(subjects(&app).await.len(), before + 1);

        let opened = Contact { revision: contact("ada").revision + 2, ..contact("ada") };
        app.deliver(&ContactChanged { contact: opened }).await;
        // What is told late doesn't close it once more.
        app.deliver(&AccountClosed { contact: contact("ada"), closed_at, erased_at }).await;
        app.deliver(&confirmed("ada", 3)).await;
        assert_eq!(subjects(&app).await.len(), before + 2);
    }
}
