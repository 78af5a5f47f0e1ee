//! Exploring: every order of a small world that may make a difference.
//!
//! A world is run again and again from the start, each time in another order.
//! Two orders that differ only in steps that touch nothing in common come to
//! the same, so only one of them is run: where two steps of a run meet in a
//! process or a document and the later could have come first, the order in
//! which it does is run too (source sets, a dynamic partial-order reduction),
//! and what a run has shown needn't be shown again (sleep sets).
//!
//! Nothing multiplies orders as lost races do: whoever loses one begins again.
//! [`Bounds`] leave out those that lose many. There a commit that would lose one
//! too many waits for ever, as who waits for a lock that is never given back;
//! and the runs are wanted in which it comes before those it would lose to.

use std::{collections::BTreeSet, fmt};

use super::{Trace, World, footprint::Footprint, pending::How};

/// Which orders of a world are run.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// So many at most.
    pub orders: usize,
    /// Those in which so many commits lose a race at most. Beyond, a commit that would lose
    /// one waits for ever, and the run ends without it: what it would do after its loss is
    /// what it does in another run, where it came later, as long as losing leaves nothing
    /// behind.
    pub losses: Option<usize>,
}

impl Bounds {
    /// All of them.
    pub const NONE: Self = Self { orders: usize::MAX, losses: None };

    /// Those in which so many commits lose a race at most.
    #[must_use]
    pub const fn losing(losses: usize) -> Self {
        Self { losses: Some(losses), ..Self::NONE }
    }

    /// Of those so many.
    #[must_use]
    pub const fn at_most(self, orders: usize) -> Self {
        Self { orders, ..self }
    }

    pub(super) const fn permits(self, losses: usize) -> bool {
        match self.losses {
            Some(most) => losses <= most,
            None => true,
        }
    }
}

/// What came of exploring a world in which no order breaks a law.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// How many orders were run to their end, by how many races were lost in them; no
    /// two of them come to the same.
    pub by_losses: Vec<usize>,
    /// How many were left when they had begun to repeat another one.
    pub repeated: usize,
    /// How many ended where somebody would have lost more races than they were to.
    pub cut: usize,
    /// How many ways to end they came to, all of which were followed until all settled.
    pub endings: usize,
    /// How many steps the longest has.
    pub longest: usize,
    /// How many worlds have more orders than were to be run.
    pub unfinished: usize,
}

impl Explored {
    /// How many orders were run to their end.
    pub fn schedules(&self) -> usize {
        self.by_losses.iter().sum()
    }

    fn count(&mut self, losses: usize, schedules: usize) {
        if self.by_losses.len() <= losses {
            self.by_losses.resize(losses + 1, 0);
        }
        self.by_losses[losses] += schedules;
    }
}

impl std::ops::AddAssign for Explored {
    fn add_assign(&mut self, other: Self) {
        for (losses, schedules) in other.by_losses.into_iter().enumerate() {
            self.count(losses, schedules);
        }
        self.repeated += other.repeated;
        self.cut += other.cut;
        self.endings += other.endings;
        self.longest = self.longest.max(other.longest);
        self.unfinished += other.unfinished;
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by_losses, cut, endings, longest, unfinished, .. } = self;
        write!(
            f,
            "{} schedules with {endings} endings, by races lost {by_losses:?}, the longest of {longest} steps, \
             {cut} that would have lost more races, {unfinished} worlds left early",
            self.schedules(),
        )
    }
}

/// A point of a run: what was possible, what was tried, what was taken.
struct Frame {
    /// Who waits for their turn.
    enabled: Vec<u64>,
    /// Who waits, and won't have it: they'd lose a race too many.
    barred: Vec<u64>,
    /// How many races were lost before.
    losses: usize,
    /// Whose turns are to be tried.
    wanted: Vec<u64>,
    /// Whose turns were tried, and what those touched.
    done: Vec<(u64, Footprint)>,
    /// Whose turns other runs have shown.
    asleep: Vec<(u64, Footprint)>,
    taken: Option<Step>,
}

/// A step that was taken.
struct Step {
    id: u64,
    footprint: Footprint,
    /// Which of the earlier steps must come before it.
    after: Vec<bool>,
}

impl Step {
    /// Whether it did this, alone or together with others.
    fn causes(&self, cause: u64) -> bool {
        self.id == cause || self.footprint.together == Some(cause)
    }
}

/// Whether the order of two steps may matter.
type Meet = fn(&Footprint, &Footprint) -> bool;

/// Where losses are counted, the order of two may matter: whoever comes first may lose one.
fn meet_counting_losses(one: &Footprint, other: &Footprint) -> bool {
    (one.lost && other.lost) || one.meets(other)
}

/// Runs a world in every order that may make a difference. If a law is broken,
/// that is told with the trace of the run.
pub fn explore(open: &dyn Fn() -> World) -> Result<Explored, String> {
    explore_within(open, Bounds::NONE)
}

/// The same, but for orders beyond these bounds.
pub fn explore_within(open: &dyn Fn() -> World, bounds: Bounds) -> Result<Explored, String> {
    let meet = if bounds.losses.is_some() { meet_counting_losses } else { Footprint::meets };
    explore_where(open, bounds, meet)
}

fn explore_where(open: &dyn Fn() -> World, bounds: Bounds, meet: Meet) -> Result<Explored, String> {
    let mut explored = Explored::default();
    let mut settled = BTreeSet::new();
    let mut world = opened(open);
    let mut frames = vec![Frame::of(&world, Vec::new(), 0, bounds)];
    loop {
        while let Some(next) = frames.last().and_then(Frame::next) {
            let (asleep, losses) = take(&mut world, &mut frames, next, meet);
            if world.violation().is_some() {
                return Err(told(open, &frames));
            }
            frames.push(Frame::of(&world, asleep, losses, bounds));
        }
        let end = frames.last().expect("there's a first frame");
        let (is_cut, is_repeated) = (!end.barred.is_empty(), !end.enabled.is_empty());
        if is_cut {
            note_who_came_too_late(&world, &mut frames);
        }
        let end = frames.last().expect("there's a first frame");
        if is_repeated {
            explored.repeated += 1;
        } else if is_cut {
            explored.cut += 1;
        } else {
            explored.count(end.losses, 1);
            explored.longest = explored.longest.max(frames.len() - 1);
            // What follows the last step is one order, and the same from where another
            // run has been.
            if world.standing().is_none_or(|standing| settled.insert(standing)) {
                explored.endings += 1;
                world.settle();
            }
            if world.violation().is_some() {
                return Err(told(open, &frames));
            }
        }
        while frames.last().is_some_and(|frame| frame.next().is_none()) {
            frames.pop();
        }
        if frames.is_empty() {
            return Ok(explored);
        }
        if explored.schedules() >= bounds.orders {
            return Ok(Explored { unfinished: 1, ..explored });
        }
        world = opened(open);
        let last = frames.len() - 1;
        follow(&mut world, &frames[..last]);
    }
}

pub(super) fn opened(open: &dyn Fn() -> World) -> World {
    let mut world = open();
    world.strict = true;
    world.beginning_anew();
    world
}

/// Takes the steps that led to a frame.
fn follow(world: &mut World, frames: &[Frame]) {
    for step in frames.iter().filter_map(|frame| frame.taken.as_ref()) {
        world.pass(world.index_of(step.id), How::Well);
    }
}

/// Takes a step from the last frame; gives back who sleeps after it, and how many races
/// were lost.
fn take(
    world: &mut World,
    frames: &mut [Frame],
    id: u64,
    meet: Meet,
) -> (Vec<(u64, Footprint)>, usize) {
    let index = world.index_of(id);
    let cause = world.pending[index].cause;
    let footprint = world.pass(index, How::Well);
    let after = note_races(frames, cause, id, &footprint, meet);
    let frame = frames.last_mut().expect("there's a first frame");
    let shown = frame.asleep.iter().chain(&frame.done);
    let asleep = shown.filter(|(_, its)| !meet(its, &footprint)).cloned().collect();
    let losses = frame.losses + usize::from(footprint.lost);
    frame.done.push((id, footprint.clone()));
    frame.taken = Some(Step { id, footprint, after });
    (asleep, losses)
}

/// Finds the earlier steps that might as well have come after this one, and
/// wants that tried. Gives back which steps must come before it.
fn note_races(
    frames: &mut [Frame],
    cause: u64,
    id: u64,
    footprint: &Footprint,
    meet: Meet,
) -> Vec<bool> {
    let last = frames.len() - 1;
    let mut after = vec![false; last];
    for earlier in (0..last).rev() {
        let step = frames[earlier].taken.as_ref().expect("all but the last have taken a step");
        let causes = step.causes(cause);
        if after[earlier] || !(causes || meet(&step.footprint, footprint)) {
            continue;
        }
        if !causes {
            want_reversed(frames, earlier, id, &after);
        }
        after[earlier] = true;
        let step = frames[earlier].taken.as_ref().expect("it was just there");
        for (mine, its) in after.iter_mut().zip(&step.after) {
            *mine |= its;
        }
    }
    after
}

/// Wants a run in which the last step comes without this earlier one before it.
fn want_reversed(frames: &mut [Frame], earlier: usize, id: u64, after: &[bool]) {
    let last = frames.len() - 1;
    let step = |index: usize| frames[index].taken.as_ref().expect("it was taken");
    let free: Vec<_> = (earlier + 1..last).filter(|index| !step(*index).after[earlier]).collect();
    want_one_of(frames, earlier, &free, id, after);
}

/// Wants runs in which those who can't commit any more, because they'd lose a race too many,
/// come before the first of those whom they'd lose it to.
fn note_who_came_too_late(world: &World, frames: &mut [Frame]) {
    let last = frames.len() - 1;
    for index in 0..world.pending.len() {
        let Some(late) = world.would_lose(index) else { continue };
        let (id, cause) = (world.pending[index].id, world.pending[index].cause);
        let step = |index: usize| frames[index].taken.as_ref().expect("it was taken");
        // What they have done before they wanted to commit, and what that needs.
        let mut after = vec![false; last];
        for asked in (0..last).filter(|index| step(*index).causes(cause)) {
            after[asked] = true;
            after.iter_mut().zip(&step(asked).after).for_each(|(mine, its)| *mine |= its);
        }
        let beats = |index: &usize| !after[*index] && late.is_beaten_by(&step(*index).footprint);
        let winners: Vec<_> = (0..last).filter(beats).collect();
        // Where all winners came before something that was done here, that's the race.
        let Some(first) = winners.first().copied() else { continue };
        let free = |index: &usize| {
            !winners.contains(index)
                && !winners.iter().any(|it| it < index && step(*index).after[*it])
        };
        let free: Vec<_> = (first + 1..last).filter(free).collect();
        want_one_of(frames, first, &free, id, &after);
    }
}

/// Wants a run that goes on from a frame with one of these steps, or with the last, which
/// comes after some: with one that needs none of the others, so that it may come first.
fn want_one_of(frames: &mut [Frame], at: usize, free: &[usize], id: u64, after: &[bool]) {
    let step = |index: usize| frames[index].taken.as_ref().expect("it was taken");
    let needs_none = |after: &dyn Fn(usize) -> bool| !free.iter().any(|index| after(*index));
    let firsts = free
        .iter()
        .filter(|index| needs_none(&|other| other < **index && step(**index).after[other]))
        .map(|index| step(*index).id);
    let itself = needs_none(&|other| after[other]).then_some(id);
    let firsts: Vec<_> = firsts.chain(itself).collect();
    let frame = &mut frames[at];
    if firsts.iter().any(|first| frame.wanted.contains(first)) {
        return;
    }
    let first = firsts.first().copied().expect("one of them comes first");
    if frame.barred.contains(&first) {
        // What bars them may go away by something else.
        frame.wanted.clone_from(&frame.enabled);
        return;
    }
    debug_assert!(frame.enabled.contains(&first), "what needs nothing else was possible");
    frame.wanted.push(first);
}

impl Frame {
    fn of(world: &World, asleep: Vec<(u64, Footprint)>, losses: usize, bounds: Bounds) -> Self {
        let is_barred =
            |index: usize| !bounds.permits(losses + 1) && world.would_lose(index).is_some();
        let (mut enabled, mut barred) = (Vec::new(), Vec::new());
        for (index, pending) in world.pending.iter().enumerate() {
            let those = if is_barred(index) { &mut barred } else { &mut enabled };
            those.push(pending.id);
        }
        let awake = enabled.iter().find(|id| asleep.iter().all(|(other, _)| other != *id));
        let wanted = awake.copied().into_iter().collect();
        Self { enabled, barred, losses, wanted, done: Vec::new(), asleep, taken: None }
    }

    /// Whose turn is to be tried next.
    fn next(&self) -> Option<u64> {
        let shown = |id: &u64| self.done.iter().chain(&self.asleep).any(|(other, _)| other == id);
        self.wanted.iter().find(|id| !shown(id)).copied()
    }
}

fn told(open: &dyn Fn() -> World, frames: &[Frame]) -> String {
    let taken = frames.iter().filter_map(|frame| frame.taken.as_ref());
    let way: Vec<_> = taken.map(|step| step.id).collect();
    retold(open, &way)
}

/// Tells of a run that breaks a law, by its steps.
pub(super) fn retold(open: &dyn Fn() -> World, way: &[u64]) -> String {
    let mut world = opened(open);
    world.trace = Trace::kept();
    for id in way {
        world.pass(world.index_of(*id), How::Well);
    }
    if world.violation().is_none() {
        world.settle();
    }
    let violation = world.violation().unwrap_or_else(|| "it isn't broken again".to_owned());
    format!("{}an order of these steps breaks a law: {violation}", world.trace)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use runtime::{Domain, prelude::*};
    use serde_json::json;

    use super::*;
    use crate::simulation::{Asked, Commit, Laws, Service, Stores};

    /// A number that grows.
    #[derive(Serialize, Deserialize)]
    struct Sum {
        id: String,
        sum: u32,
    }

    impl Document for Sum {
        const COLLECTION: &'static str = "sums";
        fn key(&self) -> String {
            self.id.clone()
        }
    }

    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    struct Add {
        to: String,
    }

    impl Endpoint for Add {
        const OPERATION: &'static str = "sums.add";
        const ROUTE: Route = Route::act("/v1/sums/{to}/add");
        type Response = u32;
    }

    async fn add(cx: Context<User>, request: Add) -> Result<u32> {
        let sum = cx.get::<Sum>(&request.to).await?;
        let mut sum = sum.unwrap_or_else(|| Stored::new(Sum { id: request.to, sum: 0 }));
        sum.sum += 1;
        let now = sum.sum;
        cx.answer(Changes::new().save(&sum), now).await
    }

    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    struct Total {}

    impl Endpoint for Total {
        const OPERATION: &'static str = "sums.total";
        const ROUTE: Route = Route::get("/v1/sums");
        type Response = u32;
    }

    /// One sum counts ten times: so it's seen of which.
    async fn total(cx: Context<User>, _: Total) -> Result<u32> {
        let both = cx.get_all::<Sum>(&["a".to_owned(), "b".to_owned()]).await?;
        let sum = |index: usize| both[index].as_ref().map_or(0, |it| it.sum);
        Ok(sum(0) * 10 + sum(1))
    }

    /// Notes how a run ends: what is stored, and what each was told.
    #[derive(Clone, Default)]
    struct Endings {
        all: Arc<Mutex<BTreeSet<String>>>,
        told: Arc<Mutex<BTreeSet<String>>>,
        /// What it remembers of what each was told, if that can be said.
        memory: Option<fn(&BTreeSet<String>) -> u64>,
    }

    impl Laws for Endings {
        fn memory(&self) -> Option<u64> {
            self.memory.map(|memory| memory(&self.told.lock().unwrap()))
        }

        fn committed(&mut self, _: &Commit<'_>) -> Result<(), String> {
            Ok(())
        }

        fn at_rest(&mut self, stores: &Stores<'_>) -> Result<(), String> {
            let sums: Vec<_> = stores.all("sums", "sums").map(|(_, sum)| sum.to_string()).collect();
            let told = self.told.lock().unwrap();
            self.all.lock().unwrap().insert(format!("{sums:?} {told:?}"));
            Ok(())
        }
    }

    /// Who asks for the total, instead of adding to a sum.
    const TOTAL: &str = "total";

    /// A world in which each of these adds to a sum, each over a process of their own.
    fn adding(names: &[&str], endings: &Endings) -> World {
        let domain = || Domain::new("sums").collection::<Sum>().operation(add).operation(total);
        let services = vec![Service::of(domain).instances(names.len())];
        // What a run that isn't finished was told is forgotten with it.
        let (all, memory) = (endings.all.clone(), endings.memory);
        let endings = Endings { all, memory, ..Endings::default() };
        let mut world = World::new(services, endings.clone(), 1).routed_by_caller();
        for (number, to) in names.iter().enumerate() {
            let (told, to) = (endings.told.clone(), (*to).to_owned());
            world.enter(&format!("person{number}"), |person| async move {
                let (operation, path) = match &*to {
                    TOTAL => ("sums.total", Vec::new()),
                    _ => ("sums.add", vec![("to", to)]),
                };
                let (query, body, key) = (String::new(), json!({}), None);
                let asked = Asked { operation, path, query, body, key };
                let heard = person.insist(&asked).await;
                told.lock().unwrap().insert(format!("{}: {}", person.name, heard.body));
            });
        }
        world
    }

    /// How runs may end, and how many it took to tell.
    fn endings(names: &[&str], meet: Meet) -> (BTreeSet<String>, usize) {
        let endings = Endings::default();
        let explored = explore_where(&|| adding(names, &endings), Bounds::NONE, meet).unwrap();
        let all = endings.all.lock().unwrap().clone();
        (all, explored.schedules())
    }

    #[test]
    fn no_ending_is_missed_though_few_orders_are_run() {
        for names in [&["a", "a"] as &[_], &["a", "b"]] {
            let (all, every_order) = endings(names, |_, _| true);
            let (found, few) = endings(names, Footprint::meets);
            assert_eq!(found, all);
            assert!(few * 5 < every_order, "{few} of {every_order} orders");
        }
    }

    #[test]
    fn what_is_read_together_may_be_of_several_moments_and_is_read_in_one_order() {
        let names = &["a", "b", TOTAL];
        let (all, in_any_order) = endings(names, |one, other| {
            one.processes.iter().any(|it| other.processes.contains(it)) || one.meets(other)
        });
        let (found, few) = endings(names, Footprint::meets);
        assert_eq!(found, all);
        let totals = ["0", "1", "10", "11"].map(|total| format!("person2: {total}\""));
        assert!(totals.iter().all(|total| found.iter().any(|it| it.contains(total))), "{found:?}");
        // One for each of them, whichever of the two is read first.
        assert_eq!((few, in_any_order), (4, 8));
        let at_one_moment = explore(&|| adding(names, &Endings::default()).reading_at_one_moment());
        assert_eq!(at_one_moment.unwrap().schedules(), 4);
    }

    #[test]
    fn what_comes_to_the_same_is_settled_once_and_what_does_not_is_settled_too() {
        let explored = |memory| {
            let endings = Endings { memory, ..Endings::default() };
            explore(&|| adding(&["a", "a"], &endings)).unwrap()
        };
        // The sum is 2 in the end, whoever came first.
        let forgetful = explored(Some(|_| 0));
        assert!(forgetful.schedules() > 1);
        assert_eq!(forgetful.endings, 1);
        let who_was_first = explored(Some(|told| u64::from(told.contains("person0: 1"))));
        assert_eq!(who_was_first.endings, 2);
        // Where there's no telling, each is.
        let unknown = explored(None);
        assert_eq!(unknown.endings, unknown.schedules());
    }

    #[test]
    fn where_losses_are_bounded_every_order_within_the_bound_is_run_and_no_other() {
        for names in [&["a", "a"] as &[_], &["a", "b"], &["a", "a", "a"], &["a", "b", "a", "b"]] {
            let explored = |losses| {
                let endings = Endings::default();
                explore_within(&|| adding(names, &endings), Bounds::losing(losses)).unwrap()
            };
            let all = explored(1_000);
            assert_eq!(all.cut, 0);
            for losses in 0..=all.by_losses.len() {
                let found = explored(losses);
                let within: Vec<_> = all.by_losses.iter().copied().take(losses + 1).collect();
                assert_eq!(found.by_losses, within, "{names:?}, {losses} lost");
            }
        }
    }

    #[test]
    fn what_touches_nothing_in_common_is_run_in_one_order() {
        assert_eq!(endings(&["a", "b", "c"], Footprint::meets).1, 1);
        // Whoever comes first is 1 and the others follow: 6 endings of 3 people.
        assert_eq!(endings(&["a", "a", "a"], Footprint::meets).0.len(), 6);
    }
}
