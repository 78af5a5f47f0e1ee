//! How long what runs now may still take. A call to another domain is told,
//! and so nobody works on an answer that nobody waits for any more.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

/// The header that says how long a request's sender waits, in milliseconds.
pub const HEADER: &str = "x-aula-timeout-ms";

tokio::task_local! {
    static UNTIL: Instant;
}

/// Runs something that may take so long, and no longer than what it's a part of.
pub async fn within<F: Future>(time: Duration, run: F) -> F::Output {
    let time = left().map_or(time, |left| left.min(time));
    UNTIL.scope(Instant::now() + time, run).await
}

/// How long what runs now may still take, if anybody waits for it.
pub fn left() -> Option<Duration> {
    let until = UNTIL.try_with(|until| *until).ok()?;
    Some(until.saturating_duration_since(Instant::now()))
}

/// What a sender says of how long they wait.
pub fn read(header: Option<&str>) -> Option<Duration> {
    header?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_may_take_no_longer_than_the_whole() {
        assert_eq!(left(), None);
        within(Duration::from_secs(5), async {
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!(left(), Some(Duration::from_secs(3)));
            within(Duration::from_secs(9), async {
                assert_eq!(left(), Some(Duration::from_secs(3)));
            })
            .await;
            within(Duration::from_secs(1), async {
                assert_eq!(left(), Some(Duration::from_secs(1)));
                tokio::time::advance(Duration::from_secs(4)).await;
                assert_eq!(left(), Some(Duration::ZERO));
            })
            .await;
        })
        .await;
    }

    #[test]
    fn what_is_no_number_says_nothing() {
        assert_eq!(read(Some("250")), Some(Duration::from_millis(250)));
        assert_eq!(read(Some("-1")).or(read(Some("soon"))).or(read(None)), None);
    }
}
