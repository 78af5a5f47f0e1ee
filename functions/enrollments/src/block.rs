//! Seat blocks: a section's seats, spread over several documents while there are
//! plenty, so that a rush doesn't queue up for a single one.
//!
//! A section's seats are counted in one of two ways, never in both.
//!
//! *Gathered*: [`Seats`] counts them all. So it is with small sections, and with
//! every section in which somebody waits, is offered a seat, or few are left: the
//! last seats are given out, released and passed on in one place, by one order.
//!
//! *Spread*: each [`SeatBlock`] has a share of the seats, and `Seats` counts none.
//! Nobody waits then, so to take a seat is to write one block and to leave one is
//! to write one block; whoever decides the rules gathers the blocks first. That
//! writes every one of them, so that who read a block before can't write it after.

use contracts::courses::SectionId;
use runtime::prelude::*;

use crate::seats::Seats;

/// The most blocks of a section: with those who join they still fit in a commit,
/// and reading them all is one request.
const MOST: u32 = 40;

/// Over how many blocks a section without a limit is spread. They are counted for
/// whoever looks at a list of such sections, so they aren't the most.
const OPEN: u32 = 20;

/// How many seats all blocks of a section without a limit have: more than there are people.
const UNLIMITED: u32 = 1_000_000_000;

/// A share of a section's seats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatBlock {
    /// The section.
    pub section_id: SectionId,
    /// Which of its blocks, from 0.
    pub number: u32,
    /// Which time the seats were spread: a block of another time, or one read
    /// beside the rules of another time, decides nothing.
    pub turn: u64,
    /// How many seats it has.
    pub most: u32,
    /// How many of them are taken.
    pub taken: u32,
    /// The number of the next who joins here. Blocks count past each other, so
    /// no two people of a section have the same.
    next_number: u64,
}

/// How many seats were taken in all blocks of a section, at some moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    at: Timestamp,
    taken: u32,
}

/// How old a count may be that people are shown, in milliseconds: so a section that
/// everybody looks at costs a read each, and its blocks are read once a second.
const COUNT_MILLIS: i64 = 1000;

/// Of how many who look at an aging count one counts anew.
const COUNTING: u8 = 8;

impl Counted {
    /// How old it is, in milliseconds; one of a clock that is ahead is no newer.
    fn age(&self, now: Timestamp) -> i64 {
        (now.as_millis() - self.at.as_millis()).abs()
    }
}

impl Document for SeatBlock {
    const COLLECTION: &'static str = "seat_blocks";
    fn key(&self) -> String {
        Self::id_of(&self.section_id, self.number)
    }
}

impl SeatBlock {
    /// Where a section's block is.
    pub fn id_of(section_id: &SectionId, number: u32) -> String {
        format!("{section_id}-{number}")
    }

    /// How many of its seats are free.
    pub const fn free(&self) -> u32 {
        self.most.saturating_sub(self.taken)
    }
}

impl Seats {
    /// Where its blocks are: nowhere, if its seats are gathered.
    pub fn block_ids(&self) -> Vec<String> {
        (0..self.blocks).map(|number| SeatBlock::id_of(&self.section_id, number)).collect()
    }

    /// Whether a block belongs to how its seats are spread now.
    pub fn owns(&self, block: &SeatBlock) -> bool {
        block.turn == self.turn && block.number < self.blocks
    }

    /// How many have a seat, as people are shown it; nothing, if the blocks have to
    /// be counted first.
    pub fn shown_taken(&self, now: Timestamp) -> Option<u32> {
        if self.blocks == 0 {
            return Some(self.held(now));
        }
        let counted = self.counted.as_ref()?;
        (counted.age(now) < COUNT_MILLIS).then_some(counted.taken)
    }

    /// Whether its blocks are to be counted by somebody who looks now and has drawn
    /// this: because the count is too old to be shown, or will be soon and the lot falls
    /// on them. Else all who look at that moment would count at once.
    pub fn is_to_be_counted(&self, now: Timestamp, drawn: u8) -> bool {
        let is_aging = |it: &Counted| it.age(now) >= COUNT_MILLIS / 2;
        let is_chosen = drawn < u8::MAX / COUNTING;
        self.shown_taken(now).is_none() || is_chosen && self.counted.as_ref().is_some_and(is_aging)
    }

    /// Notes how many seats its blocks have given out, all of which are given;
    /// whether they are those that it has.
    pub fn count<'a>(
        &mut self,
        blocks: impl IntoIterator<Item = &'a SeatBlock>,
        now: Timestamp,
    ) -> bool {
        let its = blocks.into_iter().filter(|it| it.section_id == self.section_id);
        let its: Vec<_> = its.filter(|it| self.owns(it)).collect();
        let taken = its.iter().map(|block| block.taken).sum();
        self.counted = Some(Counted { at: now, taken });
        its.len() == self.blocks as usize
    }

    /// Into how many blocks its seats may be spread, if each is to have so many.
    fn spreadable(&self, each: u32) -> Option<u32> {
        let blocks = match self.rules.capacity {
            Some(capacity) => capacity.checked_div(each)?.min(MOST),
            None => UNLIMITED.checked_div(each)?.min(OPEN),
        };
        // One that was gathered because few were left isn't spread again for a few.
        let is_plenty = self.free().is_none_or(|free| free >= blocks.max(each));
        let is_calm = self.waiting == 0 && self.reserved() == 0 && !self.is_limited();
        let is_open = !self.rules.cancelled && !self.rules.approval_required;
        (self.blocks == 0 && blocks > 1 && is_calm && is_open && is_plenty).then_some(blocks)
    }

    /// Spreads its seats over blocks of so many each, where that serves anybody.
    pub fn spread(&mut self, each: u32) -> Vec<SeatBlock> {
        let Some(blocks) = self.spreadable(each) else { return Vec::new() };
        let capacity = self.rules.capacity.unwrap_or(UNLIMITED);
        self.turn += 1;
        (self.blocks, self.counted) = (blocks, None);
        let share = |of: u32, number: u32| of / blocks + u32::from(number < of % blocks);
        let taken = std::mem::take(&mut self.taken);
        let block = |number| SeatBlock {
            section_id: self.section_id.clone(),
            number,
            turn: self.turn,
            most: share(capacity, number),
            taken: share(taken, number),
            next_number: self.next_number + u64::from(number),
        };
        (0..blocks).map(block).collect()
    }

    /// Counts the seats of all its blocks itself again.
    pub fn gather<'a>(&mut self, blocks: impl IntoIterator<Item = &'a SeatBlock>) {
        for block in blocks {
            self.taken += block.taken;
            self.next_number = self.next_number.max(block.next_number);
        }
        (self.blocks, self.counted) = (0, None);
    }

    /// The same section as if it had the seats of these blocks alone. Who joins
    /// gets a number of the first.
    pub fn narrowed(&self, blocks: &[Stored<SeatBlock>]) -> Self {
        let mut narrowed = self.clone();
        narrowed.taken = blocks.iter().map(|block| block.taken).sum();
        if let Some(capacity) = &mut narrowed.rules.capacity {
            *capacity = blocks.iter().map(|block| block.most).sum();
        }
        narrowed.next_number = blocks.first().map_or(0, |block| block.next_number);
        narrowed
    }

    /// Notes in blocks what has become of the section that was
    /// [narrowed](Self::narrowed) to them.
    pub fn note_in(&self, blocks: &mut [Stored<SeatBlock>]) {
        let before: u32 = blocks.iter().map(|block| block.taken).sum();
        let (mut more, mut fewer) =
            (self.taken.saturating_sub(before), before.saturating_sub(self.taken));
        for block in blocks.iter_mut() {
            let (taken, left) = (more.min(block.free()), fewer.min(block.taken));
            block.taken = block.taken + taken - left;
            (more, fewer) = (more - taken, fewer - left);
        }
        debug_assert_eq!((more, fewer), (0, 0), "the blocks had the seats");
        if let Some(first) = blocks.first_mut() {
            first.next_number = self.next_number;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{seats::Place, tests::section as facts};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn seats(capacity: u32) -> Seats {
        Seats::of(&facts(Some(capacity)))
    }

    fn stored(blocks: Vec<SeatBlock>) -> Vec<Stored<SeatBlock>> {
        blocks.into_iter().map(Stored::new).collect()
    }

    #[test]
    fn a_small_section_stays_in_one_place() {
        assert!(seats(99).spread(50).is_empty());
        assert!(seats(99).spread(0).is_empty());
        assert_eq!(seats(100).spread(50).len(), 2);
        assert_eq!(seats(100_000).spread(50).len(), 40);
    }

    #[test]
    fn a_section_without_a_limit_is_spread_before_anybody_is_in_it() {
        let mut open = Seats::of(&facts(None));
        assert!(open.spread(0).is_empty());
        let mut blocks = open.spread(50);
        assert_eq!(blocks.len(), 20);
        (blocks[0].taken, blocks[19].taken) = (5, 2);
        let narrowed = open.narrowed(&stored(blocks.clone())[..1]);
        assert_eq!((narrowed.free(), narrowed.taken), (None, 5));
        open.gather(&blocks);
        assert_eq!((open.free(), open.taken), (None, 7));
    }

    #[test]
    fn what_was_gathered_is_spread_again_when_there_is_plenty() {
        let mut seats = seats(4);
        for _ in 0..4 {
            seats.join(NOW).unwrap();
        }
        for left in 1..4 {
            seats.leave_seat(NOW);
            assert_eq!(seats.clone().spread(2).len(), if left < 2 { 0 } else { 2 });
        }
    }

    #[test]
    fn who_only_looks_is_told_what_was_counted_in_the_last_second() {
        let mut seats = seats(100);
        assert_eq!(seats.shown_taken(NOW), Some(0));
        let mut blocks = seats.spread(50);
        assert_eq!(seats.shown_taken(NOW), None);
        (blocks[0].taken, blocks[1].taken) = (7, 2);
        assert!(seats.count(&blocks, NOW));
        assert_eq!(seats.shown_taken(Timestamp::from_millis(NOW.as_millis() + 999)), Some(9));
        assert_eq!(seats.shown_taken(NOW.plus_seconds(1)), None);
        assert_eq!(seats.shown_taken(NOW.plus_seconds(-1)), None, "a clock was ahead");
        let after = |millis: i64| Timestamp::from_millis(NOW.as_millis() + millis);
        assert!(!seats.is_to_be_counted(after(499), 0), "it's fresh");
        assert!(seats.is_to_be_counted(after(500), 0), "the lot fell on them");
        assert!(!seats.is_to_be_counted(after(999), 255));
        assert!(seats.is_to_be_counted(after(1000), 255), "it's too old");
        assert!(!seats.count(&blocks[..1], NOW));
    }

    #[test]
    fn where_somebody_waits_or_few_are_left_seats_stay_together() {
        let mut full = seats(4);
        for _ in 0..4 {
            assert_eq!(full.join(NOW), Ok(Place::Seat));
        }
        assert!(full.clone().spread(1).is_empty());
        full.join(NOW).unwrap();
        full.leave_seat(NOW);
        assert!(full.clone().spread(1).is_empty());
        let mut limited = seats(4);
        limited.limit(3, 1, NOW).unwrap();
        assert!(limited.spread(1).is_empty());
    }

    proptest! {
        #[test]
        fn spreading_and_gathering_change_no_count(capacity in 0_u32..300, joined in 0_u32..300, each in 1_u32..60) {
            let mut seats = seats(capacity);
            for _ in 0..joined.min(capacity) {
                seats.join(NOW).unwrap();
                seats.take_number();
            }
            let before = seats.clone();
            let blocks = seats.spread(each);
            if blocks.is_empty() {
                prop_assert_eq!(seats, before);
                return Ok(());
            }
            prop_assert_eq!(seats.taken, 0);
            prop_assert_eq!(blocks.iter().map(|it| it.most).sum::<u32>(), capacity);
            prop_assert!(blocks.iter().all(|it| it.taken <= it.most && seats.owns(it)));
            seats.gather(&blocks);
            prop_assert_eq!(seats.taken, before.taken);
            // Numbers go on behind all that any block could have given.
            prop_assert!(blocks.iter().all(|it| seats.take_number() >= it.next_number));
        }

        #[test]
        fn no_block_gives_more_than_it_has_and_no_number_twice(
            acts in prop::collection::vec((0_usize..4, any::<bool>()), 0..80),
        ) {
            let mut seats = seats(40);
            let mut blocks = stored(seats.spread(10));
            let (mut taken, mut numbers) = (0_u32, Vec::new());
            for (home, joins) in acts {
                blocks.rotate_left(home);
                let opened = &mut blocks[..2];
                let mut narrowed = seats.narrowed(opened);
                if joins && narrowed.free() != Some(0) {
                    prop_assert_eq!(narrowed.join(NOW), Ok(Place::Seat));
                    numbers.push(narrowed.take_number());
                    taken += 1;
                } else if !joins && narrowed.taken > 0 {
                    narrowed.leave_seat(NOW);
                    taken -= 1;
                }
                narrowed.note_in(opened);
                prop_assert!(blocks.iter().all(|it| it.taken <= it.most));
                prop_assert_eq!(blocks.iter().map(|it| it.taken).sum::<u32>(), taken);
            }
            let given = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            prop_assert_eq!(numbers.len(), given);
            seats.gather(blocks.iter().map(|it| &**it));
            prop_assert!(numbers.last().is_none_or(|last| seats.take_number() > *last));
        }
    }
}
