//! Every minute: seats that were left free while somebody waits are given out.
//!
//! Leaving and raising a capacity promote in the same step. This job finishes
//! what a crash cut short between two parts of a large promotion.

use runtime::prelude::*;

use crate::{promoting, seats::Seats};

/// Promote wherever a seat is free and somebody waits.
#[derive(Default)]
pub struct Promote;

impl Job for Promote {
    const NAME: &'static str = "enrollments.promote";
    const SCHEDULE: &'static str = "* * * * *";
}

pub async fn run(cx: Context<System>, _: Promote) -> Result<()> {
    let (promotable, _) =
        cx.query::<Seats>(&Query::ascending::<Seats>("promotable_since").limit(100)).await?;
    for seats in promotable {
        promoting::all(&cx, &seats.section_id).await?;
    }
    Ok(())
}
