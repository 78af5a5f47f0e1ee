//! Each hour: the keys that sign access tokens change when it's time.

use runtime::prelude::*;

/// Makes the next key when the last one has signed for 30 days, lets it sign
/// after an hour, and drops the last one when none of its tokens is good any more.
#[derive(Default)]
pub struct RotateKeys;

impl Job for RotateKeys {
    const NAME: &'static str = "identity.rotate_keys";
    const SCHEDULE: &'static str = "41 * * * *";
}

pub async fn run(cx: Context<System>, _: RotateKeys) -> Result<()> {
    Ok(cx.keyring().rotate(cx.now).await?)
}

#[cfg(test)]
mod tests {
    use testing::Value;

    use crate::tests::{app, enter, holder, member};

    const ADA: &str = "ada@example.org";

    fn kid(token: &Value) -> String {
        let header = token.as_str().and_then(|it| it.split('.').next()).expect("a token");
        header.to_owned()
    }

    #[tokio::test]
    async fn tokens_of_both_keys_are_good_while_they_change() {
        let app = app();
        member(&app, ADA).await;
        // The test's key is older than a month: the next one is made at once.
        app.run_job("identity.rotate_keys").await;
        let published = app.anyone().get("/.well-known/jwks.json").await.ok();
        assert_eq!(published["keys"].as_array().map(Vec::len), Some(2));
        app.advance_minutes(59);
        app.run_job("identity.rotate_keys").await;
        let old = enter(&app, ADA).await;
        app.advance_minutes(1);
        app.run_job("identity.rotate_keys").await;
        let new = enter(&app, ADA).await;
        assert_ne!(kid(&old["access_token"]), kid(&new["access_token"]));
        for signed_in in [&old, &new] {
            holder(&app, signed_in).get("/v1/users/me").await.ok();
        }
        app.advance_minutes(60);
        app.run_job("identity.rotate_keys").await;
        let published = app.anyone().get("/.well-known/jwks.json").await.ok();
        assert_eq!(published["keys"].as_array().map(Vec::len), Some(1));
        let newest = enter(&app, ADA).await;
        holder(&app, &newest).get("/v1/users/me").await.ok();
    }
}
