//! A sweep: one order of a small world, and every single fault at every step of it.

use super::{Trace, World, pending::How};

/// What came of a sweep that broke no law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many steps the world takes until everybody has left.
    pub steps: usize,
    /// How many runs there were: one for each fault at each step.
    pub runs: usize,
}

/// What fails in a run.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// What is next goes like this.
    Next(How),
    /// This process is killed.
    Death(usize),
}

/// Runs a world again and again, each time with another single fault at
/// another step. If a law is broken, that is told with the run's trace.
pub fn sweep(open: &dyn Fn() -> World) -> Result<Swept, String> {
    let mut swept = Swept::default();
    loop {
        let Some(world) = world_at(open, swept.steps) else { return Ok(swept) };
        for fault in possible(&world) {
            let mut world = world_at(open, swept.steps).expect("it came here before");
            world.trace.note(|| format!("here: {fault:?}"));
            match fault {
                Fault::Next(how) => drop(world.pass(0, how)),
                Fault::Death(process) => world.crash(process),
            }
            world.settle();
            if let Some(violation) = world.violation() {
                return Err(format!("{}{fault:?} breaks a law: {violation}", world.trace));
            }
            swept.runs += 1;
        }
        swept.steps += 1;
    }
}

/// A world after so many steps in the order of coming; nothing if it has come
/// to rest before.
fn world_at(open: &dyn Fn() -> World, steps: usize) -> Option<World> {
    let mut world = open();
    world.trace = Trace::kept();
    for _ in 0..steps {
        world.pass(0, How::Well);
        if world.pending.is_empty() {
            return None;
        }
    }
    Some(world)
}

fn possible(world: &World) -> Vec<Fault> {
    let next = world.pending[0].may().iter().copied().map(Fault::Next);
    next.chain(world.mortals().into_iter().map(Fault::Death)).collect()
}
