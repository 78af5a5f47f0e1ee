//! The hall: a section's seats as an operation works on them, wherever they are counted.
//!
//! It's opened as wide as the operation needs. What is done in it is decided by
//! [`Seats`] alone, and written to the documents that the seats were counted in.

use std::ops::{Deref, DerefMut};

use contracts::courses::SectionId;
use runtime::{Key, prelude::*};

use crate::{block::SeatBlock, seats::Seats};

/// What somebody wants of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// To know what it allows; nothing of the seats.
    Rules,
    /// So many seats at most.
    Seats(u32),
    /// Seats, as many as the next block has that has any.
    NextSeats,
    /// To give a seat back.
    Leaving,
    /// All of it: the rules may change, or the queue.
    All,
}

/// A section's seats, opened.
#[derive(Debug)]
pub struct Hall {
    stored: Stored<Seats>,
    /// The blocks that were opened, all of them if `is_whole`.
    blocks: Vec<Stored<SeatBlock>>,
    is_whole: bool,
    /// The seats as whoever opened it sees and changes them.
    seen: Seats,
    before: Seats,
    /// The blocks that the seats are to be spread over.
    spread: Vec<SeatBlock>,
}

impl Hall {
    /// The hall of a section that isn't stored yet.
    pub fn new(seats: Seats) -> Self {
        Self::whole(Stored::new(seats), Vec::new())
    }

    /// Opens a section, if it's known.
    pub async fn open<C>(
        cx: &Context<C>,
        section_id: &SectionId,
        want: Want,
    ) -> Result<Option<Self>> {
        let Some(stored) = cx.get::<Seats>(section_id.as_str()).await? else { return Ok(None) };
        if stored.blocks == 0 || want == Want::Rules {
            return Ok(Some(Self::whole(stored, Vec::new())));
        }
        let serves = |blocks: &[Stored<SeatBlock>], spare: u32| match want {
            Want::Seats(wanted) => free(blocks) >= wanted + spare,
            Want::NextSeats => free(blocks) > spare,
            Want::Leaving => blocks.iter().any(|block| block.taken > 0),
            Want::Rules | Want::All => false,
        };
        // Each process has a block that it goes to first, so that those of a rush
        // seldom meet. Who lost a race for it: with a limit the block is mostly full by
        // then, and they look further anyway; without one it never is, so they go to the next.
        let further = if stored.rules.capacity.is_none() { cx.losses() } else { 0 };
        let home = cx.settings().instance.wrapping_add(further) % stored.blocks;
        if want != Want::All {
            let ids = [SeatBlock::id_of(section_id, home)];
            let blocks = blocks(cx, &stored, &ids).await?;
            if serves(&blocks, 0) {
                return Ok(Some(Self::narrow(stored, blocks)));
            }
        }
        let mut blocks = blocks(cx, &stored, &stored.block_ids()).await?;
        // The last seats are given out in one place: nobody has to look for them.
        if !serves(&blocks, stored.blocks / 4) {
            return Ok(Some(Self::whole(stored, blocks)));
        }
        let ring = stored.blocks;
        // Each process goes round from its own: to the fullest, say, all would go at once.
        blocks.sort_by_key(|block| {
            let alone = serves(std::slice::from_ref(block), 0);
            (!alone, (block.number + ring - home) % ring)
        });
        let enough = (1..=blocks.len()).find(|&count| serves(&blocks[..count], 0));
        blocks.truncate(enough.unwrap_or(blocks.len()));
        Ok(Some(Self::narrow(stored, blocks)))
    }

    fn whole(stored: Stored<Seats>, blocks: Vec<Stored<SeatBlock>>) -> Self {
        let mut seen = (*stored).clone();
        if !blocks.is_empty() {
            seen.gather(blocks.iter().map(|block| &**block));
        }
        let (before, spread) = ((*stored).clone(), Vec::new());
        Self { stored, blocks, is_whole: true, seen, before, spread }
    }

    fn narrow(stored: Stored<Seats>, blocks: Vec<Stored<SeatBlock>>) -> Self {
        let seen = stored.narrowed(&blocks);
        let before = seen.clone();
        Self { stored, blocks, is_whole: false, seen, before, spread: Vec::new() }
    }

    /// Whether the section isn't stored yet.
    pub fn is_new(&self) -> bool {
        self.stored.is_new()
    }

    /// Whether there may be seats, but none where it was opened: it has to be opened anew.
    pub fn is_used_up(&self) -> bool {
        !self.is_whole && self.seen.free() == Some(0)
    }

    /// Spreads the seats over blocks of so many each, where that serves anybody; whether it does.
    pub fn spread(&mut self, each: u32) -> bool {
        if self.is_whole {
            self.spread = self.seen.spread(each);
        }
        !self.spread.is_empty()
    }

    /// Whether saving it writes every block, because they become one document.
    pub fn gathers(&self) -> bool {
        self.is_whole && !self.blocks.is_empty()
    }

    /// Whether anything was changed since it was opened.
    pub fn is_changed(&self) -> bool {
        self.is_new() || self.seen != self.before
    }

    /// What was changed since it was opened. Also where nothing was, it's written:
    /// so what was decided here counts only if it's still so.
    pub fn changes(&self) -> Changes {
        debug_assert!(
            self.stored.blocks == 0 || !self.blocks.is_empty(),
            "only its rules were opened"
        );
        let mut changes = Changes::new();
        if !self.is_whole {
            let mut blocks = self.blocks.clone();
            self.seen.note_in(&mut blocks);
            let pairs = blocks.iter().zip(&self.blocks).enumerate();
            for (at, (block, before)) in pairs {
                if at == 0 || **block != **before {
                    changes = changes.save(block);
                }
            }
            return changes;
        }
        let mut stored = self.stored.clone();
        *stored = self.seen.clone();
        changes = changes.save(&stored);
        for (at, block) in self.spread.iter().enumerate() {
            changes = match self.blocks.get(at) {
                Some(old) => {
                    let mut renewed = old.clone();
                    *renewed = block.clone();
                    changes.save(&renewed)
                }
                None => changes.create(block),
            };
        }
        self.blocks.iter().skip(self.spread.len()).fold(changes, Changes::delete)
    }
}

impl Deref for Hall {
    type Target = Seats;
    fn deref(&self) -> &Seats {
        &self.seen
    }
}

impl DerefMut for Hall {
    fn deref_mut(&mut self) -> &mut Seats {
        &mut self.seen
    }
}

/// Reads blocks of a section, all as they belong to it now.
async fn blocks<C>(
    cx: &Context<C>,
    seats: &Stored<Seats>,
    ids: &[String],
) -> Result<Vec<Stored<SeatBlock>>> {
    let found = cx.get_all::<SeatBlock>(ids).await?;
    let found: Vec<_> = found.into_iter().flatten().filter(|block| seats.owns(block)).collect();
    if found.len() < ids.len() {
        // The seats were gathered since their document was read: it's read again.
        return Err(Error::Stale(Key::of::<Seats>(seats.key())));
    }
    Ok(found)
}

fn free(blocks: &[Stored<SeatBlock>]) -> u32 {
    blocks.iter().map(|block| block.free()).sum()
}

#[cfg(test)]
mod tests {
    use contracts::courses::{SectionFacts, SectionUpdated};
    use runtime::problems::TRY_AGAIN;
    use serde_json::json;
    use testing::App;

    use super::*;
    use crate::{
        course::Course,
        tests::{app, course, enroll, enrolled, section, state, with_peers},
    };

    /// A section of four seats in two blocks, which nobody has joined.
    async fn spread() -> App {
        let app = app(section(Some(4)), course());
        let mut seats = Seats::of(&section(Some(4)));
        let blocks = seats.spread(2);
        assert_eq!(blocks.len(), 2);
        let changes = Changes::new().create(&seats).create(&Course::from(&course()));
        let changes = blocks.iter().fold(changes, Changes::create);
        app.context().commit(changes).await.expect("nothing was there");
        app
    }

    /// The section's document, whatever was counted for those who look.
    async fn seats(app: &App) -> Seats {
        let seats = app.context().get::<Seats>("s1").await.unwrap().expect("it's known");
        let mut seats = seats.into_inner();
        seats.counted = None;
        seats
    }

    /// How many seats each block has given out; nothing of one that's gone.
    async fn taken(app: &App) -> Vec<u32> {
        let ids = [0, 1].map(|number| SeatBlock::id_of(&"s1".into(), number));
        let found = app.context().get_all::<SeatBlock>(&ids).await.unwrap();
        found.into_iter().flatten().map(|block| block.taken).collect()
    }

    /// How many seats everybody is told are taken.
    async fn told(app: &App) -> u64 {
        app.advance_seconds(1);
        let body = json!({ "section_ids": ["s1"] });
        let told = app.platform().post("/internal/enrollments/get-seats", body).await.ok();
        told["sections"][0]["seats_taken"].as_u64().expect("a number")
    }

    #[tokio::test]
    async fn who_takes_or_leaves_a_seat_of_a_block_leaves_the_section_as_it_is() {
        let app = spread().await;
        let before = seats(&app).await;
        let ada = enrolled(&app, "ada").await;
        enroll(&app, "bob").await.ok();
        enroll(&app, "cid").await.ok();
        assert_eq!((taken(&app).await, told(&app).await), (vec![2, 1], 3));
        let path = format!("/v1/enrollments/{ada}/cancel");
        app.user("ada").post(&path, json!({})).await.ok();
        assert_eq!((taken(&app).await, told(&app).await), (vec![1, 1], 2));
        assert_eq!(seats(&app).await, before);
    }

    #[tokio::test]
    async fn when_they_run_out_the_blocks_are_gathered_and_the_queue_begins() {
        let app = spread().await;
        for name in ["ada", "bob", "cid", "dan"] {
            assert_eq!(enroll(&app, name).await.body["state"], "confirmed");
        }
        assert_eq!(taken(&app).await, [2, 2]);
        assert_eq!(enroll(&app, "eve").await.body["waitlist_position"], 1);
        assert_eq!(taken(&app).await, Vec::<u32>::new());
        assert_eq!((seats(&app).await.taken, told(&app).await), (4, 4));
        let numbers = [enroll(&app, "fay").await, enroll(&app, "gus").await];
        assert_eq!(numbers.map(|it| it.body["waitlist_position"].clone()), [2, 3]);
        assert_eq!(state(&app, "eve").await, ("waitlisted".into(), json!(1)));
    }

    #[tokio::test]
    async fn whoever_changes_the_rules_gathers_the_blocks_first() {
        let app = spread().await;
        enroll(&app, "ada").await.ok();
        let path = "/internal/enrollments/sections/s1/limit-seats";
        app.platform().post(path, json!({ "most": 1, "revision": 1 })).await.ok();
        assert_eq!(taken(&app).await, Vec::<u32>::new());
        assert_eq!(seats(&app).await.taken, 1);
        assert_eq!(enroll(&app, "bob").await.body["state"], "waitlisted");
    }

    #[tokio::test]
    async fn a_seat_is_handed_on_and_moved_within_the_blocks() {
        let app = spread().await;
        let ada = enrolled(&app, "ada").await;
        let path = format!("/v1/enrollments/{ada}/transfer");
        let ines = app.instructor("ines");
        ines.post(&path, json!({ "to_user_id": "bob" })).await.ok();
        assert_eq!((taken(&app).await, told(&app).await), (vec![1, 0], 1));
        assert_eq!(state(&app, "bob").await.0, "confirmed");
    }

    #[tokio::test]
    async fn who_is_approved_late_gets_a_seat_of_a_block() {
        let asks = SectionFacts { approval_required: true, ..section(Some(4)) };
        let app = app(asks.clone(), course());
        let ada = enrolled(&app, "ada").await;
        let mut stored = app.context().get::<Seats>("s1").await.unwrap().expect("it's known");
        let asks_no_more = SectionFacts { revision: 2, approval_required: false, ..asks };
        assert!(stored.learn(&asks_no_more, app.now()));
        let blocks = stored.spread(2);
        let changes = blocks.iter().fold(Changes::new().save(&stored), Changes::create);
        app.context().commit(changes).await.expect("nobody else writes");

        let path = format!("/v1/enrollments/{ada}/review");
        let approved = app.instructor("ines").post(&path, json!({ "decision": "approve" })).await;
        assert_eq!(approved.ok()["state"], "confirmed");
        assert_eq!((taken(&app).await, told(&app).await), (vec![1, 0], 1));
    }

    #[tokio::test]
    async fn whoever_looks_reads_one_document_and_the_blocks_once_a_second() {
        let app = spread().await;
        enroll(&app, "ada").await.ok();
        assert_eq!(told(&app).await, 1);
        enroll(&app, "bob").await.ok();
        let (reads, commits) = (app.reads(), app.commits());
        let body = json!({ "section_ids": ["s1"] });
        let again = app.platform().post("/internal/enrollments/get-seats", body).await.ok();
        assert_eq!(again["sections"][0]["seats_taken"], 1, "as it was a moment ago");
        assert_eq!((app.reads() - reads, app.commits() - commits), (1, 0));
        assert_eq!(told(&app).await, 2);
    }

    #[tokio::test]
    async fn those_who_are_refused_do_not_wait_for_one_another() {
        let app = spread().await;
        enroll(&app, "ada").await.ok();
        let (path, before) = ("/v1/enrollments", app.reads());
        // Only one seat is left where this process looks first.
        let body = json!({ "course_id": "c2", "section_id": "s1" });
        let names: Vec<_> = (0..20).map(|it| format!("user{it}")).collect();
        let callers: Vec<_> = names.iter().map(|name| app.user(name)).collect();
        let crowd = callers.iter().map(|it| it.post(path, body.clone()));
        let answers = futures_util::future::join_all(crowd).await;
        assert!(answers.iter().all(|it| it.status == 404), "{:?}", answers[0].body);
        assert!(app.reads() - before < 20 * 6, "{}", app.reads() - before);
    }

    #[tokio::test]
    async fn who_joins_a_section_without_a_limit_writes_a_block_and_not_the_section() {
        let open = section(None);
        let app = app(open.clone(), course());
        let mut two = Seats::of(&open);
        for _ in 0..2 {
            two.join(app.now()).expect("there's room");
        }
        let blocks = two.spread(2);
        let changes = Changes::new().create(&two).create(&Course::from(&course()));
        let changes = blocks.iter().fold(changes, Changes::create);
        app.context().commit(changes).await.expect("nothing was there");

        let before = seats(&app).await;
        let ada = enrolled(&app, "ada").await;
        assert_eq!(enroll(&app, "bob").await.body["state"], "confirmed");
        assert_eq!((taken(&app).await, told(&app).await), (vec![3, 1], 4));
        app.user("ada").post(&format!("/v1/enrollments/{ada}/cancel"), json!({})).await.ok();
        assert_eq!((seats(&app).await, told(&app).await), (before, 3));
        // With a limit they're counted in one place again, and it holds from then on.
        let limited = SectionFacts { capacity: Some(3), revision: 2, ..open };
        app.deliver(&SectionUpdated { section: limited }).await;
        assert_eq!((seats(&app).await.taken, taken(&app).await), (3, vec![]));
        assert_eq!(enroll(&app, "eve").await.body["state"], "waitlisted");
    }

    #[tokio::test]
    async fn a_section_without_a_limit_is_spread_by_the_first_who_comes() {
        let app = App::with_seats_in_blocks(crate::domain, 2);
        let app = with_peers(app, section(None), course());
        enroll(&app, "ada").await.ok();
        assert_eq!((taken(&app).await, seats(&app).await.taken), (vec![1, 0], 0));
        enroll(&app, "bob").await.ok();
        assert_eq!((taken(&app).await, told(&app).await), (vec![2, 0], 2));
    }

    #[tokio::test]
    async fn when_seats_are_added_and_nobody_waits_they_are_spread_again() {
        let app = App::with_seats_in_blocks(crate::domain, 2);
        let app = with_peers(app, section(Some(2)), course());
        for name in ["ada", "bob", "cid"] {
            enroll(&app, name).await.ok();
        }
        assert_eq!(state(&app, "cid").await.0, "waitlisted");
        let more = SectionFacts { revision: 2, ..section(Some(9)) };
        app.deliver(&SectionUpdated { section: more }).await;
        assert_eq!(state(&app, "cid").await.0, "confirmed");
        assert_eq!((taken(&app).await, told(&app).await), (vec![1, 1], 3));
    }

    #[tokio::test]
    async fn where_many_have_left_who_comes_next_spreads_the_seats_again() {
        let app = App::with_seats_in_blocks(crate::domain, 2);
        let app = with_peers(app, section(Some(4)), course());
        let mut ids = Vec::new();
        for name in ["ada", "bob", "cid", "dan"] {
            ids.push((name, enrolled(&app, name).await));
        }
        enroll(&app, "eve").await.ok();
        assert_eq!(taken(&app).await, Vec::<u32>::new());
        for (name, id) in &ids {
            app.user(name).post(&format!("/v1/enrollments/{id}/cancel"), json!({})).await.ok();
        }
        assert_eq!((seats(&app).await.taken, taken(&app).await), (1, vec![]));
        enroll(&app, "fay").await.ok();
        assert_eq!((taken(&app).await, told(&app).await), (vec![1, 1], 2));
    }

    #[tokio::test]
    async fn a_block_that_is_missing_is_no_free_seat() {
        let app = spread().await;
        let id = SeatBlock::id_of(&"s1".into(), 1);
        let block = app.context().get::<SeatBlock>(&id).await.unwrap().expect("there are two");
        app.context().commit(Changes::new().delete(&block)).await.expect("it was there");
        let body = json!({ "section_ids": ["s1"] });
        let told = app.platform().post("/internal/enrollments/get-seats", body).await;
        told.is(TRY_AGAIN);
    }
}
