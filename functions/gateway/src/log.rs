//! What the server says: for people in a terminal, and in the form of Google's
//! Cloud Logging everywhere else.

use std::{
    fmt,
    io::{self, IsTerminal as _},
};

use runtime::{
    Clock as _, SystemClock,
    log::{CloudLog, Lines, Speaker, Worth},
};
use tracing_subscriber::{
    Layer, fmt::time::FormatTime, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

/// Whose lines are told.
const OURS: Worth =
    Worth::of(&["embedded", "gateway", "identity", "courses", "enrollments", "notifications"]);

/// Whether stdout is read by a person.
pub fn is_for_people() -> bool {
    io::stdout().is_terminal()
}

/// Begins to log to stdout. The lines must be flushed before the process ends.
pub fn start() -> anyhow::Result<Lines> {
    let lines = Lines::gathered(Box::new(io::stdout()))?;
    if is_for_people() {
        let last = lines.clone();
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            last.flush();
            tell(panic);
        }));
        let written = lines.clone();
        let readable = tracing_subscriber::fmt::layer()
            .with_target(false)
            .with_timer(TimeOfDay)
            .with_writer(move || written.clone())
            .with_filter(OURS);
        registry().with(readable).try_init()?;
    } else {
        let log = CloudLog::new(lines.clone(), Speaker::default());
        log.tell_panics();
        registry().with(log.with_filter(OURS)).try_init()?;
    }
    Ok(lines)
}

/// The time of day, which is all that a person at a terminal wants to know.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> fmt::Result {
        write!(writer, "{}", SystemClock.now().as_jiff().strftime("%H:%M:%S%.3f"))
    }
}
