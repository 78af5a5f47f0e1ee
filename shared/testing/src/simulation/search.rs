//! Searching: every state that a small world can come to.
//!
//! A world of four who do something has more orders than can be run, but far fewer states:
//! what is stored, and how far each of the four has come. Two orders that come to the same
//! state go on alike, so that is gone on from once. What somebody does follows from what they
//! hear, which is a [`Role`]; so a step costs nothing that was taken in another state. And who
//! has lost a race knows nothing any more of what they had read
//! ([`Clock::begins_anew`](runtime::Clock::begins_anew)), so they stand where others stand who
//! have lost as many. All this is put to the proof: each ending is played again from the
//! beginning, and must come out as what was pieced together.
//!
//! Whose next steps touch nothing that the others may touch from then on goes first, as does
//! who has lost a race for certain: nobody could tell that from another order. What the others
//! may touch is learned by searching, so a world is searched until there's nothing more to
//! learn. Then nothing is missed: in any order, look for the first step that touches what
//! wasn't expected. Those before it touch only what was, so they may be put into an order that
//! was searched; there whoever takes that step has heard the same, and asks the same, and so
//! it was expected.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use contracts::Timestamp;
use runtime::Envelope;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Laws, World,
    documents::Documents,
    explore::{Bounds, opened, retold},
    gate::Answer,
    pending::How,
    roles::{Hears, Places, Role, Touch, Want, Wish},
};

/// What came of searching a world in which no order breaks a law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// How many states it came to.
    pub states: usize,
    /// How many steps were taken from one to another.
    pub steps: usize,
    /// In how many states somebody was sure to lose one race too many.
    pub cut: usize,
    /// How many ways to end it came to, all of which were followed until all settled.
    pub endings: usize,
    /// How many things somebody heard that they hadn't heard before.
    pub heard: usize,
    /// How many worlds have more states than were to be searched.
    pub unfinished: usize,
}

impl std::ops::AddAssign for Searched {
    fn add_assign(&mut self, other: Self) {
        self.states += other.states;
        self.steps += other.steps;
        self.cut += other.cut;
        self.endings += other.endings;
        self.heard += other.heard;
        self.unfinished += other.unfinished;
    }
}

/// Searches all states that a world can come to within these bounds, of which so many at
/// most. If a law is broken, that is told with the trace of a run that breaks it.
///
/// Each of those who do something has processes of their own, events are relayed later, what
/// is asked for together is read at one moment, and the laws are such as can be copied: else
/// it panics.
pub fn search(open: &dyn Fn() -> World, bounds: Bounds) -> Result<Searched, String> {
    let open = || open().forgetting();
    let mut searching = Searching::of(&open, bounds);
    let mut patience = 1_000;
    loop {
        searching.has_learned = false;
        let searched = searching.pass(patience)?;
        if !searching.has_learned || searched.unfinished > 0 {
            return Ok(searched);
        }
        // So what's in vain is no more than the search itself takes.
        patience = patience.max(2 * searched.states);
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, cut, endings, heard, unfinished } = self;
        write!(
            f,
            "{states} states and {steps} steps with {endings} endings, {heard} things heard, {cut} states that \
             would have lost more races, {unfinished} worlds left early"
        )
    }
}

/// The most who may do something at once.
const MOST: usize = 4;

/// Where somebody is who has done all they wanted to.
const OVER: u32 = u32::MAX;

/// A state: what is shared, which point each one's role has come to, and how many races
/// were lost, if they are bounded.
#[derive(Clone, Copy)]
struct State {
    shared: u32,
    points: [u32; MOST],
    losses: u32,
}

impl State {
    /// All of it in one number: there are very many states.
    fn number(&self) -> u128 {
        assert!(self.shared < 1 << 26 && self.losses < 1 << 6, "a world is small");
        let beginning = u128::from(self.losses << 26 | self.shared);
        self.points.into_iter().fold(beginning, |number, point| {
            assert!(point < 0xff_ffff || point == OVER, "roles are short");
            number << 24 | u128::from(point & 0xff_ffff)
        })
    }

    /// Those who haven't done all they wanted to, and where they are.
    fn active(&self) -> impl Iterator<Item = (usize, u32)> + use<> {
        self.points.into_iter().enumerate().filter(|(_, point)| *point != OVER)
    }
}

/// What all share.
struct Shared {
    documents: Vec<Documents>,
    laws: Box<dyn Laws>,
    now: Timestamp,
    at_last: Vec<Envelope>,
    /// Where the world stands when all have done all they wanted to.
    standing: u64,
}

/// A step that may be taken: whose, and which of their wishes it is.
#[derive(Clone, Copy)]
struct Step {
    whose: usize,
    wish: usize,
}

/// A step from somebody's point, where that much is shared: it's the same wherever the
/// others are.
#[derive(Clone, Copy)]
struct Place {
    shared: u32,
    point: u32,
    step: Step,
}

impl Place {
    /// All of it in one number.
    fn number(self) -> u64 {
        let Self { shared, point, step: Step { whose, wish } } = self;
        assert!(point < 1 << 24 && wish < 1 << 6, "roles are short");
        let (shared, point) = (u64::from(shared), u64::from(point));
        shared << 32 | point << 8 | (whose << 6 | wish) as u64
    }
}

/// What a step comes to.
#[derive(Clone, Copy)]
struct Move {
    shared: u32,
    point: u32,
    is_lost: bool,
    /// What is done after it at once, by its number: that's nobody else's business.
    then: u32,
}

/// What would become of a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prospect {
    Wins,
    /// It would lose a race, as things are.
    Loses,
    /// It loses a race whenever it comes.
    Lost,
}

/// A state from which other ways are to be gone.
struct Fork {
    state: State,
    left: Vec<Step>,
    /// How many steps lead to it.
    length: usize,
}

struct Searching<'w> {
    open: &'w dyn Fn() -> World,
    bounds: Bounds,
    roles: Vec<Role>,
    places: Places,
    shared: Vec<Shared>,
    /// The number of what is shared, by its hash.
    numbers: FxHashMap<u64, u32>,
    moves: FxHashMap<u64, Move>,
    /// The steps that are taken at once after others, by their ids; the first are none.
    then: Vec<Vec<u64>>,
    /// Whether somebody lets so much time pass that it matters who looks at the clock before.
    somebody_ages: bool,
    prospects: FxHashMap<u64, Prospect>,
    /// A world that shows what is shared: its stores answer, its laws look, and nobody in it
    /// does anything.
    stage: World,
    /// The number of what the stage shows, unless that has changed since.
    shown: Option<u32>,
    /// The endings that were followed.
    settled: FxHashSet<u64>,
    has_learned: bool,
}

impl<'w> Searching<'w> {
    fn of(open: &'w dyn Fn() -> World, bounds: Bounds) -> Self {
        let (stage, mut places) = (opened(open), Places::default());
        assert!(stage.people <= MOST, "{} people are too many", stage.people);
        let roles: Vec<_> =
            (0..stage.people).map(|whose| Role::of(&stage, whose, &mut places)).collect();
        let somebody_ages = roles.iter().any(Role::ages);
        let mut searching = Self {
            open,
            bounds,
            roles,
            places,
            shared: Vec::new(),
            numbers: FxHashMap::default(),
            moves: FxHashMap::default(),
            then: vec![Vec::new()],
            somebody_ages,
            prospects: FxHashMap::default(),
            stage,
            shown: None,
            settled: FxHashSet::default(),
            has_learned: false,
        };
        searching.number_of_the_shown();
        searching
    }

    /// Goes through all states, with what is known of what may be touched; if more becomes known
    /// of that it's in vain, and is left after so many states.
    fn pass(&mut self, patience: usize) -> Result<Searched, String> {
        let mut searched = Searched::default();
        let (mut seen, mut forks) = (FxHashSet::default(), Vec::<Fork>::new());
        let (mut state, mut way) = (self.beginning(), Vec::new());
        loop {
            while seen.insert(state.number()) {
                let Some(left) = self.steps_from(&state) else {
                    searched.cut += 1;
                    break;
                };
                match left[..] {
                    [] => self.end(&state, &way)?,
                    [step] => {
                        state = self.take(state, step, &mut way)?;
                        searched.steps += 1;
                        continue;
                    }
                    _ => forks.push(Fork { state, left, length: way.len() }),
                }
                break;
            }
            searched.states = seen.len();
            if searched.states >= self.bounds.orders {
                searched.unfinished = 1;
                forks.clear();
            }
            if self.has_learned && searched.states >= patience {
                forks.clear();
            }
            while forks.last().is_some_and(|fork| fork.left.is_empty()) {
                forks.pop();
            }
            let Some(fork) = forks.last_mut() else { break };
            let step = fork.left.pop().expect("those with no step left are gone");
            way.truncate(fork.length);
            let before = fork.state;
            state = self.take(before, step, &mut way)?;
            searched.steps += 1;
        }
        searched.endings = self.settled.len();
        searched.heard = self.roles.iter().map(Role::points).sum();
        Ok(searched)
    }

    fn beginning(&self) -> State {
        let mut points = [OVER; MOST];
        points[..self.roles.len()].fill(0);
        State { shared: 0, points, losses: 0 }
    }

    fn wishes(&self, whose: usize, point: u32) -> &[Wish] {
        self.roles[whose].wishes(point as usize)
    }

    /// The steps that are taken from a state: those of somebody whom nobody could meet any
    /// more, or else all. Nothing: somebody is sure to lose one race too many.
    fn steps_from(&mut self, state: &State) -> Option<Vec<Step>> {
        if !self.bounds.permits(state.losses as usize + 1) && self.somebody_loses(state) {
            return None;
        }
        let meets_nobody = |(whose, point): &(usize, u32)| {
            let others = state.active().filter(|(other, _)| other != whose);
            let mut future = Touch::default();
            for (other, point) in others {
                future.add(self.roles[other].future(point as usize));
            }
            self.wishes(*whose, *point).iter().all(|wish| !wish.touch.meets(&future))
        };
        let first = state.active().find(meets_nobody);
        let first = first.or_else(|| state.active().find(|it| self.has_lost(state, *it)));
        let steps = |(whose, point)| {
            (0..self.wishes(whose, point).len()).map(move |wish| Step { whose, wish })
        };
        Some(match first {
            Some(first) => steps(first).collect(),
            None => state.active().flat_map(steps).collect(),
        })
    }

    /// Whether all that somebody waits for is a commit that loses a race whenever it comes: so
    /// it may as well come first.
    fn has_lost(&mut self, state: &State, (whose, point): (usize, u32)) -> bool {
        let is_one = self.wishes(whose, point).len() == 1;
        // Where time passes it matters when they are told: they look at the clock then.
        is_one
            && !self.somebody_ages
            && self.prospect(state.shared, whose, point, 0) == Some(Prospect::Lost)
    }

    /// Whether somebody who waits to commit would lose a race, or two wait to write the same.
    fn somebody_loses(&mut self, state: &State) -> bool {
        let mut wanted = 0;
        for (whose, point) in state.active() {
            for wish in 0..self.wishes(whose, point).len() {
                let Some(prospect) = self.prospect(state.shared, whose, point, wish) else {
                    continue;
                };
                let documents = self.wishes(whose, point)[wish].touch.documents();
                if prospect != Prospect::Wins || documents & wanted != 0 {
                    return true;
                }
                wanted |= documents;
            }
        }
        false
    }

    /// What would become of a commit that somebody waits for, if it is one.
    fn prospect(&mut self, shared: u32, whose: usize, point: u32, wish: usize) -> Option<Prospect> {
        let it = &self.roles[whose].wishes(point as usize)[wish];
        let Want::Commit(writes) = &it.what else { return None };
        let place = Place { shared, point, step: Step { whose, wish } };
        let service = self.stage.alive[it.process].service.expect("people have no store");
        let documents = &self.shared[shared as usize].documents[service];
        let look = || match writes {
            _ if writes.iter().any(|write| documents.have_passed(write)) => Prospect::Lost,
            _ if writes.iter().all(|write| documents.permits(write)) => Prospect::Wins,
            _ => Prospect::Loses,
        };
        Some(*self.prospects.entry(place.number()).or_insert_with(look))
    }

    /// Takes a step.
    fn take(&mut self, state: State, step: Step, way: &mut Vec<u64>) -> Result<State, String> {
        let Step { whose, wish } = step;
        let point = state.points[whose];
        way.push(self.wishes(whose, point)[wish].id);
        let place = Place { shared: state.shared, point, step };
        let known = self.moves.get(&place.number()).copied();
        if let Some(Move { then, .. }) = known {
            way.extend_from_slice(&self.then[then as usize]);
        }
        let Some(Move { shared, point, is_lost, .. }) = known.or_else(|| self.play(place, way))
        else {
            return Err(retold(self.open, way));
        };
        let mut points = state.points;
        points[whose] = point;
        let counts = is_lost && self.bounds.losses.is_some();
        Ok(State { shared, points, losses: state.losses + u32::from(counts) })
    }

    /// Plays a step that wasn't taken before, and what is done after it at once. Nothing: a law
    /// is broken.
    fn play(&mut self, place: Place, way: &mut Vec<u64>) -> Option<Move> {
        let Place { shared, mut point, step: Step { whose, wish } } = place;
        self.show(shared);
        let (is_lost, length) = (self.act(whose, &mut point, wish)?, way.len());
        while !self.somebody_ages
            && point != OVER
            && let [Wish { id, what: Want::Turn, .. }] = *self.wishes(whose, point)
        {
            way.push(id);
            self.act(whose, &mut point, 0)?;
        }
        let mut then = 0;
        if way.len() > length {
            then = u32::try_from(self.then.len()).expect("a world is small");
            self.then.push(way[length..].to_vec());
        }
        let played = Move { shared: self.number_of_the_shown(), point, is_lost, then };
        self.moves.insert(place.number(), played);
        Some(played)
    }

    /// Has somebody take a step on the stage; says whether that lost a race. Nothing: it breaks a
    /// law.
    fn act(&mut self, whose: usize, at: &mut u32, wish: usize) -> Option<bool> {
        let point = *at as usize;
        let wishes = self.roles[whose].wishes(point).clone();
        let (wish, stage) = (&wishes[wish], &mut self.stage);
        let hears = match &wish.what {
            Want::Turn => Hears::Turn,
            Want::Look(ask) => Hears::Answer(stage.look_up(wish.process, ask)),
            Want::Commit(writes) => Hears::Answer(stage.commit(wish.process, writes.clone())),
            Want::Age(duration) => {
                assert!(self.somebody_ages, "somebody lets time pass, but not at the beginning");
                stage.let_time_pass(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
                Hears::Answer(Answer::Done)
            }
            Want::Board => {
                let (number, board) = stage.laws.board().expect("laws that can be copied have one");
                Hears::Board(number, board)
            }
        };
        let is_lost = matches!(hears, Hears::Answer(Answer::Committed(Err(_))));
        let by = (wish.id, stage.now());
        let (next, is_more) = self.roles[whose].hear(self.open, &mut self.places, point, by, hears);
        self.has_learned |= is_more;
        let says = !next.said.is_empty() || !next.at_last.is_empty();
        for word in &next.said {
            self.stage.laws.hear(word);
        }
        for event in next.at_last {
            self.stage.tell_at_last(event);
        }
        if next.breaks || self.stage.violation().is_some() {
            return None;
        }
        if !matches!(wish.what, Want::Look(_) | Want::Turn) || says {
            self.shown = None;
        }
        *at = next.to.map_or(OVER, |to| u32::try_from(to).expect("roles are short"));
        Some(is_lost)
    }

    /// Has the stage show what is shared.
    fn show(&mut self, shared: u32) {
        if self.shown == Some(shared) {
            return;
        }
        let Shared { documents, laws, now, at_last, standing: _ } = &self.shared[shared as usize];
        for (served, documents) in self.stage.served.iter_mut().zip(documents) {
            served.documents.clone_from(documents);
        }
        self.stage.laws = laws.copied().expect("laws that are searched can be copied");
        self.stage.at_last.clone_from(at_last);
        self.stage.set_time(*now);
        self.shown = Some(shared);
    }

    /// The number of what the stage shows, which is kept.
    fn number_of_the_shown(&mut self) -> u32 {
        if let Some(number) = self.shown {
            return number;
        }
        let mut hasher = DefaultHasher::new();
        let standing =
            self.stage.standing_with(0).expect("laws that can be copied say what they go by");
        standing.hash(&mut hasher);
        for served in &self.stage.served {
            served.documents.versions().for_each(|version| version.hash(&mut hasher));
        }
        let next = u32::try_from(self.shared.len()).expect("a world is small");
        let number = *self.numbers.entry(hasher.finish()).or_insert(next);
        if number == next {
            let stage = &self.stage;
            self.shared.push(Shared {
                documents: stage.documents(),
                laws: stage.laws.copied().expect("laws that are searched can be copied"),
                now: stage.now(),
                at_last: stage.at_last.clone(),
                standing,
            });
        }
        self.shown = Some(number);
        number
    }

    /// Follows an ending until all settles, unless it's like one that was followed.
    fn end(&mut self, state: &State, way: &[u64]) -> Result<(), String> {
        let standing = self.shared[state.shared as usize].standing;
        if !self.settled.insert(standing) {
            return Ok(());
        }
        let mut world = opened(self.open);
        for id in way {
            world.pass(world.index_of(*id), How::Well);
        }
        // What was pieced together from roles is what comes of it when all is played at once.
        assert_eq!(world.standing(), Some(standing), "somebody doesn't do the same again");
        world.settle();
        if world.violation().is_some() { Err(retold(self.open, way)) } else { Ok(()) }
    }
}
