//! Turns: in one process, those who have lost a race for a document try again one after the
//! other, in the order of losing. Else a crowd that wants to change the same document has one
//! winner a round, and who is unlucky for long is sent away, though nothing is wrong.
//!
//! Other processes, and newcomers who have lost nothing yet, may still be faster: it's the
//! store that decides who wins, here as elsewhere.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::{Mutex as Gate, OwnedMutexGuard};

use crate::Key;

/// So many may wait for one document; whoever comes then is better off to ask again later.
/// A container has no more requests at once.
const MOST: usize = 100;

/// Whose turn it is at which document.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Key, Rivals>>);

/// Those who want to change a document, and have lost a race for it.
#[derive(Debug, Default)]
struct Rivals {
    count: usize,
    gate: Arc<Gate<()>>,
}

/// A turn, or the wait for one: it's over when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    key: Key,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn of somebody who has lost a race for this document; they keep the one
    /// that they have if it's the same document's, and give it back if it isn't, so that
    /// nobody waits for one who waits for them. Nothing: too many wait.
    pub(crate) async fn after_losing(
        self: &Arc<Self>,
        key: Key,
        held: Option<Turn>,
    ) -> Option<Turn> {
        if let Some(turn) = held.filter(|turn| turn.key == key) {
            return Some(turn);
        }
        let gate = {
            let mut rivals = self.0.lock().expect("no holder panics");
            let rivals = rivals.entry(key.clone()).or_default();
            if rivals.count >= MOST {
                return None;
            }
            rivals.count += 1;
            rivals.gate.clone()
        };
        // Counted before it's waited for: whoever gives up is taken off.
        let mut turn = Turn { turns: self.clone(), key, held: None };
        turn.held = Some(gate.lock_owned().await);
        Some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut rivals = self.turns.0.lock().expect("no holder panics");
        if let Some(those) = rivals.get_mut(&self.key) {
            those.count -= 1;
            if those.count == 0 {
                rivals.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn key(id: &str) -> Key {
        Key { collection: "seats", id: id.to_owned() }
    }

    #[tokio::test]
    async fn losers_go_on_one_after_the_other_and_leave_nothing_behind() {
        let turns = Arc::<Turns>::default();
        let first = turns.after_losing(key("a"), None).await.unwrap();
        let mut second = Box::pin(turns.after_losing(key("a"), None));
        let mut third = Box::pin(turns.after_losing(key("a"), None));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        // Elsewhere nobody waits for them, and who loses again keeps their turn.
        drop(turns.after_losing(key("b"), None).now_or_never().flatten().unwrap());
        let first = turns.after_losing(key("a"), Some(first)).now_or_never().flatten().unwrap();
        // Who gives up is passed over.
        drop(second);
        drop(first);
        drop(third.now_or_never().flatten().unwrap());
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_turn_is_given_back_before_another_is_waited_for() {
        let turns = Arc::<Turns>::default();
        let one = turns.after_losing(key("a"), None).await.unwrap();
        let other = turns.after_losing(key("b"), None).await.unwrap();
        let mut crossing = Box::pin(turns.after_losing(key("b"), Some(one)));
        assert!((&mut crossing).now_or_never().is_none());
        let other = turns.after_losing(key("a"), Some(other)).now_or_never().flatten().unwrap();
        assert_eq!(crossing.now_or_never().flatten().unwrap().key, key("b"));
        assert_eq!(other.key, key("a"));
    }

    #[tokio::test]
    async fn nobody_waits_behind_too_many() {
        let turns = Arc::<Turns>::default();
        let first = turns.after_losing(key("a"), None).await.unwrap();
        let mut waiting: Vec<_> =
            (1..MOST).map(|_| Box::pin(turns.after_losing(key("a"), None))).collect();
        for one in &mut waiting {
            assert!(one.now_or_never().is_none());
        }
        assert!(turns.after_losing(key("a"), None).now_or_never().unwrap().is_none());
        drop((first, waiting));
        assert!(turns.after_losing(key("a"), None).now_or_never().flatten().is_some());
    }
}
