//! The book: what everybody was told and what was stored, held against each
//! other and against the reference. It reads documents as plain JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::{
    Asked, Heard,
    courses::Catalog,
    reference::{Allowed, Passage, Section},
};
use crate::simulation::{Changed, Commit, Laws, Stores};

/// The book, as everybody has it open.
#[derive(Clone)]
pub(super) struct Ledger(Arc<Mutex<Book>>);

/// What everybody was told, and what was stored.
#[derive(Clone)]
pub(super) struct Book {
    pub(super) catalog: Catalog,
    sections: BTreeMap<String, Section>,
    /// Every state that an enrollment was ever in, by its id and revision.
    history: BTreeMap<(String, u64), Entry>,
    /// The answer that was given to a key.
    answers: BTreeMap<String, (Asked, Heard)>,
    /// Whether events are relayed, and a reader notes them.
    is_read: bool,
    /// Whether courses tell of what they change.
    is_told: bool,
    broken: Option<String>,
    seen: BTreeMap<String, u64>,
}

/// A state that an enrollment was in.
#[derive(Clone, Debug)]
struct Entry {
    passage: Passage,
    /// Where they were in the queue.
    position: Option<usize>,
    /// Why it ended, if it did.
    why: Option<String>,
}

type Told<T = ()> = Result<T, String>;

impl Ledger {
    pub(super) fn new(catalog: Catalog, is_read: bool, is_told: bool) -> Self {
        Self(Arc::new(Mutex::new(Book {
            catalog,
            sections: BTreeMap::new(),
            history: BTreeMap::new(),
            answers: BTreeMap::new(),
            is_read,
            is_told,
            broken: None,
            seen: BTreeMap::new(),
        })))
    }

    /// A copy of the book as it is now.
    pub(super) fn copied(&self) -> Self {
        Self(Arc::new(Mutex::new(self.look(|book| book.clone()))))
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.0.lock().expect("no holder panics"))
    }

    /// Notes a definite answer.
    pub(super) fn note(&self, asked: &Asked, heard: &Heard) {
        self.look(|book| {
            let result = book.answered(asked, heard);
            book.hold(result);
        });
    }
}

impl Laws for Ledger {
    fn committed(&mut self, commit: &Commit<'_>) -> Told {
        if commit.domain != "enrollments" {
            return Ok(());
        }
        self.look(|book| book.committed(commit))
    }

    fn at_rest(&mut self, stores: &Stores<'_>) -> Told {
        self.look(|book| {
            if book.is_told {
                book.is_settled()?;
            }
            book.everything_was_answered()?;
            if book.is_read { book.everything_was_told(stores) } else { Ok(()) }
        })
    }

    fn broken(&self) -> Option<String> {
        self.look(|book| book.broken.clone())
    }

    fn seen(&self) -> BTreeMap<String, u64> {
        self.look(|book| book.seen.clone())
    }
}

impl Book {
    fn hold(&mut self, result: Told) {
        if let Err(broken) = result {
            self.broken.get_or_insert(broken);
        }
    }

    /// How many have a seat in a section.
    pub(super) fn taken(&self, id: &str) -> u32 {
        let seated = self.sections.get(id).map_or(0, |section| section.seated.len());
        u32::try_from(seated).expect("sections are small")
    }

    /// The id of somebody's enrollment.
    pub(super) fn enrollment_of(&self, user: &str) -> Option<String> {
        let own = self.history.iter().find(|(_, entry)| entry.passage.user == user);
        own.map(|((id, _), _)| id.clone())
    }

    // ------------------------------------------------------------ every commit

    fn committed(&mut self, commit: &Commit<'_>) -> Told {
        let mut touched = BTreeSet::new();
        for changed in commit.changes.iter().filter(|it| is_of_section(it)) {
            let document = changed.after.as_ref().or(changed.before.as_ref());
            touched.extend(document.map(|it| text(it, "section_id").to_owned()));
        }
        let mut told = told(commit)?;
        for id in touched {
            self.section_changed(&id, commit, &mut told)
                .map_err(|broken| format!("section {id}: {broken}"))?;
        }
        match told.first_key_value() {
            Some((what, _)) => Err(format!("{what:?} was told, and didn't happen")),
            None => Ok(()),
        }
    }

    fn section_changed(
        &mut self,
        id: &str,
        commit: &Commit<'_>,
        told: &mut BTreeMap<Event, Option<String>>,
    ) -> Told {
        let is_its = |value: &Arc<Value>| text(value, "section_id") == id;
        let its: Vec<_> =
            commit.changes.iter().filter(|it| it.after.as_ref().is_some_and(is_its)).collect();
        let section = self.sections.entry(id.to_owned()).or_default();
        let seats = its.iter().find(|it| it.collection == "seats");
        let allowed = seats.and_then(|it| it.after.as_deref()).map(Allowed::read);
        let mut passages = Vec::new();
        for changed in its.iter().filter(|it| it.collection == "enrollments") {
            passages.push((passage(changed)?, *changed));
        }
        passages.sort_by_key(|(passage, _)| passage.number);
        let moves: Vec<_> = passages.iter().map(|(passage, _)| passage.clone()).collect();
        section.follow(allowed.unwrap_or_else(|| section.allowed.clone()), &moves)?;
        is_as_on_paper(section, id, &commit.stores)?;
        for (passage, changed) in passages {
            let revision = changed.after.as_ref().map(|it| number(it, "revision"));
            let revision = revision.unwrap_or_default();
            let before = changed.before.as_ref().map(|it| number(it, "revision"));
            if before.is_some_and(|before| revision <= before) {
                return Err(format!("{passage} at revision {revision} again"));
            }
            let event =
                Event { state: passage.to.clone(), enrollment_id: changed.id.clone(), revision };
            let Some(why) = told.remove(&event) else {
                return Err(format!("{passage}, and nobody is told"));
            };
            let way = format!("{} to {}", passage.from, passage.to);
            *self.seen.entry(way).or_default() += 1;
            let position = section.position(&passage.user);
            let entry = Entry { passage, position, why };
            self.history.insert((changed.id.clone(), revision), entry);
        }
        self.is_learned_right(id)?;
        self.are_not_too_many(id)
    }

    /// What enrollments have learned is what courses have said.
    fn is_learned_right(&self, id: &str) -> Told {
        let allowed = &self.sections[id].allowed;
        let Some(facts) = self.catalog.section_at(id, allowed.revision) else {
            return Err(format!("it has learned a revision {} that isn't", allowed.revision));
        };
        let said = Allowed {
            capacity: facts.capacity.map(u64::from),
            waitlist_capacity: facts.waitlist_capacity.map(u64::from),
            approval_required: facts.approval_required,
            cancelled: facts.cancelled,
            revision: facts.revision,
            promise: allowed.promise,
        };
        if *allowed == said { Ok(()) } else { Err(format!("{said:?} was learned as {allowed:?}")) }
    }

    /// The first promise of the platform, held against what courses say now.
    fn are_not_too_many(&self, id: &str) -> Told {
        let taken = self.taken(id);
        match self.catalog.section(id).and_then(|facts| facts.capacity) {
            Some(capacity) if taken > capacity => {
                Err(format!("oversold: {taken} people on {capacity} seats"))
            }
            _ => Ok(()),
        }
    }

    /// Looks whether a change of the catalog leaves more people than seats.
    pub(super) fn look_for_too_many(&mut self, id: &str) {
        let result = self.are_not_too_many(id).map_err(|broken| format!("section {id}: {broken}"));
        self.hold(result);
    }

    // ------------------------------------------------------------ every answer

    fn answered(&mut self, asked: &Asked, heard: &Heard) -> Told {
        if heard.status >= 400 {
            *self.seen.entry(text(&heard.body, "reason").to_owned()).or_default() += 1;
        }
        if asked.body["validate_only"] == true {
            // A dry run is answered each time anew: nothing is kept of it.
            return Ok(());
        }
        if let Some(key) = &asked.key {
            let earlier = self.answers.entry(key.clone());
            let (_, first) = earlier.or_insert_with(|| (asked.clone(), heard.clone()));
            if first != heard {
                return Err(format!("{key} was answered with {first:?}, and now with {heard:?}"));
            }
        }
        if heard.status >= 300 || asked.key.is_none() {
            return Ok(());
        }
        let (id, etag) = (text(&heard.body, "id"), text(&heard.body, "etag"));
        let revision = etag.parse().unwrap_or_default();
        let state = text(&heard.body, "state");
        let Some(entry) = self.history.get(&(id.to_owned(), revision)) else {
            return Err(format!("{} was answered {state}, which isn't stored", asked.operation));
        };
        let position = heard.body["waitlist_position"].as_u64();
        if entry.passage.to != state || entry.position.map(|it| it as u64) != position {
            return Err(format!("{state} at {position:?} was answered, and it was {entry:?}"));
        }
        Ok(())
    }

    // ----------------------------------------------------------------- at rest

    fn is_settled(&self) -> Told {
        for (id, section) in &self.sections {
            let newest = self.catalog.section(id).map_or(0, |facts| facts.revision);
            let Section { allowed, seated, queue, asking, .. } = section;
            if allowed.revision != newest {
                return Err(format!("section {id}: revision {newest} was never learned"));
            }
            if allowed.cancelled && seated.len() + queue.len() + asking.len() > 0 {
                return Err(format!("section {id}: cancelled, and not everybody was taken off"));
            }
            // A promise is only for the change that was to come next.
            let mut by_now = section.clone();
            by_now.allowed.promise = allowed.promise.filter(|it| it.revision == newest);
            if by_now.promotable() > 0 {
                return Err(format!("section {id}: {queue:?} wait beside a free seat"));
            }
        }
        Ok(())
    }

    /// Every change that somebody asked for was answered to whoever asked.
    fn everything_was_answered(&self) -> Told {
        let mut answered: BTreeMap<(String, u64), Vec<&str>> = BTreeMap::new();
        for (asked, heard) in self.answers.values().filter(|(_, heard)| heard.status < 300) {
            let (id, etag) = (text(&heard.body, "id"), text(&heard.body, "etag"));
            let revision = etag.parse().unwrap_or_default();
            answered.entry((id.to_owned(), revision)).or_default().push(asked.operation);
        }
        for (place, entry) in &self.history {
            let Passage { from, to, .. } = &entry.passage;
            let by = match (from.as_str(), to.as_str()) {
                ("waitlisted", "confirmed") => continue,
                (_, "cancelled") if entry.why.as_deref() == Some("section_cancelled") => continue,
                (_, "cancelled") => "enrollments.cancel",
                ("pending_approval", _) => "enrollments.review",
                _ => "enrollments.enroll",
            };
            let answers = answered.get(place).map(Vec::as_slice).unwrap_or_default();
            let own = answers.iter().filter(|operation| **operation == by).count();
            // Who leaves again is told that they have left.
            if own == 0 || (own > 1 && by != "enrollments.cancel") {
                return Err(format!("{} was answered {own} times", entry.passage));
            }
        }
        Ok(())
    }

    /// Every change has reached its reader once, and nothing else has.
    fn everything_was_told(&self, stores: &Stores<'_>) -> Told {
        for domain in ["enrollments", "reader"] {
            if stores.all(domain, "outbox").next().is_some() {
                return Err(format!("the outbox of {domain} was never emptied"));
            }
        }
        let mut notes: BTreeMap<Event, usize> = BTreeMap::new();
        for (_, note) in stores.all("reader", "notes") {
            *notes.entry(Event::read(note, text(note, "state"))).or_default() += 1;
        }
        for ((enrollment_id, revision), entry) in &self.history {
            let (state, enrollment_id) = (entry.passage.to.clone(), enrollment_id.clone());
            let event = Event { state, enrollment_id, revision: *revision };
            match notes.remove(&event) {
                Some(1) => {}
                count => {
                    let count = count.unwrap_or_default();
                    return Err(format!("{} took effect {count} times", entry.passage));
                }
            }
        }
        match notes.pop_first() {
            Some((event, _)) => Err(format!("{event:?} was read, and never happened")),
            None => Ok(()),
        }
    }
}

/// An event of an enrollment: that it came to be in a state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    state: String,
    enrollment_id: String,
    revision: u64,
}

impl Event {
    fn read(facts: &Value, state: &str) -> Self {
        let enrollment_id = text(facts, "enrollment_id").to_owned();
        Self { state: state.to_owned(), enrollment_id, revision: number(facts, "revision") }
    }
}

/// What a commit tells the others, each once, and why it ended if it did.
fn told(commit: &Commit<'_>) -> Told<BTreeMap<Event, Option<String>>> {
    let mut told = BTreeMap::new();
    let outbox =
        commit.changes.iter().filter(|it| it.collection == "outbox" && it.before.is_none());
    for envelope in outbox.filter_map(|it| it.after.as_deref()) {
        let state = match text(envelope, "type") {
            "enrollments.confirmed.v1" => "confirmed",
            "enrollments.waitlisted.v1" => "waitlisted",
            "enrollments.requested.v1" => "pending_approval",
            "enrollments.rejected.v1" => "rejected",
            "enrollments.cancelled.v1" => "cancelled",
            other => return Err(format!("an event {other:?} of no known type")),
        };
        let data = &envelope["data"];
        let why = data["why"].as_str().map(str::to_owned);
        let event = Event::read(&data["enrollment"], state);
        if told.insert(event.clone(), why).is_some() {
            return Err(format!("{event:?} is told twice"));
        }
    }
    Ok(told)
}

/// Whether what is stored of a section is what is on paper.
fn is_as_on_paper(section: &Section, id: &str, stores: &Stores<'_>) -> Told {
    let (mut numbers, mut everybody) = (BTreeSet::new(), BTreeSet::new());
    let (mut seated, mut queue, mut asking) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    let all = stores.all("enrollments", "enrollments").map(|(_, document)| document);
    for document in all.filter(|document| text(document, "section_id") == id) {
        let (user, number) = (text(document, "user_id"), number(document, "number"));
        if !numbers.insert(number) {
            return Err(format!("two have joined with the number {number}"));
        }
        match text(document, "state") {
            "confirmed" => drop(seated.insert(user)),
            "waitlisted" => drop(queue.insert(number, user)),
            "pending_approval" => drop(asking.insert(user)),
            _ => continue,
        }
        if !everybody.insert(user) {
            return Err(format!("{user} is in it twice"));
        }
    }
    let alike = |these: &BTreeSet<&str>, those: &[String]| {
        these.len() == those.len() && those.iter().all(|it| these.contains(it.as_str()))
    };
    if !alike(&seated, &section.seated) || !alike(&asking, &section.asking) {
        return Err(format!("{seated:?} have seats and {asking:?} ask, unlike {section:?}"));
    }
    if !queue.values().eq(section.queue.iter()) {
        return Err(format!("{queue:?} wait, unlike {:?} in the order of joining", section.queue));
    }
    let seats = stores.all("enrollments", "seats").find(|(key, _)| *key == id);
    let Some((_, seats)) = seats else { return Err("no document counts its seats".to_owned()) };
    let counted = (number(seats, "taken"), number(seats, "waiting"));
    if counted != (seated.len() as u64, queue.len() as u64) {
        return Err(format!("{counted:?} are counted, unlike {section:?}"));
    }
    Ok(())
}

fn passage(changed: &Changed) -> Told<Passage> {
    let state = |value: Option<&Arc<Value>>| value.map(|it| text(it, "state").to_owned());
    let Some(after) = changed.after.as_deref() else {
        return Err(format!("the enrollment {} was removed", changed.id));
    };
    Ok(Passage {
        user: text(after, "user_id").to_owned(),
        from: state(changed.before.as_ref()).unwrap_or_else(|| "none".to_owned()),
        to: text(after, "state").to_owned(),
        number: number(after, "number"),
    })
}

fn is_of_section(changed: &Changed) -> bool {
    matches!(changed.collection, "seats" | "enrollments")
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}
