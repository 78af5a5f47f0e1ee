//! The steps of a world: one of those who wait goes on, and whatever comes of it
//! happens, until all wait again.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use contracts::Language;
use runtime::{
    Envelope, Incoming, Origin, Outgoing, Reply, Sender, Trace, Write,
    mail::{MailError, Message, Taken},
};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    Commit, Dice, Stores,
    footprint::{Footprint, Read},
    gate::{Answer, Arrival, Ask, Waiting, short},
    pending::{Delivery, How, Pending, What},
    service::Alive,
    world::{Call, Routing, World},
};

/// Whoever hasn't come to rest after so many steps in which nothing fails never will.
const SETTLING_MOST: u64 = 5_000;

/// Whoever asked, and waits for the answer.
struct Asker {
    process: usize,
    answer: oneshot::Sender<Answer>,
}

impl World {
    /// Lets one of those who wait go on. Gives back what was touched.
    pub(crate) fn pass(&mut self, index: usize, how: How) -> Footprint {
        let Pending { id, what, .. } = self.pending.remove(index);
        self.begin_step(id);
        if let What::Asked(waiting) = &what
            && let Ask::GetOf(_, together) = &waiting.ask
        {
            let group = together.id(id);
            self.touched.together = Some(group);
            if together.is_last() {
                // Whichever of them that is: what follows is the same.
                self.step = group;
            }
        }
        match what {
            What::Asked(waiting) => self.answer(*waiting, how),
            What::Replied { call, reply } => self.reply(call, reply, how),
            What::Delivery(delivery) => self.deliver(delivery, how),
            What::Stray { service, operation, incoming } => {
                self.come_late(service, operation, *incoming);
            }
        }
        std::mem::take(&mut self.touched)
    }

    /// Where in the order of coming somebody waits who is known by this id.
    pub(crate) fn index_of(&self, id: u64) -> usize {
        let index = self.pending.iter().position(|pending| pending.id == id);
        index.expect("the same steps lead to the same point")
    }

    /// What would be touched if somebody who waits to commit went on, and lost a race.
    /// Nothing: they'd lose none.
    pub(crate) fn would_lose(&self, index: usize) -> Option<Footprint> {
        let What::Asked(waiting) = &self.pending[index].what else { return None };
        let Ask::Commit(writes) = &waiting.ask else { return None };
        let service = self.alive[waiting.process].service?;
        let documents = &self.served[service].documents;
        let loses = !writes.iter().all(|write| documents.permits(write));
        loses.then(|| Footprint {
            processes: vec![waiting.process],
            reads: writes.iter().map(|it| (service, Read::One(it.key().clone()))).collect(),
            lost: true,
            ..Footprint::default()
        })
    }

    /// Lets everything go well, in the order of coming, until nobody waits.
    pub(crate) fn pass_all(&mut self) {
        while !self.pending.is_empty() {
            self.pass(0, How::Well);
        }
    }

    /// Lets everything go well, in the order of coming, and the clock tick, until
    /// nothing happens any more; then looks whether all is as it should be.
    pub(crate) fn settle(&mut self) {
        self.begin_step(!self.steps);
        let late = std::mem::take(&mut self.at_last);
        self.carry(late, None);
        let (most, mut commits_at_tick) = (self.steps + SETTLING_MOST, None);
        while self.violation().is_none() && self.steps < most {
            if !self.pending.is_empty() {
                self.pass(0, How::Well);
            } else if commits_at_tick == Some(self.commits) {
                return self.rest();
            } else {
                commits_at_tick = Some(self.commits);
                (0..self.services()).for_each(|service| self.tick(service));
            }
        }
        self.hold(Err("it never comes to rest".to_owned()));
    }

    /// Kills a process, and starts it anew.
    pub(crate) fn crash(&mut self, process: usize) {
        self.begin_step(!self.steps);
        self.kill(process);
    }

    /// Has the clock tick for a domain: its jobs run, and its outbox is relayed.
    pub(crate) fn tick(&mut self, service: usize) {
        self.begin_step(!self.steps);
        let target = self.instance(service, None);
        self.trace(target, || "the clock ticks".to_owned());
        let gate = self.gate(target);
        let Alive { process, host, ports, .. } = &self.alive[target];
        for job in self.served[service].jobs.clone() {
            let (host, gate) = (host.clone().expect("services have hosts"), gate.clone());
            process.begin(async move {
                let result = host.run_job(&job).await.map_err(|error| error.to_string());
                gate.note(Arrival::Ended { what: job, result });
            });
        }
        let ports = ports.clone();
        process.begin(async move {
            let result = runtime::relay(&*ports.store, &*ports.bus).await;
            let result = result.map(drop).map_err(|error| error.to_string());
            gate.note(Arrival::Ended { what: "relay".to_owned(), result });
        });
        self.run(target);
    }

    /// Begins a job in a process that serves its domain, as somebody outside has it.
    fn begin_job(&mut self, job: &'static str, caller: usize) {
        let its = self.served.iter().position(|served| served.jobs.iter().any(|it| it == job));
        let target = self.instance(its.unwrap_or_else(|| panic!("nobody has {job}")), Some(caller));
        let gate = self.gate(target);
        let host = self.alive[target].host.clone().expect("services have hosts");
        self.begin_in(target);
        self.alive[target].process.begin(async move {
            let result = host.run_job(job).await.map_err(|error| error.to_string());
            gate.note(Arrival::Ended { what: job.to_owned(), result });
        });
        self.run(target);
    }

    fn begin_step(&mut self, id: u64) {
        self.steps += 1;
        self.step = id;
        self.came = 0;
        (self.began, self.anew) = (false, None);
        self.touched = Footprint::default();
    }

    /// Gives somebody who asked this answer, wherever it comes from.
    pub(crate) fn hear(&mut self, index: usize, answer: Answer) -> Footprint {
        let Pending { id, what, .. } = self.pending.remove(index);
        self.begin_step(id);
        let What::Asked(waiting) = what else { panic!("who doesn't ask hears no answer") };
        let Waiting { process, answer: to, .. } = *waiting;
        self.give(Asker { process, answer: to }, answer);
        std::mem::take(&mut self.touched)
    }

    /// Whose turn it is when this goes on. Nothing: several people's.
    pub(crate) fn whose(&self, pending: &Pending) -> Option<usize> {
        let person = match &pending.what {
            What::Asked(waiting) => waiting.process,
            What::Replied { call, .. } => self.calls.get(call)?.caller,
            What::Delivery(delivery) => delivery.teller?,
            What::Stray { .. } => return None,
        };
        let people = |before: &[Alive]| before.iter().filter(|it| it.service.is_none()).count();
        match self.alive[person].service {
            None => Some(people(&self.alive[..person])),
            Some(service) => {
                let processes = &self.served[service].processes;
                let each_has_one =
                    self.routing == Routing::Caller && processes.len() >= people(&self.alive);
                each_has_one.then(|| person - processes.start)
            }
        }
    }

    // ---------------------------------------------------------- what is asked

    fn answer(&mut self, Waiting { process, ask, answer }: Waiting, how: How) {
        let asker = Asker { process, answer };
        if how == How::Fails {
            self.see("a call failed");
            self.trace(process, || format!("{ask} → FAILS, and nothing happens"));
            let why = "it has failed, and nothing happened";
            return self.give(
                asker,
                match ask {
                    Ask::Send(_) => Answer::Sent(Err(MailError::Unavailable(why.to_owned()))),
                    _ => Answer::Broken(why),
                },
            );
        }
        let said = if self.trace.is_kept() { ask.to_string() } else { String::new() };
        let given = match ask {
            Ask::Call(outgoing, trace) => match self.serving(outgoing.operation) {
                Some(service) => {
                    let operation = outgoing.operation;
                    let incoming = self.incoming(process, outgoing, &trace);
                    return self.begin_call(asker, service, operation, incoming, how);
                }
                None => self.play_a_part(&outgoing),
            },
            Ask::Request(operation, incoming) => {
                let service = self.serving(operation);
                let service = service.unwrap_or_else(|| panic!("nobody serves {operation}"));
                return self.begin_call(asker, service, operation, incoming, how);
            }
            Ask::Get(_) | Ask::GetOf(..) | Ask::GetAll(_) | Ask::Query(_) | Ask::Count(_) => {
                self.look_up(process, &ask)
            }
            Ask::Commit(writes) => self.commit(process, writes),
            Ask::Publish(events) => {
                let is_outside = self.alive[process].service.is_none();
                self.carry(events, is_outside.then_some(process));
                Answer::Done
            }
            Ask::Send(message) => self.take_mail(message, how),
            Ask::Taken(id) if self.mail.contains(&id) => Answer::Taken(Taken::Yes),
            Ask::Taken(_) => Answer::Taken(Taken::No),
            Ask::Sleep(duration) => {
                self.touched.ages |= is_long(duration);
                // Where all orders are tried, a short pause lets others go on, and that's all.
                if self.touched.ages || !self.strict {
                    self.let_time_pass(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
                }
                Answer::Done
            }
            Ask::Job(job) => {
                self.begin_job(job, process);
                Answer::Done
            }
            Ask::Touch => {
                self.touched.played = true;
                Answer::Done
            }
        };
        self.end(asker, given, &said, how);
    }

    /// Gives an answer, or loses it.
    fn end(&mut self, asker: Asker, given: Answer, said: &str, how: How) {
        let process = asker.process;
        let is_mortal = self.alive[process].service.is_some();
        match how {
            How::Fatal if is_mortal => {
                self.trace(process, || format!("{said} → {given}, and DIES before it hears so"));
                self.kill(process);
            }
            How::Fatal | How::Unheard => {
                self.see("an answer was lost");
                self.trace(process, || format!("{said} → {given}, and the answer is LOST"));
                self.give(asker, Answer::Broken("the answer was lost"));
            }
            How::Well | How::Fails | How::Twice => {
                self.trace(process, || format!("{said} → {given}"));
                self.give(asker, given);
            }
        }
    }

    fn give(&mut self, to: Asker, answer: Answer) {
        let _gone = to.answer.send(answer);
        self.run(to.process);
    }

    /// Answers what a process asks of its store, but for commits.
    pub(crate) fn look_up(&mut self, process: usize, ask: &Ask) -> Answer {
        let Some(service) = self.alive[process].service else {
            return Answer::Broken("people have no store");
        };
        let reads = ask.reads().into_iter().map(|read| (service, read));
        self.touched.reads.extend(reads);
        let documents = &self.served[service].documents;
        let found = match ask {
            Ask::Get(key) | Ask::GetOf(key, _) => documents.get(key).map(Answer::Record),
            Ask::GetAll(keys) => {
                let records = keys.iter().map(|key| documents.get(key));
                records.collect::<Result<_, _>>().map(Answer::Records)
            }
            Ask::Query(query) => documents.query(query).map(Answer::Rows),
            Ask::Count(query) => documents.count(query).map(Answer::Count),
            _ => Err("that's no question to a store".to_owned()),
        };
        found.unwrap_or_else(|wrong| {
            self.hold(Err(wrong));
            Answer::Broken("the store refuses")
        })
    }

    pub(crate) fn commit(&mut self, process: usize, writes: Vec<Write>) -> Answer {
        let Some(service) = self.alive[process].service else {
            return Answer::Broken("people have no store");
        };
        let keys: Vec<_> = writes.iter().map(|write| write.key().clone()).collect();
        match self.served[service].documents.commit(writes) {
            Ok(Ok(changes)) => {
                self.commits += 1;
                let (domain, now) = (self.served[service].name, self.now());
                let stores = Stores { served: &self.served, mail: &self.mail, now };
                let result = self.laws.committed(&Commit { domain, changes: &changes, stores });
                self.hold(result);
                self.touched.writes.extend(changes.into_iter().map(|changed| (service, changed)));
                Answer::Committed(Ok(()))
            }
            Ok(Err(conflict)) => {
                self.see("a race was lost");
                self.touched.lost = true;
                self.touched.reads.extend(keys.into_iter().map(|key| (service, Read::One(key))));
                Answer::Committed(Err(conflict))
            }
            Err(wrong) => {
                self.hold(Err(wrong));
                Answer::Broken("the store refuses")
            }
        }
    }

    fn take_mail(&mut self, message: Message, how: How) -> Answer {
        self.mail.push(message.message_id);
        Answer::Sent(match how {
            How::Unheard => Err(MailError::Unknown("the connection broke".to_owned())),
            _ => Ok(()),
        })
    }

    /// Puts events on their way, each to every subscriber that it has.
    fn carry(&mut self, events: Vec<Envelope>, teller: Option<usize>) {
        for event in events.into_iter().map(Arc::new) {
            for service in 0..self.served.len() {
                for (kind, subscriber) in self.served[service].subscribers.clone() {
                    if kind == event.kind {
                        let event = event.clone();
                        let delivery = Delivery { service, subscriber, event, teller };
                        self.wait(What::Delivery(delivery));
                    }
                }
            }
        }
    }

    // --------------------------------------------------------------- requests

    /// Which of the domains serves an operation.
    pub(crate) fn serving(&self, operation: &str) -> Option<usize> {
        self.served.iter().position(|served| served.operations.iter().any(|it| it == operation))
    }

    /// Has the test answer for a domain that isn't simulated.
    fn play_a_part(&mut self, outgoing: &Outgoing) -> Answer {
        self.touched.played = true;
        match self.peers.answer(outgoing) {
            Ok((status, body)) => {
                let (retry_after, problem) = (None, None);
                let media_type = contracts::JSON;
                let reply =
                    Reply { status, body, media_type, replayed: false, retry_after, problem };
                Answer::Replied(reply)
            }
            Err(wrong) => {
                self.hold(Err(wrong.to_string()));
                Answer::Broken("nobody plays this part")
            }
        }
    }

    /// A domain's request as another domain gets it.
    fn incoming(&self, caller: usize, outgoing: Outgoing, trace: &Trace) -> Incoming {
        let random = &self.alive[caller].ports.random;
        Incoming {
            bound: outgoing.path,
            query: outgoing.query,
            body: outgoing.body,
            origin: Origin::Platform,
            sender: Sender::default(),
            language: Language::En,
            trace: Trace::continued(Some(&trace.traceparent()), &**random),
            idempotency_key: None,
        }
    }

    /// Has a process of a domain answer a request.
    fn begin_call(
        &mut self,
        Asker { process: caller, answer }: Asker,
        service: usize,
        operation: &'static str,
        incoming: Incoming,
        how: How,
    ) {
        let target = self.instance(service, Some(caller));
        let told = if self.trace.is_kept() { told(&incoming) } else { String::new() };
        let name = self.alive[target].name.clone();
        self.trace(caller, || format!("asks {name} to {operation} {told}"));
        if how == How::Twice {
            self.see("a request came twice");
            let incoming = Box::new(incoming.clone());
            self.wait(What::Stray { service, operation, incoming });
        }
        self.begun += 1;
        let call = self.begun;
        self.calls.insert(call, Call { caller, answer, target });
        let gate = self.gate(target);
        let host = self.alive[target].host.clone().expect("services have hosts");
        self.begin_in(target);
        self.alive[target].process.begin(async move {
            let reply = host.request(operation, incoming).await;
            gate.note(Arrival::Replied { call, reply });
        });
        self.run(target);
        if how == How::Fatal {
            self.kill(target);
        }
    }

    /// A request comes whose answer nobody waits for any more.
    fn come_late(&mut self, service: usize, operation: &'static str, incoming: Incoming) {
        let target = self.instance(service, None);
        self.trace(target, || format!("a late copy comes: {operation} {}", told(&incoming)));
        let host = self.alive[target].host.clone().expect("services have hosts");
        self.alive[target].process.begin(async move {
            let _unheard = host.request(operation, incoming).await;
        });
        self.run(target);
    }

    fn reply(&mut self, call: u64, reply: Reply, how: How) {
        let Some(Call { caller, answer, .. }) = self.calls.remove(&call) else { return };
        let asker = Asker { process: caller, answer };
        if reply.replayed {
            self.see("an answer was given again");
        }
        let said = format!("{} {}", reply.status, reason(&reply));
        if how == How::Well {
            self.trace(caller, || format!("hears {said}"));
            self.give(asker, Answer::Replied(reply));
        } else {
            self.see("an answer was lost");
            self.trace(caller, || format!("doesn't hear {said}"));
            self.give(asker, Answer::Broken("the answer was lost"));
        }
    }

    fn deliver(&mut self, delivery: Delivery, how: How) {
        let Delivery { service, subscriber, event, teller } = delivery.clone();
        if how == How::Fails {
            // It's dropped, and delivered again later.
            self.see("a delivery was dropped");
            return self.wait(What::Delivery(delivery));
        }
        if how == How::Twice {
            self.see("a delivery came twice");
            self.wait(What::Delivery(delivery.clone()));
        }
        let target = self.instance(service, teller);
        self.trace(target, || format!("{subscriber}: {} {}", event.kind, short(&event.id)));
        self.begun += 1;
        let number = self.begun;
        self.handling.insert(number, (target, delivery));
        let gate = self.gate(target);
        let host = self.alive[target].host.clone().expect("services have hosts");
        self.begin_in(target);
        self.alive[target].process.begin(async move {
            let result = host.deliver(&subscriber, event).await.map_err(|error| error.to_string());
            gate.note(Arrival::Handled { delivery: number, result });
        });
        self.run(target);
    }

    /// The process that serves a caller, or what nobody outside has begun.
    fn instance(&mut self, service: usize, caller: Option<usize>) -> usize {
        let processes = self.served[service].processes.clone();
        match (self.routing, caller) {
            (Routing::Chance, _) => processes.start + self.chance.below(processes.len()),
            (Routing::Caller, None) => processes.end - 1,
            (Routing::Caller, Some(caller)) => {
                let before = self.alive[..caller].iter().filter(|it| it.service.is_none());
                processes.start + before.count() % processes.len()
            }
        }
    }

    // --------------------------------------------------------- what comes of it

    /// Runs a process until all of it waits, and takes note of what has come.
    pub(crate) fn run(&mut self, process: usize) {
        self.touched.processes.push(process);
        self.alive[process].process.run();
        self.touched.looks |= self.was_looked_at();
        let arrivals = std::mem::take(&mut *self.arrivals.lock().expect("no holder panics"));
        for arrival in arrivals {
            match arrival {
                Arrival::Asked(waiting) => self.wait(What::Asked(waiting)),
                Arrival::Replied { call, reply } => {
                    if reply.status == 500 {
                        self.blame("a request", &reason(&reply));
                    }
                    if self.calls.contains_key(&call) {
                        self.wait(What::Replied { call, reply });
                    }
                }
                Arrival::Handled { delivery, result } => {
                    let handled = self.handling.remove(&delivery);
                    if let (Some((_, delivery)), Err(why)) = (handled, result) {
                        let subscriber = delivery.subscriber.clone();
                        self.trace(process, || format!("{subscriber} failed: {why}"));
                        self.blame(&subscriber, &why);
                        self.wait(What::Delivery(delivery));
                    }
                }
                Arrival::Ended { what, result } => {
                    if let Err(why) = result {
                        self.trace(process, || format!("{what} failed: {why}"));
                        self.blame(&what, &why);
                    }
                }
                Arrival::Left => self.people -= 1,
                Arrival::Anew(id) => self.begin_anew(process, id),
                Arrival::AtLast(event) => self.tell_at_last(event),
            }
        }
        self.pending.retain(|pending| !pending.is_abandoned());
    }

    /// Notes that a process is about to do something.
    fn begin_in(&mut self, process: usize) {
        self.began = true;
        self.alive[process].beginning.store(self.step, Ordering::SeqCst);
    }

    /// Notes that whoever is at work in a process begins anew.
    fn begin_anew(&mut self, process: usize, id: u64) {
        if self.forgets {
            let calls = self.calls.values().filter(|call| call.target == process).count();
            let events = self.handling.values().filter(|(its, _)| *its == process).count();
            assert!(calls + events <= 1, "several are at work, and it isn't known who begins anew");
            // What comes of it is known by that, as if it were a step.
            (self.step, self.came, self.anew) = (id, 0, Some(id));
        }
    }

    /// Notes what is to be told when all else has happened: whoever wanted that first.
    pub(crate) fn tell_at_last(&mut self, event: Envelope) {
        let place = self.at_last.partition_point(|it| it.id < event.id);
        self.at_last.insert(place, event);
    }

    /// Where nothing has failed around us, what fails is our fault.
    fn blame(&mut self, what: &str, why: &str) {
        if self.strict {
            self.hold(Err(format!("{what} failed though nothing had: {why}")));
        }
    }

    fn wait(&mut self, what: What) {
        self.came += 1;
        // The same comes of the same: that's how a step is known again in another run.
        let id = Dice::of(self.step.rotate_left(17) ^ self.came).throw();
        if let What::Asked(waiting) = &what
            && let Ask::GetOf(_, together) = &waiting.ask
        {
            together.id(id);
        }
        self.pending.push(Pending { id, cause: self.step, what, ready_at: None });
    }

    /// Kills a process: its tasks are dropped, and whoever waited for it hears
    /// that the connection broke. Then it's started anew.
    fn kill(&mut self, process: usize) {
        let Some(service) = self.alive[process].service else { return };
        self.see("a process died");
        self.trace(process, || "DIES, and is started anew".to_owned());
        let name = self.alive[process].name.clone();
        self.alive[process] = self.born(service, process, name);
        self.touched.processes.push(process);
        self.pending.retain(|pending| !pending.is_asked_by(process));
        let undone: Vec<_> =
            self.handling.iter().filter(|(_, it)| it.0 == process).map(|(id, _)| *id).collect();
        for (_, delivery) in
            undone.into_iter().filter_map(|id| self.handling.remove(&id)).collect::<Vec<_>>()
        {
            self.wait(What::Delivery(delivery));
        }
        // An answer that has left the process is on its way; the others never come.
        let has_left = |id: u64| {
            let is = |it: &Pending| matches!(it.what, What::Replied { call, .. } if call == id);
            self.pending.iter().any(is)
        };
        let its = self.calls.iter().filter(|(_, call)| call.target == process);
        let broken: Vec<_> = its.map(|(id, _)| *id).filter(|id| !has_left(*id)).collect();
        for Call { caller, answer, .. } in
            broken.into_iter().filter_map(|id| self.calls.remove(&id)).collect::<Vec<_>>()
        {
            self.see("a connection broke");
            self.trace(caller, || "hears that the connection broke".to_owned());
            self.give(Asker { process: caller, answer }, Answer::Broken("the connection broke"));
        }
    }
}

/// Whether so much time passes that whoever looks at the clock may act otherwise.
pub(crate) const fn is_long(duration: Duration) -> bool {
    duration.as_secs() >= 60
}

/// What a request says, in short.
fn told(incoming: &Incoming) -> String {
    let fields: Vec<_> = incoming.bound.iter().map(|(_, value)| short(value)).collect();
    let body = String::from_utf8_lossy(&incoming.body);
    format!("{}{} {body}", fields.join(" "), incoming.query)
}

/// What an answer says, in a word.
fn reason(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let word = |field: &str| body[field].as_str().map(str::to_owned);
    word("reason").or_else(|| word("state")).unwrap_or_default()
}
