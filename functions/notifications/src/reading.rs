//! Reading a list to its end, a part at a time.

use runtime::prelude::*;

/// All that a query finds.
pub async fn all<C, D: Document>(cx: &Context<C>, query: Query) -> Result<Vec<Stored<D>>> {
    let (mut all, mut place) = (Vec::new(), None);
    loop {
        let (some, next) = cx.query(&query.clone().limit(500).after(place)).await?;
        all.extend(some);
        place = next;
        if place.is_none() {
            return Ok(all);
        }
    }
}
