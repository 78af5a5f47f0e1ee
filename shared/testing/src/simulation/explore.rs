//! Exploring: every order of a small world that may make a difference.
//!
//! A world is run again and again from the start, each time in another order.
//! Two orders that differ only in steps that touch nothing in common come to
//! the same, so only one of them is run: where two steps of a run meet in a
//! process or a document and the later could have come first, the order in
//! which it does is run too (source sets, a dynamic partial-order reduction),
//! and what a run has shown needn't be shown again (sleep sets).

use std::collections::BTreeSet;

use super::{Trace, World, footprint::Footprint, pending::How};

/// What came of exploring a world in which no order breaks a law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// How many orders were run to their end; no two of them come to the same.
    pub schedules: usize,
    /// How many were left when they had begun to repeat another one.
    pub repeated: usize,
    /// How many ways to end they came to, all of which were followed until all settled.
    pub endings: usize,
    /// How many steps the longest has.
    pub longest: usize,
    /// How many worlds have more orders than were to be run.
    pub unfinished: usize,
}

impl std::ops::AddAssign for Explored {
    fn add_assign(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.repeated += other.repeated;
        self.endings += other.endings;
        self.longest = self.longest.max(other.longest);
        self.unfinished += other.unfinished;
    }
}

/// A point of a run: what was possible, what was tried, what was taken.
struct Frame {
    /// Who waits for their turn.
    enabled: Vec<u64>,
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

/// Whether the order of two steps may matter.
type Meet = fn(&Footprint, &Footprint) -> bool;

/// Runs a world in every order that may make a difference. If a law is broken,
/// that is told with the trace of the run.
pub fn explore(open: &dyn Fn() -> World) -> Result<Explored, String> {
    explore_where(open, usize::MAX, Footprint::meets)
}

/// The same, but for orders beyond so many.
pub fn explore_at_most(open: &dyn Fn() -> World, most: usize) -> Result<Explored, String> {
    explore_where(open, most, Footprint::meets)
}

fn explore_where(open: &dyn Fn() -> World, most: usize, meet: Meet) -> Result<Explored, String> {
    let mut explored = Explored::default();
    let mut settled = BTreeSet::new();
    let mut world = opened(open);
    let mut frames = vec![Frame::of(&world, Vec::new())];
    loop {
        while let Some(next) = frames.last().and_then(Frame::next) {
            let asleep = take(&mut world, &mut frames, next, meet);
            if let Some(violation) = world.violation() {
                return Err(told(open, &frames, &violation));
            }
            frames.push(Frame::of(&world, asleep));
        }
        if frames.last().is_some_and(|frame| frame.enabled.is_empty()) {
            explored.schedules += 1;
            explored.longest = explored.longest.max(frames.len() - 1);
            // What follows the last step is one order, and the same from where another
            // run has been.
            if world.standing().is_none_or(|standing| settled.insert(standing)) {
                explored.endings += 1;
                world.settle();
            }
            if let Some(violation) = world.violation() {
                return Err(told(open, &frames, &violation));
            }
        } else {
            explored.repeated += 1;
        }
        while frames.last().is_some_and(|frame| frame.next().is_none()) {
            frames.pop();
        }
        if frames.is_empty() {
            return Ok(explored);
        }
        if explored.schedules >= most {
            return Ok(Explored { unfinished: 1, ..explored });
        }
        world = opened(open);
        let last = frames.len() - 1;
        follow(&mut world, &frames[..last]);
    }
}

fn opened(open: &dyn Fn() -> World) -> World {
    let mut world = open();
    world.strict = true;
    world
}

/// Takes the steps that led to a frame.
fn follow(world: &mut World, frames: &[Frame]) {
    for step in frames.iter().filter_map(|frame| frame.taken.as_ref()) {
        let index = world.pending.iter().position(|pending| pending.id == step.id);
        world.pass(index.expect("the same steps lead to the same point"), How::Well);
    }
}

/// Takes a step from the last frame; gives back who sleeps after it.
fn take(world: &mut World, frames: &mut [Frame], id: u64, meet: Meet) -> Vec<(u64, Footprint)> {
    let index = world.pending.iter().position(|pending| pending.id == id);
    let index = index.expect("who is enabled waits");
    let cause = world.pending[index].cause;
    let footprint = world.pass(index, How::Well);
    let after = note_races(frames, cause, id, &footprint, meet);
    let frame = frames.last_mut().expect("there's a first frame");
    let shown = frame.asleep.iter().chain(&frame.done);
    let asleep = shown.filter(|(_, its)| !meet(its, &footprint)).cloned().collect();
    frame.done.push((id, footprint.clone()));
    frame.taken = Some(Step { id, footprint, after });
    asleep
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
        let causes = step.id == cause;
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
    // What doesn't need the earlier step, in order, and then the last step: any of
    // these that needs none of the others may come first.
    let free: Vec<_> = (earlier + 1..last).filter(|index| !step(*index).after[earlier]).collect();
    let needs_none = |after: &dyn Fn(usize) -> bool| !free.iter().any(|index| after(*index));
    let firsts = free
        .iter()
        .filter(|index| needs_none(&|other| other < **index && step(**index).after[other]))
        .map(|index| step(*index).id);
    let itself = needs_none(&|other| after[other]).then_some(id);
    let firsts: Vec<_> = firsts.chain(itself).collect();
    let frame = &mut frames[earlier];
    if firsts.iter().any(|first| frame.wanted.contains(first)) {
        return;
    }
    let first = firsts.first().copied().expect("one of them comes first");
    debug_assert!(frame.enabled.contains(&first), "what needs nothing else was possible");
    frame.wanted.push(first);
}

impl Frame {
    fn of(world: &World, asleep: Vec<(u64, Footprint)>) -> Self {
        let enabled: Vec<_> = world.pending.iter().map(|pending| pending.id).collect();
        let awake = enabled.iter().find(|id| asleep.iter().all(|(other, _)| other != *id));
        let wanted = awake.copied().into_iter().collect();
        Self { enabled, wanted, done: Vec::new(), asleep, taken: None }
    }

    /// Whose turn is to be tried next.
    fn next(&self) -> Option<u64> {
        let shown = |id: &u64| self.done.iter().chain(&self.asleep).any(|(other, _)| other == id);
        self.wanted.iter().find(|id| !shown(id)).copied()
    }
}

fn told(open: &dyn Fn() -> World, frames: &[Frame], violation: &str) -> String {
    let mut world = opened(open);
    world.trace = Trace::kept();
    follow(&mut world, frames);
    if world.violation().is_none() {
        world.settle();
    }
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

    /// A world in which each of these adds to a sum, each over a process of their own.
    fn adding(names: &[&str], endings: &Endings) -> World {
        let domain = || Domain::new("sums").collection::<Sum>().operation(add);
        let services = vec![Service::of(domain).instances(names.len())];
        // What a run that isn't finished was told is forgotten with it.
        let (all, memory) = (endings.all.clone(), endings.memory);
        let endings = Endings { all, memory, ..Endings::default() };
        let mut world = World::new(services, endings.clone(), 1).routed_by_caller();
        for (number, to) in names.iter().enumerate() {
            let (told, to) = (endings.told.clone(), (*to).to_owned());
            world.enter(&format!("person{number}"), |person| async move {
                let path = vec![("to", to)];
                let (query, body, key) = (String::new(), json!({}), None);
                let asked = Asked { operation: "sums.add", path, query, body, key };
                let heard = person.insist(&asked).await;
                told.lock().unwrap().insert(format!("{}: {}", person.name, heard.body));
            });
        }
        world
    }

    /// How runs may end, and how many it took to tell.
    fn endings(names: &[&str], meet: Meet) -> (BTreeSet<String>, usize) {
        let endings = Endings::default();
        let explored = explore_where(&|| adding(names, &endings), usize::MAX, meet).unwrap();
        let all = endings.all.lock().unwrap().clone();
        (all, explored.schedules)
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
    fn what_comes_to_the_same_is_settled_once_and_what_does_not_is_settled_too() {
        let explored = |memory| {
            let endings = Endings { memory, ..Endings::default() };
            explore(&|| adding(&["a", "a"], &endings)).unwrap()
        };
        // The sum is 2 in the end, whoever came first.
        let forgetful = explored(Some(|_| 0));
        assert!(forgetful.schedules > 1);
        assert_eq!(forgetful.endings, 1);
        let who_was_first = explored(Some(|told| u64::from(told.contains("person0: 1"))));
        assert_eq!(who_was_first.endings, 2);
        // Where there's no telling, each is.
        let unknown = explored(None);
        assert_eq!(unknown.endings, unknown.schedules);
    }

    #[test]
    fn what_touches_nothing_in_common_is_run_in_one_order() {
        assert_eq!(endings(&["a", "b", "c"], Footprint::meets).1, 1);
        // Whoever comes first is 1 and the others follow: 6 endings of 3 people.
        assert_eq!(endings(&["a", "a", "a"], Footprint::meets).0.len(), 6);
    }
}
