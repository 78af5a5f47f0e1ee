//! The scheduler: every job of the manifest, each second as on a laptop, never
//! twice at once. Their schedules say each minute, and nobody here waits so long.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{layout::Invoker, standin::Callers};

const PERIOD: Duration = Duration::from_secs(1);

/// How long a job may take, as Cloud Scheduler lets it.
const WITHIN: Duration = Duration::from_mins(3);

/// Runs the jobs until it's dropped.
pub(super) fn begin(callers: &Arc<Callers>, tasks: &mut JoinSet<()>) {
    for (name, function) in &callers.manifest.functions {
        if function.invoker == Invoker::Scheduler {
            tasks.spawn(repeat(callers.clone(), name.clone()));
        }
    }
}

async fn repeat(callers: Arc<Callers>, name: String) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !callers.services[&name].is_well() {
            continue;
        }
        let error = match timeout(WITHIN, callers.run_job(&name)).await {
            Ok(Ok(StatusCode::NO_CONTENT)) => continue,
            Ok(Ok(status)) => format!("it answered {status}"),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_elapsed) => format!("it took more than {} s", WITHIN.as_secs()),
        };
        tracing::warn!(job = name, error, "a job failed, and is run again");
    }
}
