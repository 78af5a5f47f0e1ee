//! Platforms that are wrong in one way each: what the laws of the platform's storms must find.

use contracts::{
    courses::SectionUpdated,
    enrollments::{CAPACITY_BELOW_TAKEN, LearnSection, LimitSeats},
    notifications::DeliveryRequested,
};
use runtime::{Domain, Function, mail::Message, prelude::*};
use serde_json::{Value, json};

/// A platform's domains, and what is found wrong with them.
pub type Found = (fn() -> Vec<Domain>, &'static str);

/// What is found though no audit looks.
pub const FOUND_BY_LAWS: &[Found] = &[
    (|| without("notifications.on_enrollments_confirmed"), "isn't told so"),
    (|| without("notifications.on_enrollments_cancelled"), "isn't told so"),
    (|| with(Wrong::SkipsMail), "isn't told so"),
    (|| without("notifications.send_due"), ", with "),
    (|| with(Wrong::SendsUnnoted), " was sent by "),
    (|| with(Wrong::NamesEachTryAnew), " mails were sent, and deliveries know of "),
    (|| with(Wrong::TellsACopy), " is told twice"),
    (|| with(Wrong::TellsWithoutATime), " was never told"),
    (|| with(Wrong::PromisesNothing), " seats, and gave "),
    (|| with(Wrong::PromisesForEver), ", which has a free seat"),
    (|| with(Wrong::LearnsNoMore), ", which has a free seat"),
    (
        || without("enrollments.on_courses_section_cancelled"),
        " is cancelled, and somebody is in it",
    ),
];

/// What the audit finds before them.
pub const FOUND_BY_AUDIT: &[Found] = &[
    (|| without("enrollments.on_courses_section_cancelled"), "not everyone was taken off"),
    (|| with(Wrong::LearnsNoMore), ", known is "),
];

/// In which way a function is wrong.
#[derive(Clone, Copy)]
enum Wrong {
    /// Says that it gives out no seat beyond a lower capacity, and does.
    PromisesNothing,
    /// Keeps to every lower capacity that was ever asked for, though it refused it and
    /// though the section has changed since.
    PromisesForEver,
    /// Learns what a section allows when it's made, and no more.
    LearnsNoMore,
    /// Sends nothing, as if something newer were told.
    SkipsMail,
    /// Sends a message without noting that it's being handed over.
    SendsUnnoted,
    /// Sends a message under a `Message-ID` that no other try has.
    NamesEachTryAnew,
    /// Makes a second message of the same.
    TellsACopy,
    /// Puts an event into the outbox without the time by which it's found there.
    TellsWithoutATime,
}

/// The platform's domains, but for one function of theirs.
fn without(id: &str) -> Vec<Domain> {
    let mut domains = (gateway::simulated().domains)();
    let functions = |domains: &[Domain]| domains.iter().map(|it| it.functions.len()).sum::<usize>();
    let before = functions(&domains);
    let stays = |function: &Function| function.id != id;
    for domain in &mut domains {
        domain.functions.retain(stays);
    }
    assert_eq!(functions(&domains), before - 1, "there is {id}");
    domains
}

/// The platform's domains, with those of their functions replaced that are wrong.
fn with(wrong: Wrong) -> Vec<Domain> {
    let mut domains = (gateway::simulated().domains)();
    let wrong = functions(wrong);
    let domain = domains.iter_mut().find(|it| it.name == wrong.name);
    let real = &mut domain.expect("it's one of the platform's").functions;
    for function in wrong.functions {
        let its = real.iter_mut().find(|it| it.id == function.id);
        *its.expect("the real one has such a function") = function;
    }
    domains
}

fn functions(wrong: Wrong) -> Domain {
    let (enrollments, notifications) = (Domain::new("enrollments"), Domain::new("notifications"));
    match wrong {
        Wrong::PromisesNothing => {
            enrollments.operation(|_: Context<System>, _: LimitSeats| async { Ok(()) })
        }
        Wrong::PromisesForEver => enrollments.operation(promise_for_ever),
        Wrong::LearnsNoMore => enrollments
            .operation(|_: Context<System>, _: LearnSection| async { Ok(()) })
            .subscriber(|_: Context<System>, _: SectionUpdated| async { Ok(()) }),
        Wrong::SkipsMail
        | Wrong::SendsUnnoted
        | Wrong::NamesEachTryAnew
        | Wrong::TellsACopy
        | Wrong::TellsWithoutATime => {
            notifications.subscriber(move |cx, event| send(cx, event, wrong))
        }
    }
}

/// More revisions than a section comes to.
const FOR_EVER: u64 = 1_000;

async fn promise_for_ever(cx: Context<System>, request: LimitSeats) -> Result<()> {
    let LimitSeats { section_id, most, revision } = request;
    // Where the seats are spread over blocks it would have to gather them first.
    if let Some(mut seats) = cx.get::<Seats>(section_id.as_str()).await?
        && seats.0["blocks"].is_null()
    {
        seats.0["promise"] = json!({ "most": most, "revision": revision + FOR_EVER });
        cx.commit_part(Changes::new().save(&seats)).await?;
    }
    Err(CAPACITY_BELOW_TAKEN.into())
}

/// Does something else than to send a message at once: the real job sends it when it's due.
async fn send(cx: Context<System>, event: DeliveryRequested, wrong: Wrong) -> Result<()> {
    let known = cx.get::<Delivery>(&event.delivery_id).await?;
    // What was tried before is somebody else's to go on with.
    let Some(mut delivery) = known.filter(|it| it.0["attempts"] == 0) else { return Ok(()) };
    let (new_id, changes) = (cx.random().id(), Changes::new());
    let changes = match wrong {
        Wrong::SkipsMail => {
            delivery.0["state"] = json!("skipped");
            delivery.0["reason"] = json!("superseded");
            delivery.0["due_at"].take();
            changes.save(&delivery)
        }
        Wrong::TellsACopy => {
            delivery.0["id"] = json!(new_id);
            delivery.0["message_id"] = json!(new_id);
            changes.create(&*delivery)
        }
        Wrong::TellsWithoutATime => changes.create(&Event(json!({ "id": new_id }))),
        _ => {
            let own_id = text(&delivery.0, "message_id");
            let is_new = matches!(wrong, Wrong::NamesEachTryAnew);
            hand_over(&cx, if is_new { new_id } else { own_id }).await;
            changes
        }
    };
    cx.commit(changes).await
}

async fn hand_over(cx: &Context<System>, message_id: String) {
    let message = Message {
        message_id,
        to: "somebody@example.org".to_owned(),
        to_name: String::new(),
        subject: String::new(),
        text: String::new(),
        html: String::new(),
        headers: Vec::new(),
        attachments: Vec::new(),
    };
    let _nobody_listens = cx.mail().send(&message).await;
}

/// A section's seats, as the real ones are stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Seats(Value);

/// A message to one person, as the real ones are stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Delivery(Value);

/// What is put into the outbox.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Event(Value);

impl Document for Seats {
    const COLLECTION: &'static str = "seats";
    fn key(&self) -> String {
        text(&self.0, "section_id")
    }
}

impl Document for Delivery {
    const COLLECTION: &'static str = "deliveries";
    fn key(&self) -> String {
        text(&self.0, "id")
    }
}

impl Document for Event {
    const COLLECTION: &'static str = "outbox";
    fn key(&self) -> String {
        text(&self.0, "id")
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
