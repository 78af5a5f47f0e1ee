//! `DELETE /v1/suppressions/{suppression_id}`

use runtime::prelude::*;

use crate::suppression::Suppression;

/// Send to an address again: whoever it belongs to says that it works, or that
/// they want the mail.
///
/// What wasn't sent meanwhile isn't sent now. It's forgotten for good, and so
/// is what mail came back from there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftSuppression {
    /// The address, by the id that the list of suppressions tells.
    suppression_id: Line<1, 64>,
}

/// There's no such suppression.
pub const SUPPRESSION_NOT_FOUND: Problem = Problem::not_found(
    "suppression-not-found",
    "There is no such suppression.",
    "No existe esa supresión.",
);

impl Endpoint for LiftSuppression {
    const OPERATION: &'static str = "notifications.lift_suppression";
    const ROUTE: Route = Route::delete("/v1/suppressions/{suppression_id}");
    const PROBLEMS: &'static [Problem] = &[SUPPRESSION_NOT_FOUND];
    type Response = ();
}

pub async fn run(cx: Context<Admin>, request: LiftSuppression) -> Result<()> {
    let suppression = cx.get::<Suppression>(&request.suppression_id).await?;
    let suppression = suppression.ok_or(SUPPRESSION_NOT_FOUND)?;
    cx.commit(Changes::new().delete(&suppression)).await
}

#[cfg(test)]
mod tests {
    use contracts::identity::PasswordChanged;
    use runtime::problems::{FORBIDDEN, UNAUTHENTICATED};

    use super::*;
    use crate::{list_suppressions::tests::suppressed, tests::contact};

    #[tokio::test]
    async fn mail_goes_out_again_once_it_is_lifted() {
        let app = suppressed().await;
        let root = app.admin("root");
        let id = root.get("/v1/suppressions?user_id=ada").await.ok()["items"][0]["id"].clone();
        let uri = format!("/v1/suppressions/{}", id.as_str().unwrap());
        app.user("ada").delete(&uri).await.is(FORBIDDEN);
        app.anyone().delete(&uri).await.is(UNAUTHENTICATED);
        assert_eq!(root.delete(&uri).await.status, 204);
        root.delete(&uri).await.is(SUPPRESSION_NOT_FOUND);
        let changed_at = app.now();
        app.deliver(&PasswordChanged { contact: contact("ada"), changed_at }).await;
        app.settle().await;
        assert_eq!(app.mail().len(), 1);
    }
}
