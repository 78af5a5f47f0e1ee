//! A section's seats: how many are taken or kept for somebody, who may have the
//! next, and in which order people joined. The one document that decides who sits,
//! but while a large section's seats are spread over [blocks](crate::block).

use contracts::{
    courses::{CourseId, SectionFacts, SectionId},
    enrollments::CAPACITY_BELOW_TAKEN,
};
use runtime::prelude::*;

use crate::{
    block::Counted,
    rules::{Rules, SECTION_FULL},
};

/// The offer wasn't accepted before its deadline.
pub const OFFER_LAPSED: Problem = Problem::conflict(
    "offer-lapsed",
    "This offer has lapsed; the seat has passed on.",
    "Esta oferta venció; el cupo pasó a quien sigue.",
);

/// A section's seats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    /// The section.
    pub section_id: SectionId,
    /// Its course.
    pub course_id: CourseId,
    /// What the section allows.
    pub rules: Rules,
    /// How many have a seat, those in blocks aside.
    pub taken: u32,
    /// How many wait for one.
    pub waiting: u32,
    /// The seats that are kept for those they were offered to, by deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    offers: Vec<Kept>,
    /// The latest deadline at which offers have lapsed here. Who had one of them may still
    /// have it in their enrollment, so no later offer has that deadline again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lapsed_until: Option<Timestamp>,
    /// The number of the next who joins: the order of the queue.
    pub(crate) next_number: u64,
    /// Over how many blocks the seats are spread; 0: they're all counted here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) blocks: u32,
    /// How often they have been spread.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) turn: u64,
    /// What was counted in the blocks last, for those who only look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counted: Option<Counted>,
    /// A promise to courses to give out no more than a lower capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promise: Option<Promise>,
    /// Since when a seat is free while somebody waits; only then is there
    /// something to promote, and only then is the document in the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promotable_since: Option<Timestamp>,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// A promise to give out no more seats than this, until the section's next revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Promise {
    most: u32,
    revision: u64,
}

/// Seats that are kept until a deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    until: Timestamp,
    seats: u32,
}

impl Document for Seats {
    const COLLECTION: &'static str = "seats";
    const INDEXES: &'static [Index] = &[Index::ascending("promotable_since")];
    fn key(&self) -> String {
        self.section_id.to_string()
    }
}

/// Where somebody who joins is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a seat.
    Seat,
    /// Before a seat that is kept for them.
    Offer {
        /// From when on it's kept no more.
        until: Timestamp,
    },
    /// In the queue: 1 is next.
    Queue {
        /// The place in it.
        position: u32,
    },
}

impl Seats {
    /// The seats of a section that nobody has joined.
    pub fn of(facts: &SectionFacts) -> Self {
        Self {
            section_id: facts.section_id.clone(),
            course_id: facts.course_id.clone(),
            rules: Rules::from(facts),
            taken: 0,
            waiting: 0,
            offers: Vec::new(),
            lapsed_until: None,
            next_number: 1,
            blocks: 0,
            turn: 0,
            counted: None,
            promise: None,
            promotable_since: None,
        }
    }

    /// Whether it's promised to give out fewer seats than there are.
    pub const fn is_limited(&self) -> bool {
        self.promise.is_some()
    }

    /// The revision of the section at which fewer seats were promised.
    pub fn promised_at(&self) -> Option<u64> {
        self.promise.as_ref().map(|promise| promise.revision)
    }

    /// How many may have a seat now; nothing: any number.
    fn capacity(&self) -> Option<u32> {
        match (&self.promise, self.rules.capacity) {
            (Some(promise), Some(capacity)) => Some(capacity.min(promise.most)),
            (Some(promise), None) => Some(promise.most),
            (None, capacity) => capacity,
        }
    }

    /// How many seats are kept for those they were offered to.
    pub fn reserved(&self) -> u32 {
        self.offers.iter().map(|kept| kept.seats).sum()
    }

    /// Until when seats are kept, and how many.
    pub fn kept(&self) -> impl Iterator<Item = (Timestamp, u32)> + '_ {
        self.offers.iter().map(|kept| (kept.until, kept.seats))
    }

    /// How many seats nobody else may have now: those taken, and those kept.
    pub fn held(&self, now: Timestamp) -> u32 {
        let kept = self.offers.iter().filter(|kept| kept.until > now).map(|kept| kept.seats);
        self.taken + kept.sum::<u32>()
    }

    /// How many seats are free; nothing: any number.
    pub fn free(&self) -> Option<u32> {
        let held = self.taken + self.reserved();
        self.capacity().map(|capacity| capacity.saturating_sub(held))
    }

    /// How many of those who wait could have a seat now.
    pub fn promotable(&self) -> u32 {
        if self.rules.cancelled {
            return 0;
        }
        self.free().map_or(self.waiting, |free| free.min(self.waiting))
    }

    /// Keeps no seat any longer for an offer whose deadline has passed. Once
    /// that's noted the offer is worth nothing, whatever time another clock has:
    /// the seat may be somebody's already.
    pub fn lapse(&mut self, now: Timestamp) {
        let lapsed = self.offers.extract_if(.., |kept| kept.until <= now).map(|kept| kept.until);
        self.lapsed_until = lapsed.max().max(self.lapsed_until);
        self.note_promotable(now);
    }

    /// Gives somebody the next number in the order of joining.
    pub fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        // Blocks count past each other.
        self.next_number += u64::from(self.blocks.max(1));
        number
    }

    /// Puts somebody on a free seat or into the queue.
    ///
    /// Nobody overtakes the queue: while somebody waits, whoever comes waits too,
    /// though a seat may just have become free.
    pub fn join(&mut self, now: Timestamp) -> Result<Place, Refusal> {
        if let Some(seat) = self.sit(now) {
            return Ok(seat);
        }
        if self.rules.waitlist_capacity.is_some_and(|most| self.waiting >= most) {
            return Err(self.full());
        }
        self.waiting += 1;
        self.note_promotable(now);
        Ok(Place::Queue { position: self.waiting })
    }

    /// Puts somebody on a free seat that nobody waits for; refuses if there's none.
    pub fn join_seated(&mut self, now: Timestamp) -> Result<Place, Refusal> {
        self.sit(now).ok_or_else(|| self.full())
    }

    fn sit(&mut self, now: Timestamp) -> Option<Place> {
        self.lapse(now);
        let is_free = self.waiting == 0 && self.free() != Some(0);
        is_free.then(|| {
            self.taken += 1;
            Place::Seat
        })
    }

    /// Gives a seat to one who waits: at once, or as an offer.
    pub fn promote(&mut self, now: Timestamp) -> Place {
        debug_assert!(self.promotable() > 0, "a seat is free and somebody waits");
        self.waiting = self.waiting.saturating_sub(1);
        // It's no earlier than a deadline that somebody has seen pass.
        let passed = self.lapsed_until.map_or(now, |lapsed| lapsed.max(now));
        let place = match self.rules.offered_until(passed) {
            None => {
                self.taken += 1;
                Place::Seat
            }
            Some(until) => {
                self.keep(until);
                Place::Offer { until }
            }
        };
        self.note_promotable(now);
        place
    }

    fn keep(&mut self, until: Timestamp) {
        match self.offers.binary_search_by_key(&until, |kept| kept.until) {
            Ok(index) => self.offers[index].seats += 1,
            Err(index) => self.offers.insert(index, Kept { until, seats: 1 }),
        }
    }

    /// Keeps one seat fewer until a deadline; whether there was one.
    fn keep_no_more(&mut self, until: Timestamp) -> bool {
        let Some(index) = self.offers.iter().position(|kept| kept.until == until) else {
            return false;
        };
        self.offers[index].seats = self.offers[index].seats.saturating_sub(1);
        self.offers.retain(|kept| kept.seats > 0);
        true
    }

    /// Gives a seat to one whom it was offered to until then.
    pub fn accept(&mut self, until: Timestamp, now: Timestamp) -> Result<Place, Refusal> {
        self.lapse(now);
        if !self.keep_no_more(until) {
            return Err(Refusal::of(OFFER_LAPSED)
                .because(
                    "Enroll again to wait for another seat.",
                    "Inscríbete de nuevo para esperar otro cupo.",
                )
                .with("expired_at", until.to_string())
                .with("now", now.to_string()));
        }
        self.taken += 1;
        self.note_promotable(now);
        Ok(Place::Seat)
    }

    /// Takes back an offer that was good until then.
    pub fn leave_offer(&mut self, until: Timestamp, now: Timestamp) {
        self.lapse(now);
        self.keep_no_more(until);
        self.note_promotable(now);
    }

    /// Takes a seat back.
    pub fn leave_seat(&mut self, now: Timestamp) {
        self.lapse(now);
        self.taken = self.taken.saturating_sub(1);
        self.note_promotable(now);
    }

    /// Takes one out of the queue.
    pub fn leave_queue(&mut self, now: Timestamp) {
        self.lapse(now);
        self.waiting = self.waiting.saturating_sub(1);
        self.note_promotable(now);
    }

    /// Learns what the section allows now; whether that was news.
    pub fn learn(&mut self, facts: &SectionFacts, now: Timestamp) -> bool {
        if facts.revision <= self.rules.revision {
            return false;
        }
        self.lapse(now);
        self.rules = Rules::from(facts);
        // The change that the promise was made for has come, or will never come.
        let kept = self.promise.take().filter(|promise| promise.revision >= facts.revision);
        self.promise = kept;
        self.note_promotable(now);
        true
    }

    /// Promises to give out no more than so many seats, if no more are taken.
    ///
    /// Two may want to lower the capacity at once, and only one of their changes
    /// will come: until it's known which, the lower of their promises holds. A
    /// promise for a revision that has passed isn't kept, because the change that
    /// it's for can't come any more. One for a later revision takes an earlier
    /// one's place: it's lower than the capacity that came of that.
    pub fn limit(&mut self, most: u32, revision: u64, now: Timestamp) -> Result<(), Refusal> {
        self.lapse(now);
        let taken = self.taken + self.reserved();
        if taken > most {
            return Err(Refusal::of(CAPACITY_BELOW_TAKEN)
                .because(
                    format!(
                        "{taken} seats are taken: choose {taken} or more, or cancel some first."
                    ),
                    format!("Hay {taken} cupos ocupados: elige {taken} o más, o cancela algunos."),
                )
                .with("seats_taken", taken)
                .with("capacity", most));
        }
        let newest = self.promise.as_ref().map_or(self.rules.revision, |it| it.revision);
        if revision < newest {
            return Ok(());
        }
        let rival = self.promise.take().filter(|promise| promise.revision == revision);
        let most = rival.map_or(most, |rival| rival.most.min(most));
        self.promise = Some(Promise { most, revision });
        self.note_promotable(now);
        Ok(())
    }

    /// The refusal for somebody who finds neither seat nor place.
    fn full(&self) -> Refusal {
        let (taken, waiting) = (self.taken + self.reserved(), self.waiting);
        Refusal::of(SECTION_FULL)
            .because(
                format!("{taken} seats are taken and {waiting} people wait; try another section."),
                format!("Hay {taken} cupos ocupados y {waiting} personas en espera; prueba otra sección."),
            )
            .with("capacity", self.capacity())
            .with("seats_taken", taken)
            .with("waitlist_capacity", self.rules.waitlist_capacity)
            .with("waitlist_length", waiting)
    }

    fn note_promotable(&mut self, now: Timestamp) {
        self.promotable_since =
            if self.promotable() > 0 { self.promotable_since.or(Some(now)) } else { None };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::section as facts;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn seats(capacity: Option<u32>, waitlist_capacity: Option<u32>) -> Seats {
        Seats::of(&SectionFacts { waitlist_capacity, ..facts(capacity) })
    }

    #[test]
    fn no_seat_is_given_twice() {
        let mut seats = seats(Some(1), None);
        assert_eq!(seats.join(NOW), Ok(Place::Seat));
        assert_eq!(seats.join(NOW), Ok(Place::Queue { position: 1 }));
        assert_eq!(seats.join(NOW), Ok(Place::Queue { position: 2 }));
        assert_eq!((seats.taken, seats.waiting), (1, 2));
    }

    #[test]
    fn nobody_overtakes_the_queue() {
        let mut seats = seats(Some(1), None);
        seats.join(NOW).unwrap();
        seats.join(NOW).unwrap();
        seats.leave_seat(NOW);
        assert_eq!(seats.promotable(), 1);
        assert_eq!(seats.join(NOW), Ok(Place::Queue { position: 2 }));
        seats.promote(NOW);
        assert_eq!((seats.taken, seats.waiting, seats.promotable()), (1, 1, 0));
    }

    #[test]
    fn full_is_when_the_queue_is_full_too() {
        let mut seats = seats(Some(1), Some(1));
        seats.join(NOW).unwrap();
        seats.join(NOW).unwrap();
        assert_eq!(seats.join(NOW).unwrap_err().problem, SECTION_FULL);
    }

    #[test]
    fn a_promise_holds_until_the_sections_next_revision() {
        let mut seats = seats(Some(3), Some(0));
        seats.join(NOW).unwrap();
        seats.join(NOW).unwrap();
        assert_eq!(seats.limit(1, 1, NOW).unwrap_err().problem, CAPACITY_BELOW_TAKEN);
        seats.limit(2, 1, NOW).unwrap();
        assert!(seats.join(NOW).is_err());
        assert!(seats.learn(&SectionFacts { revision: 2, ..facts(Some(5)) }, NOW));
        assert_eq!(seats.free(), Some(3));
        assert!(!seats.learn(&SectionFacts { revision: 1, ..facts(Some(9)) }, NOW));
    }

    #[test]
    fn of_two_promises_for_the_same_revision_the_lower_one_holds() {
        let mut seats = seats(Some(3), Some(0));
        seats.limit(1, 1, NOW).unwrap();
        seats.limit(2, 1, NOW).unwrap();
        assert_eq!(seats.free(), Some(1));
        seats.limit(0, 2, NOW).unwrap();
        assert_eq!(seats.free(), Some(0));
    }

    #[test]
    fn a_promise_for_a_revision_that_has_passed_is_not_kept() {
        let mut seats = seats(Some(3), Some(0));
        seats.learn(&SectionFacts { revision: 2, ..facts(Some(5)) }, NOW);
        seats.limit(1, 1, NOW).unwrap();
        assert_eq!(seats.free(), Some(5));
        seats.limit(2, 3, NOW).unwrap();
        seats.limit(1, 2, NOW).unwrap();
        assert_eq!(seats.free(), Some(2));
    }

    #[test]
    fn a_lapsed_offer_is_worth_nothing_even_to_who_has_an_earlier_clock() {
        let offering = SectionFacts { offer_hours: Some(1), ..facts(Some(1)) };
        let mut seats = Seats::of(&offering);
        seats.join(NOW).unwrap();
        seats.join(NOW).unwrap();
        seats.leave_seat(NOW);
        let Place::Offer { until } = seats.promote(NOW) else { panic!("it's offered") };
        let mut accepted = seats.clone();
        assert_eq!(accepted.accept(until, NOW.plus_minutes(59)), Ok(Place::Seat));
        assert_eq!(seats.clone().accept(until, until).unwrap_err().problem, OFFER_LAPSED);
        // Somebody whose clock is ahead got the seat; now it's gone for everybody.
        assert_eq!(seats.join(until), Ok(Place::Seat));
        assert_eq!(seats.accept(until, NOW).unwrap_err().problem, OFFER_LAPSED);
        assert_eq!((seats.taken, seats.reserved()), (1, 0));
    }

    #[test]
    fn a_deadline_that_has_passed_is_never_given_again() {
        let offering = SectionFacts { offer_hours: Some(1), ..facts(Some(1)) };
        let mut seats = Seats::of(&offering);
        for _ in 0..3 {
            seats.join(NOW).unwrap();
        }
        seats.leave_seat(NOW);
        let Place::Offer { until: first } = seats.promote(NOW) else { panic!("it's offered") };
        seats.lapse(first);
        // Whose clock is behind offers the seat to the next: it isn't kept for the first.
        let Place::Offer { until: next } = seats.promote(NOW) else { panic!("it's offered") };
        assert_eq!(next, first.plus_minutes(60));
        assert_eq!(seats.clone().accept(first, NOW).unwrap_err().problem, OFFER_LAPSED);
        seats.leave_offer(first, NOW);
        assert_eq!(seats.reserved(), 1);
        assert_eq!(seats.accept(next, first), Ok(Place::Seat));
    }

    proptest! {
        /// The same where seats are offered, accepted, declined and let lapse.
        #[test]
        fn offered_seats_are_never_oversold(
            capacity in 0_u32..4,
            steps in proptest::collection::vec((0_u8..6, 0_i64..40), 0..60),
        ) {
            let offering = SectionFacts { offer_hours: Some(1), ..facts(Some(capacity)) };
            let (mut seats, mut now) = (Seats::of(&offering), NOW);
            let mut offers: Vec<Timestamp> = Vec::new();
            for (step, minutes) in steps {
                now = now.plus_minutes(minutes);
                match step {
                    0 | 1 => { let _place = seats.join(now); }
                    2 if seats.taken > 0 => seats.leave_seat(now),
                    3 if seats.waiting > 0 => seats.leave_queue(now),
                    4 if !offers.is_empty() => {
                        let until = offers.remove(0);
                        prop_assert_eq!(seats.accept(until, now).is_ok(), until > now);
                    }
                    5 if !offers.is_empty() => seats.leave_offer(offers.remove(0), now),
                    _ => seats.lapse(now),
                }
                while seats.promotable() > 0 {
                    if let Place::Offer { until } = seats.promote(now) {
                        offers.push(until);
                    }
                }
                prop_assert!(seats.taken + seats.reserved() <= capacity);
                prop_assert!(seats.held(now) <= seats.taken + seats.reserved());
                prop_assert!(seats.waiting == 0 || seats.free() == Some(0));
            }
        }

        /// Whatever people do in whatever order: never more seats than there
        /// are, and nobody waits beside a free seat once all are promoted.
        #[test]
        fn seats_are_never_oversold(
            capacity in 0_u32..5,
            waitlist in proptest::option::of(0_u32..4),
            steps in proptest::collection::vec(0_u8..4, 0..60),
        ) {
            let mut seats = seats(Some(capacity), waitlist);
            for step in steps {
                match step {
                    0 | 1 => { let _full = seats.join(NOW); }
                    2 if seats.taken > 0 => seats.leave_seat(NOW),
                    3 if seats.waiting > 0 => seats.leave_queue(NOW),
                    _ => {}
                }
                while seats.promotable() > 0 {
                    seats.promote(NOW);
                }
                prop_assert!(seats.taken <= capacity);
                prop_assert!(waitlist.is_none_or(|most| seats.waiting <= most));
                prop_assert!(seats.waiting == 0 || seats.taken == capacity);
                prop_assert_eq!(seats.promotable_since, None);
            }
        }
    }
}
