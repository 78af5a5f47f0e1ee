//! A digest: what a person is told once a day, in one mail.
//!
//! There is one for each person and day of theirs, whatever the clocks do: its
//! id is made of the two.

use contracts::TimeZone;
use jiff::civil::Date;
use runtime::{derived_id, prelude::*};

use crate::wall_clock::{TimeOfDay, first, today};

/// The day on which a digest comes, on the person's clock, and when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    day: Date,
    /// When it comes.
    pub due_at: Timestamp,
}

impl Window {
    /// The next one at an hour of the person's clock.
    pub fn next(hour: u8, zone: &TimeZone, now: Timestamp) -> Self {
        let mut window = Self::on(today(now, zone), hour, zone);
        if window.due_at <= now {
            window = window.after(hour, zone);
        }
        window
    }

    /// The one of the day after.
    fn after(self, hour: u8, zone: &TimeZone) -> Self {
        Self::on(self.day.tomorrow().unwrap_or(self.day), hour, zone)
    }

    fn on(day: Date, hour: u8, zone: &TimeZone) -> Self {
        Self { day, due_at: first(day, TimeOfDay::hour(hour), zone) }
    }
}

/// What a person is told on one day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Digest {
    id: String,
    /// The person.
    pub user_id: UserId,
    /// The day: `2026-03-02`.
    pub day: String,
    /// The messages that it tells.
    pub delivery_ids: Vec<String>,
    /// How many more there were.
    pub more: u32,
    /// When it's sent; absent once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When nobody asks for it any more.
    expires_at: Timestamp,
}

/// For how many days a digest is kept after its own.
const KEPT_DAYS: i64 = 60;

/// How many messages a digest tells.
const MOST: usize = 100;

impl Document for Digest {
    const COLLECTION: &'static str = "digests";
    const INDEXES: &'static [Index] =
        &[Index::ascending("due_at"), Index::ascending("day").equals(&["user_id"])];
    const EXPIRES: Option<&'static str> = Some("expires_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Digest {
    fn new(user_id: &UserId, window: Window) -> Self {
        Self {
            id: id(user_id, window),
            user_id: user_id.clone(),
            day: window.day.to_string(),
            delivery_ids: Vec::new(),
            more: 0,
            due_at: Some(window.due_at),
            expires_at: window.due_at.plus_minutes(KEPT_DAYS * 24 * 60),
        }
    }

    /// Those whose time has come.
    pub fn due(now: Timestamp) -> Query {
        Query::ascending::<Self>("due_at").at_most(now)
    }

    /// Those of a person.
    pub fn of(user_id: &UserId) -> Query {
        Query::ascending::<Self>("day").equals("user_id", user_id)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Takes a message in.
    pub fn add(&mut self, delivery_id: &str) {
        if self.delivery_ids.iter().any(|it| it == delivery_id) {
            return;
        }
        if self.delivery_ids.len() < MOST {
            self.delivery_ids.push(delivery_id.to_owned());
        } else {
            self.more += 1;
        }
    }

    /// Takes nothing in any more.
    pub fn close(&mut self) {
        self.due_at = None;
    }
}

fn id(user_id: &UserId, window: Window) -> String {
    derived_id(&["digest", user_id.as_str(), &window.day.to_string()])
}

/// The digest of a window; that of the day after if it was sent already, as
/// when a person has moved to another zone meanwhile.
pub async fn open(
    cx: &Context<System>,
    user_id: &UserId,
    hour: u8,
    zone: &TimeZone,
    mut window: Window,
) -> Result<Stored<Digest>> {
    loop {
        match cx.get::<Digest>(&id(user_id, window)).await? {
            None => return Ok(Stored::new(Digest::new(user_id, window))),
            Some(digest) if digest.due_at.is_some() => return Ok(digest),
            Some(_) => window = window.after(hour, zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::time;

    fn due(name: &str, hour: u8, days: &[&str]) -> Vec<String> {
        let zone: TimeZone = name.parse().unwrap();
        let due =
            days.iter().map(|day| Window::next(hour, &zone, time(&format!("{day}T12:00:00Z"))));
        due.map(|it| it.due_at.to_string()[..16].to_owned()).collect()
    }

    #[test]
    fn it_comes_at_eight_on_the_clock_when_the_clocks_change_too() {
        let days = ["2026-03-06", "2026-03-07", "2026-03-08", "2026-03-27", "2026-03-28"];
        assert_eq!(
            due("Europe/Madrid", 8, &days),
            [
                "2026-03-07T07:00",
                "2026-03-08T07:00",
                "2026-03-09T07:00",
                "2026-03-28T07:00",
                "2026-03-29T06:00"
            ]
        );
        assert_eq!(
            due("America/New_York", 8, &["2026-03-06", "2026-03-07", "2026-10-30", "2026-10-31"]),
            ["2026-03-06T13:00", "2026-03-07T13:00", "2026-10-31T12:00", "2026-11-01T13:00"]
        );
    }

    #[test]
    fn at_an_hour_that_the_clocks_leave_out_or_show_twice_it_comes_once() {
        // New York has no half past two on March 8, and two half past ones on November 1.
        let zone: TimeZone = "America/New_York".parse().unwrap();
        for (day, hour, expected) in [
            ("2026-03-07", 2, ["2026-03-08T07:00", "2026-03-09T06:00"]),
            ("2026-10-31", 1, ["2026-11-01T05:00", "2026-11-02T06:00"]),
        ] {
            let first = Window::next(hour, &zone, time(&format!("{day}T12:00:00Z")));
            let second = Window::next(hour, &zone, first.due_at);
            let at = |it: Window| it.due_at.to_string()[..16].to_owned();
            assert_eq!([at(first), at(second)], expected);
            assert_ne!(id(&"ada".into(), first), id(&"ada".into(), second));
        }
    }

    #[test]
    fn a_message_is_told_once_and_what_is_too_much_is_counted() {
        let zone = TimeZone::default();
        let window = Window::next(8, &zone, time("2026-03-02T12:00:00Z"));
        let mut digest = Digest::new(&"ada".into(), window);
        digest.add("a");
        digest.add("a");
        assert_eq!((digest.delivery_ids.len(), digest.more), (1, 0));
        (0..MOST).for_each(|it| digest.add(&it.to_string()));
        assert_eq!((digest.delivery_ids.len(), digest.more), (MOST, 1));
    }
}
