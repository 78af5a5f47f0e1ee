//! The reference: a section's seats and queue as somebody with paper and pencil
//! would keep them. It is plain on purpose, and shares no code with what it checks.

use std::{collections::BTreeSet, fmt};

use contracts::Timestamp;
use serde_json::Value;

/// What a section allows, as enrollments have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Allowed {
    pub(super) capacity: Option<u64>,
    pub(super) waitlist_capacity: Option<u64>,
    pub(super) approval_required: bool,
    pub(super) cancelled: bool,
    pub(super) offer_hours: Option<u64>,
    pub(super) revision: u64,
    pub(super) promise: Option<Promise>,
}

/// No more seats than this are given out until the section has changed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
            offer_hours: rules["offer_hours"].as_u64(),
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
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Section {
    pub(super) allowed: Allowed,
    pub(super) seated: Vec<String>,
    /// For whom a seat is kept, and until when.
    pub(super) offered: Vec<(String, String)>,
    /// Who let an offer lapse, and is still to be taken off.
    pub(super) lapsed: Vec<String>,
    /// The latest deadline of an offer that was over when it was taken off or dropped: it has
    /// passed for everybody.
    lapsed_until: String,
    /// Who waits, in the order of joining the queue.
    pub(super) queue: Vec<String>,
    /// Who has asked an instructor.
    pub(super) asking: Vec<String>,
    /// The numbers that were given to those who joined.
    numbers: BTreeSet<u64>,
}

/// What has happened to somebody's place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Passage {
    pub(super) user: String,
    /// `none` if they were never there.
    pub(super) from: String,
    pub(super) to: String,
    /// The order of joining, as it was noted.
    pub(super) number: u64,
    /// Until when the seat is kept that was offered to them.
    pub(super) until: String,
    /// When it was decided.
    pub(super) at: String,
    /// They come back before they were taken off.
    pub(super) is_return: bool,
    /// A seat is handed from one to the other.
    pub(super) hands_over: bool,
}

/// What a commit says of a section's seats: what it allows, until when it keeps
/// seats, and the time.
pub(super) struct Said {
    pub(super) allowed: Allowed,
    pub(super) kept: Vec<String>,
    pub(super) now: String,
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}", self.user, self.from, self.to)
    }
}

impl Section {
    /// Does on paper what a commit says has happened, and tells what couldn't.
    pub(super) fn follow(
        &mut self,
        said: Option<Said>,
        passages: &[Passage],
    ) -> Result<(), String> {
        if let Some(said) = &said {
            if said.allowed.revision < self.allowed.revision {
                return Err("it has learned older facts over newer ones".to_owned());
            }
            self.allowed = said.allowed.clone();
        }
        let (mut left, mut promoted) = (false, Vec::new());
        for passage in passages {
            match (passage.from.as_str(), passage.to.as_str()) {
                ("confirmed" | "waitlisted" | "pending_approval" | "offered", "cancelled") => {
                    self.take_off(passage)?;
                    left |= !passage.is_return && !passage.hands_over;
                }
                ("pending_approval", "rejected") => self.take_off(passage)?,
                ("offered", "confirmed") => {
                    self.take_off_offered(passage)?;
                    self.seated.push(passage.user.clone());
                }
                ("waitlisted", "confirmed" | "offered") => promoted.push(passage),
                _ => {}
            }
        }
        if let Some(said) = said {
            self.lapse(&said)?;
        }
        if left || !promoted.is_empty() {
            self.promote(promoted)?;
        }
        for passage in passages {
            match (passage.from.as_str(), passage.to.as_str()) {
                (_, "cancelled" | "rejected")
                | ("waitlisted", "confirmed" | "offered")
                | ("offered", "confirmed") => {}
                ("none" | "cancelled" | "rejected", _) => {
                    self.number(passage)?;
                    self.place(passage)?;
                }
                ("pending_approval", "confirmed" | "waitlisted") => {
                    self.take_off(passage)?;
                    self.numbers.insert(passage.number);
                    self.place(passage)?;
                }
                _ => return Err(format!("{passage}: there's no such way")),
            }
        }
        Ok(())
    }

    /// Nobody gets a number that somebody has had. Whoever waits has one behind all
    /// of them; those who find a seat at the same time may find it in any order.
    fn number(&mut self, passage: &Passage) -> Result<(), String> {
        let is_last = self.numbers.last().is_none_or(|last| passage.number > *last);
        let is_new = self.numbers.insert(passage.number);
        if is_new && (is_last || passage.to == "confirmed") {
            return Ok(());
        }
        Err(format!("{passage} with the number of somebody before"))
    }

    fn take_off(&mut self, passage: &Passage) -> Result<(), String> {
        let those = match passage.from.as_str() {
            "offered" => {
                let theirs = self.offered.extract_if(.., |(user, _)| *user == passage.user);
                let passed = theirs.map(|(_, until)| until).filter(|until| *until <= passage.at);
                self.lapsed_until = passed.max().unwrap_or_default().max(self.lapsed_until.clone());
                self.lapsed.retain(|user| *user != passage.user);
                return Ok(());
            }
            "confirmed" => &mut self.seated,
            "waitlisted" => &mut self.queue,
            _ => &mut self.asking,
        };
        let place = those.iter().position(|user| *user == passage.user);
        those.remove(place.ok_or_else(|| format!("{passage}: they weren't there"))?);
        Ok(())
    }

    /// Who accepts has an offer that is still worth something.
    fn take_off_offered(&mut self, passage: &Passage) -> Result<(), String> {
        let place = self.offered.iter().position(|(user, _)| *user == passage.user);
        let Some(place) = place else {
            return Err(format!("{passage}, and their offer had lapsed"));
        };
        let (_, until) = self.offered.remove(place);
        if until <= passage.at {
            return Err(format!("{passage} at {}, and it was kept until {until}", passage.at));
        }
        Ok(())
    }

    /// Keeps no seat for those whose offers have lapsed, once that's noted.
    fn lapse(&mut self, said: &Said) -> Result<(), String> {
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.offered.drain(..).partition(|(_, until)| said.kept.contains(until));
        self.offered = kept;
        for (user, until) in gone {
            if until > said.now {
                return Err(format!("{user}'s offer was dropped before {until}"));
            }
            self.lapsed.push(user);
            self.lapsed_until = until.max(self.lapsed_until.clone());
        }
        Ok(())
    }

    /// Whoever leaves hands their seat on at once, and always to the first of the queue.
    fn promote(&mut self, promoted: Vec<&Passage>) -> Result<(), String> {
        let due = self.promotable();
        let mut first: Vec<_> = self.queue.drain(..due).collect();
        for passage in &promoted {
            match (passage.to.as_str(), self.allowed.offer_hours) {
                ("confirmed", None) => self.seated.push(passage.user.clone()),
                ("offered", Some(hours)) if self.is_kept_for(passage, hours) => {
                    self.offered.push((passage.user.clone(), passage.until.clone()));
                }
                _ => return Err(format!("{passage}, unlike the section says")),
            }
        }
        let mut promoted: Vec<_> = promoted.into_iter().map(|it| it.user.clone()).collect();
        promoted.sort();
        first.sort();
        if promoted == first {
            return Ok(());
        }
        Err(format!("{promoted:?} got seats, and it was the turn of {first:?}"))
    }

    /// Whether a seat is kept for so many hours, up to the next full minute, from when it was
    /// decided; or from the latest deadline that has passed, if whoever decided has a clock
    /// that is behind it.
    fn is_kept_for(&self, passage: &Passage, hours: u64) -> bool {
        let millis = |text: &str| text.parse().map_or(0, Timestamp::as_millis);
        let from = millis(&passage.at).max(millis(&self.lapsed_until));
        let hours = i64::try_from(hours).unwrap_or_default() * 3_600_000;
        (hours..hours + 60_000).contains(&(millis(&passage.until) - from))
    }

    /// How many of those who wait could have a seat.
    pub(super) fn promotable(&self) -> usize {
        if self.allowed.cancelled {
            return 0;
        }
        self.free().map_or(self.queue.len(), |free| free.min(self.queue.len()))
    }

    /// How many seats nobody else may have.
    pub(super) fn held(&self) -> usize {
        self.seated.len() + self.offered.len()
    }

    fn free(&self) -> Option<usize> {
        let most = usize::try_from(self.allowed.most()?).expect("sections are small");
        Some(most.saturating_sub(self.held()))
    }

    /// Puts somebody where they belong, which is where they must have been put.
    fn place(&mut self, passage: &Passage) -> Result<(), String> {
        let Allowed { cancelled, approval_required, waitlist_capacity, .. } = self.allowed;
        if cancelled {
            return Err(format!("{passage} of a cancelled section"));
        }
        let room = |most: u64| (self.queue.len() as u64) < most;
        // A seat that is handed over is given to nobody else.
        let is_next = self.queue.is_empty() || passage.hands_over;
        let belongs = if is_next && self.free() != Some(0) {
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
