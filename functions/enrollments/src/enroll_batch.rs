//! `POST /v1/enrollments/batch`

use contracts::{courses::SectionId, enrollments::BatchAdvanced};
use runtime::prelude::*;

use crate::batch::{Batch, BatchView};

/// Enroll many people.
///
/// Each row is decided for itself, in the order of the rows, as when staff
/// enroll somebody: neither the window, nor the key, nor the approval is asked
/// for. The answer comes at once, and the rows are worked on after it: `GET
/// /v1/enrollments/batches/{batch_id}` tells how far it is, and
/// `.../rows` what came of each row. Whatever happens meanwhile, each row takes
/// effect once; sent again as another batch, the same rows change nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrollBatch {
    /// Whom to enroll where: 1 to 10,000 rows.
    #[schemars(length(min = 1, max = 10_000))]
    rows: Vec<BatchRow>,
    /// Let people in who haven't completed what a course asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waive_prerequisites: Option<bool>,
}

/// A row of a batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRow {
    /// The section to attend.
    section_id: SectionId,
    /// Who is to attend.
    user_id: UserId,
}

impl Endpoint for EnrollBatch {
    const OPERATION: &'static str = "enrollments.enroll_batch";
    const ROUTE: Route = Route::accept("/v1/enrollments/batch");
    const IDEMPOTENCY: Idempotency = Idempotency::Required;
    type Response = BatchView;
}

/// The most rows of a batch.
const ROWS_MOST: usize = 10_000;

pub async fn run(cx: Context<Admin>, request: EnrollBatch) -> Result<BatchView> {
    let mut faults = Faults::new();
    faults.unless(
        (1..=ROWS_MOST).contains(&request.rows.len()),
        "rows",
        "out-of-range",
        "A batch has 1 to 10,000 rows.",
        "Un lote tiene de 1 a 10.000 filas.",
    );
    faults.check()?;

    let rows: Vec<_> = request.rows.into_iter().map(|it| (it.section_id, it.user_id)).collect();
    let waived = request.waive_prerequisites == Some(true);
    let (batch, parts) = Batch::of(cx.random().id().into(), &rows, waived, cx.now);

    let told = BatchAdvanced { batch_id: batch.id.clone(), part: batch.next_part };
    let changes = Changes::new().create(&batch).emit(&told);
    let changes = parts.iter().fold(changes, Changes::create);
    let view = batch.view();
    cx.answer(changes, view).await
}

#[cfg(test)]
mod tests {
    use contracts::{
        courses::{GetSectionFacts, SECTION_NOT_FOUND, SectionAndCourse, SectionFacts},
        enrollments::Confirmed,
        identity::{GetContact, USER_NOT_FOUND},
    };
    use runtime::problems::FORBIDDEN;
    use serde_json::{Value, json};
    use testing::App;

    use super::*;
    use crate::tests::{app, course, section, state};

    const PATH: &str = "/v1/enrollments/batch";

    fn rows(people: std::ops::Range<u32>) -> Value {
        let row = |it: u32| json!({ "section_id": "s1", "user_id": format!("user{it}") });
        json!({ "rows": people.map(row).collect::<Vec<_>>() })
    }

    async fn seen(app: &App, id: &Value) -> Value {
        let path = format!("/v1/enrollments/batches/{}", id.as_str().expect("an id"));
        app.admin("root").get(&path).await.ok()
    }

    async fn all_rows(app: &App, id: &Value) -> Vec<Value> {
        let path = format!("/v1/enrollments/batches/{}/rows", id.as_str().expect("an id"));
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = app.admin("root").get(&format!("{path}?page_size=70{token}")).await.ok();
            all.extend(page["items"].as_array().expect("items").clone());
            match page["next_page_token"].as_str() {
                Some(next) => token = format!("&page_token={next}"),
                None => return all,
            }
        }
    }

    #[tokio::test]
    async fn each_row_has_its_outcome_in_the_order_of_the_rows() {
        let app = app(section(Some(120)), course());
        let begun = app.admin("root").post(PATH, rows(0..250)).await;
        assert_eq!((begun.status, &begun.body["state"]), (202, &json!("running")));
        let id = &begun.body["id"];
        assert_eq!(all_rows(&app, id).await[249]["outcome"], json!(null));
        app.settle().await;
        let done = seen(&app, id).await;
        assert_eq!((&done["state"], &done["rows_done"]), (&json!("finished"), &json!(250)));
        assert_eq!(done["outcomes"]["confirmed"], 120);
        assert_eq!(done["outcomes"]["waitlisted"], 130);
        let rows = all_rows(&app, id).await;
        assert_eq!(rows.len(), 250);
        for (index, row) in rows.iter().enumerate() {
            assert_eq!(row["row"], index);
            assert_eq!(row["user_id"], format!("user{index}"));
            assert_eq!(row["outcome"], if index < 120 { "confirmed" } else { "waitlisted" });
        }
        assert_eq!(state(&app, "user130").await, ("waitlisted".into(), json!(11)));
        assert_eq!(app.emitted::<Confirmed>().await.len(), 120);
    }

    #[tokio::test]
    async fn rows_that_cannot_be_are_refused_and_the_others_are_not() {
        let app = app(section(Some(9)), course())
            .answering::<GetSectionFacts>(|request| match request.section_id.as_str() {
                "s1" => {
                    let section = SectionFacts { waitlist_capacity: Some(0), ..section(Some(2)) };
                    Ok(SectionAndCourse { section, course: course() })
                }
                _ => Err(SECTION_NOT_FOUND),
            })
            .answering::<GetContact>(|request| match request.user_id.as_str() {
                "ghost" => Err(USER_NOT_FOUND),
                _ => Ok(crate::tests::contact(request.user_id)),
            });
        let row = |section: &str, user: &str| json!({ "section_id": section, "user_id": user });
        let rows = [
            row("s1", "ada"),
            row("s0", "ada"),
            row("s1", "ghost"),
            row("s1", "ada"),
            row("s1", "bob"),
            row("s1", "cid"),
        ];
        let begun = app.admin("root").post(PATH, json!({ "rows": rows })).await.ok();
        app.settle().await;
        let rows = all_rows(&app, &begun["id"]).await;
        let outcomes: Vec<_> = rows.iter().map(|it| it["outcome"].as_str().unwrap()).collect();
        let expected =
            ["confirmed", "refused", "refused", "already_enrolled", "confirmed", "refused"];
        assert_eq!(outcomes, expected);
        let reason = |index: usize| rows[index]["errors"][0]["reason"].clone();
        assert_eq!((reason(1), reason(2)), (json!("section-not-found"), json!("user-not-found")));
        assert_eq!(reason(5), "section-full");
        assert_eq!(rows[3]["enrollment_id"], rows[0]["enrollment_id"]);
        let path = format!("/v1/enrollments/batches/{}/rows", begun["id"].as_str().unwrap());
        let spanish = app.admin("root").in_language("es").get(&path).await.ok();
        assert_eq!(spanish["items"][2]["errors"][0]["detail"], USER_NOT_FOUND.es);
    }

    #[tokio::test]
    async fn the_same_rows_again_change_nothing() {
        let app = app(section(Some(60)), course());
        let first = app.admin("root").post(PATH, rows(0..110)).await.ok();
        app.settle().await;
        let told = app.envelopes().len();
        let again = app.admin("root").post(PATH, rows(0..110)).await.ok();
        app.settle().await;
        assert_eq!(seen(&app, &again["id"]).await["outcomes"]["already_enrolled"], 110);
        let ids = |rows: &[Value]| -> Vec<_> {
            rows.iter().map(|it| it["enrollment_id"].clone()).collect()
        };
        let (one, other) = (all_rows(&app, &first["id"]).await, all_rows(&app, &again["id"]).await);
        assert_eq!(ids(&one), ids(&other));
        assert_eq!(app.envelopes().len() - told, 2, "only the parts are told of");
    }

    #[tokio::test]
    async fn what_was_cut_short_goes_on_where_it_was() {
        let app = app(section(Some(130)), course());
        let begun = app.admin("root").post(PATH, rows(0..250)).await.ok();
        // Identity fails in the middle of the second part.
        app.now_answering::<GetContact>(|request| match request.user_id.as_str() {
            "user150" => Err(runtime::problems::UNAVAILABLE),
            _ => Ok(crate::tests::contact(request.user_id)),
        });
        assert!(app.try_settle().await.is_err());
        let half = seen(&app, &begun["id"]).await;
        assert_eq!((&half["state"], &half["rows_done"]), (&json!("running"), &json!(100)));
        app.now_answering::<GetContact>(|request| Ok(crate::tests::contact(request.user_id)));
        // The event is lost for good; the job takes the batch up again.
        app.run_job("enrollments.work_batches").await;
        assert_eq!(seen(&app, &begun["id"]).await["rows_done"], 100, "it isn't time yet");
        app.advance_minutes(6);
        app.run_job("enrollments.work_batches").await;
        app.settle().await;
        let done = seen(&app, &begun["id"]).await;
        assert_eq!(
            (&done["state"], &done["outcomes"]["confirmed"]),
            (&json!("finished"), &json!(130))
        );
        assert_eq!(app.emitted::<Confirmed>().await.len(), 130);
        // A late copy of an event changes nothing.
        app.deliver(&BatchAdvanced { batch_id: begun["id"].as_str().unwrap().into(), part: 1 })
            .await;
        app.settle().await;
        assert_eq!(seen(&app, &begun["id"]).await, done);
    }

    #[tokio::test]
    async fn ten_thousand_rows_fit_and_one_more_does_not() {
        let app = app(section(Some(5)), course());
        let row = |it: u32| json!({ "section_id": "q".repeat(20), "user_id": format!("{it:020}") });
        let many = |count: u32| json!({ "rows": (0..count).map(row).collect::<Vec<_>>() });
        let begun = app.admin("root").post(PATH, many(10_000)).await.ok();
        assert_eq!(begun["rows_count"], 10_000);
        let root = app.admin("root");
        root.post(PATH, many(10_001)).await.blames("rows", "out-of-range");
        root.post(PATH, json!({ "rows": [] })).await.blames("rows", "out-of-range");
        let all = json!({ "rows": [row(1)], "all_or_nothing": true });
        root.post(PATH, all).await.blames("all_or_nothing", "unknown-field");
    }

    #[tokio::test]
    async fn only_admins_enroll_many() {
        let app = app(section(Some(5)), course());
        app.instructor("ines").post(PATH, rows(0..2)).await.is(FORBIDDEN);
        app.anyone().post(PATH, rows(0..2)).await.is(runtime::problems::UNAUTHENTICATED);
        let begun = app.admin("root").post(PATH, rows(0..2)).await.ok();
        let path = format!("/v1/enrollments/batches/{}", begun["id"].as_str().unwrap());
        app.user("ada").get(&path).await.is(FORBIDDEN);
        app.user("ada").get(&format!("{path}/rows")).await.is(FORBIDDEN);
        let nothing = "/v1/enrollments/batches/nothing";
        app.admin("root").get(nothing).await.is(crate::batch::BATCH_NOT_FOUND);
        app.admin("root").get(&format!("{nothing}/rows")).await.is(crate::batch::BATCH_NOT_FOUND);
    }
}
