//! Functions of enrollments that are wrong in one way each.

use contracts::{
    courses::{GetSectionFacts, SectionFacts, SectionId, SectionUpdated},
    enrollments::{
        CAPACITY_BELOW_TAKEN, CancelReason, Cancelled, Confirmed, LearnSection, LimitSeats,
        Offered, Rejected, Requested, Waitlisted,
    },
};
use runtime::{Domain, prelude::*};
use serde_json::{Value, json};

use super::plain::{Enrollment, Seats, number, text};

const REFUSED: Problem = Problem::conflict("refused", "No.", "No.");

/// In which way a function is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// In none: the control.
    Nothing,
    /// Counts who has a seat, and then inserts, whatever was inserted meanwhile.
    CountsThenInserts,
    /// Gives a free seat to whoever comes, though others wait for it.
    IgnoresTheQueue,
    /// Makes up an id, having looked that the person isn't in yet.
    MakesUpIds,
    /// Numbers people by how many there are.
    NumbersByCounting,
    /// Keeps the answer in a commit after its effect.
    AnswersApart,
    /// Puts the events into the outbox in a commit after the change.
    TellsApart,
    /// Gives the seat on in a commit after leaving.
    PromotesApart,
    /// Gives the seat back in a commit before leaving.
    ReleasesFirst,
    /// Doesn't give the seat on.
    ForgetsToPromote,
    /// Gives one seat on to two.
    PromotesTwo,
    /// Gives the seat on to the last of the queue.
    PromotesTheLast,
    /// Learns whatever comes last, however old.
    LearnsOldFacts,
    /// Learns of more seats, and lets the queue wait.
    LearnsAndForgetsTheQueue,
    /// Says that it gives out no seat beyond a lower capacity, and does.
    PromisesNothing,
    /// Of two promises keeps the later one.
    KeepsTheLastPromise,
    /// Keeps a promise for a change that can't come any more.
    KeepsOldPromises,
    /// Lets who is approved wait under the number of their request.
    ApprovesUnderTheOldNumber,
    /// Gives seats that are kept for somebody to whoever comes.
    ForgetsWhatIsOffered,
    /// Takes a yes to an offer whatever the time.
    AcceptsLate,
    /// Looks at the enrollment's deadline alone, not at whether the seat is still kept.
    AcceptsWhatWasPassedOn,
    /// Takes off who let an offer lapse, and tells nobody.
    LapsesSilently,
    /// Takes off who let an offer lapse, and leaves the seats as they are.
    LapsesBesideTheSeats,
}

/// Enrollments with those of its functions replaced that are wrong.
pub fn enrollments_with(wrong: Wrong) -> Domain {
    let mut domain = enrollments::domain();
    for function in functions(wrong).functions {
        let real = domain.functions.iter_mut().find(|real| real.id == function.id);
        *real.expect("the real one has such a function") = function;
    }
    domain
}

fn functions(wrong: Wrong) -> Domain {
    use Wrong::*;
    let domain = Domain::new("enrollments");
    match wrong {
        CountsThenInserts | IgnoresTheQueue | MakesUpIds | NumbersByCounting | AnswersApart
        | TellsApart => domain.operation(move |cx, request| enroll(cx, request, wrong)),
        PromotesApart | ReleasesFirst | ForgetsToPromote | PromotesTwo | PromotesTheLast => {
            domain.operation(move |cx, request| cancel(cx, request, wrong))
        }
        LearnsOldFacts | LearnsAndForgetsTheQueue => domain
            .operation(move |cx, request: LearnSection| learn(cx, request.section, wrong))
            .subscriber(move |cx, event: SectionUpdated| learn(cx, event.section, wrong)),
        PromisesNothing | KeepsTheLastPromise | KeepsOldPromises => {
            domain.operation(move |cx, request| limit(cx, request, wrong))
        }
        ApprovesUnderTheOldNumber => {
            domain.operation(move |cx, request| review(cx, request, wrong))
        }
        ForgetsWhatIsOffered => domain.operation(move |cx, request| enroll(cx, request, wrong)),
        AcceptsLate | AcceptsWhatWasPassedOn => {
            domain.operation(move |cx, request| accept(cx, request, wrong))
        }
        LapsesSilently | LapsesBesideTheSeats => {
            domain.job(move |cx, _: LapseOffers| lapse_offers(cx, wrong))
        }
        Nothing => domain
            .operation(move |cx, request| enroll(cx, request, wrong))
            .operation(move |cx, request| cancel(cx, request, wrong))
            .operation(move |cx, request: LearnSection| learn(cx, request.section, wrong))
            .subscriber(move |cx, event: SectionUpdated| learn(cx, event.section, wrong))
            .operation(move |cx, request| limit(cx, request, wrong))
            .operation(move |cx, request| review(cx, request, wrong))
            .operation(move |cx, request| accept(cx, request, wrong))
            .job(move |cx, _: LapseOffers| lapse_offers(cx, wrong)),
    }
}

#[derive(Default)]
struct LapseOffers;

impl Job for LapseOffers {
    const NAME: &'static str = "enrollments.lapse_offers";
    const SCHEDULE: &'static str = "* * * * *";
}

/// Declares requests as the real ones are.
macro_rules! requests {
    ($($name:ident $operation:literal $route:expr => { $($field:ident: $type:ty),* })+) => {$(
        #[derive(Clone, Serialize, Deserialize, JsonSchema)]
        struct $name { $(#[serde(default)] $field: $type),* }

        impl Endpoint for $name {
            const OPERATION: &'static str = $operation;
            const ROUTE: Route = $route;
            const PROBLEMS: &'static [Problem] = &[REFUSED];
            const IDEMPOTENCY: Idempotency = Idempotency::Required;
            type Response = Value;
        }
    )+};
}

requests! {
    Enroll "enrollments.enroll" Route::create("/v1/enrollments") => {
        section_id: String, user_id: Option<String>, validate_only: Option<bool>
    }
    Cancel "enrollments.cancel" Route::act("/v1/enrollments/{enrollment_id}/cancel") => {
        enrollment_id: String
    }
    Accept "enrollments.accept_offer"
        Route::act("/v1/enrollments/{enrollment_id}/accept-offer") => { enrollment_id: String }
    Review "enrollments.review" Route::act("/v1/enrollments/{enrollment_id}/review") => {
        enrollment_id: String, decision: String
    }
}

async fn enroll(cx: Context<User>, request: Enroll, wrong: Wrong) -> Result<Value> {
    let section_id = request.section_id;
    let user_id = request.user_id.unwrap_or_else(|| cx.caller.id.to_string());
    let mut seats = seats_of(&cx, &section_id).await?;
    let seated = Query::ascending::<Enrollment>("number").equals("section_id", &section_id);
    let seated = cx.count(&seated.equals("state", "confirmed")).await?;
    let id = match wrong {
        Wrong::MakesUpIds => {
            let all = Query::ascending::<Enrollment>("number").equals("section_id", &section_id);
            let (all, _) = cx.query::<Enrollment>(&all).await?;
            let own = all.into_iter().find(|it| text(&it.0, "user_id") == user_id);
            own.map_or_else(|| cx.random().id(), |it| it.key())
        }
        _ => Enrollment::id_of(&section_id, &user_id),
    };
    let earlier = cx.get::<Enrollment>(&id).await?;
    if matches!(wrong, Wrong::CountsThenInserts | Wrong::MakesUpIds) {
        // Read after what was decided by: its version guards nothing any more.
        seats = seats_of(&cx, &section_id).await?;
    }
    seats.lapse(cx.now);
    let lapsed = earlier.as_ref().is_some_and(|it| it.has_lapsed(cx.now));
    let is_in = !lapsed && earlier.as_ref().is_some_and(|it| it.is_active());
    if is_in || seats.is_cancelled() {
        return Err(REFUSED.into());
    }
    let new = || Stored::new(Enrollment::new(&id, &seats, &user_id, cx.now));
    let mut enrollment = earlier.unwrap_or_else(new);
    let mut returned = Changes::new();
    if lapsed {
        enrollment.become_state("cancelled", cx.now);
        let why = CancelReason::OfferLapsed;
        returned = returned.emit(&Cancelled { enrollment: enrollment.facts(), why });
    }

    let is_next = number(&seats.0, "waiting") == 0 || wrong == Wrong::IgnoresTheQueue;
    let is_free = match wrong {
        Wrong::CountsThenInserts => {
            seats.most().is_none_or(|most| seated + seats.reserved() < most)
        }
        Wrong::ForgetsWhatIsOffered => {
            seats.most().is_none_or(|most| number(&seats.0, "taken") < most)
        }
        _ => seats.has_free_seat(),
    };
    let by_themselves = user_id == cx.caller.id.as_str();
    let state = if seats.0["rules"]["approval_required"] == true && by_themselves {
        "pending_approval"
    } else if is_next && is_free {
        "confirmed"
    } else if seats.has_place_in_queue() {
        "waitlisted"
    } else {
        return Err(REFUSED.into());
    };
    enrollment.become_state(state, cx.now);
    seats.count(state, 1);
    let all = Query::ascending::<Enrollment>("number").equals("section_id", &section_id);
    let number_given = match wrong {
        Wrong::NumbersByCounting => cx.count(&all).await? + 1,
        _ => seats.take_number(),
    };
    enrollment.0["number"] = json!(number_given);
    let position = (state == "waitlisted").then(|| number(&seats.0, "waiting"));
    let view = enrollment.view(position);
    if request.validate_only == Some(true) {
        return cx.answer(Changes::new(), view).await;
    }

    let told = returned.and(told(&enrollment, position, false, cx.now));
    let changes = Changes::new().save(&enrollment);
    match wrong {
        Wrong::AnswersApart => {
            cx.commit_part(changes.save(&seats).and(told)).await?;
            cx.answer(Changes::new(), view).await
        }
        Wrong::TellsApart => {
            cx.commit_part(changes.save(&seats)).await?;
            cx.answer(told, view).await
        }
        _ => cx.answer(changes.save(&seats).and(told), view).await,
    }
}

async fn cancel(cx: Context<User>, request: Cancel, wrong: Wrong) -> Result<Value> {
    let found = cx.get::<Enrollment>(&request.enrollment_id).await?;
    let mut enrollment = found.ok_or(REFUSED)?;
    if !enrollment.is_active() {
        return cx.answer(Changes::new(), enrollment.view(None)).await;
    }
    let section_id = text(&enrollment.0, "section_id");
    let mut seats = seats_of(&cx, &section_id).await?;
    seats.lapse(cx.now);
    seats.count(&enrollment.state(), -1);
    if let Some(until) = enrollment.offer() {
        seats.count_offer(&until, -1);
    }
    enrollment.become_state("cancelled", cx.now);
    let facts = enrollment.facts();
    let mut changes = Changes::new()
        .save(&enrollment)
        .emit(&Cancelled { enrollment: facts, why: CancelReason::Left });
    if wrong == Wrong::ReleasesFirst {
        cx.commit_part(Changes::new().save(&seats)).await?;
        seats = seats_of(&cx, &section_id).await?;
    }
    if wrong == Wrong::PromotesApart {
        cx.commit_part(changes.save(&seats)).await?;
        seats = seats_of(&cx, &section_id).await?;
        changes = Changes::new();
    }
    if wrong != Wrong::ForgetsToPromote {
        changes = changes.and(promoted(&cx, &mut seats, Some(&enrollment.key()), wrong).await?);
    }
    cx.answer(changes.save(&seats), enrollment.view(None)).await
}

/// Gives the free seats to those who wait: the changes, without the seats' own.
async fn promoted<C>(
    cx: &Context<C>,
    seats: &mut Seats,
    leaving: Option<&str>,
    wrong: Wrong,
) -> Result<Changes> {
    let (queue, _) = cx.query::<Enrollment>(&Enrollment::queue(&seats.key())).await?;
    let mut queue: Vec<_> =
        queue.into_iter().filter(|it| leaving != Some(it.key().as_str())).collect();
    if wrong == Wrong::PromotesTheLast {
        queue.reverse();
    }
    seats.lapse(cx.now);
    let mut changes = Changes::new();
    let mut extra = usize::from(wrong == Wrong::PromotesTwo);
    for mut first in queue {
        if seats.is_cancelled() || !(seats.has_free_seat() || extra > 0) {
            break;
        }
        extra -= usize::from(!seats.has_free_seat());
        seats.count("waitlisted", -1);
        match seats.offered_until(cx.now) {
            None => {
                seats.count("confirmed", 1);
                first.become_state("confirmed", cx.now);
            }
            Some(until) => {
                seats.count_offer(&until, 1);
                first.become_state("offered", cx.now);
                first.0["offer_expires_at"] = json!(until);
            }
        }
        changes = changes.and(told(&first, None, true, cx.now)).save(&first);
    }
    Ok(changes)
}

async fn review(cx: Context<User>, request: Review, wrong: Wrong) -> Result<Value> {
    let found = cx.get::<Enrollment>(&request.enrollment_id).await?;
    let mut enrollment = found.ok_or(REFUSED)?;
    let mut seats = seats_of(&cx, &text(&enrollment.0, "section_id")).await?;
    if enrollment.state() != "pending_approval" || seats.is_cancelled() {
        return Err(REFUSED.into());
    }
    if request.decision == "reject" {
        enrollment.become_state("rejected", cx.now);
        let told = Rejected { enrollment: enrollment.facts(), note: None };
        let view = enrollment.view(None);
        return cx.answer(Changes::new().save(&enrollment).emit(&told), view).await;
    }
    seats.lapse(cx.now);
    let state = if number(&seats.0, "waiting") == 0 && seats.has_free_seat() {
        "confirmed"
    } else if seats.has_place_in_queue() {
        "waitlisted"
    } else {
        return Err(REFUSED.into());
    };
    enrollment.become_state(state, cx.now);
    seats.count(state, 1);
    if wrong != Wrong::ApprovesUnderTheOldNumber {
        enrollment.0["number"] = json!(seats.take_number());
    }
    let position = (state == "waitlisted").then(|| number(&seats.0, "waiting"));
    let changes = told(&enrollment, position, false, cx.now).save(&enrollment).save(&seats);
    cx.answer(changes, enrollment.view(position)).await
}

async fn accept(cx: Context<User>, request: Accept, wrong: Wrong) -> Result<Value> {
    let found = cx.get::<Enrollment>(&request.enrollment_id).await?;
    let mut enrollment = found.ok_or(REFUSED)?;
    if enrollment.state() == "confirmed" {
        return cx.answer(Changes::new(), enrollment.view(None)).await;
    }
    let until = enrollment.offer().ok_or(REFUSED)?;
    let mut seats = seats_of(&cx, &text(&enrollment.0, "section_id")).await?;
    if seats.is_cancelled() {
        return Err(REFUSED.into());
    }
    let is_late = enrollment.has_lapsed(cx.now);
    if wrong != Wrong::AcceptsLate {
        seats.lapse(cx.now);
    }
    let is_kept = seats.count_offer(&until, -1);
    let is_good = if wrong == Wrong::AcceptsWhatWasPassedOn { !is_late } else { is_kept };
    if !is_good {
        return Err(REFUSED.into());
    }
    seats.count("confirmed", 1);
    enrollment.become_state("confirmed", cx.now);
    let changes = told(&enrollment, None, true, cx.now).save(&enrollment).save(&seats);
    cx.answer(changes, enrollment.view(None)).await
}

async fn lapse_offers(cx: Context<System>, wrong: Wrong) -> Result<()> {
    let due = Query::ascending::<Enrollment>("offer_expires_at").at_most(cx.now);
    let (lapsed, _) = cx.query::<Enrollment>(&due).await?;
    for mut enrollment in lapsed {
        let section_id = text(&enrollment.0, "section_id");
        let mut seats = seats_of(&cx, &section_id).await?;
        seats.lapse(cx.now);
        let mut changes = Changes::new();
        if wrong != Wrong::LapsesBesideTheSeats {
            changes = promoted(&cx, &mut seats, None, wrong).await?.save(&seats);
        }
        enrollment.become_state("cancelled", cx.now);
        let why = CancelReason::OfferLapsed;
        let told = Cancelled { enrollment: enrollment.facts(), why };
        let changes = changes.save(&enrollment);
        let changes = if wrong == Wrong::LapsesSilently { changes } else { changes.emit(&told) };
        cx.commit_part(changes).await?;
    }
    Ok(())
}

async fn learn(cx: Context<System>, facts: SectionFacts, wrong: Wrong) -> Result<()> {
    let Some(mut seats) = cx.get::<Seats>(facts.section_id.as_str()).await? else {
        return cx.commit_part(Changes::new().create(&Seats::of(&facts))).await;
    };
    let known = number(&seats.0["rules"], "revision");
    if facts.revision > known || wrong == Wrong::LearnsOldFacts {
        seats.lapse(cx.now);
        seats.learn(&facts);
        cx.commit_part(Changes::new().save(&seats)).await?;
    }
    if wrong == Wrong::LearnsAndForgetsTheQueue {
        return Ok(());
    }
    let mut seats = seats_of(&cx, facts.section_id.as_str()).await?;
    let changes = promoted(&cx, &mut seats, None, wrong).await?;
    if changes.is_empty() { Ok(()) } else { cx.commit_part(changes.save(&seats)).await }
}

async fn limit(cx: Context<System>, request: LimitSeats, wrong: Wrong) -> Result<()> {
    let mut seats = seats_of(&cx, request.section_id.as_str()).await?;
    seats.lapse(cx.now);
    if number(&seats.0, "taken") + seats.reserved() > u64::from(request.most) {
        return Err(CAPACITY_BELOW_TAKEN.into());
    }
    if wrong == Wrong::PromisesNothing {
        return Ok(());
    }
    let (mut most, revision) = (request.most, request.revision);
    let promise = &seats.0["promise"];
    let known = promise["revision"].as_u64().unwrap_or(number(&seats.0["rules"], "revision"));
    if revision < known && wrong != Wrong::KeepsOldPromises {
        return Ok(());
    }
    if promise["revision"] == revision && wrong != Wrong::KeepsTheLastPromise {
        let earlier = u32::try_from(number(promise, "most")).unwrap_or(u32::MAX);
        most = most.min(earlier);
    }
    seats.promise(Some((most, revision)));
    cx.commit_part(Changes::new().save(&seats)).await
}

async fn seats_of<C>(cx: &Context<C>, section_id: &str) -> Result<Stored<Seats>> {
    if let Some(seats) = cx.get::<Seats>(section_id).await? {
        return Ok(seats);
    }
    let section_id: SectionId = section_id.into();
    let facts = cx.call(GetSectionFacts { section_id }).await?;
    Ok(Stored::new(Seats::of(&facts.section)))
}

/// What the others are told of somebody who has come to a state.
fn told(enrollment: &Enrollment, position: Option<u64>, promoted: bool, now: Timestamp) -> Changes {
    let (enrollment, state) = (enrollment.facts(), enrollment.state());
    let position = u32::try_from(position.unwrap_or_default()).unwrap_or_default();
    match state.as_str() {
        "confirmed" => Changes::new().emit(&Confirmed { enrollment, promoted, confirmed_at: now }),
        "waitlisted" => Changes::new().emit(&Waitlisted { enrollment, position }),
        "offered" => Changes::new().emit(&Offered { enrollment, expires_at: now }),
        _ => Changes::new().emit(&Requested { enrollment }),
    }
}
