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
            Want::Leaving => blocks.iter().any(|block| block.taken > 0),
            Want::Rules | Want::All => false,
        };
        // Each process has a block that it goes to first, so that those of a rush
        // seldom meet.
        let home = cx.settings().instance % stored.blocks;
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
        let leaves = want == Want::Leaving;
        blocks.sort_by_key(|block| {
            let most_first = u32::MAX - if leaves { block.taken } else { block.free() };
            (block.number != home || !serves(std::slice::from_ref(block), 0), most_first)
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

    /// Spreads the seats over blocks of so many each, where that serves anybody.
    pub fn spread(&mut self, each: u32) {
        if self.is_whole {
            self.spread = self.seen.spread(each);
        }
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
