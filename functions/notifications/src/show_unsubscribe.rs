//! `GET /v1/unsubscribe`

use contracts::Content;
use runtime::prelude::*;

use crate::{
    unsubscribe_page::{self, HTML, INVALID_UNSUBSCRIBE_TOKEN},
    unsubscribing,
};

/// Show a page that asks whether you want no more mail of a kind.
///
/// It changes nothing: programs that look for viruses open every link of a mail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowUnsubscribe {
    /// What the link in the mail carries.
    token: Line<1, 300>,
}

impl Endpoint for ShowUnsubscribe {
    const OPERATION: &'static str = "notifications.show_unsubscribe";
    const ROUTE: Route = Route::get("/v1/unsubscribe");
    const PROBLEMS: &'static [Problem] = &[INVALID_UNSUBSCRIBE_TOKEN];
    const ANSWERS: &'static str = HTML;
    type Response = Content;
}

pub async fn run(cx: Context<Anyone>, request: ShowUnsubscribe) -> Result<Content> {
    let ShowUnsubscribe { token } = request;
    let subscription = unsubscribing::subscription(&cx, &token);
    let subscription = subscription.ok_or(INVALID_UNSUBSCRIBE_TOKEN)?;
    unsubscribe_page::asking(cx.language, subscription.kind, &token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        news::Kind,
        tests::{app, app_with_section, confirmed},
    };

    #[tokio::test]
    async fn the_page_has_a_form_and_changes_nothing() {
        let app = app_with_section().await;
        app.deliver(&confirmed("ada", 1)).await;
        app.settle().await;
        let token = unsubscribing::token(&app.context(), &"ada".into(), Kind::Reminder);
        let commits = app.commits();
        let uri = format!("/v1/unsubscribe?token={token}");
        let page = app.anyone().in_language("es").get(&uri).await;
        assert_eq!((page.status, page.header("content-type")), (200, HTML));
        assert!(page.text.contains("<html lang=\"es\">") && page.text.contains("recordatorios"));
        let form = format!("<form method=\"post\" action=\"/v1/unsubscribe?token={token}\">");
        assert!(page.text.contains(&form), "{}", page.text);
        assert!(page.header("content-security-policy").contains("form-action 'self'"));
        assert_eq!(app.commits(), commits);
    }

    #[tokio::test]
    async fn another_token_opens_nothing() {
        let app = app();
        let nobody = app.anyone();
        nobody.get("/v1/unsubscribe?token=ada.reminder.x").await.is(INVALID_UNSUBSCRIBE_TOKEN);
        nobody.get("/v1/unsubscribe").await.blames("token", "missing");
    }
}
