//! Roles: what somebody and their processes do, by what they hear. Whoever hears the
//! same does the same. So each thing is heard once, for real, and after that it's known
//! what comes of it.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    time::Duration,
};

use contracts::Timestamp;
use runtime::{Envelope, Key, Write};

use super::{
    Word, World,
    explore::opened,
    footprint::Read,
    gate::{Answer, Ask},
    pending::{How, Pending, What},
    steps::is_long,
};

/// Somebody's role.
pub(super) struct Role {
    whose: usize,
    points: Vec<Point>,
    /// The points at which they begin anew what they began at a point, after a lost race: each
    /// by what that's known by, and by the time. Who begins anew has forgotten all that they
    /// heard since.
    anew: HashMap<(usize, u64, Timestamp), usize>,
    /// A world in which they have come to a point, for what they hear there for the first time.
    stands: Option<(usize, World)>,
}

/// A point of a role: all that was heard on the way.
struct Point {
    wishes: Rc<[Wish]>,
    /// All that may be touched from here on, as far as it's known.
    future: Touch,
    /// The point before, and what was heard there.
    before: Option<(usize, Heard)>,
    /// Points at which something else was heard that leads here too.
    others: Vec<usize>,
    /// The point at which they began what they're doing.
    beginning: usize,
    /// What comes of it when something is heard: by who hears it and what that is, in numbers.
    next: HashMap<(u64, u64), Vec<Next>>,
}

/// What comes of it when something is heard.
#[derive(Clone)]
pub(super) struct Next {
    /// When it's heard, if somebody looks at the clock.
    at: Option<Timestamp>,
    /// The point that is come to; nothing: all was done.
    pub(super) to: Option<usize>,
    /// What is said to the laws.
    pub(super) said: Vec<Word>,
    /// What is to be told when all else has happened.
    pub(super) at_last: Vec<Envelope>,
    /// Whether a law is broken by that alone: something failed though nothing had.
    pub(super) breaks: bool,
}

/// Something that is heard.
struct Heard {
    /// Which of those who wait hears it.
    by: u64,
    at: Timestamp,
    what: Hears,
}

/// What is heard.
pub(super) enum Hears {
    /// That it's their turn.
    Turn,
    /// That it's their turn, and what is on the board then.
    Board(u64, Word),
    /// An answer.
    Answer(Answer),
}

/// Somebody waits for something.
pub(super) struct Wish {
    /// What it's known by in a world.
    pub(super) id: u64,
    /// The process that waits, if it's one that asks.
    pub(super) process: usize,
    pub(super) what: Want,
    pub(super) touch: Touch,
}

/// What is waited for.
pub(super) enum Want {
    /// An answer of the store, which stays as it is.
    Look(Box<Ask>),
    Commit(Vec<Write>),
    /// That much time passes.
    Age(Duration),
    /// To look at the board, and to change it maybe.
    Board,
    /// To go on: that's nobody else's business.
    Turn,
}

/// What a step touches, or several: a bit for each document, collection or other thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touch {
    /// What is read.
    reads: u128,
    /// What is written.
    writes: u128,
    /// The collections that are searched.
    finds: u128,
    /// The collections in which something is written.
    fills: u128,
}

/// The documents and collections of a world, each with a bit of its own.
#[derive(Default)]
pub(super) struct Places(HashMap<(usize, &'static str, String), u32>);

impl Touch {
    /// What the test itself plays.
    const BOARD: u128 = 1;
    const CLOCK: u128 = 1 << 1;
    /// The laws, which look at all that is stored after every commit.
    const LAWS: u128 = 1 << 2;
    const DOCUMENTS: u128 = !0 << Places::FIRST;

    /// Whether the order of two steps may matter.
    pub(super) const fn meets(&self, other: &Self) -> bool {
        self.writes & (other.reads | other.writes) != 0
            || other.writes & self.reads != 0
            || self.fills & other.finds != 0
            || other.fills & self.finds != 0
    }

    /// The documents that are written.
    pub(super) const fn documents(&self) -> u128 {
        self.writes & Self::DOCUMENTS
    }

    /// Adds what another touches; says whether that's more.
    pub(super) fn add(&mut self, other: &Self) -> bool {
        let before = *self;
        self.reads |= other.reads;
        self.writes |= other.writes;
        self.finds |= other.finds;
        self.fills |= other.fills;
        *self != before
    }

    fn of(pending: &Pending, service: Option<usize>, is_played: bool, places: &mut Places) -> Self {
        // Whoever goes on may look at the clock.
        let mut touch = Self { reads: Self::CLOCK, ..Self::default() };
        let What::Asked(waiting) = &pending.what else { return touch };
        let service = || service.expect("people have no store");
        for read in waiting.ask.reads() {
            match read {
                Read::One(key) => touch.reads |= places.document(service(), &key),
                Read::Many(query) => {
                    touch.finds |= places.collection(service(), query.collection);
                }
            }
        }
        match &waiting.ask {
            Ask::Commit(writes) => {
                touch.writes |= Self::LAWS;
                for key in writes.iter().map(Write::key) {
                    touch.writes |= places.document(service(), key);
                    touch.fills |= places.collection(service(), key.collection);
                }
            }
            Ask::Sleep(duration) if is_long(*duration) => touch.writes |= Self::CLOCK,
            Ask::Touch => touch.writes |= Self::BOARD,
            Ask::Call(..) if is_played => touch.reads |= Self::BOARD,
            _ => {}
        }
        touch
    }
}

impl Places {
    /// The first bit that isn't of something else.
    const FIRST: u32 = 3;

    fn document(&mut self, service: usize, key: &Key) -> u128 {
        self.bit(service, key.collection, &key.id)
    }

    fn collection(&mut self, service: usize, name: &'static str) -> u128 {
        // No document has an empty id.
        self.bit(service, name, "")
    }

    fn bit(&mut self, service: usize, collection: &'static str, id: &str) -> u128 {
        let next = u32::try_from(self.0.len()).map_or(u32::MAX, |count| count + Self::FIRST);
        let bit = *self.0.entry((service, collection, id.to_owned())).or_insert(next);
        1_u128.checked_shl(bit).expect("a small world has no more documents than that")
    }
}

impl Wish {
    fn of(world: &World, pending: &Pending, places: &mut Places) -> Self {
        let (mut process, mut what, mut service, mut is_played) = (0, Want::Turn, None, false);
        if let What::Asked(waiting) = &pending.what {
            process = waiting.process;
            service = world.alive[process].service;
            what = match &waiting.ask {
                Ask::Get(_) | Ask::GetAll(_) | Ask::Query(_) | Ask::Count(_) => {
                    Want::Look(Box::new(waiting.ask.clone()))
                }
                Ask::GetOf(..) => panic!("what is asked for together is read at one moment here"),
                Ask::Commit(writes) => Want::Commit(writes.clone()),
                Ask::Sleep(duration) if is_long(*duration) => Want::Age(*duration),
                Ask::Touch => Want::Board,
                Ask::Call(outgoing, _) => {
                    is_played = world.serving(outgoing.operation).is_none();
                    if is_played { Want::Board } else { Want::Turn }
                }
                Ask::Request(..) | Ask::Publish(_) | Ask::Sleep(_) | Ask::Job(_) => Want::Turn,
                Ask::Send(_) | Ask::Taken(_) => panic!("nobody writes mails in a small world"),
            };
        }
        let touch = Touch::of(pending, service, is_played, places);
        Self { id: pending.id, process, what, touch }
    }
}

impl Hears {
    fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Turn => {}
            Self::Board(number, _) => number.hash(&mut hasher),
            Self::Answer(answer) => answer.hash(&mut hasher),
        }
        hasher.finish()
    }
}

impl Role {
    /// The role of one of those who are in a world, from its beginning.
    pub(super) fn of(world: &World, whose: usize, places: &mut Places) -> Self {
        let beginning = Point::of(world, whose, places, None, 0);
        Self { whose, points: vec![beginning], anew: HashMap::new(), stands: None }
    }

    /// Who waits for what at a point.
    pub(super) fn wishes(&self, point: usize) -> &Rc<[Wish]> {
        &self.points[point].wishes
    }

    /// All that may be touched from a point on, as far as it's known.
    pub(super) fn future(&self, point: usize) -> &Touch {
        &self.points[point].future
    }

    /// Whether they begin with letting time pass.
    pub(super) fn ages(&self) -> bool {
        self.points[0].wishes.iter().any(|wish| matches!(wish.what, Want::Age(_)))
    }

    /// How many points there are.
    pub(super) const fn points(&self) -> usize {
        self.points.len()
    }

    /// What comes of it when something is heard at a point, and whether more is known now of
    /// what may be touched.
    pub(super) fn hear(
        &mut self,
        open: &dyn Fn() -> World,
        places: &mut Places,
        from: usize,
        (by, at): (u64, Timestamp),
        what: Hears,
    ) -> (Next, bool) {
        let place = (by, what.number());
        let mut known = self.points[from].next.get(&place).into_iter().flatten();
        if let Some(next) = known.find(|next| next.at.is_none_or(|then| then == at)) {
            return (next.clone(), false);
        }
        let mut world = self.come_to(open, from);
        let heard = Heard { by, at, what };
        let has_looked = heard.by(&mut world);
        let breaks = world.violation.is_some();
        let (mut said, at_last) = (world.laws.said(), std::mem::take(&mut world.at_last));
        if let Hears::Board(before, _) = &heard.what
            && let Some((now, board)) = world.laws.board()
            && now != *before
        {
            said.push(board);
        }
        let new = self.points.len();
        let beginning = if world.began { new } else { self.points[from].beginning };
        let point = Point::of(&world, self.whose, places, Some((from, heard)), beginning);
        let to = match world.anew {
            _ if point.wishes.is_empty() => None,
            Some(id) => Some(*self.anew.entry((beginning, id, at)).or_insert(new)),
            None => Some(new),
        };
        let is_more = match to {
            Some(known) if known < new => {
                self.points[known].others.push(from);
                let future = self.points[known].future;
                self.add_to_futures(from, &future)
            }
            _ => self.add_to_futures(from, &point.future),
        };
        if to == Some(new) {
            self.points.push(point);
            self.stands = Some((new, world));
        }
        let at = has_looked.then_some(at);
        let next = Next { at, to, said, at_last, breaks };
        self.points[from].next.entry(place).or_default().push(next.clone());
        (next, is_more)
    }

    /// Notes what may be touched from a point on, and so from those before it.
    fn add_to_futures(&mut self, from: usize, touch: &Touch) -> bool {
        let (mut left, mut is_more) = (vec![from], false);
        while let Some(point) = left.pop() {
            let Point { future, before, others, .. } = &mut self.points[point];
            if future.add(touch) {
                is_more = true;
                left.extend(before.iter().map(|(before, _)| *before));
                left.extend_from_slice(others);
            }
        }
        is_more
    }

    /// A world in which they have come to a point.
    fn come_to(&mut self, open: &dyn Fn() -> World, point: usize) -> World {
        if let Some((at, world)) = self.stands.take()
            && at == point
        {
            return world;
        }
        let (mut way, mut at) = (Vec::new(), point);
        while let Some((before, heard)) = &self.points[at].before {
            way.push(heard);
            at = *before;
        }
        let mut world = opened(open);
        for heard in way.into_iter().rev() {
            heard.by(&mut world);
            // What came of it was noted when it was heard first.
            world.laws.said();
            world.at_last.clear();
        }
        world
    }
}

impl Point {
    fn of(
        world: &World,
        whose: usize,
        places: &mut Places,
        before: Option<(usize, Heard)>,
        beginning: usize,
    ) -> Self {
        let is_its = |pending: &&Pending| {
            let its = world.whose(pending);
            its.expect("each has processes of their own, and outboxes are relayed later") == whose
        };
        let its = world.pending.iter().filter(is_its);
        let wishes: Rc<[Wish]> = its.map(|pending| Wish::of(world, pending, places)).collect();
        let mut future = Touch::default();
        for wish in wishes.iter() {
            future.add(&wish.touch);
        }
        let (others, next) = (Vec::new(), HashMap::new());
        Self { wishes, future, before, others, beginning, next }
    }
}

impl Heard {
    /// Has it heard in a world; says whether somebody has looked at the clock.
    fn by(&self, world: &mut World) -> bool {
        world.set_time(self.at);
        let index = world.index_of(self.by);
        match &self.what {
            Hears::Answer(answer) => return world.hear(index, answer.clone()).looks,
            Hears::Board(_, board) => world.laws.hear(board),
            Hears::Turn => {}
        }
        world.pass(index, How::Well).looks
    }
}
