//! Unsubscribing: a link in each mail that a person may do without, by which
//! they get no more of its kind, without signing in.

use runtime::{prelude::*, same_secret};

use crate::news::{Kind, Rank};

/// Whose mail of which kind a token is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Who gets it.
    pub user_id: UserId,
    /// What it's about.
    pub kind: Kind,
}

/// The page on which a person unsubscribes from mail of a kind.
pub fn page<C>(cx: &Context<C>, user_id: &UserId, kind: Kind) -> String {
    format!("{}/v1/unsubscribe?token={}", cx.settings().public_url, token(cx, user_id, kind))
}

/// The token that the page is opened with. It holds for ever: so does the mail
/// that it stands in.
pub fn token<C>(cx: &Context<C>, user_id: &UserId, kind: Kind) -> String {
    format!("{user_id}.{}.{}", kind.as_str(), seal(cx, user_id.as_str(), kind.as_str()))
}

/// What a token is about, if it's one of ours.
pub fn subscription<C>(cx: &Context<C>, token: &str) -> Option<Subscription> {
    let mut parts = token.splitn(3, '.');
    let (user_id, kind, sealed) = (parts.next()?, parts.next()?, parts.next()?);
    let is_ours = same_secret(seal(cx, user_id, kind).as_bytes(), sealed.as_bytes());
    let named = Kind::ALL.iter().find(|it| it.as_str() == kind);
    let kind = named.copied().filter(|it| is_ours && it.rank() == Rank::Optional)?;
    Some(Subscription { user_id: user_id.into(), kind })
}

fn seal<C>(cx: &Context<C>, user_id: &str, kind: &str) -> String {
    cx.secret().seal_text("unsubscribe", &[user_id, kind])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::app;

    #[test]
    fn a_token_is_good_for_its_person_and_its_kind_alone() {
        let app = app();
        let (cx, ada) = (app.context(), UserId::from("ada"));
        let good = token(&cx, &ada, Kind::Reminder);
        let meant = Subscription { user_id: ada.clone(), kind: Kind::Reminder };
        assert_eq!(subscription(&cx, &good), Some(meant));
        for bad in [
            "",
            "ada.reminder",
            &good.replace("ada", "bob"),
            &good.replace("reminder", "digest"),
            &good[..good.len() - 1],
            &token(&cx, &ada, Kind::PasswordChanged),
        ] {
            assert_eq!(subscription(&cx, bad), None, "{bad}");
        }
    }
}
