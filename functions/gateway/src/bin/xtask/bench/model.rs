//! The bench's rush for seats where the platform runs in the cloud, by the model of
//! its database: in seconds of the model's time, which no machine makes longer.

use std::time::Duration;

use runtime::Settings;
use testing::physics::{Came, Rush};

use super::{Options, report::Table};

/// How many people a container serves at once.
const CONCURRENCY: usize = 80;

/// Lets the rush happen in several ways, and tells how each came out.
pub fn table(options: &Options) -> Table {
    let rush = Rush {
        people: options.people,
        seats: Some(u32::try_from(options.seats).unwrap_or(u32::MAX)),
        waitlist: false,
        containers: options.people.div_ceil(CONCURRENCY),
        seats_in_block: Settings::SEATS_IN_BLOCK,
        age: Duration::from_hours(1),
    };
    let alone = Rush { people: 40, seats: Some(10), containers: 40, seats_in_block: 0, ..rush };
    let ways = [
        ("seats in blocks", rush),
        ("in a database that is new", Rush { age: Duration::ZERO, ..rush }),
        ("a section without a limit", Rush { seats: None, ..rush }),
        ("seats in one document", Rush { seats_in_block: 0, ..rush }),
        ("40 for 10, each decided alone", alone),
    ];
    let headings = [
        "in the cloud, by the model",
        "seats given s",
        "all answered s",
        "confirmed",
        "commits",
        "lost races",
        "documents written",
        "read",
        "asked again",
    ];
    let mut table = Table::new(options.markdown, &headings);
    for (name, rush) in ways {
        let came = rush.happen(enrollments::domain);
        let Came { given, answered, confirmed, commits, conflicts, writes, reads, .. } = came;
        table.add([
            name.to_owned(),
            format!("{:.2}", given.as_secs_f64()),
            format!("{:.2}", answered.as_secs_f64()),
            confirmed.to_string(),
            commits.to_string(),
            conflicts.to_string(),
            writes.to_string(),
            reads.to_string(),
            came.repeated.to_string(),
        ]);
    }
    table
}
