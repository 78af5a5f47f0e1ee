//! `POST /internal/enrollments/sections/{section_id}/limit-seats`

use contracts::enrollments::LimitSeats;
use runtime::prelude::*;

use crate::{hall::Want, learning::known};

pub async fn run(cx: Context<System>, request: LimitSeats) -> Result<()> {
    let mut seats = known(&cx, &request.section_id, Want::All).await?.seats;
    seats.limit(request.most, request.revision, cx.now)?;
    cx.commit(seats.changes()).await
}

#[cfg(test)]
mod tests {
    use contracts::{courses::SectionFacts, enrollments::CAPACITY_BELOW_TAKEN};
    use serde_json::json;

    use crate::tests::{app, course, enroll, section, state};

    #[tokio::test]
    async fn a_lower_capacity_is_promised_and_never_below_the_seats_taken() {
        let app = app(section(Some(3)), course());
        enroll(&app, "ada").await.ok();
        enroll(&app, "bob").await.ok();
        let path = "/internal/enrollments/sections/s1/limit-seats";
        let platform = app.platform();
        let too_low = platform.post(path, json!({ "most": 1, "revision": 1 })).await;
        too_low.is(CAPACITY_BELOW_TAKEN);
        assert_eq!(too_low.body["errors"][0]["values"]["seats_taken"], 2);
        platform.post(path, json!({ "most": 2, "revision": 1 })).await.ok();
        assert_eq!(enroll(&app, "cid").await.ok()["state"], "waitlisted");
    }

    #[tokio::test]
    async fn a_raised_capacity_promotes_as_many_as_there_are_seats() {
        let app = app(section(Some(1)), course());
        for name in ["ada", "bob", "cid", "dan"] {
            enroll(&app, name).await.ok();
        }
        let raised = SectionFacts { revision: 2, ..section(Some(3)) };
        let told = json!({ "section": raised, "course": course() });
        app.platform().post("/internal/enrollments/learn-section", told.clone()).await.ok();
        assert_eq!(state(&app, "cid").await.0, "confirmed");
        assert_eq!(state(&app, "dan").await, ("waitlisted".into(), json!(1)));
        // The same facts again, and older ones, change nothing.
        app.platform().post("/internal/enrollments/learn-section", told).await.ok();
        assert_eq!(state(&app, "dan").await.0, "waitlisted");
    }
}
