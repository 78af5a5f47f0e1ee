//! The reference: a section's seats and queue as somebody with paper and pencil
//! would keep them. It is plain on purpose, and shares no code with what it checks.

use std::fmt;

use serde_json::Value;

/// What a section allows, as enrollments have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) capacity: Option<u64>,
    pub(super) waitlist_capacity: Option<u64>,
    pub(super) approval_required: bool,
    pub(super) cancelled: bool,
    pub(super) revision: u64,
    pub(super) promise: Option<Promise>,
}

/// No more seats than this are given out until the section has changed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    most: u64,
    /// The revision that the section had when it was made.
    pub(super) revision: u64,
}

impl Allowed {
    /// What the document of a section's seats says.
    pub(super) fn read(seats: &Value) -> Self {
        let (rules, promise) = (&seats["rules"], &seats["promise"]);
        Self {
            capacity: rules["capacity"].as_u64(),
            waitlist_capacity: rules["waitlist_capacity"].as_u64(),
            approval_required: rules["approval_required"].as_bool().unwrap_or_default(),
            cancelled: rules["cancelled"].as_bool().unwrap_or_default(),
            revision: rules["revision"].as_u64().unwrap_or_default(),
            promise: promise["most"].as_u64().map(|most| Promise {
                most,
                revision: promise["revision"].as_u64().unwrap_or_default(),
            }),
        }
    }

    /// How many may have a seat; nothing: any number.
    fn most(&self) -> Option<u64> {
        let promised = self.promise.map(|promise| promise.most);
        [self.capacity, promised].into_iter().flatten().min()
    }
}

/// A section on paper.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    pub(super) allowed: Allowed,
    pub(super) seated: Vec<String>,
    /// Who waits, in the order of joining the queue.
    pub(super) queue: Vec<String>,
    /// Who has asked an instructor.
    pub(super) asking: Vec<String>,
    /// The last number that was given to somebody who joined.
    last_number: u64,
}

/// What has happened to somebody's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) user: String,
    /// `none` if they were never there.
    pub(super) from: String,
    pub(super) to: String,
    /// The order of joining, as it was noted.
    pub(super) number: u64,
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}", self.user, self.from, self.to)
    }
}

impl Section {
    /// Does on paper what a commit says has happened, and tells what couldn't.
    pub(super) fn follow(&mut self, allowed: Allowed, passages: &[Passage]) -> Result<(), String> {
        if allowed.revision < self.allowed.revision {
            return Err("it has learned older facts over newer ones".to_owned());
        }
        self.allowed = allowed;
        let (mut left, mut promoted) = (false, Vec::new());
        for passage in passages {
            match (passage.from.as_str(), passage.to.as_str()) {
                ("confirmed" | "waitlisted" | "pending_approval", "cancelled") => {
                    self.take_off(passage)?;
                    left = true;
                }
                ("pending_approval", "rejected") => self.take_off(passage)?,
                ("waitlisted", "confirmed") => promoted.push(passage.user.clone()),
                _ => {}
            }
        }
        if left || !promoted.is_empty() {
            self.promote(promoted)?;
        }
        for passage in passages {
            match (passage.from.as_str(), passage.to.as_str()) {
                (_, "cancelled" | "rejected") | ("waitlisted", "confirmed") => {}
                ("none" | "cancelled" | "rejected", _) => {
                    if passage.number <= self.last_number {
                        return Err(format!("{passage} with the number of somebody before"));
                    }
                    self.last_number = passage.number;
                    self.place(passage)?;
                }
                ("pending_approval", "confirmed" | "waitlisted") => {
                    self.take_off(passage)?;
                    self.last_number = self.last_number.max(passage.number);
                    self.place(passage)?;
                }
                _ => return Err(format!("{passage}: there's no such way")),
            }
        }
        Ok(())
    }

    fn take_off(&mut self, passage: &Passage) -> Result<(), String> {
        let those = match passage.from.as_str() {
            "confirmed" => &mut self.seated,
            "waitlisted" => &mut self.queue,
            _ => &mut self.asking,
        };
        let place = those.iter().position(|user| *user == passage.user);
        those.remove(place.ok_or_else(|| format!("{passage}: they weren't there"))?);
        Ok(())
    }

    /// Whoever leaves hands their seat on at once, and always to the first of the queue.
    fn promote(&mut self, mut promoted: Vec<String>) -> Result<(), String> {
        let due = self.promotable();
        let mut first: Vec<_> = self.queue.drain(..due).collect();
        self.seated.extend(first.iter().cloned());
        promoted.sort();
        first.sort();
        if promoted == first {
            return Ok(());
        }
        Err(format!("{promoted:?} got seats, and it was the turn of {first:?}"))
    }

    /// How many of those who wait could have a seat.
    pub(super) fn promotable(&self) -> usize {
        if self.allowed.cancelled {
            return 0;
        }
        self.free().map_or(self.queue.len(), |free| free.min(self.queue.len()))
    }

    fn free(&self) -> Option<usize> {
        let most = usize::try_from(self.allowed.most()?).expect("sections are small");
        Some(most.saturating_sub(self.seated.len()))
    }

    /// Puts somebody where they belong, which is where they must have been put.
    fn place(&mut self, passage: &Passage) -> Result<(), String> {
        let Allowed { cancelled, approval_required, waitlist_capacity, .. } = self.allowed;
        if cancelled {
            return Err(format!("{passage} of a cancelled section"));
        }
        let room = |most: u64| (self.queue.len() as u64) < most;
        let belongs = if self.queue.is_empty() && self.free() != Some(0) {
            "confirmed"
        } else if waitlist_capacity.is_none_or(room) {
            "waitlisted"
        } else {
            "nowhere"
        };
        let those = match passage.to.as_str() {
            "pending_approval" if approval_required => &mut self.asking,
            "confirmed" if belongs == "confirmed" => &mut self.seated,
            "waitlisted" if belongs == "waitlisted" => &mut self.queue,
            _ => return Err(format!("{passage}, and belongs {belongs}")),
        };
        those.push(passage.user.clone());
        Ok(())
    }

    /// Where somebody is in the queue: 1 is next.
    pub(super) fn position(&self, user: &str) -> Option<usize> {
        self.queue.iter().position(|it| it == user).map(|index| index + 1)
    }
}
