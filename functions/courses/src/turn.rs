//! Turns: changes that look at more documents than they write take turns, so
//! that two of them can't break together a rule that each of them keeps.
//!
//! Of two changes of the same kind that look at the same time, one is committed
//! and the other looks again. They are rare, and so can afford it.

use runtime::prelude::*;

/// Whose turn it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Turn {
    id: String,
    number: u64,
}

impl Document for Turn {
    const COLLECTION: &'static str = "turns";
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Takes the next turn of a kind of change, before anything is looked at. It
/// counts once it's saved with the change.
pub async fn take<C>(cx: &Context<C>, kind: &str) -> Result<Stored<Turn>> {
    let turn = cx.get::<Turn>(kind).await?;
    let mut turn = turn.unwrap_or_else(|| Stored::new(Turn { id: kind.to_owned(), number: 0 }));
    turn.number += 1;
    Ok(turn)
}
