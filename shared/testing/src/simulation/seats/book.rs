//! The book: what everybody was told and what was stored, held against each
//! other and against the reference. It reads documents as plain JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::{
    Asked, Heard,
    courses::Catalog,
    reference::{Allowed, Passage, Said, Section},
};
use crate::simulation::{Changed, Commit, Laws, Stores, Word};

/// The book, as everybody has it open. Copies of it share what neither has changed.
#[derive(Clone)]
pub(super) struct Ledger(Arc<Mutex<Arc<Book>>>);

/// What everybody was told, and what was stored.
#[derive(Clone)]
pub(super) struct Book {
    pub(super) catalog: Catalog,
    sections: BTreeMap<String, Section>,
    /// Every state that an enrollment was ever in, by its id and revision.
    history: BTreeMap<(String, u64), Entry>,
    /// The answer that was given to a key.
    answers: BTreeMap<String, (Asked, Heard)>,
    /// What people have said that they were answered, and no copy was told yet.
    said: Vec<Word>,
    broken: Option<String>,
    seen: BTreeMap<String, u64>,
}

/// A word to the book.
enum Spoken {
    /// What was answered.
    Answered(Asked, Heard),
    /// What courses say now.
    Catalog(Catalog),
}

/// A state that an enrollment was in.
#[derive(Clone, Debug, Hash)]
struct Entry {
    passage: Passage,
    /// Where they were in the queue.
    position: Option<usize>,
    /// Why it ended, if it did.
    why: Option<String>,
    /// Whether they came to it by a transfer.
    is_moved: bool,
}

/// A seat that was moved from one enrollment to another.
struct Moved {
    from: String,
    to: String,
    /// The new enrollment's revision.
    revision: u64,
    /// Whether the section is the same.
    hands_over: bool,
}

type Told<T = ()> = Result<T, String>;

/// What is told, and why it ended if it did.
type Events = BTreeMap<Event, Option<String>>;

impl Ledger {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(Book {
            catalog,
            sections: BTreeMap::new(),
            history: BTreeMap::new(),
            answers: BTreeMap::new(),
            said: Vec::new(),
            broken: None,
            seen: BTreeMap::new(),
        }))))
    }

    /// A copy of the book as it is now.
    pub(super) fn copied(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().expect("no holder panics").clone())))
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.0.lock().expect("no holder panics"))
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(Arc::make_mut(&mut self.0.lock().expect("no holder panics")))
    }

    /// Notes a definite answer.
    pub(super) fn note(&self, asked: &Asked, heard: &Heard) {
        self.change(|book| {
            book.said.push(Arc::new(Spoken::Answered(asked.clone(), heard.clone())));
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
        self.change(|book| book.committed(commit))
    }

    fn at_rest(&mut self, stores: &Stores<'_>) -> Told {
        self.look(|book| {
            book.is_settled()?;
            book.everything_was_answered()?;
            book.nothing_has_lapsed(stores)?;
            book.everything_was_told(stores)
        })
    }

    fn broken(&self) -> Option<String> {
        self.look(|book| book.broken.clone())
    }

    fn memory(&self) -> Option<u64> {
        self.look(|book| {
            let Book { catalog, sections, history, answers, said: _, broken, seen: _ } = book;
            let mut hasher = DefaultHasher::new();
            (catalog, sections, history, answers, broken).hash(&mut hasher);
            Some(hasher.finish())
        })
    }

    fn copied(&self) -> Option<Box<dyn Laws>> {
        Some(Box::new(Self::copied(self)))
    }

    fn said(&mut self) -> Vec<Word> {
        self.change(|book| std::mem::take(&mut book.said))
    }

    fn board(&self) -> Option<(u64, Word)> {
        self.look(|book| {
            let mut hasher = DefaultHasher::new();
            book.catalog.hash(&mut hasher);
            Some((hasher.finish(), Arc::new(Spoken::Catalog(book.catalog.clone())) as Word))
        })
    }

    fn hear(&mut self, word: &Word) {
        self.change(|book| match word.downcast_ref() {
            Some(Spoken::Answered(asked, heard)) => {
                let result = book.answered(asked, heard);
                book.hold(result);
            }
            Some(Spoken::Catalog(catalog)) => {
                book.catalog = catalog.clone();
                book.catalog.sections().iter().for_each(|id| book.look_for_too_many(id));
            }
            None => book.hold(Err("a word of elsewhere was said".to_owned())),
        });
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

    /// How many have a seat in a section, or one that's kept for them.
    pub(super) fn taken(&self, id: &str) -> u32 {
        let held = self.sections.get(id).map_or(0, Section::held);
        u32::try_from(held).expect("sections are small")
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
        let (mut told, moved) = told(commit)?;
        for id in touched {
            self.section_changed(&id, commit, &mut told, &moved)
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
        told: &mut Events,
        moved: &[Moved],
    ) -> Told {
        let is_its = |value: &Arc<Value>| text(value, "section_id") == id;
        let its: Vec<_> =
            commit.changes.iter().filter(|it| it.after.as_ref().is_some_and(is_its)).collect();
        let section = self.sections.entry(id.to_owned()).or_default();
        let seats = its.iter().find(|it| it.collection == "seats");
        let said = seats.and_then(|it| it.after.as_deref()).map(|seats| Said {
            allowed: Allowed::read(seats),
            kept: kept(seats).map(|(until, _)| until.to_owned()).collect(),
            now: commit.stores.now().to_string(),
        });
        let mut passages = Vec::new();
        for changed in its.iter().filter(|it| it.collection == "enrollments") {
            for (passage, revision) in passages_of(changed, moved)? {
                passages.push((passage, changed.id.clone(), revision));
            }
        }
        passages.sort_by_key(|(passage, _, revision)| (passage.number, *revision));
        let its_passages: Vec<_> = passages.iter().map(|(passage, ..)| passage.clone()).collect();
        section.follow(said, &its_passages)?;
        is_as_on_paper(section, id, &commit.stores)?;
        for (passage, enrollment_id, revision) in passages {
            let (state, enrollment) = (passage.to.clone(), enrollment_id.clone());
            let event = Event { state, enrollment_id: enrollment, revision };
            let Some(why) = told.remove(&event) else {
                return Err(format!("{passage}, and nobody is told"));
            };
            let way = match why.as_deref() {
                Some("transferred") => "transferred".to_owned(),
                _ => format!("{} to {}", passage.from, passage.to),
            };
            *self.seen.entry(way).or_default() += 1;
            let position = section.position(&passage.user);
            let is_moved = moved.iter().any(|it| it.to == enrollment_id && it.revision == revision);
            let entry = Entry { passage, position, why, is_moved };
            self.history.insert((enrollment_id, revision), entry);
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
            offer_hours: facts.offer_hours.map(u64::from),
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
            let Section { allowed, queue, asking, .. } = section;
            if allowed.revision != newest {
                return Err(format!("section {id}: revision {newest} was never learned"));
            }
            if allowed.cancelled && section.held() + queue.len() + asking.len() > 0 {
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

    /// Where the clock ticks, nobody is left with an offer that is worth nothing.
    fn nothing_has_lapsed(&self, stores: &Stores<'_>) -> Told {
        let now = stores.now().to_string();
        for (id, Section { offered, lapsed, .. }) in &self.sections {
            if !lapsed.is_empty() || offered.iter().any(|(_, until)| *until <= now) {
                return Err(format!("section {id}: {lapsed:?} and {offered:?} have lapsed"));
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
                ("waitlisted", "confirmed" | "offered") => continue,
                (_, "cancelled")
                    if matches!(
                        entry.why.as_deref(),
                        Some("section_cancelled" | "offer_lapsed" | "transferred")
                    ) =>
                {
                    continue;
                }
                ("offered", "confirmed") => "enrollments.accept_offer",
                _ if entry.is_moved => "enrollments.transfer",
                (_, "cancelled") => "enrollments.cancel",
                ("pending_approval", _) => "enrollments.review",
                _ => "enrollments.enroll",
            };
            let answers = answered.get(place).map(Vec::as_slice).unwrap_or_default();
            let own = answers.iter().filter(|operation| **operation == by).count();
            // Who leaves again is told that they have left; who accepts again, that
            // they have the seat.
            let may_repeat = ["enrollments.cancel", "enrollments.accept_offer"].contains(&by);
            if own == 0 || (own > 1 && !may_repeat) {
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

/// What a commit tells the others, each once, and why it ended if it did; and
/// which seats it says were moved.
fn told(commit: &Commit<'_>) -> Told<(Events, Vec<Moved>)> {
    let (mut told, mut moved) = (BTreeMap::new(), Vec::new());
    let outbox =
        commit.changes.iter().filter(|it| it.collection == "outbox" && it.before.is_none());
    for envelope in outbox.filter_map(|it| it.after.as_deref()) {
        let data = &envelope["data"];
        let state = match text(envelope, "type") {
            "enrollments.confirmed.v1" => "confirmed",
            "enrollments.waitlisted.v1" => "waitlisted",
            "enrollments.offered.v1" => "offered",
            "enrollments.requested.v1" => "pending_approval",
            "enrollments.rejected.v1" => "rejected",
            "enrollments.cancelled.v1" => "cancelled",
            "enrollments.transferred.v1" => {
                let (from, to) = (&data["from"], &data["enrollment"]);
                moved.push(Moved {
                    from: text(from, "enrollment_id").to_owned(),
                    to: text(to, "enrollment_id").to_owned(),
                    revision: number(to, "revision"),
                    hands_over: from["section_id"] == to["section_id"],
                });
                continue;
            }
            other => return Err(format!("an event {other:?} of no known type")),
        };
        let why = data["why"].as_str().map(str::to_owned);
        let event = Event::read(&data["enrollment"], state);
        if told.insert(event.clone(), why).is_some() {
            return Err(format!("{event:?} is told twice"));
        }
    }
    Ok((told, moved))
}

/// Whether what is stored of a section is what is on paper.
fn is_as_on_paper(section: &Section, id: &str, stores: &Stores<'_>) -> Told {
    let (mut numbers, mut everybody) = (BTreeSet::new(), BTreeSet::new());
    let (mut seated, mut queue, mut asking) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    let mut offered = BTreeMap::new();
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
            "offered" => drop(offered.insert(user, text(document, "offer_expires_at"))),
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
    let is_offered = |user: &str, until: Option<&str>| {
        let found = offered.get(user);
        found.is_some_and(|found| until.is_none_or(|until| *found == until))
    };
    if offered.len() != section.offered.len() + section.lapsed.len()
        || !section.offered.iter().all(|(user, until)| is_offered(user, Some(until)))
        || !section.lapsed.iter().all(|user| is_offered(user, None))
    {
        return Err(format!("{offered:?} are offered seats, unlike {section:?}"));
    }
    if !queue.values().eq(section.queue.iter()) {
        return Err(format!("{queue:?} wait, unlike {:?} in the order of joining", section.queue));
    }
    let seats = stores.all("enrollments", "seats").find(|(key, _)| *key == id);
    let Some((_, seats)) = seats else { return Err("no document counts its seats".to_owned()) };
    let blocks =
        stores.all("enrollments", "seat_blocks").filter(|(_, it)| text(it, "section_id") == id);
    let (mut in_blocks, mut count) = (0, 0);
    for (key, block) in blocks {
        if number(block, "taken") > number(block, "most") || block["turn"] != seats["turn"] {
            return Err(format!("block {key} is {block}, and the seats are {seats}"));
        }
        (in_blocks, count) = (in_blocks + number(block, "taken"), count + 1);
    }
    if count != number(seats, "blocks") {
        return Err(format!("it has {count} blocks, and {} are counted", seats["blocks"]));
    }
    let counted = (number(seats, "taken") + in_blocks, number(seats, "waiting"));
    if counted != (seated.len() as u64, queue.len() as u64) {
        return Err(format!("{counted:?} are counted, unlike {section:?}"));
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, until) in &section.offered {
        *counts.entry(until).or_default() += 1;
    }
    if !kept(seats).eq(counts) {
        return Err(format!("{:?} are kept, unlike {section:?}", seats["offers"]));
    }
    Ok(())
}

/// Until when a section keeps seats, and how many.
fn kept(seats: &Value) -> impl Iterator<Item = (&str, u64)> {
    let offers = seats["offers"].as_array().map(Vec::as_slice).unwrap_or_default();
    offers.iter().map(|it| (text(it, "until"), number(it, "seats")))
}

/// What has happened to an enrollment, one thing or two, each with the revision
/// that it came to.
fn passages_of(changed: &Changed, moved: &[Moved]) -> Told<Vec<(Passage, u64)>> {
    let Some(after) = changed.after.as_deref() else {
        return Err(format!("the enrollment {} was removed", changed.id));
    };
    let before = changed.before.as_deref();
    let from = before.map_or("none", |before| text(before, "state"));
    let revision = number(after, "revision");
    let hands_over =
        moved.iter().any(|it| it.hands_over && (it.from == changed.id || it.to == changed.id));
    let passage = Passage {
        user: text(after, "user_id").to_owned(),
        from: from.to_owned(),
        to: text(after, "state").to_owned(),
        number: number(after, "number"),
        until: text(after, "offer_expires_at").to_owned(),
        at: text(after, "updated_at").to_owned(),
        is_return: false,
        hands_over,
    };
    let steps = revision.saturating_sub(before.map_or(0, |before| number(before, "revision")));
    match (steps, from) {
        (1, _) => Ok(vec![(passage, revision)]),
        (2, "offered") => {
            // They come back before they were taken off for not accepting.
            let before = before.map(|before| number(before, "number")).unwrap_or_default();
            let to = "cancelled".to_owned();
            let off = Passage { to, number: before, is_return: true, ..passage.clone() };
            let back = Passage { from: "cancelled".to_owned(), ..passage };
            Ok(vec![(off, revision - 1), (back, revision)])
        }
        _ => Err(format!("{passage} in {steps} steps")),
    }
}

fn is_of_section(changed: &Changed) -> bool {
    matches!(changed.collection, "seats" | "seat_blocks" | "enrollments")
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}
